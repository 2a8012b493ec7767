//! The optimiser: AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101), perhaps with [`Muon`] for the inner products,
//! clipping, learning rate and weight average, all over one flat parameter vector and in one fixed order of operations.

use super::config::{self, Train};
use super::muon::Muon;
use std::ops::Range;
use wavesynth_models::weights::Layout;

/// Learning rate by step: linear rise, then half a cosine down to a fraction.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    peak: f64,
    warmup: u64,
    steps: u64,
    final_fraction: f64,
}

impl Schedule {
    /// The schedule of a run of `steps` steps.
    pub fn new(train: &Train, steps: u64) -> Self {
        Self {
            peak: train.learning_rate,
            warmup: train.warmup_steps,
            steps,
            final_fraction: train.final_fraction,
        }
    }

    /// The learning rate of step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        let rise = ((step + 1) as f64 / self.warmup.max(1) as f64).min(1.0);
        let done = (step as f64 / self.steps.max(1) as f64).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        self.peak * rise * (self.final_fraction + (1.0 - self.final_fraction) * cosine)
    }
}

/// Scales `grads` down to global norm `max`, if it is above, and returns the norm that it had.
pub fn clip(grads: &mut [f32], max: f64) -> f64 {
    let norm = grads.iter().map(|&g| f64::from(g) * f64::from(g)).sum::<f64>().sqrt();
    if norm > max {
        let scale = (max / norm) as f32;
        grads.iter_mut().for_each(|g| *g *= scale);
    }
    norm
}

/// The optimiser that a run file names.
#[derive(Debug, Clone)]
pub struct Optimizer {
    adam: AdamW,
    muon: Option<Muon>,
    /// Parts of the flat vector that do not learn.
    still: Vec<Range<usize>>,
}

impl Optimizer {
    /// The optimiser of a run.
    ///
    /// # Errors
    /// Muon for a family that has no products for it; nothing that `train.only` names.
    pub fn new(train: &Train, layout: &Layout) -> anyhow::Result<Self> {
        let mut adam = AdamW::new(train, layout);
        anyhow::ensure!(
            !adam.moves.is_empty(),
            "train.only: no tensor of this network begins with {:?}; docs/formats.md lists their names",
            train.only
        );
        let muon = match train.optimizer {
            config::OptimizerKind::AdamW => None,
            config::OptimizerKind::Muon => Some(Muon::new(layout, |name| train.learns(name))?),
        };
        if let Some(muon) = &muon {
            adam.moves.retain(|part| muon.parts().all(|other| other != part));
        }
        let still = layout.table().iter().filter(|s| !train.learns(&s.name));
        Ok(Self { adam, muon, still: still.map(|s| layout.range(&s.name)).collect() })
    }

    /// Makes `grads` zero for all parameters that are not trained.
    pub fn silence(&self, grads: &mut [f32]) {
        self.still.iter().for_each(|part| grads[part.clone()].fill(0.0));
    }

    /// One step, the `step`-th counted from 0, at learning rate `rate`.
    pub fn update(&self, params: &mut [f32], grads: &[f32], moments: &mut Moments, step: u64, rate: f64) {
        self.adam.update(params, grads, moments, step, rate);
        if let Some(muon) = &self.muon {
            muon.update(params, grads, &mut moments.m, rate);
        }
    }
}

/// The numbers of AdamW that do not change.
#[derive(Debug, Clone)]
pub struct AdamW {
    beta1: f64,
    beta2: f64,
    weight_decay: f64,
    /// Parts of the flat vector that decay.
    decays: Vec<Range<usize>>,
    /// Parts that it moves, in their order.
    moves: Vec<Range<usize>>,
}

/// The numbers of AdamW that do.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Mean of the gradients.
    pub m: Vec<f32>,
    /// Mean of their squares.
    pub v: Vec<f32>,
}

impl Moments {
    /// Before the first step, for `len` parameters.
    pub fn new(len: usize) -> Self {
        Self { m: vec![0.0; len], v: vec![0.0; len] }
    }
}

/// Keeps the division by √v finite.
const EPSILON: f64 = 1e-8;

