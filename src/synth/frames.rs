//! The frame clock: which conditioning frame is due at which sample.

use super::conditioning::Conditioning;
use super::listener::Listener;
use wavesynth_audio::features::common::Alignment;
use wavesynth_audio::features::{RunningSpeakerStats, VOICING};
use wavesynth_models::ar::Generator;
use wavesynth_models::wavenet::ConditionConfig;

/// A stream that takes conditioning frames.
pub(super) trait Conditioned {
    /// See [`Generator::condition`].
    fn condition(&mut self, frame: &[f32]);
    /// See [`Generator::announce`].
    fn announce(&mut self, frame: &[f32]);
}

impl Conditioned for Box<dyn Generator> {
    fn condition(&mut self, frame: &[f32]) {
        self.as_mut().condition(frame);
    }

    fn announce(&mut self, frame: &[f32]) {
        self.as_mut().announce(frame);
    }
}

/// Steps through a conditioning one frame at a time. Sample t is generated under frame t / hop.
pub(super) struct Frames {
    /// `None` for an unconditional model, which is due no frame.
    shape: Option<ConditionConfig>,
    conditioning: Box<Conditioning>,
    /// Source of the features in place of the conditioning's track.
    listener: Option<Box<Listener>>,
    /// Map from the speaker of the track or of the listener's input to the conditioning's speaker.
    conversion: Option<Alignment>,
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
    frame: Vec<f32>,
    /// Of the frame in force.
    voicing: f32,
}

impl Frames {
    pub(super) fn new(shape: Option<ConditionConfig>, conditioning: Box<Conditioning>) -> Self {
        let speaker_dim = shape.as_ref().map_or(0, |c| c.speaker_dim);
        let mut frames = Self {
            frame: vec![0.0; shape.as_ref().map_or(0, ConditionConfig::len)],
            from: vec![0.0; speaker_dim],
            speaker: vec![0.0; speaker_dim],
            target: vec![0.0; speaker_dim],
            fade: (0, 0),
            track_start: 0,
            voicing: 0.0,
            listener: None,
            conversion: None,
            alignments: 0,
            conditioning,
            shape,
        };
        frames.begin();
        frames
    }

    /// Takes the features from `listener` from here on. It must have been made for this shape.
    pub(super) fn listen(&mut self, listener: Box<Listener>) {
        self.listener = Some(listener);
        self.begin();
    }

    /// Starts with the conditioning's speaker at once.
    fn begin(&mut self) {
        self.convert();
        self.speaker.copy_from_slice(&self.target);
    }

    fn convert(&mut self) {
        let speaker_stats = self.listener.as_ref().map(|l| l.speaker_stats());
        self.alignments = speaker_stats.map_or(0, RunningSpeakerStats::alignments);
        let (conversion, vector) =
            self.conditioning.conversion(speaker_stats.map(RunningSpeakerStats::stats)).unzip();
        self.conversion = conversion;
        if let Some(vector) = vector.or_else(|| self.conditioning.speaker()) {
            self.target.copy_from_slice(vector);
        }
    }

    pub(super) fn listener(&mut self) -> Option<&mut Listener> {
        self.listener.as_deref_mut()
    }

    /// Samples of `wanted` from `position` on that can be made from the input so far.
    pub(super) fn ready(&mut self, position: u64, wanted: usize) -> usize {
        let hop = self.hop();
        let Some(listener) = &mut self.listener else { return wanted };
        match position % hop {
            0 if !listener.is_ready() => 0,
            done => wanted.min((hop - done) as usize),
        }
    }

    /// Moves the listener to its next frame if one begins at sample `position`. False at the end of its input.
    pub(super) fn advance(&mut self, position: u64) -> bool {
        let begins = position.is_multiple_of(self.hop());
        match &mut self.listener {
            Some(listener) if begins => {
                let more = listener.advance();
                if listener.speaker_stats().alignments() != self.alignments {
                    self.convert();
                }
                more
            }
            _ => true,
        }
    }

    fn hop(&self) -> u64 {
        self.shape.as_ref().map_or(1, |c| c.hop as u64)
    }

    /// Conditions `stream` for sample `position`: with the frame that begins there, if one does, and announces the one
    /// after it, whose work is then spread over the samples in between. Whether a frame began.
    pub(super) fn condition(&mut self, position: u64, stream: &mut impl Conditioned) -> bool {
        let Some(frame) = self.due(position) else {
            return false;
        };
        stream.condition(frame);
        self.announce(position + 1, stream);
        true
    }

    /// Voicing of the frame in force, 0 to 1; 0 without a track.
    pub(super) fn voicing(&self) -> f32 {
        self.voicing
    }

    /// Announces the frame that begins at sample `position` or next after it, as far as is known by then.
    pub(super) fn announce(&mut self, position: u64, stream: &mut impl Conditioned) {
        // Input that is still to come can't be announced.
        if self.shape.is_some() && self.listener.is_none() {
            let frame = self.write(position.div_ceil(self.hop()), false);
            stream.announce(frame);
        }
    }

