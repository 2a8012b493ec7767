//! Images as a source of windows: each image is one window, its pixels in the order of the steps.

pub mod config;
mod palette;

use super::config::check::range;
use super::held_out::{Evaluation, HeldOutNats};
use super::product::TRAINING;
use super::recording::short_hex;
use super::schedules::dropout_key;
use super::slots::Slots;
use super::source::{Batches, Source};
use super::state::TrainingState;
use crate::images::{ImageModel, ImageSection, ImageSet, Pixels, SECTION, Scored, Variables, read_labels};
use crate::kinds;
use crate::ranks::Ranks;
use crate::synth::without_denormals;
use anyhow::{Context, Result, ensure};
use config::{ImageRun, PixelKind};
use rayon::prelude::*;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use std::f64::consts::LN_2;
use std::path::Path;
use std::sync::Mutex;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::family::{FamilyConfig, GivenImage};
use wavesynth_models::loaded::Loaded;
use wavesynth_models::objective::{Objective, VectorRows, Window};
use wavesynth_models::order::Order;
use wavesynth_models::weights::Tensors;

/// Images that the engine reads in lockstep.
const TOGETHER: usize = 32;

/// Images and, where they have some, their labels.
struct Labelled {
    images: ImageSet,
    labels: Option<Vec<u8>>,
}

impl Labelled {
    fn read(images: &Path, labels: Option<&Path>, key: &str) -> Result<Self> {
        let images = ImageSet::read(images).with_context(|| format!("images.{key}"))?;
        let labels = labels.map(read_labels).transpose()?;
        if let Some(labels) = &labels {
            let (n, m) = (labels.len(), images.len());
            ensure!(n == m, "images.{key}: {m} images, their labels are {n}");
        }
        Ok(Self { images, labels })
    }

    fn len(&self) -> usize {
        self.images.len()
    }

    fn split_off(&mut self, at: usize) -> Self {
        let labels = self.labels.as_mut().map(|l| l.split_off(at));
        Self { images: self.images.split_off(at), labels }
    }

    fn class(&self, i: usize) -> Option<usize> {
        self.labels.as_ref().map(|l| usize::from(l[i]))
    }
}

/// The images of a run file.
pub struct ImageSource {
    run: ImageRun,
    training: Labelled,
    held_out: Labelled,
    section: ImageSection,
    config: FamilyConfig,
    order: Order,
    frequency_nats: f64,
    id: String,
}

impl ImageSource {
    /// Reads the files that `run` names; each of `ranks` reads all of them.
    ///
    /// # Errors
    /// A file that can't be read or is not the same on all ranks, images of different sizes.
    pub fn open(run: &ImageRun, ranks: &Ranks) -> Result<Self> {
        let keys = &run.images;
        let mut training = Labelled::read(&keys.file, keys.labels.as_deref(), "file")?;
        let held_out = match &keys.validation {
            Some(path) => Labelled::read(path, keys.validation_labels.as_deref(), "validation")?,
            None => {
                let held = (training.len() as f64 * keys.held_out) as usize;
                training.split_off(training.len() - held)
            }
        };
        let grid = training.images.grid;
        let other = held_out.images.grid;
        ensure!(
            grid == other,
            "images.validation: {} by {} pixels, images.file has {} by {}",
            other.width,
            other.height,
            grid.width,
            grid.height
        );
        range("images in images.file, for training,", training.len() as f64, 1.0, 1e9)?;
        let pixels = match keys.pixels {
            PixelKind::Binary => Pixels::Binary,
            PixelKind::Grey => Pixels::Grey,
            PixelKind::Rgb => Pixels::Rgb,
            PixelKind::Continuous => Pixels::Continuous { channels: training.images.channels },
            PixelKind::Palette => Pixels::Palette {
                colours: palette::of(&training.images, keys.colours, run.train.seed)
                    .with_context(|| format!("images.colours = {}", keys.colours))?,
            },
        };
        let labels = training.labels.iter().chain(&held_out.labels).flatten();
        let labels = labels.max().map_or(0, |&l| usize::from(l) + 1);
        let order = keys.order(grid)?;
        let config = run.network(&pixels, GivenImage { grid, order: order.clone(), labels })?;
        let mut h = Sha256::new();
        for part in [&training, &held_out] {
            h.update((part.len() as u64).to_le_bytes());
            (0..part.len()).for_each(|i| h.update(part.images.levels_of(i)));
            h.update(part.labels.as_deref().unwrap_or_default());
        }
        h.update(serde_json::to_vec(&pixels)?);
        let id = short_hex(&h.finalize());
        ranks.same(id.as_bytes(), "images")?;
        let frequency_nats = frequency_nats(&training.images, &pixels);
        let section = ImageSection { height: grid.height, width: grid.width, pixels };
        Ok(Self { run: run.clone(), training, held_out, section, config, order, frequency_nats, id })
    }