impl AdamW {
    /// The optimiser of a run.
    pub fn new(train: &Train, layout: &Layout) -> Self {
        let learns = || layout.table().iter().filter(|s| train.learns(&s.name));
        let decays = learns().filter(|s| s.decays).map(|s| layout.range(&s.name)).collect();
        let moves = learns().map(|s| layout.range(&s.name)).collect();
        Self { decays, moves, ..Self::without_decay(train, layout.len()) }
    }

    /// The optimiser of `len` parameters, none of which decays.
    pub fn without_decay(train: &Train, len: usize) -> Self {
        let all = 0..len;
        let (decays, moves) = (Vec::new(), vec![all]);
        Self { beta1: train.beta1, beta2: train.beta2, weight_decay: train.weight_decay, decays, moves }
    }

    /// One step, the `step`-th counted from 0, at learning rate `rate`.
    pub fn update(&self, params: &mut [f32], grads: &[f32], moments: &mut Moments, step: u64, rate: f64) {
        let shrink = (1.0 - rate * self.weight_decay) as f32;
        for range in &self.decays {
            params[range.clone()].iter_mut().for_each(|p| *p *= shrink);
        }
        let n = (step + 1) as f64;
        let (c1, c2) = (1.0 - self.beta1.powf(n), 1.0 - self.beta2.powf(n));
        let (b1, b2) = (self.beta1 as f32, self.beta2 as f32);
        // p −= rate · (m / c1) / (√(v / c2) + ε), the constants pulled out of the loop.
        let scale = (rate * c2.sqrt() / c1) as f32;
        let epsilon = (EPSILON * c2.sqrt()) as f32;
        for part in &self.moves {
            let moved = moments.m[part.clone()].iter_mut().zip(&mut moments.v[part.clone()]);
            for ((p, &g), (m, v)) in params[part.clone()].iter_mut().zip(&grads[part.clone()]).zip(moved) {
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                *p -= scale * *m / (v.sqrt() + epsilon);
            }
        }
    }
}

