//! GPT: the decoder of Vaswani et al. 2017, arXiv:1706.03762, with the norm before each sublayer and learned positions
//! as in Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (GPT-2).
//!
//! With x_{t−1} the last symbol, p its position in the window, C the context, n the norm and H heads of k = width / H:
//!
//! ```text
//! r_0   = E[x_{t−1}] + P[p] + e                             v E for a value that enters as numbers v; e the class's row
//! q, k, v = n(r_l) W_qkv + b_qkv                            [q | k | v], in each the heads side by side
//! a_h   = Σ_{j ≤ p} softmax_j(q_h · k_h[j] / √k) v_h[j]      scaled dot-product attention, over the window's past
//! m_l   = r_l + [a_0 … a_{H−1}] W_out + b_out
//! r_l+1 = m_l + gelu(n(m_l) W_up + b_up) W_down + b_down     gelu(x) = x Φ(x), Φ the normal distribution
//! p(x_t | x_<t) = softmax(n(r_L) W_head)                     W_head = Eᵀ where the head is tied
//! n(x)  = (x − mean x) / √(var x + 10⁻⁵) · g + b             gain and bias of its own at each place
//! ```
//!
//! With another `likelihood` the softmax's logits are the parameters of that: see [`Input`](crate::likelihood::Input) for how
//! its values enter.
//!
//! **Images.** With an order of N sites the context is N, and a sequence is one image: Image GPT (Chen et al. 2020, "Generative
//! Pretraining from Pixels") over the symbols of a palette. Position p fills the site σ(p). Positions are learned for each step,
//! or on the grid: with (y, x) the place of a site,
//!
//! ```text
//! P[p] = Y[y(σ(p))] + X[x(σ(p))] + Y'[y(σ(p−1))] + X'[x(σ(p−1))]      the last two from p = 1 on
//! ```
//!
//! The first two say which pixel is wanted, the others where the one that enters stands. In a raster the one follows from the
//! other; in an order that jumps only both let a head find the neighbours of a pixel. Behind the last pixel the next image
//! begins, from the start symbol.
//!
//! **Any order.** With `any_order` each image has an order of its own (σ-GPT: Pannatier et al. 2024, arXiv:2404.09562): the model
//! is p(x_σ(t) | x_σ(<t)) for all of them, and its likelihood by any one is exact. Several pixels can then be asked for at once,
//! each given the same past and none of the others, as in RandSAC (Hua et al. 2023) and MAR (Li et al. 2024, arXiv:2406.11838): what
//! is drawn so has the exact likelihood Π p(x_j | x of all groups before), which is another distribution than that of single steps.
//!
//! **A classification head.** With `classifier` K the model of an image also tells which of K classes it is of (Chen et al. 2020,
//! section 2.3; the norm stands behind the mean here, so that the head reads the mean that [`Model::hidden`](crate::ar::Model::hidden)
//! shows):
//!
//! ```text
//! p(class | x) = softmax(n(1/N Σ_t r_L[t]) W_class + b_class)       n without gain and bias
//! ```
//!
//! It is learned beside the pixels: the loss is the sum of both mean negative log-likelihoods.
//!
//! **Past the context.** There are C positions, and a learned position says nothing about the next one, so a symbol far
//! behind must be read again at another position before it can be used there. The text is read in windows of C symbols
//! that start every ⌈C/2⌉: window i covers the symbols from i·⌈C/2⌉ on, at positions 0 … C−1, and a distribution is that
//! of the first window that holds its symbol. So nothing differs up to C symbols; behind them each distribution sees the
//! last ⌊C/2⌋ + 1 … C symbols, at positions that training has seen. At most two windows hold any symbol: the engine reads
//! it into both caches in the same step, so that no step is longer than two rows and nothing is ever computed again.

use crate::config::{ConfigError, is_zero, range};
use crate::family::CLASSIFIER;
use crate::fixed_length;
use crate::likelihood::LikelihoodConfig;
#[cfg(feature = "train")]
use crate::objective::{ObjectiveError, Window, check_unconditioned};
use crate::order::{Grid, Order};
use crate::weights::{Dtype, Init, TensorSpec};
use serde::{Deserialize, Serialize};
use std::ops::Range;

mod attention;
mod classifier;
mod family;
#[cfg(feature = "train")]
pub mod fused;
#[cfg(feature = "train")]
pub mod graph;
pub mod names;
mod norm;
mod positions;
#[cfg(feature = "train")]
mod sites;
pub mod step;

pub use family::Keys;
pub use step::Gpt;

/// Added to the variance in a norm.
pub const NORM_EPS: f32 = 1e-5;

