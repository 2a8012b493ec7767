//! What belongs to one stream beside the model's state: conditioning, uniforms, decoder and length.

use super::frames::{Conditioned, Frames};
use super::{Conditioning, Length, Listener, Part, SamplingPolicy, UniformSource};
use crate::voice::Voice;
use wavesynth_audio::pcm::Decoder;
use wavesynth_models::ar::{Generators, Symbol};

/// One stream's part, frames, decoder and length.
pub(super) struct Line {
    decoder: Decoder,
    frames: Frames,
    uniforms: UniformSource,
    policy: SamplingPolicy,
    follow_track: bool,
    /// Samples generated so far.
    position: u64,
    /// Sample at which it ends.
    end: u64,
    codes: Option<Vec<Symbol>>,
}

/// One stream of several.
struct Lane<'a> {
    streams: &'a mut dyn Generators,
    at: usize,
}

impl Conditioned for Lane<'_> {
    fn condition(&mut self, frame: &[f32]) {
        self.streams.condition(self.at, frame);
    }

    fn announce(&mut self, frame: &[f32]) {
        self.streams.announce(self.at, frame);
    }
}

impl Line {
    /// # Panics
    /// When the conditioning was made for another voice.
    pub(super) fn new(voice: &Voice, part: Part) -> Self {
        let frames = Frames::new(voice.config.condition.clone(), part.conditioning);
        let end = match part.length {
            Length::Samples(n) => n,
            Length::Track => frames.track_samples().unwrap_or(0),
        };
        let end = end.min(part.uniforms.len().unwrap_or(u64::MAX));
        Self {
            decoder: Decoder::new(voice.section.preemphasis),
            codes: part.record.then(|| Vec::with_capacity(end as usize)),
            follow_track: part.length == Length::Track,
            position: 0,
            uniforms: part.uniforms,
            policy: part.policy,
            frames,
            end,
        }
    }

    /// See [`super::Synth::listen`].
    pub(super) fn listen(&mut self, listener: Box<Listener>) {
        self.frames.listen(listener);
        if self.follow_track {
            let end = self.frames.track_samples().unwrap_or(u64::MAX);
            self.end = end.min(self.uniforms.len().unwrap_or(u64::MAX));
            if let (Some(codes), true) = (&mut self.codes, end < u64::MAX) {
                codes.reserve(end as usize);
            }
        }
    }

    pub(super) fn listener(&mut self) -> Option<&mut Listener> {
        self.frames.listener()
    }

    pub(super) fn ready(&mut self, wanted: usize) -> usize {
        if self.is_over() { wanted } else { self.frames.ready(self.position, wanted) }
    }

    /// See [`super::ensemble::Ensemble::advance`]. A line as long as its track ends with its listener's input.
    pub(super) fn advance(&mut self) -> bool {
        if self.is_over() {
            return true;
        }
        let more = self.frames.advance(self.position);
        if !more && self.follow_track {
            self.end = self.position;
        }
        more
    }

    /// Conditions stream `at` of `streams` for the next sample; returns the uniform number that draws it.
    pub(super) fn condition(&mut self, streams: &mut dyn Generators, at: usize) -> f32 {
        if self.frames.condition(self.position, &mut Lane { streams: &mut *streams, at }) {
            self.set_policy(self.policy, streams, at);
        }
        self.uniforms.next_uniform()
    }

    pub(super) fn policy(&self) -> SamplingPolicy {
        self.policy
    }

    /// Has stream `at`, which is this line's, draw its symbols by another policy.
    pub(super) fn set_policy(&mut self, policy: SamplingPolicy, streams: &mut dyn Generators, at: usize) {
        self.policy = policy;
        streams.set_sampling(at, policy.at(self.frames.voicing()));
    }

    /// The sample that `code` stands for.
    pub(super) fn decode(&mut self, code: Symbol) -> f32 {
        if let Some(codes) = &mut self.codes
            && codes.len() < codes.capacity()
        {
            codes.push(code);
        }
        self.position += 1;
        self.decoder.decode(code)
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
        let starts_track = conditioning.has_track() && self.frames.listener().is_none();
        let old = self.frames.change(conditioning, self.position, fade_ms, sample_rate);
        // The frame that was announced no longer comes.
        self.frames.announce(self.position, &mut Lane { streams, at });
        if starts_track
            && self.follow_track
            && let Some(samples) = self.frames.track_samples()
        {
            let end = self.frames.track_start() + samples;
            self.end = end.min(self.uniforms.len().unwrap_or(u64::MAX));
        }
        old
    }

    pub(super) fn is_over(&self) -> bool {
        self.position >= self.end
    }

    /// Samples after which it ends, as far as is known now.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn track_samples(&self) -> Option<u64> {
        self.frames.track_samples()
    }

    pub(super) fn codes(&self) -> Option<&[Symbol]> {
        self.codes.as_deref()
    }
}
