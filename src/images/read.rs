//! Images from files: idx as MNIST has it, plain or gzipped, PNG, and folders of PNG.

use super::{Image, Known, MOST_PIXELS, Pixels};
use crate::recordings::{self, Notes};
use anyhow::{Context, Result, bail, ensure};
use flate2::read::MultiGzDecoder;
use std::io::{Cursor, Read};
use std::path::Path;
use wavesynth_models::order::Grid;
use wavesynth_models::{in_file, memory};

/// Bytes of the longest file that is read, and of what a gzipped one holds: 4 GiB, or what the program's memory may be.
fn most() -> u64 {
    memory::limit().min(1 << 32)
}

const PNG: &[u8] = b"\x89PNG";
const GZIP: &[u8] = b"\x1f\x8b";
/// Unsigned bytes, in the third byte of an idx file.
const IDX_BYTES: u8 = 8;

/// Images of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSet {
    /// Rows and columns of each.
    pub grid: Grid,
    /// 1 for grey, 3 for red, green and blue.
    pub channels: usize,
    /// Each [height, width, channels].
    levels: Vec<u8>,
}

impl ImageSet {
    /// Reads an idx file of unsigned bytes ([N, height, width], or [N, height, width, 3] with colours), which may be gzipped, a PNG,
    /// or all PNGs of a folder by name. A colour image makes all of a folder colour images; what is transparent is black. What begins
    /// with a dot in a folder is skipped: it is what systems leave behind. What else is left out is noted.
    ///
    /// # Errors
    /// A file that can't be read or is none of these, images of several sizes, or none at all.
    pub fn read(path: &Path, notes: &Notes) -> Result<Self> {
        let name = || path.display().to_string();
        if path.is_dir() {
            return Self::of_folder(path, notes);
        }
        let bytes = contents(path)?;
        match bytes.starts_with(PNG) {
            true => {
                let picture = Picture::decode(&bytes).with_context(name)?;
                Self::of_images(&[picture.image()])
            }
            false => Self::of_idx(bytes).with_context(name),
        }
    }

    fn of_idx(bytes: Vec<u8>) -> Result<Self> {
        let (shape, at) = idx(&bytes)?;
        let (n, height, width, channels) = match shape[..] {
            [n, height, width] => (n, height, width, 1),
            [n, height, width, 3] => (n, height, width, 3),
            _ => {
                bail!("{shape:?}, wanted [images, rows, columns], or [images, rows, columns, 3] with colours")
            }
        };
        ensure!(n > 0, "no image in it");
        let mut levels = bytes;
        levels.drain(..at);
        check(height, width)?;
        Ok(Self { grid: Grid { height, width }, channels, levels })
    }

