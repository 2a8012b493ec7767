//! Where rendered PCM goes: files that appear when they are finished, and pipes.
//!
//! Mono only, like everything else here. All integer output goes through [`to_s16`].

use crate::wav;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;
use wavesynth_output::{Kind, Output, OutputError, Pending, kind};

/// The format of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// WAV, 16-bit integer.
    Wav16,
    /// WAV, 32-bit float.
    WavF32,
    /// No header, 16-bit little-endian integers.
    RawS16,
    /// No header, 32-bit little-endian floats.
    RawF32,
}

impl Format {
    /// The kind of file that it makes.
    pub fn kind(self) -> &'static Kind {
        match self {
            Self::Wav16 | Self::WavF32 => &WAV,
            Self::RawS16 => &RAW_S16,
            Self::RawF32 => &RAW_F32,
        }
    }

    fn is_float(self) -> bool {
        matches!(self, Self::WavF32 | Self::RawF32)
    }

    fn is_wav(self) -> bool {
        matches!(self, Self::Wav16 | Self::WavF32)
    }

    /// Whether the file at `path` is what writing `samples` samples of `rate` Hz in this format leaves, as far as header
    /// and length tell.
    pub fn is_whole(self, path: &Path, rate: u32, samples: u64) -> bool {
        let bits = self.spec(rate).bits_per_sample;
        match self.is_wav() {
            true => wav::holds(path, usize::from(bits), rate, samples),
            false => {
                std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() == samples * u64::from(bits / 8))
            }
        }
    }

    fn spec(self, rate: u32) -> hound::WavSpec {
        hound::WavSpec {
            channels: 1,
            sample_rate: rate,
            bits_per_sample: if self.is_float() { 32 } else { 16 },
            sample_format: match self.is_float() {
                true => hound::SampleFormat::Float,
                false => hound::SampleFormat::Int,
            },
        }
    }
}

/// WAV files.
pub const WAV: Kind = Kind {
    name: "a WAV file",
    endings: &["wav", "wave"],
    is_text: false,
    is: |path| kind::head(path).get(8..12) == Some(b"WAVE") && kind::begins(path, b"RIFF"),
};

const RAW_S16: Kind = Kind {
    name: "sound without a header in 16-bit integers",
    endings: &["raw", "pcm", "s16", "s16le", "bin"],
    is_text: false,
    is: |path| may_be_raw(path, &RAW_S16),
};

const RAW_F32: Kind = Kind {
    name: "sound without a header in 32-bit floats",
    endings: &["raw", "pcm", "f32", "f32le", "bin"],
    is_text: false,
    is: |path| may_be_raw(path, &RAW_F32),
};

/// Sound without a header is told by its name, and by not being anything that is told by its content.
fn may_be_raw(path: &Path, kind: &Kind) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    ending.is_some_and(|e| e != "bin" && kind.endings.contains(&e.as_str()))
        && !(WAV.is)(path)
        && kind::lines(path).is_none()
        && kind::metadata(path).is_none()
}

/// Why PCM could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SinkError {
    /// There is no such place.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The file can't be written. The file that was there before, if any, is as it was.
    #[error("cannot write {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The pipe can't be written to.
    #[error("cannot write to the pipe: {0}")]
    Pipe(io::Error),
    /// The reader of the pipe has gone. That is no fault.
    #[error("the reader of the pipe has gone")]
    BrokenPipe,
    /// A WAV file cannot be that long.
    #[error("{}: a WAV file holds at most 4 GiB; write raw PCM instead", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
}

/// Takes PCM block by block. Dropped without [`Sink::finish`], a file never appears.
pub trait Sink: Send {
    /// Says how many samples will come, before the first: the header of a pipe holds it.
    fn expect(&mut self, _samples: u64) {}

    /// Writes a block, -1..1; integers clamp, floats keep what exceeds it.
    fn write(&mut self, block: &[f32]) -> Result<(), SinkError>;

