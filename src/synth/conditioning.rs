//! The speaker and the track that the engine generates from, checked against the voice.

use super::speaker_conversion::SpeakerConversion;
use crate::voice::Voice;
use crate::{lookup, recordings};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use wavesynth_audio::cond::{CondError, Condition};
use wavesynth_audio::features::common::Alignment;
use wavesynth_audio::features::{FeatureError, FrameMap, RawFeatures, SpeakerStats};
use wavesynth_models::adaptation::Adaptation;
#[cfg(feature = "train")]
use wavesynth_models::condition::FeatureTrack;
use wavesynth_models::condition::TrackSource;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::loaded::ModelError;
use wavesynth_models::weights::{Tensor, Tensors};

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
    /// Identity of the speaker, where it is known.
    id: Option<SpeakerId>,
    /// What normalises this speaker's features, where it is known.
    stats: Option<SpeakerStats>,
    /// For cross-speaker tracks, of a voice whose speakers have a common space.
    conversion: Option<SpeakerConversion>,
    /// What adapts the voice to the speaker.
    adaptation: Option<Adaptation>,
    /// The statistics in whose numbers the voice reads the speaker's tracks, and the map to them.
    reads: Option<(SpeakerStats, FrameMap)>,
}

/// A track.
#[derive(Debug, Clone, PartialEq)]
struct TrackPart {
    /// [N, features], row by row; N > 0.
    values: Arc<[f32]>,
    /// Identity of its speaker, where it is known, and that speaker's map to the common space.
    by: Option<(SpeakerId, Alignment)>,
}

/// Identity of a speaker: a hash of the feature statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SpeakerId(u64);

impl SpeakerId {
    pub(super) fn of(stats: &SpeakerStats) -> Self {
        let mut hasher = DefaultHasher::new();
        let values = stats.mean.iter().chain(&stats.std).chain([&stats.median_f0_hz]);
        values.for_each(|v| v.to_bits().hash(&mut hasher));
        Self(hasher.finish())
    }
}

/// The speaker with these statistics, and the map to the common space: from the statistics themselves or, in older files,
/// from the voice's own speaker of the same statistics. For an unknown speaker it is the identity.
fn identify(voice: &Voice, stats: &SpeakerStats) -> (SpeakerId, Alignment) {
    let id = SpeakerId::of(stats);
    let named = voice.section.speakers.iter().filter_map(|s| s.stats.as_ref());
    let same = named.filter(|s| SpeakerId::of(s) == id);
    let map = [stats].into_iter().chain(same).find_map(|s| s.common.clone());
    (id, map.unwrap_or_else(Alignment::identity))
}

/// A voice that speaks with many voices, and no speaker named.
#[derive(Debug, thiserror::Error)]
#[error("this voice needs to know who speaks: wanted the condition of a speaker")]
pub struct NoSpeaker;

