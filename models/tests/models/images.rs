//! What the tests of families of sequences of a fixed length share.
#![cfg_attr(not(feature = "train"), allow(dead_code, reason = "the graph's tests use the rest"))]

use crate::common::{Golden, golden_path};
use wavesynth_models::ar::{Sampling, Uniforms};
use wavesynth_models::condition::Condition;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::{Bernoulli, LikelihoodConfig, LogisticMixture};
use wavesynth_models::loaded::Loaded;
use wavesynth_models::order::{Grid, Order, Scan};
use wavesynth_models::weights::Checkpoint;

/// Pixels of an image in an order that is none of the simple ones.
pub fn random_order(height: usize, width: usize) -> Order {
    Scan::Random.order(Grid { height, width }, 5)
}

/// Two symbols by one logit.
pub fn bernoulli() -> Option<LikelihoodConfig> {
    Some(LikelihoodConfig::Bernoulli(Bernoulli {}))
}

/// Grey levels.
pub fn grey(components: usize, levels: usize) -> Option<LikelihoodConfig> {
    Some(LikelihoodConfig::LogisticMixture(LogisticMixture { components, channels: 1, levels }))
}

/// One-hot rows of random classes, and of none, for `t` symbols in images of `n`.
pub fn one_hot_frames(labels: usize, n: usize, t: usize, seed: u64) -> Vec<f32> {
    let mut uniforms = Uniforms::new(seed);
    let mut frames = vec![0.0; labels * t.div_ceil(n)];
    if labels > 0 {
        for row in frames.chunks_exact_mut(labels) {
            if let Some(one) = row.get_mut(uniforms.below(labels as u64 + 1) as usize) {
                *one = 1.0;
            }
        }
    }
    frames
}

/// The condition of a one-hot row.
pub fn class_of(frame: &[f32]) -> Condition<'static> {
    Condition { class: frame.iter().position(|&x| x == 1.0), ..Condition::default() }
}

/// The class of window `i`: each in turn, and none.
#[cfg(feature = "train")]
pub fn class_of_window(labels: usize, i: usize) -> Option<usize> {
    Some(i % (labels + 1)).filter(|&class| class < labels)
}

/// The checkpoint `name`, its config, and what PyTorch computed for two sequences, of class 1 and of none.
pub struct GoldenImages {
    pub model: FamilyConfig,
    pub file: Checkpoint,
    pub golden: Golden,
    /// N.
    pub steps: usize,
}

pub const CLASSES: [Option<usize>; 2] = [Some(1), None];

impl GoldenImages {
    pub fn open(name: &str) -> Self {
        let file = Checkpoint::read(&golden_path(name)).unwrap();
        let model = FamilyConfig::from_header(&file.header).unwrap();
        let golden = Golden::open(name);
        Self { steps: golden.symbols().len() / 2, model, file, golden }
    }

    /// The engine's parameters and nats are PyTorch's, for both sequences one behind the other in one stream.
    pub fn compare_engine(&self) {
        let (symbols, logits, nats) =
            (self.golden.symbols(), self.golden.read("logits"), self.golden.read("nats"));
        let params = self.model.facts().likelihood.params();
        for isa in Isa::available() {
            let model = Loaded::from_checkpoint(self.file.clone(), isa).unwrap();
            let streams = || model.generator(Sampling::default());
            let (mut rows, mut scores) = (streams(), streams());
            let mut got = vec![0.0; params];
            for (t, &x) in symbols.iter().enumerate() {
                if t.is_multiple_of(self.steps) {
                    let condition = Condition { class: CLASSES[t / self.steps], ..Condition::default() };
                    rows.condition(&condition);
                    scores.condition(&condition);
                }
                rows.parameters(x.into(), &mut got);
                for (g, w) in got.iter().zip(&logits[t * params..]) {
                    assert!((g - w).abs() < 1e-5, "{} row {t}: {g}, wanted {w}", isa.name());
                }
                let score = scores.score(x.into());
                assert!((score - nats[t]).abs() < 1e-5, "{} row {t}: {score} nats", isa.name());
            }
        }
    }

    /// PyTorch's gradient is the fused one and the graph's.
    #[cfg(feature = "train")]
    pub fn compare_gradient(&self) {
        use crate::common::relative;
        use wavesynth_models::candle_core::Device;
        use wavesynth_models::objective::{Engine, ObjectiveOptions, Window};

        let start = self.model.facts().start;
        let symbols = self.golden.symbols();
        let window = |(x, class): (&[u16], Option<usize>)| {
            let inputs = [start].iter().chain(&x[..x.len() - 1]).copied().collect();
            Window { inputs, targets: x.to_vec(), class, ..Window::default() }
        };
        let batch: Vec<Window> = symbols.chunks_exact(self.steps).zip(CLASSES).map(window).collect();
        let nats = self.golden.read("nats");
        let mean = nats.iter().map(|&n| f64::from(n)).sum::<f64>() / nats.len() as f64;
        let fused = Isa::available().into_iter().map(|isa| (Engine::Fused, isa));
        for (engine, isa) in fused.chain([(Engine::Graph, Isa::PLAIN)]) {
            let options =
                ObjectiveOptions { engine, device: Device::Cpu, isa, dropout: 0.0, learns: &|_| true };
            let objective = self.model.objective(&options).unwrap().expect("learns by steps");
            let layout = objective.layout();
            let mut grads = vec![f32::NAN; layout.len()];
            let params = layout.flatten(&self.file.tensors);
            let loss = objective.loss(&params, &batch, Some(&mut grads)).unwrap();
            assert!((loss - mean).abs() < 1e-6, "{engine:?} {}: {loss}, wanted {mean}", isa.name());
            for spec in layout.table() {
                let want = self.golden.read(&format!("gradient.{}", spec.name));
                let d = relative(&grads[layout.range(&spec.name)], &want);
                assert!(d < 1e-5, "{engine:?} {} {}: differs by {d}", isa.name(), spec.name);
            }
        }
    }
}
