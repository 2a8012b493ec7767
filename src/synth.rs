//! One voice at work: conditioning frames in, blocks of f32 PCM out. No threads, no device, no file.
//!
//! ```text
//! Conditioning --Frames--> frame, once a hop --+                              (other layers) --+
//! uniform, once a sample ----------------------+-> Generators -> code -> mu-law -> de-emphasis -> limit -> share --> sum -> gain
//! ```
//!
//! A [`Synth`] generates one part, or several at once as layers of one sound; an [`Ensemble`] generates many that stay
//! apart. Both step their streams in lockstep. A [`Listener`] in place of a track makes the frames from live speech.
//! Every decision is taken per sample, so the same inputs give the same bytes at any block size. `play` puts a [`Worker`]
//! and a [`Session`] around a [`Synth`]; `render` pulls from it directly.

mod clock;
mod conditioning;
mod deadline;
mod denormals;
mod ensemble;
mod forced;
mod frames;
mod front_end;
mod gain;
mod line;
mod listener;
mod sampling_policy;
mod session;
mod speaker_conversion;
mod uniforms;
mod worker;

pub use clock::{Clock, ClockDevice, Taken};
pub use conditioning::{Conditioning, NoSpeaker};
pub use deadline::{Deadlines, Percentiles};
pub use denormals::without_denormals;
pub use ensemble::{Ensemble, PreparedPart};
pub use forced::{Forced, frame_table};
pub use front_end::FrameSource;
pub use listener::{Listener, ListenerCounters, Pace};
pub use sampling_policy::SamplingPolicy;
pub use session::{Counts, Session, SessionReport, SessionSetup};
pub use uniforms::{NotUniform, UniformSource};
pub use worker::{BLOCK, Command, Event, Outlet, Progress, Worker};

use crate::voice::Voice;
use gain::Gain;
use line::Line;
use wavesynth_models::ar::{NotFinite, Symbol};

/// Ramp of pause and resume, in ms: short enough to feel immediate, long enough not to click.
const PAUSE_MS: u32 = 8;

/// Time in which a sound fades that is cut off at its end, in ms. One that ends with its track is not.
pub const CUT_MS: u32 = 20;

/// How long a synth generates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// So many samples at the voice's rate, the last [`CUT_MS`] of them a fade unless the track ends there, too.
    Samples(u64),
    /// As long as the track lasts; a track brought by [`Synth::change`] starts the count anew.
    Track,
}

/// What a [`Synth`] is made from, beside the voice.
pub struct Part {
    /// The speaker and the track.
    pub conditioning: Box<Conditioning>,
    /// What brings the frames in place of the conditioning's track. [`Length::Track`] then means for as long as it brings some.
    pub front: Option<Box<dyn FrameSource>>,
    /// How symbols are drawn.
    pub policy: SamplingPolicy,
    /// Where the uniform numbers come from.
    pub uniforms: UniformSource,
    /// When it ends.
    pub length: Length,
    /// Whether to keep the symbols drawn, for [`Synth::codes`]: two bytes a sample, allocated at once.
    pub record: bool,
    /// Whether the sound goes through a [`PostFilter`](wavesynth_audio::post_filter::PostFilter). A voice whose frames it
    /// does not know stays as it is. All layers of a sound want the same.
    pub post_filter: bool,
}

impl Part {
    /// Samples that it lasts: with [`Length::Track`] and a conditioning without a track, or fewer given uniforms than
    /// samples, it ends early.
    ///
    /// # Panics
    /// When the conditioning was made for another voice.
    pub fn samples(self, voice: &Voice) -> u64 {
        Line::new(voice, Self { record: false, ..self }).end()
    }
}

/// A part among others that sound together.
pub struct Layer {
    /// Speaker, track and length.
    pub part: Part,
    /// Sample of the whole at which it begins.
    pub start: u64,
    /// How loud beside the others, above 0.
    pub gain: f32,
}

/// A voice that generates sound.
pub struct Synth {
    ensemble: Ensemble,
    /// By layer, in the order of the streams.
    states: Vec<LayerState>,
    gain: Gain,
    /// Steps taken so far: samples generated, and [`Synth::delay`] more.
    position: u64,
    /// Samples from a step to its sound.
    delay: u64,
    peak: f32,
    sample_rate: u32,
}

/// A layer's state in the sum.
struct LayerState {
    start: u64,
    begun: bool,
    /// Factor of its sound in the sum. All shares together are 1.
    share: f32,
}

impl Synth {
    /// Allocates everything that generating needs. With [`Length::Track`] and a conditioning without a track, or fewer
    /// given uniforms than samples, it ends early: at once, or with the last uniform.
    ///
    /// # Panics
    /// When the conditioning was made for another voice: [`Conditioning`]s are checked where they are made.
    pub fn new(voice: &Voice, part: Part) -> Self {
        Self::layered(voice, vec![Layer { part, start: 0, gain: 1.0 }])
    }

