//! The VQ-VAE of images (van den Oord et al. 2017, arXiv:1711.00937): an encoder gives every 4 × 4 pixels one of K codes, a decoder
//! gives every pixel's distribution given all codes of its image.
//!
//! With z = encoder(x), S vectors of D numbers for the S = height / 4 · width / 4 places of the codes, and the code vectors e_k,
//!
//! ```text
//! c_s = argmin_k |z_s − e_k|²                           (equation 1)
//! p(x_n | c) by the parameters decoder(e_c)_n
//! loss = −ln p(x | c) + |sg z − e_c|² + β |z − sg e_c|²  (equation 3; sg: no gradient flows; the decoder's flows into z)
//! ```
//!
//! It is no [family](crate::family): it has no order and no past. A family models its codes, and both are in one checkpoint:
//! see [`Loaded::vq_vae`](crate::loaded::Loaded::vq_vae).
//!
//! ```text
//! layers    the products that encoder and decoder are made of: forward, and backward for the trainer
//! engine    packed weights: codes of images, and parameters of pixels by codes
//! graph     the same on candle
//! fused     the trainer's own forward and backward
//! renew     code vectors that nothing uses are set anew
//! ```

mod engine;
#[cfg(feature = "train")]
mod fused;
#[cfg(feature = "train")]
pub mod graph;
mod layers;
mod renew;

pub use engine::VqVae;
pub use renew::renew;

use crate::config::{ConfigError, range};
use crate::likelihood::{Input, LikelihoodConfig};
use crate::memory::{self, MemoryError};
#[cfg(feature = "train")]
use crate::objective::{Objective, ObjectiveOptions};
use crate::order::Grid;
use crate::weights::{Dtype, Header, Init, Layout, TensorSpec, Tensors, VERSION, WeightsError, check};
use layers::{Layer, Reads};
use serde::{Deserialize, Serialize};

/// What the header of a VQ-VAE's checkpoint has in place of a family, and the section of a header whose model is of its codes.
pub const NAME: &str = "vq_vae";

/// What the names of its tensors begin with in the checkpoint of a model of its codes.
pub const PREFIX: &str = "vq_vae.";

/// Pixels that a code stands for, each way.
pub const STRIDE: usize = 4;

/// The name of the code vectors' tensor [K, D].
pub const CODES: &str = "codes";

/// Every size that the equations leave open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Rows of an image, a multiple of [`STRIDE`].
    pub height: usize,
    /// Columns of an image, a multiple of [`STRIDE`].
    pub width: usize,
    /// What the decoder's outputs are the parameters of, pixel by pixel.
    pub likelihood: LikelihoodConfig,
    /// K.
    pub codes: usize,
    /// D, numbers of a code vector.
    pub code_dim: usize,
    /// Channels of the hidden layers.
    pub channels: usize,
    /// Residual blocks of the encoder, and of the decoder.
    pub residual_blocks: usize,
}

/// How a VQ-VAE learns: its sizes, and what no checkpoint holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Learner {
    /// Its sizes.
    pub config: Config,
    /// β, how much a vector of the encoder is held to its code.
    pub commitment: f64,
}

