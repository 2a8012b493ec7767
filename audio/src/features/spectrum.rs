//! Power spectra and mel bands: the framing that the features, the evaluation and the pictures share.
//!
//! Frame i is a 400-sample periodic Hann window centred at sample 160 i + 80, zero-padded to 512 points;
//! its power spectrum is |X_k|^2, unscaled. The bands are triangles of unit height, equally spaced on the
//! HTK mel scale, mel(f) = 2595 log10(1 + f / 700), between [`LOW_HZ`] and [`HIGH_HZ`], evaluated at the
//! bins' frequencies. A band too narrow to hold a bin takes the one nearest to its centre.

use super::{HOP, SAMPLE_RATE, frame_count};
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Samples under the window: 25 ms.
pub const WINDOW: usize = 400;

/// Points of the transform.
pub const POINTS: usize = 512;

/// Bins of a power spectrum.
pub const BINS: usize = POINTS / 2 + 1;

/// Lower edge of the lowest band, Hz.
pub const LOW_HZ: f32 = 50.0;

/// Upper edge of the highest band, Hz.
pub const HIGH_HZ: f32 = 7_600.0;

/// Least energy of a band before the logarithm. A sine of full scale has 1e4 in its bin, the rounding
/// noise of 16 bits about 1e-8: the floor lies 100 dB under the one, above the other.
pub const FLOOR: f32 = 1e-6;

/// Short-time power spectra.
pub struct Spectrum {
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    time: Vec<f32>,
    freq: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    power: Vec<f32>,
}

impl Spectrum {
    /// Plans the transform.
    pub fn new() -> Self {
        let fft = RealFftPlanner::new().plan_fft_forward(POINTS);
        let window = (0..WINDOW)
            .map(|i| {
                let angle = std::f64::consts::TAU * i as f64 / WINDOW as f64;
                (0.5 - 0.5 * angle.cos()) as f32
            })
            .collect();
        Self {
            window,
            time: fft.make_input_vec(),
            freq: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            power: vec![0.0; BINS],
            fft,
        }
    }

    /// Power spectrum `[BINS]` of frame i. NaN and infinite samples count as 0, as does what lies outside.
    pub fn power(&mut self, pcm16k: &[f32], frame: usize) -> &[f32] {
        // The first sample under the window, offset by WINDOW to stay unsigned.
        let start = frame * HOP + HOP / 2 + WINDOW - WINDOW / 2;
        for (j, (t, w)) in self.time.iter_mut().zip(&self.window).enumerate() {
            let at = (start + j).checked_sub(WINDOW);
            let x = at.and_then(|at| pcm16k.get(at)).copied().unwrap_or(0.0);
            *t = if x.is_finite() { x * w } else { 0.0 };
        }
        self.time[WINDOW..].fill(0.0);
        let done = self.fft.process_with_scratch(&mut self.time, &mut self.freq, &mut self.scratch);
        debug_assert!(done.is_ok(), "the buffers come from the plan");
        for (p, z) in self.power.iter_mut().zip(&self.freq) {
            *p = z.norm_sqr();
        }
        &self.power
    }
}

impl Default for Spectrum {
    fn default() -> Self {
        Self::new()
    }
}

fn hertz(mel: f64) -> f64 {
    700.0 * (10f64.powf(mel / 2595.0) - 1.0)
}

/// Where, counted in bands from 0, what stands in band `band` of `bands` stood before all frequencies grew by `factor`;
/// at most half a band beyond the outer ones.
pub(super) fn warped_band(band: usize, factor: f32, bands: usize) -> f32 {
    let (low, high) = (mel(LOW_HZ.into()), mel(HIGH_HZ.into()));
    let step = (high - low) / (bands + 1) as f64;
    place(hertz(low + step * (band + 1) as f64) / f64::from(factor), bands)
}

/// Where `hz` stands among `bands` bands, counted from 0; at most half a band beyond the outer ones.
fn place(hz: f64, bands: usize) -> f32 {
    let (low, high) = (mel(LOW_HZ.into()), mel(HIGH_HZ.into()));
    let step = (high - low) / (bands + 1) as f64;
    ((mel(hz) - low) / step - 1.0).clamp(-0.5, bands as f64 - 0.5) as f32
}

/// Place of a bin among `bands` bands, counted in bands from 0; at most half a band beyond the outer ones.
pub(crate) fn mel_place(bin: usize, bands: usize) -> f32 {
    place(bin as f64 * f64::from(SAMPLE_RATE) / POINTS as f64, bands)
}

/// Triangular mel bands.
pub struct Filterbank {
    /// First bin and weights of each band.
    bands: Vec<(usize, Vec<f32>)>,
}

fn mel(hz: f64) -> f64 {
    2595.0 * (1.0 + hz / 700.0).log10()
}