    /// Samples so far that were beyond -1..1 and are clamped.
    fn clipped(&self) -> u64;

    /// Writes what is buffered and puts the file in its place.
    fn finish(self: Box<Self>) -> Result<(), SinkError>;
}

/// 16-bit value of a sample: clamped to -1..1, times 32767, rounded to the nearest (halves away from zero).
/// NaN gives 0. Silence stays exact and the scale symmetric; -32768 is never produced.
///
/// # Real-time
/// A few operations.
#[inline]
pub fn to_s16(x: f32) -> i16 {
    // A saturating cast: NaN becomes 0.
    (x.clamp(-1.0, 1.0) * 32_767.0).round() as i16
}

/// What is said of so many samples that were clamped, of `all`.
pub fn clipped_line(clipped: u64, all: u64) -> Option<String> {
    let percent = 100.0 * clipped as f64 / all.max(1) as f64;
    (clipped > 0).then(|| {
        format!(
            "{clipped} samples ({percent:.2} %) are beyond full scale and were clipped; --format f32 keeps them, a lower \
             --temperature has fewer"
        )
    })
}

/// How many samples of a block will be clamped.
fn beyond(format: Format, block: &[f32]) -> u64 {
    match format.is_float() {
        true => 0,
        false => block.iter().filter(|x| x.abs() > 1.0).count() as u64,
    }
}

fn put(out: &mut dyn Write, format: Format, block: &[f32]) -> io::Result<()> {
    for &x in block {
        if format.is_float() {
            out.write_all(&x.to_le_bytes())?;
        } else {
            out.write_all(&to_s16(x).to_le_bytes())?;
        }
    }
    Ok(())
}

/// A file that an aborted render leaves as it was.
struct FileSink {
    format: Format,
    path: PathBuf,
    pending: Pending,
    body: Body,
    samples: u64,
    clipped: u64,
}

enum Body {
    Wav(hound::WavWriter<BufWriter<File>>),
    Raw(BufWriter<File>),
}

/// Samples that fit a WAV file, headers set aside.
fn most_samples(format: Format) -> u64 {
    (u32::MAX as u64 - 128) / if format.is_float() { 4 } else { 2 }
}

/// A sink to `output`: a file where it is one, which appears when it is finished, else a pipe. `rate` in Hz goes into the
/// header, where there is one.
///
/// # Errors
/// The system's.
pub fn open(output: &Output, format: Format, rate: u32) -> Result<Box<dyn Sink>, SinkError> {
    let path = output.path().to_path_buf();
    let fail = |source| file_error(&path, source);
    let pending = output.create().map_err(fail)?;
    let Some(file) = pending.seekable() else {
        return Ok(Box::new(PipeSink { path: Some(path), ..PipeSink::new(pending, format, rate) }));
    };
    let out = BufWriter::with_capacity(1 << 16, file.map_err(fail)?);
    let body = match format.is_wav() {
        true => Body::Wav(hound::WavWriter::new(out, format.spec(rate)).map_err(|e| fail(from_hound(e)))?),
        false => Body::Raw(out),
    };
    Ok(Box::new(FileSink { format, path: path.clone(), pending, body, samples: 0, clipped: 0 }))
}

fn file_error(path: &Path, source: io::Error) -> SinkError {
    SinkError::File { path: path.into(), source }
}

fn from_hound(e: hound::Error) -> io::Error {
    match e {
        hound::Error::IoError(e) => e,
        e => io::Error::other(e),
    }
}

impl Sink for FileSink {
    fn write(&mut self, block: &[f32]) -> Result<(), SinkError> {
        self.samples += block.len() as u64;
        self.clipped += beyond(self.format, block);
        if self.format.is_wav() && self.samples > most_samples(self.format) {
            return Err(SinkError::TooLong { path: self.path.clone() });
        }
        let format = self.format;
        let done = match &mut self.body {
            Body::Wav(w) => block.iter().try_for_each(|&x| match format.is_float() {
                true => w.write_sample(x).map_err(from_hound),
                false => w.write_sample(to_s16(x)).map_err(from_hound),
            }),
            Body::Raw(w) => put(w, format, block),
        };
        done.map_err(|e| file_error(&self.path, e))
    }

