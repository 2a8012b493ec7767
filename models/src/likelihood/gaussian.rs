//! Normal distributions over vectors, every value with a mean and a standard deviation of its own.

use super::{Domain, LOG_SCALE_MAX, Likelihood, MAX_COMPONENTS, Value, math, mixture};
use crate::ar::Sampler;
use crate::config::{ConfigError, range};
#[cfg(feature = "train")]
use candle_core::{D, DType, Result, Tensor};
use serde::{Deserialize, Serialize};

/// The log of a standard deviation is clamped to at least this: e⁻⁷ is about 0.0009, for data that are scaled to a
/// standard deviation near 1. Without a floor the density at one value could grow without end. The gradient beyond a
/// clamp is 0.
pub const LOG_STD_MIN: f32 = -7.0;

/// ln √(2π).
const HALF_LN_TAU: f64 = 0.918_938_533_204_672_8;

/// p(x) = Π N(x_d; μ_d, σ_d²). The parameters are D means μ, then D values of ln σ, clamped to [`LOG_STD_MIN`] ..
/// [`LOG_SCALE_MAX`]. A draw takes one uniform a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gaussian {
    /// D, the values of a vector.
    pub dims: usize,
}

/// p(x) = Σ π_k Π N(x_d; μ_kd, σ_kd²), π = softmax(logits): Bishop 1994, "Mixture density networks", equations 22 and
/// 23, with a σ for each value; Graves 2013, arXiv:1308.0850, equations 23 to 25, without correlation. The parameters
/// are K logits, then K rows of D means, then K rows of D values of ln σ, clamped as [`Gaussian`]'s. A draw takes one
/// uniform for the component and one a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianMixture {
    /// K, the distributions that are mixed.
    pub components: usize,
    /// D, the values of a vector.
    pub dims: usize,
}

/// ln N(x; μ, σ²) and its derivatives by μ and ln σ.
#[inline(always)]
fn log_density(mean: f32, log_std: f32, x: f32) -> (f64, f64, f64) {
    let clamped = f64::from(log_std.clamp(LOG_STD_MIN, LOG_SCALE_MAX));
    let inverse = math::exp(-clamped);
    let z = (f64::from(x) - f64::from(mean)) * inverse;
    let d_log_std = if clamped == f64::from(log_std) { z * z - 1.0 } else { 0.0 };
    (-0.5 * z * z - clamped - HALF_LN_TAU, z * inverse, d_log_std)
}

/// The sum of [`log_density`] over a vector.
fn sum_log_density(means: &[f32], log_stds: &[f32], x: &[f32]) -> f64 {
    means.iter().zip(log_stds).zip(x).map(|((&m, &s), &x)| log_density(m, s, x).0).sum()
}

/// The same; `means` and `log_stds` become the derivatives by them.
#[cfg(feature = "train")]
fn differentiate(means: &mut [f32], log_stds: &mut [f32], x: &[f32]) -> f64 {
    let mut sum = 0.0;
    for ((mean, log_std), &x) in means.iter_mut().zip(log_stds).zip(x) {
        let (log_p, d_mean, d_log_std) = log_density(*mean, *log_std, x);
        (*mean, *log_std) = (d_mean as f32, d_log_std as f32);
        sum += log_p;
    }
    sum
}

/// Writes x_d = μ_d + T σ_d Φ⁻¹(u_d) into `out`.
fn draw(means: &[f32], log_stds: &[f32], temperature: f32, uniforms: &[f32], out: &mut [f32]) {
    for (((x, &mean), &log_std), &u) in out.iter_mut().zip(means).zip(log_stds).zip(uniforms) {
        let std = math::exp(f64::from(log_std.clamp(LOG_STD_MIN, LOG_SCALE_MAX))) * f64::from(temperature);
        *x = (f64::from(mean) + std * math::normal_quantile(math::open(u))) as f32;
    }
}

/// ln of the density [B, T, ..] from f64 `means`, `log_stds` and `x`, the last axis the values of a vector.
#[cfg(feature = "train")]
fn graph_log_density(means: &Tensor, log_stds: &Tensor, x: &Tensor) -> Result<Tensor> {
    let log_stds = log_stds.clamp(f64::from(LOG_STD_MIN), f64::from(LOG_SCALE_MAX))?;
    let z = (x.broadcast_sub(means)? * log_stds.neg()?.exp()?)?;
    ((z.sqr()? * -0.5)? - log_stds)?.affine(1.0, -HALF_LN_TAU)?.sum(D::Minus1)
}

impl Gaussian {
    /// Checks the size.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn validate(&self) -> std::result::Result<(), ConfigError> {
        range("dims", self.dims, 1, 4096, "a number from 1 to 4096")
    }
}

impl Likelihood for Gaussian {
    fn domain(&self) -> Domain {
        Domain::Vectors(self.dims)
    }

    fn params(&self) -> usize {
        2 * self.dims
    }

    fn uniforms(&self) -> usize {
        self.dims
    }

    fn alternatives(&self) -> usize {
        1
    }

