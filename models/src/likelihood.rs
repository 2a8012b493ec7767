//! What a network's outputs mean: the distribution p(x_t | x_<t, c) that its parameters of step t describe.
//!
//! | likelihood | over | source |
//! |---|---|---|
//! | [`Categorical`] | symbols | van den Oord et al. 2016, arXiv:1609.03499, section 2.2 |
//! | [`Bernoulli`] | the symbols 0 and 1 | |
//! | [`Gaussian`] | vectors | |
//! | [`GaussianMixture`] | vectors | Bishop 1994, "Mixture density networks"; Graves 2013, arXiv:1308.0850 |
//! | [`LogisticMixture`] | symbols that are levels, or vectors of levels | Salimans et al. 2017, arXiv:1701.05517 |
//!
//! Each gives its exact log-probability, a draw by inverse transform, and the loss with its gradient, once on plain
//! slices for the fused layers and once as a candle graph. All but the categorical compute in f64.

use crate::ar::{Likelihood as Alternatives, Sampler, Sampling, Symbol};
use crate::config::ConfigError;
#[cfg(feature = "train")]
use crate::fused::rows::softmax_loss;
#[cfg(feature = "train")]
use crate::kernels::Simd;
#[cfg(feature = "train")]
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

mod bernoulli;
mod categorical;
mod gaussian;
mod grid;
mod logistic;
mod math;
mod mixture;
#[cfg(test)]
mod tests;

pub use bernoulli::Bernoulli;
pub use categorical::Categorical;
pub use gaussian::{Gaussian, GaussianMixture, LOG_STD_MIN};
pub use logistic::LogisticMixture;
pub use mixture::MAX_COMPONENTS;

/// The log of a standard deviation or a scale is clamped to at most this, so that no number overflows.
pub const LOG_SCALE_MAX: f32 = 15.0;

/// One observed variable of a sequence: what a step absorbs and a likelihood draws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// One of a finite set.
    Symbol(Symbol),
    /// Real numbers, or several levels at once.
    Vector(&'a [f32]),
}

impl<'a> Value<'a> {
    /// The symbol.
    ///
    /// # Panics
    /// When it is a vector.
    #[inline]
    pub fn symbol(self) -> Symbol {
        match self {
            Value::Symbol(x) => x,
            Value::Vector(_) => panic!("a vector, wanted a symbol"),
        }
    }

    /// The vector.
    ///
    /// # Panics
    /// When it is a symbol.
    #[inline]
    pub fn vector(self) -> &'a [f32] {
        match self {
            Value::Vector(x) => x,
            Value::Symbol(_) => panic!("a symbol, wanted a vector"),
        }
    }
}

/// What a likelihood is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// So many symbols, from 0.
    Symbols(usize),
    /// Vectors of so many values.
    Vectors(usize),
}

/// A family of distributions, indexed by the parameters that a network gives for every step.
///
/// # Panics
/// Every method that takes parameters, when they are too few, and every method that takes a value, when it is not of
/// [`Likelihood::domain`]. Parameters that are no numbers give results that are none, and no panic.
pub trait Likelihood: Send + Sync {
    /// What it is over.
    fn domain(&self) -> Domain;

    /// P, the parameters of one step.
    fn params(&self) -> usize;

    /// Uniform numbers that one draw takes; 1 for every domain of symbols.
    fn uniforms(&self) -> usize;

    /// Alternatives that the sampler of a draw chooses among: the symbols of a categorical, the components of a
    /// mixture, 1 where there is no such choice.
    fn alternatives(&self) -> usize;

    /// −ln p(x) in nats, a density's where the domain is continuous. `params` begins with the P parameters.
    ///
    /// # Real-time
    /// Yes.
    fn nll(&self, params: &[f32], x: Value) -> f32;

