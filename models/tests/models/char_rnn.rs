//! Char-RNN: the readings of its equations must agree with one another and with PyTorch's (`golden/char_rnn.py`).
#![cfg_attr(not(feature = "train"), allow(dead_code, reason = "the graph's tests use the rest"))]

use crate::common::{Golden, golden_path};
use wavesynth_models::ar::{Model, Sampling, Uniforms};
use wavesynth_models::families::char_rnn::{Cell, CharRnn, Config};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::Value;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::{Checkpoint, Init, Layout, Tensors};

fn config(cell: Cell, hidden: usize, layers: usize, classes: usize) -> Config {
    Config { classes, start: (classes / 2) as u16, cell, hidden, layers, likelihood: None }
}

/// Cells × layers × sizes, odd ones among them.
fn grid() -> Vec<Config> {
    let mut all = Vec::new();
    for cell in [Cell::Lstm, Cell::Gru] {
        for layers in 1..=3 {
            all.extend([(1, 2), (7, 11), (16, 65), (33, 20)].map(|(h, c)| config(cell, h, layers, c)));
        }
        all.push(config(cell, 100, 2, 300));
    }
    all
}

/// Values that keep every unit in its sensitive range, biases among them, so that no mistake can hide.
fn random_tensors(config: &Config, seed: u64) -> Tensors {
    let mut table = config.table();
    for spec in &mut table {
        let fan_in = if spec.shape.len() == 2 { spec.shape[0].min(config.hidden) } else { 2 };
        spec.init = Init::fan_in(fan_in, 1.0);
    }
    let layout = Layout::new(table);
    layout.tensors(&layout.init(seed))
}

fn random_symbols(config: &Config, n: usize, seed: u64) -> Vec<u16> {
    let mut uniforms = Uniforms::new(seed);
    (0..n).map(|_| uniforms.below(config.classes as u64) as u16).collect()
}

/// The logits of every row, by the engine.
fn run_step(config: &Config, tensors: &Tensors, isa: Isa, symbols: &[u16]) -> Vec<Vec<f32>> {
    let model = CharRnn::new(config, tensors, isa).unwrap();
    let mut state = model.state();
    symbols.iter().map(|&x| model.step(&mut state, Value::Symbol(x)).to_vec()).collect()
}

fn largest_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    let flat = |x: &[Vec<f32>]| x.iter().flatten().copied().collect::<Vec<f32>>();
    let (a, b) = (flat(a), flat(b));
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
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

#[test]
fn a_clone_forks_and_a_reset_is_new() {
    for cell in [Cell::Lstm, Cell::Gru] {
        let config = config(cell, 20, 2, 30);
        let model = CharRnn::new(&config, &random_tensors(&config, 7), Isa::detect()).unwrap();
        let symbols = random_symbols(&config, 50, 4);
        let mut state = model.state();
        let run = |state: &mut _| -> Vec<Vec<f32>> {
            symbols.iter().map(|&x| model.step(state, Value::Symbol(x)).to_vec()).collect()
        };
        let fresh = run(&mut state);
        let mut fork = state.clone();
        let again = run(&mut state);
        assert_ne!(again, fresh, "the past is heard");
        assert_eq!(again, run(&mut fork), "both futures of one past");
        model.reset(&mut state);
        assert_eq!(run(&mut state), fresh, "a reset state is a new one");
    }
}

#[cfg(feature = "train")]
mod train {
    use super::*;
    use crate::common::relative;
    use wavesynth_models::ar::Graph;
    use wavesynth_models::candle_core::{Device, IndexOp, Tensor};
    use wavesynth_models::families::char_rnn::fused::Fused;
    use wavesynth_models::families::char_rnn::graph::{CharRnnGraph, GraphObjective};
    use wavesynth_models::objective::{Objective, Window};
    use wavesynth_models::weights::{Dtype, quantise};

