//! What the family says of itself, and its keys in a run file.

use super::{Config, MOST, Ngram, count};
use crate::ar::Symbol;
use crate::config::{ConfigError, range};
use crate::family::{self, Description, Facts, Family, Given, PackError};
use crate::kernels::Isa;
use crate::likelihood::LikelihoodConfig;
#[cfg(feature = "train")]
use crate::objective::{Learning, Objective, ObjectiveOptions};
use crate::order::Order;
use crate::weights::{TensorSpec, Tensors, check};
use serde::{Deserialize, Serialize};

impl Family for Config {
    const NAME: &'static str = "ngram";

    type Model = Ngram;

    type Keys = Keys;

    fn validate(&self) -> Result<(), ConfigError> {
        Self::validate(self)
    }

    fn table(&self) -> Vec<TensorSpec> {
        Self::table(self)
    }

    fn facts(&self) -> Facts {
        Facts {
            likelihood: LikelihoodConfig::of(None, self.classes),
            start: self.start,
            order: Order::Time,
            condition: None,
            hop: 1,
            // Counted at its most: every symbol in every context of a path.
            macs: self.order * self.classes,
            past: Some(self.order - 1),
        }
    }

    fn pack(&self, tensors: &Tensors, _: Isa) -> Result<Ngram, PackError> {
        check(tensors, &self.table())?;
        self.check_values(tensors).map_err(|e| PackError::Value(e.to_string()))?;
        Ok(Ngram::new(self, tensors))
    }

    fn stream_bytes(&self) -> u64 {
        size_of::<Symbol>() as u64 * self.order as u64 + 4 * self.classes as u64
    }

    fn describe(&self, _: Option<u32>) -> Description {
        let lines = vec![
            ("order", self.order.to_string()),
            ("contexts", self.contexts.to_string()),
            ("entries", self.entries.to_string()),
        ];
        Description { lines, ..Description::default() }
    }

    #[cfg(feature = "train")]
    fn learning(&self) -> Learning {
        Learning::Counting
    }

    #[cfg(feature = "train")]
    fn objective(&self, _: &ObjectiveOptions) -> candle_core::Result<Option<Box<dyn Objective>>> {
        Ok(None)
    }
}

/// Keys of `[model]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// n.
    #[serde(default = "five")]
    pub order: usize,
    /// Most pairs of context and symbol; 16 bytes of checkpoint each, at most.
    #[serde(default = "million")]
    pub max_entries: usize,
}

fn five() -> usize {
    5
}
fn million() -> usize {
    1_000_000
}

impl family::Keys for Keys {
    type Config = Config;

    /// The counts are not known yet; one stands for them.
    fn config(&self, given: &Given) -> Result<Config, ConfigError> {
        given.without_image()?;
        given.without_condition()?;
        given.categorical()?;
        range("max_entries", self.max_entries, 1, MOST, "a number from 1 to 16777216")?;
        let (classes, start) = (given.classes, given.start);
        Ok(Config { classes, start, order: self.order, contexts: 1, entries: 1 })
    }

    fn count(&self, given: &Given, symbols: &[Symbol]) -> Option<(Config, Tensors)> {
        Some(count(symbols, given.classes, given.start, self.order, self.max_entries))
    }
}
