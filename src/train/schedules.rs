//! Schedules over the windows of any family and any source: scheduled sampling and a curriculum on length.

use super::config::check::range;
use anyhow::{Result, bail, ensure};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use wavesynth_models::ar::{Generator, Sampling, Uniforms};
use wavesynth_models::condition::{Condition, ConditionSpec};
use wavesynth_models::loaded::Loaded;
use wavesynth_models::objective::Window;

/// Key `train.scheduled_sampling`: Bengio et al. 2015, arXiv:1506.03099. Each symbol that the network reads in the loss
/// is the truth with probability ε, else one drawn from the model itself. The draws come from the engine, which reads
/// its own earlier draws as it would when it generates: the paper's procedure, for every family, at the
/// cost of one generated symbol a row. Where a recurrent state is carried, the engine draws from the window's own
/// beginning on, the loss still sees the carried state. Draws and uniforms depend on seed, step and weights alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// How ε falls from 1.
    pub rule: Rule,
    /// The least ε.
    #[serde(default)]
    pub floor: f64,
    /// k of the rule; none for the linear one, which reaches `floor` at the end of the run.
    pub k: Option<f64>,
}

/// Section 2.4 of the paper; i counts steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// ε = 1 − (1 − floor) · i / steps.
    Linear,
    /// ε = k^i, k < 1.
    Exponential,
    /// ε = k / (k + e^(i / k)), k ≥ 1.
    InverseSigmoid,
}

impl Scheduled {
    /// Checks the values.
    ///
    /// # Errors
    /// The first that is out of range, or a k that is missing or too many.
    pub fn validate(&self) -> Result<()> {
        const KEY: &str = "train.scheduled_sampling";
        range(&format!("{KEY}.floor"), self.floor, 0.0, 1.0)?;
        match (self.rule, self.k) {
            (Rule::Linear, None) => Ok(()),
            (Rule::Linear, Some(_)) => bail!("{KEY}.k: the linear rule has none; set floor"),
            (Rule::Exponential, Some(k)) => range(&format!("{KEY}.k"), k, 0.0, 0.999_999_999),
            (Rule::InverseSigmoid, Some(k)) => range(&format!("{KEY}.k"), k, 1.0, 1e9),
            (_, None) => bail!("{KEY}.k is missing: below 1 for exponential, at least 1 for inverse_sigmoid"),
        }
    }

    /// ε at `step` of `steps`.
    pub fn truth(&self, step: u64, steps: u64) -> f64 {
        let (i, k) = (step as f64, self.k.unwrap_or(1.0));
        let epsilon = match self.rule {
            Rule::Linear => 1.0 - (1.0 - self.floor) * (i / steps.max(1) as f64).min(1.0),
            Rule::Exponential => k.powf(i),
            Rule::InverseSigmoid => k / (k + (i / k).exp()),
        };
        epsilon.max(self.floor)
    }
}

/// Replaces inputs in the loss of `batch` by draws from `model`, each with probability 1 − `truth`. The batch's first window
/// has the number `first` in the whole run.
pub fn mix(model: &Loaded, batch: &mut [Window], truth: f64, (seed, first): (u64, u64)) {
    let facts = model.config.facts();
    let dim = facts.condition.as_ref().map_or(0, ConditionSpec::embedding_dim);
    let table = model.embeddings();
    batch.par_iter_mut().enumerate().for_each(|(i, window)| {
        // A sequence apart from that which cut the windows.
        let mut uniforms = Uniforms::keyed(!seed, first + i as u64);
        let mut stream = model.generator(Sampling::default());
        let hold = |stream: &mut Box<dyn Generator>, row: usize| {
            if facts.condition.is_some() && row.is_multiple_of(facts.hop) {
                let embedding = window.speaker.map_or(&[][..], |speaker| &table[speaker * dim..][..dim]);
                let frames =
                    if window.frames.is_empty() { None } else { window.frames.window(row / facts.hop) };
                stream.condition(&Condition { embedding, frames, ..Condition::default() });
            }
        };
        let mut inputs = window.inputs.clone();
        // Row 0 is the window's first position: nothing stands before its input.
        stream.reset_after(inputs[0].into());
        for row in 0..inputs.len() - 1 {
            hold(&mut stream, row);
            let keep = row < window.warmup || f64::from(uniforms.next_uniform()) < truth;
            if keep {
                stream.score(inputs[row + 1].into());
            } else {
                inputs[row + 1] = stream.next(uniforms.next_uniform());
            }
        }
        window.inputs = inputs;
    });
}

/// The key of the masks that dropout lays over the window that has the number `number` in the whole run.
pub fn dropout_key(seed: u64, number: u64) -> u64 {
    // A sequence apart from those that cut the windows and draw symbols.
    Uniforms::keyed(seed.rotate_left(32) ^ 0x9E37_79B9, number).next_u64()
}

/// Key `train.curriculum`: short windows first (Bengio et al. 2009, "Curriculum learning"). The rows in the loss grow
/// from `from` to `train.window` in eight equal stages over the first `until` of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curriculum {
    /// Rows at the beginning.
    pub from: usize,
    /// Fraction of the run after which windows have their full length.
    #[serde(default = "half")]
    pub until: f64,
}

fn half() -> f64 {
    0.5
}

/// Stages of a curriculum.
const STAGES: u64 = 8;

