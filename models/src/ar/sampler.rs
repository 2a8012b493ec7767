//! How a uniform number picks a symbol.

use super::Symbol;
use crate::kernels::{Isa, Kernel, Simd, math};

/// How symbols are drawn. [`Sampling::default`] draws from the model's own distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest symbol.
    pub temperature: f32,
    /// Keeps the `k` likeliest symbols; 0 keeps all.
    pub top_k: usize,
    /// Keeps the likeliest symbols until their mass reaches `p`; 1 keeps all.
    pub top_p: f32,
    /// Keeps the symbols that are at least this times as likely as the likeliest, temperature applied; 0 keeps all
    /// (M. Nguyen et al., arXiv:2407.01082). Costs no time, unlike the other two, which sort.
    pub min_p: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0 }
    }
}

/// A value of [`Sampling`] outside its range.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum SamplingError {
    /// Negative, infinite or not a number.
    #[error("temperature is {0}, wanted a finite number from 0 up")]
    Temperature(f32),
    /// Not in (0, 1].
    #[error("top-p is {0}, wanted a number above 0 and at most 1")]
    TopP(f32),
    /// Not in [0, 1].
    #[error("min-p is {0}, wanted a number from 0 to 1")]
    MinP(f32),
}

impl Sampling {
    /// The checked value.
    ///
    /// # Errors
    /// Says which field is out of range.
    pub fn checked(self) -> Result<Self, SamplingError> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return Err(SamplingError::Temperature(self.temperature));
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return Err(SamplingError::TopP(self.top_p));
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return Err(SamplingError::MinP(self.min_p));
        }
        Ok(self)
    }
}

/// Draws symbols. Owns its scratch, so that drawing never allocates.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    /// ln w below which w is 0.
    least: f32,
    /// It changes no bit of what is drawn.
    isa: Isa,
    classes: usize,
    /// w_i, zeros to whole blocks.
    weights: Vec<f32>,
    /// Σ w of each block.
    masses: Vec<f64>,
    order: Vec<Symbol>,
    /// Whether the largest logit was a finite number in every draw.
    finite: bool,
}

impl Sampler {
    /// A sampler for distributions over `classes` alternatives.
    pub fn new(sampling: Sampling, classes: usize) -> Self {
        let blocks = classes.div_ceil(BLOCK);
        Self {
            sampling,
            least: least(sampling.min_p),
            isa: Isa::detect(),
            classes,
            weights: vec![0.0; blocks * BLOCK],
            masses: vec![0.0; blocks],
            order: (0..classes).map(|i| i as Symbol).collect(),
            finite: true,
        }
    }

    /// Whether every draw was from finite logits: at least the largest was.
    ///
    /// # Real-time
    /// Yes.
    pub(crate) fn is_finite(&self) -> bool {
        self.finite
    }

    /// Remembers that a draw was from parameters that are no numbers.
    pub(crate) fn set_not_finite(&mut self) {
        self.finite = false;
    }

    /// Forgets what was drawn.
    pub(crate) fn reset(&mut self) {
        self.finite = true;
    }

    /// What divides the logits.
    pub(crate) fn temperature(&self) -> f32 {
        self.sampling.temperature
    }

    /// The weights w_i by which the last [`Sampler::pick`] at a temperature above 0 picked.
    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights[..self.classes]
    }

    /// Changes how symbols are drawn from the next one on.
    ///
    /// # Real-time
    /// Yes.
    pub fn set(&mut self, sampling: Sampling) {
        self.sampling = sampling;
        self.least = least(sampling.min_p);
    }

    /// Picks a symbol by inverse transform. With weights w_i = exp((l_i − max l) / temperature), those below min-p,
    /// then those outside top-k and then outside top-p set to 0: the first i, in index order, at which
    /// w_0 + … + w_i > uniform · Σ w.
    ///
    /// At temperature 0: the likeliest symbol, the lowest index among equals; the others then change nothing. Ties
    /// at the border of top-k or top-p keep the lower index.
    ///
    /// # Real-time
    /// Yes.
    pub fn pick(&mut self, logits: &[f32], uniform: f32) -> Symbol {
        let Sampling { temperature, top_k, top_p, .. } = self.sampling;
        let logits = &logits[..self.classes];
        let max = self.isa.run(Largest(logits));
        // Overflow in a network ends in an infinite logit, or leaves no number at all.
        self.finite &= max.is_finite();
        if temperature == 0.0 {
            return first(logits, max);
        }
        let scale = 1.0 / temperature;
        self.isa.run(Exponentials { logits, max, scale, least: self.least, weights: &mut self.weights });
        let w = &mut self.weights[..self.classes];
        if top_k > 0 && top_k < w.len() {
            let (_, _, cut) = self.order.select_nth_unstable_by(top_k - 1, |&a, &b| heavier_first(w, a, b));
            for &i in cut.iter() {
                w[i as usize] = 0.0;
            }
        }
        if top_p < 1.0 {
            self.order.sort_unstable_by(|&a, &b| heavier_first(w, a, b));
            let sorted = &self.order;
            let enough = f64::from(top_p) * w.iter().map(|&v| f64::from(v)).sum::<f64>();
            let mut mass = 0.0;
            let mut keep = 0;
            while keep < sorted.len() && (keep == 0 || mass < enough) {
                mass += f64::from(w[sorted[keep] as usize]);
                keep += 1;
            }
            for &i in &sorted[keep..] {
                w[i as usize] = 0.0;
            }
        }
        self.isa.run(Masses { weights: &self.weights, masses: &mut self.masses });
        let total: f64 = self.masses.iter().sum();
        let threshold = f64::from(uniform) * total;
        let (mut mass, mut from) = (0.0, 0);
        for &more in &self.masses {
            if mass + more > threshold {
                break;
            }
            mass += more;
            from += BLOCK;
        }
        for (i, &v) in self.weights.iter().enumerate().skip(from) {
            mass += f64::from(v);
            if mass > threshold {
                return i as Symbol;
            }
        }
        // Only rounding leads here, or logits that are no numbers.
        first(logits, max)
    }
}

