//! The ring between the engine and the callback: one producer, one consumer, samples in order.
//!
//! Threads: [`Producer`] belongs to the engine, [`Consumer`] to the callback (the other way round where sound comes in),
//! [`Stats`] may be read from anywhere. Nothing here waits: the engine parks when [`Producer::free`] is too small, and the
//! callback takes what there is and pads with silence. Sound hosts do not always report a glitch, so the
//! ring counts its own.
//!
//! Where a sound is heard, [`Consumer::fade_over`] has the silence in mid-stream come and go without a click.

mod join;

use join::Join;
use ringbuf::traits::{Consumer as _, Observer as _, Producer as _, Split as _};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

#[derive(Debug, Default)]
struct Shared {
    closed: AtomicBool,
    finished: AtomicBool,
    underruns: AtomicU64,
    missing: AtomicU64,
    waited: AtomicU64,
    played: AtomicU64,
    fill: AtomicUsize,
}

/// The device period that goes with a ring of `frames`: a third of it, so that two callbacks that come together still
/// find enough.
pub fn period(frames: u32) -> u32 {
    frames / 3
}

/// A ring of `capacity` samples (at least one).
pub fn ring(capacity: usize) -> (Producer, Consumer) {
    let (push, pop) = HeapRb::new(capacity.max(1)).split();
    let shared = Arc::new(Shared::default());
    let producer = Producer { ring: push, shared: shared.clone() };
    let consumer = Consumer { ring: pop, shared, started: false, dry: false, join: Join::default() };
    (producer, consumer)
}

/// The engine's end. Dropping it closes the stream.
pub struct Producer {
    ring: HeapProd<f32>,
    shared: Arc<Shared>,
}

impl Producer {
    /// Appends as many samples of `block` as fit and returns how many.
    ///
    /// # Real-time
    /// Never waits.
    pub fn push_slice(&mut self, block: &[f32]) -> usize {
        self.ring.push_slice(block)
    }

    /// Samples that would fit now.
    ///
    /// # Real-time
    /// Reads an atomic.
    pub fn free(&self) -> usize {
        self.ring.vacant_len()
    }

    /// Samples waiting to be played.
    ///
    /// # Real-time
    /// Reads an atomic.
    pub fn fill(&self) -> usize {
        self.ring.occupied_len()
    }

    /// Samples the ring holds when full.
    pub fn capacity(&self) -> usize {
        self.ring.capacity().get()
    }

    /// Marks the end of the stream: running dry from here on is the end and no underrun.
    ///
    /// # Real-time
    /// Writes an atomic.
    pub fn close(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
    }

    /// True when the other end is gone, so that nothing pushed will be played.
    ///
    /// # Real-time
    /// Reads an atomic.
    pub fn is_abandoned(&self) -> bool {
        !self.ring.read_is_held()
    }

    /// The counters of this ring.
    pub fn stats(&self) -> Stats {
        Stats(self.shared.clone())
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.close();
    }
}

/// The callback's end.
pub struct Consumer {
    ring: HeapCons<f32>,
    shared: Arc<Shared>,
    started: bool,
    dry: bool,
    join: Join,
}

impl Consumer {
    /// From now on missing samples are no hard cut: the sound dies away from its last value within `samples`, and the next
    /// one rises within as many. Neither comes before the first sample ever or after the end.
    pub fn fade_over(&mut self, samples: usize) {
        self.join.fade_over(samples);
    }

    /// Has the next samples rise from silence, because there was some outside this ring.
    ///
    /// # Real-time
    /// Yes.
    pub fn rise(&mut self) {
        self.join.rise();
    }

    /// Fills `out` with the next samples, padded with silence, and returns how many were real.
    ///
    /// Missing samples count as an underrun (one for each unbroken run of them), except before the first
    /// sample ever (see [`Stats::waited_samples`]) and after the end.
    ///
    /// # Real-time
    /// Never waits.
    pub fn fill(&mut self, out: &mut [f32]) -> usize {
        if out.is_empty() {
            return 0;
        }
        let mut n = self.ring.pop_slice(out);
        let mut ended = false;
        if n < out.len() && self.shared.closed.load(Ordering::Acquire) {
            // What was pushed between the first look and the closing is visible now.
            n += self.ring.pop_slice(&mut out[n..]);
            ended = n < out.len();
        }
        out[n..].fill(0.0);
        self.started |= n > 0;
        self.join.smooth(out, n, self.started && !ended);

        let s = &*self.shared;
        if n > 0 {
            self.dry = false;
            s.played.fetch_add(n as u64, Ordering::Relaxed);
        }
        let missing = (out.len() - n) as u64;
        if ended {
            s.finished.store(true, Ordering::Release);
        } else if missing > 0 && !self.started {
            s.waited.fetch_add(missing, Ordering::Relaxed);
        } else if missing > 0 {
            s.missing.fetch_add(missing, Ordering::Relaxed);
            if !self.dry {
                s.underruns.fetch_add(1, Ordering::Relaxed);
            }
            self.dry = true;
        }
        s.fill.store(self.ring.occupied_len(), Ordering::Relaxed);
        n
    }

