//! Live speech as conditioning: features from sound that comes in while the voice runs.
//!
//! ```text
//! recording -----------------------------+
//! pipe, microphone -> ring -> resample --+-> CausalExtractor -> window of frames -> Frames
//! ```

use super::front_end::FrameSource;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wavesynth_audio::features::{
    CausalExtractor, HOP, RunningSpeakerStats, SAMPLE_RATE, causal, frame_count,
};
use wavesynth_audio::resample::{ResampleError, StreamResampler};
use wavesynth_audio::ring::Consumer;

/// Frames for which a missing input is bridged by its last one; silence follows.
const HELD_FRAMES: u32 = 5;
/// Samples taken from the ring at a time, at its rate.
const CHUNK: usize = 64;
/// Frames over which the least waiting time is sought before a frame is left out: a second.
const WATCHED_FRAMES: u32 = 100;
/// Waiting time, beyond what was asked for and the frame to be left out, that jitter may need, in samples.
const MARGIN: usize = 32;
/// Frames waiting that are a backlog, as after a pause: all but one are left out at once.
const BACKLOG_FRAMES: usize = 5;

/// Whether the input waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// It waits until it is read: a file through a pipe.
    Patient,
    /// It comes in real time, and late frames are left out: a microphone.
    Live,
}

/// The counters of a [`Listener`]. Readable from any thread.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    frames: AtomicU64,
    held: AtomicU64,
    skipped: AtomicU64,
    waited: AtomicU64,
}

impl ListenerCounters {
    /// Frames used.
    pub fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Frames made without input, which had not come in time.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Frames left out, to catch up.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Mean time that a frame, once complete, waits for the engine and then in the ring to the device, in ms.
    pub fn waiting_ms(&self) -> f64 {
        let samples = self.waited.load(Ordering::Relaxed) as f64 / self.frames().max(1) as f64;
        samples * 1000.0 / f64::from(SAMPLE_RATE)
    }
}

/// Takes speech and gives the feature frames that condition a voice.
pub struct Listener {
    extractor: CausalExtractor,
    feed: Feed,
    /// The next frame.
    next: usize,
    /// A window of silence.
    silence: Vec<f32>,
    /// Whether the next frame may be made without input.
    hold: bool,
    /// Whether a frame is to be left out.
    skip: bool,
    /// Frames held in a row.
    held: u32,
    /// Samples on the way to the device when the next frame is made, and how many there should be at least.
    ahead: (usize, usize),
    /// Least waiting time in so many frames.
    least: (usize, u32),
    counters: Arc<ListenerCounters>,
}

enum Feed {
    Recording { pcm16k: Vec<f32>, at: usize },
    Stream(Box<RingInput>),
}

/// A ring of samples at any rate, and those of it that are at 16 kHz already.
struct RingInput {
    ring: Consumer,
    rate: u32,
    pace: Pace,
    resampler: StreamResampler,
    chunk: Box<[f32]>,
    queue: Vec<f32>,
    over: bool,
}

impl Listener {
    /// Reads a whole recording at 16 kHz, frame by frame.
    pub fn recording(extractor: CausalExtractor, pcm16k: Vec<f32>) -> Self {
        Self::new(extractor, Feed::Recording { pcm16k, at: 0 })
    }

    /// Reads samples from `ring` at `rate` Hz, until it is closed.
    ///
    /// # Errors
    /// A rate that can't be resampled from.
    pub fn stream(
        extractor: CausalExtractor,
        ring: Consumer,
        rate: u32,
        pace: Pace,
    ) -> Result<Self, ResampleError> {
        let resampler = StreamResampler::new(rate, SAMPLE_RATE, CHUNK)?;
        let room = causal::needed(extractor.context()) + HOP + 2 * resampler.max_block_out();
        let (queue, chunk) = (Vec::with_capacity(room), vec![0.0; CHUNK].into());
        let stream = RingInput { ring, rate, pace, resampler, chunk, queue, over: false };
        Ok(Self::new(extractor, Feed::Stream(Box::new(stream))))
    }

    fn new(extractor: CausalExtractor, feed: Feed) -> Self {
        let silence = vec![0.0; extractor.window().len()];
        let (least, counters) = ((usize::MAX, 0), Arc::default());
        let (hold, skip) = (false, false);
        Self { extractor, feed, next: 0, silence, hold, skip, held: 0, ahead: (0, 0), least, counters }
    }

    /// What it counts.
    pub fn counters(&self) -> Arc<ListenerCounters> {
        self.counters.clone()
    }

    /// Time by which what is said lags behind what is heard, all waiting left out: window and context, and the
    /// resampler, in ms.
    pub fn delay_ms(&self) -> (f64, f64) {
        let ms = |samples: usize| samples as f64 * 1000.0 / f64::from(SAMPLE_RATE);
        let resampling = match &self.feed {
            Feed::Recording { .. } => 0,
            Feed::Stream(s) => s.resampler.delay_out_samples(),
        };
        (ms(causal::needed(self.extractor.context())), ms(resampling))
    }

