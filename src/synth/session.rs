//! Starting, steering and ending a [`Worker`] on its own thread, whatever consumes the samples.

use super::{Command, Deadlines, Event, Progress, Synth, Worker, without_denormals};
use anyhow::{Context, Result, anyhow};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wavesynth_audio::ring::{self, Consumer, Stats};

/// Commands that can be under way at once. As many events have room, so that the worker can always report.
const COMMANDS: usize = 64;

/// How the worker and its consumer are joined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionSetup {
    /// Samples per second on the consumer's side.
    pub device_rate: u32,
    /// Size of the ring in samples at that rate.
    pub ring_samples: usize,
    /// Whether to ask the system for real-time scheduling of the engine thread, in a build with the feature `device`.
    pub realtime: bool,
}

/// A voice playing. `O` is whatever consumes the samples: a device's stream, or a test's thread.
pub struct Session<O> {
    output: O,
    commands: Sender<Command>,
    events: Receiver<Event>,
    progress: Arc<Progress>,
    stats: Stats,
    resampling_ms: f64,
    thread: JoinHandle<(Worker, bool)>,
    started: Instant,
}

/// What a session measured.
pub struct SessionReport {
    /// Samples generated, at the voice's rate.
    pub samples: u64,
    /// Samples handed to the consumer, at its rate.
    pub played: u64,
    /// Times the consumer found the ring empty in mid-stream.
    pub underruns: u64,
    /// Samples of silence that it played then.
    pub missing_samples: u64,
    /// Largest magnitude.
    pub peak: f32,
    /// Time that each block of [`super::BLOCK`] samples took.
    pub block_times: Deadlines,
    /// Engine time, and samples made in it.
    pub busy: (Duration, u64),
    /// Whether the system granted the engine thread a real-time priority.
    pub realtime: bool,
    /// From the start of the engine to the end of the session.
    pub wall: Duration,
}

impl<O> Session<O> {
    /// Starts the engine, waits until the ring is full, then has `open` start what consumes it.
    ///
    /// # Errors
    /// A rate that can't be resampled to, or an error of `open`.
    pub fn start(
        synth: Synth,
        setup: SessionSetup,
        open: impl FnOnce(Consumer) -> Result<O>,
    ) -> Result<Self> {
        let (producer, consumer) = ring::ring(setup.ring_samples);
        let stats = producer.stats();
        let (commands, inbox) = bounded(COMMANDS);
        let (outbox, events) = bounded(COMMANDS);
        let mut worker = Worker::new(synth, setup.device_rate, producer, inbox, outbox)?;
        let (progress, resampling_ms) = (worker.progress(), worker.resampling_ms());
        let started = Instant::now();
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                let raised = setup.realtime && raise_priority();
                without_denormals(|| worker.run());
                (worker, raised)
            })
            .context("the engine thread could not be started")?;
        while !progress.is_primed() && !thread.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let output = open(consumer)?;
        Ok(Self { output, commands, events, progress, stats, resampling_ms, thread, started })
    }

    /// Sends a command to the worker. False when too many are under way already.
    pub fn send(&self, command: Command) -> bool {
        self.commands.try_send(command).is_ok()
    }

    /// Takes the worker's events. Call it often: they hold values that the worker may not drop itself.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.events.try_iter()
    }

    /// The consumer of the samples.
    pub fn output(&self) -> &O {
        &self.output
    }

    /// The worker's progress.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Time that resampling to the consumer's rate takes, in ms.
    pub fn resampling_ms(&self) -> f64 {
        self.resampling_ms
    }

    /// The consumer's counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether the last sample was handed to the consumer.
    pub fn is_finished(&self) -> bool {
        self.stats.finished()
    }

    /// Drops the output, in mid-stream if need be, and returns the session's report.
    ///
    /// # Errors
    /// The engine thread has panicked.
    pub fn end(self) -> Result<SessionReport> {
        let wall = self.started.elapsed();
        // The worker stops by itself once its ring's other end is gone.
        drop(self.output);
        let (worker, realtime) =
            self.thread.join().map_err(|_| anyhow!("the engine stopped on an internal error"))?;
        Ok(SessionReport {
            samples: worker.synth().position(),
            played: self.stats.played_samples(),
            underruns: self.stats.underruns(),
            missing_samples: self.stats.missing_samples(),
            peak: worker.synth().peak(),
            block_times: worker.block_times().clone(),
            busy: self.progress.busy(),
            realtime,
            wall,
        })
    }
}

/// Without sound devices nothing is played in real time.
#[cfg(not(feature = "device"))]
fn raise_priority() -> bool {
    false
}

/// Asks for real-time scheduling; most systems refuse it to ordinary users, and playing works without.
#[cfg(feature = "device")]
fn raise_priority() -> bool {
    #[cfg(unix)]
    {
        use thread_priority::unix::{
            RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id,
        };
        use thread_priority::{ThreadPriority, ThreadPriorityValue};
        // Far below what the system's own real-time threads use (the sound server's among them).
        let Ok(low) = ThreadPriorityValue::try_from(10u8) else { return false };
        set_thread_priority_and_policy(
            thread_native_id(),
            ThreadPriority::Crossplatform(low),
            ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
        )
        .is_ok()
    }
    #[cfg(not(unix))]
    {
        thread_priority::set_current_thread_priority(thread_priority::ThreadPriority::Max).is_ok()
    }
}
