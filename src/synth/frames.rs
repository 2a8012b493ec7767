//! The frame clock: which condition is due at which sample.

use super::conditioning::Conditioning;
use super::front_end::{FrameSource, TrackFront};
use wavesynth_audio::features::{FrameMap, RunningSpeakerStats, SpeakerStats, VOICING};
use wavesynth_models::adaptation::Adaptation;
use wavesynth_models::ar::Generator;
use wavesynth_models::condition::{Condition, ConditionSpec, FrameSpec, FrameWindow, TrackSource};
use wavesynth_models::family::Facts;

/// A stream that is given conditions.
pub(super) trait Conditioned {
    /// See [`Generator::condition`].
    fn condition(&mut self, condition: &Condition);
    /// See [`Generator::announce`].
    fn announce(&mut self, condition: &Condition);
}

impl Conditioned for Box<dyn Generator> {
    fn condition(&mut self, condition: &Condition) {
        self.as_mut().condition(condition);
    }

    fn announce(&mut self, condition: &Condition) {
        self.as_mut().announce(condition);
    }
}

/// Walks through a conditioning one frame at a time. Sample t is made under frame t / hop.
pub(super) struct Frames {
    /// `None` for an unconditional model, which is due no frame.
    spec: Option<ConditionSpec>,
    hop: u64,
    conditioning: Box<Conditioning>,
    /// The conditioning's track.
    track: TrackFront,
    /// What brings the frames in its place.
    front: Option<Box<dyn FrameSource>>,
    /// Frames that the front end has gone on to.
    begun: u64,
    /// Makes the conditioning's speaker of another who is heard or whose track it is, in the numbers that the voice reads.
    conversion: Option<FrameMap>,
    /// [`RunningSpeakerStats::alignments`] when it was made.
    alignments: u64,
    /// The conditioning's speaker vector.
    target: Vec<f32>,
    /// The speaker vector in force, somewhere between `from` and the conditioning's while a fade runs.
    speaker: Vec<f32>,
    from: Vec<f32>,
    /// Frame at which the fade began, and frames it lasts.
    fade: (u64, u64),
    /// Frame at which the track began.
    track_start: u64,
    /// The condition written last: speaker vector, and frames with their neighbours.
    written: (Vec<f32>, Vec<f32>),
    /// The frame in force, without its neighbours; empty without a track.
    centre: Vec<f32>,
}

impl Frames {
    /// For a model of `facts`; `front` in place of the conditioning's track has to be made for it.
    pub(super) fn new(
        facts: &Facts,
        conditioning: Box<Conditioning>,
        front: Option<Box<dyn FrameSource>>,
    ) -> Self {
        let spec = facts.condition.clone();
        let dim = spec.as_ref().map_or(0, ConditionSpec::embedding_dim);
        let none = FrameSpec { features: 0, context: 0, tells_source: false };
        let shown = spec.as_ref().and_then(|c| c.frames).unwrap_or(none);
        let mut frames = Self {
            hop: facts.hop as u64,
            track: TrackFront::new(shown, conditioning.features()),
            front,
            begun: 0,
            written: (vec![0.0; dim], vec![0.0; shown.window_len()]),
            from: vec![0.0; dim],
            speaker: vec![0.0; dim],
            target: vec![0.0; dim],
            fade: (0, 0),
            track_start: 0,
            centre: Vec::with_capacity(shown.features),
            conversion: None,
            alignments: 0,
            conditioning,
            spec,
        };
        frames.convert();
        frames.speaker.copy_from_slice(&frames.target);
        frames
    }

    fn source(&mut self) -> &mut dyn FrameSource {
        match &mut self.front {
            Some(front) => front.as_mut(),
            None => &mut self.track,
        }
    }

    fn convert(&mut self) {
        let speaker_stats = self.front.as_ref().and_then(|f| f.speaker_stats());
        self.alignments = speaker_stats.map_or(0, RunningSpeakerStats::alignments);
        let heard = speaker_stats.map(RunningSpeakerStats::stats).or(self.imitated());
        let (conversion, vector) = self.conditioning.conversion(heard);
        self.conversion = conversion;
        if let Some(vector) = vector.or_else(|| self.conditioning.speaker()) {
            self.target.copy_from_slice(vector);
        }
    }

    /// The speaker whose way to speak the front end's frames have, where that is another one than the conditioning's and can be
    /// converted.
    fn imitated(&self) -> Option<&SpeakerStats> {
        let learned_from = self.front.as_ref()?.learned_from();
        learned_from.first().filter(|_| self.conditioning.converts_from(learned_from))
    }