impl Filterbank {
    /// `bands` triangles between [`LOW_HZ`] and [`HIGH_HZ`].
    pub fn new(bands: usize) -> Self {
        let bin_hz = SAMPLE_RATE as f64 / POINTS as f64;
        let (low, high) = (mel(LOW_HZ as f64), mel(HIGH_HZ as f64));
        let step = (high - low) / (bands + 1) as f64;
        let bands = (0..bands)
            .map(|b| {
                let centre = low + step * (b + 1) as f64;
                let weight = |k: usize| 1.0 - (mel(k as f64 * bin_hz) - centre).abs() / step;
                let inside: Vec<usize> = (0..BINS).filter(|&k| weight(k) > 0.0).collect();
                match inside.first() {
                    Some(&first) => (first, inside.iter().map(|&k| weight(k) as f32).collect()),
                    None => ((hertz(centre) / bin_hz).round() as usize, vec![1.0]),
                }
            })
            .collect();
        Self { bands }
    }

    /// Number of bands.
    pub fn len(&self) -> usize {
        self.bands.len()
    }

    /// True without a band.
    pub fn is_empty(&self) -> bool {
        self.bands.is_empty()
    }

    /// Natural logarithm of each band's energy, not below ln [`FLOOR`]: `power` has [`BINS`] values, `out`
    /// one per band.
    pub fn log_energies(&self, power: &[f32], out: &mut [f32]) {
        for ((first, weights), o) in self.bands.iter().zip(out) {
            let bins = power.get(*first..).unwrap_or(&[]);
            let energy: f32 = weights.iter().zip(bins).map(|(w, p)| w * p).sum();
            *o = energy.max(FLOOR).ln();
        }
    }
}

/// Log mel spectrogram of a signal at 16 kHz: `[ceil(n / 160) x bands]` row by row, natural logarithm of
/// power, not below ln [`FLOOR`].
pub fn log_mel(pcm16k: &[f32], bands: usize) -> Vec<f32> {
    let frames = frame_count(pcm16k.len());
    let mut out = vec![0.0; frames * bands];
    if bands == 0 {
        return out;
    }
    let (mut spectrum, bank) = (Spectrum::new(), Filterbank::new(bands));
    for (i, row) in out.chunks_exact_mut(bands).enumerate() {
        bank.log_energies(spectrum.power(pcm16k, i), row);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(f: f32, n: usize) -> Vec<f32> {
        (0..n).map(|i| (std::f32::consts::TAU * f * i as f32 / 16_000.0).sin()).collect()
    }

    #[test]
    fn a_sine_stands_in_its_bin_with_the_documented_power() {
        let mut s = Spectrum::new();
        let x = sine(1_000.0, 4_000);
        let p = s.power(&x, 12);
        let peak = (0..BINS).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap();
        assert_eq!(peak, 32);
        // |X| = (sum of the window) / 2 = 100.
        assert!((p[32] - 1e4).abs() < 10.0, "{}", p[32]);
    }

    /// A click shows where a frame lies: only the frames whose window covers it see it, and the one
    /// centred on it most.
    #[test]
    fn frames_are_centred_as_documented() {
        let mut x = vec![0.0; 3_200];
        x[10 * HOP + 80] = 1.0;
        let mut s = Spectrum::new();
        let energies: Vec<f32> = (0..20).map(|i| s.power(&x, i)[5]).collect();
        assert!((energies[10] - 1.0).abs() < 1e-5);
        assert!((energies[9] - energies[11]).abs() < 1e-6);
        assert!(energies[9] < 0.2 && energies[8] < 1e-9 && energies[12] < 1e-9);
    }

    #[test]
    fn bands_peak_at_their_own_frequency_for_any_number_of_bands() {
        for bands in [1, 8, 24, 40, 80, 128] {
            let bank = Filterbank::new(bands);
            assert_eq!(bank.len(), bands);
            for (first, w) in &bank.bands {
                assert!(!w.is_empty() && first + w.len() <= BINS);
                assert!(w.iter().all(|w| *w > 0.0 && *w <= 1.0));
            }
        }
        let mel = log_mel(&sine(3_000.0, 16_000), 40);
        let row = &mel[50 * 40..51 * 40];
        let peak = (0..40).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        let hz = |b: f64| {
            let step = (super::mel(7_600.0) - super::mel(50.0)) / 41.0;
            super::hertz(super::mel(50.0) + step * (b + 1.0))
        };
        assert!(hz(peak as f64 - 1.0) < 3_000.0 && 3_000.0 < hz(peak as f64 + 1.0));
    }

    #[test]
    fn silence_is_the_floor_and_bad_samples_are_silence() {
        let floor = FLOOR.ln();
        assert!(log_mel(&[0.0; 1_000], 24).iter().all(|&v| v == floor));
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].repeat(100);
        assert!(log_mel(&bad, 24).iter().all(|&v| v == floor));
        assert!(log_mel(&[], 24).is_empty() && log_mel(&[0.0; 10], 0).is_empty());
    }
}
