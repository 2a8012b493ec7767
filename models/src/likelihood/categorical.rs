//! Softmax over symbols.

use super::{Domain, Likelihood, Value};
use crate::ar::Sampler;
use crate::config::{ConfigError, range};
#[cfg(feature = "train")]
use crate::fused::rows::softmax_loss;
#[cfg(feature = "train")]
use crate::kernels::{Isa, Kernel, Simd};
#[cfg(feature = "train")]
use candle_core::{D, Result, Tensor};
use serde::{Deserialize, Serialize};

/// p(x) = e^l_x / Σ e^l_i over the logits l (van den Oord et al. 2016, arXiv:1609.03499, section 2.2). The parameters
/// are the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Categorical {
    /// Number of symbols.
    pub classes: usize,
}

impl Categorical {
    /// Checks the size.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn validate(&self) -> std::result::Result<(), ConfigError> {
        range("classes", self.classes, 2, 1 << 16, "a number from 2 to 65536")
    }
}

impl Likelihood for Categorical {
    fn domain(&self) -> Domain {
        Domain::Symbols(self.classes)
    }

    fn params(&self) -> usize {
        self.classes
    }

    fn uniforms(&self) -> usize {
        1
    }

    fn alternatives(&self) -> usize {
        self.classes
    }

    fn nll(&self, params: &[f32], x: Value) -> f32 {
        let logits = &params[..self.classes];
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&l| f64::from((l - max).exp())).sum();
        // In this order nothing cancels, however large the logits are.
        (f64::from(max) - f64::from(logits[usize::from(x.symbol())]) + sum.ln()) as f32
    }

    fn draw<'a>(
        &self,
        params: &[f32],
        sampler: &mut Sampler,
        uniforms: &[f32],
        _out: &'a mut [f32],
    ) -> Value<'a> {
        Value::Symbol(sampler.pick(params, uniforms[0]))
    }

    /// By plain vectors: kernels call [`super::LikelihoodConfig::loss_row`].
    #[cfg(feature = "train")]
    fn loss_and_gradient(&self, row: &mut [f32], x: Value, scale: f32) -> f64 {
        Isa::PLAIN.run(Loss { row, target: usize::from(x.symbol()), classes: self.classes, scale })
    }

    #[cfg(feature = "train")]
    fn graph_loss(&self, params: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let log_p = candle_nn::ops::log_softmax(params, D::Minus1)?;
        log_p.gather(&targets.unsqueeze(2)?, 2)?.squeeze(2)?.neg()
    }
}

#[cfg(feature = "train")]
struct Loss<'a> {
    row: &'a mut [f32],
    target: usize,
    classes: usize,
    scale: f32,
}

#[cfg(feature = "train")]
impl Kernel for Loss<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        softmax_loss(s, self.row, self.target, self.classes, self.scale)
    }
}