impl Config {
    /// Checks every size, so that nothing downstream can overflow.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const SIDE: &str = "a multiple of 4 from 4 to 4096";
        for (field, n) in [("height", self.height), ("width", self.width)] {
            range(field, n, STRIDE, 4096, SIDE)?;
            if !n.is_multiple_of(STRIDE) {
                return Err(ConfigError { field, found: n.to_string(), want: SIDE.into() });
            }
        }
        range("codes", self.codes, 2, 1 << 16, "a number from 2 to 65536")?;
        range("code_dim", self.code_dim, 1, 1024, "a number from 1 to 1024")?;
        range("channels", self.channels, 1, 1024, "a number from 1 to 1024")?;
        range("residual_blocks", self.residual_blocks, 0, 32, "a number from 0 to 32")?;
        self.likelihood.validate()
    }

    /// Rows and columns of an image.
    pub fn grid(&self) -> Grid {
        Grid { height: self.height, width: self.width }
    }

    /// Rows and columns of an image's codes.
    pub fn code_grid(&self) -> Grid {
        Grid { height: self.height / STRIDE, width: self.width / STRIDE }
    }

    /// The encoder's layers, the first one reading pixels.
    fn encoder(&self) -> Vec<Layer> {
        let (full, codes, c) = (self.grid(), self.code_grid(), self.channels);
        let half = Grid { height: full.height / 2, width: full.width / 2 };
        let input = self.likelihood.input();
        let reads = match input {
            Input::Table { .. } => Reads::Symbols,
            Input::Numbers { .. } => Reads::Numbers,
        };
        let mut layers = vec![
            Layer::strided("encoder.down.0", (full, half), input.rows(), c).reading(reads),
            Layer::strided("encoder.down.1", (half, codes), c, c),
        ];
        layers.extend(self.blocks("encoder"));
        layers.push(Layer::pointwise("encoder.out", codes, c, self.code_dim));
        layers
    }

    /// The decoder's layers, from code vectors to the parameters of pixels.
    fn decoder(&self) -> Vec<Layer> {
        let (codes, c) = (self.code_grid(), self.channels);
        let half = Grid { height: 2 * codes.height, width: 2 * codes.width };
        let mut layers = vec![Layer::spatial("decoder.in", codes, self.code_dim, c).reading(Reads::Numbers)];
        layers.extend(self.blocks("decoder"));
        let up = |name, from, outputs| Layer::spatial(name, from, c, 4 * outputs).shuffling();
        layers.push(up("decoder.up.0", codes, c));
        layers.push(up("decoder.up.1", half, self.likelihood.params()));
        layers
    }

    fn blocks(&self, of: &str) -> Vec<Layer> {
        let (grid, c) = (self.code_grid(), self.channels);
        let block = |i: usize| {
            let name = |what| format!("{of}.block.{i}.{what}");
            [
                Layer::spatial(name("spatial"), grid, c, c),
                Layer::pointwise(name("pointwise"), grid, c, c).adding(),
            ]
        };
        (0..self.residual_blocks).flat_map(block).collect()
    }

    /// Every tensor, in the order in which the trainer lays them out.
    pub fn table(&self) -> Vec<TensorSpec> {
        let (encoder, decoder) = (self.encoder(), self.decoder());
        let layer = |l: &Layer| {
            let weight = TensorSpec::new(l.weight(), &[l.rows(), l.outputs], l.init());
            let weight = weight.smallest_dtype(Dtype::F16);
            let is_inner = l.reads == Reads::Rectified && !l.shuffles;
            [
                if is_inner { weight.inner() } else { weight },
                TensorSpec::new(l.bias(), &[l.outputs], Init::Zeros),
            ]
        };
        let codes = TensorSpec::new(CODES, &[self.codes, self.code_dim], Init::Normal(1.0)).undecayed();
        let mut table: Vec<_> = encoder.iter().flat_map(layer).collect();
        table.push(codes);
        table.extend(decoder.iter().flat_map(layer));
        table
    }

    /// [`Config::table`] as the checkpoint of a model of the codes names it.
    pub fn prefixed_table(&self) -> Vec<TensorSpec> {
        let prefixed = |s: TensorSpec| TensorSpec { name: format!("{PREFIX}{}", s.name), ..s };
        self.table().into_iter().map(prefixed).collect()
    }

    /// The tensors, laid out for the trainer.
    pub fn layout(&self) -> Layout {
        Layout::new(self.table())
    }

    /// The most bytes that its weights take with one image between them.
    pub fn bytes(&self) -> u64 {
        let (encoder, decoder) = (self.encoder(), self.decoder());
        let all = || encoder.iter().chain(&decoder);
        let weights =
            all().map(|l| memory::padded(l.outputs).saturating_mul(l.rows() as u64 + 1)).sum::<u64>()
                + 2 * memory::padded(self.codes).saturating_mul(self.code_dim as u64);
        let activations = all().map(|l| l.values()).sum::<u64>() + memory::padded(self.codes);
        let scratch = all().map(|l| l.scratch()).max().unwrap_or(0);
        let values: u64 = self.table().iter().map(|s| s.len() as u64).sum();
        4 * (values + weights + activations + scratch)
    }

    /// Checks that it may take so much memory.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_room(&self) -> Result<(), MemoryError> {
        memory::check("the VQ-VAE's weights, with one image between them,", self.bytes())
    }

    /// The header of a checkpoint of this config, with no sections.
    ///
    /// # Errors
    /// None that a config of numbers gives.
    pub fn to_header(&self) -> serde_json::Result<Header> {
        Ok(Header {
            version: VERSION,
            family: NAME.into(),
            config: serde_json::to_value(self)?,
            sections: serde_json::Map::new(),
        })
    }

    /// The config of a header: of a VQ-VAE, or of a model of its codes; `None` for any other.
    ///
    /// # Errors
    /// An unknown or missing key, or a size out of range.
    pub fn from_header(header: &Header) -> Result<Option<Self>, String> {
        let value = match header.family == NAME {
            true => &header.config,
            false => match header.sections.get(NAME) {
                Some(value) => value,
                None => return Ok(None),
            },
        };
        let config: Self = serde_json::from_value(value.clone()).map_err(|e| format!("{NAME}: {e}"))?;
        config.validate().map_err(|e| format!("{NAME}: {e}"))?;
        Ok(Some(config))
    }
}

/// Takes the tensors whose names begin with [`PREFIX`] out of `tensors`, without it.
///
/// # Errors
/// They are not those of `config`.
pub fn take(config: &Config, tensors: &mut Tensors) -> Result<Tensors, WeightsError> {
    let taken: Tensors = tensors.extract_if(.., |name, _| name.starts_with(PREFIX)).collect();
    check(&taken, &config.prefixed_table())?;
    Ok(taken.into_iter().map(|(name, t)| (name[PREFIX.len()..].to_string(), t)).collect())
}

/// Tensors as the checkpoint of a model of the codes names them.
pub fn prefixed(tensors: Tensors) -> Tensors {
    tensors.into_iter().map(|(name, t)| (format!("{PREFIX}{name}"), t)).collect()
}

#[cfg(feature = "train")]
impl Learner {
    /// Its loss: the mean nats of a pixel given the codes of its image. The gradient is that of the whole loss, a pixel's part, with
    /// the straight-through estimate, so it is not the derivative of the nats alone. A window holds an image's pixels, row by
    /// row, as targets, and what the encoder reads, pixels too, as inputs.
    pub fn objective(&self, options: &ObjectiveOptions) -> Box<dyn Objective> {
        match options.is_fused() {
            true => Box::new(fused::Fused::new(self.clone(), options.isa)),
            false => Box::new(graph::GraphLoss::new(self.clone(), options.device.clone())),
        }
    }
}

/// Checks that every window is one image of `config`.
#[cfg(feature = "train")]
fn check_images(
    config: &Config,
    batch: &[crate::objective::Window],
) -> Result<(), crate::objective::ObjectiveError> {
    crate::objective::check_unconditioned(batch, &config.likelihood)?;
    let n = config.grid().len();
    match batch.iter().position(|w| w.rows() != n || w.warmup > 0) {
        Some(i) => {
            let what = format!("window {i}: {} pixels, an image has {n}", batch[i].rows());
            Err(crate::objective::ObjectiveError::Batch(what))
        }
        None => Ok(()),
    }
}