    fn of_folder(path: &Path, notes: &Notes) -> Result<Self> {
        let name = || path.display().to_string();
        let (mut files, mut folders, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for entry in std::fs::read_dir(path).with_context(name)? {
            let entry = entry.with_context(name)?;
            let path = entry.path();
            if recordings::is_hidden(&entry.file_name()) {
                continue;
            }
            let is_png = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
            match (path.is_dir(), is_png && path.is_file()) {
                (true, _) => folders.push(path),
                (_, true) => files.push(path),
                _ => others.push(path),
            }
        }
        [&mut files, &mut folders, &mut others].into_iter().for_each(|paths| paths.sort());
        let left_out: Vec<String> = [
            (&others, "no PNG; convert images of other formats, as in `ffmpeg -i IN OUT.png`"),
            (&folders, "folders; name one itself"),
        ]
        .into_iter()
        .filter_map(|(paths, why)| recordings::left_out(path, paths, why))
        .collect();
        ensure!(
            !files.is_empty(),
            "{}: no PNG in this folder{}",
            name(),
            left_out.iter().map(|line| format!("; {line}")).collect::<String>()
        );
        left_out.into_iter().for_each(|line| notes.line(line));
        let mut images: Vec<Image> = Vec::with_capacity(files.len());
        for file in &files {
            let name = || file.display().to_string();
            let image = Picture::decode(&contents(file)?).with_context(name)?.image();
            if images.is_empty() {
                let all = files.len() as u64 * image.grid.len() as u64 * 3;
                memory::check(format!("{} images of {}", files.len(), path.display()), all)?;
            }
            if let Some(first) = images.first() {
                let (a, b) = (image.grid, first.grid);
                let at = files[0].display();
                ensure!(
                    a == b,
                    "{}: {} by {} pixels, {at} has {} by {}",
                    name(),
                    a.width,
                    a.height,
                    b.width,
                    b.height
                );
            }
            images.push(image);
        }
        Self::of_images(&images)
    }

    /// Images of one size. There must be one.
    fn of_images(images: &[Image]) -> Result<Self> {
        let channels = images.iter().map(|i| i.channels).max().unwrap_or(1);
        let levels = |i: &Image| if channels == 3 { i.to_rgb().concat() } else { i.levels.clone() };
        Ok(Self { grid: images[0].grid, channels, levels: images.iter().flat_map(levels).collect() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.levels.len() / (self.grid.len() * self.channels)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.levels.len()
    }

    /// Image `i`.
    ///
    /// # Panics
    /// When there is none.
    pub fn get(&self, i: usize) -> Image {
        let Self { grid, channels, .. } = *self;
        Image { grid, channels, levels: self.levels_of(i).to_vec() }
    }

    /// The levels of image `i` [height, width, channels].
    ///
    /// # Panics
    /// When there is none.
    pub fn levels_of(&self, i: usize) -> &[u8] {
        let n = self.grid.len() * self.channels;
        &self.levels[i * n..][..n]
    }

    /// The images of these numbers.
    ///
    /// # Panics
    /// When there is no such one.
    pub fn of_numbers(&self, numbers: &[usize]) -> Self {
        Self { levels: numbers.iter().flat_map(|&i| self.levels_of(i)).copied().collect(), ..*self }
    }

    /// Takes all from the one numbered `at` on away.
    pub fn split_off(&mut self, at: usize) -> Self {
        let levels = self.levels.split_off(at * self.grid.len() * self.channels);
        Self { levels, ..*self }
    }
}

/// The labels of an idx file of unsigned bytes `[N]`.
///
/// # Errors
/// A file that can't be read or is no such one.
pub fn read_labels(path: &Path) -> Result<Vec<u8>> {
    let name = || path.display().to_string();
    let mut bytes = contents(path)?;
    let (shape, at) = idx(&bytes).with_context(name)?;
    ensure!(shape.len() == 1, "{}: {shape:?}, wanted labels [N]", name());
    bytes.drain(..at);
    Ok(bytes)
}

/// Whether the file at `path` begins as a PNG.
pub fn is_picture(path: &Path) -> bool {
    let mut head = [0; 4];
    std::fs::File::open(path).and_then(|mut f| f.read_exact(&mut head)).is_ok() && head == PNG
}

/// The PNG at `path` as pixels that are known where they are opaque; whether it has pixels that are not, beside it.
///
/// # Errors
/// A file that can't be read or is no PNG, or one of another size than `grid`.
pub fn read_masked(path: &Path, pixels: &Pixels, grid: Grid) -> Result<(Known, bool)> {
    let name = || path.display().to_string();
    let bytes = contents(path)?;
    ensure!(bytes.starts_with(PNG), "{}: no PNG", name());
    let picture = Picture::decode(&bytes).with_context(name)?;
    ensure!(
        picture.grid == grid,
        "{}: {} by {} pixels, the model draws {} by {}",
        name(),
        picture.grid.width,
        picture.grid.height,
        grid.width,
        grid.height
    );
    let is_known: Vec<bool> = picture.pixels.iter().map(|p| p[3] == u8::MAX).collect();
    let masked = is_known.contains(&false);
    Ok((Known { variables: pixels.encode(&picture.image()), is_known }, masked))
}

/// A PNG: red, green, blue and opacity of every pixel.
struct Picture {
    grid: Grid,
    is_grey: bool,
    pixels: Vec<[u8; 4]>,
}

impl Picture {
    fn decode(bytes: &[u8]) -> Result<Self> {
        let mut decoder = png::Decoder::new(Cursor::new(bytes));
        decoder
            .set_transformations(png::Transformations::normalize_to_color8() | png::Transformations::ALPHA);
        let mut reader = decoder.read_info()?;
        let (height, width) = (reader.info().height as usize, reader.info().width as usize);
        check(height, width)?;
        let size = reader.output_buffer_size().context("its size overflows")?;
        let mut data = vec![0; size];
        let info = reader.next_frame(&mut data)?;
        let (is_grey, pixels): (bool, Vec<[u8; 4]>) = match info.color_type {
            png::ColorType::GrayscaleAlpha => {
                (true, data.as_chunks().0.iter().map(|&[k, a]| [k, k, k, a]).collect())
            }
            png::ColorType::Rgba => (false, data.as_chunks().0.to_vec()),
            other => bail!("colours of type {other:?}"),
        };
        ensure!(pixels.len() == height * width, "{} pixels, wanted {}", pixels.len(), height * width);
        Ok(Self { grid: Grid { height, width }, is_grey, pixels })
    }

    /// What is transparent becomes black.
    fn image(&self) -> Image {
        let over = |k: u8, a: u8| (u16::from(k) * u16::from(a) / 255) as u8;
        let channels = if self.is_grey { 1 } else { 3 };
        let levels = self.pixels.iter().flat_map(|p| (0..channels).map(move |c| over(p[c], p[3]))).collect();
        Image { grid: self.grid, channels, levels }
    }
}

fn check(height: usize, width: usize) -> Result<()> {
    let fits = height.checked_mul(width).is_some_and(|n| (1..=MOST_PIXELS).contains(&n));
    ensure!(fits, "{width} by {height} pixels, wanted at least one and at most {MOST_PIXELS}");
    Ok(())
}

/// The bytes of a file, unpacked where it is gzipped.
fn contents(path: &Path) -> Result<Vec<u8>> {
    let name = || path.display().to_string();
    let bytes = in_file::read(path, most()).with_context(name)?;
    match bytes.starts_with(GZIP) {
        true => in_file::read_from(MultiGzDecoder::new(&bytes[..]), most()).with_context(name),
        false => Ok(bytes),
    }
}

/// The shape of an idx file of unsigned bytes, and where its values begin.
fn idx(bytes: &[u8]) -> Result<(Vec<usize>, usize)> {
    let magic = bytes.first_chunk::<4>().copied();
    let Some([0, 0, IDX_BYTES, rank @ 1..=4]) = magic else {
        bail!("neither an idx file of unsigned bytes nor a PNG");
    };
    let at = 4 + 4 * usize::from(rank);
    let shape = bytes.get(4..at).context("it ends within its head")?;
    let shape: Vec<usize> = shape.as_chunks().0.iter().map(|b| u32::from_be_bytes(*b) as usize).collect();
    let all = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let (found, wanted) = (bytes.len() - at, all.context("its size overflows")?);
    ensure!(found == wanted, "{found} bytes behind its head, {shape:?} wants {wanted}");
    Ok((shape, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn idx_of(shape: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        shape.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    fn png_of(color: png::ColorType, width: u32, height: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(color);
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<ImageSet> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, bytes).unwrap();
        ImageSet::read(&path, &Notes::default())
    }

    #[test]
    fn idx_files_are_read_packed_or_not() {
        let bytes = idx_of(&[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        let set = read(&bytes).unwrap();
        assert_eq!((set.len(), set.channels, set.grid), (2, 1, Grid { height: 1, width: 3 }));
        assert_eq!(set.get(1).levels, [4, 5, 6]);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&bytes).unwrap();
        assert_eq!(read(&packed.finish().unwrap()).unwrap(), set);
        let colours = read(&idx_of(&[1, 1, 2, 3], &[1, 2, 3, 4, 5, 6])).unwrap();
        assert_eq!((colours.len(), colours.channels), (1, 3));
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for (bytes, wanted) in [
            (idx_of(&[2, 1, 3], &[1; 5]), "5 bytes behind its head, [2, 1, 3] wants 6"),
            (idx_of(&[u32::MAX; 4], &[]), "overflows"),
            (idx_of(&[0, 1, 3], &[]), "no image"),
            (idx_of(&[1, 0, 3], &[]), "3 by 0 pixels"),
            (idx_of(&[6], &[1; 6]), "[6], wanted [images, rows, columns]"),
            (vec![0, 0, 8, 3, 0], "ends within its head"),
            (b"P5 1 1 255 x".to_vec(), "neither an idx file"),
            (Vec::new(), "neither an idx file"),
            (PNG.to_vec(), ""),
        ] {
            let message = format!("{:#}", read(&bytes).unwrap_err());
            assert!(message.contains(wanted), "{message}");
        }
    }

    #[test]
    fn pictures_and_folders_of_them_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        put("b.png", &png_of(png::ColorType::Rgb, 2, 1, &[1, 2, 3, 4, 5, 6]));
        put("a.png", &png_of(png::ColorType::Grayscale, 2, 1, &[7, 8]));
        put("notes.txt", b"no picture");
        put("c.JPG", b"another picture");
        put("._a.png", b"what a system leaves behind");
        std::fs::create_dir(folder.path().join("more.png")).unwrap();
        let notes = Notes::default();
        let set = ImageSet::read(folder.path(), &notes).unwrap();
        let lines = notes.take();
        assert!(
            lines[0].contains(": 2 left out (no PNG;") && lines[0].ends_with(": c.JPG, notes.txt"),
            "{lines:?}"
        );
        assert!(lines[1].contains(": 1 left out (folders;") && lines[1].ends_with(": more.png"), "{lines:?}");
        assert_eq!(lines.len(), 2);
        assert_eq!((set.len(), set.channels), (2, 3));
        assert_eq!(set.levels_of(0), [7, 7, 7, 8, 8, 8]);
        put("c.png", &png_of(png::ColorType::Grayscale, 1, 1, &[7]));
        let read = || ImageSet::read(folder.path(), &Notes::default());
        let message = read().unwrap_err().to_string();
        assert!(
            message.contains("c.png: 1 by 1 pixels") && message.contains("a.png has 2 by 1"),
            "{message}"
        );
        ["a.png", "b.png", "c.png"]
            .iter()
            .for_each(|name| std::fs::remove_file(folder.path().join(name)).unwrap());
        let message = read().unwrap_err().to_string();
        assert!(message.contains("no PNG in this folder; ") && message.contains("c.JPG"), "{message}");
    }

    #[test]
    fn transparent_pixels_are_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("half.png");
        std::fs::write(&path, png_of(png::ColorType::Rgba, 2, 1, &[255, 255, 255, 255, 9, 9, 9, 0])).unwrap();
        let grid = Grid { height: 1, width: 2 };
        let (known, masked) = read_masked(&path, &Pixels::Binary, grid).unwrap();
        assert!(masked && known.is_known == [true, false]);
        assert_eq!(known.variables, super::super::Variables::Symbols(vec![1, 0]));
        assert!(read_masked(&path, &Pixels::Binary, Grid { height: 2, width: 2 }).is_err());
        // So is what is transparent in part, as an edge that was smoothed: its level is that of no image.
        for alpha in [1, 127, 128, 254] {
            let png = png_of(png::ColorType::GrayscaleAlpha, 2, 1, &[200, 255, 200, alpha]);
            std::fs::write(&path, png).unwrap();
            let (known, masked) = read_masked(&path, &Pixels::Grey, grid).unwrap();
            assert!(masked && known.is_known == [true, false], "{alpha}");
        }
    }
}
