//! `wavesynth bench`: engine and trainer on this machine.

mod allreduce;
mod growth;
mod latency;
mod limits;
mod say;
mod shapes;
#[cfg(feature = "train")]
mod train;

use super::args::ModelArgs;
use super::usage;
use anyhow::Result;
use clap::Subcommand;
use wavesynth::bench::{Grain, Subject};
use wavesynth::shipped;
use wavesynth_models::families::wavenet;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded;
use wavesynth_models::weights::Dtype;

/// Samples per block when throughput is measured.
const BLOCK: usize = 256;

/// Measure engine and trainer on this machine
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Time of every single symbol, to the first sample, and from a changed condition to changed sound
    Latency(latency::Args),
    /// Time per symbol in blocks, as rendering sees it, of one stream or of several in lockstep
    Throughput(latency::ThroughputArgs),
    /// Samples per second of training, where the time goes, memory
    #[cfg(feature = "train")]
    Train(train::Args),
    /// Not in this build, which lacks the feature `train`: speed of training
    #[cfg(not(feature = "train"))]
    Train(super::Lacking),
    /// From a text to its first sample, and whether it ever falls behind
    Say(say::Args),
    /// How near each shape comes to what this machine allows
    Limits(limits::Args),
    /// Time per sample against layers, channels, dilation, length and streams
    Growth(growth::Args),
    /// The shapes that `--shape all` measures
    Shapes(shapes::Args),
    /// Time of summing a gradient over the processes that mpirun started
    Allreduce(allreduce::Args),
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    match args.measurement {
        Measurement::Latency(a) => latency::run(a, Grain::Symbol, 1),
        Measurement::Throughput(a) => a.run(Grain::Block(BLOCK)),
        #[cfg(feature = "train")]
        Measurement::Train(a) => train::run(a),
        #[cfg(not(feature = "train"))]
        Measurement::Train(_) => super::lacks("bench train", "train"),
        Measurement::Allreduce(a) => allreduce::run(&a),
        Measurement::Say(a) => say::run(a),
        Measurement::Limits(a) => limits::run(a),
        Measurement::Growth(a) => growth::run(a),
        Measurement::Shapes(a) => shapes::run(a),
    }
}

/// The subjects of a measurement.
#[derive(Debug, clap::Args)]
struct SubjectArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Named shape with random weights instead of a checkpoint, or `all`, the shipped voice among them
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    shape: Option<String>,
}

impl SubjectArgs {
    /// The subjects as `--dtype` has them.
    fn get(&self) -> Result<Vec<Subject>> {
        self.stored_as(self.model.dtype())
    }

    /// The subjects with weights of type `dtype`; without one a checkpoint has its own, a named shape f32.
    fn stored_as(&self, dtype: Option<Dtype>) -> Result<Vec<Subject>> {
        let isa = self.model.isa()?;
        let named = |name| Subject::named(name, dtype.unwrap_or(Dtype::F32), isa);
        match self.shape.as_deref() {
            None | Some("shipped") => Ok(vec![self.checkpoint(dtype, isa)?]),
            Some("all") => {
                let shipped = shipped::model(shipped::VOICE).map(|_| self.checkpoint(dtype, isa));
                wavenet::Config::NAMED.iter().map(|n| named(n)).chain(shipped).collect()
            }
            Some(name) => Ok(vec![named(name)?]),
        }
    }

    fn checkpoint(&self, dtype: Option<Dtype>, isa: Isa) -> Result<Subject> {
        let (mut checkpoint, path) = self.model.checkpoint()?;
        if let Some(dtype) = dtype {
            loaded::quantise(&mut checkpoint, dtype).at(&path)?;
        }
        Subject::new(self.model.name(), checkpoint, &path, isa)
    }
}

/// Refuses a length of measured sound out of range.
fn check_seconds(seconds: f64) -> Result<()> {
    if !(seconds > 0.0 && seconds <= 3600.0) {
        usage!("--seconds {seconds}: wanted more than 0 and at most 3600");
    }
    Ok(())
}