    fn gather(&mut self) -> bool {
        let wants = self.wants();
        match &mut self.feed {
            Feed::Recording { .. } => true,
            Feed::Stream(s) => s.gather(wants),
        }
    }

    fn leave_out(&mut self) {
        self.make_rows();
        self.next += 1;
        self.counters.skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// Samples at 16 kHz that the next frame wants.
    fn wants(&self) -> usize {
        let rows = (self.next + self.extractor.context() + 1).saturating_sub(self.extractor.rows());
        if rows == 0 { 0 } else { self.extractor.wants() + (rows - 1) * HOP }
    }

    fn make_rows(&mut self) {
        while self.extractor.rows() < self.next + self.extractor.context() + 1 {
            match &mut self.feed {
                Feed::Recording { pcm16k, at } if *at < pcm16k.len() => {
                    *at += self.extractor.push(&pcm16k[*at..]);
                }
                Feed::Stream(s) if !s.queue.is_empty() => {
                    let n = self.extractor.push(&s.queue);
                    s.queue.drain(..n);
                }
                Feed::Stream(s) if !s.over => return,
                _ => self.extractor.end(),
            }
        }
    }

    /// Leaves frames out when live input has fallen behind: a device's clock that is slower than the microphone's, a
    /// pause, or a hitch that is over.
    fn catch_up(&mut self) {
        let wants = self.wants();
        let Feed::Stream(s) = &mut self.feed else { return };
        if s.pace == Pace::Patient || s.over {
            return;
        }
        let late = s.waiting().saturating_sub(wants);
        let waiting = late + self.ahead.0;
        self.counters.waited.fetch_add(waiting as u64, Ordering::Relaxed);
        self.least = (self.least.0.min(waiting), self.least.1 + 1);
        if self.least.1 >= WATCHED_FRAMES {
            self.skip = self.least.0 > self.ahead.1 + HOP + MARGIN;
            self.least = (usize::MAX, 0);
        }
        if late > BACKLOG_FRAMES * HOP {
            for _ in 0..late / HOP - 1 {
                self.leave_out();
                self.gather();
            }
            self.least = (usize::MAX, 0);
        }
    }
}

impl FrameSource for Listener {
    fn frames(&self) -> Option<usize> {
        match &self.feed {
            Feed::Recording { pcm16k, .. } => Some(frame_count(pcm16k.len())),
            Feed::Stream(_) => None,
        }
    }

    fn is_ready(&mut self) -> bool {
        if self.hold {
            return true;
        }
        if self.skip && self.gather() {
            self.skip = false;
            self.leave_out();
        }
        self.gather()
    }

    /// Input that is not there yet is as if [`FrameSource::hold`] had been called.
    fn advance(&mut self) -> bool {
        if !self.is_ready() || self.hold {
            self.hold = false;
            self.held += 1;
            if self.held == HELD_FRAMES + 1 {
                self.extractor.write_silence(&mut self.silence);
            }
            // Before the first frame nothing is missing.
            let missing = u64::from(self.next > 0);
            self.counters.held.fetch_add(missing, Ordering::Relaxed);
            return true;
        }
        self.held = 0;
        self.catch_up();
        self.make_rows();
        self.next += 1;
        self.counters.frames.fetch_add(1, Ordering::Relaxed);
        self.extractor.frames().is_none_or(|n| self.next <= n)
    }

    fn write(&self, ahead: usize, rows: &mut [f32]) -> bool {
        let window = if self.held > HELD_FRAMES { &self.silence[..] } else { self.extractor.window() };
        if ahead == 0 {
            rows.copy_from_slice(window);
        }
        ahead == 0
    }

    fn speaker_stats(&self) -> Option<&RunningSpeakerStats> {
        Some(self.extractor.speaker_stats())
    }

    fn is_live(&self) -> bool {
        matches!(&self.feed, Feed::Stream(s) if s.pace == Pace::Live)
    }

    /// The last frame goes on; after five of them silence.
    fn hold(&mut self) {
        self.hold = true;
    }

    fn set_ahead(&mut self, samples: usize, least: usize) {
        self.ahead = (samples, least);
    }
}

impl RingInput {
    /// Brings the queue to `wanted` samples if it can be done; true also when no more will come.
    fn gather(&mut self, wanted: usize) -> bool {
        while self.queue.len() < wanted && !self.over {
            let n = self.ring.waiting().min(self.chunk.len());
            if n > 0 {
                self.ring.fill(&mut self.chunk[..n]);
                self.resampler.process(&self.chunk[..n], &mut self.queue);
            } else if self.ring.is_over() {
                self.resampler.flush(&mut self.queue);
                self.over = true;
            } else {
                return false;
            }
        }
        true
    }

    /// Samples at 16 kHz that are there, those at the ring's own rate among them.
    fn waiting(&self) -> usize {
        self.queue.len()
            + (self.ring.waiting() as u64 * u64::from(SAMPLE_RATE) / u64::from(self.rate)) as usize
    }
}
