//! The readings of one equation must agree: graph, engine step under every instruction set, and the fused layers.

use super::{config, golden, golden_checkpoint, golden_config, random_symbols, random_tensors, run};
use wavesynth_models::ar::{Graph, Model};
use wavesynth_models::candle_core::{Device, IndexOp, Tensor};
use wavesynth_models::families::gpt::fused::Fused;
use wavesynth_models::families::gpt::graph::{GptGraph, GraphObjective};
use wavesynth_models::families::gpt::{Config, Gpt};
use wavesynth_models::kernels::Isa;
use wavesynth_models::objective::{Objective, Window};
use wavesynth_models::weights::{Checkpoint, Dtype, Layout, Tensors, quantise};

fn run_graph(config: &Config, tensors: &Tensors, symbols: &[u16]) -> Vec<Vec<f32>> {
    let graph = GptGraph::new(config, tensors, &Device::Cpu).unwrap();
    let x: Vec<u32> = symbols.iter().map(|&s| u32::from(s)).collect();
    let x = Tensor::from_vec(x, (1, symbols.len()), &Device::Cpu).unwrap();
    graph.forward(&x, None).unwrap().i(0).unwrap().to_vec2().unwrap()
}

/// The largest difference of any logit.
fn worst(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn grid() -> Vec<Config> {
    let mut all = Vec::new();
    for (classes, layers, heads, width, context) in
        [(9, 2, 1, 5, 7), (17, 1, 2, 14, 8), (33, 3, 3, 27, 19), (16, 2, 2, 32, 1), (65, 2, 2, 64, 70)]
    {
        for (bias, tied_head) in [(false, false), (false, true), (true, false), (true, true)] {
            all.push(Config { bias, tied_head, ..config(classes, layers, heads, width, context) });
        }
    }
    all
}

/// With i8 weights the step rounds what it multiplies, which the graph does not.
#[test]
fn step_equals_graph_under_every_instruction_set() {
    let dtypes = [(Dtype::F32, 1e-4), (Dtype::F16, 1e-4), (Dtype::I8, 0.6)];
    for (config, (dtype, bound)) in grid().into_iter().flat_map(|c| dtypes.map(|d| (c.clone(), d))) {
        let mut tensors = random_tensors(&config, 7);
        quantise(&mut tensors, &config.table(), dtype).unwrap();
        let symbols = random_symbols(&config, 3 * config.context + 3, 1);
        let want = run_graph(&config, &tensors, &symbols);
        for isa in Isa::available() {
            let model = Gpt::new(&config, &tensors, isa).unwrap();
            let d = worst(&run(&model, &mut model.state(), &symbols), &want);
            assert!(d < bound, "{} {dtype} differs by {d} for {config:?}", isa.name());
        }
    }
}

/// Planted mistakes, each in a copy of the config, the tensors or the symbols that only the step sees. What the
/// comparison must catch, or it proves nothing.
#[test]
fn planted_mistakes_are_caught() {
    let good = config(17, 3, 3, 27, 16);
    let tensors = random_tensors(&good, 7);
    let symbols = random_symbols(&good, 40, 1);
    let want = run_graph(&good, &tensors, &symbols);
    let caught = |what: &str, config: &Config, change: &dyn Fn(&mut Tensors)| {
        let mut changed = tensors.clone();
        change(&mut changed);
        let model = Gpt::new(config, &changed, Isa::detect()).unwrap();
        let d = worst(&run(&model, &mut model.state(), &symbols), &want);
        assert!(d > 1e-3, "{what}: differs by {d} only");
    };
    let scaled = |t: &mut Tensors, name: &str, by: f32| {
        t.get_mut(name).unwrap().data.iter_mut().for_each(|v| *v *= by);
    };
    let columns = |t: &mut Tensors, name: &str, each: &dyn Fn(&mut [f32])| {
        let t = t.get_mut(name).unwrap();
        let width = *t.shape.last().unwrap();
        t.data.chunks_exact_mut(width).for_each(each);
    };
    let qkv = ["layer.1.attention.qkv.weight", "layer.1.attention.qkv.bias"];
    caught("a dropped scale", &good, &|t| {
        for name in qkv {
            columns(t, name, &|row| row[..27].iter_mut().for_each(|v| *v *= 3.0));
        }
    });
    caught("keys and values swapped", &good, &|t| {
        for name in qkv {
            columns(t, name, &|row| row[27..].rotate_left(27));
        }
    });
    caught("heads in another order", &good, &|t| {
        for name in qkv {
            columns(t, name, &|row| row[54..].rotate_left(9));
        }
    });
    caught("positions off by one", &good, &|t| {
        t.get_mut("input.position").unwrap().data.rotate_left(27);
    });
    caught("a dropped bias", &good, &|t| scaled(t, "layer.2.mlp.up.bias", 0.0));
    caught("a norm's dropped bias", &good, &|t| scaled(t, "layer.0.mlp.norm.bias", 0.0));
    caught("the last norm without its gain", &good, &|t| {
        t.get_mut("output.norm.weight").unwrap().data.fill(1.0);
    });
    caught("a residual of another scale", &good, &|t| scaled(t, "layer.1.mlp.down.weight", 6f32.sqrt()));
    caught("a longer window", &Config { context: 17, ..good.clone() }, &|t| {
        let position = t.get_mut("input.position").unwrap();
        position.shape[0] = 17;
        position.data.extend_from_within(15 * 27..);
    });
    caught("a residual stream of another scale", &good, &|t| {
        scaled(t, "input.embed", 3.0);
        scaled(t, "input.position", 3.0);
    });
}

/// Changing x_t must leave every distribution before it as it was.
#[test]
fn nothing_depends_on_the_future() {
    let config = config(17, 2, 2, 14, 16);
    let tensors = random_tensors(&config, 7);
    let symbols = random_symbols(&config, 40, 1);
    let before = run_graph(&config, &tensors, &symbols);
    for at in [0, 1, 15, 16, 23, 24, 39] {
        let mut changed = symbols.clone();
        changed[at] = (changed[at] + 1) % config.classes as u16;
        let after = run_graph(&config, &tensors, &changed);
        assert_eq!(before[..at], after[..at], "the symbol at {at} reaches into its past");
        assert_ne!(before[at], after[at], "the symbol at {at} does nothing");
    }
}

#[test]
fn the_graph_gives_pytorchs_logits() {
    let (symbols, logits, _) = golden();
    let file = Checkpoint::read(&golden_checkpoint()).unwrap();
    let config = golden_config(&file);
    let mut inputs = vec![config.start];
    inputs.extend(&symbols[..symbols.len() - 1]);
    for (got, want) in run_graph(&config, &file.tensors, &inputs).iter().flatten().zip(&logits) {
        assert!((got - want).abs() < 2e-5, "{got}, wanted {want}");
    }
}

/// Windows shorter and longer than the context, with and without a warm-up.
/// Rates of dropout that the fused layers are checked at.
const RATES: [f64; 2] = [0.0, 0.4];

/// Windows of several lengths and warm-ups, some without a key for dropout.
fn windows(config: &Config, count: usize, seed: u64) -> Vec<Window> {
    (0..count)
        .map(|i| {
            let t = 1 + (config.context + 5) * i / 2 + config.context / 2;
            let symbols = random_symbols(config, 2 * t, seed + i as u64);
            Window {
                inputs: symbols[..t].to_vec(),
                targets: symbols[t..].to_vec(),
                warmup: [0, t / 3, t - 1][i % 3],
                dropout: (i % 3 != 1).then_some(seed << 32 | i as u64),
                ..Default::default()
            }
        })
        .collect()
}

fn relative(a: &[f32], b: &[f32]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|v| v * v).sum::<f64>().sqrt();
    let d = norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    d / (norm(&mut b.iter().map(|&v| f64::from(v))) + 1e-12)
}

