//! The discretised mixture of logistics.

use super::grid::Grid;
use super::{Domain, Likelihood, MAX_COMPONENTS, Value, math, mixture};
use crate::ar::{Sampler, Symbol};
use crate::config::{ConfigError, range};
#[cfg(feature = "train")]
use candle_core::{DType, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Discretised mixture of logistics: Salimans et al. 2017, "PixelCNN++", arXiv:1701.05517, sections 2.1 and 2.2. Level k
/// of L stands for the value v = 2k / (L − 1) − 1, and its bin is what rounds to it; the first bin is open to −∞, the last
/// to +∞:
///
/// ```text
/// p(x) = Σ_k π_k Π_c [ σ((v_c + h − μ_kc) / s_kc) − σ((v_c − h − μ_kc) / s_kc) ],   h = 1 / (L − 1), π = softmax(l)
/// μ_kc = m_kc + Σ_{j<c} tanh(a_kcj) v_j                                             channel c given those before it
/// ```
///
/// The parameters are K logits l, then K rows of C means m, then K rows of C values of ln s, then K rows of
/// C (C − 1) / 2 coefficients a, by c, then by j: (1,0), (2,0), (2,1), … ln s is clamped to
/// [`LogisticMixture::log_scale_min`] .. [`LOG_SCALE_MAX`](super::LOG_SCALE_MAX); the gradient beyond a clamp is 0.
///
/// With one channel it is over the L levels as symbols, and a draw takes one uniform, as a categorical's does. With more
/// it is over vectors of levels, whole numbers from 0 to L − 1 as f32; a draw takes one uniform for the component and one
/// a channel. Greater levels count as the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogisticMixture {
    /// K, the distributions that are mixed.
    pub components: usize,
    /// C, variables that are drawn in one step, each given those before it: 1 for sound, 3 for colours.
    #[serde(default = "one")]
    pub channels: usize,
    /// L, the levels of a channel: 256 for pictures, 65536 for 16-bit sound.
    pub levels: usize,
}

fn one() -> usize {
    1
}

/// Where parameters begin and end.
struct Parts<'p> {
    logits: &'p [f32],
    means: &'p [f32],
    log_scales: &'p [f32],
    coefficients: &'p [f32],
}

impl LogisticMixture {
    /// Checks the sizes.
    ///
    /// # Errors
    /// The first that is out of range.
    pub fn validate(&self) -> std::result::Result<(), ConfigError> {
        range("components", self.components, 1, MAX_COMPONENTS, "a number from 1 to 128")?;
        range("channels", self.channels, 1, 64, "a number from 1 to 64")?;
        range("levels", self.levels, 2, 1 << 16, "a number from 2 to 65536")
    }

    /// The least ln s: −7 for 256 levels as in the authors' program, and for others what makes a bin as many scales
    /// wide, 8.6: −7 − ln((L − 1) / 255), about −12.5 for 65,536.
    pub fn log_scale_min(&self) -> f32 {
        (-7.0 - math::ln((self.levels - 1) as f64 / 255.0)) as f32
    }

