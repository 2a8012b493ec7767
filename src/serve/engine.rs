//! The engine: one thread that generates all sounds in lockstep, so that every weight that is read serves all of them.
//!
//! Each sound has a slot and a ring. The thread goes round: it frees the slots of readers that have left, lets new sounds
//! in, and makes one frame of every sound whose ring has room for it. A sound whose reader is slow stands still; the others
//! go on. What a slot held goes back to be dropped elsewhere.

mod measure;

pub use measure::{Capacity, measure};

use super::sound::{Outcome, Sound};
use crate::synth::{Ensemble, PreparedPart, without_denormals};
use crate::voice::Voice;
use anyhow::{Context, Result, anyhow};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wavesynth_audio::ring::{self, Producer};

/// Sound that waits for a reader at most, in ms.
const AHEAD_MS: usize = 2000;

/// Time without work after which the thread looks whether it is to end.
const IDLE: Duration = Duration::from_millis(100);

/// Weight of the newest round in the mean of what a sound costs.
const NEWEST: f32 = 1.0 / 64.0;

/// A sound on its way to a slot.
struct Start {
    part: PreparedPart,
    ring: Producer,
    outcome: Arc<Outcome>,
}

/// What a slot held.
type Retired = (PreparedPart, (Producer, Arc<Outcome>));

/// What the engine has done so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Samples made, of all sounds together.
    samples: AtomicU64,
    /// Time that they took, in ns.
    busy_ns: AtomicU64,
    /// Slots that nobody has.
    free: AtomicUsize,
    /// The part of real time that one sound takes of late, as the bits of an `f32`.
    share: AtomicU32,
    stop: AtomicBool,
}

