//! What one stream has of its own beside the model's state: cue, coins, decoder and length.

use super::frames::{Conditioned, Frames};
use super::{CoinSource, Cue, Length, Listener, Manner, Part};
use crate::voice::Voice;
use wavesynth_audio::pcm::Decoder;
use wavesynth_models::ar::{Generators, Symbol};

/// One stream's own.
pub(super) struct Line {
    decoder: Decoder,
    frames: Frames,
    coins: CoinSource,
    manner: Manner,
    follow_track: bool,
    /// Samples said so far.
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
    /// When the cue was made for another voice.
    pub(super) fn new(voice: &Voice, part: Part) -> Self {
        let frames = Frames::new(voice.config.condition.clone(), part.cue);
        let end = match part.length {
            Length::Samples(n) => n,
            Length::Track => frames.track_samples().unwrap_or(0),
        };
        let end = end.min(part.coins.len().unwrap_or(u64::MAX));
        Self {
            decoder: Decoder::new(voice.section.preemphasis),
            codes: part.record.then(|| Vec::with_capacity(end as usize)),
            follow_track: part.length == Length::Track,
            position: 0,
            coins: part.coins,
            manner: part.manner,
            frames,
            end,
        }
    }

    /// See [`super::Synth::listen`].
    pub(super) fn listen(&mut self, listener: Box<Listener>) {
        self.frames.listen(listener);
        if self.follow_track {
            let end = self.frames.track_samples().unwrap_or(u64::MAX);
            self.end = end.min(self.coins.len().unwrap_or(u64::MAX));
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

    /// See [`super::ensemble::Ensemble::hear`]. A line as long as its track ends when nothing more is heard.
    pub(super) fn hear(&mut self) -> bool {
        if self.is_over() {
            return true;
        }
        let more = self.frames.hear(self.position);
        if !more && self.follow_track {
            self.end = self.position;
        }
        more
    }

    /// Conditions stream `at` of `streams` for the next sample; the coin that draws it.
    pub(super) fn conduct(&mut self, streams: &mut dyn Generators, at: usize) -> f32 {
        if self.frames.conduct(self.position, &mut Lane { streams: &mut *streams, at }) {
            self.set_manner(self.manner, streams, at);
        }
        self.coins.next_coin()
    }

    pub(super) fn manner(&self) -> Manner {
        self.manner
    }

    /// Has stream `at`, which is this line's, draw its symbols in another manner.
    pub(super) fn set_manner(&mut self, manner: Manner, streams: &mut dyn Generators, at: usize) {
        self.manner = manner;
        streams.set_sampling(at, manner.at(self.frames.voicing()));
    }

    /// The sample that `code` stands for.
    pub(super) fn say(&mut self, code: Symbol) -> f32 {
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
        cue: Box<Cue>,
        fade_ms: u32,
        sample_rate: u32,
        streams: &mut dyn Generators,
        at: usize,
    ) -> Box<Cue> {
        let starts_track = cue.has_track() && self.frames.listener().is_none();
        let old = self.frames.change(cue, self.position, fade_ms, sample_rate);
        // What was announced no longer comes.
        self.frames.announce(self.position, &mut Lane { streams, at });
        if starts_track
            && self.follow_track
            && let Some(samples) = self.frames.track_samples()
        {
            let end = self.frames.track_start() + samples;
            self.end = end.min(self.coins.len().unwrap_or(u64::MAX));
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
