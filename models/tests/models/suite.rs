//! What every family is held to: the readings of its equations (engine step, graph, fused pass) agree, and streams live
//! apart. A family implements [`Subject`], one that learns by gradients [`Learner`], and stamps all tests with one line:
//! `suite::engine!(Config);` or `suite::readings!(Config);`.

use wavesynth_models::ar::{Model, Sampling, Uniforms};
use wavesynth_models::condition::Condition;
use wavesynth_models::family::{Family, FamilyConfig};
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::{Value, Values};
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::{Checkpoint, Dtype, Init, Layout, TensorSpec, Tensors, quantise};

#[cfg(feature = "train")]
mod learning;
#[cfg(feature = "train")]
pub use learning::*;

/// A test of each of these names for the family whose config is `$config`.
macro_rules! stamp {
    ($config:ty: $($test:ident)*) => {
        $(#[test]
        fn $test() {
            crate::suite::$test::<$config>();
        })*
    };
}

/// The tests of a family's engine.
macro_rules! engine {
    ($config:ty) => {
        crate::suite::stamp!($config: a_clone_forks_and_a_reset_is_new company_changes_no_bit streams_live_apart);
    };
}

/// The tests of a family's engine, graph and fused pass.
macro_rules! readings {
    ($config:ty) => {
        crate::suite::engine!($config);
        #[cfg(feature = "train")]
        mod learning {
            use super::*;

            crate::suite::stamp!($config:
                step_equals_graph_under_every_instruction_set
                nothing_depends_on_the_future
                fused_loss_gradient_and_carry_equal_the_graphs
                fused_gradient_equals_finite_differences
                any_number_of_threads_gives_the_same_bits
                products_in_bfloat16_change_the_gradient_little);
        }
    };
}
pub(crate) use {engine, readings, stamp};

/// A family whose engine is tested.
pub trait Subject: Family {
    /// A few sizes, odd ones among them.
    fn few() -> Vec<Self>;

    /// Values that keep every unit in its sensitive range, biases among them, so that no mistake can hide.
    fn init(&self, spec: &TensorSpec) -> Init {
        Init::fan_in(spec.shape.iter().rev().skip(1).product::<usize>().max(4), 1.2)
    }

    /// The family's tensors, by [`Subject::init`].
    fn random_tensors(&self, seed: u64) -> Tensors {
        let mut table = self.table();
        table.iter_mut().for_each(|spec| spec.init = self.init(spec));
        let layout = Layout::new(table);
        layout.tensors(&layout.init(seed))
    }

    /// The conditioning frames of `t` symbols, as the graph reads them; empty without a condition.
    fn frames(&self, _t: usize, _seed: u64) -> Vec<f32> {
        Vec::new()
    }

    /// The condition that is written as `frame`.
    fn typed<'a>(&self, _frame: &'a [f32]) -> Condition<'a> {
        Condition::default()
    }
}

/// `n` symbols.
pub fn random_symbols<F: Family>(config: &F, n: usize, seed: u64) -> Vec<u16> {
    let (mut uniforms, classes) = (Uniforms::new(seed), config.facts().likelihood.classes() as u64);
    (0..n).map(|_| uniforms.below(classes) as u16).collect()
}

/// [`Subject::random_tensors`].
pub fn random_tensors<F: Subject>(config: &F, seed: u64) -> Tensors {
    config.random_tensors(seed)
}

/// The same, stored as `dtype` where the table allows it.
pub fn stored_tensors<F: Subject>(config: &F, dtype: Dtype) -> Tensors {
    let mut tensors = random_tensors(config, 7);
    quantise(&mut tensors, &config.table(), dtype).unwrap();
    tensors
}

/// The engine.
pub fn pack<F: Family>(config: &F, tensors: &Tensors, isa: Isa) -> F::Model {
    config.pack(tensors, isa).unwrap()
}

