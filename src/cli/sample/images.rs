//! `wavesynth sample` for an image model: a sheet of images, of a class, or completed from a part; still or growing.

use super::Args;
use crate::cli::output::{self, PNG};
use crate::cli::picture::{Animation, Sheet, UNFILLED};
use crate::cli::segments::SegmentArgs;
use crate::cli::usage;
use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use wavesynth::images::{Drawing, Groups, Image, ImageModel, Known, Variables, read_masked};
use wavesynth::progress::Progress;
use wavesynth::synth::without_denormals;
use wavesynth_models::ar::{Sampling, Uniforms};
use wavesynth_models::order::{Grid, Order, Scan};
use wavesynth_output::Output;

/// Images that a thread draws in lockstep.
const TOGETHER: usize = 64;

/// Seconds that an animation lasts.
const SECONDS: f64 = 5.0;

/// What is drawn by an image model.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Images")]
pub struct ImageArgs {
    /// Draw images of this class [default: one of each in turn]
    #[arg(long, value_name = "LABEL")]
    class: Option<usize>,
    /// A PNG of the model's size whose opaque pixels are known; the others are drawn. What a pixel's step does not come after
    /// is not foreseen
    #[arg(long, value_name = "IN.png")]
    given: Option<PathBuf>,
    /// The part of --given that is known, where none of it is transparent
    #[arg(long, value_name = "PART", requires = "given")]
    known: Option<Part>,
    /// The order of the pixels, for a model of any order: raster, column, reverse, serpentine, spiral or random [default: the
    /// model's own]
    #[arg(long, value_name = "ORDER", value_parser = scan, conflicts_with_all = ["steps", "squares"])]
    order: Option<Scan>,
    #[command(flatten)]
    segments: SegmentArgs,
    /// Columns of the sheet [default: about as many as rows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    columns: Option<u32>,
    /// Pixels of the picture for a pixel of an image, each way
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    scale: u32,
    /// Write an animated PNG of at most so many frames, one a step, in which the images grow in their order
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1000))]
    frames: Option<u32>,
}

/// A half of an image.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Part {
    Top,
    Bottom,
    Left,
    Right,
}

impl Part {
    fn holds(self, grid: Grid, site: usize) -> bool {
        let (y, x) = grid.place(site);
        match self {
            Self::Top => 2 * y < grid.height,
            Self::Bottom => 2 * y >= grid.height,
            Self::Left => 2 * x < grid.width,
            Self::Right => 2 * x >= grid.width,
        }
    }
}

/// An order by its name.
pub fn scan(name: &str) -> Result<Scan, String> {
    let known = Scan::ALL.map(Scan::name);
    Scan::ALL
        .into_iter()
        .find(|s| s.name() == name)
        .ok_or_else(|| format!("wanted one of {}", known.join(", ")))
}

impl ImageArgs {
    /// Whether any of them is given that only an image model reads.
    pub fn is_given(&self) -> bool {
        self.class.is_some()
            || self.given.is_some()
            || self.columns.is_some()
            || self.frames.is_some()
            || self.needs_any_order()
    }

    fn needs_any_order(&self) -> bool {
        self.order.is_some() || self.segments.is_given()
    }

    /// The files that are read.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.given.as_deref().into_iter()
    }

    fn known(&self, model: &ImageModel) -> Result<Option<Known>> {
        let Some(path) = &self.given else { return Ok(None) };
        let grid = model.grid();
        let (mut known, masked) = read_masked(path, &model.section.pixels, grid)?;
        match self.known {
            Some(part) => {
                let holds = |(site, is): (usize, &mut bool)| *is &= part.holds(grid, site);
                known.is_known.iter_mut().enumerate().for_each(holds);
            }
            None if !masked => usage!(
                "--given {}: every pixel is opaque, so there is nothing to draw: make some transparent, or say which half is known \
                 by --known top",
                path.display()
            ),
            None => {}
        }
        Ok(Some(known))
    }
}

