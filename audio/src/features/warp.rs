//! Cepstra of another vocal tract: what a stretch of the frequency axis does to them.
//!
//! A tract shorter by a factor a moves all resonances up by it. On log mel bands that is a resampling, and the cepstra
//! are a cosine series of the bands, so it is a linear map of the cepstra (M. Pitz and H. Ney, "Vocal tract
//! normalization equals linear transformation in cepstral space", IEEE Transactions on Speech and Audio Processing, 2005).

use super::spectrum::warped_band;
use super::{BANDS, CEPSTRA, SpeakerStats, dct::Dct};

/// A map of normalised cepstra, `[CEPSTRA x CEPSTRA]`.
pub type Map = [[f32; CEPSTRA]; CEPSTRA];

/// The map of the first [`CEPSTRA`] columns of a track of the speaker with `stats` when the spectrum is stretched by
/// `factor`: out = map · column. As [`super::normalise`] would give it for the stretched voice, mean and spread
/// taken out again; the spread as if the coefficients were independent of one another.
pub fn warp(factor: f32, stats: &SpeakerStats) -> Map {
    let dct = Dct::new(BANDS, CEPSTRA);
    let mut map = [[0.0; CEPSTRA]; CEPSTRA];
    for k in 0..CEPSTRA {
        // The log spectrum that one standard deviation of coefficient k adds, read at the positions that move to each band.
        let moved: [f32; BANDS] =
            std::array::from_fn(|b| stats.std[k] * dct.basis(k, warped_band(b, factor, BANDS)));
        let mut column = [0.0; CEPSTRA];
        dct.transform(&moved, &mut column);
        for (row, c) in map.iter_mut().zip(column) {
            row[k] = c;
        }
    }
    for row in &mut map {
        let spread = row.iter().map(|v| v * v).sum::<f32>().sqrt();
        row.iter_mut().for_each(|v| *v /= spread.max(f32::MIN_POSITIVE));
    }
    map
}

#[cfg(test)]
mod tests {
    use super::super::{Extractor, normalise};
    use super::*;

    fn stats() -> SpeakerStats {
        SpeakerStats { mean: [0.0; CEPSTRA], std: [2.0; CEPSTRA], median_f0_hz: 100.0, common: None }
    }

    #[test]
    fn a_factor_of_one_changes_nothing() {
        for (i, row) in warp(1.0, &stats()).iter().enumerate() {
            for (k, v) in row.iter().enumerate() {
                assert!((v - f32::from(i == k)).abs() < 1e-4, "{i} {k}: {v}");
            }
        }
    }

    /// Broad noise bumps whose centres lie a factor apart: the one's cepstra, warped, are nearer to the other's than its own.
    #[test]
    fn a_resonance_moves_by_the_factor() {
        let hump = |centre: f32| -> Vec<f32> {
            let mut x = vec![0.0f32; 16_000];
            for (i, x) in x.iter_mut().enumerate() {
                let t = i as f32 / 16_000.0;
                for n in 1..60 {
                    let f = 120.0 * n as f32;
                    let level = 1.0 / (1.0 + ((f - centre) / 400.0).powi(2));
                    *x += 0.01 * level * (std::f32::consts::TAU * f * t + (n * n) as f32).sin();
                }
            }
            x
        };
        let mut extractor = Extractor::new();
        let mut cepstra =
            |centre| normalise(&extractor.extract(&hump(centre)), &stats()).frame(50)[1..CEPSTRA].to_vec();
        let (low, high) = (cepstra(1_500.0), cepstra(1_800.0));
        // Undo the scaling to unit spread, which compares whole tracks, not frames.
        let map = warp(1.2, &stats());
        let moved: Vec<f32> =
            map[1..].iter().map(|row| row[1..].iter().zip(&low).map(|(w, c)| w * c).sum()).collect();
        let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        let (before, after) = (distance(&low, &high), distance(&moved, &high));
        assert!(after < 0.3 * before, "{before} before, {after} after");
    }
}
