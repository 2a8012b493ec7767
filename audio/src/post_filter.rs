//! A post-filter that follows the conditioning track: it takes noise out of what a voice has drawn.
//!
//! ```text
//! sample -> comb at the track's pitch, below 1 kHz -> filter that brings the envelope to the track's cepstra -> 10 ms later
//! ```
//!
//! The comb adds the sample one period before where the track is voiced: noise between the harmonics falls (Chen and Gersho
//! 1995, "Adaptive postfiltering for quality enhancement of coded speech", section III). The envelope filter measures the
//! 16 cepstra of the newest 25 ms as [`crate::features`] does, under a window that leans to their end, and takes from or
//! adds to every frequency what the track's cepstra miss or have beyond them, at most [`MOST_DB`]. Its taps are a linear
//! phase's, and go over to the next ones every 2.5 ms.

use crate::features::spectrum::{BINS, Filterbank, POINTS, mel_place};
use crate::features::{
    BANDS, CEPSTRA, CLAMP, FEATURES, HOP, PITCH, PITCH_SCALE, SAMPLE_RATE, SpeakerStats, VOICING, dct,
};
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::f32::consts::{LN_10, PI, SQRT_2};
use std::sync::Arc;

/// Samples at 16 kHz from one that comes in to the same one that goes out: 10 ms.
pub const DELAY: usize = 160;

/// Most that the envelope filter takes or adds, in dB.
pub const MOST_DB: f32 = 12.0;

/// Samples from one set of taps to the next.
const STEP: usize = 40;

/// Taps to either side of the middle one.
const SIDE: usize = 96;

/// Samples that are measured, and where among them the window's peak is.
const WINDOW: usize = 400;
const PEAK: usize = 320;

/// Samples that are kept: those measured, or two periods of the lowest pitch.
const KEPT: usize = 1024;

/// Share of the sample one period before.
const COMB: f32 = 0.4;

/// Highest frequency of the comb, Hz.
const COMB_HZ: f32 = 1000.0;

/// Longest period, in samples: 50 Hz.
const LONGEST: f32 = 320.0;

/// Samples over which the comb comes and goes.
const VOICING_SAMPLES: f32 = 80.0;

/// Frames that are kept.
const FRAMES: usize = 8;

/// What a frame of the track says of the sound.
#[derive(Debug, Clone, Copy, Default)]
struct Target {
    /// `None` where nothing is known: the envelope stays.
    cepstra: Option<[f32; CEPSTRA]>,
    /// 0 where the level is the least that a track can say, so that it may be lower; else 1.
    raise: f32,
    /// Samples; 0 where unvoiced.
    period: f32,
}

/// The filter's state: samples in, the same samples [`DELAY`] later out.
pub struct PostFilter {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    scratch: Vec<Complex<f32>>,
    spectrum: Vec<Complex<f32>>,
    time: Vec<f32>,
    power: Vec<f32>,
    window: Vec<f32>,
    bank: Filterbank,
    dct: dct::Dct,
    /// Of each bin, the 16 basis functions at its place among the bands.
    basis: Vec<[f32; CEPSTRA]>,
    /// The newest samples as they came, and behind the comb; sample n stands at n mod [`KEPT`].
    raw: Vec<f32>,
    combed: Vec<f32>,
    low_pass: LowPass,
    voicing: f32,
    /// Frame i stands at i mod [`FRAMES`].
    targets: [Target; FRAMES],
    /// Frames begun.
    begun: u64,
    /// Samples that came in.
    count: u64,
    /// Taps in force at the last change and at the next one.
    taps: [Vec<f32>; 2],
    /// The middle of the window: samples before its end.
    centre: f32,
}

