//! The picture that `copy` draws.

use crate::cli::output;
use anyhow::Result;
use wavesynth::quality::{DB_PER_NAT, RANGE_DB};
use wavesynth_audio::features::spectrum::log_mel;

/// Pixels of a picture for each frame and each mel band.
const ZOOM: usize = 2;

/// Mel bands of a picture.
const PICTURE_BANDS: usize = 100;

/// A PNG of mel spectrograms at 16 kHz, one above the other in the order given: time to the right, 50 to 7600 Hz
/// upwards on the mel scale, one colour scale of [`RANGE_DB`] for all.
///
/// # Errors
/// A picture too large for a PNG.
pub fn spectrograms(signals: &[&[f32]]) -> Result<Vec<u8>> {
    const GAP: usize = 8;
    let spectrograms: Vec<Vec<f32>> = signals.iter().map(|x| log_mel(x, PICTURE_BANDS)).collect();
    let frames = spectrograms.iter().map(|s| s.len() / PICTURE_BANDS).max().unwrap_or(0).max(1);
    let loudest = spectrograms.iter().flatten().copied().fold(f32::NEG_INFINITY, f32::max);
    let (width, panel) = (frames * ZOOM, PICTURE_BANDS * ZOOM);
    let height = signals.len() * (panel + GAP) - GAP.min(signals.len() * GAP);
    let mut pixels = vec![255u8; 3 * width * height];
    for (i, spectrogram) in spectrograms.iter().enumerate() {
        for y in 0..panel {
            let band = (panel - 1 - y) / ZOOM;
            for x in 0..width {
                let level = spectrogram.get(x / ZOOM * PICTURE_BANDS + band);
                let below = level.map_or(RANGE_DB, |l| (loudest - l) * DB_PER_NAT);
                let c = colorous::MAGMA.eval_continuous(f64::from((1.0 - below / RANGE_DB).clamp(0.0, 1.0)));
                let at = 3 * ((i * (panel + GAP) + y) * width + x);
                pixels[at..at + 3].copy_from_slice(&[c.r, c.g, c.b]);
            }
        }
    }
    output::png(width, height, &pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_a_png_of_both() {
        let x: Vec<f32> = (0..16_000).map(|i| (i as f32 * 0.1).sin()).collect();
        let bytes = spectrograms(&[&x, &x[..8000]]).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (200, 408));
    }
}
