//! How near a copy is to its original recording.

use wavesynth_audio::features::spectrum::log_mel;
use wavesynth_audio::features::{Extractor, RawFeatures};

/// Mel bands of the distance.
pub const BANDS: usize = 80;

/// Decibels below the recording's loudest band at which silence begins: what is fainter counts as silent.
pub const RANGE_DB: f32 = 60.0;

/// A power's natural logarithm in decibels.
pub const DB_PER_NAT: f32 = 10.0 / std::f32::consts::LN_10;

/// How a copy differs from its original.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Root mean square over [`BANDS`] mel bands of the difference in dB, averaged over the frames; both sides
    /// limited to [`RANGE_DB`] below the original's loudest band.
    pub log_mel_db: f64,
    /// Correlation of the same bands over all frames; `None` where one side never changes.
    pub spectral_correlation: Option<f64>,
    /// Correlation of log F0 over the frames that are voiced in both; `None` for fewer than ten.
    pub f0_correlation: Option<f64>,
    /// Root mean square of the F0 difference over the same frames, in cents.
    pub f0_cents: Option<f64>,
    /// Fraction of frames that are voiced in one and not in the other.
    pub voicing_error: f64,
    /// Frames compared.
    pub frames: usize,
}

impl Difference {
    /// The mean over several copies, each weighing by its frames.
    pub fn mean(all: &[Self]) -> Self {
        let over = |of: &dyn Fn(&Self) -> Option<f64>| {
            let known = all.iter().filter_map(|d| Some((of(d)?, d.frames as f64)));
            let (sum, weight) = known.fold((0.0, 0.0), |(s, w), (v, n)| (s + v * n, w + n));
            (weight > 0.0).then(|| sum / weight)
        };
        Self {
            log_mel_db: over(&|d| Some(d.log_mel_db)).unwrap_or(0.0),
            spectral_correlation: over(&|d| d.spectral_correlation),
            f0_correlation: over(&|d| d.f0_correlation),
            f0_cents: over(&|d| d.f0_cents),
            voicing_error: over(&|d| Some(d.voicing_error)).unwrap_or(0.0),
            frames: all.iter().map(|d| d.frames).sum(),
        }
    }
}

/// Compares two signals at 16 kHz that start together; the longer one is cut.
pub fn compare(original: &[f32], copy: &[f32]) -> Difference {
    let n = original.len().min(copy.len());
    let (original, copy) = (&original[..n], &copy[..n]);
    let (a, b) = (log_mel(original, BANDS), log_mel(copy, BANDS));
    let frames = a.len() / BANDS;
    let loudest = a.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let floor = loudest - RANGE_DB / DB_PER_NAT;
    let mut distance = 0.0;
    for (a, b) in a.chunks_exact(BANDS).zip(b.chunks_exact(BANDS)) {
        let square = |(a, b): (&f32, &f32)| f64::from((a.max(floor) - b.max(floor)) * DB_PER_NAT).powi(2);
        distance += (a.iter().zip(b).map(square).sum::<f64>() / BANDS as f64).sqrt();
    }
    let limited = |v: &f32| f64::from(v.max(floor));
    let cells: Vec<(f64, f64)> = a.iter().map(limited).zip(b.iter().map(limited)).collect();
    let mut extractor = Extractor::new();
    let (f, g) = (extractor.extract(original), extractor.extract(copy));
    let both: Vec<(f64, f64)> = octaves(&f, &g).collect();
    let differs = f.f0_hz.iter().zip(&g.f0_hz).filter(|(f, g)| (**f > 0.0) != (**g > 0.0)).count();
    let enough = both.len() >= 10;
    let square = both.iter().map(|(a, b)| (a - b).powi(2)).sum::<f64>() / both.len().max(1) as f64;
    Difference {
        log_mel_db: distance / frames.max(1) as f64,
        spectral_correlation: correlation(&cells),
        f0_correlation: enough.then(|| correlation(&both)).flatten(),
        f0_cents: enough.then(|| 1200.0 * square.sqrt()),
        voicing_error: differs as f64 / frames.max(1) as f64,
        frames,
    }
}

/// log2 F0 of both where both are voiced.
fn octaves<'a>(f: &'a RawFeatures, g: &'a RawFeatures) -> impl Iterator<Item = (f64, f64)> + 'a {
    let both = f.f0_hz.iter().zip(&g.f0_hz).filter(|(f, g)| **f > 0.0 && **g > 0.0);
    both.map(|(f, g)| (f64::from(*f).log2(), f64::from(*g).log2()))
}

/// Pearson's; `None` where one side never changes.
fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let n = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (ma, mb) = (mean(|p| p.0), mean(|p| p.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|p| of(p.0 - ma, p.1 - mb)).sum::<f64>();
    let (ab, aa, bb) = (sum(&|a, b| a * b), sum(&|a, _| a * a), sum(&|_, b| b * b));
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glide(from: f32, to: f32) -> Vec<f32> {
        let mut phase = 0.0f32;
        (0..16_000)
            .map(|i| {
                phase += (from + (to - from) * i as f32 / 16_000.0) / 16_000.0;
                (1..8).map(|h| (std::f32::consts::TAU * phase * h as f32).sin() / h as f32).sum::<f32>() * 0.2
            })
            .collect()
    }

    #[test]
    fn a_copy_of_itself_differs_in_nothing() {
        let x = glide(100.0, 200.0);
        let d = compare(&x, &x);
        assert_eq!((d.log_mel_db, d.voicing_error, d.frames), (0.0, 0.0, 100));
        assert!(d.f0_correlation.unwrap() > 0.9999 && d.f0_cents.unwrap() < 1e-6);
    }

    #[test]
    fn gain_is_decibels_and_pitch_is_cents() {
        let x = glide(100.0, 200.0);
        let louder: Vec<f32> = x.iter().map(|v| v * 2.0).collect();
        let d = compare(&x, &louder);
        // 6 dB, less where the original lies below the range.
        assert!((3.0..6.1).contains(&d.log_mel_db), "{d:?}");
        let octave = compare(&x, &glide(200.0, 400.0 / 1.1));
        assert!((900.0..1300.0).contains(&octave.f0_cents.unwrap()), "{octave:?}");
        let falling = compare(&x, &glide(200.0, 100.0));
        assert!(falling.f0_correlation.unwrap() < -0.9, "{falling:?}");
        let silent = compare(&x, &vec![0.0; x.len()]);
        assert!(silent.voicing_error > 0.9 && silent.f0_correlation.is_none());
    }
}
