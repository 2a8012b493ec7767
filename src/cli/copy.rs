//! `wavesynth copy`: copy-synthesis.

mod picture;

use super::args::{self, ModelArgs, PolicyArgs};
use super::output::{ForceArg, PNG, RULE};
use super::{output, usage};
use anyhow::Result;
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};
use wavesynth::copy_synthesis::{self, Drawing};
use wavesynth::lookup;
use wavesynth::progress::Progress;
use wavesynth::quality::{self, Difference};
use wavesynth::recordings::{self, Notes};
use wavesynth::synth::{Conditioning, SamplingPolicy, without_denormals};
use wavesynth::voice::Voice;
use wavesynth_audio::features::{self, Extractor, SpeakerStats};
use wavesynth_audio::recording::STDIN;
use wavesynth_audio::sink::{self, Format};
use wavesynth_models::in_file::AtPath;
use wavesynth_output::{Output, shown};

/// Copy-synthesis: render recordings from their own tracks, and measure how near the copies come
#[derive(Debug, clap::Args)]
#[command(mut_arg("dtype", |a| args::instead(a, "[default: the file's own]", "[default: i8]")))]
#[command(mut_arg("temperature", |a| args::instead(a, "[default: 0.9; 1 for babble]", "[default: 0.9]")))]
#[command(after_long_help = RULE)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Condition file, or the name of a shipped one, of the recordings' speaker
    #[arg(short, long, value_name = "C.bin")]
    condition: PathBuf,
    /// Recordings, or - for one on stdin
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Folder for the copies, each as a WAV file of its original's name, that of stdin as stdin.wav
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Draw mel spectrograms of the first input: the original above, the copy below
    #[arg(long, value_name = "P.png")]
    picture: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArg,
    /// Print the result as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    inputs: Vec<Row>,
    #[serde(flatten)]
    mean: Row,
}

/// One input's figures, or the mean over all, each recording weighing by its frames.
#[derive(Debug, Clone, Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "output::path")]
    input: Option<PathBuf>,
    frames: usize,
    log_mel_db: f64,
    spectral_correlation: Option<f64>,
    f0_correlation: Option<f64>,
    f0_cents: Option<f64>,
    voicing_error: f64,
}

impl Row {
    fn new(input: Option<&Path>, d: &Difference) -> Self {
        Self {
            input: input.map(Path::to_path_buf),
            frames: d.frames,
            log_mel_db: d.log_mel_db,
            spectral_correlation: d.spectral_correlation,
            f0_correlation: d.f0_correlation,
            f0_cents: d.f0_cents,
            voicing_error: d.voicing_error,
        }
    }
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let (outputs, picture) = outputs(&args)?;
    let voice = args.model.voice()?;
    let Some(c) = voice.config.condition.as_ref().filter(|c| c.features > 0) else {
        usage!("{}: this voice takes no track, so it can't copy", args.model.name());
    };
    debug_assert_eq!(c.features, features::FEATURES);
    voice.model.check_room(rayon::current_num_threads().min(args.inputs.len()))?;
    let condition = lookup::condition(&args.condition)?;
    let conditioning = Conditioning::new(&voice, &condition).at(&args.condition)?;
    args::check_speaker(&voice, &conditioning, Some(&args.condition))?;
    // A voice of one speaker knows no vector: the statistics alone are the speaker's.
    let stats =
        conditioning.speaker_stats().or(condition.stats.as_ref().filter(|_| !conditioning.has_speaker()));
    let notes = Notes::default();
    let bar = Progress::new(args.inputs.len() as u64, "{wide_bar} {pos}/{len} inputs");
    let copies = args
        .inputs
        .par_iter()
        .zip(outputs)
        .map(|(path, output)| {
            let done =
                without_denormals(|| copy(&args, &voice, &conditioning, stats, path, (output, &notes)));
            bar.inc(1);
            done
        })
        .collect::<Result<Vec<_>>>();
    bar.finish();
    let copies = copies?;
    notes.say();
    if let (Some(output), Some((_, original, copy))) = (picture, copies.first()) {
        let png = picture::spectrograms(&[original, copy])?;
        output.write(&png)?;
    }
    let differences: Vec<Difference> = copies.into_iter().map(|(d, ..)| d).collect();
    let rows = args.inputs.iter().zip(&differences).map(|(path, d)| Row::new(Some(path), d));
    let report = Report { inputs: rows.collect(), mean: Row::new(None, &Difference::mean(&differences)) };
    if args.json { output::json(&report) } else { output::text(&table(&report)) }
}