/// Symbols and the frames of their condition.
#[derive(Debug, Clone)]
pub struct Sequence {
    pub symbols: Vec<u16>,
    pub frames: Vec<f32>,
    hop: usize,
}

impl Sequence {
    /// Random ones.
    pub fn random<F: Subject>(config: &F, t: usize, seed: u64) -> Self {
        Self::new(config, random_symbols(config, t, seed), config.frames(t, seed + 50))
    }

    /// Those given.
    pub fn new<F: Family>(config: &F, symbols: Vec<u16>, frames: Vec<f32>) -> Self {
        Self { symbols, frames, hop: config.facts().hop }
    }

    /// Values of a frame.
    pub fn width(&self) -> usize {
        self.frames.len() / self.symbols.len().div_ceil(self.hop)
    }

    /// The frame that begins with symbol `t`.
    pub fn frame(&self, t: usize) -> Option<&[f32]> {
        let n = self.width();
        (n > 0 && t.is_multiple_of(self.hop)).then(|| &self.frames[t / self.hop * n..][..n])
    }

    /// Symbol `t` into `state`, its frame before it.
    fn step<'s, F: Subject>(
        &self,
        config: &F,
        model: &F::Model,
        state: &'s mut <F::Model as Model>::State,
        t: usize,
    ) -> &'s [f32] {
        if let Some(frame) = self.frame(t) {
            model.condition(state, &config.typed(frame));
        }
        model.step(state, Value::Symbol(self.symbols[t]))
    }

    /// The parameters of every row by a fresh state of the engine.
    pub fn run<F: Subject>(&self, config: &F, model: &F::Model) -> Vec<Vec<f32>> {
        let mut state = model.state();
        (0..self.symbols.len()).map(|t| self.step(config, model, &mut state, t).to_vec()).collect()
    }
}

/// The parameters of every row by `state`, under the condition that it holds.
pub fn run<M: Model>(model: &M, state: &mut M::State, symbols: &[u16]) -> Vec<Vec<f32>> {
    symbols.iter().map(|&x| model.step(state, Value::Symbol(x)).to_vec()).collect()
}

pub fn a_clone_forks_and_a_reset_is_new<F: Subject>() {
    for (config, dtype) in F::few().into_iter().flat_map(|c| [(c.clone(), Dtype::F32), (c, Dtype::I8)]) {
        let model = pack(&config, &stored_tensors(&config, dtype), Isa::detect());
        let text = Sequence::random(&config, 50, 4);
        let fresh = run(&model, &mut model.state(), &text.symbols);
        let (mut state, mut twin) = (model.state(), model.state());
        for read in 0..20 {
            let mut fork = state.clone();
            let (a, b) = (&mut state.clone(), &mut fork);
            assert_eq!(
                run(&model, a, &text.symbols),
                run(&model, b, &text.symbols),
                "both futures of one past"
            );
            run(&model, &mut fork, &text.symbols[..read]);
            model.reset(&mut fork);
            assert_eq!(run(&model, &mut fork, &text.symbols), fresh, "a reset state is a new one");
            let alone = text.step(&config, &model, &mut twin, read);
            assert_eq!(text.step(&config, &model, &mut state, read), alone, "a fork leaves its origin alone");
        }
        let mut new = model.state();
        if let Some(frame) = (0..20).rev().find_map(|t| text.frame(t)) {
            model.condition(&mut new, &config.typed(frame));
        }
        let heard = run(&model, &mut state, &text.symbols) != run(&model, &mut new, &text.symbols);
        assert_eq!(heard, config.facts().past != Some(1), "the past is heard where there is one: {config:?}");
    }
}