    fn run_graph(config: &Config, tensors: &Tensors, symbols: &[u16]) -> Vec<Vec<f32>> {
        let graph = CharRnnGraph::new(config, tensors, &Device::Cpu).unwrap();
        let x: Vec<u32> = symbols.iter().map(|&s| u32::from(s)).collect();
        let x = Tensor::from_vec(x, (1, symbols.len()), &Device::Cpu).unwrap();
        graph.forward(&x, None).unwrap().i(0).unwrap().to_vec2().unwrap()
    }

    /// With i8 weights the step rounds what it multiplies, which the graph does not.
    #[test]
    fn step_equals_graph_under_every_instruction_set() {
        let dtypes = [(Dtype::F32, 1e-4), (Dtype::F16, 1e-4), (Dtype::I8, 0.05)];
        for (config, (dtype, bound)) in grid().into_iter().flat_map(|c| dtypes.map(|d| (c.clone(), d))) {
            let mut tensors = random_tensors(&config, 7);
            quantise(&mut tensors, &config.table(), dtype).unwrap();
            let symbols = random_symbols(&config, 40, 1);
            let want = run_graph(&config, &tensors, &symbols);
            for isa in Isa::available() {
                let worst = largest_difference(&run_step(&config, &tensors, isa, &symbols), &want);
                assert!(worst < bound, "{} {dtype} differs by {worst} for {config:?}", isa.name());
            }
        }
    }