    fn clipped(&self) -> u64 {
        self.clipped
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        let this = *self;
        let done = match this.body {
            Body::Wav(w) => w.finalize().map_err(from_hound),
            Body::Raw(mut w) => w.flush(),
        };
        done.and_then(|()| this.pending.commit()).map_err(|e| file_error(&this.path, e))
    }
}

/// A pipe or any other writer. The header of WAV holds the length where it is known ([`Sink::expect`]), else the sizes
/// 0xffffffff, which players and this crate read to the end. Every block is flushed, so that it can be played at once.
pub struct PipeSink<W: Write> {
    format: Format,
    out: W,
    bytes: Vec<u8>,
    /// Of the header.
    rate: u32,
    /// Samples that will come, if that is known.
    expected: Option<u64>,
    /// Whether the header is sent: that is done ahead of the first block.
    begun: bool,
    clipped: u64,
    /// For errors, where it has a name.
    path: Option<PathBuf>,
}

impl<W: Write> PipeSink<W> {
    /// A sink to `out`; `rate` in Hz goes into the header, where there is one. Nothing is written yet.
    pub fn new(out: W, format: Format, rate: u32) -> Self {
        Self { format, out, bytes: Vec::new(), rate, expected: None, begun: false, clipped: 0, path: None }
    }

    /// What it writes to.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    fn send(&mut self) -> Result<(), SinkError> {
        let header = match self.format.is_wav() && !self.begun {
            true => stream_header(self.format, self.rate, self.expected).to_vec(),
            false => Vec::new(),
        };
        self.begun = true;
        let done = self.out.write_all(&header).and_then(|()| self.out.write_all(&self.bytes));
        done.and_then(|()| self.out.flush()).map_err(|e| match (e.kind(), &self.path) {
            (io::ErrorKind::BrokenPipe, _) => SinkError::BrokenPipe,
            (_, Some(path)) => file_error(path, e),
            (_, None) => SinkError::Pipe(e),
        })
    }
}

/// A plain 44-byte header: float needs no extensible one, and more programs read this.
fn stream_header(format: Format, rate: u32, samples: Option<u64>) -> Vec<u8> {
    let (tag, bytes): (u16, u16) = if format.is_float() { (3, 4) } else { (1, 2) };
    let samples = samples.filter(|n| *n <= most_samples(format));
    let data = samples.map_or(u32::MAX, |n| n as u32 * u32::from(bytes));
    let mut h = b"RIFF".to_vec();
    h.extend(data.saturating_add(36).to_le_bytes());
    h.extend(b"WAVEfmt \x10\0\0\0");
    h.extend(tag.to_le_bytes());
    h.extend(1u16.to_le_bytes());
    h.extend(rate.to_le_bytes());
    h.extend((rate.wrapping_mul(bytes as u32)).to_le_bytes());
    h.extend(bytes.to_le_bytes());
    h.extend((8 * bytes).to_le_bytes());
    h.extend(b"data");
    h.extend(data.to_le_bytes());
    h
}

impl<W: Write + Send> Sink for PipeSink<W> {
    fn expect(&mut self, samples: u64) {
        self.expected = Some(samples);
    }

    fn write(&mut self, block: &[f32]) -> Result<(), SinkError> {
        self.bytes.clear();
        self.clipped += beyond(self.format, block);
        let done = put(&mut self.bytes, self.format, block);
        done.map_err(SinkError::Pipe)?;
        self.send()
    }

    fn clipped(&self) -> u64 {
        self.clipped
    }

    fn finish(mut self: Box<Self>) -> Result<(), SinkError> {
        self.bytes.clear();
        self.send()
    }
}

#[cfg(test)]
mod tests;
