//! An image model: a loaded model whose variables are pixels, with what a pixel's value means.
//!
//! A model's variables are an image's pixels, or the codes that a VQ-VAE, [`ImageCoder`], makes of it. A pixel or code (y, x) is variable y · width + x; the model's [`Order`](wavesynth_models::order::Order) says which of them each step
//! fills. A class label, where a model has labels, is its condition.

mod coder;
mod features;
mod groups;
mod model;
mod pixels;
#[cfg(feature = "train")]
mod probe;
#[cfg(any(feature = "cli", feature = "train"))]
mod read;

pub use coder::{ImageCoder, is_coder};
pub use groups::{Groups, Schedule};
pub use model::{Drawing, ImageModel, Known, Scored, likeliest, log_sum};
pub use pixels::{Pixels, Variables};
#[cfg(feature = "train")]
pub use probe::{Labelled, LinearProbe};
#[cfg(any(feature = "cli", feature = "train"))]
pub use read::{ImageSet, is_picture, read_labels, read_masked};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use wavesynth_models::order::Grid;
use wavesynth_models::weights::Header;

/// The key of [`ImageSection`] in a checkpoint's header.
pub const SECTION: &str = "image";

/// Pixels of the largest image.
pub const MOST_PIXELS: usize = 1 << 20;

/// The checkpoint section `image`: the images of a model whose variables are their pixels or their codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSection {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// What a pixel's value means.
    pub pixels: Pixels,
}

impl ImageSection {
    /// That of a checkpoint's header.
    ///
    /// # Errors
    /// There is none, or it means nothing.
    pub fn from_header(header: &Header) -> Result<Self> {
        let section = header.sections.get(SECTION);
        let section = section.with_context(|| format!("its header has no `{SECTION}` section"))?;
        let section: Self =
            serde_json::from_value(section.clone()).with_context(|| format!("header section `{SECTION}`"))?;
        section.pixels.validate().with_context(|| format!("header section `{SECTION}`"))?;
        Ok(section)
    }

    /// Rows and columns.
    pub fn grid(&self) -> Grid {
        Grid { height: self.height, width: self.width }
    }
}

/// Whether a checkpoint says that it is an image model.
pub fn is_image(header: &Header) -> bool {
    header.sections.contains_key(SECTION)
}

/// An image as a file holds it: levels from 0 to 255.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Rows and columns.
    pub grid: Grid,
    /// Values of a pixel: 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// [height, width, channels].
    pub levels: Vec<u8>,
}

impl Image {
    /// The same with three channels.
    pub fn to_rgb(&self) -> Vec<[u8; 3]> {
        match self.channels {
            3 => self.levels.as_chunks::<3>().0.to_vec(),
            _ => self.levels.iter().map(|&k| [k; 3]).collect(),
        }
    }

    /// The luma of each pixel, ITU-R BT.601.
    pub fn to_grey(&self) -> Vec<u8> {
        match self.channels {
            1 => self.levels.clone(),
            _ => {
                let luma = |[r, g, b]: [u8; 3]| {
                    (0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)).round() as u8
                };
                self.to_rgb().into_iter().map(luma).collect()
            }
        }
    }
}

/// The entropy, in nats, of what occurs so often.
pub fn entropy(counts: &[u64]) -> f64 {
    let all = counts.iter().sum::<u64>() as f64;
    let nats: f64 = counts.iter().filter(|&&n| n > 0).map(|&n| n as f64 * (all / n as f64).ln()).sum();
    nats / all.max(1.0)
}
