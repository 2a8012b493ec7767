//! How much memory a run takes: the forecast before its first step, and the batch that `train.max_memory` allows.

use super::units::{Bytes, bytes};
use anyhow::{Result, bail};
use serde::Serialize;
use wavesynth_models::objective::Objective;

/// Memory of the program, its threads and the shipped voice before training, by measurement.
const PROGRAM: usize = 12_000_000;

/// Vectors as long as the parameters that a run holds: parameters, gradient, two moments, average.
pub const VECTORS: usize = 5;

/// Such vectors that exist while a checkpoint is written: the state's four, once as tensors, once as their bytes and once as a file.
const SAVING: usize = 12;

/// The most memory that a run will hold, by part, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Recordings and their tracks, or a text's symbols.
    pub corpus: usize,
    /// Activations and gradients of a step.
    pub step: usize,
    /// Parameters, gradient, moments and average.
    pub weights: usize,
    /// Their copies while a checkpoint is written.
    pub saving: usize,
}

impl Forecast {
    /// Steps of `windows` windows of `rows` rows, next to a corpus of `corpus` bytes, without a checkpoint.
    pub fn new(
        objective: &dyn Objective,
        corpus: usize,
        windows: usize,
        rows: usize,
        threads: usize,
    ) -> Self {
        Self {
            corpus,
            step: objective.peak_bytes(windows, rows, threads),
            weights: VECTORS * 4 * objective.layout().len(),
            saving: 0,
        }
    }

    /// The same steps with checkpoints.
    pub fn with_saving(self) -> Self {
        Self { saving: self.weights / VECTORS * SAVING, ..self }
    }

    /// All parts and the program's own.
    pub fn total(&self) -> usize {
        self.corpus + self.step + self.weights + self.saving + PROGRAM
    }
}

/// The most windows, up to `most`, that a step can have within `max`; `forecast` gives the memory of a number of them.
///
/// # Errors
/// Not even one fits.
pub fn largest_batch(max: Bytes, most: usize, forecast: impl Fn(usize) -> Forecast) -> Result<usize> {
    match (1..=most).rev().find(|&n| forecast(n).total() <= max.0) {
        Some(n) => Ok(n),
        None => {
            let one = forecast(1);
            bail!(
                "train.max_memory is {}, but steps of one window take {} ({} for the corpus, {} for the step); raise \
                 it, or shorten train.window or train.max_warmup",
                bytes(max.0),
                bytes(one.total()),
                bytes(one.corpus),
                bytes(one.step)
            )
        }
    }
}

/// The most memory that this process has held, in bytes; `None` where the system does not tell (anywhere but on Linux).
pub fn peak() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(1024 * line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_batch_that_fits_is_taken() {
        let forecast = |n| Forecast { corpus: 0, step: n * 1000, weights: 100, saving: 400 };
        let room = |n: usize| Bytes(PROGRAM + n);
        assert_eq!(largest_batch(room(7499), 64, forecast).unwrap(), 6);
        assert_eq!(largest_batch(room(7500), 64, forecast).unwrap(), 7);
        assert_eq!(largest_batch(room(7500), 3, forecast).unwrap(), 3);
        let message = largest_batch(room(1499), 64, forecast).unwrap_err().to_string();
        assert!(message.starts_with("train.max_memory is 12 MB, but steps of one window take"), "{message}");
    }
}
