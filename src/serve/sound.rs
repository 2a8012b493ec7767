//! A sound as its reader sees it: samples while they are made, an end, and what ended it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use wavesynth_audio::ring::Consumer;
use wavesynth_models::ar::NotFinite;

/// Time between two looks at the ring. The engine wakes nobody: that would be a system call for each block.
const LOOK: Duration = Duration::from_millis(2);

/// Sound that is handed on at a time, at least, but for the first and the last, in ms.
const LEAST_MS: usize = 40;

/// Time in which a sound fades that is cut off because the server ends, in ms.
const FADE_MS: usize = 100;

/// Time that the samples of the fade have to come.
const LAST: Duration = Duration::from_millis(500);

/// What ended a sound: set by the engine before it closes the ring.
#[derive(Debug, Default)]
pub struct Outcome(AtomicU8);

const WHOLE: u8 = 1;
const NOT_FINITE: u8 = 2;

impl Outcome {
    /// Says that the sound is whole, or that its numbers were none.
    pub fn set(&self, is_finite: bool) {
        self.0.store(if is_finite { WHOLE } else { NOT_FINITE }, Ordering::Release);
    }
}

/// Why a sound is not whole.
#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    /// Damaged weights.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// The engine thread is gone.
    #[error("the engine stopped on an internal error")]
    Engine,
    /// It has taken longer than a request may.
    #[error("the request took longer than it may (--timeout)")]
    TooLong,
}

/// The reader's end of a sound. Dropped, its slot is free.
pub struct Sound {
    ring: Consumer,
    outcome: Arc<Outcome>,
    rate: u32,
    samples: Option<u64>,
    /// Whether any of it was handed on.
    is_begun: bool,
    /// Whether it was cut off.
    is_cut: bool,
}

impl Sound {
    pub(super) fn new(ring: Consumer, outcome: Arc<Outcome>, rate: u32, samples: Option<u64>) -> Self {
        Self { ring, outcome, rate, samples, is_begun: false, is_cut: false }
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// How many samples it has; `None` where that is not known ahead.
    pub fn samples(&self) -> Option<u64> {
        self.samples
    }

    /// Waits for samples and puts them into `block`, as many as there are; none at the end. Once `is_ending`, the sound
    /// fades away and ends.
    ///
    /// # Errors
    /// A sound that is not whole, or `deadline` has passed.
    pub async fn next(
        &mut self,
        block: &mut Vec<f32>,
        deadline: Instant,
        is_ending: impl Fn() -> bool,
    ) -> Result<(), SoundError> {
        block.clear();
        if self.is_cut {
            return Ok(());
        }
        timeout_at(deadline, self.wait(&is_ending)).await.map_err(|_| SoundError::TooLong)?;
        let waiting = self.ring.waiting();
        if is_ending() {
            self.is_cut = true;
            let n = waiting.min(self.rate as usize * FADE_MS / 1000);
            block.resize(n, 0.0);
            self.ring.fill(block);
            block.iter_mut().enumerate().for_each(|(i, x)| *x *= 1.0 - (i + 1) as f32 / n as f32);
            return Ok(());
        }
        self.is_begun = true;
        block.resize(waiting, 0.0);
        self.ring.fill(block);
        match (waiting, self.outcome.0.load(Ordering::Acquire)) {
            (1.., _) | (0, WHOLE) => Ok(()),
            (0, NOT_FINITE) => Err(NotFinite.into()),
            (0, _) => Err(SoundError::Engine),
        }
    }

    /// Until there are samples, or there are no more to come; once `is_ending`, as many as the fade takes, if they come soon.
    async fn wait(&mut self, is_ending: &impl Fn() -> bool) {
        let of = |ms: usize| self.rate as usize * ms / 1000;
        let mut given_up = None;
        loop {
            let least = match (is_ending(), self.is_begun) {
                (true, _) => of(FADE_MS),
                (false, true) => of(LEAST_MS),
                (false, false) => 1,
            };
            if self.ring.waiting() >= least || self.ring.is_closed() {
                return;
            }
            if is_ending() && Instant::now() > *given_up.get_or_insert_with(|| Instant::now() + LAST) {
                return;
            }
            sleep(LOOK).await;
        }
    }
}
