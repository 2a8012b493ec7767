//! What belongs to one stream beside the model's state: conditioning, uniforms, decoder and length.

use super::frames::{Conditioned, Frames};
use super::{CUT_MS, Conditioning, FrameSource, Length, Part, SamplingPolicy, UniformSource};
use crate::voice::Voice;
use wavesynth_audio::limit::limit;
use wavesynth_audio::pcm::Decoder;
use wavesynth_audio::post_filter::{DELAY, PostFilter};
use wavesynth_models::ar::{Generators, Symbol};
use wavesynth_models::condition::Condition;

/// The uniform number that draws what comes after the end.
const BEHIND_THE_END: f32 = 0.5;

/// One stream's part, frames, decoder and length.
pub(super) struct Line {
    decoder: Decoder,
    frames: Frames,
    uniforms: UniformSource,
    policy: SamplingPolicy,
    follow_track: bool,
    /// Symbols drawn so far.
    position: u64,
    /// Symbol at which it ends.
    end: u64,
    /// Samples over which it fades at its end, where that cuts it off; else 0.
    fade: u64,
    codes: Option<Vec<Symbol>>,
    post: Option<PostFilter>,
}

/// One stream of several.
struct Lane<'a> {
    streams: &'a mut dyn Generators,
    at: usize,
}

impl Conditioned for Lane<'_> {
    fn condition(&mut self, condition: &Condition) {
        self.streams.condition(self.at, condition);
    }

    fn announce(&mut self, condition: &Condition) {
        self.streams.announce(self.at, condition);
    }
}

impl Line {
    /// # Panics
    /// When the conditioning was made for another voice.
    pub(super) fn new(voice: &Voice, part: Part) -> Self {
        let (facts, uniforms) = (voice.model.config.facts(), part.uniforms);
        let listens = part.front.is_some();
        let hears_another = part.front.as_ref().is_some_and(|front| !front.is_own());
        let unbounded = if listens { u64::MAX } else { 0 };
        let frames = Frames::new(facts, part.conditioning, part.front);
        let end = match part.length {
            Length::Samples(n) => n,
            Length::Track => frames.samples().unwrap_or(unbounded),
        };
        // What a front end hears is another's speech, which no filter follows.
        let follows = part.post_filter && !hears_another && voice.follows_own_recipe();
        let post = follows.then(PostFilter::new);
        let delay = if post.is_some() { DELAY as u64 } else { 0 };
        // What is empty stays so.
        let end = if end == 0 { 0 } else { end.saturating_add(delay) };
        let end = end.min(uniforms.len().map_or(u64::MAX, |n| n.saturating_add(delay)));
        // A sound that lasts as long as its track is not cut off; one without an end neither. Of what is heard the end is
        // not always known, so that a length given for it is a cut.
        let tracked = part.length == Length::Track || !listens;
        let natural = frames.samples().filter(|_| tracked).map(|n| n.saturating_add(delay));
        let whole = natural == Some(end) || end == u64::MAX;
        let cut = u64::from(voice.section.sample_rate) * u64::from(CUT_MS) / 1000;
        let fade = if whole { 0 } else { cut.min(end.saturating_sub(delay)) };
        // What has no known end is not kept.
        let kept = if end == u64::MAX { 0 } else { end.saturating_sub(delay) as usize };
        Self {
            decoder: Decoder::new(voice.section.preemphasis, voice.encoding),
            codes: part.record.then(|| Vec::with_capacity(kept)),
            follow_track: part.length == Length::Track,
            position: 0,
            uniforms,
            policy: part.policy,
            frames,
            end,
            fade,
            post,
        }
    }

    /// What brings the frames in place of the conditioning's track.
    pub(super) fn front(&mut self) -> Option<&mut (dyn FrameSource + 'static)> {
        self.frames.front()
    }

    /// Whether all frames so far came from finite numbers.
    pub(super) fn is_finite(&self) -> bool {
        self.frames.is_finite()
    }

    pub(super) fn ready(&mut self, wanted: usize) -> usize {
        if self.is_over() { wanted } else { self.frames.ready(self.position, wanted) }
    }