    /// Samples that [`Consumer::fill`] would find now.
    ///
    /// # Real-time
    /// Reads an atomic.
    pub fn waiting(&self) -> usize {
        self.ring.occupied_len()
    }

    /// Whether the stream was closed: nothing comes behind what waits.
    ///
    /// # Real-time
    /// Reads an atomic.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Whether the stream was closed and nothing of it is left.
    ///
    /// # Real-time
    /// Reads atomics.
    pub fn is_over(&self) -> bool {
        // In this order: what was pushed before the closing is visible behind it.
        self.is_closed() && self.ring.is_empty()
    }

    /// The counters of this ring.
    pub fn stats(&self) -> Stats {
        Stats(self.shared.clone())
    }
}

/// What the callback counts. Cheap to clone; readable from any thread.
#[derive(Clone, Debug)]
pub struct Stats(Arc<Shared>);

impl Stats {
    /// Times the ring ran dry in mid-stream.
    pub fn underruns(&self) -> u64 {
        self.0.underruns.load(Ordering::Relaxed)
    }

    /// Samples of silence played in place of missing ones, in mid-stream.
    pub fn missing_samples(&self) -> u64 {
        self.0.missing.load(Ordering::Relaxed)
    }

    /// Samples of silence played before the first sample came.
    pub fn waited_samples(&self) -> u64 {
        self.0.waited.load(Ordering::Relaxed)
    }

    /// Samples handed to the device.
    pub fn played_samples(&self) -> u64 {
        self.0.played.load(Ordering::Relaxed)
    }

    /// Samples left in the ring after the last callback.
    pub fn fill(&self) -> usize {
        self.0.fill.load(Ordering::Relaxed)
    }

