//! The output device: opened, lost, and opened again. Nothing of the system's sound libraries runs on the main thread,
//! because all of it can hang.

use super::attempt::{ANSWER, Attempt, Beat, RETRY, STALL};
use super::file::FileOutput;
use crate::cli::interrupt::{GivenUp, on_own_thread, wait_for};
use crate::cli::quiet::quietly;
use anyhow::{Result, bail};
use std::task::Poll;
use std::time::Instant;
use wavesynth::synth::{Session, SessionSetup};
use wavesynth_audio::device::{self, DeviceError, Playing, PlayingStats};
use wavesynth_audio::ring::Consumer;

/// Where the samples of a session go.
pub(super) enum Out {
    Device(Playing),
    File(FileOutput),
}

/// What to open.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub name: Option<String>,
    pub rate: u32,
    pub latency_ms: f32,
}

impl Wanted {
    fn open(&self) -> Result<device::Output, DeviceError> {
        let (rate, latency_ms) = (self.rate, self.latency_ms);
        device::open(device::Request { name: self.name.as_deref(), rate, latency_ms })
    }

    /// The device, or why there is none.
    ///
    /// # Errors
    /// A signal while the sound system was asked.
    pub(super) fn first(&self) -> Result<Result<device::Output, DeviceError>> {
        let wanted = self.clone();
        match quietly(|| wait_for(Some(ANSWER), move || wanted.open())) {
            Err(e) => match e.downcast_ref() {
                Some(GivenUp::TooLong(_)) => Ok(Err(DeviceError::Host(e.to_string()))),
                _ => Err(e),
            },
            opened => opened,
        }
    }
}

/// Connects `ring` to `device` and lets it play.
pub(super) fn begin(device: device::Output, ring: Consumer) -> Result<Out> {
    let begun = move || {
        let playing = device.start(ring)?;
        playing.play()?;
        Ok::<_, DeviceError>(playing)
    };
    Ok(Out::Device(quietly(|| wait_for(Some(ANSWER), begun))??))
}

/// How a session is joined to `device`.
pub(super) fn setup(device: &device::Output) -> SessionSetup {
    let (device_rate, ring_samples) = (device.rate, device.ring_frames());
    SessionSetup { device_rate, ring_samples, realtime: true, patient: false }
}

/// Watches over the device of a session.
pub(super) struct Speaker {
    wanted: Wanted,
    /// Whether a device that has gone is waited for.
    reconnects: bool,
    pub name: String,
    pub period_frames: u32,
    /// Devices opened after the first one.
    pub reopened: u64,
    /// Counters of the devices before this one.
    before: (u64, u64),
    beat: Beat,
    down: bool,
    attempt: Option<Attempt<Result<device::Output, DeviceError>>>,
    next: Instant,
}

impl Speaker {
    pub(super) fn new(wanted: Wanted, reconnects: bool, device: &device::Output) -> Self {
        let now = Instant::now();
        Self {
            wanted,
            reconnects,
            name: device.name.clone(),
            period_frames: device.period_frames,
            reopened: 0,
            before: (0, 0),
            beat: Beat::new(),
            down: false,
            attempt: None,
            next: now,
        }
    }

    /// Whether samples are taken, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        !self.down
    }

    /// Times that devices ran dry, and the samples of silence that they played then.
    pub(super) fn gaps(&self, session: &Session<Out>) -> (u64, u64) {
        let now = stats(session);
        let of = |n: fn(PlayingStats) -> u64| now.map_or(0, n);
        (self.before.0 + of(|s| s.xruns), self.before.1 + of(|s| s.missing_samples))
    }

    /// Looks after the device; what there is to say about it.
    ///
    /// # Errors
    /// It has gone, and is not to be waited for.
    pub(super) fn watch(&mut self, session: &mut Session<Out>) -> Result<Option<String>> {
        let now = stats(session);
        let gone = now.is_none_or(|now| now.lost);
        if self.beat.look(now.map(|now| now.callbacks)) && std::mem::take(&mut self.down) && !gone {
            self.attempt = None;
            return Ok(Some(format!("{}: it plays on", self.name)));
        }
        if !self.down && (gone || self.beat.has_stalled()) {
            let what = if gone { "has gone" } else { "has stopped asking for sound" };
            if !self.reconnects {
                bail!("{}: the output device {what}", self.name);
            }
            (self.down, self.next) = (true, Instant::now());
            let or = if self.wanted.name.is_some() { "" } else { " or another one" };
            return Ok(Some(format!("{}: the output device {what}; waiting for it{or}", self.name)));
        }
        if gone && let Some(out) = session.detach() {
            self.retire(Some(out));
        }
        if self.down { self.reopen(session) } else { Ok(None) }
    }

    /// Drops a device that may hang, on a thread that may.
    fn retire(&mut self, out: Option<Out>) {
        if let Some(Out::Device(playing)) = &out {
            let last = playing.stats();
            self.before = (self.before.0 + last.xruns, self.before.1 + last.missing_samples);
        }
        let _ = on_own_thread(move || drop(out));
    }

    fn reopen(&mut self, session: &mut Session<Out>) -> Result<Option<String>> {
        let Some(attempt) = &mut self.attempt else {
            if Instant::now() >= self.next {
                let wanted = self.wanted.clone();
                self.attempt = Some(Attempt::begin(move || wanted.open())?);
            }
            return Ok(None);
        };
        let Poll::Ready(opened) = attempt.look() else { return Ok(None) };
        (self.attempt, self.next) = (None, Instant::now() + RETRY);
        let Some(Ok(device)) = opened else { return Ok(None) };
        let out = session.detach();
        self.retire(out);
        let (name, period_frames) = (device.name.clone(), device.period_frames);
        if session.attach(setup(&device), |ring| begin(device, ring)).is_err() {
            return Ok(None);
        }
        // The first callback is what says that it plays; it has some time for that.
        self.next = Instant::now() + STALL;
        self.beat = Beat::new();
        (self.name, self.period_frames) = (name, period_frames);
        self.reopened += 1;
        Ok(None)
    }
}

fn stats(session: &Session<Out>) -> Option<PlayingStats> {
    match session.output()? {
        Out::Device(playing) => Some(playing.stats()),
        Out::File(_) => None,
    }
}