    /// Several parts as one sound, each a [`Synth`] of its own until they are added up. Each layer's share of the sum is
    /// its gain over all gains together, so that the sum is never louder than the loudest of the layers. It ends with the
    /// last layer.
    ///
    /// # Panics
    /// As [`Synth::new`].
    pub fn layered(voice: &Voice, layers: Vec<Layer>) -> Self {
        let total: f32 = layers.iter().map(|l| l.gain).sum();
        let mut ensemble = Ensemble::new(voice, layers.len());
        let states = layers.into_iter().enumerate().map(|(at, layer)| {
            ensemble.set(at, voice, layer.part);
            LayerState { start: layer.start, begun: false, share: layer.gain / total }
        });
        let sample_rate = voice.section.sample_rate;
        let states: Vec<_> = states.collect();
        let delay = (0..states.len()).filter_map(|at| ensemble.line(at)).map(Line::delay).max().unwrap_or(0);
        Self { ensemble, states, gain: Gain::new(sample_rate), position: 0, delay, peak: 0.0, sample_rate }
    }

    /// Samples, of up to `wanted`, that [`Synth::fill`] can make at once; fewer only where they wait for a [`Listener`].
    ///
    /// # Real-time
    /// Yes.
    pub fn ready(&mut self, wanted: usize) -> usize {
        if self.gain.is_paused() {
            return wanted;
        }
        while self.position < self.delay && !self.is_over() {
            if self.ensemble.ready(0, 1) == 0 {
                return 0;
            }
            self.step();
        }
        self.ensemble.ready(0, wanted)
    }

    /// One step of every layer that runs; `None` where the last one has ended in its place.
    fn step(&mut self) -> Option<f32> {
        let over = self.ensemble.advance() && self.is_over();
        (!over).then(|| self.next_sample())
    }

    /// What brings the first layer's frames in place of its conditioning's track.
    pub fn front(&mut self) -> Option<&mut (dyn FrameSource + 'static)> {
        self.ensemble.front(0)
    }

    /// Fills `out` with the next samples and returns how many there were: fewer than `out.len()` only at the end.
    /// While paused they are silence, and time stands still.
    ///
    /// # Real-time
    /// Yes: O(1) per sample, neither allocates nor frees. The sample at which a layer begins also costs
    /// [`wavesynth_models::ar::Model::reset`].
    pub fn fill(&mut self, out: &mut [f32]) -> usize {
        for (n, sample) in out.iter_mut().enumerate() {
            if self.gain.is_stopped() || self.is_over() {
                return n;
            }
            if self.gain.is_paused() {
                *sample = 0.0;
                continue;
            }
            while self.position < self.delay && !self.is_over() {
                self.step();
            }
            let Some(next) = self.step() else { return n };
            *sample = next * self.gain.next();
            self.peak = self.peak.max(sample.abs());
        }
        out.len()
    }

    /// Whether all samples so far came from finite numbers. They are noise otherwise, of damaged weights.
    ///
    /// # Errors
    /// When they did not.
    ///
    /// # Real-time
    /// Yes.
    pub fn check_finite(&self) -> Result<(), NotFinite> {
        match (0..self.states.len()).all(|at| self.ensemble.is_finite(at)) {
            true => Ok(()),
            false => Err(NotFinite),
        }
    }

    /// Whether every layer has ended.
    fn is_over(&mut self) -> bool {
        self.ensemble.update();
        self.ensemble.running() == 0
            && !self.states.iter().enumerate().any(|(at, p)| !p.begun && self.layer_end(at) > self.position)
    }

    fn next_sample(&mut self) -> f32 {
        let Self { ensemble, states, position, .. } = self;
        for (at, state) in states.iter_mut().enumerate() {
            if !state.begun && state.start <= *position {
                state.begun = true;
                ensemble.begin(at);
                ensemble.update();
            }
        }
        let mut sum = 0.0;
        ensemble.step(|at, sample| sum += states[at].share * sample);
        *position += 1;
        sum
    }

    /// Goes over to `conditioning` from the next frame on: its track, if it has one, from its first frame; its
    /// speaker, if it has one, reached over `fade_ms` in equal steps per frame. A part that it lacks stays as it is.
    /// Returns the conditioning that was replaced, for another thread to drop. Of several layers it changes the first,
    /// as long as that one runs.
    ///
    /// # Real-time
    /// Yes.
    pub fn change(&mut self, conditioning: Box<Conditioning>, fade_ms: u32) -> Box<Conditioning> {
        self.ensemble.change(0, conditioning, fade_ms, self.sample_rate)
    }

    /// Changes how symbols are drawn from the next one on.
    ///
    /// # Real-time
    /// Yes.
    pub fn set_policy(&mut self, policy: SamplingPolicy) {
        self.ensemble.set_policy(policy);
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
        self.position.saturating_sub(self.delay)
    }

    /// Samples after which it ends, as far as is known now.
    pub fn end(&self) -> u64 {
        if self.gain.is_stopped() {
            return self.position();
        }
        (0..self.states.len()).map(|at| self.layer_end(at)).max().unwrap_or(0)
    }

    /// Sample of the whole at which layer `at` ends; 0 for an empty one.
    fn layer_end(&self, at: usize) -> u64 {
        match self.ensemble.line(at).map_or(0, Line::end) {
            0 => 0,
            samples => self.states[at].start.saturating_add(samples),
        }
    }

    /// Samples that `length` asks for under the first layer's present conditioning, however many uniforms there are;
    /// `None` for a track that is not there.
    pub fn wanted(&self, length: Length) -> Option<u64> {
        match length {
            Length::Samples(n) => Some(n),
            Length::Track => self.ensemble.line(0)?.samples(),
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

    /// The symbols that the first layer has drawn, when its [`Part::record`] was set.
    pub fn codes(&self) -> Option<&[Symbol]> {
        self.ensemble.line(0)?.codes()
    }
}
