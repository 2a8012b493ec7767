//! What the family says of itself, and its keys in a run file.

use super::{Config, PixelCnn};
use crate::config::ConfigError;
use crate::family::{self, Description, Facts, Family, Given, NamedShape, PackError};
use crate::fixed_length;
use crate::kernels::Isa;
use crate::likelihood::{Bernoulli, Input, LikelihoodConfig};
use crate::memory::padded;
#[cfg(feature = "train")]
use crate::objective::{Learning, Objective, ObjectiveOptions, WindowPast};
use crate::order::{Grid, Scan};
use crate::weights::{TensorSpec, Tensors};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

impl Family for Config {
    const NAME: &'static str = "pixel_cnn";

    type Model = PixelCnn;

    type Keys = Keys;

    fn validate(&self) -> Result<(), ConfigError> {
        Self::validate(self)
    }

    fn table(&self) -> Vec<TensorSpec> {
        Self::table(self)
    }

    fn facts(&self) -> Facts {
        let likelihood = Self::likelihood(self);
        fixed_length::facts(likelihood, self.start, &self.order, self.labels, self.macs_per_pixel())
    }

    fn pack(&self, tensors: &Tensors, isa: Isa) -> Result<PixelCnn, PackError> {
        Ok(PixelCnn::new(self, tensors, isa)?)
    }

    fn packed_columns(&self, columns: usize) -> usize {
        // Each half of a gated unit is padded.
        match columns == 2 * self.channels {
            true => 2 * padded(self.channels) as usize,
            false => columns.next_multiple_of(32),
        }
    }

    fn stream_bytes(&self) -> u64 {
        let likelihood = self.likelihood();
        let floats = super::step::state_floats(self, &self.geometry(), padded);
        4 * (floats + padded(likelihood.params()) + likelihood.input().numbers() as u64)
    }

    fn describe(&self, _: Option<u32>) -> Description {
        let macs = self.macs_per_pixel();
        let Grid { height, width } = self.grid;
        let geometry = self.geometry();
        let mut lines = vec![
            ("multiply-adds", format!("{macs} per pixel")),
            ("images", format!("{height} × {width}, filled in {} lines", geometry.lines.len())),
            ("layers", format!("{} of {} channels", self.layers, self.channels)),
            (
                "kernels",
                format!(
                    "{0} × {0} in the first layer, {1} × {1} in the others",
                    self.first_kernel, self.kernel
                ),
            ),
        ];
        if self.labels > 0 {
            lines.push(("classes", self.labels.to_string()));
        }
        let values = [("macs_per_symbol", json!(macs)), ("lines", json!(geometry.lines.len()))];
        Description { lines, values: Map::from_iter(values.map(|(k, v)| (k.to_string(), v))) }
    }

    /// `pixelcnn`: 8 layers of 32 channels on 16 images of 28 × 28 black and white pixels; `pixelcnn-64`: of 64 channels.
    fn shapes() -> Vec<NamedShape<Self>> {
        let grid = Grid { height: 28, width: 28 };
        let shape = |name, channels| NamedShape {
            name,
            config: Self {
                classes: 2,
                start: 0,
                grid,
                order: Scan::Raster.order(grid, 0),
                labels: 0,
                layers: 8,
                channels,
                embedding: 2,
                first_kernel: 7,
                kernel: 3,
                head_channels: 64,
                likelihood: Some(LikelihoodConfig::Bernoulli(Bernoulli {})),
            },
            batch: 16,
            window: grid.len(),
        };
        vec![shape("pixelcnn", 32), shape("pixelcnn-64", 64)]
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
    /// C.
    pub channels: usize,
    /// L.
    pub layers: usize,
    /// Width of an embedded pixel; where it is left out, that of the symbols' number up to 16, or of the numbers and one
    /// more.
    pub embedding: Option<usize>,
    /// Height and width of the first layer's kernels.
    #[serde(default = "seven")]
    pub first_kernel: usize,
    /// Height and width of the other layers' kernels.
    #[serde(default = "three")]
    pub kernel: usize,
    /// Channels between the head's two products; twice `channels` when left out.
    pub head_channels: Option<usize>,
    /// Rate of dropout over the gated units of the horizontal stack while it is trained.
    #[serde(default)]
    pub dropout: f64,
}

fn seven() -> usize {
    7
}

fn three() -> usize {
    3
}

impl family::Keys for Keys {
    type Config = Config;

    fn config(&self, given: &Given) -> Result<Config, ConfigError> {
        given.without_condition()?;
        let image = given.images()?;
        // What tells a pixel from one that is not there: the symbols, or the numbers and a constant.
        let enough = match LikelihoodConfig::of(given.likelihood, given.classes).input() {
            Input::Table { rows } => rows.min(16),
            Input::Numbers { count, .. } => count + 1,
        };
        Ok(Config {
            classes: given.classes,
            start: given.start,
            grid: image.grid,
            order: image.order.clone(),
            labels: image.labels,
            layers: self.layers,
            channels: self.channels,
            embedding: self.embedding.unwrap_or(enough),
            first_kernel: self.first_kernel,
            kernel: self.kernel,
            head_channels: self.head_channels.unwrap_or(self.channels.saturating_mul(2)),
            likelihood: given.likelihood,
        })
    }

    fn dropout(&self) -> f64 {
        self.dropout
    }
}