/// Weights that are summed apart, so that the search begins near its end; a multiple of any vector's lanes.
const BLOCK: usize = 16;

/// Below it, e^x is taken as 0: the exponential ends at the smallest normal floats.
const LEAST: f32 = -87.0;

/// x below which e^x is no more kept.
fn least(min_p: f32) -> f32 {
    min_p.ln().max(LEAST)
}

/// weights ← e^((logits − max) · scale), 0 where the exponent is below `least` or no number.
struct Exponentials<'a> {
    logits: &'a [f32],
    max: f32,
    scale: f32,
    least: f32,
    /// Zeros beyond the logits.
    weights: &'a mut [f32],
}

impl Kernel for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { logits, max, scale, least, weights } = self;
        for (w, &l) in weights.iter_mut().zip(logits) {
            *w = (l - max) * scale;
        }
        for v in weights.chunks_exact_mut(S::LANES) {
            let e = math::exp_everywhere(s, s.load(v));
            v.iter_mut().for_each(|x| *x = if *x >= least { 1.0 } else { 0.0 });
            s.store(v, s.mul(e, s.load(v)));
        }
        weights[logits.len()..].fill(0.0);
    }
}

/// masses ← Σ of every block of weights, always in the same order.
struct Masses<'a> {
    weights: &'a [f32],
    masses: &'a mut [f64],
}

impl Kernel for Masses<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (mass, block) in self.masses.iter_mut().zip(self.weights.as_chunks::<BLOCK>().0) {
            let mut lanes = [0.0; 4];
            for four in block.as_chunks::<4>().0 {
                for (lane, &v) in lanes.iter_mut().zip(four) {
                    *lane += f64::from(v);
                }
            }
            *mass = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
        }
    }
}

/// The largest logit that is a number.
struct Largest<'a>(&'a [f32]);

impl Kernel for Largest<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> f32 {
        let mut lanes = [f32::NEG_INFINITY; BLOCK];
        let (blocks, rest) = self.0.as_chunks::<BLOCK>();
        for block in blocks {
            for (lane, &l) in lanes.iter_mut().zip(block) {
                *lane = if l > *lane { l } else { *lane };
            }
        }
        lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |max, &l| if l > max { l } else { max })
    }
}

/// The first symbol with the logit `max`; 0 where none has.
fn first(logits: &[f32], max: f32) -> Symbol {
    logits.iter().position(|&l| l == max).unwrap_or(0) as Symbol
}

