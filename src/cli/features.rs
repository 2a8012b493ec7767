//! `wavesynth features`: what the layers of an image model hand on while it reads images, and a linear probe of it.

use super::args::{self, ModelArgs};
use super::npy::{self, NPY};
use super::output::{ForceArg, RULE};
use super::{image_input, usage};
use anyhow::{Context, Result, bail};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use wavesynth::images::{ImageModel, ImageSet, Scored};
use wavesynth::progress::Progress;
use wavesynth::synth::without_denormals;
use wavesynth_models::ar::{HiddenShape, NotFinite};
use wavesynth_output::Output;

/// What the layers of an image model hand on while it reads images, the mean over the pixels; and how well a linear classifier tells
/// classes by it, layer by layer
#[derive(Debug, clap::Args)]
#[command(mut_arg("model", |a| args::instead(a, " [default: voice]", "")))]
#[command(after_long_help = RULE)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Images: a PNG, a folder of PNG, or an idx file
    #[arg(value_name = "IMAGES")]
    images: PathBuf,
    /// The features as an array of 32-bit floats [images, layers, width]; layer 0 is what enters
    #[arg(short, long, value_name = "OUT.npy")]
    output: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArg,
    /// Read only so many images of each file, the first ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    most: Option<u64>,
    #[cfg(feature = "train")]
    #[command(flatten)]
    probe: ProbeArgs,
}

/// A linear probe.
#[cfg(feature = "train")]
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Linear probe")]
struct ProbeArgs {
    /// Class labels of the images, an idx file of bytes: a linear classifier learns them from the features of each layer
    #[arg(long, value_name = "LABELS", requires = "test", requires = "test_labels")]
    labels: Option<PathBuf>,
    /// Images by which the classifiers are judged
    #[arg(long, value_name = "IMAGES", requires = "labels")]
    test: Option<PathBuf>,
    /// Their class labels
    #[arg(long, value_name = "LABELS", requires = "labels")]
    test_labels: Option<PathBuf>,
    /// Print the result as one JSON object on stdout
    #[arg(long, requires = "labels")]
    json: bool,
}

/// Images that are read whole before the features of any are computed.
struct Images<'a> {
    input: &'a Path,
    all: ImageSet,
    /// How many count.
    count: usize,
    /// The class label of each, where labels were asked for.
    #[cfg(feature = "train")]
    labels: Vec<u8>,
}

impl<'a> Images<'a> {
    /// Those of `input`; `labels` are the option and the file that name its classes.
    fn read(
        model: &ImageModel,
        input: &'a Path,
        labels: Option<(&str, &Path)>,
        most: Option<u64>,
    ) -> Result<Self> {
        let (all, count) = image_input::images(input, model.image_grid(), most)?;
        let labels = labels.map(|(option, path)| image_input::labels(option, path, input, &all));
        let mut labels = labels.transpose()?.unwrap_or_default();
        labels.truncate(count);
        Ok(Self {
            input,
            all,
            count,
            #[cfg(feature = "train")]
            labels,
        })
    }
}

/// Features of several images.
struct Features {
    shape: HiddenShape,
    /// Of each image [layers, width].
    rows: Vec<Vec<f32>>,
}

impl Features {
    fn of(model: &ImageModel, shape: HiddenShape, images: &Images) -> Result<Self> {
        let count = images.count;
        let bar = Progress::new(count as u64, "{wide_bar} {pos}/{len} images");
        let each = |i: usize| {
            let variables = model.encode(&images.all.get(i));
            let features = without_denormals(|| model.features(&Scored::new(&variables, None)));
            bar.inc(1);
            features.unwrap_or_default()
        };
        let rows: Vec<Vec<f32>> = (0..count).into_par_iter().map(each).collect();
        bar.finish();
        if let Some(i) = rows.iter().position(|row| !row.iter().all(|x| x.is_finite())) {
            bail!("{}: image {i}: {NotFinite}", images.input.display());
        }
        Ok(Self { shape, rows })
    }

    fn write(&self, output: Output) -> Result<()> {
        let shape = [self.rows.len() as u64, self.shape.layers as u64, self.shape.width as u64];
        npy::write::<f32>(output, &shape, |push| {
            Ok(self.rows.iter().flatten().copied().try_for_each(push)?)
        })
    }

