//! The engine thread: synth -> resampler -> ring, commands in between.
//!
//! Once [`Worker::run`] is running it neither allocates, frees, locks, logs nor touches a file. When the ring is full
//! it sleeps for a set time, so that the callback needs no system call to wake it.

use super::{Conditioning, Deadlines, SamplingPolicy, Synth};
use crossbeam_channel::{Receiver, Sender};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wavesynth_audio::resample::{ResampleError, StreamResampler};
use wavesynth_audio::ring::{Producer, period};

/// Samples generated at a time, at the voice's rate: 4 ms at 16 kHz, the grain at which commands take effect.
pub const BLOCK: usize = 64;

/// A command from main to the worker.
pub enum Command {
    /// See [`Synth::change`].
    Change {
        /// The conditioning to go over to.
        conditioning: Box<Conditioning>,
        /// Time that the speaker takes to become the new one, in ms.
        fade_ms: u32,
    },
    /// See [`Synth::set_policy`].
    Policy(SamplingPolicy),
    /// See [`Synth::pause`].
    Pause,
    /// See [`Synth::resume`].
    Resume,
    /// See [`Synth::stop`].
    Stop {
        /// Time to fade out, in ms.
        fade_ms: u32,
    },
}

/// A report from the worker to main.
pub enum Event {
    /// A change took effect.
    Changed {
        /// The conditioning that was replaced: to be dropped here, off the engine thread.
        retired: Box<Conditioning>,
        /// Samples handed to the ring before the first block under the new conditioning, at the device's rate.
        at_sample: u64,
    },
}

/// The worker's progress. Readable from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    position: AtomicU64,
    busy_ns: AtomicU64,
    busy_samples: AtomicU64,
    primed: AtomicBool,
    done: AtomicBool,
}

impl Progress {
    /// Samples generated so far, at the voice's rate.
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// Time spent on sound, and how many samples of it (the voice's rate), pauses left out.
    pub fn busy(&self) -> (Duration, u64) {
        let ns = self.busy_ns.load(Ordering::Relaxed);
        (Duration::from_nanos(ns), self.busy_samples.load(Ordering::Relaxed))
    }

    /// Whether the ring was full once, or everything was generated before it was.
    pub fn is_primed(&self) -> bool {
        self.primed.load(Ordering::Acquire)
    }

    /// Whether the worker has handed everything to the ring, or given up.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }
}

/// Everything that the engine thread owns.
pub struct Worker {
    synth: Synth,
    resampler: StreamResampler,
    ring: Producer,
    device_rate: u32,
    commands: Receiver<Command>,
    events: Sender<Event>,
    progress: Arc<Progress>,
    block_times: Deadlines,
    block: Box<[f32]>,
    out: Vec<f32>,
    /// Samples pushed so far.
    pushed: u64,
}

impl Worker {
    /// A worker that plays `synth` into `ring` at `device_rate` Hz.
    ///
    /// `events` must have room for one event per command that can be under way: when it is full, commands wait.
    ///
    /// # Errors
    /// A rate that can't be resampled to.
    pub fn new(
        synth: Synth,
        device_rate: u32,
        ring: Producer,
        commands: Receiver<Command>,
        events: Sender<Event>,
    ) -> Result<Self, ResampleError> {
        let resampler = StreamResampler::new(synth.sample_rate(), device_rate, BLOCK)?;
        Ok(Self {
            out: Vec::with_capacity(resampler.max_block_out()),
            block: vec![0.0; BLOCK].into(),
            progress: Arc::default(),
            block_times: Deadlines::new(),
            pushed: 0,
            synth,
            resampler,
            ring,
            device_rate,
            commands,
            events,
        })
    }

    /// Progress, for other threads to watch.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Time by which the resampler's output lags behind the synth's, in ms.
    pub fn resampling_ms(&self) -> f64 {
        self.resampler.delay_out_samples() as f64 * 1000.0 / f64::from(self.device_rate)
    }

