//! Images as a source of windows: each image is one window, its pixels or its codes in the order of the steps.
//!
//! ```text
//! config    the run file of an image model
//! data      the files that it names, read and split
//! palette   a palette for them
//! start     what weights that are not drawn anew ask for
//! vq_vae    the source of a VQ-VAE, and its run file
//! ```

pub mod config;
mod data;
mod palette;
pub mod start;
pub mod vq_vae;

use super::folder::RunFolder;
use super::held_out::{Evaluation, HeldOutNats};
use super::product::{TRAINING, progress};
use super::schedules::dropout_key;
use super::slots::Slots;
use super::source::{Batches, Network, Source, engine};
use super::state::TrainingState;
use crate::images::{ImageCoder, ImageModel, SECTION, Scored, Variables, entropy, likeliest};
use crate::ranks::Ranks;
use crate::synth::without_denormals;
use crate::{kinds, lookup};
use anyhow::{Context, Result, ensure};
use config::{ImageRun, Images};
use data::{Epochs, ImageData, Labelled};
use rayon::prelude::*;
use serde_json::{Map, Value as Json};
use std::path::Path;
use wavesynth_models::ar::{Symbol, Uniforms};
use wavesynth_models::family::{CLASSIFIER, FamilyConfig, GivenImage};
use wavesynth_models::kernels::Isa;
use wavesynth_models::objective::{Objective, VectorRows, Window};
use wavesynth_models::order::{Grid, Order, Scan};
use wavesynth_models::vq_vae::{NAME as VQ_VAE, PREFIX, prefixed};
use wavesynth_models::weights::{Checkpoint, Layout, TensorSpec, Tensors};
use wavesynth_output::say;

/// The seed of the orders by which a model of any order reads the images that are held out.
const HELD_OUT_ORDERS: u64 = 0;

/// Images that the engine reads in lockstep.
const TOGETHER: usize = 32;

/// The images of a run file.
pub struct ImageSource {
    run: ImageRun,
    data: ImageData,
    codes: Option<Codes>,
    config: FamilyConfig,
    order: Order,
    /// Class labels of the images.
    labels: usize,
    frequency_nats: f64,
    id: String,
}

/// The images as a VQ-VAE codes them.
struct Codes {
    coder: ImageCoder,
    /// Its tensors, as the checkpoint holds them.
    tensors: Tensors,
    /// Of every image, one after another.
    training: Vec<Symbol>,
    held_out: Vec<Symbol>,
    /// Of the pixels of a held-out image given its codes.
    nats: f64,
}

impl Codes {
    /// Codes all images of `data`; `judged` of those that are held out are also read.
    fn of(data: &ImageData, (coder, tensors): (ImageCoder, Tensors), judged: usize) -> Self {
        let code = |part: &Labelled| -> Vec<Symbol> {
            let all = (0..part.len()).into_par_iter();
            all.flat_map_iter(|i| coder.encode(&part.images.get(i))).collect()
        };
        let (training, held_out) = (code(&data.training), code(&data.held_out));
        let size = coder.code_grid().len();
        let of_image: Vec<f64> = (0..judged)
            .into_par_iter()
            .map(|i| {
                let nats = coder.nats(&data.held_out.images.get(i), &held_out[i * size..][..size]);
                nats.iter().map(|&n| f64::from(n)).sum()
            })
            .collect();
        let nats = of_image.iter().sum::<f64>() / judged.max(1) as f64;
        Self { coder, tensors, training, held_out, nats }
    }

    /// Nats of a code by their frequencies alone.
    fn frequency_nats(&self) -> f64 {
        let mut counts = vec![0; self.coder.vq_vae.config().codes];
        self.training.iter().for_each(|&k| counts[usize::from(k)] += 1);
        entropy(&counts)
    }
}

/// The VQ-VAE of `images.codes`, and its tensors.
fn coder(path: &Path, keys: &Images) -> Result<(ImageCoder, Tensors)> {
    let (file, path) = lookup::checkpoint(path).context("images.codes")?;
    let name = || format!("images.codes {}", path.display());
    let coder = ImageCoder::from_checkpoint(&file, Isa::detect()).with_context(name)?;
    keys.check_pixels(&coder.pixels).with_context(name)?;
    Ok((coder, prefixed(file.tensors)))
}

