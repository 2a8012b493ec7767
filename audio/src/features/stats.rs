//! A speaker's statistics: mean and standard deviation of the cepstra, and median F0.

use super::common::Alignment;
use super::{BANDS, CEPSTRA, RawFeatures, spectrum};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Frames whose level (c0) lies within this many dB of the 95th percentile are speech.
pub const SPEECH_RANGE_DB: f32 = 35.0;

/// Least standard deviation, so that a constant coefficient divides by something.
pub(super) const STD_FLOOR: f32 = 1e-2;

/// So many dB, in units of c0, which is the sum of the bands' logarithms / sqrt(bands).
pub(super) fn decibels(db: f32) -> f32 {
    db / 10.0 * std::f32::consts::LN_10 * (BANDS as f32).sqrt()
}

/// Least c0 of speech: a thousandth above what silence has.
pub(super) fn least_level() -> f32 {
    let floor = spectrum::FLOOR.ln() * (BANDS as f32).sqrt();
    floor + 1e-3 * floor.abs()
}

/// Why statistics could not be made.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum FeatureError {
    /// Too little to measure.
    #[error(
        "found {found} frames of speech (10 ms each) in {frames}, at least {wanted} are needed: \
         record more, or louder"
    )]
    NoSpeech {
        /// Frames of speech found.
        found: usize,
        /// Frames in all.
        frames: usize,
        /// Frames of speech needed.
        wanted: usize,
    },
}

/// A speaker's statistics over frames of speech.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpeakerStats {
    /// Mean of each cepstral coefficient.
    pub mean: [f32; CEPSTRA],
    /// Standard deviation of each cepstral coefficient, > 0.
    pub std: [f32; CEPSTRA],
    /// Median F0 of the voiced frames in Hz, 0 when there is none.
    pub median_f0_hz: f32,
    /// Map from the cepstra that these numbers normalise to the space that the voice's speakers share, where it was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common: Option<Alignment>,
}

impl SpeakerStats {
    /// Frames of speech that statistics need at least: 0.2 s.
    pub const MIN_FRAMES: usize = 20;

    /// Statistics over one or many recordings of a speaker. Speech is what lies within
    /// [`SPEECH_RANGE_DB`] of the 95th percentile of c0 over all of them, and above the floor.
    ///
    /// # Errors
    /// [`FeatureError::NoSpeech`] for less than [`SpeakerStats::MIN_FRAMES`] of it.
    pub fn pool<'a>(
        recordings: impl IntoIterator<Item = &'a RawFeatures>,
    ) -> Result<SpeakerStats, FeatureError> {
        let recordings: Vec<&RawFeatures> = recordings.into_iter().collect();
        let frames = || recordings.iter().flat_map(|r| &r.cepstra);
        let mut levels: Vec<f32> = frames().map(|c| c[0]).collect();
        let total = levels.len();
        let too_little = |found| FeatureError::NoSpeech { found, frames: total, wanted: Self::MIN_FRAMES };
        if total < Self::MIN_FRAMES {
            return Err(too_little(total));
        }
        let (_, loud, _) = levels.select_nth_unstable_by(total * 95 / 100, f32::total_cmp);
        let least = (*loud - decibels(SPEECH_RANGE_DB)).max(least_level());

        let speech = || frames().filter(|c| c[0] >= least);
        let count = speech().count();
        if count < Self::MIN_FRAMES {
            return Err(too_little(count));
        }
        let mut sum = [0.0f64; CEPSTRA];
        for c in speech() {
            sum.iter_mut().zip(c).for_each(|(s, &v)| *s += v as f64);
        }
        let mean = sum.map(|s| s / count as f64);
        let mut squares = [0.0f64; CEPSTRA];
        for c in speech() {
            for k in 0..CEPSTRA {
                squares[k] += (c[k] as f64 - mean[k]).powi(2);
            }
        }
        let std = squares.map(|s| ((s / count as f64).sqrt() as f32).max(STD_FLOOR));

        let mut voiced: Vec<f32> =
            recordings.iter().flat_map(|r| &r.f0_hz).copied().filter(|f| *f > 0.0).collect();
        let median_f0_hz = match voiced.len() {
            0 => 0.0,
            n => *voiced.select_nth_unstable_by(n / 2, f32::total_cmp).1,
        };
        Ok(SpeakerStats { mean: mean.map(|m| m as f32), std, median_f0_hz, common: None })
    }

    /// The mean of several speakers, all counting the same. `None` without a speaker.
    pub fn average<'a>(speakers: impl IntoIterator<Item = &'a SpeakerStats>) -> Option<SpeakerStats> {
        let speakers: Vec<_> = speakers.into_iter().collect();
        let share = 1.0 / speakers.len().max(1) as f32;
        Self::mixed(&speakers.into_iter().map(|s| (s, share)).collect::<Vec<_>>())
    }

    /// Statistics between those of several speakers, with weights that sum to 1: means of the means, of the deviations
    /// and, where all have one, of the alignments; geometric mean of the medians that are above 0. `None` without a
    /// speaker, or where weights below 0 lead to numbers that are not valid.
    pub fn mixed(parts: &[(&SpeakerStats, f32)]) -> Option<SpeakerStats> {
        if parts.is_empty() {
            return None;
        }
        let mean = |of: &dyn Fn(&SpeakerStats) -> f32| parts.iter().map(|(s, w)| w * of(s)).sum::<f32>();
        let voiced = || parts.iter().filter(|(s, _)| s.median_f0_hz > 0.0);
        let weight: f32 = voiced().map(|(_, w)| w).sum();
        let octaves: f32 = voiced().map(|(s, w)| w * s.median_f0_hz.log2()).sum();
        let maps: Option<Vec<(&Alignment, f32)>> =
            parts.iter().map(|(s, w)| Some((s.common.as_ref()?, *w))).collect();
        let mixed = SpeakerStats {
            mean: std::array::from_fn(|k| mean(&|s| s.mean[k])),
            std: std::array::from_fn(|k| mean(&|s| s.std[k])),
            median_f0_hz: if weight == 0.0 { 0.0 } else { (octaves / weight).exp2() },
            common: maps.map(|maps| Alignment::mixed(&maps)),
        };
        mixed.is_valid().then_some(mixed)
    }

    /// The error message for stats that are not [valid](SpeakerStats::is_valid).
    pub const INVALID: &str =
        "a number that is not finite, a deviation that is not above 0, or an alignment that has no inverse";

    /// True if every number is finite, every deviation positive, the median not negative and the alignment valid. A file
    /// that does not fulfil it is refused.
    pub fn is_valid(&self) -> bool {
        self.mean.iter().all(|v| v.is_finite())
            && self.std.iter().all(|v| v.is_finite() && *v > 0.0)
            && self.median_f0_hz.is_finite()
            && self.median_f0_hz >= 0.0
            && self.common.as_ref().is_none_or(Alignment::is_valid)
    }
}
