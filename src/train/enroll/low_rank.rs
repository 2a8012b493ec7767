//! Learning an adaptation: the factors of low-rank changes, by the gradient of the products that they change.

use super::super::config::Train;
use super::super::optim::{self, AdamW, Moments, Schedule};
use super::super::window::{Cutter, Pool};
use super::EnrollOptions;
use crate::progress::Progress;
use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicBool, Ordering};
use wavesynth_models::adaptation;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::objective::Objective;
use wavesynth_models::weights::{Layout, Tensors};

/// Windows of a step.
const BATCH: usize = 8;
/// Highest learning rate.
const LEARNING_RATE: f64 = 4e-3;
/// The part of the learned change that is kept. Half-way back to the unadapted voice the copies are as clear as that voice's
/// and nearly as much like the speaker (M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022).
const KEPT: f32 = 0.5;
/// Decay of the average of the factors, which is what is kept of them.
const AVERAGE: f64 = 0.97;
/// Steps between two readings of the held-out recordings.
const JUDGE_EVERY: u64 = 50;

/// What an adaptation is learned from.
pub(super) struct Learner<'a> {
    pub objective: &'a dyn Objective,
    /// The weights that are adapted.
    pub base: &'a Tensors,
    /// The recordings, and how windows are cut from them.
    pub pool: &'a Pool<'a>,
    pub cutter: &'a Cutter,
    /// Of the factors.
    pub layout: Layout,
    /// Ends it early once it is set.
    pub stop: &'a AtomicBool,
}

impl Learner<'_> {
    /// The factors that `judge` gives the fewest nats, with them; `None` where none has fewer than `before`.
    ///
    /// # Errors
    /// As the objective and the judge; factors that diverged.
    pub fn learn(
        &self,
        options: &EnrollOptions,
        before: f64,
        judge: &dyn Fn(&Tensors) -> Result<f64>,
    ) -> Result<Option<(Tensors, f64)>> {
        let Self { objective, base, pool, cutter, layout, stop } = self;
        let train = Train {
            learning_rate: LEARNING_RATE,
            warmup_steps: 10,
            final_fraction: 0.05,
            weight_decay: 0.0,
            ..Train::default()
        };
        let adam = AdamW::without_decay(&train, layout.len());
        let schedule = Schedule::new(&train, options.steps);
        let mut moments = Moments::new(layout.len());
        let mut factors = layout.init(options.seed);
        let mut average = factors.clone();
        let mut grads = vec![0.0; objective.layout().len()];
        let mut best: Option<(Tensors, f64)> = None;
        let bar = Progress::new(options.steps, "adapting {wide_bar} {pos}/{len} steps, {eta} left");
        for step in 0..options.steps {
            let mut uniforms = Uniforms::keyed(options.seed, step);
            let batch: Vec<_> = (0..BATCH)
                .map(|_| {
                    let recording = pool.pick(&mut uniforms);
                    cutter.cut(recording, cutter.place(recording, &mut uniforms), Some(recording.own_track()))
                })
                .collect();
            let named = layout.tensors(&factors);
            let mut changed = Tensors::clone(base);
            adaptation::merge(&mut changed, &named);
            objective.loss(&objective.layout().flatten(&changed), &batch, Some(&mut grads))?;
            let mut pulled = layout.flatten(&adaptation::gradient(objective.layout(), &grads, &named));
            optim::clip(&mut pulled, train.clip_norm);
            adam.update(&mut factors, &pulled, &mut moments, step, schedule.at(step));
            ensure!(factors.iter().all(|v| v.is_finite()), "the adaptation diverged; check the recordings");
            optim::average(&mut average, &factors, AVERAGE, step);
            bar.inc(1);
            let stopped = stop.load(Ordering::Relaxed);
            if stopped || step + 1 == options.steps || (step + 1).is_multiple_of(JUDGE_EVERY) {
                let named = adaptation::scaled(layout.tensors(&average), KEPT);
                let nats = judge(&named)?;
                if nats < best.as_ref().map_or(before, |(_, nats)| *nats) {
                    best = Some((named, nats));
                }
            }
            if stopped {
                break;
            }
        }
        bar.finish();
        Ok(best)
    }
}
