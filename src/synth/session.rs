//! Starting, steering and ending a [`Worker`] on its own thread, whatever consumes the samples.

use super::{Command, Deadlines, Event, Outlet, Progress, Synth, Worker, without_denormals};
use anyhow::{Context, Result, anyhow};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
#[cfg(feature = "device")]
use wavesynth_audio::device::raise_priority;
use wavesynth_audio::ring::{self, Consumer, Stats};

/// Commands that can be under way at once. As many events have room, so that the worker can always report.
const COMMANDS: usize = 64;
/// Longest wait for a new ring to be filled.
const PRIMING: Duration = Duration::from_secs(1);

/// How the worker and its consumer are joined.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionSetup {
    /// Samples per second on the consumer's side.
    pub device_rate: u32,
    /// Size of the ring in samples at that rate.
    pub ring_samples: usize,
    /// Whether to ask the system for real-time scheduling of the engine thread, in a build with the feature `device`.
    pub realtime: bool,
    /// Whether input that is late is waited for, see [`Worker::wait_for_input`].
    pub patient: bool,
}

/// A voice playing. `O` is whatever consumes the samples: a device's stream, or a test's thread.
pub struct Session<O> {
    output: Option<O>,
    setup: SessionSetup,
    commands: Sender<Command>,
    events: Receiver<Event>,
    progress: Arc<Progress>,
    stats: Stats,
    /// Of the outputs before.
    before: Counts,
    stop: StopOnDrop,
    voice_rate: u32,
    resampling_ms: f64,
    thread: JoinHandle<Worker>,
    started: Instant,
}

/// Ends the worker whenever nobody is left to steer it.
struct StopOnDrop(Arc<Progress>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What the consumers of a session have counted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Samples handed over.
    pub played: u64,
    /// Times that the ring was found empty in mid-stream.
    pub underruns: u64,
    /// Samples of silence that were played then.
    pub missing_samples: u64,
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
        let (mut session, consumer) = Self::prepare(synth, setup)?;
        while !session.is_primed() {
            std::thread::sleep(Duration::from_millis(1));
        }
        session.output = Some(open(consumer)?);
        Ok(session)
    }

    /// Starts the engine. What consumes the ring's other end is to be started once [`Session::is_primed`], and handed to
    /// [`Session::connect`].
    ///
    /// # Errors
    /// A rate that can't be resampled to.
    pub fn prepare(synth: Synth, setup: SessionSetup) -> Result<(Self, Consumer)> {
        let (producer, consumer) = ring::ring(setup.ring_samples);
        let stats = producer.stats();
        let (commands, inbox) = bounded(COMMANDS);
        let (outbox, events) = bounded(COMMANDS);
        let voice_rate = synth.sample_rate();
        let mut worker = Worker::new(synth, setup.device_rate, producer, inbox, outbox)?;
        worker.outlive_outlet();
        if setup.patient {
            worker.wait_for_input();
        }
        let (progress, resampling_ms) = (worker.progress(), worker.resampling_ms());
        let started = Instant::now();
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || {
                worker.progress().set_realtime(setup.realtime && raise_priority());
                without_denormals(|| worker.run());
                worker
            })
            .context("the engine thread could not be started")?;
        let session = Self {
            output: None,
            before: Counts::default(),
            stop: StopOnDrop(progress.clone()),
            setup,
            commands,
            events,
            progress,
            stats,
            voice_rate,
            resampling_ms,
            thread,
            started,
        };
        Ok((session, consumer))
    }

    /// Whether the ring was full once, or nothing more comes.
    pub fn is_primed(&self) -> bool {
        self.progress.is_primed() || self.thread.is_finished()
    }

    /// Takes what consumes the ring.
    pub fn connect(&mut self, output: O) {
        self.output = Some(output);
    }

    /// Has `open` start another consumer, in place of one that takes no more: the sound goes on from where it stands, less
    /// what the old ring still held, and rises from silence. Takes the time that filling the ring takes, a second at most.
    ///
    /// # Errors
    /// A rate that can't be resampled to, too many commands under way, or an error of `open`: then there is no output.
    pub fn attach(&mut self, setup: SessionSetup, open: impl FnOnce(Consumer) -> Result<O>) -> Result<()> {
        let (producer, mut consumer) = ring::ring(setup.ring_samples);
        consumer.rise();
        let stats = producer.stats();
        let outlet = Box::new(Outlet::new(self.voice_rate, setup.device_rate, producer)?);
        let resampling_ms = outlet.resampling_ms();
        if !self.send(Command::Outlet(outlet)) {
            return Err(anyhow!("too many commands at once"));
        }
        self.before = self.counts();
        (self.stats, self.setup, self.resampling_ms) = (stats, setup, resampling_ms);
        // Where the engine holds still or is too slow, the sound begins with a gap and no later.
        let start = Instant::now();
        let mut replaced = false;
        while !(replaced && self.progress.is_primed()) && start.elapsed() < PRIMING {
            replaced |= self.events().any(|event| matches!(event, Event::Replaced(_)));
            std::thread::sleep(Duration::from_millis(1));
        }
        self.output = Some(open(consumer)?);
        Ok(())
    }

    /// Sends a command to the worker. False when too many are under way already.
    pub fn send(&self, command: Command) -> bool {
        self.commands.try_send(command).is_ok()
    }

    /// Takes the worker's events. Call it often: they hold values that the worker may not drop itself.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.events.try_iter()
    }

    /// The consumer of the samples, if there is one.
    pub fn output(&self) -> Option<&O> {
        self.output.as_ref()
    }

    /// Takes the consumer away. The voice stands still until [`Session::attach`].
    pub fn detach(&mut self) -> Option<O> {
        self.output.take()
    }

    /// How the worker and its consumer are joined now.
    pub fn setup(&self) -> SessionSetup {
        self.setup
    }

    /// The worker's progress.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The same, to be watched from other threads and after the session.
    pub fn progress_handle(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Time that resampling to the consumer's rate takes, in ms.
    pub fn resampling_ms(&self) -> f64 {
        self.resampling_ms
    }

    /// Samples left in the ring after the consumer's last look.
    pub fn fill(&self) -> usize {
        self.stats.fill()
    }

    /// What all consumers have counted.
    pub fn counts(&self) -> Counts {
        Counts {
            played: self.before.played + self.stats.played_samples(),
            underruns: self.before.underruns + self.stats.underruns(),
            missing_samples: self.before.missing_samples + self.stats.missing_samples(),
        }
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
        let (wall, counts) = (self.started.elapsed(), self.counts());
        drop(self.stop);
        drop(self.output);
        let worker = self.thread.join().map_err(|_| anyhow!("the engine stopped on an internal error"))?;
        Ok(SessionReport {
            samples: worker.synth().position(),
            played: counts.played,
            underruns: counts.underruns,
            missing_samples: counts.missing_samples,
            peak: worker.synth().peak(),
            block_times: worker.block_times().clone(),
            busy: self.progress.busy(),
            realtime: self.progress.is_realtime(),
            wall,
        })
    }
}

/// Without sound devices nothing is played in real time.
#[cfg(not(feature = "device"))]
fn raise_priority() -> bool {
    false
}