impl ImageSource {
    /// Reads the files that `run`, whose files go to `folder`, names; each of `ranks` reads all of them.
    ///
    /// # Errors
    /// A file that can't be read or is not the same on all ranks, images of different sizes.
    pub fn open(run: &ImageRun, folder: &RunFolder, ranks: &Ranks) -> Result<Self> {
        let keys = &run.images;
        let coder = keys.codes.as_deref().map(|path| coder(path, keys)).transpose()?;
        let known = match &coder {
            Some((coder, _)) => Some(coder.pixels.clone()),
            None => start::palette(keys, &run.train, folder, kinds::IMAGE_FILE)?,
        };
        let data = ImageData::open(keys, known, run.train.seed, ranks)?;
        if let Some((coder, _)) = &coder {
            let (found, wanted) = (data.grid(), coder.grid());
            ensure!(
                found == wanted,
                "images.file: {} by {} pixels, the VQ-VAE of images.codes wants {} by {}",
                found.width,
                found.height,
                wanted.width,
                wanted.height
            );
        }
        let judged = data.held_out.len().min(keys.eval_images);
        let codes = coder.map(|coder| Codes::of(&data, coder, judged));
        let labels = data.training.labels.iter().chain(&data.held_out.labels).flatten();
        let labels = labels.max().map_or(0, |&l| usize::from(l) + 1);
        let grid = codes.as_ref().map_or(data.grid(), |c| c.coder.code_grid());
        let order = keys.order(grid)?;
        let image = GivenImage { grid, order: order.clone(), labels };
        let config =
            run.network(&data.pixels, codes.as_ref().map(|c| c.coder.vq_vae.config().codes), image)?;
        let frequency_nats = codes.as_ref().map_or_else(|| data.frequency_nats(), Codes::frequency_nats);
        let beside = codes.as_ref().map_or(Vec::new(), |c| {
            let values = c.tensors.values().flat_map(|t| &t.data).flat_map(|v| v.to_le_bytes());
            c.training.iter().flat_map(|k| k.to_le_bytes()).chain(values).collect()
        });
        let id = data.id(&beside);
        ranks.same(id.as_bytes(), "codes of images")?;
        Ok(Self { run: run.clone(), data, codes, config, order, labels, frequency_nats, id })
    }

    /// The order by which image `number` of a run, or of those held out, is read; `None` for the model's own.
    fn order_of(&self, seed: u64, number: u64) -> Option<Order> {
        self.config
            .facts()
            .any_order()
            .then(|| Scan::Random.order(self.grid(), Uniforms::keyed(seed, number).next_u64()))
    }

    /// Rows and columns of the variables.
    fn grid(&self) -> Grid {
        self.codes.as_ref().map_or(self.data.grid(), |c| c.coder.code_grid())
    }

    fn variables(&self, held_out: bool, i: usize) -> Variables {
        match &self.codes {
            Some(codes) => {
                let (all, n) = (if held_out { &codes.held_out } else { &codes.training }, self.grid().len());
                Variables::Symbols(all[i * n..][..n].to_vec())
            }
            None => self.data.pixels.encode(&self.part(held_out).images.get(i)),
        }
    }

    fn part(&self, held_out: bool) -> &Labelled {
        if held_out { &self.data.held_out } else { &self.data.training }
    }

    /// Image `i` of a part in `order`, or the model's own: row t reads the variable of step t − 1, the first one the start.
    fn window(&self, held_out: bool, i: usize, order: Option<&Order>) -> Window {
        let class = self.part(held_out).class(i);
        let sites = match order {
            Some(Order::Sites(s)) => s.sites.clone(),
            _ => Vec::new(),
        };
        match self.variables(held_out, i).to_steps(order.unwrap_or(&self.order)) {
            Variables::Symbols(targets) => {
                let start = self.config.facts().start;
                let inputs = [&[start], &targets[..targets.len() - 1]].concat();
                Window { inputs, targets, class, sites, ..Window::default() }
            }
            Variables::Vectors { dims, rows: targets } => {
                let inputs = [&vec![0.0; dims], &targets[..targets.len() - dims]].concat();
                Window { vectors: VectorRows { dims, inputs, targets }, class, sites, ..Window::default() }
            }
        }
    }

    /// The class that held-out image `i` is read with: none where the model tells it.
    fn given_class(&self, i: usize) -> Option<usize> {
        let is_given = self.config.facts().condition.as_ref().is_some_and(|c| c.classes > 0);
        self.data.held_out.class(i).filter(|_| is_given)
    }

    /// Says how many of the first `count` held-out images the classification head of `model` tells right.
    fn say_classes(&self, model: &ImageModel, count: usize) {
        let is_right = |i: usize| {
            let (rows, _) = without_denormals(|| model.classify(&self.variables(true, i)));
            rows.last().map(|row| likeliest(row)) == self.data.held_out.class(i)
        };
        let right = (0..count).into_par_iter().filter(|&i| is_right(i)).count();
        say!("classes of held-out images: {right} of {count} right");
    }

    /// Bits of a dimension for so many nats of an image.
    fn bits_per_dimension(&self, nats: f64) -> f64 {
        self.data.pixels.bits_per_dimension(nats / self.data.grid().len() as f64)
    }
}

impl Source for ImageSource {
    fn network(&self) -> &dyn Network {
        &self.config
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn item(&self) -> &'static str {
        "image"
    }

