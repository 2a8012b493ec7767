//! NADE: Larochelle and Murray 2011, "The neural autoregressive distribution estimator"; its form for likelihoods other than
//! the Bernoulli, a matrix of outputs for each variable, is RNADE: Uria et al. 2013, arXiv:1306.0186.
//!
//! With N variables in the order of the steps, H hidden units, e the row of the class label (zeros without one) and P
//! parameters of the likelihood:
//!
//! ```text
//! a_0     = c
//! h_t     = σ(a_t + e)
//! p(x_t | x_<t): the parameters b_t + V_t h_t
//! a_t+1   = a_t + W_t[x_t]           a symbol's row of the step's table, or v W_t for a value that enters as numbers v
//! ```
//!
//! The weights of all hidden layers are shared, so that a_t is a running sum: a step costs (1 + P) · H multiply-adds whatever
//! was read before. See [`Input`](crate::likelihood::Input) for how a value enters.

use crate::config::{ConfigError, is_zero, range};
use crate::fixed_length;
use crate::likelihood::LikelihoodConfig;
use crate::order::Order;
use crate::weights::{Dtype, Init, TensorSpec};
use serde::{Deserialize, Serialize};

mod family;
#[cfg(feature = "train")]
pub mod fused;
#[cfg(feature = "train")]
pub mod graph;
pub mod names;
pub mod step;

pub use family::Keys;
pub use step::Nade;

/// Every size that the equations above leave open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Number of symbols; 0, which a file leaves out, where the likelihood is over vectors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub classes: usize,
    /// The symbol that stands for x_{−1}, which is not read.
    pub start: u16,
    /// H, hidden units.
    pub hidden: usize,
    /// Class labels; 0, which a file leaves out, for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub labels: usize,
    /// What the outputs mean; softmax over the symbols where a file leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<LikelihoodConfig>,
    /// Which variable each step fills.
    pub order: Order,
}

impl Config {
    /// What the outputs mean.
    pub fn likelihood(&self) -> LikelihoodConfig {
        LikelihoodConfig::of(self.likelihood, self.classes)
    }

    /// N.
    pub fn steps(&self) -> usize {
        fixed_length::len(&self.order)
    }

    /// Checks every size, so that nothing downstream can overflow or index out of range.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.likelihood().validate_symbols(self.classes, self.start)?;
        range("hidden", self.hidden, 1, 1 << 16, "a number from 1 to 65536")?;
        fixed_length::validate_labels(self.labels)?;
        fixed_length::validate_order(&self.order)
    }

    /// Multiply-adds for one symbol.
    pub fn macs_per_symbol(&self) -> usize {
        let likelihood = self.likelihood();
        self.hidden * (likelihood.input().numbers().max(1) + likelihood.params())
    }

    /// Every tensor, in the order in which the trainer lays them out.
    pub fn table(&self) -> Vec<TensorSpec> {
        let (n, h, likelihood) = (self.steps(), self.hidden, self.likelihood());
        let (rows, params) = (likelihood.input().rows(), likelihood.params());
        let mut table = vec![TensorSpec::new(names::BIAS, &[h], Init::Zeros)];
        if self.labels > 0 {
            let labels = TensorSpec::new(names::LABELS, &[self.labels, h], Init::Normal(0.3));
            table.push(labels.smallest_dtype(Dtype::F16).undecayed());
        }
        // The sum of N rows has the variance of one number.
        let weight = TensorSpec::new(names::WEIGHT, &[n - 1, rows, h], Init::fan_in(n, 1.0));
        // Small first parameters: training starts from the uniform distribution, ln(classes) nats.
        let output = TensorSpec::new(names::OUTPUT, &[n, params, h], Init::fan_in(h, 0.3));
        table.push(weight.smallest_dtype(Dtype::I8));
        table.push(output.smallest_dtype(Dtype::I8));
        table.push(TensorSpec::new(names::OUTPUT_BIAS, &[n, params], Init::Zeros).undecayed());
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likelihood::Bernoulli;
    use crate::order::{Grid, Scan};

    fn mnist() -> Config {
        let order = Scan::Raster.order(Grid { height: 28, width: 28 }, 0);
        let likelihood = Some(LikelihoodConfig::Bernoulli(Bernoulli {}));
        Config { classes: 2, start: 0, hidden: 500, labels: 0, likelihood, order }
    }

    #[test]
    fn hostile_sizes_are_refused() {
        assert_eq!(mnist().validate(), Ok(()));
        let message = |c: Config| c.validate().unwrap_err().to_string();
        assert!(message(Config { hidden: usize::MAX, ..mnist() }).starts_with("config: hidden is "));
        assert!(message(Config { labels: usize::MAX, ..mnist() }).starts_with("config: labels is "));
        assert!(message(Config { classes: 3, ..mnist() }).starts_with("config: classes is 3"));
        assert!(message(Config { order: Order::Time, ..mnist() }).starts_with("config: order is time"));
    }

    #[test]
    fn a_step_costs_what_one_pixel_costs() {
        let parameters: usize = mnist().table().iter().map(TensorSpec::len).sum();
        assert_eq!(parameters, 500 + 783 * 2 * 500 + 784 * 500 + 784);
        assert_eq!(mnist().macs_per_symbol(), 1000);
    }
}