    /// Draws x by inverse transform. `sampler` is one of [`LikelihoodConfig::sampler`]; it holds the temperature.
    /// `uniforms` are [`Likelihood::uniforms`] numbers in [0, 1). A vector is written into `out`, whose first values
    /// come back; a symbol leaves `out` alone, which may then be empty.
    ///
    /// Symbol k is drawn where p(0) + … + p(k − 1) ≤ u < p(0) + … + p(k). Quantiles of continuous distributions, and a
    /// mixture's of levels, are taken at u + 2⁻²⁵, the middle of a uniform number's cell, so that u = 0 is no outlier.
    ///
    /// # Real-time
    /// Yes.
    fn draw<'a>(
        &self,
        params: &[f32],
        sampler: &mut Sampler,
        uniforms: &[f32],
        out: &'a mut [f32],
    ) -> Value<'a>;

    /// −ln p(x) in nats; `row` becomes `scale` times its gradient. `row` begins with the P parameters; it is padded to a
    /// multiple of 16 values, and the padding becomes zeros.
    ///
    /// # Real-time
    /// Yes.
    #[cfg(feature = "train")]
    fn loss_and_gradient(&self, row: &mut [f32], x: Value, scale: f32) -> f64;

    /// −ln p(x) in nats, \[B, T\] f32, from `params` \[B, T, P\] and `targets`: u32 \[B, T\] over symbols, f32
    /// \[B, T, values\] over vectors.
    ///
    /// # Errors
    /// Shapes that do not fit, or a device out of memory.
    #[cfg(feature = "train")]
    fn graph_loss(&self, params: &Tensor, targets: &Tensor) -> Result<Tensor>;
}

/// The likelihood of a model, as its config holds it: `{"name": "logistic_mixture", "components": 10, …}`. The one list
/// of the likelihoods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum LikelihoodConfig {
    /// Softmax over symbols.
    Categorical(Categorical),
    /// Two symbols by one logit.
    Bernoulli(Bernoulli),
    /// Vectors with a mean and a standard deviation for each value.
    Gaussian(Gaussian),
    /// A mixture of such.
    GaussianMixture(GaussianMixture),
    /// The discretised mixture of logistics.
    LogisticMixture(LogisticMixture),
}

impl LikelihoodConfig {
    /// The likelihood itself.
    pub fn get(&self) -> &dyn Likelihood {
        match self {
            Self::Categorical(l) => l,
            Self::Bernoulli(l) => l,
            Self::Gaussian(l) => l,
            Self::GaussianMixture(l) => l,
            Self::LogisticMixture(l) => l,
        }
    }

    /// Checks every size, so that nothing downstream can overflow or index out of range.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> std::result::Result<(), ConfigError> {
        match self {
            Self::Categorical(l) => l.validate(),
            Self::Bernoulli(_) => Ok(()),
            Self::Gaussian(l) => l.validate(),
            Self::GaussianMixture(l) => l.validate(),
            Self::LogisticMixture(l) => l.validate(),
        }
    }

    /// What [`Likelihood::draw`] draws with. Temperature T divides logits, a mixture's too, and multiplies standard
    /// deviations and scales; top-k, top-p and min-p choose among symbols, or among the components of a mixture. At
    /// T = 0 a draw is the likeliest symbol, or the mean of the likeliest component.
    pub fn sampler(&self, sampling: Sampling) -> Sampler {
        Sampler::new(sampling, Alternatives::Categorical { classes: self.get().alternatives() })
    }

    /// [`Likelihood::loss_and_gradient`] inside a kernel, the categorical by its vectors: `row` is padded to a multiple
    /// of [`Simd::LANES`].
    ///
    /// # Real-time
    /// Yes.
    #[cfg(feature = "train")]
    #[inline(always)]
    pub fn loss_row<S: Simd>(&self, s: S, row: &mut [f32], x: Value, scale: f32) -> f64 {
        match self {
            Self::Categorical(l) => softmax_loss(s, row, usize::from(x.symbol()), l.classes, scale),
            other => other.get().loss_and_gradient(row, x, scale),
        }
    }
}
