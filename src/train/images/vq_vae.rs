//! A VQ-VAE of images: its run file, and the source of its windows.

use super::config::Images;
use super::data::{Epochs, ImageData};
use super::start;
use crate::images::{ImageCoder, SECTION, Variables};
use crate::kinds;
use crate::ranks::Ranks;
use crate::train::config::Train;
use crate::train::config::check::{parse_toml, range};
use crate::train::folder::RunFolder;
use crate::train::held_out::{Evaluation, HeldOutNats};
use crate::train::product::{TRAINING, progress};
use crate::train::slots::Slots;
use crate::train::source::{Batches, Network, Source};
use crate::train::state::TrainingState;
use anyhow::{Context, Result, anyhow, ensure};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use wavesynth_models::ar::Uniforms;
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::LikelihoodConfig;
use wavesynth_models::objective::{Objective, VectorRows, Window};
use wavesynth_models::order::{Grid, Scan};
use wavesynth_models::vq_vae::{self, Config, Learner, VqVae};
use wavesynth_models::weights::{Checkpoint, Tensors};

/// Steps between two looks for codes that nothing uses.
const RENEWAL: u64 = 50;

/// Vectors of the encoder that a look reads, for each code.
const VECTORS_PER_CODE: usize = 32;

/// Images that a look reads, at most.
const MOST_LOOKED_AT: usize = 1024;

/// Makes the images that a look reads others than those of a batch of the same number.
const LOOK: u64 = 0x5151_AE00_C0DE_5EED;

/// A run file as it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VqVaeRun {
    /// What is read.
    pub images: Images,
    /// Sizes of the network.
    #[serde(default)]
    pub vq_vae: VqVaeKeys,
    /// How it learns.
    #[serde(default)]
    pub train: Train,
}

/// Section `[vq_vae]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VqVaeKeys {
    /// K, code vectors.
    pub codes: usize,
    /// D, numbers of a code vector.
    pub code_dim: usize,
    /// Channels of the hidden layers.
    pub channels: usize,
    /// Residual blocks of the encoder, and of the decoder.
    pub residual_blocks: usize,
    /// β, how much a vector of the encoder is held to its code.
    pub commitment: f64,
}

impl Default for VqVaeKeys {
    fn default() -> Self {
        Self { codes: 128, code_dim: 16, channels: 32, residual_blocks: 2, commitment: 0.25 }
    }
}

impl VqVaeRun {
    /// Reads a run file's `text`, which `table` is too; `name` is used in errors only.
    ///
    /// # Errors
    /// An unknown or missing key, a value out of range: file, key and what was wanted.
    pub fn parse(text: &str, table: &toml::Table, name: &str) -> Result<Self> {
        let run: Self = parse_toml(text, name)?;
        run.validate(table).with_context(|| name.to_string())?;
        Ok(run)
    }

    fn validate(&self, table: &toml::Table) -> Result<()> {
        let i = &self.images;
        for (is_set, key, why) in [
            (i.codes.is_some(), "codes", "it makes the codes"),
            (i.labels.is_some(), "labels", "it knows no classes; the model of its codes may"),
            (
                i.order != Scan::default() || i.order_seed != 0,
                "order",
                "it has no order; the model of its codes has one",
            ),
            (i.order_file.is_some(), "order_file", "it has no order; the model of its codes has one"),
        ] {
            ensure!(!is_set, "images.{key} is no key for a VQ-VAE: {why}");
        }
        i.validate(table)?;
        range("vq_vae.commitment", self.vq_vae.commitment, 0.0, 100.0)?;
        // The images are not read yet; a small one stands for them.
        let pixels = i.some_pixels();
        let likelihood = LikelihoodConfig::of(pixels.likelihood(i.components), pixels.classes());
        self.learner(Grid { height: 4, width: 4 }, likelihood)?;
        self.train.validate()
    }