/// The engine, seen from the server.
pub struct Engine {
    slots: usize,
    /// Whether a slot is kept back that the machine could not fill in real time at the moment.
    is_guarded: bool,
    sample_rate: u32,
    starts: Sender<Start>,
    retired: Receiver<Retired>,
    counters: Arc<Counters>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A slot that is kept for one sound. Dropped, it is free again.
pub struct Slot {
    engine: Arc<Engine>,
    given: bool,
}

impl Engine {
    /// Starts the thread, with room for `slots` sounds of `voice` at a time; for fewer while the machine is too busy to make one
    /// more in real time, where it `is_guarded`.
    ///
    /// # Errors
    /// More memory than is allowed, or a system without threads to spare.
    pub fn start(voice: &Voice, slots: usize, is_guarded: bool) -> Result<Self> {
        voice.model.check_room(slots)?;
        let (starts, inbox) = bounded(slots);
        // Twice the slots: whoever fills one has looked here before.
        let (outbox, retired) = bounded(2 * slots);
        let counters = Arc::new(Counters { free: AtomicUsize::new(slots), ..Counters::default() });
        let mut worker = Worker::new(voice, slots, inbox, outbox, counters.clone());
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || without_denormals(|| worker.run()))
            .context("the engine thread could not be started")?;
        let sample_rate = voice.section.sample_rate;
        Ok(Self {
            slots,
            is_guarded,
            sample_rate,
            starts,
            retired,
            counters,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Keeps a slot for a sound; `None` where all are taken, or the machine is too busy.
    pub fn reserve(self: &Arc<Self>) -> Option<Slot> {
        self.drop_retired();
        let share = f32::from_bits(self.counters.share.load(Ordering::Relaxed));
        let fits = |taken: usize| !self.is_guarded || taken == 0 || share * (taken + 1) as f32 <= 1.0;
        let less = |free: usize| free.checked_sub(1).filter(|_| fits(self.slots - free));
        let taken = self.counters.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        taken.ok().map(|_| Slot { engine: self.clone(), given: false })
    }

    /// Drops what the engine is done with. To be called now and then.
    pub fn drop_retired(&self) {
        self.retired.try_iter().for_each(drop);
    }

    /// Sounds that it makes at a time.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Slots that nobody has.
    pub fn free(&self) -> usize {
        self.counters.free.load(Ordering::Acquire)
    }

    /// Samples per second of the sounds.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Seconds of sound made so far, and seconds that it took.
    pub fn made(&self) -> (f64, f64) {
        let samples = self.counters.samples.load(Ordering::Relaxed) as f64;
        let busy = Duration::from_nanos(self.counters.busy_ns.load(Ordering::Relaxed));
        (samples / f64::from(self.sample_rate), busy.as_secs_f64())
    }

    /// Whether the thread is at work; it ends by itself on an internal error alone.
    pub fn is_alive(&self) -> bool {
        self.thread.lock().is_ok_and(|t| t.as_ref().is_some_and(|t| !t.is_finished()))
    }

    /// Ends the thread.
    ///
    /// # Errors
    /// It has panicked.
    pub fn end(&self) -> Result<()> {
        self.counters.stop.store(true, Ordering::Release);
        let thread = self.thread.lock().ok().and_then(|mut t| t.take());
        let done = thread.map_or(Ok(()), JoinHandle::join);
        done.map_err(|_| anyhow!("the engine stopped on an internal error"))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.counters.stop.store(true, Ordering::Release);
    }
}

impl Slot {
    /// Has the engine generate `part`, which was prepared for its voice.
    ///
    /// # Errors
    /// The engine thread has panicked.
    pub fn start(mut self, part: PreparedPart) -> Result<Sound> {
        let (samples, rate) = (part.samples(), self.engine.sample_rate);
        let (ring, consumer) = ring::ring(rate as usize * AHEAD_MS / 1000);
        let outcome = Arc::new(Outcome::default());
        let start = Start { part, ring, outcome: outcome.clone() };
        self.engine.starts.try_send(start).map_err(|_| anyhow!("the engine has stopped"))?;
        self.given = true;
        Ok(Sound::new(consumer, outcome, rate, samples))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.given {
            self.engine.counters.free.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// What the thread owns.
struct Worker {
    ensemble: Ensemble,
    /// By slot, which is the number of the stream, too.
    places: Vec<Option<(Producer, Arc<Outcome>)>>,
    /// Samples that are made at a time: those of a frame.
    block: usize,
    blocks: Vec<Vec<f32>>,
    /// By slot: whether its sound goes on in this round.
    going: Vec<bool>,
    written: Vec<usize>,
    starts: Receiver<Start>,
    retired: Sender<Retired>,
    counters: Arc<Counters>,
    /// What a block lasts, in s.
    block_s: f32,
    /// See [`Counters::share`].
    share: f32,
    /// A quarter of a block: how long it sleeps where no ring has room.
    nap: Duration,
}

impl Worker {
    fn new(
        voice: &Voice,
        slots: usize,
        starts: Receiver<Start>,
        retired: Sender<Retired>,
        counters: Arc<Counters>,
    ) -> Self {
        let block = voice.model.config.facts().hop.max(1);
        let rate = u64::from(voice.section.sample_rate.max(1));
        Self {
            ensemble: Ensemble::new(voice, slots),
            places: (0..slots).map(|_| None).collect(),
            blocks: vec![vec![0.0; block]; slots],
            going: vec![false; slots],
            written: vec![0; slots],
            block_s: block as f32 / rate as f32,
            share: 0.0,
            nap: Duration::from_micros(block as u64 * 250_000 / rate),
            block,
            starts,
            retired,
            counters,
        }
    }

    /// # Real-time
    /// Neither allocates, frees nor locks while there is a sound to make. Without one it waits for the next.
    fn run(&mut self) {
        while !self.counters.stop.load(Ordering::Acquire) {
            self.free_left();
            while let Ok(start) = self.starts.try_recv() {
                self.place(start);
            }
            if self.places.iter().all(Option::is_none) {
                match self.starts.recv_timeout(IDLE) {
                    Ok(start) => self.place(start),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            } else if !self.step() {
                std::thread::sleep(self.nap);
            }
        }
    }

    /// Frees the slots whose readers have left.
    fn free_left(&mut self) {
        for at in 0..self.places.len() {
            if self.places[at].as_ref().is_some_and(|(ring, _)| ring.is_abandoned()) {
                self.free(at);
            }
        }
    }

    fn place(&mut self, start: Start) {
        let Start { part, ring, outcome } = start;
        // There is one: its sender has reserved it.
        let Some(at) = self.places.iter().position(Option::is_none) else { return };
        self.places[at] = Some((ring, outcome));
        self.ensemble.start_prepared(at, part);
    }

    fn free(&mut self, at: usize) {
        let part = self.ensemble.take(at);
        if let (Some(place), Some(part)) = (self.places[at].take(), part) {
            // There is room: see `Engine::start`.
            let _ = self.retired.try_send((part, place));
        }
        self.counters.free.fetch_add(1, Ordering::AcqRel);
    }

    /// One block of every sound that can go on. False where none can.
    fn step(&mut self) -> bool {
        for (at, place) in self.places.iter().enumerate() {
            let can = |(ring, _): &(Producer, _)| {
                ring.free() >= self.block && self.ensemble.ready(at, self.block) > 0
            };
            self.going[at] = place.as_ref().is_some_and(can);
            match (place.is_some(), self.going[at]) {
                (false, _) => {}
                (true, true) => self.ensemble.resume(at),
                (true, false) => self.ensemble.pause(at),
            }
        }
        if self.ensemble.running() == 0 {
            return false;
        }
        let start = Instant::now();
        self.ensemble.fill(self.block, &mut self.blocks, &mut self.written);
        for at in 0..self.places.len() {
            let Some((ring, outcome)) = self.places[at].as_mut().filter(|_| self.going[at]) else { continue };
            let is_finite = self.ensemble.is_finite(at);
            if is_finite {
                ring.push_slice(&self.blocks[at][..self.written[at]]);
            }
            if !is_finite || !self.ensemble.is_running(at) {
                outcome.set(is_finite);
                ring.close();
                self.free(at);
            }
        }
        let took = start.elapsed();
        let going = self.going.iter().filter(|going| **going).count();
        let share = took.as_secs_f32() / (self.block_s * going as f32);
        self.share += NEWEST * (share - self.share);
        self.counters.share.store(self.share.to_bits(), Ordering::Relaxed);
        let made: usize = self.written.iter().sum();
        self.counters.samples.fetch_add(made as u64, Ordering::Relaxed);
        self.counters.busy_ns.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        true
    }
}
