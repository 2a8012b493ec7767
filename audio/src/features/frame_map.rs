//! Maps of whole normalised frames: of cepstra and pitch.

use super::common::Alignment;
use super::{CEPSTRA, CLAMP, PITCH, PITCH_SCALE, SpeakerStats};

/// A map of normalised frames. Voicing stays as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameMap {
    cepstra: Alignment,
    /// What is added to the pitch.
    pitch: f32,
}

impl FrameMap {
    /// From frames that `from` normalises to the same frames as `to` normalises them.
    pub fn between(from: &SpeakerStats, to: &SpeakerStats) -> Self {
        let mut cepstra = Alignment::identity();
        for k in 0..CEPSTRA {
            cepstra.matrix[k][k] = from.std[k] / to.std[k];
            cepstra.offset[k] = (from.mean[k] - to.mean[k]) / to.std[k];
        }
        let voiced = from.median_f0_hz > 0.0 && to.median_f0_hz > 0.0;
        let octaves = if voiced { (from.median_f0_hz / to.median_f0_hz).log2() } else { 0.0 };
        Self { cepstra, pitch: PITCH_SCALE * octaves }
    }

    /// `first`, then this map.
    ///
    /// # Real-time
    /// This and [`FrameMap::apply`]: yes, no memory but the stack's.
    pub fn behind(&self, first: &Alignment) -> Self {
        Self { cepstra: first.then(&self.cepstra), pitch: self.pitch }
    }

    /// Maps a frame in place; every value stays within ±[`CLAMP`].
    pub fn apply(&self, frame: &mut [f32]) {
        self.cepstra.apply(frame);
        if let Some(pitch) = frame.get_mut(PITCH) {
            *pitch = (*pitch + self.pitch).clamp(-CLAMP, CLAMP);
        }
    }
}

impl From<Alignment> for FrameMap {
    fn from(cepstra: Alignment) -> Self {
        Self { cepstra, pitch: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FEATURES, RawFeatures, normalise};
    use super::*;

    /// Normalised by one and mapped is normalised by the other.
    #[test]
    fn a_map_between_statistics_renormalises() {
        let stats = |shift: f32, std: f32, median_f0_hz| SpeakerStats {
            mean: std::array::from_fn(|k| shift + 0.1 * k as f32),
            std: [std; CEPSTRA],
            median_f0_hz,
            common: None,
        };
        let (a, b) = (stats(0.5, 1.5, 110.0), stats(-0.25, 2.0, 200.0));
        let raw = RawFeatures {
            cepstra: (0..6)
                .map(|i| std::array::from_fn(|k| ((7 * i + 3 * k) % 11) as f32 / 4.0 - 1.0))
                .collect(),
            f0_hz: vec![0.0, 100.0, 120.0, 0.0, 150.0, 0.0],
            voicing: vec![0.0, 0.5, 0.75, 0.25, 0.9, 0.0],
        };
        let mut mapped = normalise(&raw, &a).frames;
        let map = FrameMap::between(&a, &b);
        mapped.chunks_exact_mut(FEATURES).for_each(|frame| map.apply(frame));
        for (x, y) in mapped.iter().zip(&normalise(&raw, &b).frames) {
            assert!((x - y).abs() < 1e-4, "{x} {y}");
        }
        let turned = FrameMap::between(&a, &a).behind(&map.cepstra);
        assert_eq!(turned.cepstra, map.cepstra);
    }
}
