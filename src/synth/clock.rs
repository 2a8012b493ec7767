//! A device without sound: takes samples when a clock says so. For measuring and testing what a sound device would get.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wavesynth_audio::ring::Consumer;

/// When a [`ClockDevice`] takes its next samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clock {
    /// A period's worth every period, as a sound device does.
    RealTime {
        /// Samples per second.
        rate: u32,
    },
    /// Whenever there are some: no underrun comes from the clock.
    Unhurried,
}

/// A thread that empties a ring. Dropped, it lets go of the ring.
pub struct ClockDevice {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Sample whose taking is waited for; `u64::MAX` for none.
    mark: AtomicU64,
    taken_at: Mutex<Option<Instant>>,
    kept: Mutex<Vec<f32>>,
}

/// A handle to what a [`ClockDevice`] has taken, which outlives it.
#[derive(Clone)]
pub struct Taken(Arc<Shared>);

impl Taken {
    /// All samples taken so far, silence for missing ones left out.
    pub fn samples(&self) -> Vec<f32> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClockDevice {
    /// Starts taking samples from `ring`, `period` at a time, keeping them if `keep`.
    pub fn start(ring: Consumer, clock: Clock, period: usize, keep: bool) -> Self {
        let shared = Arc::new(Shared { mark: AtomicU64::new(u64::MAX), ..Shared::default() });
        let theirs = shared.clone();
        let thread = std::thread::spawn(move || theirs.run(ring, clock, period.max(1), keep));
        Self { shared, thread: Some(thread) }
    }

    /// What it has taken.
    pub fn taken(&self) -> Taken {
        Taken(self.shared.clone())
    }

    /// From now on, watch for sample `at` (counted from the first) to be taken.
    pub fn watch(&self, at: u64) {
        *self.lock() = None;
        self.shared.mark.store(at, Ordering::Release);
    }

    /// When the watched sample was taken, if it was.
    pub fn taken_at(&self) -> Option<Instant> {
        *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.shared.taken_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ClockDevice {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run(&self, mut ring: Consumer, clock: Clock, period: usize, keep: bool) {
        let mut block = vec![0.0; period];
        let stats = ring.stats();
        let start = Instant::now();
        let (mut taken, mut rounds) = (0u64, 0u64);
        while !self.stop.load(Ordering::Acquire) && !stats.finished() {
            if let Clock::RealTime { rate } = clock {
                let due = Duration::from_secs_f64((rounds * period as u64) as f64 / f64::from(rate));
                std::thread::sleep(due.saturating_sub(start.elapsed()));
            }
            rounds += 1;
            let n = ring.fill(&mut block);
            taken += n as u64;
            if keep {
                let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&block[..n]);
            }
            if taken > self.mark.load(Ordering::Acquire) {
                self.mark.store(u64::MAX, Ordering::Release);
                let mut taken_at = self.taken_at.lock().unwrap_or_else(PoisonError::into_inner);
                *taken_at = Some(Instant::now());
            }
            if n == 0 && clock == Clock::Unhurried {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }
}