    /// Mistakes planted in the tensors or symbols that only the step sees: the comparison must catch them, or it proves
    /// nothing.
    #[test]
    fn planted_mistakes_are_caught() {
        for cell in [Cell::Lstm, Cell::Gru] {
            let config = config(cell, 16, 2, 20);
            let (tensors, n) = (random_tensors(&config, 7), 16);
            let symbols = random_symbols(&config, 40, 1);
            let want = run_graph(&config, &tensors, &symbols);
            let caught = |what: &str, plant: &dyn Fn(&mut Tensors)| {
                let mut planted = tensors.clone();
                plant(&mut planted);
                let got = run_step(&config, &planted, Isa::detect(), &symbols);
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

    /// Rates of dropout that the fused layers are checked at.
    const RATES: [f64; 2] = [0.0, 0.4];

    /// Windows of several lengths, some with a warm-up, some without a key for dropout.
    fn windows(config: &Config, count: usize, seed: u64) -> Vec<Window> {
        (0..count)
            .map(|i| {
                let t = 9 + 7 * (i % 4);
                let symbols = random_symbols(config, 2 * t, seed + i as u64);
                let (inputs, targets) = (symbols[..t].to_vec(), symbols[t..].to_vec());
                let dropout = (i % 3 != 1).then_some(seed << 32 | i as u64);
                Window { inputs, targets, warmup: 3 * (i % 2), dropout, ..Default::default() }
            })
            .collect()
    }

    /// A carried state for each window but every third, which starts a stream.
    fn carries(config: &Config, count: usize, seed: u64) -> Vec<Vec<f32>> {
        let mut uniforms = Uniforms::new(seed);
        let mut state = || (0..config.state_len()).map(|_| uniforms.normal() * 0.5).collect();
        (0..count).map(|i| if i % 3 == 2 { Vec::new() } else { state() }).collect()
    }

    #[test]
    fn fused_loss_gradient_and_carry_equal_the_graphs() {
        for (config, rate) in grid().into_iter().flat_map(|c| RATES.map(|r| (c.clone(), r))) {
            let layout = Layout::new(config.table());
            let params = layout.flatten(&random_tensors(&config, 3));
            // More than one group, none of a whole number of register tiles.
            let count = 19;
            let batch = windows(&config, count, 5);
            let carried = carries(&config, count, 6);
            let graph = GraphObjective::new(config.clone(), Device::Cpu).with_dropout(rate);
            let (mut want, mut want_carry) = (vec![f32::NAN; layout.len()], carried.clone());
            let want_loss = graph.loss_carried(&params, &batch, &mut want_carry, Some(&mut want)).unwrap();
            for isa in Isa::available() {
                let fused = Fused::new(config.clone(), isa).with_dropout(rate);
                assert_eq!(fused.carry_len(), want_carry[0].len());
                for pass in 0..2 {
                    let what = format!("{} pass {pass}, dropout {rate}, of {config:?}", isa.name());
                    let (mut got, mut carry) = (vec![f32::NAN; layout.len()], carried.clone());
                    let loss = fused.loss_carried(&params, &batch, &mut carry, Some(&mut got)).unwrap();
                    assert!((loss - want_loss).abs() < 1e-5, "{what}: {loss}, graph {want_loss}");
                    for spec in layout.table() {
                        let at = layout.range(&spec.name);
                        let d = relative(&got[at.clone()], &want[at]);
                        assert!(d < 2e-4, "{what}, {}: differs by {d}", spec.name);
                    }
                    let worst = largest_difference(&carry, &want_carry);
                    assert!(worst < 1e-5, "{what}: the carry differs by {worst}");
                    let alone = fused.loss_carried(&params, &batch, &mut carried.clone(), None).unwrap();
                    assert_eq!(alone, loss, "the loss without a gradient is the same");
                }
            }
        }
    }

    /// Central differences of the fused loss along each tensor's own gradient, where the slope must be the gradient's
    /// norm: a wrong direction or a wrong length would both make it smaller.
    #[test]
    fn fused_gradient_equals_finite_differences() {
        for (cell, rate) in [Cell::Lstm, Cell::Gru].into_iter().flat_map(|c| RATES.map(|r| (c, r))) {
            let config = config(cell, 6, 2, 12);
            let layout = Layout::new(config.table());
            let params = layout.flatten(&random_tensors(&config, 3));
            let (batch, carried) = (windows(&config, 3, 9), carries(&config, 3, 2));
            let fused = Fused::new(config.clone(), Isa::PLAIN).with_dropout(rate);
            let mut grads = vec![0.0; layout.len()];
            fused.loss_carried(&params, &batch, &mut carried.clone(), Some(&mut grads)).unwrap();
            for spec in layout.table() {
                let at = layout.range(&spec.name);
                let norm = grads[at.clone()].iter().map(|g| g * g).sum::<f32>().sqrt();
                let h = 4e-3;
                let moved = |sign: f32| {
                    let mut p = params.clone();
                    for (p, g) in p[at.clone()].iter_mut().zip(&grads[at.clone()]) {
                        *p += sign * h * g / norm;
                    }
                    fused.loss_carried(&p, &batch, &mut carried.clone(), None).unwrap()
                };
                let slope = (moved(1.0) - moved(-1.0)) / (2.0 * f64::from(h));
                let norm = f64::from(norm);
                assert!(norm > 1e-3, "{}: a gradient of {norm} tests nothing", spec.name);
                assert!(
                    (slope - norm).abs() < 0.02 * norm + 2e-4,
                    "{cell:?} {}, dropout {rate}: {slope}, gradient says {norm}",
                    spec.name
                );
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
            let rows = run_step(&config, &tensors, Isa::detect(), &long[0].inputs);
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
    fn any_number_of_threads_gives_the_same_bits() {
        for cell in [Cell::Lstm, Cell::Gru] {
            let config = config(cell, 24, 2, 40);
            let layout = Layout::new(config.table());
            let params = layout.flatten(&random_tensors(&config, 3));
            let batch = windows(&config, 50, 5);
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let fused = Fused::new(config.clone(), Isa::detect()).with_dropout(0.3);
                let (mut grads, mut carry) = (vec![0.0; layout.len()], carries(&config, 50, 1));
                let loss = pool
                    .install(|| fused.loss_carried(&params, &batch, &mut carry, Some(&mut grads)).unwrap());
                (loss, grads, carry)
            };
            let one = run(1);
            assert_eq!(one, run(2));
            assert_eq!(one, run(5));
        }
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
