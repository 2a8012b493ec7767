//! What the family says of itself, and its keys in a run file.

use super::attention::CacheShape;
use super::{Config, Gpt, Positions};
use crate::config::ConfigError;
use crate::family::{self, Description, Facts, Family, Given, NamedShape, PackError};
use crate::fixed_length;
use crate::kernels::Isa;
use crate::likelihood::{Bernoulli, LikelihoodConfig};
use crate::memory::{LANES, padded};
#[cfg(feature = "train")]
use crate::objective::{Learning, Objective, ObjectiveOptions, WindowPast};
use crate::order::{Grid, Order, Scan};
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
        let (mut condition, mut hop) = fixed_length::condition(self.labels, self.context);
        if self.any_order {
            condition.get_or_insert_default().any_order = true;
            hop = self.context;
        }
        Facts {
            likelihood: self.likelihood(),
            start: self.start,
            order: self.order.clone(),
            condition,
            hop,
            macs: self.macs_per_symbol(),
            past: (!self.has_fixed_length()).then_some(self.context),
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
        let windows = if self.has_fixed_length() { 1 } else { 2 };
        let caches = windows * layers * heads * (shape.floats() as u64 + 32);
        let rows = windows * (3 * w + 3 * heads * head + padded(self.mlp_width()));
        let (likelihood, work) = (self.likelihood(), rows + head + shape.scores() as u64);
        let order = if self.any_order { self.context as u64 } else { 0 };
        4 * (order + caches + work + padded(likelihood.params()) + padded(likelihood.input().numbers()))
    }

    fn describe(&self, _: Option<u32>) -> Description {
        let macs = self.macs_per_symbol();
        let head = if self.tied_head { "tied to the embedding" } else { "of its own" };
        let mut lines = vec![
            ("multiply-adds", format!("{macs} per symbol, halfway through the context")),
            ("symbols", format!("{}, a stream starts with {}", self.classes, self.start)),
            ("layers", format!("{} of width {}, {} heads", self.layers, self.width, self.heads)),
            ("context", format!("{} symbols", self.context)),
            ("head", head.into()),
        ];
        if let Positions::Grid(grid) = self.positions {
            lines.push(("positions", format!("on a grid of {} rows by {} columns", grid.height, grid.width)));
        }
        for (what, count) in [("class labels", self.labels), ("tells classes", self.classifier)] {
            if count > 0 {
                lines.push((what, count.to_string()));
            }
        }
        Description { lines, values: Map::from_iter([("macs_per_symbol".to_string(), json!(macs))]) }
    }

    /// `gpt`: nanoGPT's settings for a CPU, 4 layers of 4 heads, 128 wide, on 12 windows of 64, no biases, tied head; on the
    /// 65 characters of tiny Shakespeare. `gpt-image`: 6 layers on 8 images of 28 × 28 black and white pixels.
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
            likelihood: None,
            order: Order::Time,
            labels: 0,
            positions: Positions::Steps,
            any_order: false,
            classifier: 0,
        };
        let grid = Grid { height: 28, width: 28 };
        let image = Self {
            classes: 2,
            layers: 6,
            context: grid.len(),
            bias: true,
            tied_head: false,
            likelihood: Some(LikelihoodConfig::Bernoulli(Bernoulli {})),
            order: Scan::Raster.order(grid, 0),
            positions: Positions::Grid(grid),
            ..config.clone()
        };
        vec![
            NamedShape { name: "gpt", batch: 12, window: config.context, config },
            NamedShape { name: "gpt-image", batch: 8, window: image.context, config: image },
        ]
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
    /// C; `train.window` when left out, and never more than that: later positions would not be trained. Of images it is their
    /// number of pixels.
    pub context: Option<usize>,
    /// Whether products and norms have a bias.
    #[serde(default)]
    pub bias: bool,
    /// Whether the head is the embedding's transpose, where the outputs are a softmax; all others have a head of their own.
    #[serde(default = "yes")]
    pub tied_head: bool,
    /// What a position is, of images.
    #[serde(default)]
    pub positions: PositionKey,
    /// Whether each image has an order of its own: the model learns all of them. Positions are then on the grid.
    #[serde(default)]
    pub any_order: bool,
    /// Whether the labels of the images are what the model tells, by a classification head, and not what it is given.
    #[serde(default)]
    pub classifier: bool,
    /// Rate of dropout over the embedding and over what every sublayer adds while it is trained.
    #[serde(default)]
    pub dropout: f64,
}

fn yes() -> bool {
    true
}

/// The key `positions`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PositionKey {
    /// [`Positions::Steps`].
    #[default]
    Steps,
    /// [`Positions::Grid`].
    Grid,
}

impl family::Keys for Keys {
    type Config = Config;

    fn config(&self, given: &Given) -> Result<Config, ConfigError> {
        given.without_condition()?;
        let categorical = matches!(given.likelihood, None | Some(LikelihoodConfig::Categorical(_)));
        let positions = match self.positions {
            PositionKey::Steps if self.any_order => Positions::Grid(given.images()?.grid),
            PositionKey::Steps => Positions::Steps,
            PositionKey::Grid => Positions::Grid(given.images()?.grid),
        };
        let classes = given.image.as_ref().map_or(0, |image| image.labels);
        if self.classifier && classes == 0 {
            let want = "false without images.labels: it learns to tell them".into();
            return Err(ConfigError { field: "classifier", found: "true".into(), want });
        }
        Ok(Config {
            classes: given.classes,
            start: given.start,
            layers: self.layers,
            heads: self.heads,
            width: self.width,
            context: self.context(given)?,
            bias: self.bias,
            tied_head: self.tied_head && categorical,
            likelihood: given.likelihood.filter(|_| !categorical),
            order: given.order(),
            labels: if self.classifier { 0 } else { classes },
            positions,
            any_order: self.any_order,
            classifier: if self.classifier { classes } else { 0 },
        })
    }

    fn dropout(&self) -> f64 {
        self.dropout
    }
}

impl Keys {
    /// C.
    fn context(&self, given: &Given) -> Result<usize, ConfigError> {
        if let Some(image) = &given.image {
            let n = fixed_length::len(&image.order);
            return match self.context {
                Some(context) if context != n => {
                    let want = format!("left out: an image has {n} pixels or codes, and as many positions");
                    Err(ConfigError { field: "context", found: context.to_string(), want: want.into() })
                }
                _ => Ok(n),
            };
        }
        let context = self.context.unwrap_or(given.window);
        if context > given.window {
            let want = format!(
                "no more than train.window = {}: positions behind the window would never be trained; lower the one or raise the \
                 other",
                given.window
            );
            return Err(ConfigError { field: "context", found: context.to_string(), want: want.into() });
        }
        Ok(context)
    }
}
