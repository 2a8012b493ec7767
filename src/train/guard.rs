//! Detects a run that diverges: NaN, or a loss that rises and stays high.

use anyhow::{Result, bail};

/// A loss this many times ln(classes) counts as diverged.
const ABSURD: f64 = 4.0;
/// Nats above the best smoothed loss that count as too high.
const MARGIN: f64 = 1.0;
/// Steps in a row with too high a loss that end a run.
const PATIENCE: u32 = 200;
/// Decay of the smoothed loss.
const SMOOTHING: f64 = 0.98;

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
    /// A loss above this is absurd: of symbols by their number, of vectors (`classes` 0) by the nats of their frequencies.
    pub fn most(classes: usize, frequency_nats: f64) -> f64 {
        ABSURD * if classes > 0 { (classes as f64).ln() } else { 10.0 * frequency_nats.abs().max(1.0) }
    }

    /// Whether weights with this loss and this norm of its gradient may be kept.
    ///
    /// # Errors
    /// A loss that is NaN, infinite or above `most`, a norm that is no number.
    pub fn check(step: u64, loss: f64, norm: f64, most: f64) -> Result<()> {
        if !loss.is_finite() || loss > most {
            bail!("step {step}: the loss is {loss:.4}: the run diverged");
        }
        if !norm.is_finite() {
            bail!("step {step}: the norm of the gradient is {norm}: the run diverged");
        }
        Ok(())
    }

    /// Takes in the loss of a step that passed [`Guard::check`].
    ///
    /// # Errors
    /// The run has been far above its best for too long.
    pub fn observe(&mut self, step: u64, loss: f64) -> Result<()> {
        self.seen += 1;
        let keep = SMOOTHING.min(1.0 - 1.0 / self.seen as f64);
        self.smoothed = keep * self.smoothed + (1.0 - keep) * loss;
        self.best = self.best.min(self.smoothed);
        self.lost = if self.suspect() { self.lost + 1 } else { 0 };
        if self.lost >= PATIENCE {
            bail!(
                "step {step}: the loss is {:.4} after a best of {:.4}: the run diverged",
                self.smoothed,
                self.best
            );
        }
        Ok(())
    }

    /// The loss is too high: no checkpoint is written until it is back.
    pub fn suspect(&self) -> bool {
        self.smoothed > self.best + MARGIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_refused_at_once() {
        assert!(Guard::check(3, f64::NAN, 1.0, Guard::most(256, 5.0)).is_err());
        assert!(Guard::check(3, f64::INFINITY, 1.0, Guard::most(256, 5.0)).is_err());
        assert!(Guard::check(3, 3.0, f64::NAN, Guard::most(256, 5.0)).is_err());
        assert!(Guard::check(3, 1e6, 1.0, Guard::most(256, 5.0)).is_err());
        assert!(Guard::check(0, 256f64.ln(), 1.0, Guard::most(256, 5.0)).is_ok());
    }

    #[test]
    fn a_spike_passes_and_a_plateau_does_not() {
        let mut g = Guard::default();
        for step in 0..300 {
            g.observe(step, 3.0).unwrap();
        }
        g.observe(300, 9.0).unwrap();
        assert!(!g.suspect());
        let stopped = (0..400).find(|&s| g.observe(s, 5.5).is_err());
        assert!(stopped.is_some_and(|s| s > 200), "{stopped:?}");
    }
}
