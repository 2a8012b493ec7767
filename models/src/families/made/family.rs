//! What the family says of itself, and its keys in a run file.

use super::{Config, Made};
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
    const NAME: &'static str = "made";

    type Model = Made;

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

    fn pack(&self, tensors: &Tensors, isa: Isa) -> Result<Made, PackError> {
        Ok(Made::new(self, tensors, isa)?)
    }

    fn stream_bytes(&self) -> u64 {
        let likelihood = self.likelihood();
        let units: u64 = self.hidden.iter().map(|&h| 2 * padded(h)).sum();
        let direct = if self.direct { padded(self.outputs()) } else { 0 };
        let values = padded(likelihood.params()) + padded(likelihood.input().numbers());
        4 * (units + direct + values) + 256
    }

    fn describe(&self, _: Option<u32>) -> Description {
        let (macs, steps) = (self.macs_per_symbol(), self.steps());
        let units = self.hidden.iter().map(usize::to_string).collect::<Vec<_>>().join(" and ");
        let direct = if self.direct { "yes" } else { "none" };
        let mut lines = vec![
            ("multiply-adds", format!("{macs} per variable, halfway through the order")),
            ("variables", format!("{steps}, each given those before it in the order")),
            ("hidden units", units),
            ("direct connections", direct.into()),
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
        let dropout = options.dropout;
        Ok(Some(match options.is_fused() {
            true => Box::new(super::fused::Fused::new(self.clone(), options.isa).with_dropout(dropout)),
            false => Box::new(
                super::graph::GraphObjective::new(self.clone(), options.device.clone()).with_dropout(dropout),
            ),
        }))
    }
}

/// Keys of `[model]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// H_l, units of the one or two hidden layers.
    pub hidden: Vec<usize>,
    /// Whether there are connections from inputs to outputs.
    #[serde(default)]
    pub direct: bool,
    /// Rate of dropout over the hidden units while it is trained.
    #[serde(default)]
    pub dropout: f64,
}

impl family::Keys for Keys {
    type Config = Config;

    fn config(&self, given: &Given) -> Result<Config, ConfigError> {
        given.without_condition()?;
        let image = given.images()?;
        Ok(Config {
            classes: given.classes,
            start: given.start,
            hidden: self.hidden.clone(),
            direct: self.direct,
            labels: image.labels,
            likelihood: given.likelihood,
            order: image.order.clone(),
        })
    }

    fn dropout(&self) -> f64 {
        self.dropout
    }
}
