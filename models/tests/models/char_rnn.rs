//! Char-RNN: the readings of its equations must agree with one another and with PyTorch's (`golden/char_rnn.py`).
#![cfg_attr(not(feature = "train"), allow(dead_code, reason = "the graph's tests use the rest"))]

use crate::common::{Golden, golden_path};
use crate::suite::{self, Subject};
use wavesynth_models::ar::Sampling;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::condition::{Condition, FrameWindow, TrackSource};
use wavesynth_models::families::char_rnn::{Cell, ConditionConfig, Config};
#[cfg(feature = "train")]
use wavesynth_models::family::Family;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::order::Order;
use wavesynth_models::weights::{Checkpoint, Init, TensorSpec};

fn config(cell: Cell, hidden: usize, layers: usize, classes: usize) -> Config {
    Config {
        classes,
        start: (classes / 2) as u16,
        cell,
        hidden,
        layers,
        likelihood: None,
        order: Order::Time,
        condition: None,
    }
}

/// The same, given `features` numbers a step.
fn given(features: usize, config: Config) -> Config {
    Config { condition: Some(ConditionConfig { features }), ..config }
}

/// Numbers of which every other is 0, as one-hot parts are, but for the first row.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut uniforms = Uniforms::new(seed);
    let mut draw = |i: usize| {
        let x = uniforms.normal();
        if i.is_multiple_of(2) { x } else { 0.0 }
    };
    (0..count).map(&mut draw).collect()
}

suite::readings!(Config);

impl Subject for Config {
    fn few() -> Vec<Self> {
        let plain = [Cell::Lstm, Cell::Gru].map(|cell| config(cell, 20, 2, 30));
        plain.clone().into_iter().chain(plain.map(|c| given(9, c))).collect()
    }

    fn frames(&self, t: usize, seed: u64) -> Vec<f32> {
        numbers(self.features() * t, seed)
    }

    fn typed<'a>(&self, frame: &'a [f32]) -> Condition<'a> {
        let frames = Some(FrameWindow { rows: frame, source: TrackSource::Own });
        Condition { frames, ..Condition::default() }
    }

    fn init(&self, spec: &TensorSpec) -> Init {
        Init::fan_in(if spec.shape.len() == 2 { spec.shape[0].min(self.hidden) } else { 2 }, 1.0)
    }
}

#[test]
fn the_engine_gives_pytorchs_logits_and_likelihood() {
    for name in ["char_rnn_lstm", "char_rnn_gru"] {
        let golden = Golden::open(name);
        let (symbols, logits, nats) = (golden.symbols(), golden.read("logits"), golden.read("nats"));
        for isa in Isa::available() {
            let model = Loaded::open(&golden_path(name), isa).unwrap();
            let classes = logits.len() / symbols.len();
            let mut got = vec![0.0; classes];
            let mut rows = model.generator(Sampling::default());
            let mut scores = model.generator(Sampling::default());
            for (t, &x) in symbols.iter().enumerate() {
                rows.parameters(x.into(), &mut got);
                for (g, w) in got.iter().zip(&logits[t * classes..]) {
                    assert!((g - w).abs() < 1e-5, "{name} {} row {t}: {g}, wanted {w}", isa.name());
                }
                let score = scores.score(x.into());
                assert!((score - nats[t]).abs() < 1e-5, "{name} {} row {t}: {score} nats", isa.name());
            }
        }
    }
}

#[test]
fn a_condition_is_pytorchs_further_input() {
    let golden = Golden::open("char_rnn_given");
    let (symbols, given, nats) = (golden.symbols(), golden.read("given"), golden.read("nats"));
    for isa in Isa::available() {
        let model = Loaded::open(&golden_path("char_rnn_given"), isa).unwrap();
        let spec = model.config.facts().condition.clone().unwrap().frames.unwrap();
        assert_eq!(given.len(), symbols.len() * spec.features);
        let mut stream = model.generator(Sampling::default());
        for (t, (&x, rows)) in symbols.iter().zip(given.chunks_exact(spec.features)).enumerate() {
            let frames = Some(FrameWindow { rows, source: TrackSource::Own });
            stream.condition(&Condition { frames, ..Condition::default() });
            let score = stream.score(x.into());
            assert!((score - nats[t]).abs() < 1e-5, "{} row {t}: {score} nats", isa.name());
        }
    }
}