    /// Those of one layer, row by row.
    #[cfg(feature = "train")]
    fn layer(&self, layer: usize) -> Vec<f32> {
        let width = self.shape.width;
        self.rows.iter().flat_map(|row| &row[layer * width..][..width]).copied().collect()
    }
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let mut plan = args.force.plan();
    plan.reads(&args.images);
    args.model.file().into_iter().for_each(|file| plan.reads(file));
    #[cfg(feature = "train")]
    let has_probe = {
        let probe = &args.probe;
        [&probe.labels, &probe.test, &probe.test_labels]
            .into_iter()
            .flatten()
            .for_each(|file| plan.reads(file));
        probe.labels.is_some()
    };
    #[cfg(not(feature = "train"))]
    let has_probe = false;
    if has_probe {
        plan.prints("the table")?;
    }
    let output = args.output.as_ref().map(|path| plan.writes("--output", path, &NPY)).transpose()?;
    if output.is_none() && !has_probe {
        usage!(
            "wanted -o OUT.npy for the features, or --labels with --test and --test-labels for a linear probe"
        );
    }
    if args.model.file().is_none() {
        usage!("wanted an image model: -m MODEL");
    }
    let (model, path) = args.model.load()?;
    let model = ImageModel::from_loaded(model).with_context(|| path.display().to_string())?;
    let Some(shape) = model.hidden() else {
        usage!(
            "{}: features are those of a transformer; it is of the family {}",
            path.display(),
            model.model.config.family()
        );
    };
    model.model.check_room(rayon::current_num_threads())?;
    #[cfg(feature = "train")]
    let labels = args.probe.labels.as_deref().map(|path| ("--labels", path));
    #[cfg(not(feature = "train"))]
    let labels = None;
    let images = Images::read(&model, &args.images, labels, args.most)?;
    #[cfg(feature = "train")]
    let test = probe::images(&args, &model)?;
    let features = Features::of(&model, shape, &images)?;
    #[cfg(feature = "train")]
    let report = test.map(|test| {
        let judged = Features::of(&model, shape, &test)?;
        probe::report(&features, &images.labels, &judged, &test.labels)
    });
    #[cfg(feature = "train")]
    let report = report.transpose()?;
    if let Some(output) = output {
        features.write(output)?;
    }
    #[cfg(feature = "train")]
    if let Some(report) = report {
        report.print(args.probe.json)?;
    }
    Ok(())
}

#[cfg(feature = "train")]
mod probe {
    use super::{Args, Features, ImageModel, Images};
    use crate::cli::output;
    use anyhow::{Context, Result};
    use rayon::prelude::*;
    use serde::Serialize;
    use wavesynth::images::{Labelled, LinearProbe};

    /// How well the layers tell classes.
    #[derive(Serialize)]
    pub struct Report {
        images: usize,
        test_images: usize,
        /// By layer; layer 0 is what enters.
        accuracy: Vec<f64>,
    }

    /// The images by which classifiers are judged, where there are to be some.
    pub fn images<'a>(args: &'a Args, model: &ImageModel) -> Result<Option<Images<'a>>> {
        let (Some(test), Some(labels)) = (&args.probe.test, &args.probe.test_labels) else {
            return Ok(None);
        };
        Images::read(model, test, Some(("--test-labels", labels.as_path())), args.most).map(Some)
    }

    /// Fits a classifier to each layer of `features` and judges it by `judged`, each beside its labels.
    pub fn report(
        features: &Features,
        labels: &[u8],
        judged: &Features,
        judged_labels: &[u8],
    ) -> Result<Report> {
        let accuracy = |layer: usize| -> Result<f64> {
            let probe = LinearProbe::fit(&Labelled { rows: &features.layer(layer), labels })?;
            Ok(probe.accuracy(&Labelled { rows: &judged.layer(layer), labels: judged_labels })?)
        };
        let accuracy: Result<Vec<f64>> = (0..features.shape.layers).into_par_iter().map(accuracy).collect();
        Ok(Report {
            images: labels.len(),
            test_images: judged_labels.len(),
            accuracy: accuracy.context("the linear probe")?,
        })
    }

    impl Report {
        /// Prints it, as one JSON object or as a table.
        pub fn print(&self, as_json: bool) -> Result<()> {
            if as_json {
                return output::json(self);
            }
            let mut t = String::from("layer  right, %");
            for (layer, accuracy) in self.accuracy.iter().enumerate() {
                t += &format!("\n{layer:>5}  {:>8.2}", 100.0 * accuracy);
            }
            output::text(&t)
        }
    }
}
