//! `wavesynth logits`: the network's outputs for given symbols, through either reading of the model.

use super::args::{ConditionArgs, ModelArgs};
use super::{npy, output};
use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;
use std::path::PathBuf;
use wavesynth::synth::{Conditioning, Forced, without_denormals};
use wavesynth::voice::Voice;
use wavesynth_models::ar::Symbol;

/// The logits of every next symbol, as an array
#[derive(Debug, clap::Args)]
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
    /// Array to write: [T, classes] 32-bit floats, row t the logits of p(x_t | x_<t)
    #[arg(short, long, value_name = "OUT.npy")]
    output: PathBuf,
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
    let voice = args.model.voice()?;
    let conditioning = args.condition.conditioning(&voice)?;
    let classes = voice.config.classes;
    let symbols = npy::read_symbols(&args.symbols, classes)?;
    let shape = [symbols.len() as u64, classes as u64];
    match args.path {
        Evaluator::Step => npy::write::<f32>(&args.output, &shape, |push| {
            let mut forced = Forced::new(&voice, conditioning);
            let mut row = vec![0.0; classes];
            without_denormals(|| {
                symbols.iter().try_for_each(|&x| {
                    forced.parameters(x, &mut row);
                    Ok(row.iter().copied().try_for_each(&mut *push)?)
                })
            })
        })?,
        Evaluator::Graph => {
            let rows = graph(&args.model, &voice, conditioning, &symbols)?;
            npy::write::<f32>(&args.output, &shape, |push| Ok(rows.into_iter().try_for_each(push)?))?;
        }
    }
    if args.json {
        output::json(&json!({ "symbols": symbols.len(), "classes": classes, "output": args.output }))?;
    }
    Ok(())
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

    let device = Device::Cpu;
    let (checkpoint, _) = model.checkpoint()?;
    let graph = WaveNetGraph::new(&voice.config, &checkpoint.tensors, &device)?;
    // The graph reads x_{t−1} in row t: the start symbol, then all but the last.
    let mut inputs = vec![u32::from(voice.config.start)];
    inputs.extend(symbols[..symbols.len() - 1].iter().map(|&x| u32::from(x)));
    let inputs = Tensor::from_vec(inputs, (1, symbols.len()), &device)?;
    let frames = wavesynth::synth::frame_table(voice, conditioning, symbols.len());
    let cond = match voice.config.condition.as_ref().map_or(0, ConditionConfig::len) {
        0 => None,
        n => Some(Tensor::from_slice(&frames, (1, frames.len() / n, n), &device)?),
    };
    Ok(graph.forward(&inputs, cond.as_ref())?.flatten_all()?.to_vec1()?)
}

#[cfg(not(feature = "train"))]
fn graph(_: &ModelArgs, _: &Voice, _: Conditioning, _: &[Symbol]) -> Result<Vec<f32>> {
    anyhow::bail!("--path graph: this program was built without the feature `train`")
}
