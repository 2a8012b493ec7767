//! One voice speaking: conditioning frames in, blocks of f32 PCM out. No threads, no device, no file.
//!
//! ```text
//! Cue --Frames--> frame, once a hop ---+
//! coin, once a sample -----------------+-> Generator -> code -> mu-law -> de-emphasis -> gain -> sample
//! ```
//!
//! A [`Listener`] in place of the cue's track makes the frames from speech that comes in.
//!
//! Every decision is taken per sample, so the same inputs give the same bytes at any block size. `play` puts a
//! [`Worker`] and a [`Session`] around a [`Synth`]; `render` pulls from it directly.

mod clock;
mod coins;
mod cue;
mod deadline;
mod denormals;
mod forced;
mod frames;
mod gain;
mod listener;
mod session;
mod worker;

pub use clock::{Clock, ClockDevice, Taken};
pub use coins::{CoinSource, NotUniform};
pub use cue::Cue;
pub use deadline::{Deadlines, Percentiles};
pub use denormals::without_denormals;
pub use forced::{Forced, frame_table};
pub use listener::{Hearing, Listener, Pace};
pub use session::{Report, Session, Setup};
pub use worker::{BLOCK, Command, Event, Progress, Worker};

use crate::voice::Voice;
use frames::Frames;
use gain::Gain;
use wavesynth_audio::pcm::Decoder;
use wavesynth_models::ar::{Generator, Sampling, Symbol};

/// Ramp of pause and resume, in ms: short enough to feel immediate, long enough not to click.
const PAUSE_MS: u32 = 8;

/// How long a synth speaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// So many samples at the voice's rate.
    Samples(u64),
    /// As long as the track lasts; a track brought by [`Synth::change`] starts the count anew.
    Track,
}

/// What a [`Synth`] is made from, beside the voice.
pub struct Part {
    /// Who speaks, and what.
    pub cue: Box<Cue>,
    /// How symbols are drawn.
    pub sampling: Sampling,
    /// Where the uniform numbers come from.
    pub coins: CoinSource,
    /// When it ends.
    pub length: Length,
    /// Whether to keep the symbols drawn, for [`Synth::codes`]: two bytes a sample, allocated at once.
    pub record: bool,
}

/// A voice, speaking.
pub struct Synth {
    generator: Box<dyn Generator>,
    decoder: Decoder,
    frames: Frames,
    coins: CoinSource,
    gain: Gain,
    follow_track: bool,
    /// Samples generated so far.
    position: u64,
    /// Sample at which it ends.
    end: u64,
    codes: Option<Vec<Symbol>>,
    peak: f32,
    sample_rate: u32,
}

impl Synth {
    /// Allocates everything that speaking needs. With [`Length::Track`] and a cue without a track, or fewer given
    /// coins than samples, it ends early: at once, or with the last coin.
    ///
    /// # Panics
    /// When the cue was made for another voice: [`Cue`]s are checked where they are made.
    pub fn new(voice: &Voice, part: Part) -> Self {
        let frames = Frames::new(voice.config.condition.clone(), part.cue);
        let follow_track = part.length == Length::Track;
        let end = match part.length {
            Length::Samples(n) => n,
            Length::Track => frames.track_samples().unwrap_or(0),
        };
        let end = end.min(part.coins.len().unwrap_or(u64::MAX));
        Self {
            generator: voice.model.generator(part.sampling),
            decoder: Decoder::new(voice.section.preemphasis),
            gain: Gain::new(voice.section.sample_rate),
            sample_rate: voice.section.sample_rate,
            codes: part.record.then(|| Vec::with_capacity(end as usize)),
            position: 0,
            peak: 0.0,
            coins: part.coins,
            frames,
            follow_track,
            end,
        }
    }

    /// Says what `listener` hears in place of a track; [`Length::Track`] then means for as long as it hears something, and
    /// symbols are recorded where that is known ahead. To be called before the first sample.
    ///
    /// # Panics
    /// When the listener's extractor was made for another context: see [`Voice::extractor`].
    pub fn listen(&mut self, listener: Listener) {
        self.frames.listen(Box::new(listener));
        if self.follow_track {
            let end = self.frames.track_samples().unwrap_or(u64::MAX);
            self.end = end.min(self.coins.len().unwrap_or(u64::MAX));
            if let (Some(codes), true) = (&mut self.codes, end < u64::MAX) {
                codes.reserve(end as usize);
            }
        }
    }