    /// What learns, for images of this size.
    ///
    /// # Errors
    /// A size out of range.
    fn learner(&self, grid: Grid, likelihood: LikelihoodConfig) -> Result<Learner> {
        let VqVaeKeys { codes, code_dim, channels, residual_blocks, commitment } = self.vq_vae;
        let (height, width) = (grid.height, grid.width);
        let config = Config { height, width, likelihood, codes, code_dim, channels, residual_blocks };
        config.validate().map_err(|e| match e.field {
            "height" | "width" => {
                anyhow!("images.file: their {} is {}, a VQ-VAE wants {}", e.field, e.found, e.want)
            }
            field => anyhow!("vq_vae.{field} is {}, wanted {}", e.found, e.want),
        })?;
        config.check_room()?;
        Ok(Learner { config, commitment })
    }
}

/// The images of a run file.
pub struct VqVaeSource {
    run: VqVaeRun,
    data: ImageData,
    learner: Learner,
    frequency_nats: f64,
    id: String,
}

impl VqVaeSource {
    /// Reads the files that `run`, whose files go to `folder`, names; each of `ranks` reads all of them.
    ///
    /// # Errors
    /// A file that can't be read or is not the same on all ranks, images of different sizes or of a size that no VQ-VAE has.
    pub fn open(run: &VqVaeRun, folder: &RunFolder, ranks: &Ranks) -> Result<Self> {
        let known = start::palette(&run.images, &run.train, folder, kinds::VQ_VAE_FILE)?;
        let data = ImageData::open(&run.images, known, run.train.seed, ranks)?;
        let likelihood = data.pixels.likelihood(run.images.components);
        let learner = run.learner(data.grid(), LikelihoodConfig::of(likelihood, data.pixels.classes()))?;
        let (frequency_nats, id) = (data.frequency_nats(), data.id(&[]));
        Ok(Self { run: run.clone(), data, learner, frequency_nats, id })
    }

    /// Image `i` of the training or the held-out part: the encoder reads what is to be drawn.
    fn window(&self, held_out: bool, i: usize) -> Window {
        let part = if held_out { &self.data.held_out } else { &self.data.training };
        match self.data.pixels.encode(&part.images.get(i)) {
            Variables::Symbols(pixels) => {
                Window { inputs: pixels.clone(), targets: pixels, ..Window::default() }
            }
            Variables::Vectors { dims, rows } => Window {
                vectors: VectorRows { dims, inputs: rows.clone(), targets: rows },
                ..Window::default()
            },
        }
    }

    /// The code vectors [K, D] with those anew that none of some training images uses, drawn by `step`.
    fn renewed(&self, params: &[f32], step: u64) -> Result<Vec<f32>> {
        let config = &self.learner.config;
        let layout = config.layout();
        let model = VqVae::pack(config, &layout.tensors(params), Isa::detect()).context(self.file_name())?;
        let mut uniforms = Uniforms::keyed(self.run.train.seed ^ LOOK, step);
        let count = (VECTORS_PER_CODE * config.codes).div_ceil(config.code_grid().len()).min(MOST_LOOKED_AT);
        let images: Vec<usize> =
            (0..count).map(|_| uniforms.below(self.data.training.len() as u64) as usize).collect();
        let latents: Vec<f32> = images
            .into_par_iter()
            .flat_map_iter(|i| model.latents(self.window(false, i).input_values()))
            .collect();
        let mut codes = params[layout.range(vq_vae::CODES)].to_vec();
        vq_vae::renew(&mut codes, &latents, config.code_dim, &mut uniforms);
        Ok(codes)
    }
}

impl Source for VqVaeSource {
    fn network(&self) -> &dyn Network {
        &self.learner
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn item(&self) -> &'static str {
        "image"
    }