/// What a condition brings and a voice can't take.
#[derive(Debug, thiserror::Error)]
pub enum ConditioningError {
    /// A track's file without a track.
    #[error("holds no track, only a speaker")]
    OnlySpeaker,
    /// A track for a voice without local conditioning.
    #[error("this voice takes no track")]
    TakesNoTrack,
    /// A speaker's file without a speaker.
    #[error("holds no speaker vector; pass a speaker with --condition, a track with --track")]
    NoVector,
    /// A vector of another voice.
    #[error("made for the voice `{found}`, this one is `{wanted}`; enroll or mix it again for this voice")]
    Space {
        /// The vector's.
        found: String,
        /// The voice's.
        wanted: String,
    },
    /// A vector of another length.
    #[error("speaker vector of {found} values, this voice wants {wanted}")]
    VectorLength {
        /// The vector's.
        found: usize,
        /// The voice's.
        wanted: usize,
    },
    /// An enrolled speaker whose statistics are not in the file.
    #[error(
        "an enrolled speaker stands beside a track without statistics of his own; make the file again: condition track --condition"
    )]
    UnknownSpeaker,
    /// An adaptation of another model.
    #[error("its adaptation: {0}")]
    Adaptation(ModelError),
    /// A track of another recipe, rate or hop.
    #[error(transparent)]
    Track(#[from] CondError),
    /// Too little speech for statistics.
    #[error(transparent)]
    Features(#[from] FeatureError),
}

/// The speaker vector of `condition`, checked to be of `voice`'s space. Empty for a voice without global conditioning.
fn speaker_vector(voice: &Voice, condition: &Condition) -> Result<Vec<f32>, ConditioningError> {
    let wanted = voice.config.condition.as_ref().map_or(0, |c| c.speaker_dim);
    if wanted == 0 {
        return Ok(Vec::new());
    }
    let vector = condition.speaker.as_ref().ok_or(ConditioningError::NoVector)?;
    if vector.space != voice.section.space {
        let (found, wanted) = (vector.space.clone(), voice.section.space.clone());
        return Err(ConditioningError::Space { found, wanted });
    }
    match vector.values.len() {
        found if found != wanted => Err(ConditioningError::VectorLength { found, wanted }),
        _ => Ok(vector.values.clone()),
    }
}

/// What adapts `voice` to the speaker of `condition`; `None` where the vector does it alone.
fn adaptation(voice: &Voice, condition: &Condition) -> Result<Option<Adaptation>, ConditioningError> {
    let tensors: Tensors = (condition.speaker.iter().flat_map(|s| &s.adaptation))
        .map(|(name, t)| (name.clone(), Tensor::new(&t.shape, t.values.clone())))
        .collect();
    if tensors.is_empty() {
        return Ok(None);
    }
    voice.model.adaptation(&tensors).map(Some).map_err(ConditioningError::Adaptation)
}

impl Conditioning {
    /// The speaker and the track that two files bring to `voice`, each named as [`lookup::condition`] says; the first one may
    /// also be the name of a speaker of the voice. It may hold a track too, which the second one replaces.
    ///
    /// # Errors
    /// As [`lookup::condition`] and [`Conditioning::new`], or no track where one is named or for a voice that takes none.
    pub fn read<P: AsRef<Path>>(voice: &Voice, speaker: Option<P>, track: Option<P>) -> anyhow::Result<Self> {
        let mut conditioning = Self::default();
        if let Some(path) = &speaker {
            let path = path.as_ref();
            let own = path.to_str().and_then(|name| voice.speaker(name));
            conditioning = Self::new(voice, &lookup::condition_or(path, own)?).at(path)?;
        }
        if let Some(path) = &track {
            let path = path.as_ref();
            let condition = lookup::track(path)?;
            if condition.track.is_none() {
                Err(ConditioningError::OnlySpeaker).at(path)?;
            }
            let track = Self::new(voice, &condition).at(path)?;
            if !track.has_track() {
                Err(ConditioningError::TakesNoTrack).at(path)?;
            }
            // The track file's own speaker does not matter where another is named.
            conditioning = match conditioning.has_speaker() {
                true => conditioning.overlaid(track.without_speaker()),
                false => track,
            };
        }
        Ok(conditioning)
    }

    /// Checks that a speaker is named where `voice` wants one.
    ///
    /// # Errors
    /// There is none.
    pub fn check_speaker(&self, voice: &Voice) -> Result<(), NoSpeaker> {
        let wanted = voice.config.condition.as_ref().is_some_and(|c| c.speaker_dim > 0);
        if wanted && !self.has_speaker() { Err(NoSpeaker) } else { Ok(()) }
    }

    /// The parts of `condition` that `voice` takes; others (a track for a voice without local conditioning) are left out.
    ///
    /// # Errors
    /// A vector of another space, or a track of another recipe, rate or hop.
    pub fn new(voice: &Voice, condition: &Condition) -> Result<Self, ConditioningError> {
        let Some(shape) = &voice.config.condition else {
            return Ok(Self::default());
        };
        let given = voice.track_shape().zip(condition.track.as_ref());
        let speaker = match &condition.speaker {
            Some(_) if shape.speaker_dim > 0 => {
                let values = speaker_vector(voice, condition)?;
                // The statistics beside a track are those that it was normalised with: they are not the vector's.
                let is_plain = condition.speaker.as_ref().is_some_and(|s| s.is_plain());
                let stats = match (condition.speaker_stats(), &condition.track) {
                    (None, Some(_)) if is_plain => voice.stats_of(&values),
                    (None, Some(_)) => return Err(ConditioningError::UnknownSpeaker),
                    (known, _) => known,
                };
                let by = stats.map(|stats| identify(voice, stats));
                let common = by.as_ref().filter(|_| voice.section.common.is_some());
                let conversion =
                    common.and_then(|(_, common)| SpeakerConversion::new(voice, &values, common));
                let id = by.map(|(id, _)| id);
                let vector = condition.speaker.as_ref();
                let reads = vector.and_then(|v| v.reads.as_ref()).zip(stats);
                Some(SpeakerPart {
                    values,
                    id,
                    stats: stats.cloned(),
                    conversion,
                    adaptation: adaptation(voice, condition)?,
                    reads: reads.map(|(reads, own)| (reads.clone(), FrameMap::between(own, reads))),
                })
            }
            _ => None,
        };
        let mut track = None;
        if let Some((wanted, t)) = given {
            t.check(wanted)?;
            let by = condition.stats.as_ref().map(|stats| identify(voice, stats));
            track = Some(TrackPart { values: t.frames.as_slice().into(), by });
        }
        Ok(Self { speaker, track })
    }

    /// The track of a recording with features `raw`, normalised by its speaker's statistics where they are known, else by
    /// its own.
    ///
    /// # Errors
    /// Too little speech for statistics, or a voice of another recipe, rate or hop.
    pub fn from_features(
        voice: &Voice,
        raw: &RawFeatures,
        stats: Option<&SpeakerStats>,
    ) -> Result<Self, ConditioningError> {
        let own;
        let stats = match stats {
            Some(stats) => stats,
            None => {
                own = SpeakerStats::pool([raw])?;
                &own
            }
        };
        let (track, stats) = (Some(recordings::track(raw, stats)), Some(stats.clone()));
        Self::new(voice, &Condition { track, stats, ..Condition::default() })
    }

    /// A conditioning by its parts, for voices whose sizes are known to fit.
    #[cfg(any(feature = "cli", feature = "train"))]
    pub(crate) fn of(speaker: Option<Vec<f32>>, track: Option<Vec<f32>>) -> Self {
        Self {
            speaker: speaker.map(|values| SpeakerPart {
                values,
                id: None,
                stats: None,
                conversion: None,
                adaptation: None,
                reads: None,
            }),
            track: track.map(|values| TrackPart { values: values.into(), by: None }),
        }
    }

    /// The vector of one of a voice's speakers and a track, perhaps empty.
    #[cfg(feature = "train")]
    pub(crate) fn known(speaker: Option<Vec<f32>>, track: FeatureTrack) -> Self {
        let features = (!track.features.is_empty()).then(|| track.features.to_vec());
        let mut conditioning = Self::of(speaker, features);
        if let (Some(part), Some(track_part)) = (&mut conditioning.speaker, &mut conditioning.track) {
            part.id = Some(SpeakerId(0));
            track_part.by = (track.source == TrackSource::Own).then(|| (SpeakerId(0), Alignment::identity()));
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

    /// This conditioning without speaker conversion: a cross-speaker track stays as it is. A recording is scored like
    /// this.
    pub fn unconverted(mut self) -> Self {
        if let Some(part) = &mut self.speaker {
            part.conversion = None;
        }
        self
    }

    /// Whether it has a speaker vector.
    pub fn has_speaker(&self) -> bool {
        self.speaker.is_some()
    }

    /// The statistics of the vector's speaker, where they are known.
    pub fn speaker_stats(&self) -> Option<&SpeakerStats> {
        self.speaker.as_ref()?.stats.as_ref()
    }

    /// Whether it has a track.
    pub fn has_track(&self) -> bool {
        self.track.is_some()
    }

    /// The speaker vector, for the speaker's own tracks and those of unknown speakers.
    ///
    /// # Real-time
    /// This and what follows: yes, no memory but the stack's.
    pub(super) fn speaker(&self) -> Option<&[f32]> {
        self.speaker.as_ref().map(|part| &part.values[..])
    }

    /// What adapts the voice to the vector's speaker.
    pub(super) fn adaptation(&self) -> Option<&Adaptation> {
        self.speaker.as_ref()?.adaptation.as_ref()
    }

    /// The statistics in whose numbers the voice reads the tracks of the vector's speaker, where they are known.
    pub(super) fn read_stats(&self) -> Option<&SpeakerStats> {
        let part = self.speaker.as_ref()?;
        part.reads.as_ref().map(|(stats, _)| stats).or(part.stats.as_ref())
    }

    /// The track's features [N, F]; empty without one.
    pub(super) fn features(&self) -> Arc<[f32]> {
        self.track.as_ref().map_or_else(Arc::default, |track| track.values.clone())
    }

    /// Whose speech the frames are made from: the vector's speaker's where the track is known to be his, and where there is no
    /// vector; another's where a front end brings them in place of the track.
    pub fn source(&self, by_front_end: bool) -> TrackSource {
        let track = self.track.as_ref().filter(|_| !by_front_end);
        let by = track.and_then(|t| t.by.as_ref()).map(|(id, _)| *id);
        let own = |part: &SpeakerPart| part.id.is_some() && part.id == by;
        match self.speaker.as_ref().is_none_or(own) {
            true => TrackSource::Own,
            false => TrackSource::CrossSpeaker,
        }
    }

    /// Whether the tracks of `others` are converted: the vector's speaker is none of them, and has a map to the common space.
    pub(super) fn converts_from(&self, others: &[SpeakerStats]) -> bool {
        let part = self.speaker.as_ref().filter(|part| part.conversion.is_some());
        part.is_some_and(|part| others.iter().all(|other| part.id != Some(SpeakerId::of(other))))
    }

    /// The map from the frames of the track's speaker (the one with the statistics `source` or, without, the track's own)
    /// to those that the voice reads for the vector's speaker, `None` where they stay as they are; and the vector that
    /// goes with it, `None` where that is the speaker's own.
    pub(super) fn conversion(&self, source: Option<&SpeakerStats>) -> (Option<FrameMap>, Option<&[f32]>) {
        let Some(part) = &self.speaker else { return (None, None) };
        let reads = part.reads.as_ref().map(|(_, map)| map);
        let by = match source {
            Some(s) => Some((SpeakerId::of(s), s.common.clone().unwrap_or_else(Alignment::identity))),
            None => self.track.as_ref().and_then(|t| t.by.clone()),
        };
        match part.conversion.as_ref().zip(by.filter(|(id, _)| part.id != Some(*id))) {
            None => (reads.cloned(), None),
            Some((conversion, (id, common))) => {
                let map = conversion.map_from(&common);
                let map = reads.map_or_else(|| map.clone().into(), |reads| reads.behind(&map));
                (Some(map), Some(conversion.vector_for(id)))
            }
        }
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
