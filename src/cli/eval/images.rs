//! `wavesynth eval` for an image model: exact nats of images, their map, and their class by Bayes' rule. Of a model of a VQ-VAE's
//! codes the codes' nats are exact, and with those of the pixels given them an upper bound.

mod classes;
pub mod map;
mod orders;

use super::{Args, finite};
use crate::cli::output::{self, PNG};
use crate::cli::segments::SegmentArgs;
use crate::cli::{image_input, npy, usage};
use anyhow::{Context, Result};
use classes::{Classes, FoundBy, Posterior, Seen, tenths};
use orders::nats_of;
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};
use wavesynth::images::{Groups, Image, ImageModel, Variables};
use wavesynth::progress::Progress;
use wavesynth::synth::without_denormals;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::order::Grid;
use wavesynth_output::{Output, Plan};

/// Images that a thread reads in lockstep.
const TOGETHER: usize = 32;

/// What is asked of an image model.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Images")]
pub struct ImageArgs {
    /// Class labels of the images, an idx file of bytes
    #[arg(long, value_name = "LABELS")]
    labels: Option<PathBuf>,
    /// Find each image's class: by the model's classification head, or by Bayes' rule from ln p(image | class) for every class, all
    /// alike beforehand
    #[arg(long, conflicts_with_all = ["orders", "steps", "squares"])]
    classify: bool,
    /// Also write a picture of the images, and under each how much its pixels or codes surprise; what a VQ-VAE makes of it
    #[arg(long, value_name = "OUT.png")]
    map: Option<PathBuf>,
    /// Read each image by so many random orders and average its probability, for a model of any order [default: once, in the
    /// model's own order]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..=1000), conflicts_with_all = ["steps", "squares"])]
    orders: Option<u64>,
    /// The likelihood of taking several pixels at a time, as `sample` does
    #[command(flatten)]
    segments: SegmentArgs,
    /// Where the random orders come from
    #[arg(long, value_name = "SEED", default_value_t = 0, hide_short_help = true)]
    order_seed: u64,
    /// Read only so many images of each input, the first ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    images: Option<u64>,
}

impl ImageArgs {
    /// Whether any of them is given.
    pub fn is_given(&self) -> bool {
        self.labels.is_some()
            || self.classify
            || self.map.is_some()
            || self.images.is_some()
            || self.needs_any_order()
    }

    /// Whether an order or segments are asked for, which a model of any order alone has.
    pub fn needs_any_order(&self) -> bool {
        self.orders.is_some() || self.segments.is_given()
    }

    /// The segments of image `i`, if it is read by segments.
    fn groups(&self, grid: Grid, i: usize) -> Option<Groups> {
        self.segments.groups(grid, self.random(i, 0))
    }

    /// The seed of order `m` of image `i`.
    fn random(&self, i: usize, m: u64) -> u64 {
        Uniforms::keyed(Uniforms::keyed(self.order_seed, i as u64).next_u64(), m).next_u64()
    }

    /// Whether classes are asked for.
    pub fn asks_for_classes(&self) -> bool {
        self.labels.is_some() || self.classify
    }

    /// Images of an input that are read at most.
    pub fn most(&self) -> Option<u64> {
        self.images
    }

    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.labels.as_deref().into_iter()
    }

    /// The picture, if one is asked for.
    pub fn map(&self, plan: &mut Plan) -> Result<Option<Output>> {
        Ok(self.map.as_ref().map(|path| plan.writes("--map", path, &PNG)).transpose()?)
    }
}

#[derive(Debug, Serialize)]
struct Score {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "output::path")]
    input: Option<PathBuf>,
    images: usize,
    nats_per_image: f64,
    /// Of 95 %, by the scatter of the images.
    nats_per_image_error: f64,
    bits_per_dimension: f64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    bound: Option<Bound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<Classes>,
}

/// What the pixels add where the variables are codes c: −ln p(x) ≤ −ln p(c) − ln p(x | c).
#[derive(Debug, Serialize)]
struct Bound {
    /// −ln p(x | c).
    nats_per_image_given_codes: f64,
    /// An upper bound of −ln p(x).
    nats_per_image_bound: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    inputs: Vec<Score>,
    #[serde(flatten)]
    total: Score,
}

