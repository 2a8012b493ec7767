//! Graph and fused pass of a family against its engine and each other.

use super::{Sequence, Subject, pack, random_symbols, random_tensors, stored_tensors};
use crate::common::relative;
use wavesynth_models::ar::{Graph, Uniforms};
use wavesynth_models::candle_core::{Device, IndexOp, Tensor};
use wavesynth_models::family::Family;
use wavesynth_models::kernels::Isa;
use wavesynth_models::objective::{Engine, Objective, ObjectiveOptions, Window};
use wavesynth_models::weights::{Dtype, Tensors};

/// A family that learns by gradients.
pub trait Learner: Subject {
    /// Rates of dropout that its losses are compared at.
    const DROPOUT: &[f64];
    /// What logits may differ by with i8 weights: the step rounds what it multiplies, which the graph does not.
    const I8_BOUND: f32;
    /// What a tensor's gradient may differ by, relative to its norm.
    const GRADIENT_BOUND: f64 = 2e-4;
    /// The step of finite differences.
    const STEP: f32 = 4e-3;
    /// Whether the start symbol is read: a family of a fixed length may know by its place that nothing stands before.
    const READS_START: bool = true;
    /// Windows of the batch of the comparison of losses.
    const BATCH: usize;

    /// Sizes that the readings are compared at, odd ones among them.
    fn grid() -> Vec<Self>;

    /// Small sizes, for finite differences.
    fn small() -> Vec<Self>;

    /// Sizes, and windows of a batch that is more than one task.
    fn many() -> Vec<(Self, usize)>;

    /// Rows of the comparison of step and graph: more than any queue or cache holds.
    fn rows(&self) -> usize;

    /// Rows of window `i`, and those of them in front of the loss.
    fn window(&self, i: usize) -> (usize, usize);

    /// Adds a condition to window `i`.
    fn condition(&self, _i: usize, _window: &mut Window, _uniforms: &mut Uniforms) {}

    /// The graph.
    fn graph(&self, tensors: &Tensors) -> Box<dyn Graph>;
}

/// The parameters of every row by the graph.
pub fn run_graph<F: Learner>(
    config: &F,
    tensors: &Tensors,
    symbols: &[u16],
    frames: &[f32],
) -> Vec<Vec<f32>> {
    let input = config.facts().likelihood.input();
    let x = match input.numbers() {
        0 => {
            let x: Vec<u32> = symbols.iter().map(|&s| u32::from(s)).collect();
            Tensor::from_vec(x, (1, symbols.len()), &Device::Cpu).unwrap()
        }
        n => {
            let mut x = vec![0.0; n * symbols.len()];
            x.chunks_exact_mut(n).zip(symbols).for_each(|(to, &s)| input.write(s.into(), to));
            Tensor::from_vec(x, (1, symbols.len(), n), &Device::Cpu).unwrap()
        }
    };
    let n = symbols.len().div_ceil(config.facts().hop);
    let cond = || Tensor::from_slice(frames, (1, n, frames.len() / n), &Device::Cpu).unwrap();
    let cond = (!frames.is_empty()).then(cond);
    config.graph(tensors).forward(&x, cond.as_ref()).unwrap().i(0).unwrap().to_vec2().unwrap()
}

/// The largest difference of any value.
pub fn largest_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert!(a.iter().map(Vec::len).eq(b.iter().map(Vec::len)));
    a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The largest difference of step and graph.
pub fn step_against_graph<F: Learner>(config: &F, tensors: &Tensors, isa: Isa) -> f32 {
    let text = Sequence::random(config, config.rows(), 1);
    let want = run_graph(config, tensors, &text.symbols, &text.frames);
    largest_difference(&text.run(config, &pack(config, tensors, isa)), &want)
}

/// The loss by `engine`.
pub fn objective<F: Family>(config: &F, engine: Engine, isa: Isa, dropout: f64) -> Box<dyn Objective> {
    let options = ObjectiveOptions { engine, device: Device::Cpu, isa, dropout, learns: &|_| true };
    Family::objective(config, &options).unwrap().expect("a family that learns by gradients")
}

