//! The images of a run file, and the order in which a run draws them.

use super::config::{Images, PixelKind};
use super::palette;
use crate::images::{ImageSection, ImageSet, Pixels, Variables, entropy, read_labels};
use crate::ranks::Ranks;
use crate::recordings::Notes;
use crate::train::config::check::range;
use crate::train::recording::short_hex;
use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Mutex;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::order::Grid;

/// Images and, where they have some, their labels.
pub struct Labelled {
    /// The images.
    pub images: ImageSet,
    /// A label each.
    pub labels: Option<Vec<u8>>,
}

impl Labelled {
    fn read(images: &Path, labels: Option<&Path>, key: &str, notes: &Notes) -> Result<Self> {
        let images = ImageSet::read(images, notes).with_context(|| format!("images.{key}"))?;
        let labels = labels.map(read_labels).transpose()?;
        if let Some(labels) = &labels {
            let (n, m) = (labels.len(), images.len());
            ensure!(n == m, "images.{key}: {m} images, their labels are {n}");
        }
        Ok(Self { images, labels })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.images.len()
    }

    /// Takes all from the one numbered `at` on away.
    fn split_off(&mut self, at: usize) -> Self {
        let labels = self.labels.as_mut().map(|l| l.split_off(at));
        Self { images: self.images.split_off(at), labels }
    }

    /// Keeps at most `count`, spread evenly: files are often sorted by their labels.
    fn thin(&mut self, count: usize) {
        let n = self.len();
        if count >= n {
            return;
        }
        let kept: Vec<usize> = (0..count).map(|i| i * n / count).collect();
        self.images = self.images.of_numbers(&kept);
        self.labels = self.labels.take().map(|l| kept.iter().map(|&i| l[i]).collect());
    }

    /// The label of image `i`.
    pub fn class(&self, i: usize) -> Option<usize> {
        self.labels.as_ref().map(|l| usize::from(l[i]))
    }
}

/// The images of a run file, all of one size.
pub struct ImageData {
    /// Those that are trained on.
    pub training: Labelled,
    /// Of those that are held out as many as an evaluation reads.
    pub held_out: Labelled,
    /// What a pixel of them is.
    pub pixels: Pixels,
    /// A digest of all of them.
    digest: Sha256,
}

impl ImageData {
    /// Reads the files that `keys` name; each of `ranks` reads all of them. `known` is what a pixel is, where that is decided already;
    /// a palette is made from `seed`.
    ///
    /// # Errors
    /// A file that can't be read or is not the same on all ranks, images of different sizes.
    pub fn open(keys: &Images, known: Option<Pixels>, seed: u64, ranks: &Ranks) -> Result<Self> {
        let notes = Notes::default();
        let mut training = Labelled::read(&keys.file, keys.labels.as_deref(), "file", &notes)?;
        let mut held_out = match &keys.validation {
            Some(path) => Labelled::read(path, keys.validation_labels.as_deref(), "validation", &notes)?,
            None => {
                let held = (training.len() as f64 * keys.held_out) as usize;
                training.split_off(training.len() - held)
            }
        };
        let (grid, other) = (training.images.grid, held_out.images.grid);
        ensure!(
            grid == other,
            "images.validation: {} by {} pixels, images.file has {} by {}",
            other.width,
            other.height,
            grid.width,
            grid.height
        );
        range("images in images.file, for training,", training.len() as f64, 1.0, 1e9)?;
        let pixels = match (keys.pixels, known) {
            (_, Some(known)) => known,
            (PixelKind::Binary, None) => Pixels::Binary,
            (PixelKind::Grey, None) => Pixels::Grey,
            (PixelKind::Rgb, None) => Pixels::Rgb,
            (PixelKind::Continuous, None) => Pixels::Continuous { channels: training.images.channels },
            (PixelKind::Palette, None) => Pixels::Palette {
                colours: palette::of(&training.images, keys.colours, seed)
                    .with_context(|| format!("images.colours = {}", keys.colours))?,
            },
        };
        let mut digest = Sha256::new();
        for part in [&training, &held_out] {
            digest.update((part.len() as u64).to_le_bytes());
            (0..part.len()).for_each(|i| digest.update(part.images.levels_of(i)));
            digest.update(part.labels.as_deref().unwrap_or_default());
        }
        digest.update(serde_json::to_vec(&pixels)?);
        held_out.thin(keys.eval_images);
        let data = Self { training, held_out, pixels, digest };
        ranks.same(data.id(&[]).as_bytes(), "images")?;
        if ranks.is_first() {
            notes.say();
        }
        Ok(data)
    }