/// The outputs of the command.
pub struct Outputs {
    /// `--per-symbol`.
    pub per_symbol: Option<Output>,
    /// `--map`.
    pub map: Option<Output>,
}

impl Outputs {
    /// Writes the nats of images of size `grid`, and the picture of images and maps of size `shown`, by turns, where they are asked
    /// for.
    pub fn write(self, grid: Grid, nats: &[Vec<f32>], shown: Grid, maps: Vec<Image>) -> Result<()> {
        if let Some(output) = self.per_symbol {
            let shape = [nats.len() as u64, grid.height as u64, grid.width as u64];
            npy::write::<f32>(output, &shape, |push| {
                Ok(nats.iter().flatten().copied().try_for_each(push)?)
            })?;
        }
        match self.map {
            Some(output) => Ok(output.write(&map::picture(maps, shown)?)?),
            None => Ok(()),
        }
    }
}

/// Runs the command for an image model.
pub fn run(args: &Args, model: Loaded, path: &Path, outputs: Outputs) -> Result<()> {
    let name = path.display();
    if args.condition.is_given() {
        usage!("{name}: an image model takes no speaker and no track");
    }
    if args.surprise {
        usage!("--surprise: {name} is no text model; --map OUT.png is for images");
    }
    let model = ImageModel::from_loaded(model).with_context(|| name.to_string())?;
    let asked = &args.images;
    let labelled = model.labels() > 0;
    if model.has_classifier() && asked.labels.is_some() && !asked.classify {
        usage!("{name} is not given classes, it tells them: wanted --classify beside --labels");
    }
    if model.classes() == 0 && (asked.labels.is_some() || asked.classify) {
        usage!("{name} was trained without labels: neither --labels nor --classify has a meaning");
    }
    if labelled && asked.labels.is_none() && !asked.classify {
        usage!("{name} draws images of a class: wanted their --labels, or --classify to find them");
    }
    if asked.labels.is_some() && args.inputs.len() > 1 {
        usage!("--labels are those of one input, here are {}", args.inputs.len());
    }
    if asked.needs_any_order() && !model.any_order() {
        usage!("--orders, --steps and --squares are for models of any order; {name} has one of its own");
    }
    model.model.check_room(TOGETHER.max(model.classes()) * rayon::current_num_threads())?;
    let (mut all, mut given, mut maps, mut scores) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for input in &args.inputs {
        let read = one(args, &model, input)?;
        scores.push(score(&model, Some(input.into()), &read.nats, &read.given, read.classes));
        all.extend(read.nats);
        given.extend(read.given);
        maps.extend(read.maps);
    }
    outputs.write(model.grid(), &all, model.image_grid(), maps)?;
    let total = score(&model, None, &all, &given, None);
    let report = Report { inputs: scores, total };
    if args.json { output::json(&report) } else { output::text(&table(&report)) }
}

/// What an input gives.
struct Read {
    /// The nats of every variable of every image.
    nats: Vec<Vec<f32>>,
    /// The nats of every image given its codes, where the variables are codes.
    given: Vec<f64>,
    /// Images and their maps, by turns, where a picture is asked for.
    maps: Vec<Image>,
    classes: Option<Classes>,
}