    /// The frame that begins at sample `position`, if one does.
    pub(super) fn due(&mut self, position: u64) -> Option<&[f32]> {
        let begins = self.shape.is_some() && position.is_multiple_of(self.hop());
        begins.then(|| self.write(position / self.hop(), true))
    }

    /// Frame `i`; in force from here on, or only looked at.
    fn write(&mut self, i: u64, in_force: bool) -> &[f32] {
        let Some(shape) = &self.shape else { return &[] };
        let at = (i - self.track_start.min(i)) as usize;
        let (track, at) = match &self.listener {
            Some(listener) => (Some(self.conditioning.listener_track(listener.window())), listener.context()),
            None => (self.conditioning.track(), at),
        };
        shape.write_frame(&self.speaker, track, at, &mut self.frame);
        if let Some(map) = &self.conversion {
            shape.rows_mut(&mut self.frame).for_each(|row| map.apply(row));
        }
        if in_force {
            let features = shape.centre(&self.frame);
            self.voicing = features.and_then(|f| f.get(VOICING)).copied().unwrap_or(0.0);
        }
        if self.conditioning.has_speaker() {
            let (start, frames) = self.fade;
            let done = i - start.min(i) + 1;
            let speaker = &mut self.frame[..self.target.len()];
            if done >= frames {
                speaker.copy_from_slice(&self.target);
            } else {
                let share = done as f32 / frames as f32;
                for ((now, &a), &b) in speaker.iter_mut().zip(&self.from).zip(&self.target) {
                    *now = a + (b - a) * share;
                }
            }
            if in_force {
                self.speaker.copy_from_slice(speaker);
            }
        }
        &self.frame
    }

    /// See [`super::Synth::change`].
    pub(super) fn change(
        &mut self,
        mut conditioning: Box<Conditioning>,
        position: u64,
        fade_ms: u32,
        sample_rate: u32,
    ) -> Box<Conditioning> {
        let next = position.div_ceil(self.hop());
        if conditioning.has_speaker() {
            self.from.copy_from_slice(&self.speaker);
            let samples = u64::from(fade_ms) * u64::from(sample_rate) / 1000;
            self.fade = (next, samples / self.hop());
        }
        if conditioning.has_track() {
            self.track_start = next;
        }
        conditioning.inherit(&mut self.conditioning);
        let old = std::mem::replace(&mut self.conditioning, conditioning);
        self.convert();
        old
    }

    /// Sample at which the track began.
    pub(super) fn track_start(&self) -> u64 {
        self.track_start * self.hop()
    }

    /// Samples that the track lasts.
    pub(super) fn track_samples(&self) -> Option<u64> {
        let features = self.shape.as_ref()?.features;
        let frames = match &self.listener {
            Some(listener) => listener.frames()?,
            None => self.conditioning.track()?.features.len() / features.max(1),
        };
        Some(frames as u64 * self.hop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Frames {
        let shape = ConditionConfig {
            speakers: 2,
            speaker_dim: 1,
            features: 1,
            context: 0,
            hidden: 0,
            others: 0,
            hop: 4,
        };
        Frames::new(Some(shape), Box::new(Conditioning::of(Some(vec![1.0]), Some(vec![10.0, 11.0, 12.0]))))
    }

    #[test]
    fn a_frame_is_due_every_hop() {
        let mut f = frames();
        assert_eq!(f.due(0).unwrap(), [1.0, 1.0, 10.0]);
        assert!((1..4).all(|t| f.due(t).is_none()));
        assert_eq!(f.due(4).unwrap(), [1.0, 1.0, 11.0]);
        assert_eq!(f.due(400).unwrap(), [1.0, 1.0, 12.0]);
        assert_eq!(f.track_samples(), Some(12));
    }

    #[test]
    fn a_fade_is_linear_and_keeps_what_the_new_conditioning_lacks() {
        let mut f = frames();
        f.due(0);
        // 1000 Hz, hop 4: 16 ms are 4 frames, from frame 1 on.
        f.change(Box::new(Conditioning::of(Some(vec![3.0]), None)), 2, 16, 1000);
        assert_eq!(f.due(4).unwrap(), [1.5, 1.0, 11.0]);
        assert_eq!(f.due(8).unwrap(), [2.0, 1.0, 12.0]);
        // A second change starts from where the first one stands.
        f.change(Box::new(Conditioning::of(Some(vec![2.0]), Some(vec![7.0, 8.0]))), 9, 8, 1000);
        assert_eq!(f.due(12).unwrap(), [2.0, 1.0, 7.0]);
        let old = f.change(Box::new(Conditioning::of(None, Some(vec![5.0]))), 13, 0, 1000);
        assert_eq!(f.due(16).unwrap(), [2.0, 1.0, 5.0]);
        assert!(!old.has_speaker() && old.has_track());
        assert_eq!(f.track_start(), 16);
    }
}
