//! The subject of a measurement: a checkpoint, or a named shape with random weights.

use crate::voice::Voice;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Instant;
use wavesynth_models::ar::Sampling;
use wavesynth_models::families::wavenet;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::{Checkpoint, Dtype, Layout};

/// Rate that a shape without a front end is measured against, Hz.
const NAMED_RATE: u32 = 16_000;

/// A model on the bench.
pub struct Subject {
    /// Its name in the table.
    pub name: String,
    /// The model.
    pub model: Loaded,
    /// Its front end, if it has one.
    pub voice: Option<Voice>,
    /// Samples per second of its sound.
    pub sample_rate: u32,
    /// Samples that a conditioning frame lasts.
    pub hop: usize,
    /// Multiply-adds per symbol.
    pub macs_per_symbol: usize,
    /// From the checkpoint in memory to the first symbol, ms.
    pub first_sample_ms: f64,
}

impl Subject {
    /// The shape called `name` in the literature, with random weights of type `dtype`.
    ///
    /// # Errors
    /// An unknown name; the message lists the known ones.
    pub fn named(name: &str, dtype: Dtype, isa: Isa) -> Result<Self> {
        let config = wavenet::Config::named(name).with_context(|| {
            let known = wavenet::Config::NAMED.join(", ");
            format!("--shape {name}: no such shape; there are shipped, {known}")
        })?;
        Self::random(name, &config, dtype, isa)
    }

    /// A shape with random weights of type `dtype` and no front end.
    ///
    /// # Errors
    /// A model that can't be loaded.
    pub fn random(name: &str, config: &wavenet::Config, dtype: Dtype, isa: Isa) -> Result<Self> {
        let layout = Layout::new(config.table());
        let header = FamilyConfig::from(config.clone()).to_header()?;
        let mut checkpoint = Checkpoint { header, tensors: layout.tensors(&layout.init(1)) };
        loaded::quantise(&mut checkpoint, dtype)?;
        Self::new(name.into(), checkpoint, Path::new(name), isa)
    }

    /// A checkpoint that was read already; `path` is used in errors only.
    ///
    /// # Errors
    /// A model that can't be loaded.
    pub fn new(name: String, checkpoint: Checkpoint, path: &Path, isa: Isa) -> Result<Self> {
        let start = Instant::now();
        let model = Loaded::from_checkpoint(checkpoint, isa).at(path)?;
        let uniforms = vec![0.5; model.config.facts().likelihood.get().uniforms()];
        model.generator(Sampling::default()).draw(&uniforms);
        let first_sample_ms = start.elapsed().as_secs_f64() * 1e3;
        // A model without a front end is measured all the same.
        let voice = Voice::from_loaded(model.clone()).ok();
        Ok(Self {
            name,
            sample_rate: voice.as_ref().map_or(NAMED_RATE, |v| v.section.sample_rate),
            hop: model.config.facts().hop,
            macs_per_symbol: model.config.facts().macs,
            voice,
            model,
            first_sample_ms,
        })
    }
}
