//! Two symbols by one logit.

#[cfg(feature = "train")]
use super::mixture::softplus;
use super::{Domain, Likelihood, Value, math};
use crate::ar::Sampler;
#[cfg(feature = "train")]
use candle_core::{DType, Result, Tensor};
use serde::{Deserialize, Serialize};

/// p(1) = σ(l), p(0) = σ(−l) for the logit l, the one parameter. Any symbol but 0 counts as 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bernoulli {}

/// −l or l: the logit against the symbol.
fn against(l: f32, x: Value) -> f64 {
    if x.symbol() == 0 { f64::from(l) } else { -f64::from(l) }
}

impl Likelihood for Bernoulli {
    fn domain(&self) -> Domain {
        Domain::Symbols(2)
    }

    fn params(&self) -> usize {
        1
    }

    fn uniforms(&self) -> usize {
        1
    }

    fn alternatives(&self) -> usize {
        2
    }

    fn nll(&self, params: &[f32], x: Value) -> f32 {
        math::softplus(against(params[0], x)) as f32
    }

    fn draw<'a>(
        &self,
        params: &[f32],
        sampler: &mut Sampler,
        uniforms: &[f32],
        _out: &'a mut [f32],
    ) -> Value<'a> {
        Value::Symbol(sampler.pick(&[0.0, params[0]], uniforms[0]))
    }

    #[cfg(feature = "train")]
    fn loss_and_gradient(&self, row: &mut [f32], x: Value, scale: f32) -> f64 {
        let against = against(row[0], x);
        let sign = if x.symbol() == 0 { 1.0 } else { -1.0 };
        row[0] = (f64::from(scale) * sign * math::sigmoid(against)) as f32;
        row[1..].fill(0.0);
        math::softplus(against)
    }

    #[cfg(feature = "train")]
    fn graph_loss(&self, params: &Tensor, targets: &Tensor) -> Result<Tensor> {
        let l = params.to_dtype(DType::F64)?.squeeze(2)?;
        let one = targets.ne(0u32)?.to_dtype(DType::F64)?;
        (softplus(&l)? - (l * one)?)?.to_dtype(DType::F32)
    }
}
