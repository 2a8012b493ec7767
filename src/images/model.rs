//! What an image model does: exact likelihoods, samples, completions, and a class by Bayes' rule.

use super::{Image, ImageCoder, ImageSection, SECTION, Variables};
use crate::kinds;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use wavesynth_models::ar::{Generators, NotFinite, Sampling, Uniforms};
use wavesynth_models::condition::Condition;
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::LikelihoodConfig;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::order::{Grid, Order};

/// A model that draws images.
pub struct ImageModel {
    /// The model, packed.
    pub model: Loaded,
    /// What the pixels of its images mean.
    pub section: ImageSection,
    /// What makes its variables of images, where they are codes.
    pub coder: Option<ImageCoder>,
}

/// An image to be scored.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// Variable by variable.
    pub variables: &'a Variables,
    /// Its label; `None` without one.
    pub class: Option<usize>,
    /// The order by which it is read, for a model of any order; `None` for the model's own.
    pub order: Option<&'a Order>,
}

impl<'a> Scored<'a> {
    /// An image of `class` in the model's own order.
    pub fn new(variables: &'a Variables, class: Option<usize>) -> Self {
        Self { variables, class, order: None }
    }
}

/// Pixels that are known before an image is drawn.
#[derive(Debug, Clone)]
pub struct Known {
    /// Variable by variable; what is not known has any value.
    pub variables: Variables,
    /// `[N]` which are.
    pub is_known: Vec<bool>,
}

/// Images to be drawn.
#[derive(Debug, Clone)]
pub struct Drawing<'a> {
    /// The label of each; `None` without one.
    pub classes: Vec<Option<usize>>,
    /// What all of them share.
    pub known: Option<&'a Known>,
    /// The order in which they are drawn, for a model of any order; `None` for the model's own.
    pub order: Option<&'a Order>,
    /// How values are drawn.
    pub sampling: Sampling,
    /// Image i takes the random numbers of this seed and `first` + i.
    pub seed: u64,
    /// See `seed`.
    pub first: u64,
}

impl ImageModel {
    /// Opens the checkpoint at `path` as an image model.
    ///
    /// # Errors
    /// As [`Loaded::open`], or a model that is no image model.
    pub fn open(path: &Path, isa: Isa) -> Result<Self> {
        Self::from_loaded(Loaded::open(path, isa)?).with_context(|| path.display().to_string())
    }

    /// Takes a model that was loaded already as an image model.
    ///
    /// # Errors
    /// No section `image`, or one that does not fit the model.
    pub fn from_loaded(model: Loaded) -> Result<Self> {
        kinds::check(&model.header)?;
        let section = ImageSection::from_header(&model.header)?;
        let facts = model.config.facts();
        let coder = model.vq_vae.clone().map(|v| ImageCoder::new(v, &section)).transpose()?;
        let (grid, steps) = (coder.as_ref().map_or(section.grid(), ImageCoder::code_grid), facts.order.len());
        ensure!(
            grid.height >= 1 && steps == grid.height.checked_mul(grid.width),
            "`{SECTION}` has {} rows of {} pixels, the model's order {} steps",
            grid.height,
            grid.width,
            steps.map_or("no end of".into(), |n| n.to_string())
        );
        if coder.is_none() {
            section.pixels.check(&facts.likelihood)?;
        }
        let other = facts.condition.as_ref().is_some_and(|c| c.embedding.is_some() || c.frames.is_some());
        ensure!(!other, "wants a condition that is no class label, which no image has");
        Ok(Self { model, section, coder })
    }

    /// Rows and columns of the variables: of an image's pixels, or of its codes.
    pub fn grid(&self) -> Grid {
        self.coder.as_ref().map_or(self.section.grid(), ImageCoder::code_grid)
    }

    /// Rows and columns of an image.
    pub fn image_grid(&self) -> Grid {
        self.section.grid()
    }

    /// The variable that pixel y · width + x of an image is, or that its code is.
    pub fn variable_of(&self, site: usize) -> usize {
        let (image, grid) = (self.image_grid(), self.grid());
        let (y, x) = image.place(site);
        y * grid.height / image.height * grid.width + x * grid.width / image.width
    }

    /// The variables of an image.
    pub fn encode(&self, image: &Image) -> Variables {
        match &self.coder {
            Some(coder) => Variables::Symbols(coder.encode(image)),
            None => self.section.pixels.encode(image),
        }
    }

    /// The image of variables, three values a pixel; of codes the one whose every pixel is the likeliest.
    pub fn decode(&self, variables: &Variables) -> Image {
        match (&self.coder, variables) {
            (Some(coder), Variables::Symbols(codes)) => coder.decode(codes),
            _ => self.section.pixels.decode(variables, self.image_grid()),
        }
    }

    /// Which pixel each step fills.
    pub fn order(&self) -> &Order {
        &self.model.config.facts().order
    }

    /// K, class labels; 0 for a model without.
    pub fn labels(&self) -> usize {
        self.model.config.facts().condition.as_ref().map_or(0, |c| c.classes)
    }

    /// K, classes that [`ImageModel::classify`] finds; 0 for a model that knows none.
    pub fn classes(&self) -> usize {
        self.labels().max(self.model.classifier())
    }

    /// Whether a classification head tells them, and not Bayes' rule.
    pub fn has_classifier(&self) -> bool {
        self.model.classifier() > 0
    }

    /// Whether an image may be read and drawn in any order.
    pub fn any_order(&self) -> bool {
        self.model.config.facts().any_order()
    }

    /// Values of an image that count as a dimension each.
    pub fn dimensions(&self) -> usize {
        self.image_grid().len() * self.section.pixels.dims()
    }

