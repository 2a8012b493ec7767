//! Fundamental frequency by normalised cross-correlation and dynamic programming, after RAPT (D. Talkin,
//! "A robust algorithm for pitch tracking", in Speech Coding and Synthesis, 1995, chapter 14).
//!
//! 1. The signal is low-passed at [`CUTOFF_HZ`], where the harmonics are that carry the pitch.
//! 2. For each frame, with s the [`WINDOW`] + lag samples around its centre less their mean,
//!    `C(k) = sum_j s_j s_(j+k) / sqrt((e_0 + A) (e_k + A))`, e_k the energy of s_k..s_(k+WINDOW). A is
//!    the energy of a window [`FLOOR_DB`] below the recording's loudest 30 ms, so that faint noise and
//!    hum count as unvoiced; it makes the result independent of gain.
//! 3. The candidates are the [`CANDIDATES`] highest peaks by `C (1 - LAG_WEIGHT k / k_max)`, their lags
//!    refined by a parabola through three points.
//! 4. A Viterbi pass picks for each frame a candidate at a cost of `1 - C (1 - LAG_WEIGHT k / k_max)`, or
//!    "unvoiced" at the cost of the highest C, with costs of [`VOICING_COST`] for a change of voicing and
//!    [`JUMP_COST`] per octave of pitch change (at most [`JUMP_MAX`]).

mod online;

pub use online::{LAG, LEAD, OnlineTracker};

use super::{HOP, SAMPLE_RATE, frame_count};
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Lowest F0 found, Hz.
pub const MIN_HZ: f32 = 60.0;
/// Highest F0 found, Hz.
pub const MAX_HZ: f32 = 400.0;
/// Samples under the correlation: two periods of [`MIN_HZ`].
pub const WINDOW: usize = 533;
/// Corner of the low-pass, Hz.
pub const CUTOFF_HZ: f32 = 1_500.0;
/// Where noise begins, below the loudest 30 ms.
pub const FLOOR_DB: f32 = -40.0;
/// Peaks kept per frame.
pub const CANDIDATES: usize = 8;
/// Prefers the period to its multiples.
pub const LAG_WEIGHT: f32 = 0.3;
/// Cost of a change between voiced and unvoiced.
pub const VOICING_COST: f32 = 0.15;
/// Cost of an octave's change of pitch within 10 ms.
pub const JUMP_COST: f32 = 1.0;
/// Most that a change of pitch costs.
pub const JUMP_MAX: f32 = 0.8;

const LAG_MIN: usize = (SAMPLE_RATE as f32 / MAX_HZ) as usize;
const LAG_MAX: usize = (SAMPLE_RATE as f32 / MIN_HZ) as usize + 1;
/// One beyond at either side, for the parabola.
const LAGS: usize = LAG_MAX - LAG_MIN + 3;
const SEGMENT: usize = WINDOW + LAG_MAX + 1;
/// A medium lag, the geometric mean: its two windows lie symmetrically around the centre.
const MIDDLE: usize = 103;
const POINTS: usize = 1_024;
const TAPS: usize = 65;
const STATES: usize = CANDIDATES + 1;

// Circular correlation equals the linear one while the segment fits the transform.
const _: () = assert!(SEGMENT <= POINTS);

#[derive(Clone, Copy, Default)]
struct Candidate {
    lag: f32,
    /// Height of the peak, at most 1.
    height: f32,
}

/// The tracker, with its transforms and scratch memory.
pub struct Tracker {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    low_pass: Vec<f32>,
    smooth: Vec<f32>,
    segment: Vec<f32>,
    time: Vec<f32>,
    head: Vec<Complex<f32>>,
    all: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    energy: Vec<f32>,
}

impl Tracker {
    /// Plans the transforms.
    pub fn new() -> Self {
        let mut planner = RealFftPlanner::new();
        let forward = planner.plan_fft_forward(POINTS);
        let inverse = planner.plan_fft_inverse(POINTS);
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        Self {
            low_pass: low_pass(),
            smooth: Vec::new(),
            segment: vec![0.0; SEGMENT],
            time: forward.make_input_vec(),
            head: forward.make_output_vec(),
            all: forward.make_output_vec(),
            scratch: vec![Complex::default(); scratch],
            energy: vec![0.0; LAG_MAX + 2],
            forward,
            inverse,
        }
    }

