//! A VQ-VAE of images: from images to codes and back.

use super::{Image, ImageSection, Pixels, SECTION, Variables};
use crate::kinds;
use crate::synth::without_denormals;
use anyhow::{Context, Result, ensure};
use std::sync::Arc;
use wavesynth_models::ar::Symbol;
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::Value;
use wavesynth_models::order::Grid;
use wavesynth_models::vq_vae::{self, VqVae};
use wavesynth_models::weights::{Checkpoint, Header};

/// A VQ-VAE, and what the pixels of its images mean.
#[derive(Clone)]
pub struct ImageCoder {
    /// The VQ-VAE, packed.
    pub vq_vae: Arc<VqVae>,
    /// What a pixel's value means.
    pub pixels: Pixels,
}

/// Whether a checkpoint is a VQ-VAE.
pub fn is_coder(header: &Header) -> bool {
    header.family == vq_vae::NAME
}

impl ImageCoder {
    /// A VQ-VAE for images as `section` says.
    ///
    /// # Errors
    /// Sizes or pixels that are not those of its likelihood.
    pub fn new(vq_vae: Arc<VqVae>, section: &ImageSection) -> Result<Self> {
        let config = vq_vae.config();
        let (found, wanted) = (section.grid(), config.grid());
        ensure!(
            found == wanted,
            "header section `{SECTION}`: {} by {} pixels, its VQ-VAE wants {} by {}",
            found.width,
            found.height,
            wanted.width,
            wanted.height
        );
        section.pixels.check(&config.likelihood)?;
        Ok(Self { vq_vae, pixels: section.pixels.clone() })
    }

    /// Takes the checkpoint of a VQ-VAE.
    ///
    /// # Errors
    /// Another model, sizes out of range, tensors that are not those of its config.
    pub fn from_checkpoint(file: &Checkpoint, isa: Isa) -> Result<Self> {
        kinds::check(&file.header)?;
        ensure!(
            is_coder(&file.header),
            "family `{}`, wanted a VQ-VAE, `{}`",
            file.header.family,
            vq_vae::NAME
        );
        let config = vq_vae::Config::from_header(&file.header).map_err(anyhow::Error::msg)?;
        let config = config.context("no config")?;
        config.check_room()?;
        let section = ImageSection::from_header(&file.header)?;
        Self::new(Arc::new(VqVae::pack(&config, &file.tensors, isa)?), &section)
    }

    /// Rows and columns of an image.
    pub fn grid(&self) -> Grid {
        self.vq_vae.config().grid()
    }

    /// Rows and columns of its codes.
    pub fn code_grid(&self) -> Grid {
        self.vq_vae.config().code_grid()
    }

    /// The codes of an image of [`ImageCoder::grid`].
    pub fn encode(&self, image: &Image) -> Vec<Symbol> {
        let pixels = self.pixels.encode(image);
        without_denormals(|| self.vq_vae.encode(pixels.values()))
    }

    /// The image whose every pixel is the likeliest one given the codes.
    pub fn decode(&self, codes: &[Symbol]) -> Image {
        let mut levels = Vec::with_capacity(3 * self.grid().len());
        without_denormals(|| self.vq_vae.likeliest(codes, |x: Value| levels.extend(self.pixels.colour(x))));
        Image { grid: self.grid(), channels: 3, levels }
    }

    /// −ln p of every pixel of an image given these codes, in nats, row by row.
    pub fn nats(&self, image: &Image, codes: &[Symbol]) -> Vec<f32> {
        let pixels: Variables = self.pixels.encode(image);
        without_denormals(|| self.vq_vae.nats(codes, pixels.values()))
    }
}