fn one(args: &Args, model: &ImageModel, input: &Path) -> Result<Read> {
    let (images, count) = image_input::images(input, model.image_grid(), args.images.images)?;
    let labels = args.images.labels.as_deref();
    let labels = labels.map(|path| image_input::labels("--labels", path, input, &images)).transpose()?;
    if let Some(l) = labels.iter().flatten().find(|&&l| usize::from(l) >= model.classes()) {
        usage!("--labels: label {l}, the model has 0 to {}", model.classes() - 1);
    }
    let label = |i: usize| labels.as_ref().map(|l| usize::from(l[i]));
    if args.images.map.is_some() {
        map::check(count, model.image_grid())?;
    }
    let variables: Vec<_> = (0..count).into_par_iter().map(|i| model.encode(&images.get(i))).collect();
    let bar = Progress::new(count as u64, "{wide_bar} {pos}/{len} images");
    let mut classes = None;
    let each: Vec<Vec<f32>> = if args.images.classify {
        let (posteriors, all): (Vec<Posterior>, Vec<Vec<f32>>) = variables
            .par_iter()
            .map(|v| {
                let (rows, nats) = without_denormals(|| model.classify(v));
                bar.inc(1);
                (tenths(&rows), model.order().to_variables(&nats))
            })
            .unzip();
        let by = if model.has_classifier() { FoundBy::ClassificationHead } else { FoundBy::BayesRule };
        let seen = if model.coder.is_some() { Seen::Codes } else { Seen::Pixels };
        classes = Some(Classes::of(&posteriors, (0..count).map(label).collect(), by, seen));
        all
    } else {
        let chunks: Vec<usize> = (0..count).step_by(TOGETHER).collect();
        let all: Vec<Vec<Vec<f32>>> = chunks
            .par_iter()
            .map(|&first| {
                let images = first..count.min(first + TOGETHER);
                let nats = without_denormals(|| nats_of(args, model, &variables, images.clone(), &label));
                bar.inc(images.len() as u64);
                nats
            })
            .collect();
        all.concat()
    };
    bar.finish();
    let mut nats = Vec::with_capacity(count);
    for steps in each {
        nats.push(finite(steps, input)?);
    }
    let mut maps = Vec::new();
    if args.images.map.is_some() {
        for (i, nats) in nats.iter().enumerate().take(map::MOST) {
            let pixels = &model.section.pixels;
            maps.push(pixels.decode(&pixels.encode(&images.get(i)), model.image_grid()));
            maps.push(map::heat(nats, model));
        }
    }
    let given = match &model.coder {
        None => Vec::new(),
        Some(coder) => (variables.par_iter().enumerate())
            .map(|(i, v)| {
                let Variables::Symbols(codes) = v else { return 0.0 };
                coder.nats(&images.get(i), codes).iter().map(|&n| f64::from(n)).sum()
            })
            .collect(),
    };
    Ok(Read { nats, given, maps, classes })
}

/// The mean, and its error of 95 % by the scatter.
pub(super) fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, 1.96 * (variance / n).sqrt())
}

fn score(
    model: &ImageModel,
    input: Option<PathBuf>,
    nats: &[Vec<f32>],
    given: &[f64],
    classes: Option<Classes>,
) -> Score {
    let of_image: Vec<f64> = nats.iter().map(|n| n.iter().map(|&x| f64::from(x)).sum()).collect();
    let (mean, error) = mean_and_error(&of_image);
    let bound = model.coder.as_ref().map(|_| {
        let (nats, _) = mean_and_error(given);
        Bound { nats_per_image_given_codes: nats, nats_per_image_bound: mean + nats }
    });
    let all = bound.as_ref().map_or(mean, |b| b.nats_per_image_bound);
    Score {
        input,
        images: of_image.len(),
        nats_per_image: mean,
        nats_per_image_error: error,
        bits_per_dimension: model.section.pixels.bits_per_dimension(all / model.image_grid().len() as f64),
        bound,
        classes,
    }
}

fn table(report: &Report) -> String {
    let total = (report.inputs.len() > 1).then_some(&report.total);
    let mut t = String::from("    images  nats/image         ±  bits/dimension  input");
    for s in report.inputs.iter().chain(total) {
        let name = output::input_name(s.input.as_deref(), "in total");
        t += &format!(
            "\n{:>10}  {:>10.3}  {:>8.3}  {:>14.4}  {name}",
            s.images, s.nats_per_image, s.nats_per_image_error, s.bits_per_dimension
        );
    }
    for (s, bound) in report.inputs.iter().chain(total).filter_map(|s| Some((s, s.bound.as_ref()?))) {
        t += &format!(
            "\n{:.3} nats of codes, exactly; with {:.3} of the pixels given them at most {:.3} nats an image: an upper bound of −ln p(x), \
             and so are the bits",
            s.nats_per_image, bound.nats_per_image_given_codes, bound.nats_per_image_bound
        );
    }
    for classes in report.inputs.iter().filter_map(|s| s.classes.as_ref()) {
        t += &classes.table();
    }
    t
}