    fn unit(&self) -> &'static str {
        if self.codes.is_some() { "code" } else { "pixel" }
    }

    fn file_name(&self) -> &'static str {
        kinds::IMAGE_FILE
    }

    fn describe(&self) -> Vec<String> {
        let labels = self.labels;
        let variables = match &self.codes {
            None => self.data.pixels.describe(),
            Some(codes) => {
                let (grid, config) = (self.grid(), codes.coder.vq_vae.config());
                format!("{} by {} of {} codes an image", grid.width, grid.height, config.codes)
            }
        };
        vec![
            self.data.describe(&self.run.images.file, labels),
            format!("network: {}, {variables}", self.config.family()),
        ]
    }

    fn bytes(&self) -> usize {
        let codes = |c: &Codes| size_of_val(&c.training[..]) + size_of_val(&c.held_out[..]);
        self.data.bytes() + self.codes.as_ref().map_or(0, codes)
    }

    fn frequency_nats(&self) -> f64 {
        self.frequency_nats
    }

    fn max_rows(&self) -> usize {
        self.grid().len()
    }

    /// Any image gives any number of windows.
    fn check(&self, _: usize) -> Result<()> {
        Ok(())
    }

    /// Another VQ-VAE's tensors are left out. A classification head that the checkpoint has not, or has of other classes, begins anew;
    /// one that the model has not is left out.
    fn adopt(&self, file: &mut Checkpoint, _: &Path) -> Result<Option<String>> {
        start::check_order(&file.header, self.grid(), &self.order)?;
        file.tensors.retain(|name, _| !name.starts_with(PREFIX));
        let mut head = self.config.table();
        head.retain(|spec| spec.name.starts_with(CLASSIFIER));
        let is_there = |s: &TensorSpec| file.tensors.get(&s.name).is_some_and(|t| t.shape == s.shape);
        if !head.is_empty() && head.iter().all(is_there) {
            return Ok(None);
        }
        file.tensors.retain(|name, _| !name.starts_with(CLASSIFIER));
        if head.is_empty() {
            return Ok(None);
        }
        let head = Layout::new(head);
        file.tensors.extend(head.tensors(&head.init(self.run.train.seed)));
        Ok(Some("its classification head begins anew".into()))
    }

    fn carries(&self) -> bool {
        false
    }

    fn batches(&self, slots: Slots, _: u64) -> Batches<'_> {
        let seed = self.run.train.seed;
        let epochs = Epochs::new(seed, self.data.training.len());
        Box::new(move |step| {
            let draw = |slot| {
                let number = slots.number(step, slot);
                let order = self.order_of(seed, number);
                let window = self.window(false, epochs.image(number), order.as_ref());
                Window { dropout: Some(dropout_key(seed, number)), ..window }
            };
            slots.own.clone().map(draw).collect()
        })
    }

    fn companions(&self) -> Tensors {
        self.codes.as_ref().map_or_else(Tensors::new, |c| c.tensors.clone())
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
        let model = engine(checkpoint, self.file_name())?;
        let model = ImageModel::from_loaded(model).context(self.file_name())?;
        let all: Vec<usize> = (0..count).collect();
        let held_order = |i: usize| self.order_of(HELD_OUT_ORDERS, i as u64);
        let groups: Vec<f64> = all
            .par_chunks(TOGETHER)
            .map(|group| {
                let read: Vec<_> = group
                    .iter()
                    .map(|&i| (self.variables(true, i), self.given_class(i), held_order(i)))
                    .collect();
                let images: Vec<_> = read
                    .iter()
                    .map(|(variables, class, order)| Scored {
                        variables,
                        class: *class,
                        order: order.as_ref(),
                    })
                    .collect();
                let nats = without_denormals(|| model.score(&images));
                nats.iter().flatten().map(|&n| f64::from(n)).sum()
            })
            .collect();
        if model.has_classifier() {
            self.say_classes(&model, count);
        }
        let rows = (count * self.max_rows()) as f64;
        let mut trainer = 0.0;
        for group in all.chunks(windows) {
            let window = |&i: &usize| {
                let class = self.given_class(i);
                Window { class, ..self.window(true, i, held_order(i).as_ref()) }
            };
            let batch: Vec<Window> = group.iter().map(window).collect();
            trainer += objective.loss(params, &batch, None)? * (group.len() * self.max_rows()) as f64;
        }
        let own = HeldOutNats { engine: groups.iter().sum::<f64>() / rows, trainer: trainer / rows };
        Ok(Some(Evaluation { own, cross_speaker: None }))
    }

    fn verdict(&self, nats: f64) -> String {
        let image = nats * self.max_rows() as f64;
        match &self.codes {
            None => {
                format!("{image:.2} nats an image, {:.3} bits a dimension", self.bits_per_dimension(image))
            }
            Some(codes) => {
                let bound = image + codes.nats;
                format!(
                    "{image:.2} nats of codes an image; with {:.2} of its pixels given them at most {bound:.2}, {:.3} bits a dimension",
                    codes.nats,
                    self.bits_per_dimension(bound)
                )
            }
        }
    }

    fn sections(&self, _: &Tensors, state: &TrainingState, run: &str) -> Result<Map<String, Json>> {
        let mut sections =
            Map::from_iter([(SECTION.to_string(), serde_json::to_value(self.data.section())?)]);
        if let Some(codes) = &self.codes {
            sections.insert(VQ_VAE.into(), serde_json::to_value(codes.coder.vq_vae.config())?);
        }
        sections.insert(TRAINING.into(), progress(self, state, run));
        Ok(sections)
    }
}
