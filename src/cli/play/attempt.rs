//! What output devices and microphones have in common: they stop calling back, and are opened again by attempts on threads of
//! their own, because all that the system's sound libraries do can hang.

use crate::cli::interrupt::on_own_thread;
use crate::cli::quiet::Quiet;
use anyhow::Result;
use crossbeam_channel::{Receiver, TryRecvError};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Time that a sound system has to answer.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// A device that has not called back for so long has stopped working.
pub(super) const STALL: Duration = Duration::from_secs(3);
/// Time between two attempts.
pub(super) const RETRY: Duration = Duration::from_millis(250);
/// Longest time that an attempt keeps standard error from what the sound libraries write.
const QUIET: Duration = Duration::from_secs(1);
/// Longest step of time at once: of a program that was suspended no device is at fault.
const STEP: Duration = Duration::from_millis(100);
/// Time to close a device at the end.
const CLOSE: Duration = Duration::from_secs(1);

/// An attempt under way.
pub(super) struct Attempt<T> {
    done: Receiver<T>,
    since: Instant,
    quiet: Option<Quiet>,
}

impl<T: Send + 'static> Attempt<T> {
    /// Begins `work`.
    ///
    /// # Errors
    /// A system without threads to spare.
    pub(super) fn begin(work: impl FnOnce() -> T + Send + 'static) -> Result<Self> {
        let (since, quiet) = (Instant::now(), Some(Quiet::new()));
        Ok(Self { done: on_own_thread(work)?, since, quiet })
    }

    /// What came of it; `None` where its thread came to nothing.
    pub(super) fn look(&mut self) -> Poll<Option<T>> {
        if self.since.elapsed() > QUIET {
            self.quiet = None;
        }
        match self.done.try_recv() {
            Err(TryRecvError::Empty) => Poll::Pending,
            done => Poll::Ready(done.ok()),
        }
    }
}

/// How long a device has not called back.
pub(super) struct Beat {
    callbacks: u64,
    still: Duration,
    looked: Instant,
}

impl Beat {
    /// Of a device that has not called back yet.
    pub(super) fn new() -> Self {
        Self { callbacks: 0, still: Duration::ZERO, looked: Instant::now() }
    }

    /// Whether a device that has called back so many times, `None` for none at all, has done so since the last look.
    pub(super) fn look(&mut self, callbacks: Option<u64>) -> bool {
        let step = self.looked.elapsed().min(STEP);
        self.looked = Instant::now();
        match callbacks {
            Some(callbacks) if callbacks != self.callbacks => {
                (self.callbacks, self.still) = (callbacks, Duration::ZERO);
                true
            }
            _ => {
                self.still += step;
                false
            }
        }
    }

    /// Whether it has stopped working.
    pub(super) fn has_stalled(&self) -> bool {
        self.still > STALL
    }
}

/// Drops what may hang, waiting for it no longer than a second.
pub(super) fn close(what: impl Send + 'static) {
    if let Ok(done) = on_own_thread(move || drop(what)) {
        let _ = done.recv_timeout(CLOSE);
    }
}
