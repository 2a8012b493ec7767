//! What the family says of itself, and its keys in a run file.

use super::{Config, Kind, PixelRnn};
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
    const NAME: &'static str = "pixel_rnn";

    type Model = PixelRnn;

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

    fn pack(&self, tensors: &Tensors, isa: Isa) -> Result<PixelRnn, PackError> {
        Ok(PixelRnn::new(self, tensors, isa)?)
    }

    fn packed_columns(&self, columns: usize) -> usize {
        // Each gate is padded.
        match columns == 4 * self.hidden {
            true => (4 * padded(self.hidden) as usize).max(columns.next_multiple_of(32)),
            false => columns.next_multiple_of(32),
        }
    }

    fn stream_bytes(&self) -> u64 {
        super::step::Sizes::of(self, crate::memory::LANES).stream_floats() as u64 * 4
    }

    fn describe(&self, _: Option<u32>) -> Description {
        let (macs, steps) = (self.macs_per_symbol(), self.steps());
        let kind = match self.kind {
            Kind::Row => "row LSTM",
            Kind::Diagonal => "diagonal BiLSTM",
        };
        let mut lines = vec![
            ("multiply-adds", format!("{macs} per pixel")),
            ("pixels", format!("{steps}, rows of {} in the order", self.row_len())),
            ("layers", format!("{} of {} units, {kind}", self.layers, self.hidden)),
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
    /// `row` or `diagonal`.
    pub kind: Kind,
    /// H.
    pub hidden: usize,
    /// L.
    pub layers: usize,
    /// A; 2H when left out.
    pub head: Option<usize>,
}

impl family::Keys for Keys {
    type Config = Config;

    fn config(&self, given: &Given) -> Result<Config, ConfigError> {
        given.without_condition()?;
        let image = given.images()?;
        Ok(Config {
            classes: given.classes,
            start: given.start,
            kind: self.kind,
            hidden: self.hidden,
            layers: self.layers,
            head: self.head.unwrap_or(self.hidden.saturating_mul(2)),
            labels: image.labels,
            likelihood: given.likelihood,
            grid: image.grid,
            order: image.order.clone(),
        })
    }
}
