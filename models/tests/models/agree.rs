//! The readings of one equation must agree: the teacher-forced graph, the engine step under every instruction set, and
//! the fused layers with their own backward.

use crate::common::{
    bunched, config, random_frames, random_symbols, random_table, random_tensors, relative, typed,
};
use wavesynth_models::ar::{Graph, Model, Uniforms};
use wavesynth_models::candle_core::{Device, IndexOp, Tensor};
use wavesynth_models::condition::Condition;
use wavesynth_models::families::wavenet::fused::Fused;
use wavesynth_models::families::wavenet::graph::{GraphObjective, WaveNetGraph};
use wavesynth_models::families::wavenet::{Config, WaveNet, names};
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::Value;
use wavesynth_models::objective::{Objective, Window};
use wavesynth_models::weights::{Dtype, Layout, Tensors, quantise};

/// Every parameter of every p over T = 2 · receptive field + 3 rows: the largest difference of step and graph.
pub fn step_against_graph(graph: &Config, step: &Config, tensors: &Tensors, isa: Isa) -> f32 {
    let t = 2 * graph.receptive_field() + 3;
    let symbols = random_symbols(graph, t, 1);
    let frames = random_frames(graph, t, 2);
    let n = graph.cond_len();
    let (logits, _) = run_graph(graph, tensors, &symbols, &frames);
    let model = WaveNet::new(step, tensors, isa).unwrap();
    let mut state = model.state();
    let mut worst = 0f32;
    for (i, &x) in symbols.iter().enumerate() {
        if n > 0 && i % graph.hop() == 0 {
            let frame = &frames[i / graph.hop() * n..][..n];
            model.condition(&mut state, &typed(graph, frame));
        }
        for (a, b) in model.step(&mut state, Value::Symbol(x)).iter().zip(&logits[i]) {
            worst = worst.max((a - b).abs());
        }
    }
    worst
}

pub fn run_graph(
    config: &Config,
    tensors: &Tensors,
    symbols: &[u16],
    frames: &[f32],
) -> (Vec<Vec<f32>>, usize) {
    let dev = Device::Cpu;
    let graph = WaveNetGraph::new(config, tensors, &dev).unwrap();
    let x: Vec<u32> = symbols.iter().map(|&s| u32::from(s)).collect();
    let x = Tensor::from_vec(x, (1, symbols.len()), &dev).unwrap();
    let n = config.cond_len();
    let cond = (n > 0).then(|| Tensor::from_slice(frames, (1, frames.len() / n, n), &dev).unwrap());
    let out = graph.forward(&x, cond.as_ref()).unwrap().i(0).unwrap().to_vec2::<f32>().unwrap();
    (out, symbols.len())
}

fn grid() -> Vec<Config> {
    let mut all = Vec::new();
    for kernel in [1, 2, 3] {
        for cond in 0..5 {
            all.push(config(5, 7, 3, 9, 11, kernel, &[1, 2, 4, 1, 3], cond));
            all.push(config(16, 16, 24, 32, 32, kernel, &[1, 2, 4, 8], cond));
        }
    }
    all.push(config(32, 32, 64, 40, 256, 2, &[1, 2, 4, 8, 16, 1, 2], 1));
    all.push(config(48, 40, 33, 17, 256, 2, &[16, 1, 5], 2));
    // Past taps in batches of 4 and 8, at dilations that no batch divides.
    all.push(config(9, 6, 8, 10, 16, 3, &[9, 4, 17, 7], 1));
    for bunch in [2, 3, 4] {
        for cond in 0..5 {
            all.push(bunched(config(5, 7, 3, 9, 11, 2, &[1, 2, 4, 1, 3], cond), bunch));
        }
        all.push(bunched(config(16, 16, 24, 32, 32, 3, &[1, 9, 2], 1), bunch));
        all.push(bunched(config(32, 32, 40, 48, 256, 1, &[1, 1], 0), bunch));
    }
    all
}

/// f32 and f16 weights multiply in f32, so the step is the graph of the same values. With i8 weights the step rounds
/// what it multiplies to 8 bits as well, which the graph does not: its bound holds for these small random networks,
/// whose logits are a few units wide, and catches a wrong scale or a dropped product.
#[test]
fn step_equals_graph_under_every_instruction_set() {
    for config in grid() {
        for (dtype, bound) in [(Dtype::F32, 1e-4), (Dtype::F16, 1e-4), (Dtype::I8, 0.2)] {
            let mut tensors = random_tensors(&config, 7);
            quantise(&mut tensors, &config.table(), dtype).unwrap();
            for isa in Isa::available() {
                let worst = step_against_graph(&config, &config, &tensors, isa);
                assert!(worst < bound, "{} {dtype} differs by {worst} for {config:?}", isa.name());
            }
        }
    }
}

