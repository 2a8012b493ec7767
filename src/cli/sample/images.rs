//! `wavesynth sample` for an image model: a sheet of images, of a class, or completed from a part; still or growing.

use super::Args;
use crate::cli::output::{self, PNG};
use crate::cli::picture::{Animation, Sheet, UNFILLED};
use crate::cli::usage;
use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use wavesynth::images::{Drawing, Image, ImageModel, Known, Variables, read_masked};
use wavesynth::progress::Progress;
use wavesynth::synth::without_denormals;
use wavesynth_models::order::Grid;

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
    /// Columns of the sheet [default: about as many as rows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    columns: Option<u32>,
    /// Pixels of the picture for a pixel of an image, each way
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    scale: u32,
    /// Write an animated PNG of so many frames, in which the images grow in their order
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

impl ImageArgs {
    /// Whether any of them is given that only an image model reads.
    pub fn is_given(&self) -> bool {
        self.class.is_some() || self.given.is_some() || self.columns.is_some() || self.frames.is_some()
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
        (None, 0) => {}
        // Each class in its turn.
        (None, _) => {}
        (Some(_), 0) => usage!("--class: {name} was trained without labels"),
        (Some(class), n) if class >= n => usage!("--class {class}: {name} has 0 to {}", n - 1),
        _ => {}
    }
    let mut plan = args.force.plan();
    args.model.file().into_iter().chain(args.images.files()).for_each(|file| plan.reads(file));
    let output = plan.writes("-o", to, &PNG)?;
    if model.coder.is_some() && args.images.given.is_some() {
        usage!("--given: {name} draws codes of images, and a part of an image has none");
    }
    let known = args.images.known(model)?;
    let (count, grid) = (args.count as usize, model.grid());
    let columns = args.images.columns.map(|c| c as usize);
    let sheet = Sheet::new(count, columns, model.image_grid(), args.images.scale as usize);
    let (width, height) = sheet.size();
    ensure!(
        width.max(height) <= 1 << 15,
        "a picture of {width} by {height} pixels: wanted at most 32768 each way"
    );
    let class = |i: usize| args.images.class.or_else(|| i.checked_rem(model.labels()));
    let draw = |first: usize, count: usize| Drawing {
        classes: (first..first + count).map(|i| class(i)).collect(),
        known: known.as_ref(),
        sampling,
        seed: args.sampling.seed,
        first: first as u64,
    };
    if let Some(frames) = args.images.frames {
        model.model.check_room(count)?;
        let steps = Progress::new(grid.len() as u64, "{wide_bar} {pos}/{len} pixels");
        return output::whole_file(output, |out| {
            let frames = (frames as usize).min(grid.len());
            let mut animation = Animation::new(out, (width, height), frames, SECONDS)?;
            let mut pushed = Ok(());
            let drawn = without_denormals(|| {
                model.draw(&draw(0, count), |t, images| {
                    steps.inc(1);
                    // Frame i behind the (i + 1) / frames of the steps.
                    if (t + 1) * frames / grid.len() > t * frames / grid.len() && pushed.is_ok() {
                        let images: Vec<_> = images.iter().map(|v| partial(model, v, t)).collect();
                        pushed = animation.push(&sheet.draw(&images));
                    }
                })
            });
            drawn.with_context(|| name.to_string())?;
            pushed?;
            steps.finish();
            animation.finish()
        });
    }
    let chunks: Vec<usize> = (0..count).step_by(TOGETHER).collect();
    model.model.check_room(TOGETHER.min(count) * rayon::current_num_threads().min(chunks.len()))?;
    let bar = Progress::new(count as u64, "{wide_bar} {pos}/{len} images");
    let drawn: Result<Vec<Vec<Image>>> = chunks
        .par_iter()
        .map(|&first| {
            let drawing = draw(first, TOGETHER.min(count - first));
            let drawn =
                without_denormals(|| model.draw(&drawing, |_, _| ())).with_context(|| name.to_string())?;
            bar.inc(drawn.len() as u64);
            Ok(drawn.iter().map(|v| model.decode(v)).collect())
        })
        .collect();
    bar.finish();
    Ok(output.write(&output::png(width, height, &sheet.draw(&drawn?.concat()))?)?)
}

/// The image of `variables` of which the steps up to `t` are filled.
fn partial(model: &ImageModel, variables: &Variables, t: usize) -> Image {
    let mut image = model.decode(variables);
    let mut is_filled = vec![false; model.grid().len()];
    (0..=t).for_each(|t| is_filled[model.order().site(t)] = true);
    for (site, levels) in image.levels.chunks_exact_mut(3).enumerate() {
        if !is_filled[model.variable_of(site)] {
            levels.copy_from_slice(&UNFILLED);
        }
    }
    image
}