#[test]
fn a_checkpoint_comes_back_as_it_was() {
    let file = Checkpoint::read(&golden_path("char_rnn_gru")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    file.write(&path).unwrap();
    assert_eq!(Checkpoint::read(&path).unwrap(), file);
    let model = Loaded::open(&path, Isa::PLAIN).unwrap();
    assert_eq!(model.config, FamilyConfig::from(Config { start: 5, ..config(Cell::Gru, 7, 3, 13) }));
    assert!(model.config.downcast::<wavesynth_models::families::wavenet::Config>().is_none());
    let mut damaged = file.clone();
    damaged.header.config["cell"] = "elman".into();
    damaged.write(&path).unwrap();
    let message = Loaded::open(&path, Isa::PLAIN).err().expect("refused").to_string();
    assert!(message.contains("unknown variant `elman`, expected `lstm` or `gru`"), "{message}");
    let mut damaged = file;
    damaged.tensors.remove("layer.1.candidate.bias");
    damaged.write(&path).unwrap();
    let message = Loaded::open(&path, Isa::PLAIN).err().expect("refused").to_string();
    assert!(message.contains("tensor layer.1.candidate.bias is missing, wanted [7]"), "{message}");
}

#[cfg(feature = "train")]
mod train {
    use super::*;
    use crate::common::relative;
    use crate::suite::{
        Learner, largest_difference, pack, random_symbols, random_tensors, run, run_graph, windows,
    };
    use wavesynth_models::ar::{Graph, Model};
    use wavesynth_models::candle_core::Device;
    use wavesynth_models::families::char_rnn::fused::Fused;
    use wavesynth_models::families::char_rnn::graph::{CharRnnGraph, GraphObjective};
    use wavesynth_models::objective::{Objective, Window};
    use wavesynth_models::weights::Tensors;

    impl Learner for Config {
        const DROPOUT: &[f64] = &[0.0, 0.4];
        const I8_BOUND: f32 = 0.05;
        /// More than one group, none of a whole number of register tiles.
        const BATCH: usize = 19;

        /// Cells × layers × sizes.
        fn grid() -> Vec<Self> {
            let mut all = Vec::new();
            for cell in [Cell::Lstm, Cell::Gru] {
                for layers in 1..=3 {
                    all.extend(
                        [(1, 2), (7, 11), (16, 65), (33, 20)].map(|(h, c)| config(cell, h, layers, c)),
                    );
                }
                all.push(config(cell, 100, 2, 300));
                all.extend([(1, 7, 1), (10, 16, 2)].map(|(f, h, l)| given(f, config(cell, h, l, 11))));
            }
            all
        }

        fn small() -> Vec<Self> {
            [Cell::Lstm, Cell::Gru].map(|cell| given(3, config(cell, 6, 2, 12))).into()
        }

        fn many() -> Vec<(Self, usize)> {
            [Cell::Lstm, Cell::Gru].map(|cell| (given(6, config(cell, 24, 2, 40)), 50)).into()
        }

        fn rows(&self) -> usize {
            40
        }

        fn window(&self, i: usize) -> (usize, usize) {
            (9 + 7 * (i % 4), 3 * (i % 2))
        }

        fn condition(&self, i: usize, window: &mut Window, _: &mut Uniforms) {
            let Some(spec) = self.facts().condition.and_then(|c| c.frames) else { return };
            let all = numbers(window.rows() * spec.features, i as u64);
            for t in 0..window.rows() {
                window.frames.push(&spec, Some(all[..].into()), t);
            }
        }

        fn graph(&self, tensors: &Tensors) -> Box<dyn Graph> {
            Box::new(CharRnnGraph::new(self, tensors, &Device::Cpu).unwrap())
        }
    }

    /// The logits of every row, by the engine.
    fn run_step(config: &Config, tensors: &Tensors, symbols: &[u16]) -> Vec<Vec<f32>> {
        let model = pack(config, tensors, Isa::detect());
        run(&model, &mut model.state(), symbols)
    }

    /// Mistakes planted in the tensors or symbols that only the step sees: the comparison must catch them, or it proves
    /// nothing.
    #[test]
    fn planted_mistakes_are_caught() {
        for cell in [Cell::Lstm, Cell::Gru] {
            let config = config(cell, 16, 2, 20);
            let (tensors, n) = (random_tensors(&config, 7), 16);
            let symbols = random_symbols(&config, 40, 1);
            let want = run_graph(&config, &tensors, &symbols, &[]);
            let caught = |what: &str, plant: &dyn Fn(&mut Tensors)| {
                let mut planted = tensors.clone();
                plant(&mut planted);
                let got = run_step(&config, &planted, &symbols);
                let worst = largest_difference(&got, &want);
                assert!(worst > 1e-3, "{cell:?}, {what}: differs by {worst} only");
            };
            let swap = |t: &mut Tensors, a: usize, b: usize| {
                for name in ["layer.1.input.weight", "layer.1.recurrent.weight", "layer.1.bias"] {
                    let gates = cell.gates() * n;
                    for row in t.get_mut(name).unwrap().data.chunks_exact_mut(gates) {
                        (0..n).for_each(|i| row.swap(a * n + i, b * n + i));
                    }
                }
            };
            for (a, b) in (1..cell.gates()).flat_map(|b| (0..b).map(move |a| (a, b))) {
                caught(&format!("gates {a} and {b} swapped"), &|t| swap(t, a, b));
            }
            let biases = ["layer.0.bias", "layer.1.bias", "layer.1.candidate.bias", "head.bias"];
            for name in biases.iter().filter(|n| tensors.contains_key(**n)) {
                caught(&format!("{name} dropped"), &|t| t.get_mut(*name).unwrap().data.fill(0.0));
            }
            caught("input and recurrent weights exchanged", &|t| {
                let w = t["layer.1.input.weight"].clone();
                let u = t.insert("layer.1.recurrent.weight".into(), w).unwrap();
                t.insert("layer.1.input.weight".into(), u);
            });
            if cell == Cell::Gru {
                caught("the candidate's bias outside of r · n'", &|t| {
                    let a = std::mem::take(&mut t.get_mut("layer.0.candidate.bias").unwrap().data);
                    t.get_mut("layer.0.candidate.bias").unwrap().data = vec![0.0; n];
                    let bias = &mut t.get_mut("layer.0.bias").unwrap().data;
                    bias[2 * n..].iter_mut().zip(a).for_each(|(b, a)| *b += a);
                });
            }
        }
    }

    #[test]
    fn pytorchs_gradient_is_the_fused_one_and_the_graphs() {
        for name in ["char_rnn_lstm", "char_rnn_gru"] {
            let golden = Golden::open(name);
            let file = Checkpoint::read(&golden_path(name)).unwrap();
            let config = FamilyConfig::from_header(&file.header).unwrap();
            let config: &Config = config.downcast().expect("a Char-RNN");
            let targets = golden.symbols();
            let mut inputs = vec![config.start];
            inputs.extend(&targets[..targets.len() - 1]);
            let batch = [Window { inputs, targets, ..Default::default() }];
            let nats = golden.read("nats");
            let mean = nats.iter().map(|&n| f64::from(n)).sum::<f64>() / nats.len() as f64;
            let fused = Isa::available().into_iter().map(|isa| {
                let objective: Box<dyn Objective> = Box::new(Fused::new(config.clone(), isa));
                (isa.name(), objective)
            });
            let graph: Box<dyn Objective> = Box::new(GraphObjective::new(config.clone(), Device::Cpu));
            for (reading, objective) in fused.chain([("graph", graph)]) {
                let layout = objective.layout();
                let mut grads = vec![f32::NAN; layout.len()];
                let loss = objective.loss(&layout.flatten(&file.tensors), &batch, Some(&mut grads)).unwrap();
                assert!((loss - mean).abs() < 1e-6, "{name} {reading}: {loss}, wanted {mean}");
                for spec in layout.table() {
                    let want = golden.read(&format!("gradient.{}", spec.name));
                    let d = relative(&grads[layout.range(&spec.name)], &want);
                    assert!(d < 1e-5, "{name} {reading} {}: differs by {d}", spec.name);
                }
            }
        }
    }

    /// Two windows with the state carried between them are one window of twice the length, and the state is the
    /// engine's.
    #[test]
    fn a_carried_state_continues_its_stream() {
        for cell in [Cell::Lstm, Cell::Gru] {
            let config = config(cell, 21, 2, 15);
            let (tensors, t) = (random_tensors(&config, 3), 12);
            let fused = Fused::new(config.clone(), Isa::detect());
            let params = fused.layout().flatten(&tensors);
            let long = windows(&config, 20, 1).into_iter().map(|_| {
                let symbols = random_symbols(&config, 4 * t, 8);
                Window {
                    inputs: symbols[..2 * t].to_vec(),
                    targets: symbols[2 * t..].to_vec(),
                    ..Default::default()
                }
            });
            let long: Vec<_> = long.collect();
            let half = |r: std::ops::Range<usize>| -> Vec<Window> {
                let cut = |w: &Window| Window {
                    inputs: w.inputs[r.clone()].to_vec(),
                    targets: w.targets[r.clone()].to_vec(),
                    ..Default::default()
                };
                long.iter().map(cut).collect()
            };
            let mut whole = vec![Vec::new(); long.len()];
            let want = fused.loss_carried(&params, &long, &mut whole, None).unwrap();
            let mut carry = vec![Vec::new(); long.len()];
            let first = fused.loss_carried(&params, &half(0..t), &mut carry, None).unwrap();
            let second = fused.loss_carried(&params, &half(t..2 * t), &mut carry, None).unwrap();
            assert!(((first + second) / 2.0 - want).abs() < 1e-9, "{first} and {second}, whole {want}");
            assert_eq!(carry, whole, "the state is the same");
            let alone = fused.loss(&params, &half(t..2 * t), None).unwrap();
            assert!((alone - second).abs() > 1e-4, "the carried state is heard");

            // The engine, teacher-forced: −ln p of each target behind its inputs.
            let rows = run_step(&config, &tensors, &long[0].inputs);
            let nats = |row: &Vec<f32>, &x: &u16| {
                let sum: f64 = row.iter().map(|&l| f64::from(l).exp()).sum();
                sum.ln() - f64::from(row[x as usize])
            };
            let engine: f64 = rows[t..].iter().zip(&long[0].targets[t..]).map(|(r, x)| nats(r, x)).sum();
            let mut state = vec![carry_after(&fused, &params, &half(0..t)[..1])];
            let second = fused.loss_carried(&params, &half(t..2 * t)[..1], &mut state, None).unwrap();
            assert!((engine / t as f64 - second).abs() < 1e-5, "engine {engine}, carried {second}");
        }
    }

    fn carry_after(fused: &Fused, params: &[f32], batch: &[Window]) -> Vec<f32> {
        let mut carry = vec![Vec::new()];
        fused.loss_carried(params, batch, &mut carry, None).unwrap();
        carry.remove(0)
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let config = config(Cell::Lstm, 4, 1, 6);
        let fused = Fused::new(config.clone(), Isa::PLAIN);
        let params = vec![0.0; fused.layout().len()];
        let batch = windows(&config, 2, 1);
        let refused = |batch: &[Window], carry: &mut [Vec<f32>]| {
            fused.loss_carried(&params, batch, carry, None).unwrap_err().to_string()
        };
        let mut short = vec![Vec::new(), vec![0.5; 7]];
        assert_eq!(refused(&batch, &mut short), "batch: window 1: 7 values carried, the model has 8");
        assert_eq!(short[1], vec![0.5; 7], "the carry is as it was");
        assert_eq!(refused(&batch, &mut [Vec::new()]), "batch: 1 carried states for 2 windows");
        assert_eq!(refused(&[], &mut []), "batch: no windows");
        let mut wide = batch.clone();
        wide[0].targets[2] = 6;
        let none = &mut [Vec::new(), Vec::new()];
        assert_eq!(refused(&wide, none), "batch: window 0: symbol 6, the model has 6 classes");
    }
}