/// A file may hold some layers' weights as i8 and others not: the layers then pass floats to each other, and each product
/// rounds what it is given.
#[test]
fn some_weights_as_codes_are_near_the_graph() {
    let config = config(16, 16, 24, 32, 32, 3, &[1, 2, 4, 8], 1);
    for kept in ["layer.2.gate.weight", "layer.0.residual.weight"] {
        let float = random_tensors(&config, 7);
        let mut tensors = float.clone();
        quantise(&mut tensors, &config.table(), Dtype::I8).unwrap();
        tensors.insert(kept.into(), float[kept].clone());
        for isa in Isa::available() {
            let worst = step_against_graph(&config, &config, &tensors, isa);
            assert!(worst < 0.2, "{} differs by {worst} with {kept} in f32", isa.name());
        }
    }
}

/// The integers are the same, so nothing of a stream depends on how a machine sums them.
#[test]
fn dot_products_of_bytes_change_no_bit() {
    // Odd channels, and a batch of past taps as codes.
    let config = config(13, 16, 24, 32, 32, 3, &[1, 2, 4, 8], 1);
    let mut tensors = random_tensors(&config, 7);
    quantise(&mut tensors, &config.table(), Dtype::I8).unwrap();
    let frame = random_frames(&config, 1, 2);
    for isa in Isa::available() {
        let run = |isa| {
            let model = WaveNet::new(&config, &tensors, isa).unwrap();
            let mut state = model.state();
            model.condition(&mut state, &typed(&config, &frame));
            let symbols = random_symbols(&config, 200, 1);
            symbols.iter().map(|&x| model.step(&mut state, Value::Symbol(x)).to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(run(isa), run(isa.without_dot()), "{}", isa.name());
    }
}

/// Planted mistakes, each in a copy of the config or the tensors that only the step sees. What the comparison must
/// catch, or it proves nothing.
#[test]
fn planted_mistakes_are_caught() {
    let good = config(16, 16, 24, 32, 32, 2, &[1, 2, 4, 8], 1);
    let tensors = random_tensors(&good, 7);
    let isa = Isa::detect();
    let caught = |what: &str, graph: &Config, step: &Config, for_graph: &Tensors, for_step: &Tensors| {
        let t = 2 * graph.receptive_field() + 3;
        let symbols = random_symbols(graph, t, 1);
        let frames = random_frames(graph, t, 2);
        let (want, _) = run_graph(graph, for_graph, &symbols, &frames);
        let model = WaveNet::new(step, for_step, isa).unwrap();
        let mut state = model.state();
        let mut worst = 0f32;
        for (i, &x) in symbols.iter().enumerate() {
            if i % graph.hop() == 0 && what != "ignored conditioning" {
                let frame = &frames[i / graph.hop() * graph.cond_len()..][..graph.cond_len()];
                model.condition(&mut state, &typed(graph, frame));
            }
            for (a, b) in model.step(&mut state, Value::Symbol(x)).iter().zip(&want[i]) {
                worst = worst.max((a - b).abs());
            }
        }
        assert!(worst > 1e-3, "{what}: differs by {worst} only");
    };
    let mut dilated = good.clone();
    dilated.dilations[3] += 1;
    caught("dilation + 1", &good, &dilated, &tensors, &tensors);
    let mut no_bias = tensors.clone();
    no_bias.get_mut("layer.2.gate.bias").unwrap().data.fill(0.0);
    caught("a dropped bias", &good, &good, &tensors, &no_bias);
    caught("ignored conditioning", &good, &good, &tensors, &tensors);
    // Push before read: the tap of a queue written first is one sample nearer.
    let mut pushed = good.clone();
    pushed.dilations[2] -= 1;
    caught("push before read", &good, &pushed, &tensors, &tensors);
    let mut swapped = tensors.clone();
    for row in swapped.get_mut("layer.1.gate.weight").unwrap().data.chunks_exact_mut(32) {
        let (a, b) = row.split_at_mut(16);
        a.swap_with_slice(b);
    }
    caught("swapped gate halves", &good, &good, &tensors, &swapped);
}

pub fn windows(config: &Config, count: usize, seed: u64) -> Vec<Window> {
    let mut uniforms = Uniforms::new(seed);
    (0..count)
        .map(|i| {
            let t = config.receptive_field() + 30 + 17 * i;
            let symbols = random_symbols(config, 2 * t, seed + i as u64);
            let c = config.condition.as_ref();
            let count = c.map_or(0, |c| t.div_ceil(c.hop));
            let frames = random_table(config, count, &mut uniforms);
            Window {
                inputs: symbols[..t].to_vec(),
                targets: symbols[t..].to_vec(),
                warmup: if i == 0 { 0 } else { config.receptive_field() - 1 },
                frames,
                speaker: c.filter(|c| c.speaker_dim > 0).map(|c| i % c.speakers),
                ..Window::default()
            }
        })
        .collect()
}

#[test]
fn fused_loss_and_gradient_equal_the_graphs() {
    for config in grid() {
        let layout = Layout::new(config.table());
        let params = layout.flatten(&random_tensors(&config, 3));
        let batch = windows(&config, 3, 5);
        let graph = GraphObjective::new(config.clone(), Device::Cpu);
        let mut want = vec![f32::NAN; layout.len()];
        let want_loss = graph.loss(&params, &batch, Some(&mut want)).unwrap();
        for isa in Isa::available() {
            let fused = Fused::new(config.clone(), isa);
            for pass in 0..2 {
                let mut got = vec![f32::NAN; layout.len()];
                let loss = fused.loss(&params, &batch, Some(&mut got)).unwrap();
                assert!(
                    (loss - want_loss).abs() < 1e-5,
                    "{} pass {pass}: {loss}, graph {want_loss}",
                    isa.name()
                );
                for spec in layout.table() {
                    let at = layout.range(&spec.name);
                    let d = relative(&got[at.clone()], &want[at]);
                    assert!(d < 2e-4, "{} {}: differs by {d} for {config:?}", isa.name(), spec.name);
                }
                let alone = fused.loss(&params, &batch, None).unwrap();
                assert_eq!(alone, loss, "the loss without a gradient is the same");
            }
        }
    }
}

/// What is left out where only the frame's part learns changes nothing of what is asked for.
#[test]
fn gradients_of_a_part_are_those_of_the_whole() {
    let config = bunched(config(16, 16, 24, 32, 32, 2, &[1, 2, 4], 4), 2);
    let layout = Layout::new(config.table());
    let params = layout.flatten(&random_tensors(&config, 3));
    let batch = windows(&config, 3, 5);
    let gradient = |fused: &Fused| {
        let mut grads = vec![f32::NAN; layout.len()];
        (fused.loss(&params, &batch, Some(&mut grads)).unwrap(), grads)
    };
    let fused = |learns: fn(&str) -> bool| Fused::new(config.clone(), Isa::detect()).learning(learns);
    let (loss, whole) = gradient(&Fused::new(config.clone(), Isa::detect()));
    let (same, frames) = gradient(&fused(|name| name.starts_with("cond.")));
    assert_eq!(loss, same);
    for spec in layout.table() {
        let at = layout.range(&spec.name);
        if spec.name == names::SPEAKERS || names::is_of_frames(&spec.name) {
            assert_eq!(frames[at.clone()], whole[at], "{}", spec.name);
        } else if spec.name == names::gate(1) {
            assert!(frames[at].iter().all(|g| *g == 0.0), "work that nobody asked for");
        }
    }
    for learns in [|name: &str| name == names::OUT, |name: &str| name == "layer.1.cond.weight"] {
        assert_eq!(gradient(&fused(learns)).1, whole);
    }
}

/// Central differences of the fused loss along each tensor's own gradient, where the slope must be the gradient's norm:
/// a wrong direction or a wrong length would both make it smaller.
#[test]
fn fused_gradient_equals_finite_differences() {
    for (cond, bunch) in [(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (0, 2), (1, 3), (2, 3), (3, 2), (4, 3)] {
        let config = bunched(config(6, 5, 7, 8, 12, 2, &[1, 2, 4], cond), bunch);
        let layout = Layout::new(config.table());
        let params = layout.flatten(&random_tensors(&config, 3));
        let batch = windows(&config, 2, 9);
        let fused = Fused::new(config.clone(), Isa::PLAIN);
        let mut grads = vec![0.0; layout.len()];
        fused.loss(&params, &batch, Some(&mut grads)).unwrap();
        for spec in layout.table() {
            let at = layout.range(&spec.name);
            let norm = grads[at.clone()].iter().map(|g| g * g).sum::<f32>().sqrt();
            let h = 1e-3;
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

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let config = config(16, 16, 24, 32, 32, 2, &[1, 2, 4, 8], 1);
    let layout = Layout::new(config.table());
    let params = layout.flatten(&random_tensors(&config, 3));
    let batch = windows(&config, 7, 5);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let fused = Fused::new(config.clone(), Isa::detect());
        let mut grads = vec![0.0; layout.len()];
        let loss = pool.install(|| fused.loss(&params, &batch, Some(&mut grads)).unwrap());
        (loss, grads)
    };
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(5));
}

/// Changing x_t or a frame must leave every distribution before it as it was.
#[test]
fn nothing_depends_on_the_future() {
    for bunch in 1..=4 {
        let config = bunched(config(16, 16, 24, 32, 32, 3, &[1, 2, 4], 1), bunch);
        let tensors = random_tensors(&config, 7);
        let t = 60;
        let symbols = random_symbols(&config, t, 1);
        let frames = random_frames(&config, t, 2);
        let (before, _) = run_graph(&config, &tensors, &symbols, &frames);
        for at in [0, 1, 17, 18, 19, 59] {
            let mut changed = symbols.clone();
            changed[at] = (changed[at] + 1) % config.classes as u16;
            let (after, _) = run_graph(&config, &tensors, &changed, &frames);
            assert_eq!(before[..at], after[..at], "the symbol at {at} reaches into its past");
            assert_ne!(before[at], after[at], "the symbol at {at} does nothing");
            let mut changed = frames.clone();
            let frame = at / config.hop();
            changed[frame * config.cond_len()] += 1.0;
            let (after, _) = run_graph(&config, &tensors, &symbols, &changed);
            assert_eq!(before[..frame * config.hop()], after[..frame * config.hop()]);
            assert_ne!(before[frame * config.hop()], after[frame * config.hop()]);
        }
    }
}

/// The same for the engine, and that its memory is exactly the receptive field.
#[test]
fn the_engine_forgets_what_lies_beyond_the_receptive_field() {
    for bunch in [1, 2, 3] {
        let config = bunched(config(16, 16, 24, 32, 32, 2, &[1, 2, 4, 8, 3], 0), bunch);
        let model = WaveNet::new(&config, &random_tensors(&config, 7), Isa::detect()).unwrap();
        // The last row is the last of its bunch, which sees the farthest.
        let symbols = random_symbols(&config, config.receptive_field() + 1, 3);
        let last = |changed: usize| {
            let (mut state, mut symbols) = (model.state(), symbols.clone());
            symbols[changed] = (symbols[changed] + 1) % config.classes as u16;
            symbols.iter().map(|&x| model.step(&mut state, Value::Symbol(x)).to_vec()).last().unwrap()
        };
        let mut state = model.state();
        let want = symbols.iter().map(|&x| model.step(&mut state, Value::Symbol(x)).to_vec()).last().unwrap();
        assert_eq!(last(0), want, "a symbol beyond the receptive field is heard");
        assert_ne!(last(1), want, "the oldest symbol of the field is lost");
    }
}

#[test]
fn a_clone_forks_and_a_reset_is_new() {
    for (bunch, dtype) in [(1, Dtype::F32), (3, Dtype::F32), (1, Dtype::I8), (3, Dtype::I8)] {
        let config = bunched(config(16, 16, 24, 32, 32, 3, &[1, 2, 4], 1), bunch);
        let mut tensors = random_tensors(&config, 7);
        quantise(&mut tensors, &config.table(), dtype).unwrap();
        let model = WaveNet::new(&config, &tensors, Isa::detect()).unwrap();
        let symbols = random_symbols(&config, 50, 4);
        let frame = random_frames(&config, 1, 5);
        let mut state = model.state();
        let run = |state: &mut _, symbols: &[u16]| -> Vec<Vec<f32>> {
            symbols.iter().map(|&x| model.step(state, Value::Symbol(x)).to_vec()).collect()
        };
        let fresh = run(&mut state, &symbols);
        model.condition(&mut state, &typed(&config, &frame));
        // With bunches, the fork and the reset fall into the middle of one.
        run(&mut state, &symbols[..20]);
        let mut fork = state.clone();
        let (a, b) = (run(&mut state, &symbols), run(&mut fork, &symbols));
        assert_eq!(a, b, "both futures of one past");
        run(&mut fork, &symbols[..3]);
        assert_eq!(
            run(&mut state, &symbols[..1]),
            run(&mut { state_after(&model, &typed(&config, &frame), &symbols) }, &symbols[..1])
        );
        model.reset(&mut state);
        assert_eq!(run(&mut state, &symbols), fresh, "a reset state is a new one");
    }
}

/// The state that `a_clone_forks_and_a_reset_is_new` is in, made again from the start.
fn state_after(model: &WaveNet, condition: &Condition, symbols: &[u16]) -> <WaveNet as Model>::State {
    let mut state = model.state();
    for (i, &x) in symbols.iter().chain(&symbols[..20]).chain(symbols).enumerate() {
        if i == symbols.len() {
            model.condition(&mut state, condition);
        }
        model.step(&mut state, Value::Symbol(x));
    }
    state
}
