//! `wavesynth condition enroll`: see [`wavesynth::train::enroll`].

use super::file_names;
use crate::cli::args;
use crate::cli::output::{ForceArg, RULE};
use anyhow::Result;
use std::path::PathBuf;
use wavesynth::recordings;
use wavesynth::train::enroll;
use wavesynth::voice::VoiceSection;
use wavesynth_audio::cond;
use wavesynth_models::in_file::AtPath;
use wavesynth_output::say;

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
    /// Steps of learning
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    steps: u64,
    /// Seed of the random numbers: equal seeds give equal vectors
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Condition file to write
    #[arg(short, long, value_name = "C.bin")]
    output: PathBuf,
    #[command(flatten)]
    force: ForceArg,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    super::speaker_name(&args.name)?;
    let files = recordings::named(&args.recordings)?;
    let mut plan = args.force.plan();
    files.iter().map(PathBuf::as_path).chain(args.model.as_deref()).for_each(|file| plan.reads(file));
    let output = plan.writes("-o", &args.output, &cond::SPEAKER)?;
    let (checkpoint, path) = args::read_checkpoint(args.model.as_deref())?;
    let options = enroll::EnrollOptions { name: args.name, steps: args.steps, seed: args.seed };
    let mut e = enroll::enroll(&checkpoint, &path, &files, &options)?;
    e.condition.source = format!("enrolled from {}", file_names(&files));
    say!(
        "held-out: {:.4} nats/sample as {}, the nearest known speaker; {:.4} as {}",
        e.before,
        e.nearest,
        e.after,
        options.name
    );
    super::hint_at_alignment(&e.condition, &VoiceSection::from_header(&checkpoint.header).at(&path)?);
    super::write(&e.condition, output)
}