    fn unit(&self) -> &'static str {
        "pixel"
    }

    fn file_name(&self) -> &'static str {
        kinds::VQ_VAE_FILE
    }

    fn describe(&self) -> Vec<String> {
        let config = &self.learner.config;
        let grid = config.code_grid();
        vec![
            self.data.describe(&self.run.images.file, 0),
            format!(
                "network: a VQ-VAE, {}, {} by {} of {} codes an image",
                self.data.pixels.describe(),
                grid.width,
                grid.height,
                config.codes
            ),
        ]
    }

    fn bytes(&self) -> usize {
        self.data.bytes()
    }

    fn frequency_nats(&self) -> f64 {
        self.frequency_nats
    }

    fn max_rows(&self) -> usize {
        self.data.grid().len()
    }

    /// Any image gives any number of windows.
    fn check(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn carries(&self) -> bool {
        false
    }

    fn batches(&self, slots: Slots, _: u64) -> Batches<'_> {
        let epochs = Epochs::new(self.run.train.seed, self.data.training.len());
        Box::new(move |step| {
            let draw = |slot| self.window(false, epochs.image(slots.number(step, slot)));
            slots.own.clone().map(draw).collect()
        })
    }

    /// Code vectors that nothing uses become vectors of the encoder; what the optimiser knows of the old ones is forgotten.
    fn revise(&self, s: &mut TrainingState, ranks: &Ranks) -> Result<()> {
        if !s.step.is_multiple_of(RENEWAL) || !self.run.train.learns(vq_vae::CODES) {
            return Ok(());
        }
        let at = self.learner.config.layout().range(vq_vae::CODES);
        // One rank's, for all: others may compute the last bit otherwise.
        let mut codes = match ranks.is_first() {
            true => self.renewed(&s.params, s.step)?,
            false => vec![0.0; at.len()],
        };
        ranks.sum(&mut codes);
        let dim = self.learner.config.code_dim;
        for (new, from) in codes.chunks_exact(dim).zip(at.step_by(dim)) {
            let row = from..from + dim;
            if s.params[row.clone()] == *new {
                continue;
            }
            s.params[row.clone()].copy_from_slice(new);
            s.ema[row.clone()].copy_from_slice(new);
            s.moments.m[row.clone()].fill(0.0);
            s.moments.v[row].fill(0.0);
        }
        Ok(())
    }

    fn evaluate(
        &self,
        checkpoint: Checkpoint,
        objective: &dyn Objective,
        params: &[f32],
        windows: usize,
        _: &Ranks,
    ) -> Result<Option<Evaluation>> {
        let count = self.data.held_out.len().min(self.run.images.eval_images);
        if count == 0 {
            return Ok(None);
        }
        let coder = ImageCoder::from_checkpoint(&checkpoint, Isa::detect()).context(self.file_name())?;
        let nats: Vec<f64> = (0..count)
            .into_par_iter()
            .map(|i| {
                let image = self.data.held_out.images.get(i);
                coder.nats(&image, &coder.encode(&image)).iter().map(|&n| f64::from(n)).sum()
            })
            .collect();
        let mut trainer = 0.0;
        let all: Vec<usize> = (0..count).collect();
        for group in all.chunks(windows) {
            let batch: Vec<Window> = group.iter().map(|&i| self.window(true, i)).collect();
            trainer += objective.loss(params, &batch, None)? * group.len() as f64;
        }
        let engine = nats.iter().sum::<f64>() / (count * self.max_rows()) as f64;
        let own = HeldOutNats { engine, trainer: trainer / count as f64 };
        Ok(Some(Evaluation { own, cross_speaker: None }))
    }

    fn verdict(&self, nats: f64) -> String {
        let bits = self.data.pixels.bits_per_dimension(nats);
        format!(
            "{:.2} nats an image given its codes, {bits:.3} bits a dimension",
            nats * self.max_rows() as f64
        )
    }

    fn sections(&self, _: &Tensors, state: &TrainingState, run: &str) -> Result<Map<String, Json>> {
        let section = serde_json::to_value(self.data.section())?;
        let sections = [(SECTION, section), (TRAINING, progress(self, state, run))];
        Ok(sections.into_iter().map(|(k, v)| (k.to_string(), v)).collect())
    }
}