impl Curriculum {
    /// Checks the values for windows of `window` rows.
    ///
    /// # Errors
    /// The first that is out of range.
    pub fn validate(&self, window: usize) -> Result<()> {
        let from = self.from;
        ensure!(
            (1..=window).contains(&from),
            "train.curriculum.from is {from}, wanted 1 to train.window = {window}"
        );
        range("train.curriculum.until", self.until, 0.0, 1.0)
    }
}

/// Rows in the loss by step, with or without a curriculum.
#[derive(Debug, Clone)]
pub struct Lengths {
    window: usize,
    from: usize,
    /// Steps of the growing part.
    growing: u64,
}

impl Lengths {
    /// The lengths of a run of `steps` steps.
    pub fn new(window: usize, curriculum: Option<&Curriculum>, steps: u64) -> Self {
        let (from, until) = curriculum.map_or((window, 0.0), |c| (c.from, c.until));
        Self { window, from, growing: (until * steps as f64) as u64 }
    }

    /// The first step of stage `stage`.
    fn begin(&self, stage: u64) -> u64 {
        (stage * self.growing).div_ceil(STAGES)
    }

    fn rows(&self, stage: u64) -> usize {
        self.from + (self.window - self.from) * stage as usize / STAGES as usize
    }

    /// Rows of step `step`.
    pub fn at(&self, step: u64) -> usize {
        self.rows((1..=STAGES).take_while(|&s| self.begin(s) <= step).count() as u64)
    }

    /// Rows of all steps before `step`.
    pub fn before(&self, step: u64) -> u64 {
        let end = |stage| if stage == STAGES { u64::MAX } else { self.begin(stage + 1) };
        let steps = |s| step.min(end(s)).saturating_sub(self.begin(s));
        (0..=STAGES).map(|s| steps(s) * self.rows(s) as u64).sum()
    }
}

/// Ends `window` after `rows` rows in the loss; a frame belongs to each `hop` rows.
pub fn shorten(window: &mut Window, rows: usize, hop: usize) {
    let all = (window.warmup + rows).min(window.targets.len());
    window.inputs.truncate(all);
    window.targets.truncate(all);
    window.frames.truncate(all.div_ceil(hop));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_truth_falls_as_the_paper_has_it() {
        let rule = |rule, floor, k| Scheduled { rule, floor, k };
        let linear = rule(Rule::Linear, 0.5, None);
        assert_eq!((linear.truth(0, 100), linear.truth(50, 100), linear.truth(200, 100)), (1.0, 0.75, 0.5));
        let exponential = rule(Rule::Exponential, 0.1, Some(0.5));
        assert_eq!((exponential.truth(2, 100), exponential.truth(90, 100)), (0.25, 0.1));
        let sigmoid = rule(Rule::InverseSigmoid, 0.0, Some(10.0));
        assert!((sigmoid.truth(0, 100) - 10.0 / 11.0).abs() < 1e-12);
        assert!((sigmoid.truth(20, 100) - 10.0 / (10.0 + 2f64.exp())).abs() < 1e-12);
        assert!(rule(Rule::Exponential, 0.0, None).validate().is_err());
        assert!(rule(Rule::Linear, 0.0, Some(1.0)).validate().is_err());
    }

    /// A GPT that predicts its own position: draws in a window begin at its first.
    #[test]
    fn a_windows_first_draw_is_at_its_first_position() {
        use wavesynth_models::families::gpt::{self, Config};
        use wavesynth_models::family::FamilyConfig;
        use wavesynth_models::kernels::Isa;
        use wavesynth_models::weights::{Checkpoint, Layout};
        let n = 8;
        let config = Config {
            classes: n,
            start: 0,
            layers: 1,
            heads: 1,
            width: n,
            context: n,
            bias: false,
            tied_head: false,
            likelihood: None,
            order: Default::default(),
            labels: 0,
            positions: Default::default(),
            any_order: false,
            classifier: 0,
        };
        let layout = Layout::new(config.table());
        let mut params = vec![0.0; layout.len()];
        let identity = |to: &mut [f32], x| to.iter_mut().step_by(n + 1).for_each(|v| *v = x);
        identity(&mut params[layout.range(gpt::names::POSITION)], 1.0);
        identity(&mut params[layout.range(gpt::names::HEAD)], 100.0);
        params[layout.range(&gpt::names::weight(gpt::names::OUTPUT, "norm"))].fill(1.0);
        let header = FamilyConfig::from(config.clone()).to_header().unwrap();
        let file = Checkpoint { header, tensors: layout.tensors(&params) };
        let model = Loaded::from_checkpoint(file, Isa::detect()).unwrap();
        for first in [0, 5] {
            let inputs = vec![first; n];
            let mut batch = [Window { targets: inputs.clone(), inputs, ..Window::default() }];
            mix(&model, &mut batch, 0.0, (1, 0));
            assert_eq!(batch[0].inputs, [first, 0, 1, 2, 3, 4, 5, 6]);
        }
    }

    #[test]
    fn lengths_grow_to_the_window_and_add_up() {
        for (from, until, steps) in [(16, 0.5, 1000), (100, 0.0, 50), (1, 1.0, 13), (7, 0.3, 10)] {
            let lengths = Lengths::new(100, Some(&Curriculum { from, until }), steps);
            let mut sum = 0;
            for step in 0..steps + 20 {
                assert_eq!(lengths.before(step), sum, "step {step}");
                assert!(lengths.at(step) >= from && lengths.at(step) <= lengths.at(step + 1));
                sum += lengths.at(step) as u64;
            }
            assert_eq!(lengths.at(steps), 100);
            assert_eq!(lengths.at(0), if until == 0.0 { 100 } else { from });
        }
    }
}