    /// The synth, once the worker has stopped.
    pub fn synth(&self) -> &Synth {
        &self.synth
    }

    /// Time that each block took.
    pub fn block_times(&self) -> &Deadlines {
        &self.block_times
    }

    /// Plays to the end, or until the other end of the ring is gone.
    ///
    /// # Real-time
    /// This is the engine thread.
    pub fn run(&mut self) {
        while let Some(wanted) = self.wait() {
            let start = Instant::now();
            let before = self.synth.position();
            let n = self.synth.fill(&mut self.block[..wanted]);
            self.out.clear();
            self.resampler.process(&self.block[..n], &mut self.out);
            let ended = n < wanted;
            if ended {
                if !self.push() {
                    break;
                }
                self.out.clear();
                self.resampler.flush(&mut self.out);
            }
            let took = start.elapsed();
            let written = self.synth.position() - before;
            self.progress.position.store(self.synth.position(), Ordering::Relaxed);
            if written == BLOCK as u64 {
                self.block_times.record(took);
                self.progress.busy_ns.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
                self.progress.busy_samples.fetch_add(written, Ordering::Relaxed);
            }
            if !self.push() || ended {
                break;
            }
        }
        self.ring.close();
        self.progress.primed.store(true, Ordering::Release);
        self.progress.done.store(true, Ordering::Release);
    }

    /// Handles commands, and waits until samples can be generated: how many, a block unless they wait for a listener.
    /// When its input has not come by the time that the ring holds too little for the next callback, the listener goes
    /// on without. `None` when the other end of the ring is gone.
    fn wait(&mut self) -> Option<usize> {
        loop {
            self.handle();
            let enough = period(self.ring.capacity() as u32) as usize + BLOCK / 2;
            let at_voice_rate = |n: usize| n * self.synth.sample_rate() as usize / self.device_rate as usize;
            let (ahead, least) = (at_voice_rate(self.ring.fill()), at_voice_rate(enough));
            if let Some(front) = self.synth.front() {
                front.set_ahead(ahead, least);
            }
            let ready = self.synth.ready(BLOCK);
            if ready > 0 {
                return Some(ready);
            }
            let primed = self.progress.is_primed();
            match self.synth.front() {
                Some(front) if ahead < least && (primed || front.is_live()) => front.hold(),
                _ if self.ring.is_abandoned() => return None,
                _ => {
                    // Live input will not fill the ring any further.
                    let full = ahead >= least;
                    self.progress.primed.store(primed || full, Ordering::Release);
                    std::thread::sleep(self.nap());
                }
            }
        }
    }

    fn handle(&mut self) {
        while !self.events.is_full() {
            let Ok(command) = self.commands.try_recv() else { return };
            match command {
                Command::Change { conditioning, fade_ms } => {
                    let retired = self.synth.change(conditioning, fade_ms);
                    let event = Event::Changed { retired, at_sample: self.pushed };
                    // There is room, and this is the only sender; when the receiver is gone, a drop does no harm.
                    let _ = self.events.try_send(event);
                }
                Command::Policy(policy) => self.synth.set_policy(policy),
                Command::Pause => self.synth.pause(),
                Command::Resume => self.synth.resume(),
                Command::Stop { fade_ms } => self.synth.stop(fade_ms),
            }
        }
    }

    /// Hands `out` to the ring, sleeping while it is full. False when its other end is gone.
    fn push(&mut self) -> bool {
        let mut at = 0;
        loop {
            let n = self.ring.push_slice(&self.out[at..]);
            at += n;
            self.pushed += n as u64;
            if at == self.out.len() {
                return true;
            }
            self.progress.primed.store(true, Ordering::Release);
            if self.ring.is_abandoned() {
                return false;
            }
            std::thread::sleep(self.nap());
        }
    }

    /// A quarter of a block: short enough that the ring is never short of more than that.
    fn nap(&self) -> Duration {
        Duration::from_micros(BLOCK as u64 * 250_000 / u64::from(self.synth.sample_rate().max(1)))
    }
}