/// Orders symbols from the heaviest down, the lower index first among equals.
fn heavier_first(weights: &[f32], a: Symbol, b: Symbol) -> std::cmp::Ordering {
    weights[b as usize].total_cmp(&weights[a as usize]).then(a.cmp(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ar::Uniforms;

    const CLASSES: usize = 6;
    const LOGITS: [f32; 6] = [0.0, 2.0, -1.0, 2.0, 1.0, -30.0];

    fn frequencies(sampling: Sampling) -> [f64; 6] {
        let mut s = Sampler::new(sampling, CLASSES);
        let mut uniforms = Uniforms::new(3);
        let mut n = [0.0; 6];
        for _ in 0..200_000 {
            n[s.pick(&LOGITS, uniforms.next_uniform()) as usize] += 1.0 / 200_000.0;
        }
        n
    }

    fn expect(keep: &[usize], temperature: f64, got: [f64; 6]) {
        let mut p = [0.0; 6];
        for &i in keep {
            p[i] = (f64::from(LOGITS[i]) / temperature).exp();
        }
        let sum: f64 = p.iter().sum();
        for (i, (p, g)) in p.iter().zip(got).enumerate() {
            assert!((p / sum - g).abs() < 0.005, "symbol {i}: want {}, got {g}", p / sum);
            assert!(*p > 0.0 || g == 0.0, "symbol {i} was cut and drawn");
        }
    }

    #[test]
    fn draws_the_distribution() {
        expect(&[0, 1, 2, 3, 4, 5], 1.0, frequencies(Sampling::default()));
        let cold = Sampling { temperature: 0.5, ..Default::default() };
        expect(&[0, 1, 2, 3, 4, 5], 0.5, frequencies(cold));
    }

    #[test]
    fn top_k_and_top_p_keep_the_heaviest() {
        expect(&[1, 3, 4], 1.0, frequencies(Sampling { top_k: 3, ..Default::default() }));
        // Masses from the top: .396 .396 .146 …; 0.5 needs the first two.
        expect(&[1, 3], 1.0, frequencies(Sampling { top_p: 0.5, ..Default::default() }));
        // The tie of symbols 1 and 3 goes to the lower index.
        expect(&[1], 1.0, frequencies(Sampling { top_k: 1, ..Default::default() }));
        expect(&[1], 1.0, frequencies(Sampling { top_p: 0.01, ..Default::default() }));
    }

    #[test]
    fn min_p_keeps_what_is_near_the_likeliest() {
        let kept = |min_p, temperature| frequencies(Sampling { min_p, temperature, ..Default::default() });
        // Against the likeliest: 0.135, 1, 0.050, 1, 0.368, 0.
        expect(&[1, 3, 4], 1.0, kept(0.2, 1.0));
        expect(&[0, 1, 3, 4], 1.0, kept(0.1, 1.0));
        expect(&[1, 3], 0.5, kept(0.2, 0.5));
        expect(&[1, 3], 1.0, kept(1.0, 1.0));
        // What it leaves is what top-p counts.
        expect(&[1, 3], 1.0, frequencies(Sampling { min_p: 0.2, top_p: 0.84, ..Default::default() }));
    }

    #[test]
    fn temperature_zero_is_argmax_and_extremes_are_safe() {
        let mut s = Sampler::new(Sampling { temperature: 0.0, ..Default::default() }, CLASSES);
        assert_eq!(s.pick(&LOGITS, 0.999), 1);
        s.set(Sampling { temperature: 1e-30, ..Default::default() });
        assert_eq!(s.pick(&LOGITS, 0.0), 1);
        s.set(Sampling::default());
        assert!(s.is_finite());
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(s.pick(&[bad; 6], 0.5), 0);
            assert!(!s.is_finite());
            s.reset();
        }
        assert!(s.pick(&LOGITS, 1.0 - f32::EPSILON / 2.0) < 6);
    }

    #[test]
    fn every_instruction_set_draws_the_same_bits() {
        let mut uniforms = Uniforms::new(5);
        for classes in [6, 16, 37, 256, 300] {
            let logits: Vec<f32> = (0..classes).map(|_| 20.0 * uniforms.normal()).collect();
            let weights = |isa| {
                let mut s = Sampler::new(Sampling::default(), classes);
                s.isa = isa;
                s.pick(&logits, 0.5);
                (s.weights, s.masses)
            };
            for isa in Isa::available() {
                assert_eq!(weights(isa), weights(Isa::PLAIN), "{}, {classes} classes", isa.name());
            }
        }
    }

    /// The search by blocks against one weight after the other, at uniforms on both sides of every border.
    #[test]
    fn the_search_ends_where_the_sum_passes_the_uniform() {
        let classes = 100;
        let logits: Vec<f32> = (0..classes).map(|i| ((i * 37) % 19) as f32 * 0.3).collect();
        let mut s = Sampler::new(Sampling::default(), classes);
        s.pick(&logits, 0.0);
        let w = s.weights.clone();
        let total: f64 = w.iter().map(|&v| f64::from(v)).sum();
        let mut mass = 0.0;
        for (i, &v) in w[..classes].iter().enumerate() {
            let inside = ((mass + 0.5 * f64::from(v)) / total) as f32;
            assert_eq!(usize::from(s.pick(&logits, inside)), i);
            mass += f64::from(v);
        }
    }

    #[test]
    fn bad_settings_are_named() {
        let bad = |s: Sampling| s.checked().unwrap_err().to_string();
        assert!(bad(Sampling { temperature: f32::NAN, ..Default::default() }).contains("temperature"));
        assert!(bad(Sampling { top_p: 0.0, ..Default::default() }).contains("top-p is 0"));
        assert!(bad(Sampling { min_p: 1.1, ..Default::default() }).contains("min-p is 1.1"));
    }
}