impl PostFilter {
    /// A filter at rest.
    pub fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(POINTS), planner.plan_fft_inverse(POINTS));
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        let rise = |i: usize| 0.5 - 0.5 * (PI * i as f32 / PEAK as f32).cos();
        let fall = |i: usize| 0.5 + 0.5 * (PI * i as f32 / (WINDOW - PEAK) as f32).cos();
        let mut window: Vec<f32> =
            (0..WINDOW).map(|i| if i < PEAK { rise(i) } else { fall(i - PEAK) }).collect();
        // Noise has the same power under it as under the features' own window, a Hann window of as many samples.
        let energy: f32 = window.iter().map(|w| w * w).sum();
        let moment: f32 = window.iter().zip(0u16..).map(|(w, i)| w * w * f32::from(i)).sum();
        let scale = (0.375 * WINDOW as f32 / energy).sqrt();
        window.iter_mut().for_each(|w| *w *= scale);
        let dct = dct::Dct::new(BANDS, CEPSTRA);
        let basis =
            (0..BINS).map(|bin| std::array::from_fn(|k| dct.basis(k, mel_place(bin, BANDS)))).collect();
        let mut plain = vec![0.0; 2 * SIDE + 1];
        plain[SIDE] = 1.0;
        Self {
            scratch: vec![Complex::default(); scratch],
            spectrum: forward.make_output_vec(),
            time: forward.make_input_vec(),
            power: vec![0.0; BINS],
            centre: WINDOW as f32 - moment / energy,
            window,
            bank: Filterbank::new(BANDS),
            dct,
            basis,
            raw: vec![0.0; KEPT],
            combed: vec![0.0; KEPT],
            low_pass: LowPass::new(COMB_HZ),
            voicing: 0.0,
            targets: [Target::default(); FRAMES],
            begun: 0,
            count: 0,
            taps: [plain.clone(), plain],
            forward,
            inverse,
        }
    }

    /// Begins a frame of [`HOP`] samples with the next sample: its features, normalised by `speaker`'s statistics. Without
    /// either, the sound stays as it is.
    ///
    /// # Real-time
    /// Yes.
    pub fn begin_frame(&mut self, features: Option<&[f32]>, speaker: Option<&SpeakerStats>) {
        let known = features.filter(|f| f.len() == FEATURES).zip(speaker);
        let target = known.map_or_else(Target::default, |(f, stats)| {
            let hz = stats.median_f0_hz * (f[PITCH] / PITCH_SCALE).exp2();
            let period = SAMPLE_RATE as f32 / hz;
            let voiced = f[VOICING] > 0.0 && (2.0..=LONGEST).contains(&period);
            Target {
                cepstra: Some(std::array::from_fn(|k| stats.mean[k] + stats.std[k] * f[k])),
                raise: if f[0] > -CLAMP { 1.0 } else { 0.0 },
                period: if voiced { period } else { 0.0 },
            }
        });
        self.targets[self.begun as usize % FRAMES] = target;
        self.begun += 1;
    }

    /// One sample in; the one [`DELAY`] before, filtered, out. The first [`DELAY`] are silence.
    ///
    /// # Real-time
    /// Yes: neither allocates nor frees. Every 40th sample costs two transforms of 512 points.
    pub fn process(&mut self, x: f32) -> f32 {
        let n = self.count;
        self.raw[n as usize % KEPT] = x;
        self.combed[n as usize % KEPT] = self.comb(n, x);
        self.count += 1;
        let Some(out) = self.count.checked_sub(DELAY as u64 + 1) else { return 0.0 };
        let phase = out as usize % STEP;
        if phase == 0 {
            self.taps.swap(0, 1);
            self.next_taps();
        }
        let share = (phase as f32 + 0.5) / STEP as f32;
        let mut sums = [0.0; 2];
        for (i, (a, b)) in self.taps[0].iter().zip(&self.taps[1]).enumerate() {
            // Tap i reads the sample SIDE − i after the one that goes out.
            let x = self.combed[(out as usize + KEPT + SIDE - i) % KEPT];
            sums[0] += a * x;
            sums[1] += b * x;
        }
        sums[0] + (sums[1] - sums[0]) * share
    }

    /// Sample n with some of the one a period before it added, below [`COMB_HZ`].
    fn comb(&mut self, n: u64, x: f32) -> f32 {
        let frame = self.begun.checked_sub(1);
        let period = frame.map_or(0.0, |i| self.targets[i as usize % FRAMES].period);
        let wanted = if period > 0.0 { 1.0 } else { 0.0 };
        self.voicing += (wanted - self.voicing) / VOICING_SAMPLES;
        let mut difference = 0.0;
        if period > 0.0 && n as f32 > period {
            let (whole, part) = (period as usize, period.fract());
            let at = |back: usize| self.raw[(n as usize + KEPT - back) % KEPT];
            let before = at(whole) + (at(whole + 1) - at(whole)) * part;
            difference = (before - x) * self.voicing * COMB / (1.0 + COMB);
        }
        x + self.low_pass.process(difference)
    }

    /// Taps for the envelope that the newest samples want.
    fn next_taps(&mut self) {
        let (gains, raise) = self.measure();
        let most = MOST_DB / 20.0 * LN_10;
        for (z, basis) in self.spectrum.iter_mut().zip(&self.basis) {
            // Of the logarithm of the power, half is that of the amplitude.
            let log: f32 = gains.iter().zip(basis).map(|(g, b)| g * b).sum();
            *z = Complex::new((0.5 * log).clamp(-most, raise * most).exp(), 0.0);
        }
        let done = self.inverse.process_with_scratch(&mut self.spectrum, &mut self.time, &mut self.scratch);
        debug_assert!(done.is_ok(), "the buffers come from the plan");
        for (i, tap) in self.taps[1].iter_mut().enumerate() {
            let window = 0.5 - 0.5 * (2.0 * PI * (i + 1) as f32 / (2 * SIDE + 2) as f32).cos();
            *tap = window * self.time[(i + POINTS - SIDE) % POINTS] / POINTS as f32;
        }
    }

    /// What the track's cepstra have beyond those of the newest samples, at the middle of the window; and how much of
    /// [`MOST_DB`] may be added.
    fn measure(&mut self) -> ([f32; CEPSTRA], f32) {
        let centre = self.count as f32 - self.centre;
        let at = (centre - (HOP / 2) as f32) / HOP as f32;
        let last = self.begun.saturating_sub(1) as f32;
        let place = at.clamp((last - (FRAMES - 1) as f32).max(0.0), last.max(0.0));
        let target = |i: f32| self.targets[i as usize % FRAMES];
        let (a, b, part) = (target(place.floor()), target(place.ceil()), place.fract());
        let raise = a.raise + (b.raise - a.raise) * part;
        let (Some(a), Some(b)) = (a.cepstra, b.cepstra) else { return ([0.0; CEPSTRA], 0.0) };
        for (i, (t, w)) in self.time.iter_mut().zip(&self.window).enumerate() {
            *t = w * self.combed[(self.count as usize + KEPT - WINDOW + i) % KEPT];
        }
        self.time[WINDOW..].fill(0.0);
        let done = self.forward.process_with_scratch(&mut self.time, &mut self.spectrum, &mut self.scratch);
        debug_assert!(done.is_ok(), "the buffers come from the plan");
        for (p, z) in self.power.iter_mut().zip(&self.spectrum) {
            *p = z.norm_sqr();
        }
        let (mut bands, mut own) = ([0.0; BANDS], [0.0; CEPSTRA]);
        self.bank.log_energies(&self.power, &mut bands);
        self.dct.transform(&bands, &mut own);
        (std::array::from_fn(|k| a[k] + (b[k] - a[k]) * part - own[k]), raise)
    }
}

