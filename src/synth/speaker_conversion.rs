//! Speaker conversion: a target speaker with the track of another, the source speaker.
//!
//! The source's cepstra are mapped to the space common to all speakers, and from there by the inverse of the target's map
//! ([`common`](wavesynth_audio::features::common)). They still carry something of the source, and a voice trained
//! with each speaker's own tracks follows it. So the target's vector moves away from the source's or, where the voice has
//! no vector for the source, from the mean of its speakers; less far where the voice was trained with cross-speaker
//! tracks, too. The map is what costs words, so less likeness than that also takes less of it: docs/voice.md has the curve.

use super::conditioning::SpeakerId;
use crate::voice::Voice;
use wavesynth_audio::features::common::Alignment;

/// How far the vector moves away from the source's, as a multiple of their distance.
const AWAY: f32 = 1.0;
/// The same in a voice with a network for cross-speaker tracks.
const AWAY_WITH_CROSS_SPEAKER: f32 = 0.7;

/// A target speaker.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SpeakerConversion {
    from_common: Alignment,
    /// How much of the map is taken, beside the identity.
    share: f32,
    /// The target's vector, moved away from each of the voice's speakers whose statistics are known.
    away_from_speakers: Vec<(SpeakerId, Vec<f32>)>,
    /// The target's vector, moved away from the mean of the speakers.
    away_from_mean: Vec<f32>,
}

impl SpeakerConversion {
    /// For the speaker with `vector`, whose map to the space common to `voice`'s speakers is `common`; `None` where that
    /// has no inverse.
    pub(super) fn new(voice: &Voice, vector: &[f32], common: &Alignment) -> Option<Self> {
        let from_common = common.inverse()?;
        let table = voice.model.embeddings().chunks_exact(vector.len());
        let count = table.len().max(1) as f32;
        let mut middle = vec![0.0; vector.len()];
        table.clone().for_each(|row| middle.iter_mut().zip(row).for_each(|(m, v)| *m += v / count));
        let has_cross_speaker = voice.config.condition.as_ref().is_some_and(|c| c.others > 0);
        let measured = if has_cross_speaker { AWAY_WITH_CROSS_SPEAKER } else { AWAY };
        let away = voice.likeness.unwrap_or(measured);
        let share = (away / measured).min(1.0);
        let away_from = |other: &[f32]| vector.iter().zip(other).map(|(v, o)| v + away * (v - o)).collect();
        let stats = voice.section.speakers.iter().map(|s| s.stats.as_ref());
        let known = stats.zip(table).filter_map(|(stats, row)| Some((SpeakerId::of(stats?), away_from(row))));
        Some(Self {
            from_common,
            share,
            away_from_speakers: known.collect(),
            away_from_mean: away_from(&middle),
        })
    }

    /// The map to the target from the cepstra of a source whose map to the common space is `common`.
    ///
    /// # Real-time
    /// This and [`SpeakerConversion::vector_for`]: yes, no memory but the stack's.
    pub(super) fn map_from(&self, common: &Alignment) -> Alignment {
        let map = common.then(&self.from_common);
        if self.share < 1.0 { map.in_part(self.share) } else { map }
    }

    /// The target's vector for a track of the source `id`.
    pub(super) fn vector_for(&self, id: SpeakerId) -> &[f32] {
        let other = self.away_from_speakers.iter().find(|(other, _)| *other == id);
        other.map_or(&self.away_from_mean, |(_, vector)| vector)
    }
}