    /// Whose the frames are.
    fn track_source(&self) -> TrackSource {
        match &self.front {
            Some(front) if front.is_own() && self.imitated().is_none() => TrackSource::Own,
            front => self.conditioning.source(front.is_some()),
        }
    }

    /// What brings the frames in place of the conditioning's track.
    pub(super) fn front(&mut self) -> Option<&mut (dyn FrameSource + 'static)> {
        self.front.as_deref_mut()
    }

    /// Whether all frames so far came from finite numbers.
    pub(super) fn is_finite(&self) -> bool {
        self.front.as_ref().is_none_or(|front| front.is_finite())
    }

    /// Samples of `wanted` from `position` on that can be made from the frames that are there.
    pub(super) fn ready(&mut self, position: u64, wanted: usize) -> usize {
        let hop = self.hop;
        let Some(front) = &mut self.front else { return wanted };
        match position % hop {
            0 if !front.is_ready() => 0,
            done => wanted.min((hop - done) as usize),
        }
    }

    /// Goes on to the frame that begins at sample `position`, if one does and it has not yet. False where there is no more.
    pub(super) fn advance(&mut self, position: u64) -> bool {
        if !position.is_multiple_of(self.hop) || self.begun > position / self.hop {
            return true;
        }
        self.begun = position / self.hop + 1;
        let more = self.source().advance();
        let alignments = self.front.as_ref().and_then(|f| f.speaker_stats()).map(|s| s.alignments());
        if alignments.is_some_and(|n| n != self.alignments) {
            self.convert();
        }
        more
    }

    /// Conditions `stream` for sample `position`: with the frame that begins there, if one does, and announces the one
    /// after it, whose work is then spread over the samples in between. Whether a frame began.
    pub(super) fn condition(&mut self, position: u64, stream: &mut impl Conditioned) -> bool {
        let Some(condition) = self.due(position) else {
            return false;
        };
        stream.condition(&condition);
        self.announce(position + 1, stream);
        true
    }

    /// Voicing of the frame in force, 0 to 1; 0 without a track.
    pub(super) fn voicing(&self) -> f32 {
        self.centre.get(VOICING).copied().unwrap_or(0.0)
    }

    /// The frame in force; `None` without a track.
    fn centre(&self) -> Option<&[f32]> {
        (!self.centre.is_empty()).then_some(&self.centre)
    }

    /// The frame in force, where it is of the vector's speaker: what a post-filter may follow. Another's envelope would bring
    /// that speaker back.
    pub(super) fn own_centre(&self) -> Option<&[f32]> {
        let own = self.track_source() == TrackSource::Own;
        self.centre().filter(|_| own)
    }

    /// The statistics in whose numbers the frames are, where they are known.
    pub(super) fn read_stats(&self) -> Option<&SpeakerStats> {
        self.conditioning.read_stats()
    }

    /// What adapts the voice to the speaker whom the vector names.
    pub(super) fn adaptation(&self) -> Option<&Adaptation> {
        self.conditioning.adaptation()
    }

    /// Announces the frame that begins at sample `position` or next after it, as far as is known by then.
    pub(super) fn announce(&mut self, position: u64, stream: &mut impl Conditioned) {
        // What is still to be heard can't be announced.
        if self.spec.is_some() && self.front.is_none() {
            stream.announce(&self.write(position.div_ceil(self.hop), 1));
        }
    }

