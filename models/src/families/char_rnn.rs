//! Char-RNN: Karpathy 2015, "The Unreasonable Effectiveness of Recurrent Neural Networks"; its cells are the LSTM of
//! Hochreiter & Schmidhuber 1997 with the forget gate of Gers et al. 2000, and the GRU of Cho et al. 2014,
//! arXiv:1406.1078.
//!
//! With x_{t−1} the last symbol, for layers l = 0 … L−1 of H units, h_l and c_l the state they keep:
//!
//! ```text
//! u_0 = W_0[x_{t−1}] + b_0                    a one-hot product is a table row
//! u_l = h_{l−1}[t] W_l + b_l                  for l > 0
//!
//! LSTM: (i, f, g, o) = u_l + h_l[t−1] U_l     four parts of H, in this order
//!       c_l[t] = σ(f) · c_l[t−1] + σ(i) · tanh(g)
//!       h_l[t] = σ(o) · tanh(c_l[t])
//!
//! GRU:  (r, z, n) = u_l                       three parts of H, in this order
//!       (r', z', n') = h_l[t−1] U_l + (0, 0, a_l)
//!       r = σ(r + r'),  z = σ(z + z'),  n = tanh(n + r · n')
//!       h_l[t] = (1 − z) · n + z · h_l[t−1]
//!
//! p(x_t | x_<t) = softmax(h_{L−1}[t] W + b)
//! ```
//!
//! With another `likelihood` the last line gives the parameters of that in place of the softmax's logits, and a value that is
//! no symbol of a small set enters as numbers v, u_0 = v W_0 + b_0: see [`Input`](crate::likelihood::Input).
//!
//! With a `condition` of F numbers c_t, given for every step, u_0 has c_t W_c added to it.
//!
//! Before the first symbol every h_l and c_l is zero, and x_{−1} is the start symbol. These are the equations of
//! PyTorch's `nn.LSTM` and `nn.GRU` with their redundant biases added up: its `weight_ih`, `weight_hh` transposed are W_l
//! and U_l, its `bias_ih + bias_hh` is b_l, but for a GRU's part n, whose `bias_ih` is b_l's and whose `bias_hh` is a_l
//! (the GRU as first published multiplies r into h before the product; this one can do all products at once).

use crate::config::{ConfigError, is_zero, range};
use crate::likelihood::LikelihoodConfig;
use crate::order::Order;
use crate::weights::{Dtype, Init, TensorSpec};
use serde::{Deserialize, Serialize};

pub(super) mod cell;
mod family;
#[cfg(feature = "train")]
pub mod fused;
#[cfg(feature = "train")]
pub mod graph;
pub mod names;
pub mod step;

pub use family::Keys;
pub use step::CharRnn;

/// What a layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// Long short-term memory.
    Lstm,
    /// Gated recurrent unit.
    Gru,
}

impl Cell {
    /// Parts of a unit's products.
    pub fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }

    /// Values that a unit keeps: h, and c for an LSTM.
    pub fn memories(self) -> usize {
        match self {
            Self::Lstm => 2,
            Self::Gru => 1,
        }
    }
}

/// What every step is given beside the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConditionConfig {
    /// F, numbers of c_t.
    pub features: usize,
}

/// Every size that the equations above leave open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Number of symbols; 0, which a file leaves out, where the likelihood is over vectors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub classes: usize,
    /// The symbol that stands for x_{−1}.
    pub start: u16,
    /// LSTM or GRU.
    pub cell: Cell,
    /// H, units of a layer.
    pub hidden: usize,
    /// L.
    pub layers: usize,
    /// What the outputs mean; softmax over the symbols where a file leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<LikelihoodConfig>,
    /// Which variable each step fills; time where a file leaves it out.
    #[serde(default, skip_serializing_if = "Order::is_time")]
    pub order: Order,
    /// What every step is given; nothing where a file leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<ConditionConfig>,
}

impl Config {
    /// What the outputs mean.
    pub fn likelihood(&self) -> LikelihoodConfig {
        LikelihoodConfig::of(self.likelihood, self.classes)
    }

