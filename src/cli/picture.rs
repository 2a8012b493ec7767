//! Sheets of small images as one picture, still or growing.

use anyhow::{Context, Result};
use std::io::Write;
use wavesynth::images::Image;
use wavesynth_models::memory::{self, MemoryError};
use wavesynth_models::order::Grid;

/// Pixels between two images, and around all.
const GAP: usize = 2;
/// The colour between them.
const PAPER: [u8; 3] = [255; 3];
/// The colour of a pixel that has no value yet.
pub const UNFILLED: [u8; 3] = [96, 120, 160];

/// Images of one size in rows and columns.
#[derive(Debug, Clone, Copy)]
pub struct Sheet {
    /// Size of an image.
    grid: Grid,
    columns: usize,
    rows: usize,
    /// Pixels of the picture for a pixel of an image, each way.
    scale: usize,
}

impl Sheet {
    /// A sheet of `count` images of `grid`, in `columns` columns; about as many columns as rows where none are given.
    pub fn new(count: usize, columns: Option<usize>, grid: Grid, scale: usize) -> Self {
        let square = (1..).find(|c| c * c >= count).unwrap_or(1);
        let columns = columns.unwrap_or(square).clamp(1, count.max(1));
        Self { grid, columns, rows: count.div_ceil(columns), scale }
    }

    /// Width and height of the picture.
    pub fn size(self) -> (usize, usize) {
        let side = |count: usize, pixels: usize| count * (pixels * self.scale + GAP) + GAP;
        (side(self.columns, self.grid.width), side(self.rows, self.grid.height))
    }

    /// Checks that the picture of so many images, as pixels and as a file, is within the memory that is allowed, with the images
    /// themselves.
    ///
    /// # Errors
    /// It is not.
    pub fn check_room(self, images: usize) -> Result<(), MemoryError> {
        let (width, height) = self.size();
        let bytes = |pixels: usize, times: usize| 3 * pixels as u64 * times as u64;
        let all = bytes(width.saturating_mul(height), 2).saturating_add(bytes(self.grid.len(), images));
        memory::check(format!("a picture of {width} by {height} pixels"), all)
    }

    /// The picture of `images` [height, width, 3].
    pub fn draw(self, images: &[Image]) -> Vec<u8> {
        let (width, height) = self.size();
        let mut picture = PAPER.repeat(width * height);
        for (i, image) in images.iter().enumerate() {
            let (row, column) = (i / self.columns, i % self.columns);
            let top = GAP + row * (self.grid.height * self.scale + GAP);
            let left = GAP + column * (self.grid.width * self.scale + GAP);
            for (p, colour) in image.to_rgb().into_iter().enumerate() {
                let (y, x) = self.grid.place(p);
                for dy in 0..self.scale {
                    let at = 3 * ((top + y * self.scale + dy) * width + left + x * self.scale);
                    picture[at..at + 3 * self.scale].copy_from_slice(&colour.repeat(self.scale));
                }
            }
        }
        picture
    }
}

/// An animated PNG of pictures of one size that are shown one after another, the last one for a second and a half.
pub struct Animation<W: Write> {
    writer: png::Writer<W>,
    left: usize,
}

impl<W: Write> Animation<W> {
    /// An animation of `frames` pictures of this size, shown `seconds` in all.
    ///
    /// # Errors
    /// A size or number that the format does not have, or what the writer says.
    pub fn new(to: W, (width, height): (usize, usize), frames: usize, seconds: f64) -> Result<Self> {
        let mut encoder = png::Encoder::new(to, u32::try_from(width)?, u32::try_from(height)?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_animated(u32::try_from(frames)?, 0)?;
        let delay = (1000.0 * seconds / frames.max(1) as f64).clamp(10.0, 60_000.0);
        encoder.set_frame_delay(delay as u16, 1000)?;
        Ok(Self { writer: encoder.write_header()?, left: frames })
    }

    /// Adds a picture [height, width, 3].
    ///
    /// # Errors
    /// More pictures than there are frames, or what the writer says.
    pub fn push(&mut self, picture: &[u8]) -> Result<()> {
        self.left = self.left.checked_sub(1).context("more pictures than frames")?;
        if self.left == 0 {
            self.writer.set_frame_delay(1500, 1000)?;
        }
        Ok(self.writer.write_image_data(picture)?)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Fewer pictures than frames, or what the writer says.
    pub fn finish(self) -> Result<()> {
        Ok(self.writer.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_stand_where_they_belong() {
        let grid = Grid { height: 1, width: 2 };
        let sheet = Sheet::new(3, None, grid, 2);
        assert_eq!(sheet.size(), (14, 10));
        let image = |k: u8| Image { grid, channels: 1, levels: vec![k, k + 1] };
        let picture = sheet.draw(&[image(10), image(20), image(30)]);
        let at = |y: usize, x: usize| picture[3 * (y * 14 + x)];
        assert_eq!((at(0, 0), at(2, 2), at(3, 5), at(2, 6)), (255, 10, 11, 255));
        assert_eq!((at(2, 8), at(6, 2), at(7, 4), at(6, 8)), (20, 30, 31, 255));
        assert!(sheet.check_room(3).is_ok());
        // 14 GB as pixels, and as many as a file.
        let large = Sheet::new(2500, None, Grid { height: 22, width: 22 }, 62);
        let message = large.check_room(2500).unwrap_err().to_string();
        assert!(
            message.starts_with("a picture of 68302 by 68302 pixels would take 28.0 GB of memory"),
            "{message}"
        );
    }

    #[test]
    fn an_animation_has_its_frames() {
        let mut bytes = Vec::new();
        let mut animation = Animation::new(&mut bytes, (1, 1), 2, 0.5).unwrap();
        animation.push(&[1, 2, 3]).unwrap();
        animation.push(&[4, 5, 6]).unwrap();
        animation.finish().unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        assert_eq!(reader.info().animation_control().map(|a| a.num_frames), Some(2));
        let mut frame = [0; 3];
        reader.next_frame(&mut frame).unwrap();
        assert_eq!(frame, [1, 2, 3]);
        reader.next_frame(&mut frame).unwrap();
        assert_eq!(frame, [4, 5, 6]);
    }
}
