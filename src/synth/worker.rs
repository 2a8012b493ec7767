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
    /// From the next block on, samples go there. What the outlet so far still holds is lost.
    Outlet(Box<Outlet>),
}

/// Where samples go: a ring, and what brings them to its rate.
pub struct Outlet {
    resampler: StreamResampler,
    ring: Producer,
    rate: u32,
    out: Vec<f32>,
}

impl Outlet {
    /// For samples at `voice_rate` Hz into `ring` at `rate` Hz.
    ///
    /// # Errors
    /// Rates that can't be resampled between.
    pub fn new(voice_rate: u32, rate: u32, ring: Producer) -> Result<Self, ResampleError> {
        let resampler = StreamResampler::new(voice_rate, rate, BLOCK)?;
        Ok(Self { out: Vec::with_capacity(resampler.max_block_out()), resampler, ring, rate })
    }

    /// Time by which what comes out lags behind what goes in, in ms.
    pub fn resampling_ms(&self) -> f64 {
        self.resampler.delay_out_samples() as f64 * 1000.0 / f64::from(self.rate)
    }

    /// Samples at `voice_rate` Hz that last as long as `n` in the ring.
    fn at_voice_rate(&self, n: usize, voice_rate: u32) -> usize {
        n * voice_rate as usize / self.rate as usize
    }
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
    /// The outlet that was replaced, to be dropped here.
    Replaced(Box<Outlet>),
}

/// The worker's progress. Readable from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    position: AtomicU64,
    busy_ns: AtomicU64,
    busy_samples: AtomicU64,
    primed: AtomicBool,
    done: AtomicBool,
    stop: AtomicBool,
    realtime: AtomicBool,
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

    /// Whether the system granted the engine thread a real-time priority.
    pub fn is_realtime(&self) -> bool {
        self.realtime.load(Ordering::Relaxed)
    }

    /// Notes what [`Progress::is_realtime`] tells.
    pub(super) fn set_realtime(&self, realtime: bool) {
        self.realtime.store(realtime, Ordering::Relaxed);
    }

    /// Has the worker end as soon as it can.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether the worker has handed everything to the ring, or given up.
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }
}

/// Naps without a sample taken after which commands are looked at all the same: the device may hang.
const STUCK: u32 = 200;