    fn variables(&self, part: &Labelled, i: usize) -> Variables {
        self.section.pixels.encode(&part.images.get(i))
    }

    /// Image `i` of `part`: row t reads the pixel of step t − 1, the first one the start.
    fn window(&self, part: &Labelled, i: usize) -> Window {
        let class = part.class(i);
        match self.variables(part, i).to_steps(&self.order) {
            Variables::Symbols(targets) => {
                let start = self.config.facts().start;
                let inputs = [&[start], &targets[..targets.len() - 1]].concat();
                Window { inputs, targets, class, ..Window::default() }
            }
            Variables::Vectors { dims, rows: targets } => {
                let inputs = [&vec![0.0; dims], &targets[..targets.len() - dims]].concat();
                Window { vectors: VectorRows { dims, inputs, targets }, class, ..Window::default() }
            }
        }
    }

    /// Bits of a dimension of an image for so many nats of a pixel.
    fn bits_per_dimension(&self, nats: f64) -> f64 {
        let pixels = &self.section.pixels;
        (nats + pixels.log_levels()) / pixels.dims() as f64 / LN_2
    }
}

/// Nats of a pixel by the frequencies of its values alone, all pixels and channels alike.
fn frequency_nats(images: &ImageSet, pixels: &Pixels) -> f64 {
    let mut counts = vec![0u64; 256.max(pixels.classes())];
    for i in 0..images.len() {
        match pixels.encode(&images.get(i)) {
            Variables::Symbols(x) => x.iter().for_each(|&x| counts[usize::from(x)] += 1),
            Variables::Vectors { .. } => {
                images.levels_of(i).iter().for_each(|&k| counts[usize::from(k)] += 1);
            }
        }
    }
    let all = counts.iter().sum::<u64>() as f64;
    let entropy: f64 = counts.iter().filter(|&&n| n > 0).map(|&n| n as f64 * (all / n as f64).ln()).sum();
    entropy / all * pixels.dims() as f64 - pixels.log_levels()
}

/// The images of one epoch after another, each epoch all of them in an order of its own.
struct Epochs {
    seed: u64,
    len: u64,
    /// The epoch that was asked for last, and its order.
    last: Mutex<(u64, Vec<u32>)>,
}

impl Epochs {
    fn new(seed: u64, len: usize) -> Self {
        Self { seed, len: len as u64, last: Mutex::new((u64::MAX, Vec::new())) }
    }

    /// The image of draw `number`.
    fn image(&self, number: u64) -> usize {
        let (epoch, at) = (number / self.len, number % self.len);
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.0 != epoch {
            let mut uniforms = Uniforms::keyed(self.seed, epoch);
            let mut all: Vec<u32> = (0..self.len as u32).collect();
            uniforms.shuffle(&mut all);
            *last = (epoch, all);
        }
        last.1[at as usize] as usize
    }
}

impl Source for ImageSource {
    fn config(&self) -> &FamilyConfig {
        &self.config
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
        kinds::IMAGE_FILE
    }