/// Width of the multilayer perceptron in widths of the model.
pub const EXPANSION: usize = 4;

/// Every size that the equations above leave open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Number of symbols; 0, which a file leaves out, where the likelihood is over vectors.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub classes: usize,
    /// The symbol that stands for x_{−1}.
    pub start: u16,
    /// L, blocks of attention and perceptron.
    pub layers: usize,
    /// H, heads of each attention; they divide the width.
    pub heads: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// C, positions.
    pub context: usize,
    /// Whether products and norms have a bias (GPT-2 has).
    pub bias: bool,
    /// Whether the head is the embedding's transpose.
    pub tied_head: bool,
    /// What the outputs mean; softmax over the symbols where a file leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likelihood: Option<LikelihoodConfig>,
    /// Which variable each step fills; time where a file leaves it out.
    #[serde(default, skip_serializing_if = "Order::is_time")]
    pub order: Order,
    /// Class labels; 0, which a file leaves out, for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub labels: usize,
    /// What a position is; a step where a file leaves it out.
    #[serde(default, skip_serializing_if = "Positions::is_steps")]
    pub positions: Positions,
    /// Whether each image has an order of its own, `order` where it has none; false where a file leaves it out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub any_order: bool,
    /// K, classes that the classification head tells; 0, which a file leaves out, for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub classifier: usize,
}

fn is_false(b: &bool) -> bool {
    !b
}

/// What a position is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Positions {
    /// A row for each step.
    #[default]
    Steps,
    /// Rows for the places on a grid of the pixel that is wanted and of the one that enters.
    Grid(Grid),
}

impl Positions {
    fn is_steps(&self) -> bool {
        *self == Self::Steps
    }
}

/// A stretch of symbols that is read on its own, at positions 0 … `rows.len()` − 1.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextSpan {
    /// Which symbols.
    pub rows: Range<usize>,
    /// The first of them whose distribution is taken from here.
    pub from: usize,
}

impl Config {
    /// What the outputs mean.
    pub fn likelihood(&self) -> LikelihoodConfig {
        LikelihoodConfig::of(self.likelihood, self.classes)
    }

    /// Whether a sequence is one of N sites, and not a text of any length.
    pub fn has_fixed_length(&self) -> bool {
        !self.order.is_time()
    }