    fn nll(&self, params: &[f32], x: Value) -> f32 {
        let (means, log_stds) = params[..2 * self.dims].split_at(self.dims);
        -sum_log_density(means, log_stds, &x.vector()[..self.dims]) as f32
    }

    fn draw<'a>(
        &self,
        params: &[f32],
        sampler: &mut Sampler,
        uniforms: &[f32],
        out: &'a mut [f32],
    ) -> Value<'a> {
        let (means, log_stds) = params[..2 * self.dims].split_at(self.dims);
        let out = &mut out[..self.dims];
        draw(means, log_stds, sampler.temperature(), &uniforms[..self.dims], out);
        Value::Vector(out)
    }

    #[cfg(feature = "train")]
    fn loss_and_gradient(&self, row: &mut [f32], x: Value, scale: f32) -> f64 {
        let (params, padding) = row.split_at_mut(2 * self.dims);
        let (means, log_stds) = params.split_at_mut(self.dims);
        let nats = -differentiate(means, log_stds, &x.vector()[..self.dims]);
        mixture::weigh(params, -f64::from(scale));
        padding.fill(0.0);
        nats
    }

    #[cfg(feature = "train")]
    fn graph_loss(&self, params: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let (params, x) = (params.to_dtype(DType::F64)?, targets.to_dtype(DType::F64)?);
        let part = |i| params.narrow(2, i * self.dims, self.dims);
        graph_log_density(&part(0)?, &part(1)?, &x)?.neg()?.to_dtype(DType::F32)
    }
}

impl GaussianMixture {
    /// Checks the sizes.
    ///
    /// # Errors
    /// The first that is out of range.
    pub fn validate(&self) -> std::result::Result<(), ConfigError> {
        range("components", self.components, 1, MAX_COMPONENTS, "a number from 1 to 128")?;
        Gaussian { dims: self.dims }.validate()
    }

    /// Logits, means and log standard deviations.
    fn split<'p>(&self, params: &'p [f32]) -> (&'p [f32], &'p [f32], &'p [f32]) {
        let (logits, rest) = params[..self.params()].split_at(self.components);
        let (means, log_stds) = rest.split_at(self.components * self.dims);
        (logits, means, log_stds)
    }
}

impl Likelihood for GaussianMixture {
    fn domain(&self) -> Domain {
        Domain::Vectors(self.dims)
    }

    fn params(&self) -> usize {
        self.components * (1 + 2 * self.dims)
    }

    fn uniforms(&self) -> usize {
        1 + self.dims
    }

    fn alternatives(&self) -> usize {
        self.components
    }

    fn nll(&self, params: &[f32], x: Value) -> f32 {
        let (logits, means, log_stds) = self.split(params);
        let (n, x) = (self.dims, &x.vector()[..self.dims]);
        mixture::nll(logits, |k| sum_log_density(&means[k * n..][..n], &log_stds[k * n..][..n], x)) as f32
    }

    fn draw<'a>(
        &self,
        params: &[f32],
        sampler: &mut Sampler,
        uniforms: &[f32],
        out: &'a mut [f32],
    ) -> Value<'a> {
        let (logits, means, log_stds) = self.split(params);
        let (n, out) = (self.dims, &mut out[..self.dims]);
        let k = usize::from(sampler.pick(logits, uniforms[0]));
        let (means, log_stds) = (&means[k * n..], &log_stds[k * n..]);
        draw(means, log_stds, sampler.temperature(), &uniforms[1..=n], out);
        Value::Vector(out)
    }

    #[cfg(feature = "train")]
    fn loss_and_gradient(&self, row: &mut [f32], x: Value, scale: f32) -> f64 {
        let (n, x) = (self.dims, &x.vector()[..self.dims]);
        let (params, padding) = row.split_at_mut(self.params());
        padding.fill(0.0);
        let (logits, rest) = params.split_at_mut(self.components);
        let (means, log_stds) = rest.split_at_mut(self.components * n);
        let mut log_p = [0.0; MAX_COMPONENTS];
        let log_p = &mut log_p[..self.components];
        for (k, p) in log_p.iter_mut().enumerate() {
            *p = differentiate(&mut means[k * n..][..n], &mut log_stds[k * n..][..n], x);
        }
        let nats = mixture::loss_and_gradient(logits, log_p, scale);
        for (k, &p) in log_p.iter().enumerate() {
            mixture::weigh(&mut means[k * n..][..n], p);
            mixture::weigh(&mut log_stds[k * n..][..n], p);
        }
        nats
    }

    #[cfg(feature = "train")]
    fn graph_loss(&self, params: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let (b, t, _) = params.dims3()?;
        let (k, n, params) = (self.components, self.dims, params.to_dtype(DType::F64)?);
        let part = |i| params.narrow(2, k + i * k * n, k * n)?.reshape((b, t, k, n));
        let x = targets.to_dtype(DType::F64)?.unsqueeze(2)?;
        let log_p = graph_log_density(&part(0)?, &part(1)?, &x)?;
        mixture::graph_nll(&params.narrow(2, 0, k)?, &log_p)?.to_dtype(DType::F32)
    }
}