impl Default for PostFilter {
    fn default() -> Self {
        Self::new()
    }
}

/// A Butterworth filter of second order.
struct LowPass {
    b: [f32; 3],
    a: [f32; 2],
    state: [f32; 2],
}

impl LowPass {
    fn new(hz: f32) -> Self {
        let w = (PI * hz / SAMPLE_RATE as f32).tan();
        let norm = 1.0 / (1.0 + SQRT_2 * w + w * w);
        Self {
            b: [w * w * norm, 2.0 * w * w * norm, w * w * norm],
            a: [2.0 * (w * w - 1.0) * norm, (1.0 - SQRT_2 * w + w * w) * norm],
            state: [0.0; 2],
        }
    }

    fn process(&mut self, x: f32) -> f32 {
        let y = self.b[0] * x + self.state[0];
        self.state[0] = self.b[1] * x - self.a[0] * y + self.state[1];
        self.state[1] = self.b[2] * x - self.a[1] * y;
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Extractor;

    /// White noise, −1 to 1 times `gain`.
    fn noise(n: usize, gain: f32) -> Vec<f32> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(|_| gain * next()).collect()
    }

    fn stats() -> SpeakerStats {
        SpeakerStats { mean: [0.0; CEPSTRA], std: [1.0; CEPSTRA], median_f0_hz: 200.0, common: None }
    }