    /// Checks every size, so that nothing downstream can overflow or index out of range.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.likelihood().validate_symbols(self.classes, self.start)?;
        range("hidden", self.hidden, 1, 4096, "a number from 1 to 4096")?;
        range("layers", self.layers, 1, 64, "a number from 1 to 64")?;
        if let Some(c) = &self.condition {
            range("condition.features", c.features, 1, 4096, "a number from 1 to 4096")?;
        }
        self.order.validate()
    }

    /// F; 0 without a condition.
    pub fn features(&self) -> usize {
        self.condition.map_or(0, |c| c.features)
    }

    /// Values of recurrent state: for each layer h, then c for an LSTM, H each.
    pub fn state_len(&self) -> usize {
        self.layers * self.cell.memories() * self.hidden
    }

    /// Multiply-adds for one symbol.
    pub fn macs_per_symbol(&self) -> usize {
        let h = self.hidden;
        (2 * self.layers - 1) * h * self.cell.gates() * h + h * self.likelihood().params()
    }

    /// Every tensor, in the order in which the trainer lays them out.
    pub fn table(&self) -> Vec<TensorSpec> {
        let (h, gates) = (self.hidden, self.cell.gates() * self.hidden);
        let mut table = Vec::new();
        let mut add = |name: String, shape: &[usize], init| {
            // The table of rows can be stored as f16, products as i8; biases are few.
            let smallest_dtype = match shape {
                [_] => Dtype::F32,
                _ if name == names::input(0) => Dtype::F16,
                _ => Dtype::I8,
            };
            let outer = name == names::HEAD || name == names::CONDITION;
            let between_layers = smallest_dtype == Dtype::I8 && !outer;
            let spec = TensorSpec::new(name, shape, init).smallest_dtype(smallest_dtype);
            table.push(if between_layers { spec.inner() } else { spec });
        };
        for l in 0..self.layers {
            match l {
                0 => add(names::input(l), &[self.likelihood().input().rows(), gates], Init::Normal(0.3)),
                _ => add(names::input(l), &[h, gates], Init::fan_in(h, 1.0)),
            }
            add(names::recurrent(l), &[h, gates], Init::fan_in(h, 0.6));
            match self.cell {
                // An open forget gate: the memory is kept until training learns what to drop (Jozefowicz et al. 2015).
                Cell::Lstm => add(names::bias(l), &[gates], Init::Ones(h, 2 * h)),
                Cell::Gru => {
                    add(names::bias(l), &[gates], Init::Zeros);
                    add(names::candidate_bias(l), &[h], Init::Zeros);
                }
            }
        }
        if let Some(c) = &self.condition {
            // Most of c_t is zeros: sums of a dozen rows or two.
            add(names::CONDITION.into(), &[c.features, gates], Init::Normal(0.1));
        }
        // Small first logits: training starts from the uniform distribution, ln(classes) nats.
        let params = self.likelihood().params();
        add(names::HEAD.into(), &[h, params], Init::fan_in(h, 0.1));
        add(names::HEAD_BIAS.into(), &[params], Init::Zeros);
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_products_between_layers_are_inner() {
        let table = Config {
            classes: 65,
            start: 0,
            cell: Cell::Gru,
            hidden: 8,
            layers: 2,
            likelihood: None,
            order: Order::Time,
            condition: None,
        }
        .table();
        let inner: Vec<&str> = table.iter().filter(|s| s.inner).map(|s| &s.name[..]).collect();
        assert_eq!(inner, [names::recurrent(0), names::input(1), names::recurrent(1)]);
    }

    #[test]
    fn hostile_sizes_are_refused() {
        let good = Config {
            classes: 65,
            start: 0,
            cell: Cell::Lstm,
            hidden: 128,
            layers: 2,
            likelihood: None,
            order: Order::Time,
            condition: None,
        };
        assert_eq!(good.validate(), Ok(()));
        let refused = |change: fn(&mut Config), words: &str| {
            let mut c = good.clone();
            change(&mut c);
            assert_eq!(c.validate().unwrap_err().to_string(), words);
        };
        refused(|c| c.layers = 0, "config: layers is 0, wanted a number from 1 to 64");
        refused(
            |c| c.hidden = usize::MAX,
            &format!("config: hidden is {}, wanted a number from 1 to 4096", usize::MAX),
        );
        refused(|c| c.start = 65, "config: start is 65, wanted a symbol below `classes`");
    }

    #[test]
    fn the_table_is_pytorchs_in_number() {
        // torch: 2 layers of 4·128·(in + 128) and one of its two biases each, and a linear layer.
        let c = Config {
            classes: 65,
            start: 0,
            cell: Cell::Lstm,
            hidden: 128,
            layers: 2,
            likelihood: None,
            order: Order::Time,
            condition: None,
        };
        let len = |c: &Config| c.table().iter().map(TensorSpec::len).sum::<usize>();
        assert_eq!(len(&c), 512 * (65 + 128 + 1) + 512 * (128 + 128 + 1) + 129 * 65);
        let c = Config { cell: Cell::Gru, ..c };
        assert_eq!(len(&c), 384 * (65 + 128 + 1) + 384 * (128 + 128 + 1) + 2 * 128 + 129 * 65);
    }
}