/// Draws `args.count` images of `model`, the checkpoint at `path`.
pub fn run(args: &Args, model: &ImageModel, path: &Path) -> Result<()> {
    let name = path.display();
    let sampling = args.sampling.get(1.0)?;
    let Some(to) = args.output.as_deref() else {
        usage!("{name} draws images: wanted a file for them, -o OUT.png");
    };
    if args.length.is_some() {
        usage!("--length: {name} draws images, whose size it knows");
    }
    match (args.images.class, model.labels()) {
        (Some(_), 0) if model.has_classifier() => {
            usage!("--class: {name} is not given classes, it tells them: `eval --classify` has it do so")
        }
        (Some(_), 0) => usage!("--class: {name} was trained without labels"),
        (Some(class), n) if class >= n => usage!("--class {class}: {name} has 0 to {}", n - 1),
        _ => {}
    }
    if !model.any_order() && args.images.needs_any_order() {
        usage!("--order, --steps and --squares are for models of any order; {name} has one of its own");
    }
    let mut plan = args.force.plan();
    args.model.file().into_iter().chain(args.images.files()).for_each(|file| plan.reads(file));
    let output = plan.writes("-o", to, &PNG)?;
    if model.coder.is_some() && args.images.given.is_some() {
        usage!("--given: {name} draws codes of images, and a part of an image has none");
    }
    let (count, columns) = (args.count as usize, args.images.columns.map(|c| c as usize));
    let sheet = Sheet::new(count, columns, model.image_grid(), args.images.scale as usize);
    let (width, height) = sheet.size();
    ensure!(
        width.max(height) <= 1 << 15,
        "a picture of {width} by {height} pixels: wanted at most 32768 each way"
    );
    let order = args.images.order.map(|scan| scan.order(model.grid(), args.sampling.seed));
    let work = Work { args, model, path, sheet, sampling, known: args.images.known(model)?, order };
    sheet.check_room(work.held())?;
    match args.images.frames {
        Some(frames) => work.growing(frames as usize, output),
        None => work.still(output),
    }
}

/// What is drawn, and onto what.
struct Work<'a> {
    args: &'a Args,
    model: &'a ImageModel,
    path: &'a Path,
    sheet: Sheet,
    sampling: Sampling,
    known: Option<Known>,
    order: Option<Order>,
}

