//! What a run of images has in common with the checkpoint that its weights begin as.

use super::config::{Images, PixelKind};
use crate::images::{ImageSection, Pixels, is_image};
use crate::lookup;
use crate::train::config::Train;
use crate::train::folder::RunFolder;
use anyhow::{Context, Result, ensure};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::order::{Grid, Order, Scan};
use wavesynth_models::vq_vae;
use wavesynth_models::weights::Header;

/// Checks, before the images are read, that the model under `header` is of such variables as `keys` ask for. Weights that say nothing of
/// their use are those of any.
///
/// # Errors
/// A model of other pixels, of another number of colours, or of codes where pixels are wanted.
pub fn check(header: &Header, keys: &Images) -> Result<()> {
    if !is_image(header) {
        return Ok(());
    }
    let pixels = ImageSection::from_header(header)?.pixels;
    keys.check_pixels(&pixels)?;
    let is_of_codes = header.sections.contains_key(vq_vae::NAME);
    ensure!(
        is_of_codes == keys.codes.is_some(),
        "it is a model of {}",
        if is_of_codes { "codes, wanted images.codes" } else { "pixels; leave images.codes out" }
    );
    match &pixels {
        Pixels::Palette { colours } if !is_of_codes => {
            let n = colours.len();
            ensure!(n == keys.colours, "its palette has {n} colours, images.colours is {}", keys.colours);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The palette that weights which are not drawn anew know: of the run's own checkpoint, called `file`, where the run in `folder` goes on,
/// else of `train.start_from`. `None` where there is none.
///
/// # Errors
/// A checkpoint that can't be read.
pub fn palette(keys: &Images, train: &Train, folder: &RunFolder, file: &str) -> Result<Option<Pixels>> {
    if keys.pixels != PixelKind::Palette {
        return Ok(None);
    }
    let own = folder.path().join(file);
    let (path, name) = match &train.start_from {
        _ if folder.is_begun() && own.is_file() => (&own, "the run's checkpoint"),
        Some(path) => (path, "train.start_from"),
        None => return Ok(None),
    };
    let (checkpoint, _) = lookup::checkpoint(path).context(name)?;
    if !is_image(&checkpoint.header) {
        return Ok(None);
    }
    let pixels = ImageSection::from_header(&checkpoint.header).context(name)?.pixels;
    Ok(Some(pixels).filter(|pixels| keys.pixels.is(pixels)))
}

/// Checks that the model under `header` fills its variables in `order`, that of a run over `grid`: the same, or for images of another
/// size the one of that name.
///
/// # Errors
/// It has another.
pub fn check_order(header: &Header, grid: Grid, order: &Order) -> Result<()> {
    let theirs = FamilyConfig::from_header(header)?.facts().order.clone();
    if theirs == *order || theirs.is_time() {
        return Ok(());
    }
    let of_pixels = || ImageSection::from_header(header).map_or(grid, |section| section.grid());
    let coder = vq_vae::Config::from_header(header).ok().flatten();
    let found = Scan::of(&theirs, coder.map_or_else(of_pixels, |c| c.code_grid()));
    let wanted = Scan::of(order, grid);
    let name = |scan: Option<Scan>| scan.map_or("one of its own", Scan::name);
    ensure!(
        found.is_some() && found == wanted,
        "its order is {}, that of the run is {}; set images.order or images.order_file to its",
        name(found),
        name(wanted)
    );
    Ok(())
}
