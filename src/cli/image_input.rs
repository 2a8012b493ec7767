//! Images and labels that a command reads.

use anyhow::{Result, ensure};
use std::path::Path;
use wavesynth::images::{ImageSet, read_labels};
use wavesynth::recordings::Notes;
use wavesynth_models::order::Grid;

/// The images of `input`, which are of size `grid`, and how many of them count: `most` at most. What of a folder is left out is said.
pub fn images(input: &Path, grid: Grid, most: Option<u64>) -> Result<(ImageSet, usize)> {
    let notes = Notes::default();
    let images = ImageSet::read(input, &notes)?;
    notes.say();
    let found = images.grid;
    ensure!(
        found == grid,
        "{}: {} by {} pixels, the model wants {} by {}",
        input.display(),
        found.width,
        found.height,
        grid.width,
        grid.height
    );
    let count = images.len().min(most.map_or(usize::MAX, |n| n as usize));
    Ok((images, count))
}

/// The class labels at `path`, one for each of the `images` of `input`; `option` names them.
pub fn labels(option: &str, path: &Path, input: &Path, images: &ImageSet) -> Result<Vec<u8>> {
    let labels = read_labels(path)?;
    let (n, m) = (labels.len(), images.len());
    ensure!(n == m, "{option}: {n} labels, {} has {m} images", input.display());
    Ok(labels)
}