impl Work<'_> {
    /// `count` images from number `first` on.
    fn drawing(&self, first: usize, count: usize) -> Drawing<'_> {
        // Without a class each in its turn.
        let class = |i: usize| self.args.images.class.or_else(|| i.checked_rem(self.model.labels()));
        Drawing {
            classes: (first..first + count).map(class).collect(),
            known: self.known.as_ref(),
            order: self.order.as_ref(),
            sampling: self.sampling,
            seed: self.args.sampling.seed,
            first: first as u64,
        }
    }

    /// The segments of image `i`, in a random order of its own, if it is drawn by segments.
    fn groups(&self, i: usize) -> Option<Groups> {
        let seed = Uniforms::keyed(self.args.sampling.seed, i as u64).next_u64();
        self.args.images.segments.groups(self.model.grid(), seed)
    }

    /// Images that are held at once: as they are drawn, and as they are shown; for an animation of segments each behind every one.
    fn held(&self) -> usize {
        let behind = self.args.images.frames.and_then(|_| self.groups(0)).map_or(1, |groups| groups.len());
        (self.args.count as usize).saturating_mul(1 + behind)
    }

    /// A picture of all images.
    fn still(&self, output: Output) -> Result<()> {
        let (model, count) = (self.model, self.args.count as usize);
        let chunks: Vec<usize> = (0..count).step_by(TOGETHER).collect();
        model.model.check_room(TOGETHER.min(count) * rayon::current_num_threads().min(chunks.len()))?;
        let bar = Progress::new(count as u64, "{wide_bar} {pos}/{len} images");
        let drawn: Result<Vec<Vec<Image>>> = chunks
            .par_iter()
            .map(|&first| {
                let drawing = self.drawing(first, TOGETHER.min(count - first));
                // Where there are segments each image has its own.
                let apart =
                    |i: usize| Some(model.draw_groups(&drawing, i, &self.groups(first + i)?, |_, _| ()));
                let apart = || (0..drawing.classes.len()).map(apart).collect::<Option<Result<Vec<_>, _>>>();
                let drawn = without_denormals(|| apart().unwrap_or_else(|| model.draw(&drawing, |_, _| ())));
                let drawn = drawn.with_context(|| self.path.display().to_string())?;
                bar.inc(drawn.len() as u64);
                Ok(drawn.iter().map(|v| model.decode(v)).collect())
            })
            .collect();
        bar.finish();
        let (width, height) = self.sheet.size();
        Ok(output.write(&output::png(width, height, &self.sheet.draw(&drawn?.concat()))?)?)
    }

    /// A picture of `frames` frames in which they grow.
    fn growing(&self, frames: usize, output: Output) -> Result<()> {
        self.model.model.check_room(self.args.count as usize)?;
        output::whole_file(output, |out| {
            let steps = self.groups(0).map_or(self.model.grid().len(), |g| g.len());
            let frames = frames.min(steps);
            let mut animation = Animation::new(out, self.sheet.size(), frames, SECONDS)?;
            let mut pushed = Ok(());
            let bar = Progress::new(steps as u64, "{wide_bar} {pos}/{len} steps");
            self.steps(|k, images| {
                bar.inc(1);
                // Frame i behind the (i + 1) / frames of the steps.
                if (k + 1) * frames / steps > k * frames / steps && pushed.is_ok() {
                    pushed = animation.push(&self.sheet.draw(&images()));
                }
            })?;
            pushed?;
            bar.finish();
            animation.finish()
        })
    }

    /// Draws all images; `each` takes the number of a step, and what gives the images behind it.
    fn steps(&self, mut each: impl FnMut(usize, &dyn Fn() -> Vec<Image>)) -> Result<()> {
        let (model, count) = (self.model, self.args.count as usize);
        let (drawing, name) = (self.drawing(0, count), || self.path.display().to_string());
        let Some(groups) = (0..count).map(|i| self.groups(i)).collect::<Option<Vec<_>>>() else {
            let order = drawing.order.unwrap_or(model.order());
            let step = |t: usize, all: &[Variables]| {
                each(t, &|| all.iter().map(|v| partial(model, v, order, t + 1)).collect());
            };
            without_denormals(|| model.draw(&drawing, step)).with_context(name)?;
            return Ok(());
        };
        // Images by segments are drawn one by one: what they are behind every segment is kept.
        let mut growing = vec![Vec::with_capacity(count); groups[0].len()];
        for (i, groups) in groups.iter().enumerate() {
            let order = groups.order();
            let step = |k: usize, v: &Variables| growing[k].push(partial(model, v, &order, groups.filled(k)));
            without_denormals(|| model.draw_groups(&drawing, i, groups, step)).with_context(name)?;
        }
        growing.into_iter().enumerate().for_each(|(k, images)| each(k, &|| images.clone()));
        Ok(())
    }
}

/// The image of `variables` of which the first `filled` of `order` are filled.
fn partial(model: &ImageModel, variables: &Variables, order: &Order, filled: usize) -> Image {
    let mut image = model.decode(variables);
    let mut is_filled = vec![false; model.grid().len()];
    (0..filled).for_each(|t| is_filled[order.site(t)] = true);
    for (site, levels) in image.levels.chunks_exact_mut(3).enumerate() {
        if !is_filled[model.variable_of(site)] {
            levels.copy_from_slice(&UNFILLED);
        }
    }
    image
}
