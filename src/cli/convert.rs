//! `wavesynth convert`: a checkpoint with smaller weights, or with the network for cross-speaker tracks averaged.

use super::args::read_checkpoint;
use super::output::{ForceArg, RULE};
use super::usage;
use anyhow::Result;
use std::path::PathBuf;
use wavesynth::kinds;
use wavesynth_models::families::wavenet::half_way;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::loaded;
use wavesynth_models::weights::Dtype;
use wavesynth_output::folder as folder_of;

/// Write a checkpoint with another type of weights, or with cross-speaker tracks read half-way as own ones
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true).args(["dtype", "half_way"])))]
#[command(after_long_help = RULE)]
pub struct Args {
    /// Checkpoint [default: the shipped voice]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Type of the weights: f32, f16 or i8; a wider one does not restore what a smaller one has lost
    #[arg(long, value_name = "TYPE")]
    dtype: Option<Dtype>,
    /// Average the network for cross-speaker tracks (`others` in the model's config), as trained, with the one for the
    /// speaker's own tracks: words are clearer in speaker conversion
    #[arg(long)]
    half_way: bool,
    /// Checkpoint to write
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    #[command(flatten)]
    force: ForceArg,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let mut plan = args.force.plan();
    args.model.iter().for_each(|model| plan.reads(model));
    let (mut checkpoint, path) = read_checkpoint(args.model.as_deref())?;
    let folder = args.model.as_deref().filter(|model| model.is_dir());
    if let Some(folder) =
        folder.filter(|f| f.canonicalize().ok() == folder_of(&args.output).canonicalize().ok())
    {
        let (output, folder) = (args.output.display(), folder.display());
        usage!(
            "-o {output}: {folder}, which -m names, would have several checkpoints; write it elsewhere, or name the file with -m"
        );
    }
    let output = plan.writes("-o", &args.output, kinds::of(&checkpoint.header))?;
    if args.half_way {
        half_way(&mut checkpoint).at(&path)?;
    }
    if let Some(dtype) = args.dtype {
        loaded::quantise(&mut checkpoint, dtype).at(&path)?;
    }
    Ok(checkpoint.write_to(output)?)
}