#[test]
fn fused_loss_and_gradient_equal_the_graphs() {
    for (config, rate) in grid().into_iter().flat_map(|c| RATES.map(|r| (c.clone(), r))) {
        let layout = Layout::new(config.table());
        let params = layout.flatten(&random_tensors(&config, 3));
        let batch = windows(&config, 5, 5);
        let graph = GraphObjective::new(config.clone(), Device::Cpu).with_dropout(rate);
        let mut want = vec![f32::NAN; layout.len()];
        let want_loss = graph.loss(&params, &batch, Some(&mut want)).unwrap();
        for isa in Isa::available() {
            let fused = Fused::new(config.clone(), isa).with_dropout(rate);
            for pass in 0..2 {
                let mut got = vec![f32::NAN; layout.len()];
                let loss = fused.loss(&params, &batch, Some(&mut got)).unwrap();
                let d = (loss - want_loss).abs();
                assert!(d < 1e-5, "{} pass {pass}: {loss}, graph {want_loss}", isa.name());
                for spec in layout.table() {
                    let at = layout.range(&spec.name);
                    let d = relative(&got[at.clone()], &want[at]);
                    assert!(
                        d < 3e-4,
                        "{} {}: differs by {d} at dropout {rate} for {config:?}",
                        isa.name(),
                        spec.name
                    );
                }
                let alone = fused.loss(&params, &batch, None).unwrap();
                assert_eq!(alone, loss, "the loss without a gradient is the same");
            }
        }
    }
}