/// Windows of several lengths and warm-ups, some without a key for dropout.
pub fn windows<F: Learner>(config: &F, count: usize, seed: u64) -> Vec<Window> {
    let mut uniforms = Uniforms::new(seed);
    (0..count)
        .map(|i| {
            let (t, warmup) = config.window(i);
            let symbols = random_symbols(config, 2 * t, seed + i as u64);
            let (inputs, targets) = (symbols[..t].to_vec(), symbols[t..].to_vec());
            let dropout = (i % 3 != 1).then_some(seed << 32 | i as u64);
            let mut window = Window { inputs, targets, warmup, dropout, ..Window::default() };
            config.condition(i, &mut window, &mut uniforms);
            window
        })
        .collect()
}

/// A state of `len` values for each window but every third, which starts a stream.
fn carries(len: usize, count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut uniforms = Uniforms::new(seed);
    let mut state = || (0..len).map(|_| uniforms.normal() * 0.5).collect();
    (0..count).map(|i| if i % 3 == 2 { Vec::new() } else { state() }).collect()
}

/// f32 and f16 weights multiply in f32, so the step is the graph of the same values.
pub fn step_equals_graph_under_every_instruction_set<F: Learner>() {
    for config in F::grid() {
        for (dtype, bound) in [(Dtype::F32, 1e-4), (Dtype::F16, 1e-4), (Dtype::I8, F::I8_BOUND)] {
            let tensors = stored_tensors(&config, dtype);
            for isa in Isa::available() {
                let worst = step_against_graph(&config, &tensors, isa);
                assert!(worst < bound, "{} {dtype} differs by {worst} for {config:?}", isa.name());
            }
        }
    }
}

/// Changing x_t or a frame must leave every distribution before it as it was.
pub fn nothing_depends_on_the_future<F: Learner>() {
    for config in F::few() {
        let tensors = random_tensors(&config, 7);
        let text = Sequence::random(&config, 60, 1);
        let run = |text: &Sequence| run_graph(&config, &tensors, &text.symbols, &text.frames);
        let before = run(&text);
        for at in [0, 1, 15, 16, 17, 18, 19, 23, 24, 39, 59] {
            let facts = config.facts();
            let mut changed = text.clone();
            changed.symbols[at] = (changed.symbols[at] + 1) % facts.likelihood.classes() as u16;
            let after = run(&changed);
            assert_eq!(before[..at], after[..at], "the symbol at {at} reaches into its past");
            let read = at > 0 || F::READS_START;
            assert_eq!(before[at..] != after[at..], read, "the symbol at {at} does nothing");
            if !text.frames.is_empty() {
                let mut changed = text.clone();
                changed.frames[at / facts.hop * text.width()] += 1.0;
                let (after, first) = (run(&changed), at / facts.hop * facts.hop);
                assert_eq!(before[..first], after[..first], "the frame of {at} reaches into its past");
                assert_ne!(before[first], after[first], "the frame of {at} does nothing");
            }
        }
    }
}

pub fn fused_loss_gradient_and_carry_equal_the_graphs<F: Learner>() {
    for (config, &rate) in F::grid().into_iter().flat_map(|c| F::DROPOUT.iter().map(move |r| (c.clone(), r)))
    {
        let graph = objective(&config, Engine::Graph, Isa::PLAIN, rate);
        let layout = graph.layout();
        let params = layout.flatten(&random_tensors(&config, 3));
        let batch = windows(&config, F::BATCH, 5);
        let carried = carries(graph.carry_len(), F::BATCH, 6);
        let (mut want, mut want_carry) = (vec![f32::NAN; layout.len()], carried.clone());
        let want_loss = graph.loss_carried(&params, &batch, &mut want_carry, Some(&mut want)).unwrap();
        for isa in Isa::available() {
            let fused = objective(&config, Engine::Fused, isa, rate);
            assert_eq!(fused.carry_len(), graph.carry_len());
            for pass in 0..2 {
                let what = format!("{} pass {pass}, dropout {rate}, of {config:?}", isa.name());
                let (mut got, mut carry) = (vec![f32::NAN; layout.len()], carried.clone());
                let loss = fused.loss_carried(&params, &batch, &mut carry, Some(&mut got)).unwrap();
                assert!((loss - want_loss).abs() < 1e-5, "{what}: {loss}, graph {want_loss}");
                for spec in layout.table() {
                    let at = layout.range(&spec.name);
                    let d = relative(&got[at.clone()], &want[at]);
                    assert!(d < F::GRADIENT_BOUND, "{what}, {}: differs by {d}", spec.name);
                }
                let worst = largest_difference(&carry, &want_carry);
                assert!(worst < 1e-5, "{what}: the carry differs by {worst}");
                let alone = fused.loss_carried(&params, &batch, &mut carried.clone(), None).unwrap();
                assert_eq!(alone, loss, "the loss without a gradient is the same");
            }
        }
    }
}