    /// F0 in Hz (0 when unvoiced) and voicing strength (C at the period, 0..1, 0 when unvoiced) of each
    /// frame of a signal at 16 kHz. NaN and infinite samples count as 0.
    pub fn track(&mut self, pcm16k: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let frames = frame_count(pcm16k.len());
        self.filter(pcm16k);
        let (mut f0, mut voicing) = (vec![0.0; frames], vec![0.0; frames]);
        let floor = floor(self.loudest());
        if floor > 0.0 {
            let mut path = Path::new();
            let steps: Vec<Step> = (0..frames)
                .map(|i| {
                    let (candidates, n, best) = self.candidates(i, floor);
                    path.step(&candidates[..n], best)
                })
                .collect();
            trace(&steps, path.best(), &mut f0, &mut voicing);
        }
        (f0, voicing)
    }

    fn filter(&mut self, pcm: &[f32]) {
        let half = TAPS / 2;
        // Padded by half the filter at either side, so that every output is one full product.
        let mut padded = vec![0.0; pcm.len() + 2 * half];
        for (p, &x) in padded[half..].iter_mut().zip(pcm) {
            *p = if x.is_finite() { x } else { 0.0 };
        }
        self.smooth.clear();
        self.smooth.extend(padded.windows(TAPS).map(|w| filtered(w, &self.low_pass)));
    }

    /// Mean square of the loudest three hops in a row.
    fn loudest(&self) -> f32 {
        let hops: Vec<f32> = self.smooth.chunks(HOP).map(energy).collect();
        let three = |w: &[f32]| w.iter().sum::<f32>() / (3 * HOP) as f32;
        match hops.len() {
            0..3 => three(&hops),
            _ => hops.windows(3).map(three).fold(0.0, f32::max),
        }
    }

    /// Peaks of C for frame i, how many, and the highest C of all.
    fn candidates(&mut self, i: usize, floor: f32) -> ([Candidate; CANDIDATES], usize, f32) {
        let centre = i * HOP + HOP / 2;
        let shift = WINDOW.midpoint(MIDDLE);
        let mut mean = 0.0;
        for (j, s) in self.segment.iter_mut().enumerate() {
            let at = (centre + j).checked_sub(shift);
            *s = at.and_then(|at| self.smooth.get(at)).copied().unwrap_or(0.0);
            mean += *s;
        }
        mean /= SEGMENT as f32;
        self.segment.iter_mut().for_each(|s| *s -= mean);

        self.time[..WINDOW].copy_from_slice(&self.segment[..WINDOW]);
        self.time[WINDOW..].fill(0.0);
        let a = self.forward.process_with_scratch(&mut self.time, &mut self.head, &mut self.scratch);
        self.time[..SEGMENT].copy_from_slice(&self.segment);
        self.time[SEGMENT..].fill(0.0);
        let b = self.forward.process_with_scratch(&mut self.time, &mut self.all, &mut self.scratch);
        for (z, h) in self.all.iter_mut().zip(&self.head) {
            *z *= h.conj();
        }
        // Both ends are real but for rounding, and the inverse insists on it.
        self.all[0].im = 0.0;
        self.all[POINTS / 2].im = 0.0;
        let c = self.inverse.process_with_scratch(&mut self.all, &mut self.time, &mut self.scratch);
        debug_assert!(a.is_ok() && b.is_ok() && c.is_ok(), "buffers from the plan");

        // A running sum in double precision: what leaves the window cancels exactly enough.
        let s = &self.segment;
        let mut e: f64 = s[..WINDOW].iter().map(|x| (x * x) as f64).sum();
        for k in 0..self.energy.len() {
            self.energy[k] = e as f32;
            if let (Some(out), Some(into)) = (s.get(k), s.get(k + WINDOW)) {
                e += (into * into) as f64 - (out * out) as f64;
            }
        }
        let first = self.energy[0] + floor;
        let mut c = [0.0f32; LAGS];
        let mut best = 0.0f32;
        for (j, c) in c.iter_mut().enumerate() {
            let k = LAG_MIN - 1 + j;
            let energy = (self.energy[k].max(0.0) + floor) * first;
            *c = self.time[k] / POINTS as f32 / energy.sqrt();
            best = best.max(*c);
        }

        let mut found = [Candidate::default(); CANDIDATES];
        let mut n = 0;
        for j in 1..LAGS - 1 {
            let (l, m, r) = (c[j - 1], c[j], c[j + 1]);
            if !(m > 0.0 && m > l && m >= r && m >= 0.3 * best) {
                continue;
            }
            let offset = 0.5 * (l - r) / (l - 2.0 * m + r);
            let candidate = Candidate {
                lag: (LAG_MIN - 1 + j) as f32 + offset,
                height: (m - 0.25 * (l - r) * offset).min(1.0),
            };
            let rank = found[..n].iter().position(|f| weighted(f) < weighted(&candidate)).unwrap_or(n);
            if rank < CANDIDATES {
                n = (n + 1).min(CANDIDATES);
                found[rank..n].rotate_right(1);
                found[rank] = candidate;
            }
        }
        (found, n, best.min(1.0))
    }
}