/// Moves `average` towards `params` after step `step`, counted from 0. Early steps are forgotten faster, so that the
/// average never carries the random first values for long.
pub fn average(average: &mut [f32], params: &[f32], decay: f64, step: u64) {
    let n = step as f64;
    let keep = decay.min((1.0 + n) / (10.0 + n)) as f32;
    for (a, &p) in average.iter_mut().zip(params) {
        *a += (1.0 - keep) * (p - *a);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavesynth_models::weights::{Init, TensorSpec};

    fn layout() -> Layout {
        Layout::new(vec![
            TensorSpec::new("product", &[2, 2], Init::Normal(1.0)),
            TensorSpec::new("bias", &[2], Init::Zeros),
        ])
    }

    #[test]
    fn the_rate_rises_and_falls_to_its_fraction() {
        let train = Train { learning_rate: 0.5, warmup_steps: 10, final_fraction: 0.1, ..Train::default() };
        let s = Schedule::new(&train, 1000);
        assert!((s.at(0) - 0.05).abs() < 1e-3);
        assert!((s.at(500) - 0.275).abs() < 1e-9);
        assert!((s.at(1000) - 0.05).abs() < 1e-12);
        assert_eq!(s.at(1_000_000), s.at(1000));
    }

    #[test]
    fn the_first_step_is_the_rate_and_only_products_decay() {
        // After one step m / c1 = g and v / c2 = g², so each parameter moves by rate · sign(g).
        let train = Train { weight_decay: 0.5, ..Train::default() };
        let adam = AdamW::new(&train, &layout());
        let mut params = vec![2.0, -2.0, 2.0, -2.0, 3.0, -3.0];
        let mut moments = Moments::new(6);
        adam.update(&mut params, &[1e-3, 5.0, -7.0, 0.0, 1.0, -1.0], &mut moments, 0, 0.1);
        let want = [1.8, -2.0, 2.0, -1.9, 2.9, -2.9];
        for (p, w) in params.iter().zip(want) {
            assert!((p - w).abs() < 1e-4, "{params:?}");
        }
    }

    /// By either optimiser; weights, moments and the decay of all else stay as they were.
    #[test]
    fn only_what_is_named_learns() {
        let layout = Layout::new(vec![
            TensorSpec::new("a.product", &[2, 2], Init::Zeros).inner(),
            TensorSpec::new("b.product", &[2, 2], Init::Zeros).inner(),
            TensorSpec::new("b.bias", &[2], Init::Zeros),
            TensorSpec::new("c", &[2], Init::Zeros),
        ]);
        for optimizer in [config::OptimizerKind::AdamW, config::OptimizerKind::Muon] {
            let train = Train { optimizer, only: vec!["b.".into()], weight_decay: 0.5, ..Train::default() };
            let optimizer = Optimizer::new(&train, &layout).unwrap();
            let (mut params, mut moments) = (vec![1.0; layout.len()], Moments::new(layout.len()));
            let mut grads = vec![0.5; layout.len()];
            optimizer.silence(&mut grads);
            optimizer.update(&mut params, &grads, &mut moments, 0, 0.1);
            for spec in layout.table() {
                let at = layout.range(&spec.name);
                let learns = spec.name.starts_with("b.");
                assert_eq!(grads[at.clone()].iter().all(|g| *g == 0.5), learns, "{}", spec.name);
                assert_eq!(params[at.clone()].iter().all(|p| *p == 1.0), !learns, "{}", spec.name);
                assert_eq!(moments.m[at].iter().all(|m| *m == 0.0), !learns, "{}", spec.name);
            }
            let train = Train { only: vec!["d".into()], ..train };
            let message = Optimizer::new(&train, &layout).unwrap_err().to_string();
            assert!(message.contains("train.only") && message.contains("\"d\""), "{message}");
        }
    }

    #[test]
    fn a_gpt_decays_as_nanogpts_does() {
        // Its `configure_optimizers`: every tensor of two dimensions or more, embedding and positions too.
        use wavesynth_models::families::gpt::Config;
        let config = Config {
            classes: 5,
            start: 0,
            layers: 1,
            heads: 1,
            width: 2,
            context: 3,
            bias: true,
            tied_head: true,
            likelihood: None,
            order: Default::default(),
            labels: 0,
            positions: Default::default(),
            any_order: false,
            classifier: 0,
        };
        let layout = Layout::new(config.table());
        let adam = AdamW::new(&Train { weight_decay: 0.5, ..Train::default() }, &layout);
        let (mut params, mut moments) = (vec![1.0; layout.len()], Moments::new(layout.len()));
        adam.update(&mut params, &vec![0.0; layout.len()], &mut moments, 0, 0.1);
        for spec in layout.table() {
            let kept = if spec.shape.len() > 1 { 0.95 } else { 1.0 };
            assert!(params[layout.range(&spec.name)].iter().all(|&p| p == kept), "{}", spec.name);
        }
    }

    #[test]
    fn a_wavenets_tables_of_symbols_and_speakers_do_not_decay() {
        use wavesynth_models::families::wavenet::names;
        let run = "[[speaker]]\nname = \"a\"\nfolder = \"a\"\n[model]\nresidual_channels = 8\nskip_channels = 8\n\
                   dilations = [1]\n[train]\nsteps = 1";
        let config = crate::train::config::RunFile::parse(run, "run").unwrap().network(2).unwrap();
        for spec in config.table() {
            let table = spec.name == names::SPEAKERS || spec.name == names::embed(0);
            assert_eq!(spec.decays, spec.shape.len() > 1 && !table, "{}", spec.name);
        }
    }

    #[test]
    fn adam_finds_a_minimum() {
        let adam = AdamW::new(&Train { weight_decay: 0.0, ..Train::default() }, &layout());
        let target = [1.0, -2.0, 0.5, 3.0, 0.0, -1.0];
        let (mut params, mut moments) = (vec![0.0f32; 6], Moments::new(6));
        for step in 0..2000 {
            let grads: Vec<f32> = params.iter().zip(target).map(|(p, t)| p - t).collect();
            adam.update(&mut params, &grads, &mut moments, step, 0.01);
        }
        assert!(params.iter().zip(target).all(|(p, t)| (p - t).abs() < 0.01), "{params:?}");
    }

    #[test]
    fn clipping_keeps_the_direction() {
        let mut g = [3.0, 4.0];
        assert_eq!(clip(&mut g, 1.0), 5.0);
        assert!((g[0] - 0.6).abs() < 1e-6 && (g[1] - 0.8).abs() < 1e-6);
        assert!((clip(&mut [0.3, 0.4], 1.0) - 0.5).abs() < 1e-6);
        assert!(clip(&mut [f32::NAN], 1.0).is_nan());
    }
}
