//! `wavesynth condition mix`.

use crate::cli::output::{ForceArg, RULE};
use crate::cli::usage;
use anyhow::Result;
use std::path::{Path, PathBuf};
use wavesynth::lookup;
use wavesynth_audio::cond::{self, Condition};

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_long_help = RULE)]
pub struct Args {
    /// Speakers with weights, such as a.bin=0.7 b.bin=0.3; 1 where no weight is given, all scaled to sum 1
    #[arg(value_name = "C.bin[=WEIGHT]", required = true)]
    parts: Vec<String>,
    /// Name of the new speaker
    #[arg(long)]
    name: Option<String>,
    /// Condition file to write
    #[arg(short, long, value_name = "M.bin")]
    output: PathBuf,
    #[command(flatten)]
    force: ForceArg,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    args.name.as_deref().map_or(Ok(()), super::speaker_name)?;
    let mut plan = args.force.plan();
    args.parts.iter().for_each(|part| plan.reads(Path::new(cond::weighted(part).0)));
    let output = plan.writes("-o", &args.output, &cond::SPEAKER)?;
    let mut parts: Vec<(Condition, f32)> = Vec::new();
    for part in &args.parts {
        let (path, weight) = cond::weighted(part);
        let Some(weight) = weight else {
            usage!("{part}: wanted FILE or FILE=WEIGHT, such as a.bin=0.7");
        };
        parts.push((lookup::condition(Path::new(path))?, weight));
    }
    let borrowed: Vec<(&Condition, f32)> = parts.iter().map(|(c, w)| (c, *w)).collect();
    let mut mixed = cond::mix(&borrowed)?;
    if let Some(name) = args.name {
        mixed.name = name;
    }
    super::write(&mixed, output)
}
