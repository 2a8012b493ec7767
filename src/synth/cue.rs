//! Who speaks and what is said, as the engine wants it: checked against the voice and ready to be read.

use crate::recordings;
use crate::voice::Voice;
use anyhow::{Context, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use wavesynth_audio::cond::Condition;
use wavesynth_audio::features::{RawFeatures, SpeakerStats};
use wavesynth_models::wavenet::Track;

/// A speaker vector, a feature track, or both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cue {
    speaker: Option<Half>,
    /// [N, features], row by row; N > 0.
    track: Option<Half>,
}

/// A vector or a track.
#[derive(Debug, Clone, PartialEq)]
struct Half {
    values: Vec<f32>,
    /// Whose, where that is known and the voice tells its speakers' own tracks from others'.
    whose: Option<Person>,
}

/// Somebody: the statistics of his features, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Person(u64);

impl Person {
    fn of(stats: &SpeakerStats) -> Self {
        let mut hasher = DefaultHasher::new();
        let values = stats.mean.iter().chain(&stats.std).chain([&stats.median_f0_hz]);
        values.for_each(|v| v.to_bits().hash(&mut hasher));
        Self(hasher.finish())
    }
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
        let person = condition.stats.as_ref().filter(|_| voice.section.own_tracks).map(Person::of);
        let said = voice.track_shape().zip(condition.track.as_ref());
        let speaker = match &condition.speaker {
            Some(_) if shape.speaker_dim > 0 => {
                // The statistics beside a track are those that it was normalised with, whosever vector stands there too.
                let whose = person.filter(|_| said.is_none());
                Some(Half { values: voice.speaker_vector(condition, path)?, whose })
            }
            _ => None,
        };
        let mut track = None;
        if let Some((wanted, t)) = said {
            t.check(wanted).with_context(|| path.display().to_string())?;
            track = Some(Half { values: t.frames.clone(), whose: person });
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
        let (track, stats) = (Some(recordings::track(raw, stats)), Some(stats.clone()));
        Self::new(voice, &Condition { track, stats, ..Condition::default() }, path)
    }

    /// A cue by its parts, for voices whose sizes are known to fit.
    pub(crate) fn of(speaker: Option<Vec<f32>>, track: Option<Vec<f32>>) -> Self {
        Self::with(speaker, track, None)
    }

    /// The vector and a track of one of `voice`'s speakers.
    #[cfg(feature = "train")]
    pub(crate) fn own(voice: &Voice, speaker: Option<Vec<f32>>, track: Option<Vec<f32>>) -> Self {
        Self::with(speaker, track, voice.section.own_tracks.then_some(Person(0)))
    }

    fn with(speaker: Option<Vec<f32>>, track: Option<Vec<f32>>, whose: Option<Person>) -> Self {
        let half = |values| Half { values, whose };
        Self { speaker: speaker.map(half), track: track.map(half) }
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
        self.speaker.as_ref().map(|s| &s.values[..])
    }

    /// The track, and whether it is known to be of the vector's speaker, in a voice that tells.
    pub fn track(&self) -> Option<Track<'_>> {
        let whose = self.speaker.as_ref().and_then(|s| s.whose);
        self.track.as_ref().map(|t| Track { features: &t.values, own: whose.is_some() && whose == t.whose })
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