    fn describe(&self) -> Vec<String> {
        let (keys, grid) = (&self.run.images, self.section.grid());
        let labels = self.config.facts().condition.as_ref().map_or(0, |c| c.classes);
        vec![
            format!(
                "corpus: {}, {} images of {} by {} pixels to train on, {} held out, {}",
                keys.file.display(),
                self.training.len(),
                grid.width,
                grid.height,
                self.held_out.len(),
                match labels {
                    0 => "without labels".into(),
                    n => format!("{n} labels"),
                }
            ),
            format!("network: {}, {}", self.config.family(), self.section.pixels.describe()),
        ]
    }

    fn bytes(&self) -> usize {
        self.training.images.bytes() + self.held_out.images.bytes()
    }

    fn frequency_nats(&self) -> f64 {
        self.frequency_nats
    }

    fn max_rows(&self) -> usize {
        self.section.grid().len()
    }

    /// Any image gives any number of windows.
    fn check(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn carries(&self) -> bool {
        false
    }

    fn batches(&self, slots: Slots, _: u64) -> Batches<'_> {
        let seed = self.run.train.seed;
        let epochs = Epochs::new(seed, self.training.len());
        Box::new(move |step| {
            let draw = |slot| {
                let number = slots.number(step, slot);
                let window = self.window(&self.training, epochs.image(number));
                Window { dropout: Some(dropout_key(seed, number)), ..window }
            };
            slots.own.clone().map(draw).collect()
        })
    }

    fn evaluate(
        &self,
        model: Loaded,
        objective: &dyn Objective,
        params: &[f32],
        windows: usize,
        _: &Ranks,
    ) -> Result<Option<Evaluation>> {
        let count = self.held_out.len().min(self.run.images.eval_images);
        if count == 0 {
            return Ok(None);
        }
        let model = ImageModel::from_loaded(model).context(self.file_name())?;
        let all: Vec<usize> = (0..count).collect();
        let groups: Vec<f64> = all
            .par_chunks(TOGETHER)
            .map(|group| {
                let read: Vec<_> = group
                    .iter()
                    .map(|&i| (self.variables(&self.held_out, i), self.held_out.class(i)))
                    .collect();
                let images: Vec<_> =
                    read.iter().map(|(variables, class)| Scored { variables, class: *class }).collect();
                let nats = without_denormals(|| model.score(&images));
                nats.iter().flatten().map(|&n| f64::from(n)).sum()
            })
            .collect();
        let rows = (count * self.max_rows()) as f64;
        let mut trainer = 0.0;
        for group in all.chunks(windows) {
            let batch: Vec<Window> = group.iter().map(|&i| self.window(&self.held_out, i)).collect();
            trainer += objective.loss(params, &batch, None)? * (group.len() * self.max_rows()) as f64;
        }
        let own = HeldOutNats { engine: groups.iter().sum::<f64>() / rows, trainer: trainer / rows };
        Ok(Some(Evaluation { own, cross_speaker: None }))
    }

    fn verdict(&self, nats: f64) -> String {
        let image = nats * self.max_rows() as f64;
        format!("{image:.2} nats an image, {:.3} bits a dimension", self.bits_per_dimension(nats))
    }

    fn sections(&self, _: &Tensors, state: &TrainingState, run: &str) -> Result<Map<String, Json>> {
        let training = json!({
            "steps": state.step,
            "planned_steps": state.steps,
            "pixels": state.samples,
            "seconds": state.seconds,
            "held_out_nats": state.held_out,
            "frequency_nats": self.frequency_nats,
            "corpus": self.id,
            "run": run,
        });
        let sections = [(SECTION, serde_json::to_value(&self.section)?), (TRAINING, training)];
        Ok(sections.into_iter().map(|(k, v)| (k.to_string(), v)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_has_every_image_once() {
        let epochs = Epochs::new(3, 10);
        let of = |epoch: u64| -> Vec<usize> { (0..10).map(|i| epochs.image(10 * epoch + i)).collect() };
        let (first, second) = (of(0), of(1));
        assert_ne!(first, second);
        assert_eq!(first, of(0), "whatever was asked between");
        for mut epoch in [first, second] {
            epoch.sort();
            assert_eq!(epoch, (0..10).collect::<Vec<_>>());
        }
    }
}