    /// Samples, of up to `wanted`, that [`Synth::fill`] can make at once; fewer only where they wait for a [`Listener`].
    ///
    /// # Real-time
    /// Yes.
    pub fn ready(&mut self, wanted: usize) -> usize {
        if self.gain.is_paused() { wanted } else { self.frames.ready(self.position, wanted) }
    }

    /// What it listens to.
    pub fn listener(&mut self) -> Option<&mut Listener> {
        self.frames.listener()
    }

    /// Fills `out` with the next samples and returns how many there were: fewer than `out.len()` only at the end.
    /// While paused they are silence, and time stands still.
    ///
    /// # Real-time
    /// Yes: O(1) per sample, neither allocates nor frees.
    pub fn fill(&mut self, out: &mut [f32]) -> usize {
        for (n, sample) in out.iter_mut().enumerate() {
            if self.gain.is_stopped() {
                self.end = self.position;
            }
            if self.position >= self.end {
                return n;
            }
            if self.gain.is_paused() {
                *sample = 0.0;
                continue;
            }
            if !self.frames.hear(self.position) && self.follow_track {
                self.end = self.position;
                return n;
            }
            *sample = self.next_sample() * self.gain.next();
            self.peak = self.peak.max(sample.abs());
        }
        out.len()
    }

    fn next_sample(&mut self) -> f32 {
        self.frames.conduct(self.position, self.generator.as_mut());
        let code = self.generator.next(self.coins.next_coin());
        if let Some(codes) = &mut self.codes
            && codes.len() < codes.capacity()
        {
            codes.push(code);
        }
        self.position += 1;
        self.decoder.decode(code)
    }

    /// Goes over to `cue` from the next frame on: its track, if it has one, from its first frame; its speaker, if it
    /// has one, reached over `fade_ms` in equal steps per frame. What it lacks stays as it is. Returns the cue that was
    /// replaced, for somebody else to drop.
    ///
    /// # Real-time
    /// Yes.
    pub fn change(&mut self, cue: Box<Cue>, fade_ms: u32) -> Box<Cue> {
        let starts_track = cue.has_track() && self.frames.listener().is_none();
        let old = self.frames.change(cue, self.position, fade_ms, self.sample_rate);
        // What was announced no longer comes.
        self.frames.announce(self.position, self.generator.as_mut());
        if starts_track
            && self.follow_track
            && let Some(samples) = self.frames.track_samples()
        {
            let end = self.frames.track_start() + samples;
            self.end = end.min(self.coins.len().unwrap_or(u64::MAX));
        }
        old
    }

    /// Changes how symbols are drawn from the next one on.
    ///
    /// # Real-time
    /// Yes.
    pub fn set_sampling(&mut self, sampling: Sampling) {
        self.generator.set_sampling(sampling);
    }

    /// Fades to silence within some ms and stands still there.
    ///
    /// # Real-time
    /// Yes.
    pub fn pause(&mut self) {
        self.gain.pause(PAUSE_MS);
    }

    /// Goes on where [`Synth::pause`] stood still.
    ///
    /// # Real-time
    /// Yes.
    pub fn resume(&mut self) {
        self.gain.resume(PAUSE_MS);
    }

    /// Fades out over `fade_ms`, then ends. A paused synth ends at once.
    ///
    /// # Real-time
    /// Yes.
    pub fn stop(&mut self, fade_ms: u32) {
        self.gain.stop(fade_ms);
    }

    /// Whether it stands still.
    pub fn is_paused(&self) -> bool {
        self.gain.is_paused()
    }

    /// Samples generated so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Samples after which it ends, as far as is known now.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Samples that `length` asks for under the present cue, however many coins there are; `None` for a track that is
    /// not there.
    pub fn wanted(&self, length: Length) -> Option<u64> {
        match length {
            Length::Samples(n) => Some(n),
            Length::Track => self.frames.track_samples(),
        }
    }

    /// Largest magnitude so far; above 1 where a 16-bit file clips.
    pub fn peak(&self) -> f32 {
        self.peak
    }

    /// Samples per second.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// The symbols drawn, when [`Part::record`] was set.
    pub fn codes(&self) -> Option<&[Symbol]> {
        self.codes.as_deref()
    }
}
