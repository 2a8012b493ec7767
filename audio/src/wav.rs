//! Reading WAV files, as strictly as their content demands and as leniently as recorders require.
//!
//! Integer PCM of 8, 16, 24 and 32 bits and float PCM of 32 and 64 bits, plain or extensible headers, any
//! number of channels (averaged). A header that does not know the length of the data, as streaming
//! programs write it, means "to the end of the file"; any other length that the file does not have is an
//! error. Memory is bounded by what the file really holds. [`WavStream`] reads the same from a pipe, as it comes.

mod stream;

pub use stream::WavStream;

use crate::resample::{self, ResampleError};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// A mono recording.
#[derive(Clone, Debug, PartialEq)]
pub struct WavData {
    /// PCM, -1..1, at least one sample.
    pub samples: Vec<f32>,
    /// Hz.
    pub sample_rate: u32,
}

/// Why a WAV file could not be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WavError {
    /// The file can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Not a WAV file, or a broken one.
    #[error("{} is no usable WAV file: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A kind of WAV file this reader does not know.
    #[error(
        "{} holds {found}: wanted 8, 16, 24 or 32-bit integer or 32 or 64-bit float PCM; convert it first",
        path.display()
    )]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
    /// The file ends before its data does.
    #[error(
        "{} is cut off: its header promises {wanted} bytes of sound, {found} are there; record or copy it again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes of sound in the file.
        found: u64,
        /// Bytes of sound promised.
        wanted: u64,
    },
    /// No samples.
    #[error("{} holds no sound: 0 samples", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// NaN or infinity.
    #[error("{}: sample {index} is {value}: wanted a finite number", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Index of the sample, counted over one channel.
        index: u64,
        /// What it is.
        value: f64,
    },
    /// The rate could not be changed.
    #[error("{}: {source}", path.display())]
    Resample {
        /// The file.
        path: PathBuf,
        /// The resampler's error.
        source: ResampleError,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Encoding {
    U8,
    I16,
    I24,
    I32,
    F32,
    F64,
}

impl Encoding {
    fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
            Self::I24 => 3,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    fn sample(self, b: &[u8]) -> f64 {
        match (self, b) {
            (Self::U8, &[a]) => (a as f64 - 128.0) / 128.0,
            (Self::I16, &[a, b]) => i16::from_le_bytes([a, b]) as f64 / 32_768.0,
            (Self::I24, &[a, b, c]) => i32::from_le_bytes([0, a, b, c]) as f64 / 2_147_483_648.0,
            (Self::I32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f64 / 2_147_483_648.0,
            (Self::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]) as f64,
            (Self::F64, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => f64::NAN,
        }
    }

    /// Mean of a frame's channels, limited to -1..1; or what it is if that is no finite number.
    fn mono(self, frame: &[u8], channels: usize) -> Result<f32, f64> {
        let sum: f64 = frame.chunks_exact(self.bytes()).map(|b| self.sample(b)).sum();
        let value = sum / channels as f64;
        if value.is_finite() { Ok(value.clamp(-1.0, 1.0) as f32) } else { Err(value) }
    }
}

/// What stands ahead of the data.
struct Head {
    encoding: Encoding,
    channels: usize,
    rate: u32,
    data_start: u64,
    /// Bytes of data promised; `None` for "to the end".
    data_len: Option<u64>,
}

struct Layout {
    encoding: Encoding,
    channels: usize,
    rate: u32,
    data_start: u64,
    frames: u64,
}

/// Reads a WAV file, channels averaged, float samples beyond -1..1 clamped.
pub fn read(path: &Path) -> Result<WavData, WavError> {
    let mut file = open(path)?;
    let layout = layout(path, &mut file)?;
    let io = |source| io_error(path, source);
    file.seek(SeekFrom::Start(layout.data_start)).map_err(io)?;

    let width = layout.encoding.bytes();
    let frame_bytes = width * layout.channels;
    // The layout has made sure that the file is long enough for this.
    let mut samples = Vec::with_capacity(layout.frames as usize);
    let mut block = vec![0u8; frame_bytes * 4_096.min(layout.frames as usize)];
    let mut left = layout.frames;
    while left > 0 {
        let n = left.min(4_096) as usize;
        let bytes = &mut block[..n * frame_bytes];
        file.read_exact(bytes).map_err(io)?;
        for frame in bytes.chunks_exact(frame_bytes) {
            samples.push(layout.encoding.mono(frame, layout.channels).map_err(|value| {
                WavError::NotFinite { path: path.into(), index: samples.len() as u64, value }
            })?);
        }
        left -= n as u64;
    }
    Ok(WavData { samples, sample_rate: layout.rate })
}

/// Reads a WAV file and resamples it to `rate` Hz. The result may exceed -1..1 a little where the
/// recording touches full scale.
pub fn read_at(path: &Path, rate: u32) -> Result<Vec<f32>, WavError> {
    let r = read(path)?;
    if r.sample_rate == rate {
        return Ok(r.samples);
    }
    let samples = resample::resample(&r.samples, r.sample_rate, rate)
        .map_err(|source| WavError::Resample { path: path.into(), source })?;
    if samples.is_empty() {
        return Err(WavError::Empty { path: path.into() });
    }
    Ok(samples)
}

/// Length of a WAV file, from its header and its size alone.
pub fn duration(path: &Path) -> Result<Duration, WavError> {
    let l = layout(path, &mut open(path)?)?;
    Ok(Duration::from_secs_f64(l.frames as f64 / l.rate as f64))
}

/// Samples that [`read_at`] gives for a WAV file, from its header and its size alone.
pub fn samples_at(path: &Path, rate: u32) -> Result<u64, WavError> {
    let l = layout(path, &mut open(path)?)?;
    Ok(resample::output_len(l.frames, l.rate, rate))
}

/// Whether a WAV file holds exactly `samples` mono samples of `rate` Hz, in so many bits, and all of its data are there.
pub(crate) fn holds(path: &Path, bits: usize, rate: u32, samples: u64) -> bool {
    let layout = open(path).and_then(|mut file| layout(path, &mut file));
    layout.is_ok_and(|l| (8 * l.encoding.bytes(), l.channels, l.rate, l.frames) == (bits, 1, rate, samples))
}

fn io_error(path: &Path, source: io::Error) -> WavError {
    WavError::Io { path: path.into(), source }
}

fn open(path: &Path) -> Result<BufReader<File>, WavError> {
    let file = File::open(path).map_err(|e| io_error(path, e))?;
    Ok(BufReader::with_capacity(1 << 16, file))
}

fn layout(path: &Path, file: &mut BufReader<File>) -> Result<Layout, WavError> {
    let io = |e: io::Error| io_error(path, e);
    let size = file.seek(SeekFrom::End(0)).map_err(io)?;
    file.rewind().map_err(io)?;
    let Head { encoding, channels, rate, data_start, data_len } = head(path, file)?;
    let there = size.saturating_sub(data_start);
    let bytes = match data_len {
        None => there,
        Some(len) if len > there => {
            return Err(WavError::Truncated { path: path.into(), found: there, wanted: len });
        }
        Some(len) => len,
    };
    let frames = bytes / (encoding.bytes() * channels) as u64;
    if frames == 0 {
        return Err(WavError::Empty { path: path.into() });
    }
    Ok(Layout { encoding, channels, rate, data_start, frames })
}

/// Reads up to the data.
fn head(path: &Path, file: &mut impl Read) -> Result<Head, WavError> {
    let bad = |what: &str| WavError::Format { path: path.into(), what: what.into() };
    let io = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => bad("the file ends within its header"),
        _ => io_error(path, e),
    };
    let mut riff = [0; 12];
    file.read_exact(&mut riff).map_err(io)?;
    if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
        return Err(bad("it does not begin with RIFF....WAVE"));
    }
    let mut at = riff.len() as u64;
    let mut format = None;
    loop {
        let mut head = [0; 8];
        file.read_exact(&mut head).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => bad("it has no data chunk"),
            _ => io(e),
        })?;
        at += 8;
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as u64;
        let mut read = 0;
        match &head[..4] {
            b"fmt " => {
                let mut fmt = [0; 40];
                read = len.min(40);
                file.read_exact(&mut fmt[..read as usize]).map_err(io)?;
                format = Some(parse_format(path, &fmt[..read as usize])?);
            }
            b"data" => {
                let Some((encoding, channels, rate)) = format else {
                    return Err(bad("its data come before their format"));
                };
                // Streams write 0xffffffff or something near 2^31, and ours is one of them.
                let data_len = (len < 0x7fff_0000).then_some(len);
                return Ok(Head { encoding, channels, rate, data_start: at, data_len });
            }
            _ => {}
        }
        // Chunks of odd length are followed by a byte of padding. A file that ends here has no data chunk.
        io::copy(&mut file.take(len - read + len % 2), &mut io::sink()).map_err(io)?;
        at += len + len % 2;
    }
}

