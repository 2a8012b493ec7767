//! The microphone: opened, lost, and opened again. Nothing of the system's sound libraries runs on the main thread, because
//! all of it can hang.

use super::attempt::{ANSWER, Attempt, Beat, RETRY, close};
use crate::cli::interrupt::{on_own_thread, wait_for};
use crate::cli::quiet::quietly;
use anyhow::{Result, bail};
use std::task::Poll;
use std::time::Instant;
use wavesynth_audio::device::{Capturing, DeviceError, Input, Lent, open_input};
use wavesynth_audio::features::SAMPLE_RATE;
use wavesynth_audio::ring::Producer;

/// Period asked of a microphone, in ms.
const PERIOD_MS: f32 = 5.0;

/// A microphone that records into a ring.
pub struct Mic {
    /// As it was asked for.
    device: Option<String>,
    name: String,
    rate: u32,
    /// `None` while it is gone.
    capturing: Option<Capturing>,
    period_ms: f64,
    /// The ring, in the hands of the device that fills it or of the attempt to open one.
    ring: Lent,
    beat: Beat,
    attempt: Option<Attempt<Option<Recording>>>,
    next: Instant,
}

/// A device that has begun to record.
struct Recording {
    name: String,
    period_ms: f64,
    capturing: Capturing,
}

/// The microphone called `device`, or the system's.
///
/// # Errors
/// There is none, no answer, or a signal while the sound system was asked.
pub fn open(device: Option<&str>) -> Result<Input> {
    let device = device.map(str::to_owned);
    let open = move || open_input(device.as_deref(), SAMPLE_RATE, PERIOD_MS);
    Ok(quietly(|| wait_for(Some(ANSWER), open))??)
}

impl Recording {
    fn begin(input: Input, ring: Lent) -> Result<Self, DeviceError> {
        let name = input.name.clone();
        let period_ms = f64::from(input.period_frames) * 1000.0 / f64::from(input.rate);
        Ok(Self { name, period_ms, capturing: input.start(ring)? })
    }
}

impl Mic {
    /// Has `input`, which was opened as `device`, record into `ring`.
    ///
    /// # Errors
    /// It can't, or does not answer.
    pub fn start(input: Input, device: Option<&str>, ring: Producer) -> Result<Self> {
        let (rate, ring) = (input.rate, Lent::new(ring));
        let lent = ring.clone();
        let begun = quietly(|| wait_for(Some(ANSWER), move || Recording::begin(input, lent)))?;
        let Recording { name, period_ms, capturing } = begun?;
        Ok(Self {
            device: device.map(str::to_owned),
            name,
            rate,
            capturing: Some(capturing),
            period_ms,
            ring,
            beat: Beat::new(),
            attempt: None,
            next: Instant::now(),
        })
    }

    /// The time that it takes to hand over a sample, in ms; `None` while it is gone.
    pub fn capture_ms(&self) -> Option<f64> {
        let latency_ms = self.capturing.as_ref()?.stats().latency_ms;
        Some(self.period_ms.max(f64::from(latency_ms)))
    }

    /// Looks after it; what there is to say. With `reconnects` one that has gone is waited for, in silence.
    ///
    /// # Errors
    /// It has gone, and is not to be waited for.
    pub fn watch(&mut self, reconnects: bool) -> Result<Option<String>> {
        if let Some(capturing) = &self.capturing {
            let now = capturing.stats();
            self.beat.look(Some(now.callbacks));
            let what = match now.lost {
                true => "has gone",
                false if self.beat.has_stalled() => "has stopped recording",
                false => return Ok(None),
            };
            if !reconnects {
                bail!("{}: the input device {what}", self.name);
            }
            let gone = self.capturing.take();
            on_own_thread(move || drop(gone))?;
            return Ok(Some(format!("{}: the input device {what}; waiting for it", self.name)));
        }
        if let Some(attempt) = &mut self.attempt {
            let Poll::Ready(done) = attempt.look() else { return Ok(None) };
            (self.attempt, self.next) = (None, Instant::now() + RETRY);
            let Some(Some(Recording { name, period_ms, capturing })) = done else { return Ok(None) };
            (self.name, self.period_ms, self.capturing) = (name, period_ms, Some(capturing));
            self.beat = Beat::new();
            return Ok(Some(format!("{}: it records again", self.name)));
        }
        if Instant::now() >= self.next {
            // In new hands: what the device before still does with the old ones comes to nothing.
            self.ring = self.ring.pass_on();
            let (device, rate, ring) = (self.device.clone(), self.rate, self.ring.clone());
            self.attempt = Some(Attempt::begin(move || again(device.as_deref(), rate, ring))?);
        }
        Ok(None)
    }
}

impl Drop for Mic {
    fn drop(&mut self) {
        close(self.capturing.take());
    }
}

/// One more attempt at `device`. The listener reads at `rate` Hz, so that no other will do.
fn again(device: Option<&str>, rate: u32, ring: Lent) -> Option<Recording> {
    let input = open_input(device, rate, PERIOD_MS).ok().filter(|input| input.rate == rate)?;
    Recording::begin(input, ring).ok()
}