    /// Checks every size, so that nothing downstream can overflow or index out of range.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.likelihood().validate_symbols(self.classes, self.start)?;
        range("layers", self.layers, 1, 1024, "1 to 1024 layers")?;
        range("width", self.width, 1, 16384, "a number from 1 to 16384")?;
        range("heads", self.heads, 1, self.width, "a number from 1 to `width`")?;
        range("context", self.context, 1, 1 << 16, "a number from 1 to 65536")?;
        if !self.width.is_multiple_of(self.heads) {
            let (found, want) = (self.heads.to_string(), "a divisor of `width`".into());
            return Err(ConfigError { field: "heads", found, want });
        }
        if self.tied_head && !matches!(self.likelihood(), LikelihoodConfig::Categorical(_)) {
            let want = "false: only a softmax has as many outputs as the embedding has rows".into();
            return Err(ConfigError { field: "tied_head", found: "true".into(), want });
        }
        self.validate_order()
    }

    fn validate_order(&self) -> Result<(), ConfigError> {
        fixed_length::validate_labels(self.labels)?;
        let most = if self.has_fixed_length() && self.labels == 0 { 1 << 16 } else { 0 };
        let want =
            "0 to 65536 classes, 0 for a model that is given labels and for one of sequences of any length";
        range("classifier", self.classifier, 0, most, want)?;
        if self.any_order && self.positions == Positions::Steps {
            let want = "false for a model whose positions are steps: they do not say where a pixel is".into();
            return Err(ConfigError { field: "any_order", found: "true".into(), want });
        }
        if !self.has_fixed_length() {
            range("labels", self.labels, 0, 0, "0 for a model of sequences of any length")?;
            if self.positions != Positions::Steps {
                let want = "steps for a model of sequences of any length".into();
                return Err(ConfigError { field: "positions", found: "grid".into(), want });
            }
            return Ok(());
        }
        fixed_length::validate_order(&self.order)?;
        let n = fixed_length::len(&self.order);
        range("context", self.context, n, n, "as many positions as the order has sites")?;
        match self.positions {
            Positions::Steps => Ok(()),
            Positions::Grid(grid) => {
                let pixels = grid.height.saturating_mul(grid.width);
                range("positions.grid", pixels, n, n, "a grid with as many places as the order has sites")
            }
        }
    }

    /// Width of a head.
    pub fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// Width between the perceptron's two products.
    pub fn mlp_width(&self) -> usize {
        EXPANSION * self.width
    }

    /// Symbols from the start of one window to the start of the next; those of images do not overlap.
    pub fn stride(&self) -> usize {
        match self.has_fixed_length() {
            true => self.context,
            false => self.context.div_ceil(2),
        }
    }

    /// How `t` symbols are read: one reading up to the context, behind it one every [`Config::stride`] symbols.
    pub fn readings(&self, t: usize) -> impl Iterator<Item = ContextSpan> + use<> {
        let (context, stride) = (self.context, self.stride());
        (0..)
            .map(move |i| {
                let start = i * stride;
                let from = if i == 0 { 0 } else { start + context - stride };
                ContextSpan { rows: start..(start + context).min(t), from }
            })
            .take_while(move |r| r.from < t)
    }

    /// Multiply-adds for one symbol in the middle of the first window.
    pub fn macs_per_symbol(&self) -> usize {
        let w = self.width;
        self.layers * (4 * w * w + 2 * w * self.mlp_width() + w * self.context)
            + w * self.likelihood().params()
    }

    /// Every tensor, in the order in which the trainer lays them out. First values as in GPT-2: 0.02, and less where a
    /// product adds to the residual stream, so that its variance does not grow with the layers.
    pub fn table(&self) -> Vec<TensorSpec> {
        let (w, std) = (self.width, 0.02);
        let residual = Init::Normal(std / (2.0 * self.layers as f32).sqrt());
        let mut table = Vec::new();
        let mut add = |name: String, shape: &[usize], init| {
            // Tables of rows can be stored as f16, products as i8; norms and biases are few.
            let smallest_dtype = match &name[..] {
                _ if shape.len() == 1 || name.starts_with(CLASSIFIER) => Dtype::F32,
                _ if name.starts_with(names::INPUT) => Dtype::F16,
                _ => Dtype::I8,
            };
            let between_layers = smallest_dtype == Dtype::I8 && name != names::HEAD;
            let spec = TensorSpec::new(name, shape, init).smallest_dtype(smallest_dtype);
            table.push(if between_layers { spec.inner() } else { spec });
        };
        let likelihood = self.likelihood();
        // Numbers meet few rows: they are as large as a symbol's row and its neighbours together.
        let entering = if likelihood.input().numbers() > 0 { 0.3 } else { std };
        add(names::EMBED.into(), &[likelihood.input().rows(), w], Init::Normal(entering));
        for (name, rows) in self.position_tables() {
            add(name.into(), &[rows, w], Init::Normal(std));
        }
        if self.labels > 0 {
            add(names::LABELS.into(), &[self.labels, w], Init::Normal(std));
        }
        for l in 0..self.layers {
            let sublayers = [
                (names::attention(l), "qkv", 3 * w, "out", w),
                (names::mlp(l), "up", self.mlp_width(), "down", self.mlp_width()),
            ];
            for (at, first, first_out, second, second_in) in sublayers {
                let products = [(first, w, first_out, Init::Normal(std)), (second, second_in, w, residual)];
                add(names::weight(&at, "norm"), &[w], Init::Constant(1.0));
                if self.bias {
                    add(names::bias(&at, "norm"), &[w], Init::Zeros);
                }
                for (name, inputs, outputs, init) in products {
                    add(names::weight(&at, name), &[inputs, outputs], init);
                    if self.bias {
                        add(names::bias(&at, name), &[outputs], Init::Zeros);
                    }
                }
            }
        }
        add(names::weight(names::OUTPUT, "norm"), &[w], Init::Constant(1.0));
        if self.bias {
            add(names::bias(names::OUTPUT, "norm"), &[w], Init::Zeros);
        }
        if !self.tied_head {
            add(names::HEAD.into(), &[w, likelihood.params()], Init::Normal(std));
        }
        if self.classifier > 0 {
            add(names::classifier("weight"), &[w, self.classifier], Init::Zeros);
            add(names::classifier("bias"), &[self.classifier], Init::Zeros);
        }
        table
    }
}

/// Checks that every window of a batch fits `config`; the length of the longest.
#[cfg(feature = "train")]
fn check_batch(config: &Config, batch: &[Window]) -> Result<usize, ObjectiveError> {
    let likelihood = config.likelihood();
    match config.has_fixed_length() {
        true => {
            let classes = config.labels.max(config.classifier);
            fixed_length::check_batch(batch, &likelihood, config.context, classes, config.any_order)
        }
        false => check_unconditioned(batch, &likelihood),
    }
}

#[cfg(test)]
mod tests;
