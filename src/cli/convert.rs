//! `wavesynth convert`: a checkpoint with smaller weights, or with the network for others' tracks half-way to the other.

use super::args::read_checkpoint;
use anyhow::Result;
use std::path::PathBuf;
use wavesynth_models::families::wavenet::half_way;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::loaded;
use wavesynth_models::weights::Dtype;

/// Write a checkpoint with another type of weights, or with others' tracks read half-way as own ones
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true).args(["dtype", "half_way"])))]
pub struct Args {
    /// Checkpoint [default: the shipped voice]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Type of the weights: f32, f16 or i8; a wider one brings nothing back that a smaller one has lost
    #[arg(long, value_name = "TYPE")]
    dtype: Option<Dtype>,
    /// Put the network for others' tracks (`others` in the model's config), as training left it, half-way between itself and
    /// the one for the speaker's own tracks: others' words come through better
    #[arg(long)]
    half_way: bool,
    /// Checkpoint to write
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let (mut checkpoint, path) = read_checkpoint(args.model.as_deref())?;
    if args.half_way {
        half_way(&mut checkpoint).at(&path)?;
    }
    if let Some(dtype) = args.dtype {
        loaded::quantise(&mut checkpoint, dtype).at(&path)?;
    }
    Ok(checkpoint.write(&args.output)?)
}
