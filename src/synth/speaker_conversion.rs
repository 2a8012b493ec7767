//! How a speaker says what another one said.
//!
//! The other's cepstra go to the space common to all speakers and out of it by the speaker's own way
//! ([`common`](wavesynth_audio::features::common)). They still say something of who spoke, and training, where each track
//! was the speaker's own, taught the voice to believe it. So the speaker's vector moves away from the other's, or, where
//! the voice has no vector for him, from the middle of its speakers; less far where the voice has learned from others'
//! tracks, too. models/pretrained/voice.md has what that does to who is heard, to the words and to the pitch.

use super::conditioning::Person;
use crate::voice::Voice;
use wavesynth_audio::features::common::Alignment;

/// By how much of its distance from the other's the vector moves away from it.
const AWAY: f32 = 1.0;
/// The same in a voice with a network for others' tracks.
const AWAY_WITH_CROSS_SPEAKER: f32 = 0.7;

/// A speaker who is to say what others said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SpeakerConversion {
    from_common: Alignment,
    /// His vector, moved away from each of the voice's speakers of whom enough is known.
    from_others: Vec<(Person, Vec<f32>)>,
    /// His vector, moved away from the middle.
    from_anybody: Vec<f32>,
}

impl SpeakerConversion {
    /// Of the speaker with `vector`, whose way to the space common to `voice`'s speakers is `common`; `None` where there is
    /// no way back.
    pub(super) fn new(voice: &Voice, vector: &[f32], common: &Alignment) -> Option<Self> {
        let from_common = common.inverse()?;
        let table = voice.model.embeddings().chunks_exact(vector.len());
        let count = table.len().max(1) as f32;
        let mut middle = vec![0.0; vector.len()];
        table.clone().for_each(|row| middle.iter_mut().zip(row).for_each(|(m, v)| *m += v / count));
        let tells = voice.config.condition.as_ref().is_some_and(|c| c.others > 0);
        let away = if tells { AWAY_WITH_CROSS_SPEAKER } else { AWAY };
        let away_from = |other: &[f32]| vector.iter().zip(other).map(|(v, o)| v + away * (v - o)).collect();
        let stats = voice.section.speakers.iter().map(|s| s.stats.as_ref());
        let known = stats.zip(table).filter_map(|(stats, row)| Some((Person::of(stats?), away_from(row))));
        Some(Self { from_common, from_others: known.collect(), from_anybody: away_from(&middle) })
    }

    /// The way from the cepstra of somebody with this way to the common space.
    ///
    /// # Real-time
    /// This and [`SpeakerConversion::beside`]: yes, no memory but the stack's.
    pub(super) fn way_from(&self, common: &Alignment) -> Alignment {
        common.then(&self.from_common)
    }

    /// The speaker's vector beside `person`'s track.
    pub(super) fn beside(&self, person: Person) -> &[f32] {
        let other = self.from_others.iter().find(|(other, _)| *other == person);
        other.map_or(&self.from_anybody, |(_, vector)| vector)
    }
}