    /// `x` through the filter, [`DELAY`] cut off, with these features for every frame.
    fn filtered(x: &[f32], features: impl Fn(usize) -> Option<[f32; FEATURES]>) -> Vec<f32> {
        let (mut filter, stats) = (PostFilter::new(), stats());
        let mut out = Vec::new();
        for (n, &x) in x.iter().chain(&[0.0; DELAY]).enumerate() {
            if n % HOP == 0 {
                filter.begin_frame(features(n / HOP).as_ref().map(|f| &f[..]), Some(&stats));
            }
            out.push(filter.process(x));
        }
        assert!(out[..DELAY].iter().all(|y| *y == 0.0));
        out.split_off(DELAY)
    }

    fn power(x: &[f32]) -> f32 {
        x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32
    }

    #[test]
    fn sound_of_unknown_frames_stays_as_it_is() {
        let x = noise(4000, 0.3);
        let y = filtered(&x, |_| None);
        assert!(x.iter().zip(&y).all(|(x, y)| (x - y).abs() < 1e-4));
    }

    #[test]
    fn the_envelope_becomes_the_tracks() {
        let x = noise(32_000, 0.1);
        let raw = Extractor::new().extract(&x);
        let n = raw.len() as f32;
        let mean: [f32; CEPSTRA] = std::array::from_fn(|k| raw.cepstra.iter().map(|c| c[k]).sum::<f32>() / n);
        for (k, db) in [(0, 6.0f32), (0, -6.0), (1, 3.0), (3, 3.0)] {
            // c_0 has √24 times a band's logarithm, the others √(24 / 2) times that of their cosine.
            let size = if k == 0 { 24f32.sqrt() } else { 12f32.sqrt() };
            let mut wanted = [0.0; FEATURES];
            wanted[..CEPSTRA].copy_from_slice(&mean);
            wanted[k] += size * db / 10.0 * LN_10;
            let y = filtered(&x, |_| Some(wanted));
            let raw = Extractor::new().extract(&y[1600..30_400]);
            let found = raw.cepstra.iter().map(|c| c[k]).sum::<f32>() / raw.len() as f32 - mean[k];
            let found = found / size * 10.0 / LN_10;
            assert!((found - db).abs() < 0.2 * db.abs(), "c{k}: {found} dB, wanted {db}");
        }
    }

    #[test]
    fn silence_is_not_raised_to_the_least_that_a_track_can_say() {
        let x = noise(8000, 1e-4);
        let quiet = |level: f32| {
            let mut f = [0.0; FEATURES];
            f[0] = level;
            power(&filtered(&x, |_| Some(f))[1600..6400]) / power(&x)
        };
        assert!(quiet(-CLAMP) <= 1.1 && quiet(-CLAMP + 0.01) > 4.0);
    }

    #[test]
    fn noise_between_the_harmonics_falls_and_they_stay() {
        let tone = |n: usize| 0.1 * (2.0 * PI * 200.0 * n as f32 / 16_000.0).sin();
        let voiced = |_| {
            let mut f = [0.0; FEATURES];
            f[VOICING] = 1.0;
            Some(f)
        };
        // The envelope is left alone: only the comb is asked.
        let comb = |x: &[f32]| -> Vec<f32> {
            let (mut filter, stats) = (PostFilter::new(), stats());
            let one = |(n, x): (usize, &f32)| {
                if n % HOP == 0 {
                    filter.begin_frame(voiced(n).as_ref().map(|f| &f[..]), Some(&stats));
                }
                filter.raw[n % KEPT] = *x;
                filter.comb(n as u64, *x)
            };
            x.iter().enumerate().map(one).collect()
        };
        let harmonic: Vec<f32> = (0..16_000).map(tone).collect();
        let y = comb(&harmonic);
        assert!((power(&y[8000..]) / power(&harmonic[8000..]) - 1.0).abs() < 0.02);
        // A tone half-way between two harmonics.
        let between: Vec<f32> =
            (0..16_000).map(|n| 0.1 * (2.0 * PI * 300.0 * n as f32 / 16_000.0).sin()).collect();
        let y = comb(&between);
        let db = 10.0 * (power(&y[8000..]) / power(&between[8000..])).log10();
        assert!((-9.0..-5.0).contains(&db), "{db} dB");
    }
}
