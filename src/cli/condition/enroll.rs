//! `wavesynth condition enroll`: see [`wavesynth::train::enroll`].

use super::{SkipBadArg, file_names};
use crate::cli::output::{ForceArg, RULE};
use crate::cli::{args, interrupt, usage};
use anyhow::Result;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use wavesynth::recordings::{self, Notes};
use wavesynth::train::enroll::{self, Enrolled, Figures};
use wavesynth::voice::VoiceSection;
use wavesynth_audio::cond;
use wavesynth_audio::features::SAMPLE_RATE;
use wavesynth_models::in_file::AtPath;
use wavesynth_output::{say, shown};

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_long_help = RULE)]
pub struct Args {
    /// Recordings of the speaker: files, or folders of them; a minute is good, more is better
    #[arg(value_name = "PATH", required = true)]
    recordings: Vec<PathBuf>,
    /// Checkpoint [default: the shipped voice]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Name of the speaker
    #[arg(long)]
    name: String,
    /// Steps of learning; 0 only finds the nearest speaker
    #[arg(long, value_name = "N", default_value_t = 150, allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    steps: u64,
    /// Seed of the random numbers: equal seeds give equal files
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = args::seed)]
    seed: u64,
    /// Condition file to write
    #[arg(short, long, value_name = "C.bin")]
    output: PathBuf,
    #[command(flatten)]
    skip_bad: SkipBadArg,
    #[command(flatten)]
    force: ForceArg,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    super::speaker_name(&args.name)?;
    let notes = Notes::default();
    let files = recordings::named(&args.recordings, &notes)?;
    let mut known = HashSet::new();
    if let Some(twice) = files.iter().find(|file| file.canonicalize().is_ok_and(|file| !known.insert(file))) {
        usage!("{}: the same recording is given twice", twice.display());
    }
    let mut plan = args.force.plan();
    files.iter().map(PathBuf::as_path).chain(args.model.as_deref()).for_each(|file| plan.reads(file));
    let output = plan.writes("-o", &args.output, &cond::SPEAKER)?;
    let (checkpoint, path) = args::read_checkpoint(args.model.as_deref())?;
    // A model that is no voice is refused where it is enrolled for.
    let rate = VoiceSection::from_header(&checkpoint.header).map_or(SAMPLE_RATE, |s| s.sample_rate);
    let files = args.skip_bad.readable(files, rate, &notes)?;
    notes.say();
    let options = enroll::EnrollOptions { name: args.name.clone(), steps: args.steps, seed: args.seed };
    let stop =
        interrupt::flag("stopping with the best so far, if there is one; a second time ends it at once")?;
    let mut e = enroll::enroll(&checkpoint, &path, &files, &options, &stop)?;
    e.condition.source = format!("enrolled from {}", file_names(&files));
    report(&e, &options).iter().for_each(|line| say!("{line}"));
    super::hint_at_alignment(&e.condition, &VoiceSection::from_header(&checkpoint.header).at(&path)?);
    super::write(&e.condition, output)?;
    if args.output != Path::new("-") {
        next_commands(&args).iter().for_each(|line| say!("{line}"));
    }
    Ok(())
}

/// The figures of the speaker before and after.
fn report(e: &Enrolled, options: &enroll::EnrollOptions) -> Vec<String> {
    let name = &options.name;
    let known = |v: Option<f64>, digits| v.map_or("-".into(), |v: f64| format!("{v:.digits$}"));
    let row = |who: &str, f: &Figures| {
        let c = f.copies.as_ref();
        format!(
            "{:>11.4}  {:>10}  {:>7}  {:>8}  {who}",
            f.nats,
            known(c.map(|c| c.log_mel_db), 2),
            known(c.and_then(|c| c.spectral_correlation), 3),
            known(c.and_then(|c| c.f0_cents), 0),
        )
    };
    let head = ["held-out recordings:", "nats/sample  log-mel dB  spectra  F0 cents"];
    let mut lines: Vec<String> = head.map(String::from).into();
    lines.push(row(&format!("{}, the nearest speaker, as he is played", e.nearest), &e.before));
    match &e.after {
        Some(after) => lines.push(row(name, after)),
        None if options.steps == 0 => {
            lines.push(format!("{name} is played as {}: --steps 0 adapts nothing", e.nearest));
        }
        None => lines.push(format!(
            "no adaptation was better: {name} is played as {}; more recordings may help",
            e.nearest
        )),
    }
    lines
}

/// What to type next.
fn next_commands(args: &Args) -> [String; 2] {
    let file = shown::word(&args.output);
    let model = args.model.as_ref().map_or(String::new(), |m| format!(" -m {}", shown::word(m)));
    [
        format!("next: wavesynth play{model} --condition {file} --track en_greeting"),
        format!("or:   wavesynth copy{model} --condition {file} RECORDING.wav -o copies"),
    ]
}
