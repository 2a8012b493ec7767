//! `wavesynth convert`: a checkpoint with smaller weights.

use super::args::read_checkpoint;
use anyhow::Result;
use std::path::PathBuf;
use wavesynth_models::weights::Dtype;
use wavesynth_models::zoo;

/// Write a checkpoint with another type of weights
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Checkpoint [default: the shipped voice]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Type of the weights: f32, f16 or i8; a wider one brings nothing back that a smaller one has lost
    #[arg(long, value_name = "TYPE")]
    dtype: Dtype,
    /// Checkpoint to write
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let (mut checkpoint, path) = read_checkpoint(args.model.as_deref())?;
    zoo::narrow(&mut checkpoint, &path, args.dtype)?;
    Ok(checkpoint.write(&args.output)?)
}
