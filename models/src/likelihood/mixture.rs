//! What mixtures share: p(x) = Σ π_k p_k(x), π = softmax(logits).

use super::math;
#[cfg(feature = "train")]
use candle_core::{D, Result, Tensor};

/// The most components that a mixture has.
pub const MAX_COMPONENTS: usize = 128;

/// ln Σ e^x of numbers that come one by one.
struct LogSum {
    max: f64,
    sum: f64,
}

impl LogSum {
    fn new() -> Self {
        Self { max: f64::MIN, sum: 0.0 }
    }

    fn add(&mut self, x: f64) {
        if x <= self.max {
            self.sum += math::exp(x - self.max);
        } else {
            self.sum = self.sum * math::exp(self.max - x) + 1.0;
            self.max = x;
        }
    }

    fn value(&self) -> f64 {
        self.max + math::ln(self.sum)
    }
}

/// What is taken off all logits, which changes no probability: 0 but for logits so large that their sums would lose the
/// differences between them.
fn shift(logits: &[f32]) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if max.abs() > 1e6 { f64::from(max) } else { 0.0 }
}

/// −ln p(x), `log_p(k)` being ln p_k(x).
pub fn nll(logits: &[f32], log_p: impl Fn(usize) -> f64) -> f64 {
    let (mut prior, mut joint) = (LogSum::new(), LogSum::new());
    let shift = shift(logits);
    for (k, &l) in logits.iter().enumerate() {
        let l = f64::from(l) - shift;
        prior.add(l);
        joint.add(l + log_p(k));
    }
    prior.value() - joint.value()
}

/// −ln p(x) from the ln p_k(x) in `log_p`. `logits` become `scale` times the gradient, `log_p` becomes `scale` times the
/// derivatives by the ln p_k.
#[cfg(feature = "train")]
pub fn loss_and_gradient(logits: &mut [f32], log_p: &mut [f64], scale: f32) -> f64 {
    let (mut prior, mut joint) = (LogSum::new(), LogSum::new());
    let shift = shift(logits);
    for (&l, &p) in logits.iter().zip(&*log_p) {
        let l = f64::from(l) - shift;
        prior.add(l);
        joint.add(l + p);
    }
    let (prior, joint, scale) = (prior.value(), joint.value(), f64::from(scale));
    for (logit, p) in logits.iter_mut().zip(log_p) {
        let l = f64::from(*logit) - shift;
        let posterior = math::exp(l + *p - joint);
        *logit = (scale * (math::exp(l - prior) - posterior)) as f32;
        *p = -scale * posterior;
    }
    prior - joint
}

/// `values` times `factor`; zeros where it is 0, whatever the values are.
#[cfg(feature = "train")]
pub fn weigh(values: &mut [f32], factor: f64) {
    if factor == 0.0 {
        return values.fill(0.0);
    }
    values.iter_mut().for_each(|v| *v = (f64::from(*v) * factor) as f32);
}

/// −ln p(x) from `logits` and the ln p_k(x) in `log_p`, both [.., K]: [..].
#[cfg(feature = "train")]
pub fn graph_nll(logits: &Tensor, log_p: &Tensor) -> Result<Tensor> {
    log_sum_exp(logits)? - log_sum_exp(&(logits + log_p)?)?
}

#[cfg(feature = "train")]
fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    let max = x.max_keepdim(D::Minus1)?.detach();
    (x.broadcast_sub(&max)?.exp()?.sum_keepdim(D::Minus1)?.log()? + max)?.squeeze(D::Minus1)
}

/// ln(1 + eˣ), its gradient right at 0 too.
#[cfg(feature = "train")]
pub fn softplus(x: &Tensor) -> Result<Tensor> {
    let max = x.relu()?.detach();
    (max.neg()?.exp()? + (x - &max)?.exp()?)?.log()? + max
}
