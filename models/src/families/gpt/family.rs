//! What the family says of itself, and its keys in a run file.

use super::attention::CacheShape;
use super::{Config, Gpt};
use crate::config::ConfigError;
use crate::family::{self, Description, Facts, Family, Given, NamedShape, PackError};
use crate::kernels::Isa;
use crate::likelihood::LikelihoodConfig;
use crate::memory::{LANES, padded};
#[cfg(feature = "train")]
use crate::objective::{Learning, Objective, ObjectiveOptions, WindowPast};
use crate::order::Order;
use crate::weights::{TensorSpec, Tensors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

impl Family for Config {
    const NAME: &'static str = "gpt";

    type Model = Gpt;

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
            macs: self.macs_per_symbol(),
            past: Some(self.context),
        }
    }

    fn pack(&self, tensors: &Tensors, isa: Isa) -> Result<Gpt, PackError> {
        Ok(Gpt::new(self, tensors, isa)?)
    }

    fn packed_columns(&self, columns: usize) -> usize {
        // Each head is padded.
        match columns == 3 * self.width {
            true => 3 * self.heads * padded(self.head_width()) as usize,
            false => columns.next_multiple_of(32),
        }
    }

    fn stream_bytes(&self) -> u64 {
        let (heads, layers) = (self.heads as u64, self.layers as u64);
        let shape = CacheShape { context: self.context, head: self.head_width(), lanes: LANES };
        let (w, head) = (padded(self.width), shape.head_padded() as u64);
        let caches = 2 * layers * heads * (shape.floats() as u64 + 32);
        let work = 2 * (3 * w + 3 * heads * head + padded(self.mlp_width())) + head + shape.scores() as u64;
        4 * (caches + work + padded(self.classes))
    }

    fn describe(&self, _: Option<u32>) -> Description {
        let macs = self.macs_per_symbol();
        let head = if self.tied_head { "tied to the embedding" } else { "of its own" };
        let lines = vec![
            ("multiply-adds", format!("{macs} per symbol, halfway through the context")),
            ("symbols", format!("{}, a stream starts with {}", self.classes, self.start)),
            ("layers", format!("{} of width {}, {} heads", self.layers, self.width, self.heads)),
            ("context", format!("{} symbols", self.context)),
            ("head", head.into()),
        ];
        Description { lines, values: Map::from_iter([("macs_per_symbol".to_string(), json!(macs))]) }
    }

    /// `gpt`: nanoGPT's settings for a CPU, 4 layers of 4 heads, 128 wide, on 12 windows of 64, no biases, tied head; on the
    /// 65 characters of tiny Shakespeare.
    fn shapes() -> Vec<NamedShape<Self>> {
        let config = Self {
            classes: 65,
            start: 0,
            layers: 4,
            heads: 4,
            width: 128,
            context: 64,
            bias: false,
            tied_head: true,
        };
        vec![NamedShape { name: "gpt", batch: 12, window: config.context, config }]
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
    /// L.
    pub layers: usize,
    /// H.
    pub heads: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// C; `train.window` when left out, and never more than that: later positions would not be trained.
    pub context: Option<usize>,
    /// Whether products and norms have a bias.
    #[serde(default)]
    pub bias: bool,
    /// Whether the head is the embedding's transpose.
    #[serde(default = "yes")]
    pub tied_head: bool,
    /// Rate of dropout over the embedding and over what every sublayer adds while it is trained.
    #[serde(default)]
    pub dropout: f64,
}

fn yes() -> bool {
    true
}

impl family::Keys for Keys {
    type Config = Config;

    fn config(&self, given: &Given) -> Result<Config, ConfigError> {
        given.without_condition()?;
        given.categorical()?;
        let context = self.context.unwrap_or(given.window);
        if context > given.window {
            let want = format!(
                "no more than train.window = {}: positions behind the window would never be trained; lower the one or raise the \
                 other",
                given.window
            );
            return Err(ConfigError { field: "context", found: context.to_string(), want: want.into() });
        }
        Ok(Config {
            classes: given.classes,
            start: given.start,
            layers: self.layers,
            heads: self.heads,
            width: self.width,
            context,
            bias: self.bias,
            tied_head: self.tied_head,
        })
    }

    fn dropout(&self) -> f64 {
        self.dropout
    }
}
