//! `wavesynth logits`: the network's outputs for given symbols, through either reading of the model.

use super::args::{ConditionArgs, ModelArgs};
use super::npy::NPY;
use super::output::{ForceArg, RULE};
use super::{npy, output, usage};
use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;
use std::path::PathBuf;
use wavesynth::synth::{Conditioning, Forced, without_denormals};
use wavesynth::voice::{self, Voice};
use wavesynth_models::ar::{Sampling, Symbol};
use wavesynth_models::in_file::AtPath;
use wavesynth_models::loaded::Loaded;
use wavesynth_output::Output;

/// The logits of every next symbol, as an array
#[derive(Debug, clap::Args)]
#[command(after_long_help = RULE)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    condition: ConditionArgs,
    /// One-dimensional array of integers
    #[arg(long, value_name = "X.npy")]
    symbols: PathBuf,
    /// Which of the two programs computes them
    #[arg(long, value_enum, default_value_t = Evaluator::Step)]
    path: Evaluator,
    /// Array to write: [T, classes] 32-bit floats, row t the logits of p(x_t | x_<t); of a voice of 16 bits the parameters of
    /// its mixture in their place
    #[arg(short, long, value_name = "OUT.npy")]
    output: PathBuf,
    #[command(flatten)]
    force: ForceArg,
    /// Print the result as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// The two programs that compute one function.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Evaluator {
    /// The engine, symbol by symbol
    Step,
    /// The teacher-forced graph, all at once
    Graph,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let mut plan = args.force.plan();
    let inputs = args.model.file().into_iter().chain(args.condition.files());
    inputs.chain([&*args.symbols]).for_each(|file| plan.reads(file));
    if args.json {
        plan.prints("--json")?;
    }
    let output = plan.writes("-o", &args.output, &NPY)?;
    let (model, path) = args.model.load()?;
    let likelihood = &model.config.facts().likelihood;
    let (classes, params) = (likelihood.classes(), likelihood.params());
    if classes == 0 {
        usage!("{}: a model of vectors, and --symbols holds symbols", path.display());
    }
    let symbols = npy::read_symbols(&args.symbols, classes)?;
    let shape = [symbols.len() as u64, params as u64];
    let voice = match model.header.sections.contains_key(voice::SECTION) {
        true => Some(Voice::from_loaded(model.clone()).at(&path)?),
        false if args.condition.is_given() => {
            usage!("{}: no voice, so it takes no condition", path.display())
        }
        false => None,
    };
    let conditioning = voice.as_ref().map(|v| args.condition.conditioning(v)).transpose()?;
    let given = voice.as_ref().zip(conditioning);
    let read = &symbols;
    match (args.path, given) {
        (Evaluator::Step, Some((voice, conditioning))) => {
            let mut forced = Forced::new(voice, conditioning);
            write_steps(output, shape, read, |x, row| forced.parameters(x, row))?;
        }
        (Evaluator::Step, None) => {
            let mut stream = model.generator(Sampling::default());
            write_steps(output, shape, read, |x, row| stream.parameters(x.into(), row))?;
        }
        (Evaluator::Graph, given) => {
            let rows = match given {
                Some((voice, conditioning)) => graph(&args.model, voice, conditioning, &symbols)?,
                None => unconditioned_graph(&args.model, &model, &symbols)?,
            };
            npy::write::<f32>(output, &shape, |push| Ok(rows.into_iter().try_for_each(push)?))?;
        }
    }
    if args.json {
        output::json(
            &json!({ "symbols": symbols.len(), "classes": classes, "output": args.output.to_string_lossy() }),
        )?;
    }
    Ok(())
}

/// Writes the row that `next` gives for every symbol, before it absorbs that.
fn write_steps(
    output: Output,
    shape: [u64; 2],
    symbols: &[Symbol],
    mut next: impl FnMut(Symbol, &mut [f32]),
) -> Result<()> {
    let mut row = vec![0.0; shape[1] as usize];
    npy::write::<f32>(output, &shape, |push| {
        without_denormals(|| {
            symbols.iter().try_for_each(|&x| {
                next(x, &mut row);
                Ok(row.iter().copied().try_for_each(&mut *push)?)
            })
        })
    })
}

/// What a graph reads: x_{t−1} in row t, the start symbol first.
#[cfg(feature = "train")]
fn window(start: Symbol, symbols: &[Symbol]) -> wavesynth_models::objective::Window {
    let inputs = [&[start], &symbols[..symbols.len() - 1]].concat();
    wavesynth_models::objective::Window { inputs, targets: symbols.to_vec(), ..Default::default() }
}

/// The same without a condition, of any family that has a graph.
#[cfg(feature = "train")]
fn unconditioned_graph(model: &ModelArgs, loaded: &Loaded, symbols: &[Symbol]) -> Result<Vec<f32>> {
    use anyhow::Context;
    use wavesynth::train::{config::Engine, device::Device, objective};
    let (checkpoint, _) = model.checkpoint()?;
    let objective = objective(&loaded.config, Engine::Graph, Device::Cpu, 0.0, &|_| true)?;
    let window = window(loaded.config.facts().start, symbols);
    let params = objective.layout().flatten(&checkpoint.tensors);
    objective.parameters(&params, &window)?.context("--path graph: the family has no plain graph")
}

#[cfg(not(feature = "train"))]
fn unconditioned_graph(_: &ModelArgs, _: &Loaded, _: &[Symbol]) -> Result<Vec<f32>> {
    super::lacks("--path graph", "train")
}

/// [T, classes], row by row.
#[cfg(feature = "train")]
fn graph(
    model: &ModelArgs,
    voice: &Voice,
    conditioning: Conditioning,
    symbols: &[Symbol],
) -> Result<Vec<f32>> {
    use wavesynth_models::ar::Graph;
    use wavesynth_models::candle_core::{Device, Tensor};
    use wavesynth_models::families::wavenet::ConditionConfig;
    use wavesynth_models::families::wavenet::graph::WaveNetGraph;
    use wavesynth_models::graph::PaddedBatch;

    let device = Device::Cpu;
    let (checkpoint, _) = model.checkpoint()?;
    let graph = WaveNetGraph::new(&voice.config, &checkpoint.tensors, &device)?;
    let likelihood = voice.config.likelihood();
    let PaddedBatch { inputs, .. } =
        PaddedBatch::new(&[window(voice.config.start, symbols)], symbols.len(), &likelihood, &device)?;
    let frames = wavesynth::synth::frame_table(voice, conditioning, symbols.len());
    let cond = match voice.config.condition.as_ref().map_or(0, ConditionConfig::len) {
        0 => None,
        n => Some(Tensor::from_slice(&frames, (1, frames.len() / n, n), &device)?),
    };
    Ok(graph.forward(&inputs, cond.as_ref())?.flatten_all()?.to_vec1()?)
}

#[cfg(not(feature = "train"))]
fn graph(_: &ModelArgs, _: &Voice, _: Conditioning, _: &[Symbol]) -> Result<Vec<f32>> {
    super::lacks("--path graph", "train")
}
