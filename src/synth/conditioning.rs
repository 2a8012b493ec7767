//! Who speaks and what is said, as the engine wants it: checked against the voice and ready to be read.

use super::speaker_conversion::SpeakerConversion;
use crate::recordings;
use crate::voice::Voice;
use anyhow::{Context, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use wavesynth_audio::cond::Condition;
use wavesynth_audio::features::common::Alignment;
use wavesynth_audio::features::{RawFeatures, SpeakerStats};
use wavesynth_models::condition::{FeatureTrack, TrackSource};

/// A speaker vector, a feature track, or both.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditioning {
    speaker: Option<SpeakerPart>,
    track: Option<TrackPart>,
}

/// A speaker vector.
#[derive(Debug, Clone, PartialEq)]
struct SpeakerPart {
    values: Vec<f32>,
    /// Whose, where that is known.
    person: Option<Person>,
    /// For others' tracks, of a voice whose speakers have a common space.
    conversion: Option<SpeakerConversion>,
}

/// A track.
#[derive(Debug, Clone, PartialEq)]
struct TrackPart {
    /// [N, features], row by row; N > 0.
    values: Arc<[f32]>,
    /// Whose, where that is known, and the way from him to the common space.
    by: Option<(Person, Alignment)>,
}

/// Somebody: the statistics of his features, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Person(u64);

impl Person {
    pub(super) fn of(stats: &SpeakerStats) -> Self {
        let mut hasher = DefaultHasher::new();
        let values = stats.mean.iter().chain(&stats.std).chain([&stats.median_f0_hz]);
        values.for_each(|v| v.to_bits().hash(&mut hasher));
        Self(hasher.finish())
    }
}

/// Who has these statistics, and his way to the common space: what stands beside them, or, in files older than it, what
/// the voice knows of him. A stranger is taken for what speakers are on the average: already there.
fn known(voice: &Voice, stats: &SpeakerStats) -> (Person, Alignment) {
    let person = Person::of(stats);
    let named = voice.section.speakers.iter().filter_map(|s| s.stats.as_ref());
    let same = named.filter(|s| Person::of(s) == person);
    let map = [stats].into_iter().chain(same).find_map(|s| s.common.clone());
    (person, map.unwrap_or_else(Alignment::identity))
}

impl Conditioning {
    /// What `condition` brings to `voice`; `path` is used in errors only. Parts that the voice has no ear for (a track
    /// for a voice without local conditioning) are left out.
    ///
    /// # Errors
    /// A vector of another space, or a track of another recipe, rate or hop.
    pub fn new(voice: &Voice, condition: &Condition, path: &Path) -> Result<Self> {
        let Some(shape) = &voice.config.condition else {
            return Ok(Self::default());
        };
        let given = voice.track_shape().zip(condition.track.as_ref());
        let speaker = match &condition.speaker {
            Some(_) if shape.speaker_dim > 0 => {
                let values = voice.speaker_vector(condition, path)?;
                // The statistics beside a track are those that it was normalised with, whosever vector stands there too.
                let stats = match given {
                    None => condition.stats.as_ref(),
                    Some(_) => voice.stats_of(&values),
                };
                let by = stats.map(|stats| known(voice, stats));
                let common = by.as_ref().filter(|_| voice.section.common.is_some());
                let conversion =
                    common.and_then(|(_, common)| SpeakerConversion::new(voice, &values, common));
                let person = by.map(|(person, _)| person);
                Some(SpeakerPart { values, person, conversion })
            }
            _ => None,
        };
        let mut track = None;
        if let Some((wanted, t)) = given {
            t.check(wanted).with_context(|| path.display().to_string())?;
            let by = condition.stats.as_ref().map(|stats| known(voice, stats));
            track = Some(TrackPart { values: t.frames.as_slice().into(), by });
        }
        Ok(Self { speaker, track })
    }