    /// True once the stream was closed and its last sample handed to the device.
    pub fn finished(&self) -> bool {
        self.0.finished.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn a_full_ring_serves_two_callbacks_at_once() {
        let frames = 2_880;
        let (mut p, mut c) = ring(frames as usize);
        p.push_slice(&vec![0.5; frames as usize]);
        let mut out = vec![0.0; period(frames) as usize];
        assert_eq!((c.fill(&mut out), c.fill(&mut out)), (out.len(), out.len()));
        assert!(p.free() < frames as usize, "something is left");
    }

    #[test]
    fn underruns_are_runs_of_missing_samples() {
        let (mut p, mut c) = ring(16);
        let stats = c.stats();
        let mut out = [9.0; 4];
        assert_eq!(c.fill(&mut out), 0);
        assert_eq!((stats.waited_samples(), stats.underruns()), (4, 0));
        p.push_slice(&[1.0, 2.0]);
        assert_eq!(c.fill(&mut out), 2);
        assert_eq!(out, [1.0, 2.0, 0.0, 0.0]);
        assert_eq!(c.fill(&mut out), 0);
        assert_eq!((stats.underruns(), stats.missing_samples()), (1, 6));
        p.push_slice(&[3.0]);
        c.fill(&mut out);
        assert_eq!((stats.underruns(), stats.missing_samples()), (2, 9));
        p.push_slice(&[4.0, 5.0]);
        p.close();
        assert!(!stats.finished() && !c.is_over() && c.waiting() == 2);
        c.fill(&mut out);
        assert!(c.is_over() && c.waiting() == 0);
        c.fill(&mut out);
        assert_eq!((stats.underruns(), stats.missing_samples()), (2, 9));
        assert!(stats.finished());
        assert_eq!((stats.played_samples(), stats.fill()), (5, 0));
    }

    #[test]
    fn an_end_that_fills_the_last_block_is_seen_at_the_next() {
        let (mut p, mut c) = ring(4);
        p.push_slice(&[1.0; 4]);
        p.close();
        assert_eq!(c.fill(&mut [0.0; 4]), 4);
        assert!(!c.stats().finished());
        assert_eq!(c.fill(&mut [0.0; 4]), 0);
        assert!(c.stats().finished());
        assert_eq!(c.stats().underruns(), 0);
    }

    #[test]
    fn either_end_notices_when_the_other_is_gone() {
        let (p, c) = ring(4);
        assert!(!p.is_abandoned());
        drop(c);
        assert!(p.is_abandoned());
        let (p, mut c) = ring(4);
        drop(p);
        c.fill(&mut [0.0; 2]);
        assert!(c.stats().finished());
    }

    /// Either end may go on its own thread while the other is at work.
    #[test]
    fn an_end_may_go_at_any_time() {
        for n in 0..if cfg!(miri) { 3 } else { 200 } {
            let (mut p, mut c) = ring(7);
            let other = std::thread::spawn(move || {
                let mut out = [0.0; 5];
                (0..n).for_each(|_| _ = c.fill(&mut out));
            });
            while !p.is_abandoned() {
                p.push_slice(&[1.0; 3]);
                std::thread::yield_now();
            }
            other.join().unwrap();
            let (mut p, mut c) = ring(7);
            let other =
                std::thread::spawn(move || (0..n).map(|_| p.push_slice(&[1.0; 3]) as u64).sum::<u64>());
            let stats = c.stats();
            while !stats.finished() {
                c.fill(&mut [0.0; 5]);
                std::thread::yield_now();
            }
            assert_eq!(stats.played_samples(), other.join().unwrap());
        }
    }

    #[test]
    fn capacity_is_exact() {
        for n in [1, 2, 3, 100] {
            let (mut p, _c) = ring(n);
            assert_eq!((p.capacity(), p.free(), p.fill()), (n, n, 0));
            assert_eq!(p.push_slice(&vec![0.5; n + 7]), n);
            assert_eq!((p.free(), p.fill()), (0, n));
        }
        assert_eq!(ring(0).0.capacity(), 1);
    }

    /// Two threads, odd block sizes, rings of every size: every sample once, in order, and silence counted to the sample.
    #[test]
    fn no_sample_is_lost_doubled_or_stale() {
        // Under Miri each sample takes a thousand times as long; a small ring passes few before a thread has to wait.
        let most = if cfg!(miri) { 4 } else { 130 };
        (1..=most).for_each(|capacity| pass(capacity, 100 + 10 * capacity as u32));
        pass(997, if cfg!(miri) { 2_000 } else { 400_000 });
    }

    fn pass(capacity: usize, count: u32) {
        let (mut p, mut c) = ring(capacity);
        let stats = c.stats();
        let writer = std::thread::spawn(move || {
            let block: Vec<f32> = (1..=count).map(|i| i as f32).collect();
            let (mut at, mut size) = (0, 1);
            while at < block.len() {
                let end = (at + size).min(block.len());
                let n = p.push_slice(&block[at..end]);
                at += n;
                size = size % 613 + 1;
                if n == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let (mut next, mut silent, mut size) = (1u32, 0u64, 1);
        let mut out = vec![-1.0; 512];
        while !stats.finished() {
            out[..size].fill(-1.0);
            let n = c.fill(&mut out[..size]);
            for &x in &out[..n] {
                assert_eq!(x, next as f32);
                next += 1;
            }
            assert!(out[n..size].iter().all(|&x| x == 0.0));
            silent += (size - n) as u64;
            size = size % 509 + 1;
            if n == 0 {
                std::thread::yield_now();
            }
        }
        writer.join().unwrap();
        assert_eq!(next, count + 1);
        assert_eq!(stats.played_samples(), count as u64);
        // The rest of the silence is the padding of the last block.
        assert!(stats.missing_samples() + stats.waited_samples() <= silent);
        assert!(silent - stats.missing_samples() - stats.waited_samples() <= 512);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 8 } else { 256 }))]
        #[test]
        fn behaves_like_a_queue(
            capacity in 1usize..40,
            moves in prop::collection::vec((any::<bool>(), 0usize..60), 0..80),
        ) {
            let (mut p, mut c) = ring(capacity);
            let mut model = VecDeque::new();
            let mut next = 1.0;
            for (push, n) in moves {
                if push {
                    let block: Vec<f32> = (0..n).map(|i| next + i as f32).collect();
                    let done = p.push_slice(&block);
                    prop_assert_eq!(done, n.min(capacity - model.len()));
                    model.extend(&block[..done]);
                    next += done as f32;
                } else {
                    let mut out = vec![-1.0; n];
                    let got = c.fill(&mut out);
                    let want: Vec<f32> = (0..n).map(|_| model.pop_front().unwrap_or(0.0)).collect();
                    prop_assert_eq!(&out, &want);
                    prop_assert_eq!(got, want.iter().filter(|x| **x != 0.0).count());
                }
                prop_assert_eq!(p.fill(), model.len());
                prop_assert_eq!(p.free(), capacity - model.len());
            }
        }
    }
}