/// States that step together, of different ages and under different conditions, any number of them at once.
pub fn company_changes_no_bit<F: Subject>() {
    for (config, dtype) in F::few().into_iter().flat_map(|c| [(c.clone(), Dtype::F32), (c, Dtype::I8)]) {
        let classes = config.facts().likelihood.params();
        for isa in Isa::available() {
            let model = pack(&config, &stored_tensors(&config, dtype), isa);
            for count in [1, 2, 3, 5, 8, 9] {
                let texts: Vec<_> = (0..count).map(|i| Sequence::random(&config, 90, i)).collect();
                let mut states: Vec<_> = texts.iter().map(|_| model.state()).collect();
                let mut scratch = vec![f32::NAN; model.scratch_len(texts.len())];
                let mut drawn = vec![Vec::new(); texts.len()];
                // Stream i stands still until symbol 3 i, and then reads its own from the first on.
                for t in 0..90 {
                    let running = states.len().min(t / 3 + 1);
                    let mut now = Vec::new();
                    for (i, (state, text)) in states[..running].iter_mut().zip(&texts).enumerate() {
                        if let Some(frame) = text.frame(t - 3 * i) {
                            model.condition(state, &config.typed(frame));
                        }
                        now.push(text.symbols[t - 3 * i]);
                    }
                    let rows = model.step_many(&mut states[..running], Values::Symbols(&now), &mut scratch);
                    for (row, drawn) in rows.chunks_exact(rows.len() / running).zip(&mut drawn) {
                        drawn.push(row[..classes].to_vec());
                    }
                }
                for (drawn, text) in drawn.iter().zip(&texts) {
                    let want = text.run(&config, &model);
                    let of = isa.name();
                    assert!(*drawn == want[..drawn.len()], "{of} {dtype}: of {count} streams one differs");
                }
            }
        }
    }
}

/// As the program holds them: streams that start, end and start again while others run draw what lone ones draw, each
/// with its own condition and sampling.
pub fn streams_live_apart<F: Subject>() {
    let sampling = |i: usize| Sampling { temperature: 0.8 + 0.1 * i as f32, top_k: i, ..Sampling::default() };
    let cases = F::few().into_iter().flat_map(|c| Dtype::ALL.map(|d| (c.clone(), d)));
    for ((config, dtype), isa) in
        cases.flat_map(|c| Isa::available().into_iter().map(move |i| (c.clone(), i)))
    {
        let header = FamilyConfig::from(config.clone()).to_header().unwrap();
        let file = Checkpoint { header, tensors: stored_tensors(&config, dtype) };
        let model = Loaded::from_checkpoint(file, isa).unwrap();
        let texts = [0, 1, 2, 3, 4].map(|i| Sequence::random(&config, 1, i));
        let condition = |i: usize| texts[i].frame(0).map(|frame| config.typed(frame)).unwrap_or_default();
        let mut streams = model.generators(5, Sampling::default());
        assert_eq!((streams.len(), streams.running()), (5, 0));
        let mut lone = [const { None }; 5];
        let mut events = Uniforms::new(9);
        let mut drawn = 0;
        for t in 0..400 {
            let stream = events.below(5) as usize;
            match events.below(12) {
                0 | 1 => {
                    streams.start(stream);
                    streams.set_sampling(stream, sampling(stream));
                    streams.condition(stream, &condition(stream));
                    let mut generator = model.generator(sampling(stream));
                    generator.condition(&condition(stream));
                    lone[stream] = Some((generator, Uniforms::keyed(t, stream as u64)));
                }
                2 => {
                    streams.end(stream);
                    lone[stream] = None;
                }
                _ => {}
            }
            let (mut uniforms, mut want, mut got) = ([0.0; 5], [999; 5], [999; 5]);
            for (i, lone) in lone.iter_mut().enumerate() {
                assert_eq!(streams.is_running(i), lone.is_some());
                if let Some((generator, dice)) = lone {
                    uniforms[i] = dice.next_uniform();
                    want[i] = generator.next(uniforms[i]);
                    drawn += 1;
                }
            }
            streams.next(&uniforms, &mut got);
            assert_eq!(got, want, "{} {dtype} at {t} of {config:?}", isa.name());
        }
        assert!(drawn > 600, "{drawn} symbols compare little");
    }
}