fn parse_format(path: &Path, fmt: &[u8]) -> Result<(Encoding, usize, u32), WavError> {
    let bad = |what: String| WavError::Format { path: path.into(), what };
    let u16_at = |i: usize| fmt.get(i..i + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
    if fmt.len() < 16 {
        return Err(bad(format!("its format chunk has {} bytes, wanted 16", fmt.len())));
    }
    // 0xfffe: the true tag opens the sub-format's id.
    let tag = match u16_at(0) {
        0xfffe => u16_at(24),
        tag => tag,
    };
    let (channels, align, bits) = (u16_at(2) as usize, u16_at(12) as usize, u16_at(14));
    let rate = u32::from_le_bytes([fmt[4], fmt[5], fmt[6], fmt[7]]);
    let encoding = match (tag, bits) {
        (1, 8) => Encoding::U8,
        (1, 16) => Encoding::I16,
        (1, 24) => Encoding::I24,
        (1, 32) => Encoding::I32,
        (3, 32) => Encoding::F32,
        (3, 64) => Encoding::F64,
        _ => {
            return Err(WavError::Unsupported {
                path: path.into(),
                found: format!("format {tag:#06x} with {bits} bits"),
            });
        }
    };
    if channels == 0 {
        return Err(bad("it has 0 channels".into()));
    }
    if rate == 0 {
        return Err(bad("its sample rate is 0 Hz".into()));
    }
    if align != channels * encoding.bytes() {
        return Err(bad(format!(
            "its frames have {align} bytes, {channels} x {bits} bits want {}",
            channels * encoding.bytes()
        )));
    }
    Ok((encoding, channels, rate))
}

#[cfg(test)]
mod tests;