    /// The condition of the frame that begins at sample `position`, if one does.
    pub(super) fn due(&mut self, position: u64) -> Option<Condition<'_>> {
        let begins = self.spec.is_some() && position.is_multiple_of(self.hop);
        begins.then(|| {
            self.advance(position);
            self.write(position / self.hop, 0)
        })
    }

    /// Frame `i`: the front end's own, in force from here on, or only looked at, one `ahead`.
    fn write(&mut self, i: u64, ahead: usize) -> Condition<'_> {
        let in_force = ahead == 0;
        let by = self.track_source();
        let (vector, rows) = &mut self.written;
        let spec = self.spec.as_ref().and_then(|c| c.frames);
        let source: &dyn FrameSource = match &self.front {
            Some(front) => front.as_ref(),
            None => &self.track,
        };
        let shown = spec.is_some() && source.write(ahead, rows);
        if let Some(map) = self.conversion.as_ref().filter(|_| shown) {
            rows.chunks_exact_mut(spec.map_or(1, |s| s.features)).for_each(|row| map.apply(row));
        }
        if in_force {
            let centre = spec.filter(|_| shown).map(|s| s.centre(rows));
            self.centre.clear();
            self.centre.extend_from_slice(centre.unwrap_or(&[]));
        }
        vector.copy_from_slice(&self.speaker);
        if self.conditioning.has_speaker() {
            let (start, frames) = self.fade;
            let done = i - start.min(i) + 1;
            if done >= frames {
                vector.copy_from_slice(&self.target);
            } else {
                let share = done as f32 / frames as f32;
                for ((now, &a), &b) in vector.iter_mut().zip(&self.from).zip(&self.target) {
                    *now = a + (b - a) * share;
                }
            }
            if in_force {
                self.speaker.copy_from_slice(vector);
            }
        }
        let frames = shown.then_some(FrameWindow { rows, source: by });
        Condition { embedding: vector, frames, ..Condition::default() }
    }

    /// See [`super::Synth::change`].
    pub(super) fn change(
        &mut self,
        mut conditioning: Box<Conditioning>,
        position: u64,
        fade_ms: u32,
        sample_rate: u32,
    ) -> Box<Conditioning> {
        let next = position.div_ceil(self.hop);
        if conditioning.has_speaker() {
            self.from.copy_from_slice(&self.speaker);
            let samples = u64::from(fade_ms) * u64::from(sample_rate) / 1000;
            self.fade = (next, samples / self.hop);
        }
        if conditioning.has_track() {
            self.track_start = next;
            self.track.restart(conditioning.features());
        }
        conditioning.inherit(&mut self.conditioning);
        let old = std::mem::replace(&mut self.conditioning, conditioning);
        self.convert();
        old
    }

    /// Sample at which the track began.
    pub(super) fn track_start(&self) -> u64 {
        self.track_start * self.hop
    }

    /// Samples that the front end lasts; `None` where that is not known.
    pub(super) fn samples(&self) -> Option<u64> {
        let source: &dyn FrameSource = self.front.as_deref().unwrap_or(&self.track);
        Some(source.frames()? as u64 * self.hop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavesynth_models::families::wavenet::{ConditionConfig, Config};
    use wavesynth_models::family::Family;

    fn frames() -> Frames {
        let condition = ConditionConfig {
            speakers: 2,
            speaker_dim: 1,
            features: 1,
            context: 0,
            hidden: 0,
            others: 0,
            hop: 4,
        };
        let config = Config { condition: Some(condition), ..Config::named("wavenet-30").unwrap() };
        let conditioning = Conditioning::of(Some(vec![1.0]), Some(vec![10.0, 11.0, 12.0]));
        Frames::new(&config.facts(), Box::new(conditioning), None)
    }

    /// Vector and feature of the frame that is due.
    fn due(frames: &mut Frames, position: u64) -> (f32, f32) {
        let condition = frames.due(position).unwrap();
        (condition.embedding[0], condition.frames.unwrap().rows[0])
    }

    #[test]
    fn a_frame_is_due_every_hop() {
        let mut f = frames();
        assert_eq!(due(&mut f, 0), (1.0, 10.0));
        assert!((1..4).all(|t| f.due(t).is_none()));
        assert_eq!(due(&mut f, 4), (1.0, 11.0));
        for position in (8..=400).step_by(4) {
            assert_eq!(due(&mut f, position), (1.0, 12.0));
        }
        assert_eq!(f.samples(), Some(12));
    }

    #[test]
    fn a_fade_is_linear_and_keeps_what_the_new_conditioning_lacks() {
        let mut f = frames();
        f.due(0);
        // 1000 Hz, hop 4: 16 ms are 4 frames, from frame 1 on.
        f.change(Box::new(Conditioning::of(Some(vec![3.0]), None)), 2, 16, 1000);
        assert_eq!(due(&mut f, 4), (1.5, 11.0));
        assert_eq!(due(&mut f, 8), (2.0, 12.0));
        // A second change starts from where the first one stands.
        f.change(Box::new(Conditioning::of(Some(vec![2.0]), Some(vec![7.0, 8.0]))), 9, 8, 1000);
        assert_eq!(due(&mut f, 12), (2.0, 7.0));
        let old = f.change(Box::new(Conditioning::of(None, Some(vec![5.0]))), 13, 0, 1000);
        assert_eq!(due(&mut f, 16), (2.0, 5.0));
        assert!(!old.has_speaker() && old.has_track());
        assert_eq!(f.track_start(), 16);
    }
}
