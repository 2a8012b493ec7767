//! Progress of a run on stderr, and its log file.

use super::held_out::Evaluation;
use super::state::TrainingState;
use super::units::span;
use crate::progress::Progress;
use anyhow::{Context, Result};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use wavesynth_output::{Kind, kind, say};

/// First line of the log, where a symbol is called `unit`.
fn columns(unit: &str) -> String {
    format!("step,seconds,{unit}s,loss,smoothed_loss,grad_norm,learning_rate,held_out_nats,{unit}s_per_s")
}

/// Logs of runs.
pub const LOG: Kind = Kind {
    name: "the log of a training run",
    endings: &["csv"],
    is_text: true,
    is: |path| kind::begins(path, b"step,seconds,"),
};

/// The meaning of nats per sample for 256 mu-law symbols at 16 kHz: (above, meaning), from high to low. Measured on this
/// project's own speech; quiet or clean recordings reach lower numbers with the same quality, so a number compares two
/// models on the same recordings; it tells only roughly how one sounds.
const VERDICTS: [(f64, &str); 6] = [
    (5.3, "noise: nothing learned yet (all 256 symbols alike are ln 256 = 5.55)"),
    (4.5, "hiss: how loud, but not yet how it sounds"),
    (3.8, "murmur: a voice's colour, no syllables"),
    (3.3, "voice-like: syllables, hardly a word"),
    (2.9, "speech with noise: words can be recognised where a track says them"),
    (f64::MIN, "speech with little noise, or recordings that are mostly silence"),
];

/// The meaning of held-out nats per sample.
pub fn verdict(nats: f64) -> &'static str {
    VERDICTS.iter().find(|(above, _)| nats > *above).map_or(VERDICTS[5].1, |v| v.1)
}

/// A step's row of the log.
pub struct StepLog {
    /// Loss of its batch.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub norm: f64,
    /// Learning rate.
    pub rate: f64,
    /// An evaluation behind it, if there was one.
    pub reading: Option<Evaluation>,
}

/// Progress bar and log of a run.
pub struct Reporter {
    bar: Progress,
    csv: std::fs::File,
    /// Rows that are not written yet.
    rows: String,
    /// Whether the last attempt to write them failed.
    is_behind: bool,
    path: PathBuf,
    unit: &'static str,
    began: Instant,
    first: (u64, u64),
}

impl Reporter {
    /// Opens the log at `path`, where a symbol is called `unit`; rows behind
    /// `state` (written after the checkpoint that is resumed) are dropped.
    ///
    /// # Errors
    /// A log that can't be read or written.
    pub fn open(path: &Path, state: &TrainingState, unit: &'static str) -> Result<Self> {
        let at = || format!("log {}", path.display());
        let old = match state.step {
            0 => String::new(),
            _ => std::fs::read_to_string(path).unwrap_or_default(),
        };
        let columns = columns(unit);
        let is_whole = |row: &str| row.split(',').count() == columns.split(',').count();
        let kept = old.lines().skip(1).filter(|row| is_whole(row)).filter(|row| {
            let step = row.split(',').next().and_then(|s| s.parse::<u64>().ok());
            step.is_some_and(|s| s <= state.step)
        });
        let mut text = format!("{columns}\n");
        kept.for_each(|row| {
            text.push_str(row);
            text.push('\n');
        });
        wavesynth_output::file::write(path, text.as_bytes()).with_context(at)?;
        let csv = std::fs::OpenOptions::new().append(true).open(path).with_context(at)?;
        let bar = Progress::new(state.steps, "{wide_bar} {pos}/{len} {msg}");
        bar.set(state.step, String::new());
        Ok(Self {
            bar,
            csv,
            rows: String::new(),
            is_behind: false,
            path: path.into(),
            unit,
            began: Instant::now(),
            first: (state.step, state.samples),
        })
    }

    /// Prints a line on stderr.
    pub fn print(&self, line: &str) {
        self.bar.print(line);
    }

    /// Shows `state` after `step`, a held-out reading in the words of `verdict`; with `log`, also writes its row. What can't
    /// be written is said and tried again with the next row.
    pub fn step(
        &mut self,
        state: &TrainingState,
        step: &StepLog,
        log: bool,
        verdict: &dyn Fn(f64) -> String,
    ) {
        let unit = self.unit;
        let seconds = self.began.elapsed().as_secs_f64().max(1e-9);
        let steps_per_s = (state.step - self.first.0) as f64 / seconds;
        let samples_per_s = (state.samples - self.first.1) as f64 / seconds;
        let left = (state.steps - state.step) as f64 / steps_per_s.max(1e-9);
        let held_out = state.held_out.map_or("-".into(), |h| format!("{h:.4}"));
        let message = format!(
            "{steps_per_s:.2} steps/s, {samples_per_s:.0} {unit}s/s, loss {:.4}, held-out {held_out} nats/{unit}, {} left",
            state.guard.smoothed,
            span(left)
        );
        if let Some(r) = step.reading {
            self.print(&format!(
                "step {}: held-out {:.4} nats/{unit} by the engine, {:.4} by the trainer: {}",
                state.step,
                r.own.engine,
                r.own.trainer,
                verdict(r.own.engine)
            ));
            if let Some(crossed) = r.cross_speaker {
                self.print(&format!(
                    "step {}: beside cross-speaker tracks {:.4}",
                    state.step, crossed.engine
                ));
            }
        }
        if log {
            let held_out = step.reading.map_or(String::new(), |r| format!("{:.6}", r.own.engine));
            let row = format!(
                "{},{:.1},{},{:.6},{:.6},{:.4},{:.4e},{held_out},{samples_per_s:.0}\n",
                state.step,
                state.seconds,
                state.samples,
                step.loss,
                state.guard.smoothed,
                step.norm,
                step.rate
            );
            self.rows.push_str(&row);
            let written = self.write_rows();
            if let (Err(e), false) = (&written, self.is_behind) {
                self.print(&format!("log {}: {e}; the run goes on, the rows are kept", self.path.display()));
            }
            self.is_behind = written.is_err();
            if self.bar.is_hidden() {
                say!("step {}/{}: {message}", state.step, state.steps);
            }
        }
        self.bar.set(state.step, message);
    }

    fn write_rows(&mut self) -> io::Result<()> {
        while !self.rows.is_empty() {
            match self.csv.write(self.rows.as_bytes()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => drop(self.rows.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Removes the bar.
    ///
    /// # Errors
    /// Rows that could not be written.
    pub fn finish(mut self) -> Result<()> {
        self.bar.finish();
        self.write_rows().with_context(|| format!("log {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_fall_with_the_nats() {
        assert!(verdict(5.545).starts_with("noise"));
        assert!(verdict(3.7).starts_with("voice-like"));
        assert!(verdict(3.28).starts_with("speech with noise"));
        assert!(verdict(-1.0).starts_with("speech with little"));
        assert!(VERDICTS.is_sorted_by(|a, b| a.0 > b.0));
    }
}