/// Central differences of the fused loss along each tensor's own gradient, where the slope must be the gradient's norm:
/// a wrong direction or a wrong length would both make it smaller.
#[test]
fn fused_gradient_equals_finite_differences() {
    for (bias, tied_head, rate) in [(false, true, 0.0), (true, false, 0.0), (true, true, 0.4)] {
        let config = Config { bias, tied_head, ..config(12, 2, 2, 10, 9) };
        let layout = Layout::new(config.table());
        let params = layout.flatten(&random_tensors(&config, 3));
        let batch = windows(&config, 3, 9);
        let fused = Fused::new(config.clone(), Isa::PLAIN).with_dropout(rate);
        let mut grads = vec![0.0; layout.len()];
        fused.loss(&params, &batch, Some(&mut grads)).unwrap();
        for spec in layout.table() {
            let at = layout.range(&spec.name);
            let norm = grads[at.clone()].iter().map(|g| g * g).sum::<f32>().sqrt();
            let h = 4e-3;
            let moved = |sign: f32| {
                let mut p = params.clone();
                for (p, g) in p[at.clone()].iter_mut().zip(&grads[at.clone()]) {
                    *p += sign * h * g / norm;
                }
                fused.loss(&p, &batch, None).unwrap()
            };
            let slope = (moved(1.0) - moved(-1.0)) / (2.0 * f64::from(h));
            let norm = f64::from(norm);
            assert!(norm > 1e-3, "{}: a gradient of {norm} tests nothing", spec.name);
            assert!(
                (slope - norm).abs() < 0.02 * norm + 2e-4,
                "{}: {slope}, gradient says {norm}",
                spec.name
            );
        }
    }
}

/// Also when the batch takes more than one round.
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let config = config(17, 2, 2, 16, 32);
    let layout = Layout::new(config.table());
    let params = layout.flatten(&random_tensors(&config, 3));
    let batch = windows(&config, 21, 5);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let fused = Fused::new(config.clone(), Isa::detect()).with_dropout(0.3);
        let mut grads = vec![0.0; layout.len()];
        let loss = pool.install(|| fused.loss(&params, &batch, Some(&mut grads)).unwrap());
        (loss, grads)
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
}

#[test]
fn a_batch_that_does_not_fit_is_refused() {
    let config = config(17, 1, 1, 4, 8);
    let fused = Fused::new(config.clone(), Isa::PLAIN);
    let params = vec![0.1; fused.layout().len()];
    let refused = |change: &dyn Fn(&mut Window)| {
        let mut batch = windows(&config, 2, 1);
        change(&mut batch[1]);
        fused.loss(&params, &batch, None).unwrap_err().to_string()
    };
    assert!(refused(&|w| w.inputs[0] = 17).contains("window 1: symbol 17"));
    assert!(refused(&|w| w.warmup = w.inputs.len()).contains("warm-up"));
    assert!(refused(&|w| w.speaker = Some(0)).contains("takes none"));
    assert!(fused.loss(&params, &[], None).is_err());
}
