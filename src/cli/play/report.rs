//! What was played.

use super::latency::Latency;
use crate::cli::output;
use crate::cli::render::Summary;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;
use wavesynth::synth::{BLOCK, Percentiles, SessionReport};
use wavesynth::voice::Voice;

/// The report of `play`.
#[derive(Debug, Serialize)]
pub(super) struct Played {
    #[serde(flatten)]
    pub summary: Summary,
    /// Times that silence was played for want of sound: an empty ring, or a glitch of the device's own.
    pub underruns: u64,
    /// Those of the device's own among them.
    pub device_xruns: u64,
    /// Samples of silence that were played then, at the device's rate.
    pub missing_samples: u64,
    pub device: Option<String>,
    pub device_rate: Option<u32>,
    /// Of the ring and the device together, as the device reports it.
    pub latency_ms: Option<f64>,
    pub ring_ms: Option<f64>,
    pub period_ms: Option<f64>,
    /// Devices opened after the first one had gone.
    pub reopened: u64,
    /// Whether the engine thread had a real-time priority, and the device's.
    pub realtime_priority: bool,
    pub realtime_callback: bool,
    pub block_us: Percentiles,
    pub block_deadline_us: f64,
    /// Frames of 10 ms of the input that did not come in time, and that were left out to catch up.
    pub frames_held: u64,
    pub frames_skipped: u64,
    /// From the microphone to the loudspeaker.
    pub live: Option<Latency>,
    /// The file written in place of playing.
    #[serde(serialize_with = "output::path")]
    pub output: Option<PathBuf>,
}

/// What a session that ended has made, at `rate` Hz.
pub(super) fn summary(report: &SessionReport, rate: u32, seed: u64, cpu: Duration) -> Summary {
    let seconds = |samples: u64| samples as f64 / f64::from(rate);
    let (busy, busy_samples) = report.busy;
    Summary {
        seconds: seconds(report.samples),
        samples: report.samples,
        sample_rate: rate,
        wall_s: report.wall.as_secs_f64(),
        cpu_s: cpu.as_secs_f64(),
        times_real_time: seconds(busy_samples) / busy.as_secs_f64().max(1e-9),
        seed,
        peak_dbfs: output::dbfs(report.peak),
        clipped: None,
    }
}

impl Played {
    pub fn reported(report: &SessionReport, voice: &Voice, seed: u64, cpu: Duration) -> Self {
        let rate = voice.section.sample_rate;
        Self {
            missing_samples: report.missing_samples,
            realtime_priority: report.realtime,
            block_us: report.block_times.percentiles().scaled(1e-3),
            block_deadline_us: BLOCK as f64 / f64::from(rate) * 1e6,
            ..Self::new(summary(report, rate, seed, cpu))
        }
    }

    fn new(summary: Summary) -> Self {
        Self {
            summary,
            underruns: 0,
            device_xruns: 0,
            missing_samples: 0,
            device: None,
            device_rate: None,
            latency_ms: None,
            ring_ms: None,
            period_ms: None,
            reopened: 0,
            realtime_priority: false,
            realtime_callback: false,
            block_us: Percentiles::default(),
            block_deadline_us: 0.0,
            frames_held: 0,
            frames_skipped: 0,
            live: None,
            output: None,
        }
    }

    pub fn line(&self) -> String {
        let s = &self.summary;
        match (&self.output, &self.device) {
            (Some(path), _) => format!("{}: {}", path.display(), s.line()),
            (None, device) => format!(
                "{:.2} s played on {} at {} Hz, {} underruns; engine {:.2} x real time, slowest block {:.1} of {:.1} ms",
                s.seconds,
                device.as_deref().unwrap_or("a device"),
                self.device_rate.unwrap_or(s.sample_rate),
                self.underruns,
                s.times_real_time,
                self.block_us.max / 1000.0,
                self.block_deadline_us / 1000.0
            ),
        }
    }
}