    fn split<'p>(&self, params: &'p [f32]) -> Parts<'p> {
        let n = self.components * self.channels;
        let (logits, rest) = params[..self.params()].split_at(self.components);
        let (means, rest) = rest.split_at(n);
        let (log_scales, coefficients) = rest.split_at(n);
        Parts { logits, means, log_scales, coefficients }
    }

    fn grid(&self) -> Grid {
        Grid { last: (self.levels - 1) as f64, log_scale_min: self.log_scale_min() }
    }

    /// μ_c of a component whose mean is m_c, from the values of the channels before it.
    fn mean(mean: f32, c: usize, coefficients: &[f32], value: impl Fn(usize) -> f64) -> f64 {
        let shift = |(j, &a): (usize, &f32)| math::tanh(f64::from(a)) * value(j);
        f64::from(mean) + coefficients[before(c)..][..c].iter().enumerate().map(shift).sum::<f64>()
    }

    /// ln p of `level(c)` for every channel under one component.
    fn log_p(&self, grid: Grid, parts: &Parts, k: usize, level: impl Fn(usize) -> f32) -> f64 {
        let (from, coefficients) = (k * self.channels, &parts.coefficients[k * before(self.channels)..]);
        let channel = |c| {
            let mean = Self::mean(parts.means[from + c], c, coefficients, |j| grid.value(level(j)));
            grid.bin(level(c), mean, parts.log_scales[from + c]).0
        };
        (0..self.channels).map(channel).sum()
    }

    /// The first level k with P(level ≤ k) above `uniform`, by bisection, for one channel at a temperature above 0.
    fn search(&self, parts: &Parts, weights: &[f32], temperature: f32, uniform: f32) -> usize {
        let (grid, uniform) = (self.grid(), math::open(uniform));
        let logistic = math::logistic_quantile(uniform);
        let mut inverse = [0.0; MAX_COMPONENTS];
        let (mut least, mut most, mut total) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
        for (((inverse, &log_scale), &mean), &w) in
            inverse.iter_mut().zip(parts.log_scales).zip(parts.means).zip(weights)
        {
            *inverse = math::exp(-grid.clamped(log_scale)) / f64::from(temperature);
            if w > 0.0 {
                let quantile = f64::from(mean) + logistic / *inverse;
                (least, most) = (least.min(quantile), most.max(quantile));
                total += f64::from(w);
            }
        }
        let mass = |level| -> f64 {
            let edge = grid.edge((level + 1) as f64);
            let each = weights.iter().zip(parts.means).zip(&inverse);
            each.map(|((&w, &mean), inverse)| {
                f64::from(w) * math::sigmoid((edge - f64::from(mean)) * inverse)
            })
            .sum()
        };
        // The quantile of the mixture lies between those of its components; one level more for what rounding does. The
        // last level has what is left.
        let (mut low, mut high) =
            (grid.round(least).saturating_sub(1), (grid.round(most) + 1).min(self.levels - 1));
        while low < high {
            let middle = (low + high) / 2;
            if mass(middle) > uniform * total {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// Pairs of channels below `c`: the coefficients of the channels before it.
fn before(c: usize) -> usize {
    c * c.saturating_sub(1) / 2
}

/// [`LogisticMixture::log_p`]; the slices, those of one component, become the derivatives by them.
#[cfg(feature = "train")]
fn differentiate(
    grid: Grid,
    means: &mut [f32],
    log_scales: &mut [f32],
    coefficients: &mut [f32],
    level: impl Fn(usize) -> f32,
) -> f64 {
    let value = |j| grid.value(level(j));
    let mut sum = 0.0;
    for (c, (mean, log_scale)) in means.iter_mut().zip(log_scales).enumerate() {
        let shifted = LogisticMixture::mean(*mean, c, coefficients, value);
        let (log_p, d_mean, d_log_scale) = grid.bin(level(c), shifted, *log_scale);
        (*mean, *log_scale) = (d_mean as f32, d_log_scale as f32);
        for (j, a) in coefficients[before(c)..][..c].iter_mut().enumerate() {
            let tanh = math::tanh(f64::from(*a));
            *a = (d_mean * value(j) * (1.0 - tanh * tanh)) as f32;
        }
        sum += log_p;
    }
    sum
}

/// `x`, level by level.
fn levels(x: Value) -> impl Fn(usize) -> f32 {
    move |c| match x {
        Value::Symbol(x) => f32::from(x),
        Value::Vector(x) => x[c],
    }
}

impl Likelihood for LogisticMixture {
    fn domain(&self) -> Domain {
        match self.channels {
            1 => Domain::Symbols(self.levels),
            n => Domain::Vectors(n),
        }
    }

    fn params(&self) -> usize {
        self.components * (1 + 2 * self.channels + before(self.channels))
    }

    fn uniforms(&self) -> usize {
        if self.channels == 1 { 1 } else { 1 + self.channels }
    }

    fn alternatives(&self) -> usize {
        self.components
    }

    fn nll(&self, params: &[f32], x: Value) -> f32 {
        let (parts, grid) = (self.split(params), self.grid());
        mixture::nll(parts.logits, |k| self.log_p(grid, &parts, k, levels(x))) as f32
    }

    fn draw<'a>(
        &self,
        params: &[f32],
        sampler: &mut Sampler,
        uniforms: &[f32],
        out: &'a mut [f32],
    ) -> Value<'a> {
        let (parts, grid) = (self.split(params), self.grid());
        let (temperature, n) = (sampler.temperature(), self.channels);
        let k = usize::from(sampler.pick(parts.logits, uniforms[0]));
        if n == 1 {
            let level = if temperature == 0.0 {
                grid.round(f64::from(parts.means[k]))
            } else {
                self.search(&parts, sampler.weights(), temperature, uniforms[0])
            };
            return Value::Symbol(level as Symbol);
        }
        let coefficients = &parts.coefficients[k * before(n)..];
        for c in 0..n {
            let mean = Self::mean(parts.means[k * n + c], c, coefficients, |j| grid.value(out[j]));
            let scale = math::exp(grid.clamped(parts.log_scales[k * n + c])) * f64::from(temperature);
            let value = mean + scale * math::logistic_quantile(math::open(uniforms[1 + c]));
            out[c] = grid.round(value) as f32;
        }
        Value::Vector(&out[..n])
    }

    #[cfg(feature = "train")]
    fn loss_and_gradient(&self, row: &mut [f32], x: Value, scale: f32) -> f64 {
        let (n, pairs, grid) = (self.channels, before(self.channels), self.grid());
        let (params, padding) = row.split_at_mut(self.params());
        padding.fill(0.0);
        let (logits, rest) = params.split_at_mut(self.components);
        let (means, rest) = rest.split_at_mut(self.components * n);
        let (log_scales, coefficients) = rest.split_at_mut(self.components * n);
        let mut log_p = [0.0; MAX_COMPONENTS];
        let log_p = &mut log_p[..self.components];
        for (k, p) in log_p.iter_mut().enumerate() {
            let (means, log_scales) = (&mut means[k * n..][..n], &mut log_scales[k * n..][..n]);
            *p = differentiate(grid, means, log_scales, &mut coefficients[k * pairs..][..pairs], levels(x));
        }
        let nats = mixture::loss_and_gradient(logits, log_p, scale);
        for (k, &p) in log_p.iter().enumerate() {
            mixture::weigh(&mut means[k * n..][..n], p);
            mixture::weigh(&mut log_scales[k * n..][..n], p);
            mixture::weigh(&mut coefficients[k * pairs..][..pairs], p);
        }
        nats
    }

    #[cfg(feature = "train")]
    fn graph_loss(&self, params: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let (b, t, _) = params.dims3()?;
        let (k, n, last) = (self.components, self.channels, (self.levels - 1) as f64);
        let params = params.to_dtype(DType::F64)?;
        let part = |from, each| params.narrow(2, from, k * each)?.reshape((b, t, k, each));
        let means = part(k, n)?;
        let log_scales =
            part(k + k * n, n)?.clamp(f64::from(self.log_scale_min()), f64::from(super::LOG_SCALE_MAX))?;
        let inverse = log_scales.neg()?.exp()?;
        let levels = targets.to_dtype(DType::F64)?.reshape((b, t, 1, n))?;
        let values = levels.affine(2.0 / last, -1.0)?;
        let lowest = levels.le(0.0)?.to_dtype(DType::F64)?;
        let highest = levels.ge(last)?.to_dtype(DType::F64)?;
        let mut log_p = Tensor::zeros((b, t, k), DType::F64, params.device())?;
        for c in 0..n {
            let of = |x: &Tensor| x.narrow(3, c, 1)?.squeeze(3);
            let mut mean = of(&means)?;
            for j in 0..c {
                let a = part(k + 2 * k * n, before(n))?.narrow(3, before(c) + j, 1)?.squeeze(3)?;
                mean = (mean + a.tanh()?.broadcast_mul(&values.narrow(3, j, 1)?.squeeze(3)?)?)?;
            }
            let (inverse, values, lowest, highest) =
                (of(&inverse)?, of(&values)?, of(&lowest)?, of(&highest)?);
            let edge = |by: f64| values.affine(1.0, by / last)?.broadcast_sub(&mean)? * &inverse;
            let below_upper = mixture::softplus(&edge(1.0)?.neg()?)?;
            let above_lower = mixture::softplus(&edge(-1.0)?)?;
            let width = inverse.affine(-2.0 / last, 0.0)?.exp()?.affine(-1.0, 1.0)?.log()?;
            let inside = (&lowest + &highest)?.affine(-1.0, 1.0)?;
            log_p = (log_p + width.broadcast_mul(&inside)?)?;
            log_p = (log_p - below_upper.broadcast_mul(&highest.affine(-1.0, 1.0)?)?)?;
            log_p = (log_p - above_lower.broadcast_mul(&lowest.affine(-1.0, 1.0)?)?)?;
        }
        mixture::graph_nll(&params.narrow(2, 0, k)?, &log_p)?.to_dtype(DType::F32)
    }
}