    /// Rows and columns of an image.
    pub fn grid(&self) -> Grid {
        self.training.images.grid
    }

    /// What a checkpoint says of them.
    pub fn section(&self) -> ImageSection {
        let Grid { height, width } = self.grid();
        ImageSection { height, width, pixels: self.pixels.clone() }
    }

    /// Names the images, with `beside` them.
    pub fn id(&self, beside: &[u8]) -> String {
        short_hex(&self.digest.clone().chain_update(beside).finalize())
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.training.images.bytes() + self.held_out.images.bytes()
    }

    /// The images in a line; `labels` of them.
    pub fn describe(&self, file: &Path, labels: usize) -> String {
        let grid = self.grid();
        format!(
            "corpus: {}, {} images of {} by {} pixels to train on, {} held out, {}",
            file.display(),
            self.training.len(),
            grid.width,
            grid.height,
            self.held_out.len(),
            match labels {
                0 => "without labels".into(),
                n => format!("{n} labels"),
            }
        )
    }

    /// Nats of a pixel by the frequencies of its values alone, all pixels and channels alike.
    pub fn frequency_nats(&self) -> f64 {
        let (images, pixels) = (&self.training.images, &self.pixels);
        let mut counts = vec![0u64; 256.max(pixels.classes())];
        for i in 0..images.len() {
            match pixels.encode(&images.get(i)) {
                Variables::Symbols(x) => x.iter().for_each(|&x| counts[usize::from(x)] += 1),
                Variables::Vectors { .. } => {
                    images.levels_of(i).iter().for_each(|&k| counts[usize::from(k)] += 1);
                }
            }
        }
        entropy(&counts) * pixels.dims() as f64 - pixels.log_levels()
    }
}

/// The images of one epoch after another, each epoch all of them in an order of its own.
pub struct Epochs {
    seed: u64,
    len: u64,
    /// The epoch that was asked for last, and its order.
    last: Mutex<(u64, Vec<u32>)>,
}

impl Epochs {
    /// Epochs of `len` images.
    pub fn new(seed: u64, len: usize) -> Self {
        Self { seed, len: len as u64, last: Mutex::new((u64::MAX, Vec::new())) }
    }

    /// The image of draw `number`.
    pub fn image(&self, number: u64) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_out_is_thinned_evenly() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, shape: &[u32], values: std::ops::Range<u8>| {
            let mut bytes = vec![0, 0, 8, shape.len() as u8];
            shape.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
            bytes.extend(values);
            std::fs::write(folder.path().join(name), bytes).unwrap();
            folder.path().join(name)
        };
        let (images, labels) = (write("i", &[10, 1, 1], 0..10), write("l", &[10], 0..10));
        for (count, kept) in
            [(5, vec![0, 2, 4, 6, 8]), (3, vec![0, 3, 6]), (10, (0..10).collect()), (99, (0..10).collect())]
        {
            let mut part = Labelled::read(&images, Some(&labels), "file", &Notes::default()).unwrap();
            part.thin(count);
            let levels: Vec<u8> = (0..part.len()).map(|i| part.images.levels_of(i)[0]).collect();
            assert_eq!((&levels, part.labels.as_ref().unwrap()), (&kept, &kept));
        }
    }

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