    /// Goes on to the frame of the sample at hand. A line as long as its track ends where there is no more. Whether it
    /// has just ended.
    pub(super) fn advance(&mut self) -> bool {
        let ends = !self.is_over() && !self.frames.advance(self.position) && self.follow_track;
        if ends {
            self.end = self.end.min(self.position + self.delay());
        }
        ends && self.is_over()
    }

    /// Conditions stream `at` of `streams` for the next sample; returns the uniform number that draws it.
    pub(super) fn condition(&mut self, streams: &mut dyn Generators, at: usize) -> f32 {
        if self.frames.condition(self.position, &mut Lane { streams: &mut *streams, at }) {
            self.set_policy(self.policy, streams, at);
            if let Some(post) = &mut self.post {
                post.begin_frame(self.frames.own_centre(), self.frames.read_stats());
            }
        }
        let uniform = self.uniforms.next_uniform();
        // Behind the end symbols are drawn for the post-filter alone; the same ones, however many numbers were given.
        if self.position < self.end() { uniform } else { BEHIND_THE_END }
    }

    pub(super) fn policy(&self) -> SamplingPolicy {
        self.policy
    }

    /// Has stream `at`, which is this line's, draw its symbols by another policy.
    pub(super) fn set_policy(&mut self, policy: SamplingPolicy, streams: &mut dyn Generators, at: usize) {
        self.policy = policy;
        streams.set_sampling(at, policy.at(self.frames.voicing()));
    }

    /// Adapts stream `at`, which is this line's, to the speaker of its conditioning.
    pub(super) fn adapt(&self, streams: &mut dyn Generators, at: usize) {
        streams.adapt(at, self.frames.adaptation());
    }

    /// The sample that `code` stands for; behind a post-filter that of an earlier code, none at first.
    pub(super) fn decode(&mut self, code: Symbol) -> Option<f32> {
        if let Some(codes) = &mut self.codes
            && codes.len() < codes.capacity()
        {
            codes.push(code);
        }
        self.position += 1;
        let sample = self.decoder.decode(code);
        let sample = match &mut self.post {
            None => sample,
            Some(post) => post.process(sample),
        };
        (self.position > self.delay()).then(|| self.faded(limit(sample)))
    }

    /// `sample`, which the last symbol has brought, softer shortly before the sound is cut off.
    fn faded(&self, sample: f32) -> f32 {
        let left = self.end.saturating_sub(self.position);
        if left < self.fade {
            // A zero of no sign, as sums of layers have.
            return sample * (left as f32 / self.fade as f32) + 0.0;
        }
        sample
    }

    /// See [`super::Synth::change`].
    pub(super) fn change(
        &mut self,
        conditioning: Box<Conditioning>,
        fade_ms: u32,
        sample_rate: u32,
        streams: &mut dyn Generators,
        at: usize,
    ) -> Box<Conditioning> {
        let starts_track = conditioning.has_track() && self.frames.front().is_none();
        let old = self.frames.change(conditioning, self.position, fade_ms, sample_rate);
        // While `old` still holds what the stream lets go.
        self.adapt(streams, at);
        // The frame that was announced no longer comes.
        self.frames.announce(self.position, &mut Lane { streams, at });
        if starts_track
            && self.follow_track
            && let Some(samples) = self.frames.samples()
        {
            let end = self.frames.track_start() + samples;
            self.fade = 0;
            let given = self.uniforms.len().unwrap_or(u64::MAX);
            self.end = end.min(given).saturating_add(self.delay());
        }
        old
    }

    pub(super) fn is_over(&self) -> bool {
        self.position >= self.end
    }

    /// Samples after which it ends, as far as is known now.
    pub(super) fn end(&self) -> u64 {
        if self.end == u64::MAX { self.end } else { self.end.saturating_sub(self.delay()) }
    }

    /// Samples from a symbol to its sound.
    pub(super) fn delay(&self) -> u64 {
        if self.post.is_some() { DELAY as u64 } else { 0 }
    }

    pub(super) fn samples(&self) -> Option<u64> {
        self.frames.samples()
    }

    pub(super) fn codes(&self) -> Option<&[Symbol]> {
        self.codes.as_deref()
    }
}
