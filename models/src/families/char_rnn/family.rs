//! What the family says of itself, and its keys in a run file.

use super::{Cell, CharRnn, ConditionConfig, Config};
use crate::condition::{ConditionSpec, FrameSpec};
use crate::config::ConfigError;
use crate::family::{self, Description, Facts, Family, Given, GivenCondition, NamedShape, PackError};
use crate::kernels::Isa;
use crate::memory::padded;
#[cfg(feature = "train")]
use crate::objective::{Learning, Objective, ObjectiveOptions, WindowPast};
use crate::order::Order;
use crate::weights::{TensorSpec, Tensors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

impl Family for Config {
    const NAME: &'static str = "char_rnn";

    type Model = CharRnn;

    type Keys = Keys;

    fn validate(&self) -> Result<(), ConfigError> {
        Self::validate(self)
    }

    fn table(&self) -> Vec<TensorSpec> {
        Self::table(self)
    }

    fn facts(&self) -> Facts {
        Facts {
            likelihood: self.likelihood(),
            start: self.start,
            order: self.order.clone(),
            condition: self.condition.map(|c| ConditionSpec {
                frames: Some(FrameSpec { features: c.features, context: 0, tells_source: false }),
                ..ConditionSpec::default()
            }),
            hop: 1,
            macs: self.macs_per_symbol(),
            past: None,
        }
    }

    fn pack(&self, tensors: &Tensors, isa: Isa) -> Result<CharRnn, PackError> {
        Ok(CharRnn::new(self, tensors, isa)?)
    }

    fn packed_columns(&self, columns: usize) -> usize {
        // Each gate is padded.
        let gates = self.cell.gates();
        match columns == gates * self.hidden {
            true => gates * padded(self.hidden) as usize,
            false => columns.next_multiple_of(32),
        }
    }

    fn stream_bytes(&self) -> u64 {
        let (h, layers) = (padded(self.hidden), self.layers as u64);
        let likelihood = self.likelihood();
        let values =
            padded(likelihood.params()) + padded(likelihood.input().numbers()) + padded(self.features());
        4 * (2 * layers * h + 2 * (self.cell.gates() as u64 + 1) * h + values)
    }

    fn describe(&self, _: Option<u32>) -> Description {
        let (macs, state_bytes) = (self.macs_per_symbol(), self.state_len() * size_of::<f32>());
        let cell = match self.cell {
            Cell::Lstm => "LSTM",
            Cell::Gru => "GRU",
        };
        let mut lines = vec![
            ("multiply-adds", format!("{macs} per symbol")),
            ("symbols", format!("{}, a stream starts with {}", self.classes, self.start)),
            ("layers", format!("{} of {} {cell} units", self.layers, self.hidden)),
            ("state", format!("{state_bytes} bytes")),
        ];
        if let Some(c) = &self.condition {
            lines.push(("condition", format!("{} numbers a step", c.features)));
        }
        let values = [("macs_per_symbol", json!(macs)), ("state_bytes", json!(state_bytes))];
        Description { lines, values: Map::from_iter(values.map(|(k, v)| (k.to_string(), v))) }
    }

    /// `lstm` and `gru`: char-rnn's defaults, 2 layers of 128 on 50 windows of 50 symbols; `lstm-512`: its larger example, 3
    /// layers of 512 on 50 windows of 100; all on the 65 characters of tiny Shakespeare.
    fn shapes() -> Vec<NamedShape<Self>> {
        let shape = |name, cell, layers, hidden, window| NamedShape {
            name,
            config: Self {
                classes: 65,
                start: 0,
                cell,
                hidden,
                layers,
                likelihood: None,
                order: Order::Time,
                condition: None,
            },
            batch: 50,
            window,
        };
        vec![
            shape("lstm", Cell::Lstm, 2, 128, 50),
            shape("lstm-512", Cell::Lstm, 3, 512, 100),
            shape("gru", Cell::Gru, 2, 128, 50),
        ]
    }

    #[cfg(feature = "train")]
    fn learning(&self) -> Learning {
        Learning::Steps(WindowPast::Carried)
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
    /// `lstm` or `gru`.
    pub cell: Cell,
    /// H.
    pub hidden: usize,
    /// L.
    pub layers: usize,
    /// Rate of dropout over the output of every layer while it is trained.
    #[serde(default)]
    pub dropout: f64,
}

impl family::Keys for Keys {
    type Config = Config;

    fn config(&self, given: &Given) -> Result<Config, ConfigError> {
        let condition = match given.condition {
            Some(GivenCondition { speakers: 0, features, hop: 1 }) => Some(ConditionConfig { features }),
            _ => {
                given.without_condition()?;
                None
            }
        };
        given.without_labels()?;
        let (classes, start) = (given.classes, given.start);
        let (likelihood, order) = (given.likelihood, given.order());
        let Self { cell, hidden, layers, .. } = *self;
        Ok(Config { classes, start, cell, hidden, layers, likelihood, order, condition })
    }

    fn dropout(&self) -> f64 {
        self.dropout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_those_of_the_programs_they_are_named_after() {
        let lstm = &Config::shapes()[0];
        // char-rnn prints 240,321: two biases a gate and layer, of which one is redundant.
        let parameters: usize = lstm.config.table().iter().map(TensorSpec::len).sum();
        assert_eq!((lstm.name, parameters), ("lstm", 240_321 - 2 * 512));
    }
}
