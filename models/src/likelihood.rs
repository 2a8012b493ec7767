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

use crate::ar::{Sampler, Sampling, Symbol};
use crate::config::{ConfigError, range};
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

impl From<Symbol> for Value<'_> {
    fn from(x: Symbol) -> Self {
        Self::Symbol(x)
    }
}

/// The values of several streams.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// One symbol each.
    Symbols(&'a [Symbol]),
    /// One row of `dims` numbers each.
    Vectors {
        /// Numbers of a row.
        dims: usize,
        /// The rows.
        rows: &'a [f32],
    },
}

impl<'a> Values<'a> {
    /// The value of one stream.
    #[inline(always)]
    pub fn one(x: &'a Value<'a>) -> Self {
        match x {
            Value::Symbol(x) => Self::Symbols(std::slice::from_ref(x)),
            Value::Vector(x) => Self::Vectors { dims: x.len(), rows: x },
        }
    }

    /// That of stream `i`.
    ///
    /// # Panics
    /// When there is none.
    #[inline(always)]
    pub fn get(self, i: usize) -> Value<'a> {
        match self {
            Self::Symbols(x) => Value::Symbol(x[i]),
            Self::Vectors { dims, rows } => Value::Vector(&rows[i * dims..][..dims]),
        }
    }

    /// How many there are.
    pub fn len(self) -> usize {
        match self {
            Self::Symbols(x) => x.len(),
            Self::Vectors { dims, rows } => rows.len() / dims.max(1),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// How a value enters a network, through a matrix E [rows, width]: a symbol of a finite set by its row, numbers v by v E.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// One row a symbol.
    Table {
        /// Number of symbols.
        rows: usize,
    },
    /// One row a number.
    Numbers {
        /// Numbers of a value.
        count: usize,
        /// Levels k, which enter as 2k / (levels − 1) − 1; `None` where numbers enter as they are.
        levels: Option<usize>,
    },
}

impl Input {
    /// Rows of E.
    pub fn rows(self) -> usize {
        match self {
            Self::Table { rows } => rows,
            Self::Numbers { count, .. } => count,
        }
    }

    /// Numbers that [`Input::write`] writes; 0 for a table.
    pub fn numbers(self) -> usize {
        match self {
            Self::Table { .. } => 0,
            Self::Numbers { count, .. } => count,
        }
    }

    /// Writes the numbers that `x` enters as; nothing for a table.
    ///
    /// # Panics
    /// When x is not of the domain, or `to` is not [`Input::numbers`] long.
    ///
    /// # Real-time
    /// Yes.
    #[inline]
    pub fn write(self, x: Value, to: &mut [f32]) {
        let Self::Numbers { levels, .. } = self else { return };
        let scaled = |k: f32| levels.map_or(k, |n| 2.0 * k / (n - 1) as f32 - 1.0);
        match x {
            Value::Symbol(k) => to[0] = scaled(f32::from(k)),
            Value::Vector(x) => to.iter_mut().zip(x).for_each(|(to, &x)| *to = scaled(x)),
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

    /// A mixture of `components` Gaussians over vectors of `dims` values; one Gaussian where there is one.
    pub fn gaussians(components: usize, dims: usize) -> Self {
        match components {
            1 => Self::Gaussian(Gaussian { dims }),
            _ => Self::GaussianMixture(GaussianMixture { components, dims }),
        }
    }

    /// What a config with `classes` symbols and the key `likelihood`, if it has one, means: softmax over the symbols without
    /// it.
    pub fn of(key: Option<Self>, classes: usize) -> Self {
        key.unwrap_or(Self::Categorical(Categorical { classes }))
    }

    /// Has `sampler` remember parameters that are no numbers. Those of a softmax, which are many, it checks itself.
    ///
    /// # Real-time
    /// Yes.
    #[inline]
    pub(crate) fn watch(&self, params: &[f32], sampler: &mut Sampler) {
        if !matches!(self, Self::Categorical(_)) && !params.iter().all(|p| p.is_finite()) {
            sampler.set_not_finite();
        }
    }

    /// Checks a config's `classes` and `start` beside its likelihood.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate_symbols(&self, classes: usize, start: Symbol) -> std::result::Result<(), ConfigError> {
        self.validate()?;
        let start = usize::from(start);
        match self.domain() {
            Domain::Symbols(n) => {
                range("classes", classes, n, n, "as many as the likelihood has symbols")?;
                range("start", start, 0, n - 1, "a symbol below `classes`")
            }
            Domain::Vectors(_) => {
                range("classes", classes, 0, 0, "0: the likelihood is over vectors")?;
                range("start", start, 0, 0, "0: the likelihood is over vectors")
            }
        }
    }

    /// What it is over.
    pub fn domain(&self) -> Domain {
        self.get().domain()
    }

    /// P, the parameters of one step.
    pub fn params(&self) -> usize {
        self.get().params()
    }

    /// Number of symbols; 0 over vectors.
    pub fn classes(&self) -> usize {
        match self.domain() {
            Domain::Symbols(n) => n,
            Domain::Vectors(_) => 0,
        }
    }

    /// Values of a vector; 0 over symbols.
    pub fn dims(&self) -> usize {
        match self.domain() {
            Domain::Symbols(_) => 0,
            Domain::Vectors(n) => n,
        }
    }

    /// How values enter a network: see [`Input`].
    pub fn input(&self) -> Input {
        match self {
            Self::Categorical(l) => Input::Table { rows: l.classes },
            Self::Bernoulli(_) => Input::Table { rows: 2 },
            Self::Gaussian(_) | Self::GaussianMixture(_) => {
                Input::Numbers { count: self.dims(), levels: None }
            }
            Self::LogisticMixture(l) => Input::Numbers { count: l.channels, levels: Some(l.levels) },
        }
    }

    /// The numbers that what stands before the first value enters as: those of the symbol `start`, or of zeros over vectors.
    pub fn start_numbers(&self, start: Symbol) -> Vec<f32> {
        let mut numbers = vec![0.0; self.input().numbers()];
        match self.domain() {
            Domain::Symbols(_) => self.input().write(start.into(), &mut numbers),
            Domain::Vectors(dims) => self.input().write(Value::Vector(&vec![0.0; dims]), &mut numbers),
        }
        numbers
    }

    /// What [`Likelihood::draw`] draws with. Temperature T divides logits, a mixture's too, and multiplies standard
    /// deviations and scales; top-k, top-p and min-p choose among symbols, or among the components of a mixture. At
    /// T = 0 a draw is the likeliest symbol, or the mean of the likeliest component.
    pub fn sampler(&self, sampling: Sampling) -> Sampler {
        Sampler::new(sampling, self.get().alternatives())
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
