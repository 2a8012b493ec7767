//! What the callbacks report, and how they count it.

use super::timeline::Found;
use cpal::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A device that only errs for so long is lost.
const GONE_AFTER: Duration = Duration::from_millis(300);
/// Time between two errors of a device that only errs, so that its thread leaves others some of the processor.
const BREATH: Duration = Duration::from_millis(1);

/// What the device reported so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlayingStats {
    /// Times the callback ran.
    pub callbacks: u64,
    /// Times that the device ran dry: those that its clock shows or, if it reported more, those. The ring's own count is
    /// the other half.
    pub xruns: u64,
    /// Samples of silence that it played then, by its clock.
    pub missing_samples: u64,
    /// Other errors it reported, a burst of them counted once. One at the start is common.
    pub errors: u64,
    /// True when the device has gone and a new one must be opened.
    pub lost: bool,
    /// Time from the last callback to the sound of its first sample, ms; 0 before the first one.
    pub latency_ms: f32,
    /// Whether the system granted the callback's thread a real-time priority.
    pub realtime: bool,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) callbacks: AtomicU64,
    pub(super) xruns: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) lost: AtomicBool,
    /// See [`Timeline`].
    pub(super) gaps: AtomicU64,
    pub(super) missing: AtomicU64,
    pub(super) realtime: AtomicBool,
    /// Bits of an f32.
    latency_ms: AtomicU32,
}

impl Counters {
    /// At the end of each data callback.
    ///
    /// # Real-time
    /// Writes atomics.
    pub(super) fn called(&self, latency: Duration) {
        let ms = latency.as_secs_f32() * 1_000.0;
        self.latency_ms.store(ms.to_bits(), Ordering::Relaxed);
        self.callbacks.fetch_add(1, Ordering::Relaxed);
    }

    /// What [`Timeline::callback`](super::timeline::Timeline::callback) has found.
    ///
    /// # Real-time
    /// Writes atomics.
    pub(super) fn found(&self, found: Found) {
        self.gaps.fetch_add(found.gap.into(), Ordering::Relaxed);
        // Only the callback writes here.
        let missing = self.missing.load(Ordering::Relaxed);
        self.missing.store(missing.saturating_add_signed(found.samples), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> PlayingStats {
        let c = self;
        PlayingStats {
            callbacks: c.callbacks.load(Ordering::Relaxed),
            xruns: c.xruns.load(Ordering::Relaxed).max(c.gaps.load(Ordering::Relaxed)),
            missing_samples: c.missing.load(Ordering::Relaxed),
            errors: c.errors.load(Ordering::Relaxed),
            lost: c.lost.load(Ordering::Relaxed),
            latency_ms: f32::from_bits(c.latency_ms.load(Ordering::Relaxed)),
            realtime: c.realtime.load(Ordering::Relaxed),
        }
    }
}

/// What the error callback keeps between calls. After a glitch, or before the first callback, hosts may report the same
/// error a thousand times in a row: all reports between two data callbacks are one.
pub(super) struct ErrorLog {
    counters: Arc<Counters>,
    /// Callbacks at the first report of this burst, and its time.
    burst: Option<(u64, Instant)>,
    xrun: bool,
    other: bool,
}

impl ErrorLog {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { counters, burst: None, xrun: false, other: false }
    }

    /// # Real-time
    /// Reads and writes atomics. Sleeps only where nothing plays: from the second error in a row on.
    pub(super) fn note(&mut self, kind: ErrorKind, now: Instant) {
        // Nothing is broken: the stream goes on, elsewhere or at ordinary priority.
        if matches!(kind, ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied) {
            return;
        }
        let c = &*self.counters;
        let callbacks = c.callbacks.load(Ordering::Relaxed);
        let since = match self.burst {
            Some((at, since)) if at == callbacks => {
                std::thread::sleep(BREATH);
                since
            }
            _ => {
                self.burst = Some((callbacks, now));
                (self.xrun, self.other) = (false, false);
                now
            }
        };
        let gone = matches!(
            kind,
            ErrorKind::DeviceNotAvailable | ErrorKind::StreamInvalidated | ErrorKind::HostUnavailable
        );
        if gone || now.saturating_duration_since(since) > GONE_AFTER {
            c.lost.store(true, Ordering::Relaxed);
        }
        if kind == ErrorKind::Xrun {
            c.xruns.fetch_add(u64::from(!self.xrun), Ordering::Relaxed);
            self.xrun = true;
        } else {
            c.errors.fetch_add(u64::from(!self.other), Ordering::Relaxed);
            self.other = true;
        }
    }
}
