//! Who speaks and what is said, as the engine wants it: checked against the voice and ready to be read.

use crate::recordings;
use crate::voice::Voice;
use anyhow::{Context, Result};
use std::path::Path;
use wavesynth_audio::cond::Condition;
use wavesynth_audio::features::{RawFeatures, SpeakerStats};

/// A speaker vector, a feature track, or both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cue {
    speaker: Option<Vec<f32>>,
    /// [N, features], row by row; N > 0.
    track: Option<Vec<f32>>,
}

impl Cue {
    /// What `condition` brings to `voice`; `path` is used in errors only. Parts that the voice has no ear for (a track
    /// for a voice without local conditioning) are left out.
    ///
    /// # Errors
    /// A vector of another space, or a track of another recipe, rate or hop.
    pub fn new(voice: &Voice, condition: &Condition, path: &Path) -> Result<Self> {
        let Some(shape) = &voice.config.condition else {
            return Ok(Self::default());
        };
        let speaker = match &condition.speaker {
            Some(_) if shape.speaker_dim > 0 => Some(voice.speaker_vector(condition, path)?),
            _ => None,
        };
        let mut track = None;
        if let (Some(wanted), Some(t)) = (voice.track_shape(), &condition.track) {
            t.check(wanted).with_context(|| path.display().to_string())?;
            track = Some(t.frames.clone());
        }
        Ok(Self { speaker, track })
    }

    /// The track of a recording with features `raw`, normalised by its speaker's statistics where they are known, else by
    /// its own; `path` is used in errors only.
    ///
    /// # Errors
    /// Too little speech for statistics, or a voice of another recipe, rate or hop.
    pub fn heard(
        voice: &Voice,
        raw: &RawFeatures,
        stats: Option<&SpeakerStats>,
        path: &Path,
    ) -> Result<Self> {
        let own;
        let stats = match stats {
            Some(stats) => stats,
            None => {
                own = SpeakerStats::pool([raw]).with_context(|| path.display().to_string())?;
                &own
            }
        };
        let track = Some(recordings::track(raw, stats));
        Self::new(voice, &Condition { track, ..Condition::default() }, path)
    }

    /// A cue by its parts, for voices whose sizes are known to fit.
    pub(crate) fn of(speaker: Option<Vec<f32>>, track: Option<Vec<f32>>) -> Self {
        Self { speaker, track }
    }

    /// This cue with `other`'s parts in place of its own where `other` has them.
    pub fn overlaid(self, other: Self) -> Self {
        Self { speaker: other.speaker.or(self.speaker), track: other.track.or(self.track) }
    }

    /// This cue without its track.
    pub fn without_track(self) -> Self {
        Self { track: None, ..self }
    }

    /// This cue without its speaker.
    pub fn without_speaker(self) -> Self {
        Self { speaker: None, ..self }
    }

    /// Whether it says who speaks.
    pub fn has_speaker(&self) -> bool {
        self.speaker.is_some()
    }

    /// Whether it says what is said.
    pub fn has_track(&self) -> bool {
        self.track.is_some()
    }

    /// The speaker vector.
    pub fn speaker(&self) -> Option<&[f32]> {
        self.speaker.as_deref()
    }

    /// The track's features [N, F].
    pub fn track(&self) -> Option<&[f32]> {
        self.track.as_deref()
    }

    /// Takes from `old` what this one lacks.
    ///
    /// # Real-time
    /// Yes: moves, never copies.
    pub(super) fn inherit(&mut self, old: &mut Self) {
        if self.speaker.is_none() {
            self.speaker = old.speaker.take();
        }
        if self.track.is_none() {
            self.track = old.track.take();
        }
    }
}
