//! Interpolated n-gram table: the baseline that a network has to beat. Smoothing by Witten and Bell 1991 in the
//! interpolated form of Chen and Goodman 1999, section 2.6 (doi:10.1006/csla.1999.0128).
//!
//! With h_k the last k symbols, for k = 0 … n−1:
//!
//! ```text
//! p_{−1}(x)   = 1 / classes
//! p_k(x)      = w(h_k, x) + λ(h_k) · p_{k−1}(x)      where the table knows h_k, else p_{k−1}(x)
//! p(x | x_<t) = p_{n−1}(x)
//!
//! w(h, x) = c(h x) / (c(h) + T(h)),   λ(h) = T(h) / (c(h) + T(h))
//! ```
//!
//! c(h x) counts how often x stood behind h in the training text, c(h) = Σ_x c(h x), and T(h) is the number of
//! different x. The w of a context and its λ sum to 1, so p is a distribution and no symbol has probability 0. Before
//! the first symbol of a text stand start symbols without end.
//!
//! The contexts are a tree: the root is h_0, and a child of h_k puts one older symbol in front. The walk to all h_k is
//! one path from the root, the latest symbol first.

use crate::config::{ConfigError, range};
use crate::weights::{Init, TensorSpec, Tensors};
use serde::{Deserialize, Serialize};

mod count;
mod family;
pub mod names;
mod step;

pub use count::count;
pub use family::Keys;
pub use step::Ngram;

/// Most contexts, and most entries: an index must be a whole number as a 32-bit float.
pub const MOST: usize = 1 << 24;

/// Longest n-gram.
pub const MAX_ORDER: usize = 32;

/// Every size that the equations above leave open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Number of symbols.
    pub classes: usize,
    /// The symbol that stands for x_{−1} and all before.
    pub start: u16,
    /// n: the symbol and the n−1 before it.
    pub order: usize,
    /// Contexts h that the table knows, the empty one among them.
    pub contexts: usize,
    /// Pairs (h, x) that it knows.
    pub entries: usize,
}

/// A value that no table has.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum TableError {
    /// Values that are no tree, or no probabilities.
    #[error("tensor {tensor}: {found} at position {at}, wanted {want}")]
    Value {
        /// The tensor.
        tensor: &'static str,
        /// Its value.
        found: f32,
        /// Where.
        at: usize,
        /// What it can be.
        want: &'static str,
    },
}

impl Config {
    /// Checks every size.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const INDEX: &str = "a number from 1 to 16777216";
        range("classes", self.classes, 2, 1 << 16, "a number from 2 to 65536")?;
        range("start", self.start.into(), 0, self.classes - 1, "a symbol below `classes`")?;
        range("order", self.order, 1, MAX_ORDER, "a number from 1 to 32")?;
        range("contexts", self.contexts, 1, MOST, INDEX)?;
        range("entries", self.entries, 1, MOST, INDEX)
    }

    /// Every tensor. Nothing is learned by steps, so the first values mean nothing.
    pub fn table(&self) -> Vec<TensorSpec> {
        let spec = |name: &str, n: usize| TensorSpec::new(name, &[n], Init::Zeros);
        vec![
            spec(names::SYMBOL, self.contexts),
            spec(names::CHILDREN, self.contexts + 1),
            spec(names::BACKOFF, self.contexts),
            spec(names::ENTRIES, self.contexts + 1),
            spec(names::ENTRY_SYMBOL, self.entries),
            spec(names::ENTRY_WEIGHT, self.entries),
        ]
    }

    /// Checks what shapes can't tell: that indices are whole, in range and in order, so that a walk stays inside and
    /// ends; and that each context's weights and λ sum to 1.
    ///
    /// # Errors
    /// The first value that does not fit. `tensors` must have been [checked](crate::weights::check) before.
    pub(crate) fn check_values(&self, tensors: &Tensors) -> Result<(), TableError> {
        let fail = |tensor, at: usize, found: f32, want| Err(TableError::Value { tensor, found, at, want });
        let data = |name: &str| &tensors[name].data[..];
        for name in [names::SYMBOL, names::ENTRY_SYMBOL] {
            let bad = |s: &f32| s.fract() != 0.0 || !(0.0..self.classes as f32).contains(s);
            if let Some(at) = data(name).iter().position(bad) {
                return fail(name, at, data(name)[at], "a symbol below `classes`");
            }
        }
        // Children stand behind their parent, so every walk ends.
        for (name, first, last) in [(names::CHILDREN, 1, self.contexts), (names::ENTRIES, 0, self.entries)] {
            let bounds = data(name);
            let ends = bounds[0] == first as f32 && bounds[self.contexts] == last as f32;
            let bad = |w: &[f32]| w[0].fract() != 0.0 || w[0] > w[1];
            match bounds.windows(2).position(bad) {
                Some(at) => return fail(name, at, bounds[at], "whole numbers that do not fall"),
                None if !ends => return fail(name, 0, bounds[0], "the bounds of all contexts"),
                None => {}
            }
        }
        if let Some(at) = (0..self.contexts).position(|i| data(names::CHILDREN)[i] <= i as f32) {
            return fail(names::CHILDREN, at, data(names::CHILDREN)[at], "children behind their context");
        }
        let (entries, weights, backoff) =
            (data(names::ENTRIES), data(names::ENTRY_WEIGHT), data(names::BACKOFF));
        if let Some(at) = weights.iter().position(|w| !(0.0..=1.0).contains(w)) {
            return fail(names::ENTRY_WEIGHT, at, weights[at], "a probability");
        }
        for (at, &found) in backoff.iter().enumerate() {
            let own = &weights[entries[at] as usize..entries[at + 1] as usize];
            let sum = f64::from(found) + own.iter().map(|&w| f64::from(w)).sum::<f64>();
            if !(0.0..=1.0).contains(&found) || (sum - 1.0).abs() > 1e-4 {
                return fail(names::BACKOFF, at, found, "1 less the weights of its context");
            }
        }
        for (name, bounds) in [(names::SYMBOL, names::CHILDREN), (names::ENTRY_SYMBOL, names::ENTRIES)] {
            for w in data(bounds).windows(2) {
                let (from, to) = (w[0] as usize, w[1] as usize);
                if let Some(i) = data(name)[from..to].windows(2).position(|s| s[0] >= s[1]) {
                    return fail(name, from + i, data(name)[from + i], "symbols that rise within a context");
                }
            }
        }
        Ok(())
    }
}