    fn likelihood(&self) -> &LikelihoodConfig {
        &self.model.config.facts().likelihood
    }

    /// A running stream for each image, by its class and order.
    fn streams<'a>(
        &self,
        images: impl ExactSizeIterator<Item = (Option<usize>, Option<&'a Order>)>,
        sampling: Sampling,
    ) -> Box<dyn Generators> {
        let mut streams = self.model.generators(images.len(), sampling);
        for (i, (class, order)) in images.enumerate() {
            streams.start(i);
            streams.condition(i, &Condition { class, order: sites(order), ..Condition::default() });
        }
        streams
    }

    /// −ln p of every pixel of every image, in nats, in the order of the steps: what step t gives for the pixel that it fills.
    /// The images are read in lockstep; a caller hands over as many as it likes to hold streams of.
    pub fn score(&self, images: &[Scored]) -> Vec<Vec<f32>> {
        let mut streams = self.streams(images.iter().map(|i| (i.class, i.order)), Sampling::default());
        let dims = self.likelihood().dims();
        let n = self.grid().len();
        let mut nats = vec![Vec::with_capacity(n); images.len()];
        let mut now = Variables::zeros(images.len(), dims);
        let mut row = vec![0.0; images.len()];
        for t in 0..n {
            for (i, image) in images.iter().enumerate() {
                now.set(i, image.variables.get(image.order.unwrap_or(self.order()).site(t)));
            }
            streams.score(now.values(), &mut row);
            nats.iter_mut().zip(&row).for_each(|(all, &x)| all.push(x));
        }
        nats
    }

    /// ln p(class | the first pixels) for each of the K classes, by the classification head, or for a model with labels by Bayes' rule,
    /// all alike beforehand: [N + 1, K], row t of what the first t steps have filled. Beside it the nats of every pixel, in the order of
    /// the steps, of a model with labels by the mixture of the classes.
    ///
    /// # Panics
    /// For a model that knows no classes.
    pub fn classify(&self, variables: &Variables) -> (Vec<Vec<f64>>, Vec<f32>) {
        let k = self.classes();
        assert!(k > 0, "a model without classes");
        if self.has_classifier() {
            return self.classify_by_head(&Scored::new(variables, None));
        }
        let images: Vec<_> = (0..k).map(|c| Scored::new(variables, Some(c))).collect();
        let nats = self.score(&images);
        let mut log_p = vec![-(k as f64).ln(); k];
        let (mut rows, mut mixed) = (vec![log_p.clone()], Vec::new());
        for t in 0..variables.len() {
            log_p.iter_mut().zip(&nats).for_each(|(p, nats)| *p -= f64::from(nats[t]));
            let log_sum = log_sum(&log_p);
            log_p.iter_mut().for_each(|p| *p -= log_sum);
            mixed.push(-log_sum as f32);
            rows.push(log_p.clone());
        }
        (rows, mixed)
    }

    /// Draws images, variable by variable, in lockstep. Known pixels stand in their steps in place of what is drawn there: an
    /// image goes on from all known pixels whose step is before, and does not foresee those behind. `each` is called after
    /// every step with its number and the images as far as they are.
    ///
    /// # Errors
    /// Numbers that are none.
    pub fn draw(
        &self,
        drawing: &Drawing,
        mut each: impl FnMut(usize, &[Variables]),
    ) -> Result<Vec<Variables>, NotFinite> {
        let count = drawing.classes.len();
        let mut streams =
            self.streams(drawing.classes.iter().map(|&class| (class, drawing.order)), drawing.sampling);
        let (order, likelihood) = (drawing.order.unwrap_or(self.order()), self.likelihood());
        let (n, dims, width) = (self.grid().len(), likelihood.dims(), likelihood.get().uniforms());
        let mut images = vec![Variables::zeros(n, dims); count];
        let mut random: Vec<_> =
            (0..count as u64).map(|i| Uniforms::keyed(drawing.seed, drawing.first + i)).collect();
        let mut uniforms = vec![0.0; count * width];
        let mut now = Variables::zeros(count, dims);
        for t in 0..n {
            for (row, random) in uniforms.chunks_exact_mut(width).zip(&mut random) {
                row.fill_with(|| random.next_uniform());
            }
            match &mut now {
                Variables::Symbols(x) => streams.next(&uniforms, x),
                Variables::Vectors { rows, .. } => streams.next_vectors(&uniforms, rows),
            }
            let site = order.site(t);
            let known = drawing.known.filter(|known| known.is_known[site]);
            for (i, image) in images.iter_mut().enumerate() {
                let x = known.map_or(now.get(i), |known| known.variables.get(site));
                if known.is_some() {
                    streams.replace(i, x);
                }
                image.set(site, x);
            }
            each(t, &images);
        }
        match (0..count).all(|i| streams.is_finite(i)) {
            true => Ok(images),
            false => Err(NotFinite),
        }
    }
}

/// The sites of an order.
pub(super) fn sites(order: Option<&Order>) -> Option<&[u32]> {
    match order? {
        Order::Time => None,
        Order::Sites(s) => Some(&s.sites),
    }
}

/// The class of the largest of `log_p`; the last of several.
pub fn likeliest(log_p: &[f64]) -> usize {
    (0..log_p.len()).max_by(|&a, &b| log_p[a].total_cmp(&log_p[b])).unwrap_or(0)
}

/// ln Σ exp.
pub fn log_sum(log_p: &[f64]) -> f64 {
    let max = log_p.iter().copied().fold(f64::MIN, f64::max);
    max + log_p.iter().map(|p| (p - max).exp()).sum::<f64>().ln()
}
