//! The engine, the graph and the exact likelihood against numbers that an independent program computed
//! (`golden/wavenet.py`: plain numpy, double precision, no queue). It also wrote the checkpoint, from the description of
//! the format alone.

use crate::common;
use std::path::PathBuf;
use wavesynth_models::ar::{Generator, Sampling};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::Checkpoint;

struct Golden {
    symbols: Vec<u16>,
    frames: Vec<f32>,
    logits: Vec<f32>,
    nats: Vec<f32>,
}

fn golden() -> Golden {
    let file = common::Golden::open("wavenet");
    Golden {
        symbols: file.symbols(),
        frames: file.read("frames"),
        logits: file.read("logits"),
        nats: file.read("nats"),
    }
}

fn checkpoint() -> PathBuf {
    common::golden_path("wavenet")
}

/// Runs `each` for every symbol, with the condition set at every frame.
fn drive(stream: &mut dyn Generator, golden: &Golden, mut each: impl FnMut(&mut dyn Generator, usize, u16)) {
    let (hop, n) = (4, golden.frames.len() / golden.symbols.len().div_ceil(4));
    for (t, &x) in golden.symbols.iter().enumerate() {
        if t % hop == 0 {
            let config = FamilyConfig::from_header(&Checkpoint::read(&checkpoint()).unwrap().header).unwrap();
            let frame = &golden.frames[t / hop * n..][..n];
            stream.condition(&common::typed(config.downcast().unwrap(), frame));
        }
        each(stream, t, x);
    }
}

#[test]
fn logits_and_likelihood_are_the_independent_ones() {
    let golden = golden();
    for isa in Isa::available() {
        let model = Loaded::open(&checkpoint(), isa).unwrap();
        let classes = golden.logits.len() / golden.symbols.len();
        let mut got = vec![0.0; classes];
        drive(&mut *model.generator(Sampling::default()), &golden, |stream, t, x| {
            stream.parameters(x.into(), &mut got);
            for (g, w) in got.iter().zip(&golden.logits[t * classes..]) {
                assert!((g - w).abs() < 2e-5, "{} row {t}: {g}, wanted {w}", isa.name());
            }
        });
        drive(&mut *model.generator(Sampling::default()), &golden, |stream, t, x| {
            let nats = stream.score(x.into());
            assert!((nats - golden.nats[t]).abs() < 2e-5, "{} row {t}: {nats} nats", isa.name());
        });
    }
}

#[test]
fn drawing_scoring_and_reading_mix_in_one_stream() {
    let golden = golden();
    let model = Loaded::open(&checkpoint(), Isa::detect()).unwrap();
    let mut stream = model.generator(Sampling { temperature: 0.0, ..Default::default() });
    let mut row = vec![0.0; stream.likelihood().classes()];
    drive(&mut *stream, &golden, |stream, t, x| {
        let likeliest = stream.fork().next(0.5);
        stream.fork().parameters(x.into(), &mut row);
        let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(row[likeliest as usize], best);
        assert!((stream.score(x.into()) - golden.nats[t]).abs() < 2e-5);
    });
}

#[test]
fn the_config_is_read_from_the_header() {
    let model = Loaded::open(&checkpoint(), Isa::PLAIN).unwrap();
    let config: &wavesynth_models::families::wavenet::Config = model.config.downcast().expect("a WaveNet");
    assert_eq!((config.kernel_size, config.gate_channels, config.receptive_field()), (3, 7, 23));
}

#[cfg(feature = "train")]
#[test]
fn the_graph_gives_the_independent_logits() {
    use wavesynth_models::ar::Graph;
    use wavesynth_models::candle_core::{Device, IndexOp, Tensor};
    use wavesynth_models::families::wavenet::graph::WaveNetGraph;

    let golden = golden();
    let file = Checkpoint::read(&checkpoint()).unwrap();
    let config = FamilyConfig::from_header(&file.header).unwrap();
    let config: &wavesynth_models::families::wavenet::Config = config.downcast().expect("a WaveNet");
    let graph = WaveNetGraph::new(config, &file.tensors, &Device::Cpu).unwrap();
    let mut inputs = vec![u32::from(config.start)];
    inputs.extend(golden.symbols[..golden.symbols.len() - 1].iter().map(|&s| u32::from(s)));
    let (t, n) = (inputs.len(), config.cond_len());
    let inputs = Tensor::from_vec(inputs, (1, t), &Device::Cpu).unwrap();
    let frames = Tensor::from_slice(&golden.frames, (1, golden.frames.len() / n, n), &Device::Cpu).unwrap();
    let rows = graph.forward(&inputs, Some(&frames)).unwrap().i(0).unwrap().to_vec2::<f32>().unwrap();
    for (got, want) in rows.iter().flatten().zip(&golden.logits) {
        assert!((got - want).abs() < 2e-5, "{got}, wanted {want}");
    }
}