/// The copies' places, one for each input, and the picture's.
fn outputs(args: &Args) -> Result<(Vec<Option<Output>>, Option<Output>)> {
    let mut plan = args.force.plan();
    let inputs = args.inputs.iter().map(PathBuf::as_path);
    inputs.chain(args.model.file()).chain([&*args.condition]).for_each(|file| plan.reads(file));
    plan.prints(if args.json { "--json" } else { "the table" })?;
    let picture = args.picture.as_ref().map(|path| plan.writes("--picture", path, &PNG)).transpose()?;
    let Some(dir) = &args.output else {
        return Ok((args.inputs.iter().map(|_| None).collect(), picture));
    };
    plan.folder("-o", dir)?;
    let copy = |input: &PathBuf| {
        let input = if input.as_os_str() == STDIN { Path::new("stdin") } else { input };
        let to = dir.join(input.with_extension("wav").file_name().unwrap_or_default());
        let name = format!("the copy of {}", shown::path(input));
        Ok(Some(plan.writes(&name, &to, Format::Wav16.kind())?))
    };
    Ok((args.inputs.iter().map(copy).collect::<Result<_>>()?, picture))
}

/// Figures, original and copy, both at 16 kHz.
fn copy(
    args: &Args,
    voice: &Voice,
    speaker: &Conditioning,
    stats: Option<&SpeakerStats>,
    path: &Path,
    (output, notes): (Option<Output>, &Notes),
) -> Result<(Difference, Vec<f32>, Vec<f32>)> {
    let original = recordings::read_at(path, features::SAMPLE_RATE, notes)?;
    let raw = Extractor::new().extract(&original);
    let track = Conditioning::from_features(voice, &raw, stats).at(path)?;
    let drawing = Drawing {
        policy: args.policy.get(SamplingPolicy::usual(voice, true))?,
        seed: args.policy.seed(),
        post_filter: args.policy.post_filter(),
    };
    let copy = copy_synthesis::copy(voice, speaker.clone().overlaid(track), &drawing)?;
    if let Some(output) = output {
        let to = shown::path(output.path());
        let mut sink = sink::open(&output, Format::Wav16, voice.section.sample_rate)?;
        sink.write(&copy)?;
        if let Some(line) = sink::clipped_line(sink.clipped(), copy.len() as u64) {
            notes.line(format!("{to}: {line}"));
        }
        sink.finish()?;
    }
    let copy = copy_synthesis::comparable(voice, &copy)?;
    Ok((quality::compare(&original, &copy), original, copy))
}

fn table(report: &Report) -> String {
    let mut t = String::from("  seconds  log-mel dB  F0 corr  F0 cents  voicing error  input");
    let mean = (report.inputs.len() > 1).then_some(&report.mean);
    for r in report.inputs.iter().chain(mean) {
        let name = output::input_name(r.input.as_deref(), "mean, by length");
        let known = |v: Option<f64>, digits| v.map_or("-".into(), |v: f64| format!("{v:.digits$}"));
        t += &format!(
            "\n{:>9.2}  {:>10.2}  {:>7}  {:>8}  {:>12.1}%  {name}",
            r.frames as f64 * 0.01,
            r.log_mel_db,
            known(r.f0_correlation, 3),
            known(r.f0_cents, 0),
            100.0 * r.voicing_error,
        );
    }
    t
}