    /// The track of a recording with features `raw`, normalised by its speaker's statistics where they are known, else by
    /// its own; `path` is used in errors only.
    ///
    /// # Errors
    /// Too little speech for statistics, or a voice of another recipe, rate or hop.
    pub fn from_features(
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

    /// A conditioning by its parts, for voices whose sizes are known to fit.
    pub(crate) fn of(speaker: Option<Vec<f32>>, track: Option<Vec<f32>>) -> Self {
        Self {
            speaker: speaker.map(|values| SpeakerPart { values, person: None, conversion: None }),
            track: track.map(|values| TrackPart { values: values.into(), by: None }),
        }
    }

    /// The vector of one of a voice's speakers and a track, perhaps empty.
    #[cfg(feature = "train")]
    pub(crate) fn known(speaker: Option<Vec<f32>>, track: FeatureTrack) -> Self {
        let features = (!track.features.is_empty()).then(|| track.features.to_vec());
        let mut conditioning = Self::of(speaker, features);
        if let (Some(who), Some(what)) = (&mut conditioning.speaker, &mut conditioning.track) {
            who.person = Some(Person(0));
            what.by = (track.source == TrackSource::Own).then(|| (Person(0), Alignment::identity()));
        }
        conditioning
    }

    /// This conditioning with `other`'s parts in place of its own where `other` has them.
    pub fn overlaid(self, other: Self) -> Self {
        Self { speaker: other.speaker.or(self.speaker), track: other.track.or(self.track) }
    }

    /// This conditioning without its track.
    pub fn without_track(self) -> Self {
        Self { track: None, ..self }
    }

    /// This conditioning without its speaker.
    pub fn without_speaker(self) -> Self {
        Self { speaker: None, ..self }
    }

    /// This conditioning, its speaker taken at his word: another's track stays as it is. What a recording is scored under, which does
    /// not become another's.
    pub fn unconverted(mut self) -> Self {
        if let Some(who) = &mut self.speaker {
            who.conversion = None;
        }
        self
    }

    /// Whether it says who speaks.
    pub fn has_speaker(&self) -> bool {
        self.speaker.is_some()
    }

    /// Whether it says what is said.
    pub fn has_track(&self) -> bool {
        self.track.is_some()
    }

    /// The speaker vector, for the speaker's own tracks and those of whom nobody knows.
    ///
    /// # Real-time
    /// This and what follows: yes, no memory but the stack's.
    pub(super) fn speaker(&self) -> Option<&[f32]> {
        self.speaker.as_ref().map(|who| &who.values[..])
    }

    /// The track's features [N, F]; empty without one.
    pub(super) fn features(&self) -> Arc<[f32]> {
        self.track.as_ref().map_or_else(Arc::default, |track| track.values.clone())
    }

    /// Whose speech the frames are made from: the vector's speaker's where the track is known to be his, and where there is no
    /// vector; another's where a front end brings them in place of the track.
    pub fn source(&self, by_front_end: bool) -> TrackSource {
        let track = self.track.as_ref().filter(|_| !by_front_end);
        let by = track.and_then(|t| t.by.as_ref()).map(|(person, _)| *person);
        let own = |who: &SpeakerPart| who.person.is_some() && who.person == by;
        match self.speaker.as_ref().is_none_or(own) {
            true => TrackSource::Own,
            false => TrackSource::CrossSpeaker,
        }
    }

    /// What makes the vector's speaker of whoever is known to speak instead (whom `heard` says, or else whom the track is
    /// of), and the speaker vector that goes with it. `None` where it is himself, or where one of them is not known.
    pub(super) fn conversion(&self, source: Option<&SpeakerStats>) -> Option<(Alignment, &[f32])> {
        let who = self.speaker.as_ref()?;
        let conversion = who.conversion.as_ref()?;
        let (person, common) = match source {
            Some(stats) => (Person::of(stats), stats.common.clone().unwrap_or_else(Alignment::identity)),
            None => self.track.as_ref()?.by.clone()?,
        };
        (who.person != Some(person)).then(|| (conversion.way_from(&common), conversion.beside(person)))
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