/// Central differences of the fused loss along each tensor's own gradient, where the slope must be the gradient's norm:
/// a wrong direction or a wrong length would both make it smaller.
pub fn fused_gradient_equals_finite_differences<F: Learner>() {
    for (config, &rate) in F::small().into_iter().flat_map(|c| F::DROPOUT.iter().map(move |r| (c.clone(), r)))
    {
        let fused = objective(&config, Engine::Fused, Isa::PLAIN, rate);
        let layout = fused.layout();
        let params = layout.flatten(&random_tensors(&config, 3));
        let (batch, carried) = (windows(&config, 3, 9), carries(fused.carry_len(), 3, 2));
        let loss = |params: &[f32], grads: Option<&mut [f32]>| {
            fused.loss_carried(params, &batch, &mut carried.clone(), grads).unwrap()
        };
        let mut grads = vec![0.0; layout.len()];
        loss(&params, Some(&mut grads));
        for spec in layout.table() {
            let (name, at) = (&spec.name, layout.range(&spec.name));
            let norm = grads[at.clone()].iter().map(|g| g * g).sum::<f32>().sqrt();
            let moved = |sign: f32| {
                let mut p = params.clone();
                for (p, g) in p[at.clone()].iter_mut().zip(&grads[at.clone()]) {
                    *p += sign * F::STEP * g / norm;
                }
                loss(&p, None)
            };
            let slope = (moved(1.0) - moved(-1.0)) / (2.0 * f64::from(F::STEP));
            let norm = f64::from(norm);
            assert!(norm > 1e-3, "{name}: a gradient of {norm} tests nothing");
            let near = (slope - norm).abs() < 0.02 * norm + 2e-4;
            assert!(near, "{name}, dropout {rate}: {slope}, gradient says {norm}, of {config:?}");
        }
    }
}

pub fn any_number_of_threads_gives_the_same_bits<F: Learner>() {
    for (config, count) in F::many() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let rate = F::DROPOUT.iter().fold(0.0, |a: f64, b| a.max(*b));
            let fused = objective(&config, Engine::Fused, Isa::detect(), rate);
            let params = fused.layout().flatten(&random_tensors(&config, 3));
            let (mut grads, mut carry) = (vec![0.0; params.len()], carries(fused.carry_len(), count, 1));
            let batch = windows(&config, count, 5);
            let loss =
                pool.install(|| fused.loss_carried(&params, &batch, &mut carry, Some(&mut grads)).unwrap());
            (loss, grads, carry)
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(5));
    }
}

/// Where the machine has no such products there is nothing to compare.
pub fn products_in_bfloat16_change_the_gradient_little<F: Learner>() {
    let Some(rounded) = Isa::with_bfloat16() else { return };
    for (config, count) in F::many() {
        let run = |isa| {
            let fused = objective(&config, Engine::Fused, isa, 0.0);
            let params = fused.layout().flatten(&random_tensors(&config, 3));
            let mut grads = vec![0.0; params.len()];
            let loss = fused.loss(&params, &windows(&config, count, 5), Some(&mut grads)).unwrap();
            (loss, grads)
        };
        let ((want, want_grads), (got, grads)) = (run(Isa::detect()), run(rounded));
        assert!((got - want).abs() < 3e-3 * want.abs(), "{got}, in f32 {want}, of {config:?}");
        let d = relative(&grads, &want_grads);
        assert!(d < 0.03, "the gradient differs by {d}, of {config:?}");
    }
}
