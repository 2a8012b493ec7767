//! The parts of the latency between a microphone and the loudspeaker.

use super::super::input::Input;
use serde::Serialize;
use wavesynth_audio::features::{HOP, SAMPLE_RATE, spectrum};

/// Parts of the way, in ms.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    /// A sample at the microphone until its period is handed over.
    capture_ms: f64,
    /// To the features' rate, and from the voice's to the device's.
    resampling_ms: f64,
    /// From the first sample of a frame to the last one under its window.
    window_ms: f64,
    /// The frames of context ahead.
    context_ms: f64,
    /// For the engine and in the ring, the mean so far.
    ring_ms: f64,
    /// In the device's own buffer, as it reports it.
    device_ms: f64,
    total_ms: f64,
}

impl Latency {
    /// As measured up to now; `None` where nothing is live, or nothing has come in yet.
    pub(super) fn measured(input: &Input, resampling_ms: f64, device_ms: f32) -> Option<Self> {
        let capture_ms = input.capture_ms()?;
        if input.counters().frames() == 0 {
            return None;
        }
        let (features_ms, resampled_ms) = input.delay_ms();
        let window_ms = (HOP / 2 + spectrum::WINDOW / 2) as f64 * 1000.0 / f64::from(SAMPLE_RATE);
        let mut latency = Self {
            capture_ms,
            resampling_ms: resampled_ms + resampling_ms,
            window_ms,
            context_ms: features_ms - window_ms,
            ring_ms: input.counters().waiting_ms(),
            device_ms: f64::from(device_ms),
            total_ms: 0.0,
        };
        latency.total_ms = latency.capture_ms
            + latency.resampling_ms
            + latency.window_ms
            + latency.context_ms
            + latency.ring_ms
            + latency.device_ms;
        Some(latency)
    }

    /// The same for people.
    pub(super) fn line(&self) -> String {
        format!(
            "latency {:.0} ms: capture {:.1} + resampling {:.1} + window {:.1} + context {:.1} + ring {:.1} + device {:.1}",
            self.total_ms,
            self.capture_ms,
            self.resampling_ms,
            self.window_ms,
            self.context_ms,
            self.ring_ms,
            self.device_ms
        )
    }
}
