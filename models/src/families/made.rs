//! The masked multilayer perceptron: Bengio and Bengio 1999, "Modeling high-dimensional discrete data with multi-layer neural
//! networks"; its masks by degrees are those of MADE: Germain et al. 2015, arXiv:1502.03509.
//!
//! With N variables in the order of the steps, one or two hidden layers of H_l units, e_l the row of the class label (zeros
//! without one), P parameters of the likelihood, and x_s the value of step s as [`Input`](crate::likelihood::Input) says:
//!
//! ```text
//! h_0[k]  = relu(c_0[k] + e[k] + Σ_{s < m_0(k)} W_0[s, x_s, k])
//! h_1[k]  = relu(c_1[k] + Σ_{j: m_0(j) ≤ m_1(k)} h_0[j] W_1[j, k])
//! p(x_t | x_<t): the parameters b_t + f_t + Σ_{k: m(k) ≤ t} h[k] V[k, t] + Σ_{s < t} D[s, x_s, t]
//! ```
//!
//! h is the last hidden layer, f the label's row for the outputs, and D is there where the model is `direct`. A value that
//! enters as numbers v gives `v W_0[s]` and `v D[s]`.
//!
//! **Degrees.** Unit k of H has the degree m(k) = N − 1 − ⌊(H − 1 − k)(N − 1) / H⌋: it sees the first m(k) variables. The
//! degrees rise with k, each is had by as many units as can be, and the last unit sees all variables that any output may. So
//! every mask is a staircase, and what a mask covers is neither multiplied nor read.
//!
//! **The engine** keeps the sums of both layers and of the direct connections. A unit is final once the variables of its
//! degree are known, so a step adds one row of W_0, computes the units that became final, and the outputs of its own step.

use crate::config::{ConfigError, is_zero, range};
use crate::fixed_length;
use crate::likelihood::LikelihoodConfig;
use crate::order::Order;
use crate::weights::{Dtype, Init, TensorSpec};
use serde::{Deserialize, Serialize};

mod degrees;
mod family;
#[cfg(feature = "train")]
pub mod fused;
#[cfg(feature = "train")]
pub mod graph;
pub mod names;
pub mod step;

pub use family::Keys;
pub use step::Made;

/// Every size that the equations above leave open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Number of symbols; 0, which a file leaves out, where the likelihood is over vectors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub classes: usize,
    /// The symbol that stands for x_{−1}, which is not read.
    pub start: u16,
    /// H_l, units of the one or two hidden layers.
    pub hidden: Vec<usize>,
    /// Whether there are connections from inputs to outputs.
    pub direct: bool,
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

    /// Parameters of all steps side by side.
    pub fn outputs(&self) -> usize {
        self.steps() * self.likelihood().params()
    }

    /// Units of the last hidden layer.
    fn top(&self) -> usize {
        self.hidden.last().copied().unwrap_or(0)
    }

    /// Checks every size, so that nothing downstream can overflow or index out of range.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.likelihood().validate_symbols(self.classes, self.start)?;
        range("hidden", self.hidden.len(), 1, 2, "the units of one or two layers")?;
        for &units in &self.hidden {
            range("hidden", units, 1, 1 << 16, "a number from 1 to 65536 for each layer")?;
        }
        fixed_length::validate_labels(self.labels)?;
        fixed_length::validate_order(&self.order)
    }

    /// Multiply-adds for one symbol in the middle of the order.
    pub fn macs_per_symbol(&self) -> usize {
        let likelihood = self.likelihood();
        let (numbers, params) = (likelihood.input().numbers().max(1), likelihood.params());
        let between = self.hidden.windows(2).map(|l| l[0] * l[1] / self.steps()).sum::<usize>();
        let direct = if self.direct { numbers * self.outputs() } else { 0 };
        (numbers * self.hidden[0] + between + self.top() * params + direct) / 2
    }

    /// Every tensor, in the order in which the trainer lays them out.
    pub fn table(&self) -> Vec<TensorSpec> {
        let (n, likelihood, outputs) = (self.steps(), self.likelihood(), self.outputs());
        let (rows, numbers) = (likelihood.input().rows(), likelihood.input().numbers());
        let labels = |name: String, columns| {
            let spec = TensorSpec::new(name, &[self.labels, columns], Init::Normal(0.1));
            spec.smallest_dtype(Dtype::F16).undecayed()
        };
        // Half of the inputs are masked on average.
        let first = Init::fan_in(n * numbers.max(1) / 2, 1.4);
        let mut table = Vec::new();
        for (l, &units) in self.hidden.iter().enumerate() {
            let weight = match l {
                0 => TensorSpec::new(names::weight(l), &[n - 1, rows, units], first),
                _ => {
                    let inputs = self.hidden[l - 1];
                    TensorSpec::new(names::weight(l), &[inputs, units], Init::fan_in(inputs / 2, 1.4)).inner()
                }
            };
            table.push(weight.smallest_dtype(Dtype::I8));
            table.push(TensorSpec::new(names::bias(l), &[units], Init::Zeros));
        }
        // Small first parameters: training starts from the uniform distribution, ln(classes) nats.
        let output = TensorSpec::new(names::OUTPUT, &[self.top(), outputs], Init::fan_in(self.top(), 0.1));
        table.push(output.smallest_dtype(Dtype::I8));
        table.push(TensorSpec::new(names::OUTPUT_BIAS, &[outputs], Init::Zeros));
        if self.direct {
            let direct = TensorSpec::new(names::DIRECT, &[n - 1, rows, outputs], Init::Zeros);
            table.push(direct.smallest_dtype(Dtype::I8));
        }
        if self.labels > 0 {
            table.push(labels(names::LABELS.into(), self.hidden[0]));
            table.push(labels(names::OUTPUT_LABELS.into(), outputs));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likelihood::Bernoulli;
    use crate::order::{Grid, Scan};

    fn mnist(hidden: &[usize]) -> Config {
        let order = Scan::Raster.order(Grid { height: 28, width: 28 }, 0);
        let likelihood = Some(LikelihoodConfig::Bernoulli(Bernoulli {}));
        Config { classes: 2, start: 0, hidden: hidden.to_vec(), direct: false, labels: 0, likelihood, order }
    }

    #[test]
    fn hostile_sizes_are_refused() {
        assert_eq!(mnist(&[500]).validate(), Ok(()));
        let message = |c: Config| c.validate().unwrap_err().to_string();
        assert_eq!(message(mnist(&[])), "config: hidden is 0, wanted the units of one or two layers");
        assert_eq!(message(mnist(&[1, 2, 3])), "config: hidden is 3, wanted the units of one or two layers");
        assert!(message(mnist(&[5, usize::MAX])).starts_with("config: hidden is 18446744073709551615"));
        assert!(message(Config { order: Order::Time, ..mnist(&[5]) }).starts_with("config: order is time"));
    }

    #[test]
    fn a_step_computes_a_share_of_the_network() {
        let config = mnist(&[8000, 8000]);
        let all: usize = config.table().iter().map(TensorSpec::len).sum();
        assert_eq!(all, 783 * 2 * 8000 + 8000 + 8000 * 8000 + 8000 + 8000 * 784 + 784);
        assert_eq!(config.macs_per_symbol(), (8000 + 8000 * 8000 / 784 + 8000) / 2);
    }
}
