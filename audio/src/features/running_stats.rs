//! Running speaker statistics (online mean and variance normalisation): known ahead, or learned while speech comes in.

use super::common::{Alignment, Codebook, OnlineAligner};
use super::stats::{STD_FLOOR, decibels, least_level};
use super::{CEPSTRA, SpeakerStats, f0};

/// Frames of speech that the prior's means count for.
const MEAN_PRIOR: f32 = 30.0;
/// Frames of speech that the prior's deviations count for: they differ less between speakers.
const SPREAD_PRIOR: f32 = 300.0;
/// Voiced frames that the prior's median counts for.
const PITCH_PRIOR: f32 = 25.0;
/// Voiced frames that the prior's level counts for.
const LEVEL_PRIOR: f32 = 5.0;
/// Frames after which older speech has faded to 1/e: 30 s of speech.
const FADE: f32 = 3_000.0;
/// The same for the level: 2 s of voiced speech.
const LEVEL_FADE: f32 = 200.0;
/// Frames whose c0 lies within this many dB of the mean of voiced frames are speech. That mean lies some 5 dB below the
/// 95th percentile, by which a whole recording is measured.
const RANGE_DB: f32 = 30.0;
/// Bins of the pitch histogram per octave.
const BINS_PER_OCTAVE: f32 = 48.0;

/// What normalises the features of a signal that comes in.
///
/// Learned statistics start at a prior and forget: after n frames of speech a mean is the running mean of the prior,
/// weighing as 30 frames, and of those n; from 30 s on, older speech fades with that time constant. Deviations
/// start at a weight of 300 frames. Speech is what lies within 30 dB of the mean level of the voiced frames so far, so
/// that neither pauses nor a room's noise are learned. The median F0 is that of a forgetting histogram, 48 bins an
/// octave, in which the prior's median counts as 25 voiced frames. The map to the space common to speakers comes from an
/// [`OnlineAligner`].
#[derive(Clone, Debug)]
pub struct RunningSpeakerStats {
    stats: SpeakerStats,
    learned: Option<Learned>,
}

#[derive(Clone, Debug)]
struct Learned {
    mean_weight: f32,
    spread_weight: f32,
    variance: [f32; CEPSTRA],
    /// Mean c0 of voiced frames.
    level: f32,
    level_weight: f32,
    pitch: Vec<f32>,
    aligner: Option<OnlineAligner>,
    /// Maps to the common space that it has found.
    alignments: u64,
}

impl RunningSpeakerStats {
    /// Statistics that are known: they stay as they are, and frames equal those of [`super::normalise`].
    pub fn known(stats: SpeakerStats) -> Self {
        Self { stats, learned: None }
    }

    /// Statistics that start at `prior`, those of an average speaker, and are learned. The map to the space of `common` is
    /// learned too, where there is one.
    pub fn learning(prior: SpeakerStats, common: Option<&Codebook>) -> Self {
        let bins = (f0::MAX_HZ / f0::MIN_HZ).log2() * BINS_PER_OCTAVE;
        let mut pitch = vec![0.0; bins.ceil() as usize + 1];
        if prior.median_f0_hz > 0.0 {
            pitch[bin(prior.median_f0_hz)] = PITCH_PRIOR;
        }
        let learned = Learned {
            mean_weight: MEAN_PRIOR,
            spread_weight: SPREAD_PRIOR,
            variance: prior.std.map(|s| s * s),
            level: prior.mean[0],
            level_weight: LEVEL_PRIOR,
            pitch,
            aligner: common.map(|common| {
                OnlineAligner::new(common, prior.common.as_ref().unwrap_or(&Alignment::identity()))
            }),
            alignments: 0,
        };
        Self { stats: prior, learned: Some(learned) }
    }

    /// The statistics in force.
    ///
    /// # Real-time
    /// A reference.
    pub fn stats(&self) -> &SpeakerStats {
        &self.stats
    }

    /// Whether they change.
    pub fn is_learning(&self) -> bool {
        self.learned.is_some()
    }

    /// How many times the statistics' map to the common space has changed.
    ///
    /// # Real-time
    /// A number.
    pub fn alignments(&self) -> u64 {
        self.learned.as_ref().map_or(0, |l| l.alignments)
    }

    /// Learns from a frame: its cepstra, and its F0 in Hz, 0 when unvoiced.
    ///
    /// # Real-time
    /// Neither allocates nor locks.
    pub fn push(&mut self, cepstra: &[f32; CEPSTRA], f0_hz: f32) {
        let Some(l) = &mut self.learned else { return };
        // A value beyond the range of numbers would stay in the means for good.
        if cepstra.iter().any(|c| !c.is_finite()) {
            return;
        }
        if let Some(map) = l.aligner.as_mut().and_then(|a| a.push(cepstra, &self.stats)) {
            self.stats.common = Some(map.clone());
            l.alignments += 1;
        }
        if f0_hz > 0.0 {
            l.level_weight = (l.level_weight + 1.0).min(LEVEL_FADE);
            l.level += (cepstra[0] - l.level) / l.level_weight;
            l.pitch.iter_mut().for_each(|w| *w *= 1.0 - 1.0 / FADE);
            l.pitch[bin(f0_hz)] += 1.0;
            self.stats.median_f0_hz = median(&l.pitch);
        }
        if cepstra[0] < (l.level - decibels(RANGE_DB)).max(least_level()) {
            return;
        }
        l.mean_weight = (l.mean_weight + 1.0).min(FADE);
        l.spread_weight = (l.spread_weight + 1.0).min(FADE);
        for (k, &c) in cepstra.iter().enumerate() {
            let before = c - self.stats.mean[k];
            self.stats.mean[k] += before / l.mean_weight;
            let after = c - self.stats.mean[k];
            l.variance[k] += (before * after - l.variance[k]) / l.spread_weight;
            self.stats.std[k] = l.variance[k].max(0.0).sqrt().max(STD_FLOOR);
        }
    }
}

fn bin(f0_hz: f32) -> usize {
    let octaves = (f0_hz.clamp(f0::MIN_HZ, f0::MAX_HZ) / f0::MIN_HZ).log2();
    (octaves * BINS_PER_OCTAVE).round() as usize
}

/// Median of the histogram in Hz, interpolated within its bin.
fn median(pitch: &[f32]) -> f32 {
    let half = 0.5 * pitch.iter().sum::<f32>();
    let mut below = 0.0;
    for (i, &w) in pitch.iter().enumerate() {
        if w > 0.0 && below + w >= half {
            let at = i as f32 - 0.5 + (half - below) / w;
            return f0::MIN_HZ * (at / BINS_PER_OCTAVE).exp2();
        }
        below += w;
    }
    0.0
}
