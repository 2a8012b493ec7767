//! Detects a run that diverges: NaN, or a loss that rises and stays high.

use anyhow::{Result, bail};

/// A loss this many times ln(classes) counts as diverged.
const ABSURD: f64 = 4.0;
/// Nats above the best smoothed loss, for each value of a row, that count as too high: the density of a row of vectors swings with
/// every one of its values, a symbol is one.
const MARGIN: f64 = 1.0;
/// Steps in a row with too high a loss that end a run.
const PATIENCE: u32 = 200;
/// Decay of the smoothed loss.
const SMOOTHING: f64 = 0.98;

/// What is done about it.
const ADVICE: &str = "the run diverged; begin anew in another train.out, with a lower train.learning_rate and, where there is one, \
     from this run's checkpoint by train.start_from";

/// What counts as too high a loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// A loss above this is absurd.
    most: f64,
    /// Nats above the best smoothed loss.
    margin: f64,
}

impl Limits {
    /// Of a likelihood over `classes` symbols, or over vectors of `dims` values where there are none; the frequencies alone give
    /// `frequency_nats` a row.
    pub fn new(classes: usize, dims: usize, frequency_nats: f64) -> Self {
        let nats = if classes > 0 { (classes as f64).ln() } else { 10.0 * frequency_nats.abs().max(1.0) };
        Self { most: ABSURD * nats, margin: MARGIN * dims.max(1) as f64 }
    }

    /// Whether weights with this loss and this norm of its gradient may be kept.
    ///
    /// # Errors
    /// A loss that is NaN, infinite or absurd, a norm that is no number.
    pub fn check(self, step: u64, loss: f64, norm: f64) -> Result<()> {
        if !loss.is_finite() || loss > self.most {
            bail!("step {step}: the loss is {loss:.4}: {ADVICE}");
        }
        if !norm.is_finite() {
            bail!("step {step}: the norm of the gradient is {norm}: {ADVICE}");
        }
        Ok(())
    }
}

/// Watches the loss of a run.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Guard {
    /// Steps seen.
    seen: u64,
    /// Mean of the last losses.
    pub smoothed: f64,
    best: f64,
    lost: u32,
}

impl Default for Guard {
    fn default() -> Self {
        Self { seen: 0, smoothed: 0.0, best: f64::MAX, lost: 0 }
    }
}

impl Guard {
    /// Takes in the loss of a step that passed [`Limits::check`].
    ///
    /// # Errors
    /// The run has been far above its best for too long.
    pub fn observe(&mut self, step: u64, loss: f64, limits: Limits) -> Result<()> {
        self.seen += 1;
        let keep = SMOOTHING.min(1.0 - 1.0 / self.seen as f64);
        self.smoothed = keep * self.smoothed + (1.0 - keep) * loss;
        self.best = self.best.min(self.smoothed);
        self.lost = if self.suspect(limits) { self.lost + 1 } else { 0 };
        if self.lost >= PATIENCE {
            bail!(
                "step {step}: the loss is {:.4} after a best of {:.4}, for {PATIENCE} steps at least {} nats above it: {ADVICE}",
                self.smoothed,
                self.best,
                limits.margin
            );
        }
        Ok(())
    }

    /// The loss is too high: no checkpoint is written until it is back.
    pub fn suspect(&self, limits: Limits) -> bool {
        self.smoothed > self.best + limits.margin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_refused_at_once() {
        let limits = Limits::new(256, 0, 5.0);
        assert!(limits.check(3, f64::NAN, 1.0).is_err());
        assert!(limits.check(3, f64::INFINITY, 1.0).is_err());
        assert!(limits.check(3, 3.0, f64::NAN).is_err());
        assert!(limits.check(3, 1e6, 1.0).is_err());
        assert!(limits.check(0, 256f64.ln(), 1.0).is_ok());
    }

    #[test]
    fn a_spike_passes_and_a_plateau_does_not() {
        let (mut g, limits) = (Guard::default(), Limits::new(256, 0, 5.0));
        for step in 0..300 {
            g.observe(step, 3.0, limits).unwrap();
        }
        g.observe(300, 9.0, limits).unwrap();
        assert!(!g.suspect(limits));
        let stopped = (0..400).find(|&s| g.observe(s, 5.5, limits).is_err());
        assert!(stopped.is_some_and(|s| s > 200), "{stopped:?}");
        let message = g.observe(701, 5.5, limits).unwrap_err().to_string();
        assert!(
            message.contains("at least 1 nats above it") && message.contains("train.learning_rate"),
            "{message}"
        );
    }

    /// The density of 18 values swings by more than a symbol's probability does.
    #[test]
    fn rows_of_many_values_may_swing_by_as_many_nats() {
        let swing = |limits: Limits, to: f64| {
            let mut g = Guard::default();
            (0..300).for_each(|step| g.observe(step, -20.6, limits).unwrap());
            (0..1000).find(|&step| g.observe(step, to, limits).is_err())
        };
        let (symbols, frames) = (Limits::new(64, 0, 3.0), Limits::new(0, 18, 25.5));
        assert_eq!(swing(frames, -18.8), None);
        assert!(swing(symbols, -18.8).is_some(), "a symbol's may not");
        assert!(swing(frames, 0.0).is_some(), "nor theirs by all that was learned");
    }
}