/// Everything that the engine thread owns.
pub struct Worker {
    synth: Synth,
    outlet: Box<Outlet>,
    /// Whether it waits for another outlet when the other end of the ring is gone.
    outlives_outlet: bool,
    /// Whether it waits for input that is late.
    patient: bool,
    commands: Receiver<Command>,
    events: Sender<Event>,
    progress: Arc<Progress>,
    block_times: Deadlines,
    block: Box<[f32]>,
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
        Ok(Self {
            outlet: Box::new(Outlet::new(synth.sample_rate(), device_rate, ring)?),
            outlives_outlet: false,
            patient: false,
            block: vec![0.0; BLOCK].into(),
            progress: Arc::default(),
            block_times: Deadlines::new(),
            pushed: 0,
            synth,
            commands,
            events,
        })
    }

    /// When the other end of the ring is gone it stands still until there is another outlet or [`Progress::stop`], where
    /// it would have ended.
    pub fn outlive_outlet(&mut self) {
        self.outlives_outlet = true;
    }

    /// Input that is late is waited for, where the voice would have gone on without: for what is not heard as it is made.
    pub fn wait_for_input(&mut self) {
        self.patient = true;
    }

    /// Progress, for other threads to watch.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }

    /// Time by which the resampler's output lags behind the synth's, in ms.
    pub fn resampling_ms(&self) -> f64 {
        self.outlet.resampling_ms()
    }

    /// The synth, once the worker has stopped.
    pub fn synth(&self) -> &Synth {
        &self.synth
    }

    /// Time that each block took.
    pub fn block_times(&self) -> &Deadlines {
        &self.block_times
    }

    /// Plays to the end, or until nobody takes what is played.
    ///
    /// # Real-time
    /// This is the engine thread.
    pub fn run(&mut self) {
        while let Some(wanted) = self.wait() {
            let start = Instant::now();
            let before = self.synth.position();
            let n = self.synth.fill(&mut self.block[..wanted]);
            let outlet = self.outlet.as_mut();
            outlet.out.clear();
            outlet.resampler.process(&self.block[..n], &mut outlet.out);
            let ended = n < wanted;
            if ended {
                if !self.push() {
                    break;
                }
                let outlet = self.outlet.as_mut();
                outlet.out.clear();
                outlet.resampler.flush(&mut outlet.out);
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
        self.outlet.ring.close();
        self.progress.primed.store(true, Ordering::Release);
        self.progress.done.store(true, Ordering::Release);
    }

    /// Handles commands, and waits until samples can be generated: how many, a block unless they wait for a listener.
    /// When its input has not come by the time that the ring holds too little for the next callback, the listener goes
    /// on without. `None` when nobody takes them.
    fn wait(&mut self) -> Option<usize> {
        loop {
            self.handle();
            if self.is_to_end() {
                return None;
            }
            let outlet = &self.outlet;
            let enough = period(outlet.ring.capacity() as u32) as usize + BLOCK / 2;
            let rate = self.synth.sample_rate();
            let (ahead, least) =
                (outlet.at_voice_rate(outlet.ring.fill(), rate), outlet.at_voice_rate(enough, rate));
            if let Some(front) = self.synth.front() {
                front.set_ahead(ahead, least);
            }
            let ready = self.synth.ready(BLOCK);
            if ready > 0 {
                return Some(ready);
            }
            let primed = self.progress.is_primed();
            match self.synth.front() {
                Some(front) if !self.patient && ahead < least && (primed || front.is_live()) => front.hold(),
                _ => {
                    // Live input will not fill the ring any further.
                    let full = ahead >= least;
                    self.progress.primed.store(primed || full, Ordering::Release);
                    std::thread::sleep(self.nap());
                }
            }
        }
    }

    /// Whether nobody takes what is played any more.
    fn is_to_end(&self) -> bool {
        let gone = !self.outlives_outlet && self.outlet.ring.is_abandoned();
        gone || self.progress.stop.load(Ordering::Acquire)
    }

    /// Whether the outlet was replaced.
    fn handle(&mut self) -> bool {
        let mut replaced = false;
        while !self.events.is_full() {
            let Ok(command) = self.commands.try_recv() else { break };
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
                Command::Outlet(outlet) => {
                    let old = std::mem::replace(&mut self.outlet, outlet);
                    self.progress.primed.store(false, Ordering::Release);
                    let _ = self.events.try_send(Event::Replaced(old));
                    replaced = true;
                }
            }
        }
        replaced
    }

    /// Hands what came out to the ring, sleeping while it is full. False when nobody takes it.
    fn push(&mut self) -> bool {
        let (mut at, mut naps) = (0, 0);
        loop {
            let Outlet { ring, out, .. } = self.outlet.as_mut();
            let n = ring.push_slice(&out[at..]);
            at += n;
            self.pushed += n as u64;
            if at == out.len() {
                return true;
            }
            let gone = ring.is_abandoned();
            self.progress.primed.store(true, Ordering::Release);
            naps = if n > 0 { 0 } else { naps + 1 };
            if self.is_to_end() {
                return false;
            }
            // The rest was made for another rate.
            if (gone || naps > STUCK) && self.handle() {
                return true;
            }
            std::thread::sleep(self.nap());
        }
    }

    /// A quarter of a block: short enough that the ring is never short of more than that.
    fn nap(&self) -> Duration {
        Duration::from_micros(BLOCK as u64 * 250_000 / u64::from(self.synth.sample_rate().max(1)))
    }
}
