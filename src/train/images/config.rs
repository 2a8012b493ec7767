//! The run file of an image model.

use crate::images::Pixels;
use crate::train::config::check::{parse_toml, range, read_text, without_keys};
use crate::train::config::{OF_RECORDINGS, Train};
use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use wavesynth_models::config::ConfigError;
use wavesynth_models::family::{FamilyConfig, Given, GivenImage, ModelKeys};
use wavesynth_models::likelihood::MAX_COMPONENTS;
use wavesynth_models::objective::Learning;
use wavesynth_models::order::{Grid, Order, Scan, Sites};

/// A run file as it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRun {
    /// What is read.
    pub images: Images,
    /// Family and sizes of the network.
    pub model: ModelKeys,
    /// How it learns.
    #[serde(default)]
    pub train: Train,
}

/// Section `[images]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Images {
    /// Images of one size: an idx file of bytes (gzipped or not), or a folder of PNG.
    pub file: PathBuf,
    /// Their class labels, an idx file of bytes; the model then draws images of a class.
    pub labels: Option<PathBuf>,
    /// Images that are held out; a fraction of `file` when left out.
    pub validation: Option<PathBuf>,
    /// The class labels of `validation`.
    pub validation_labels: Option<PathBuf>,
    /// Fraction of the images, at the end of `file`, that is held out where there is no `validation`; 0 holds nothing out.
    #[serde(default = "tenth")]
    pub held_out: f64,
    /// Images that an evaluation reads at most, spread evenly over those that are held out.
    #[serde(default = "thousand")]
    pub eval_images: usize,
    /// A VQ-VAE of such images: the model is then of their codes.
    pub codes: Option<PathBuf>,
    /// What a pixel is: `binary`, `grey`, `rgb`, `palette` or `continuous`.
    pub pixels: PixelKind,
    /// Colours of the palette.
    #[serde(default = "colours")]
    pub colours: usize,
    /// Components of the mixture: of logistics for `rgb` and `grey`, of Gaussians for `continuous`. 0 is a softmax over the 256
    /// levels for `grey`, and one component for the others.
    #[serde(default)]
    pub components: usize,
    /// Which pixel each step fills: `raster`, `column`, `reverse`, `serpentine`, `spiral` or `random`.
    #[serde(default)]
    pub order: Scan,
    /// Which random order.
    #[serde(default)]
    pub order_seed: u64,
    /// A text file with the number of the pixel, y · width + x, that each step fills, one after another; in place of `order`.
    pub order_file: Option<PathBuf>,
}

/// The key `images.pixels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelKind {
    /// Black and white.
    Binary,
    /// 256 levels of grey.
    Grey,
    /// 256 levels each of red, green and blue.
    Rgb,
    /// The colours that represent the training images best.
    Palette,
    /// Numbers, as many as the images have channels.
    Continuous,
}

impl PixelKind {
    /// Whether `pixels` are of this kind.
    pub fn is(self, pixels: &Pixels) -> bool {
        match pixels {
            Pixels::Binary => self == Self::Binary,
            Pixels::Grey => self == Self::Grey,
            Pixels::Rgb => self == Self::Rgb,
            Pixels::Palette { .. } => self == Self::Palette,
            Pixels::Continuous { .. } => self == Self::Continuous,
        }
    }
}

fn tenth() -> f64 {
    0.1
}
fn thousand() -> usize {
    1000
}
fn colours() -> usize {
    512
}

/// Keys of `[train]` that mean something where a window is a part of a sequence.
const OF_SEQUENCES: [&str; 4] = ["window", "max_warmup", "scheduled_sampling", "curriculum"];

/// Characters of the longest file of an order.
const MOST_ORDER: u64 = 1 << 24;

