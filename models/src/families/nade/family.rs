//! What the family says of itself, and its keys in a run file.

use super::{Config, Nade};
use crate::config::ConfigError;
use crate::family::{self, Description, Facts, Family, Given, PackError};
use crate::fixed_length;
use crate::kernels::Isa;
use crate::memory::padded;
#[cfg(feature = "train")]
use crate::objective::{Learning, Objective, ObjectiveOptions, WindowPast};
use crate::weights::{TensorSpec, Tensors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

impl Family for Config {
    const NAME: &'static str = "nade";

    type Model = Nade;

    type Keys = Keys;

    fn validate(&self) -> Result<(), ConfigError> {
        Self::validate(self)
    }

    fn table(&self) -> Vec<TensorSpec> {
        Self::table(self)
    }

    fn facts(&self) -> Facts {
        let likelihood = Self::likelihood(self);
        fixed_length::facts(likelihood, self.start, &self.order, self.labels, self.macs_per_symbol())
    }

    fn pack(&self, tensors: &Tensors, isa: Isa) -> Result<Nade, PackError> {
        Ok(Nade::new(self, tensors, isa)?)
    }

    fn stream_bytes(&self) -> u64 {
        let likelihood = self.likelihood();
        let values = padded(likelihood.params()) + padded(likelihood.input().numbers());
        4 * (2 * padded(self.hidden) + values) + 64
    }

    fn describe(&self, _: Option<u32>) -> Description {
        let (macs, steps) = (self.macs_per_symbol(), self.steps());
        let mut lines = vec![
            ("multiply-adds", format!("{macs} per variable")),
            ("variables", format!("{steps}, each given those before it in the order")),
            ("hidden units", self.hidden.to_string()),
        ];
        if self.labels > 0 {
            lines.push(("class labels", self.labels.to_string()));
        }
        let values = [("macs_per_symbol", json!(macs)), ("variables", json!(steps))];
        Description { lines, values: Map::from_iter(values.map(|(k, v)| (k.to_string(), v))) }
    }

    #[cfg(feature = "train")]
    fn learning(&self) -> Learning {
        Learning::Steps(WindowPast::Window)
    }

    #[cfg(feature = "train")]
    fn objective(&self, options: &ObjectiveOptions) -> candle_core::Result<Option<Box<dyn Objective>>> {
        Ok(Some(match options.is_fused() {
            true => Box::new(super::fused::Fused::new(self.clone(), options.isa)),
            false => Box::new(super::graph::GraphObjective::new(self.clone(), options.device.clone())),
        }))
    }
}

/// Keys of `[model]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// H.
    pub hidden: usize,
}

impl family::Keys for Keys {
    type Config = Config;

    fn config(&self, given: &Given) -> Result<Config, ConfigError> {
        given.without_condition()?;
        let image = given.images()?;
        Ok(Config {
            classes: given.classes,
            start: given.start,
            hidden: self.hidden,
            labels: image.labels,
            likelihood: given.likelihood,
            order: image.order.clone(),
        })
    }
}
