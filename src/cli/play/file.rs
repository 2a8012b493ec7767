//! Where the sound goes without a device: a file, filled from the ring.

use anyhow::Result;
use crossbeam_channel::Receiver;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wavesynth_audio::ring::Consumer;
use wavesynth_audio::sink::{Sink, SinkError};

use crate::cli::interrupt::on_own_thread;

/// Samples written at a time.
const BLOCK: usize = 256;
/// Time between two looks at an empty ring.
const NAP: Duration = Duration::from_millis(1);
/// Longest time by which it may be behind real time and still catch up.
const BEHIND: Duration = Duration::from_millis(100);

/// A file being written. Dropped before [`FileOutput::finish`], it does not appear.
pub(super) struct FileOutput {
    shared: Arc<Shared>,
    done: Receiver<Result<Box<dyn Sink>, SinkError>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    hurry: AtomicBool,
}

impl FileOutput {
    /// Writes what comes out of `ring` at `rate` Hz to `sink`, in real time until told to hurry.
    ///
    /// # Errors
    /// A system without threads to spare.
    pub(super) fn start(ring: Consumer, rate: u32, sink: Box<dyn Sink>) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let theirs = shared.clone();
        Ok(Self { shared, done: on_own_thread(move || theirs.run(ring, rate, sink))? })
    }

    /// Whether it writes as fast as it can.
    pub(super) fn hurry(&self, hurry: bool) {
        self.shared.hurry.store(hurry, Ordering::Relaxed);
    }

    /// Whether it writes no more: everything is written, or the file can't be.
    pub(super) fn is_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// Has the file appear.
    ///
    /// # Errors
    /// Those of writing it.
    pub(super) fn finish(self) -> Result<()> {
        self.done.recv()??.finish()?;
        Ok(())
    }
}

impl Drop for FileOutput {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn run(
        &self,
        mut ring: Consumer,
        rate: u32,
        mut sink: Box<dyn Sink>,
    ) -> Result<Box<dyn Sink>, SinkError> {
        let mut block = [0.0; BLOCK];
        let mut due = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            // Never more than there is: silence for missing samples is for ears.
            let n = ring.waiting().min(BLOCK);
            if n == 0 && ring.is_over() {
                // Which the ring's counters are to know.
                ring.fill(&mut block[..1]);
                return Ok(sink);
            }
            if n == 0 {
                std::thread::sleep(NAP);
                continue;
            }
            ring.fill(&mut block[..n]);
            sink.write(&block[..n])?;
            if !self.hurry.load(Ordering::Relaxed) {
                due += Duration::from_secs_f64(n as f64 / f64::from(rate));
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            due = due.max(Instant::now() - BEHIND);
        }
        Ok(sink)
    }
}