impl ImageRun {
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
        ensure!(
            i.codes.is_none() || i.components == 0,
            "images.components is for pixels; codes have a softmax: leave it out"
        );
        i.validate(table)?;
        range("model.dropout", self.model.dropout(), 0.0, 0.9)?;
        ensure!(
            i.order_file.is_none() || i.order == Scan::default(),
            "images.order and images.order_file: wanted one of them"
        );
        // The images are not read yet; a small one stands for them.
        let grid = Grid { height: 4, width: 4 };
        let (pixels, labels) = (i.some_pixels(), usize::from(i.labels.is_some()) * 2);
        let order = i.order.order(grid, i.order_seed);
        let codes = i.codes.as_ref().map(|_| 2);
        match self.config(&pixels, codes, GivenImage { grid, order, labels }) {
            Ok(network) => ensure!(
                network.learning() != Learning::Counting,
                "model.family is {}: it is counted, images are learned by steps",
                network.family()
            ),
            // The number of positions, which the images' size decides.
            Err(e) if e.field == "context" => {}
            Err(e) => return Err(self.named(e)),
        }
        self.train.validate()
    }

    fn config(
        &self,
        pixels: &Pixels,
        codes: Option<usize>,
        image: GivenImage,
    ) -> Result<FamilyConfig, ConfigError> {
        self.model.config(&Given {
            classes: codes.unwrap_or(pixels.classes()),
            start: 0,
            likelihood: if codes.is_some() { None } else { pixels.likelihood(self.images.components) },
            window: image.grid.len(),
            condition: None,
            image: Some(image),
        })
    }

    /// A family's error by the key of the run file that it is about.
    fn named(&self, e: ConfigError) -> anyhow::Error {
        let i = &self.images;
        match (e.field, &i.order_file) {
            ("labels", _) => {
                anyhow!("images.labels, for the family {}: wanted {}", self.model.family(), e.want)
            }
            ("order", Some(path)) => anyhow!("images.order_file {}: wanted {}", path.display(), e.want),
            ("order", None) => anyhow!("images.order is {:?}, wanted {}", i.order.name(), e.want),
            (field, _) => anyhow!("model.{field} is {}, wanted {}", e.found, e.want),
        }
    }

    /// The network for such pixels and images, or for so many codes of them.
    ///
    /// # Errors
    /// A size out of range, or a family that is not for them.
    pub fn network(&self, pixels: &Pixels, codes: Option<usize>, image: GivenImage) -> Result<FamilyConfig> {
        self.config(pixels, codes, image).map_err(|e| self.named(e))
    }
}

impl Images {
    /// Checks what needs no network.
    ///
    /// # Errors
    /// A value out of range, keys that belong together, or keys of `table`, the run file, that mean nothing for such images.
    pub fn validate(&self, table: &toml::Table) -> Result<()> {
        let i = self;
        without_keys(table, "train", &OF_RECORDINGS, "recordings; images have none of it")?;
        without_keys(table, "train", &OF_SEQUENCES, "recordings and text; an image is read whole")?;
        if i.pixels != PixelKind::Palette {
            without_keys(table, "images", &["colours"], "images.pixels = \"palette\"; leave it out")?;
        }
        if i.order != Scan::Random {
            without_keys(table, "images", &["order_seed"], "images.order = \"random\"; leave it out")?;
        }
        ensure!(
            i.components == 0 || !matches!(i.pixels, PixelKind::Binary | PixelKind::Palette),
            "images.components is a key for pixels that are grey, rgb or continuous; leave it out"
        );
        range("images.held_out", i.held_out, 0.0, 0.5)?;
        range("images.eval_images", i.eval_images as f64, 1.0, 1e9)?;
        range("images.colours", i.colours as f64, 2.0, 65536.0)?;
        range("images.components", i.components as f64, 0.0, MAX_COMPONENTS as f64)?;
        ensure!(
            i.validation.is_some() || i.validation_labels.is_none(),
            "images.validation_labels: wanted images.validation, whose labels they are"
        );
        ensure!(
            i.validation.is_none() || i.labels.is_some() == i.validation_labels.is_some(),
            "images.labels and images.validation_labels: wanted both or neither"
        );
        Ok(())
    }

    /// Checks that `pixels`, those of a model that the run file names, are what it says.
    ///
    /// # Errors
    /// They are of another kind.
    pub fn check_pixels(&self, pixels: &Pixels) -> Result<()> {
        let found = pixels.describe();
        ensure!(self.pixels.is(pixels), "its pixels are {found}, which is not images.pixels");
        Ok(())
    }

    /// Pixels as they may be, before the images are read.
    pub fn some_pixels(&self) -> Pixels {
        match self.pixels {
            PixelKind::Binary => Pixels::Binary,
            PixelKind::Grey => Pixels::Grey,
            PixelKind::Rgb => Pixels::Rgb,
            PixelKind::Palette => Pixels::Palette { colours: vec![[0; 3]; self.colours] },
            PixelKind::Continuous => Pixels::Continuous { channels: 1 },
        }
    }

    /// The order over `grid`.
    ///
    /// # Errors
    /// A file that can't be read or holds no order of these pixels.
    pub fn order(&self, grid: Grid) -> Result<Order> {
        let Some(path) = &self.order_file else { return Ok(self.order.order(grid, self.order_seed)) };
        let name = || format!("images.order_file {}", path.display());
        let text = read_text(path)?;
        ensure!(text.len() as u64 <= MOST_ORDER, "{}: too long", name());
        let numbers = text.split(|c: char| c.is_whitespace() || c == ',').filter(|n| !n.is_empty());
        let sites: Vec<u32> = numbers
            .map(|n| n.parse().map_err(|_| anyhow!("{}: `{n}` is no number of a pixel", name())))
            .collect::<Result<_>>()?;
        ensure!(
            sites.len() == grid.len(),
            "{}: {} pixels, the images have {}",
            name(),
            sites.len(),
            grid.len()
        );
        let order = Order::Sites(Sites { sites, groups: Vec::new() });
        order.validate().with_context(name)?;
        Ok(order)
    }
}
