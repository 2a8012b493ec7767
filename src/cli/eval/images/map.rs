//! A picture of images, and under each how much its pixels or codes surprise.

use crate::cli::output;
use crate::cli::picture::Sheet;
use anyhow::Result;
use wavesynth::images::{Image, ImageModel};
use wavesynth_models::order::Grid;

/// Pixels of a map for a pixel of an image, each way.
const SCALE: usize = 4;
/// Most images on it.
pub const MOST: usize = 1024;

/// The nats of an image's variables as the colours of its pixels, dark for none.
pub fn heat(nats: &[f32], model: &ImageModel) -> Image {
    let most = nats.iter().copied().fold(1e-6, f32::max);
    let colour = |site: usize| {
        let n = nats[model.variable_of(site)];
        let c = colorous::INFERNO.eval_continuous(f64::from((n / most).clamp(0.0, 1.0)));
        [c.r, c.g, c.b]
    };
    let grid = model.image_grid();
    Image { grid, channels: 3, levels: (0..grid.len()).flat_map(colour).collect() }
}

/// The sheet of `count` images of size `grid`, each with another one under it, and its columns.
fn sheet(count: usize, grid: Grid) -> (Sheet, usize) {
    let columns = (1..).find(|c| c * c >= count).unwrap_or(1);
    (Sheet::new(2 * columns * count.div_ceil(columns), Some(columns), grid, SCALE), columns)
}

/// Checks that a map of `count` images of size `grid` is within the memory that is allowed.
pub fn check(count: usize, grid: Grid) -> Result<()> {
    let count = count.min(MOST);
    Ok(sheet(count, grid).0.check_room(4 * count)?)
}

/// Images of size `grid`, and under each what follows it; the first ones of many.
pub fn picture(mut pairs: Vec<Image>, grid: Grid) -> Result<Vec<u8>> {
    pairs.truncate(2 * MOST);
    let (sheet, columns) = sheet(pairs.len() / 2, grid);
    let mut rows = Vec::with_capacity(pairs.len() + columns);
    for row in pairs.chunks(2 * columns) {
        let n = row.len() / 2;
        rows.extend(row.iter().step_by(2).cloned());
        // A last row that is not full is filled up with black.
        let blank = || Image { grid, channels: 1, levels: vec![0; grid.len()] };
        rows.extend((n..columns).map(|_| blank()));
        rows.extend(row.iter().skip(1).step_by(2).cloned());
        rows.extend((n..columns).map(|_| blank()));
    }
    let (width, height) = sheet.size();
    output::png(width, height, &sheet.draw(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_maps_are_refused() {
        assert!(check(3, Grid { height: 6, width: 6 }).is_ok());
        let message = check(1 << 20, Grid { height: 512, width: 512 }).unwrap_err().to_string();
        assert!(message.starts_with("a picture of 65602 by 131202 pixels would take"), "{message}");
    }
}