impl Default for Tracker {
    fn default() -> Self {
        Self::new()
    }
}

/// A, from the mean square of the loudest 30 ms.
fn floor(loudest: f32) -> f32 {
    WINDOW as f32 * loudest * 10f32.powf(FLOOR_DB / 10.0)
}

fn energy(x: &[f32]) -> f32 {
    x.iter().map(|x| x * x).sum()
}

/// One output of the low-pass, from the [`TAPS`] samples around it.
fn filtered(w: &[f32], taps: &[f32]) -> f32 {
    // Eight sums, so that the compiler can add them side by side.
    let mut sums = [0.0f32; 8];
    for (x, h) in w.chunks_exact(8).zip(taps.chunks_exact(8)) {
        for k in 0..8 {
            sums[k] += x[k] * h[k];
        }
    }
    sums.iter().sum::<f32>() + w[TAPS - 1] * taps[TAPS - 1]
}

fn weighted(c: &Candidate) -> f32 {
    c.height * (1.0 - LAG_WEIGHT * c.lag / LAG_MAX as f32)
}

/// Windowed sinc (Hamming), unit gain at 0 Hz.
fn low_pass() -> Vec<f32> {
    let half = (TAPS / 2) as f64;
    let fc = 2.0 * CUTOFF_HZ as f64 / SAMPLE_RATE as f64;
    let h: Vec<f64> = (0..TAPS)
        .map(|i| {
            let t = i as f64 - half;
            let x = std::f64::consts::PI * fc * t;
            let sinc = if t == 0.0 { 1.0 } else { x.sin() / x };
            sinc * (0.54 + 0.46 * (std::f64::consts::PI * t / (half + 1.0)).cos())
        })
        .collect();
    let sum: f64 = h.iter().sum();
    h.iter().map(|v| (v / sum) as f32).collect()
}

/// A frame of the Viterbi pass: its candidates, and where the best way to each state comes from. State 0 is unvoiced,
/// state s > 0 is candidate s - 1.
#[derive(Clone, Copy, Default)]
struct Step {
    candidates: [Candidate; CANDIDATES],
    back: [u8; STATES],
}

/// The front of the Viterbi pass: the cost of each state of the last frame.
struct Path {
    cost: [f32; STATES],
    octave: [f32; STATES],
    states: usize,
    first: bool,
}

impl Path {
    fn new() -> Self {
        Self { cost: [0.0; STATES], octave: [0.0; STATES], states: 1, first: true }
    }

    /// One frame further, `best` being its highest C.
    fn step(&mut self, candidates: &[Candidate], best: f32) -> Step {
        let mut step = Step::default();
        let (mut cost, mut octave) = ([0.0f32; STATES], [0.0f32; STATES]);
        step.candidates[..candidates.len()].copy_from_slice(candidates);
        for s in 0..=candidates.len() {
            let local = match s {
                0 => best,
                _ => {
                    octave[s] = candidates[s - 1].lag.log2();
                    1.0 - weighted(&candidates[s - 1])
                }
            };
            let (from, way) = (0..self.states)
                .map(|p| {
                    let change = match (p, s) {
                        (0, 0) => 0.0,
                        (0, _) | (_, 0) => VOICING_COST,
                        _ => (JUMP_COST * (octave[s] - self.octave[p]).abs()).min(JUMP_MAX),
                    };
                    (p, self.cost[p] + if self.first { 0.0 } else { change })
                })
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .unwrap_or((0, 0.0));
            step.back[s] = from as u8;
            cost[s] = way + local;
        }
        self.first = false;
        self.states = candidates.len() + 1;
        // Only differences matter; without this the sums of a long recording lose their last bits.
        let least = cost[..self.states].iter().copied().fold(f32::MAX, f32::min);
        cost.iter_mut().for_each(|c| *c -= least);
        self.cost = cost;
        self.octave = octave;
        step
    }

    /// The cheapest state of the last frame.
    fn best(&self) -> usize {
        (0..self.states).min_by(|&a, &b| self.cost[a].total_cmp(&self.cost[b])).unwrap_or(0)
    }
}

/// F0 and voicing strength along the way that ends in state `last` of the last step; all slices are equally long.
fn trace(steps: &[Step], last: usize, f0: &mut [f32], voicing: &mut [f32]) {
    let mut s = last;
    for ((step, f0), voicing) in steps.iter().zip(f0).zip(voicing).rev() {
        (*f0, *voicing) = (0.0, 0.0);
        if s > 0 {
            let c = step.candidates[s - 1];
            *f0 = (SAMPLE_RATE as f32 / c.lag).clamp(MIN_HZ, MAX_HZ);
            *voicing = c.height.clamp(0.0, 1.0);
        }
        s = step.back[s] as usize;
    }
}
