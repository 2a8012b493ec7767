//! WAV files: their header, and their samples front to back.
//!
//! Integer PCM of 8, 16, 24 and 32 bits and float PCM of 32 and 64 bits, plain or extensible headers, RIFF, RF64 and BW64.
//! A header that does not know the length of the data, as streaming programs and recorders that were cut off leave it,
//! means "to the end of the file"; any other length that the file does not have is an error. Memory is bounded by what
//! the file really holds. [`crate::recording`] reads these files for everyone.

use crate::recording::RecordingError;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Encoding {
    U8,
    I16,
    I24,
    I32,
    F32,
    F64,
}

impl Encoding {
    pub fn bytes(self) -> usize {
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
}

/// Bytes read at a time, at most.
const BLOCK: usize = 1 << 14;

/// Lengths from here on are what streaming programs write for "unknown": 0xffffffff, or something near 2^31.
const UNKNOWN: u64 = 0x7fff_0000;

/// Chunks that can stand behind a data chunk that is truly empty.
const LATER_CHUNKS: [&[u8; 4]; 9] =
    [b"LIST", b"id3 ", b"ID3 ", b"cue ", b"smpl", b"bext", b"PEAK", b"fact", b"JUNK"];

/// What stands ahead of the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Head {
    pub encoding: Encoding,
    pub channels: usize,
    pub rate: u32,
    /// Where the data begin.
    data_start: u64,
    /// Bytes of data that are promised.
    claim: Claim,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Claim {
    /// So many.
    Bytes(u64),
    /// None at all, or the writer did not get to say how many.
    Zero,
    /// As many as there are; or so many, in a file that is as long as that.
    Unknown(u64),
}

/// A WAV file that is read front to back.
pub(crate) struct WavReader<R> {
    reader: R,
    path: PathBuf,
    pub head: Head,
    /// Bytes of data promised and not yet read.
    left: Option<u64>,
    /// Whether the header does not say how long the data are.
    pub unfinished: bool,
    block: Vec<u8>,
    /// Bytes of the block that have been read: the beginning of a frame.
    filled: usize,
    /// Bytes of data so far.
    bytes: u64,
}

impl<R: Read> WavReader<R> {
    /// Takes what stands behind `head` in a file of `size` bytes, or in a pipe.
    ///
    /// # Errors
    /// A file that is shorter than its header promises, or holds nothing.
    pub fn new(reader: R, head: Head, size: Option<u64>, path: &Path) -> Result<Self, RecordingError> {
        let there = size.map(|size| size.saturating_sub(head.data_start));
        let (left, unfinished) = match (head.claim, there) {
            (Claim::Bytes(wanted), Some(found)) if wanted > found => return Err(cut(path, found, wanted)),
            (Claim::Bytes(wanted), _) => (Some(wanted), false),
            // An honest length of some gigabytes.
            (Claim::Unknown(wanted), Some(found)) if wanted <= found => (Some(wanted), false),
            // A pipe has no other header.
            (Claim::Unknown(_), found) => (found, found.is_some()),
            (Claim::Zero, found) => (found, true),
        };
        let frame = head.frame();
        // As much as is there, for a lying header asks for no more than that.
        let block = vec![0; (BLOCK / frame).max(1) * frame];
        Ok(Self { reader, path: path.into(), head, left, unfinished, block, filled: 0, bytes: 0 })
    }

    /// Frames that are promised; in a file they are there.
    pub fn promise(&self) -> Option<u64> {
        self.left.map(|left| (self.bytes + left) / self.head.frame() as u64)
    }

    /// Waits for some frames and puts them into `out`, interleaved; none at the end only.
    ///
    /// # Errors
    /// An error of the reader, an end before all the data promised.
    pub fn next(&mut self, out: &mut Vec<f64>) -> Result<(), RecordingError> {
        out.clear();
        let (frame, width) = (self.head.frame(), self.head.encoding.bytes());
        loop {
            let room = (self.block.len() - self.filled) as u64;
            let most = self.left.map_or(room, |left| left.min(room)) as usize;
            let n = match self.reader.read(&mut self.block[self.filled..self.filled + most]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                done => done.map_err(|e| io_error(&self.path, e))?,
            };
            if n == 0 {
                return self.end();
            }
            if self.bytes == 0 && self.head.claim == Claim::Zero && n >= 4 {
                // Something else stands behind a data chunk that is truly empty.
                if LATER_CHUNKS.iter().any(|chunk| self.block.starts_with(*chunk)) {
                    return Err(RecordingError::Empty { path: self.path.clone() });
                }
            }
            self.bytes += n as u64;
            self.filled += n;
            self.left = self.left.map(|left| left - n as u64);
            let whole = self.filled / frame * frame;
            let encoding = self.head.encoding;
            out.extend(self.block[..whole].chunks_exact(width).map(|b| encoding.sample(b)));
            self.block.copy_within(whole..self.filled, 0);
            self.filled -= whole;
            if whole > 0 {
                return Ok(());
            }
        }
    }

    fn end(&self) -> Result<(), RecordingError> {
        match (self.head.claim, self.left) {
            (Claim::Bytes(_), Some(left)) if left > 0 => Err(cut(&self.path, self.bytes, self.bytes + left)),
            _ if self.bytes < self.head.frame() as u64 => {
                Err(RecordingError::Empty { path: self.path.clone() })
            }
            _ => Ok(()),
        }
    }
}

impl Head {
    /// Bytes of a frame.
    pub fn frame(&self) -> usize {
        self.encoding.bytes() * self.channels
    }
}

/// Whether a WAV file holds exactly `samples` mono samples of `rate` Hz, in so many bits, and all of its data are there.
pub(crate) fn holds(path: &Path, bits: usize, rate: u32, samples: u64) -> bool {
    let opened = || {
        let file = File::open(path).ok()?;
        let size = file.metadata().ok()?.len();
        let mut file = io::BufReader::new(file);
        let Start::Pcm(head) = head(path, &mut file).ok()? else { return None };
        let found = WavReader::new(file, head, Some(size), path).ok()?.promise()?;
        Some((8 * head.encoding.bytes(), head.channels, head.rate, found))
    };
    opened() == Some((bits, 1, rate, samples))
}

fn cut(path: &Path, found: u64, wanted: u64) -> RecordingError {
    RecordingError::Truncated {
        path: path.into(),
        found: format!("{found} bytes"),
        wanted: format!("{wanted} bytes of sound"),
    }
}

fn io_error(path: &Path, source: io::Error) -> RecordingError {
    RecordingError::Io { path: path.into(), source }
}

/// What a header leads to.
pub(crate) enum Start {
    /// Samples that [`WavReader`] knows.
    Pcm(Head),
    /// Another encoding: the tag of its format, and its bits.
    Encoded(u16, u16),
}

/// Reads up to the data; up to the format only if that is an encoding that [`WavReader`] does not know.
pub(crate) fn head(path: &Path, file: &mut impl Read) -> Result<Start, RecordingError> {
    let bad = |what: &str| bad(path, what.into());
    let io = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => bad("the file ends within its header"),
        _ => io_error(path, e),
    };
    let mut riff = [0; 12];
    file.read_exact(&mut riff).map_err(io)?;
    if !matches!(&riff[..4], b"RIFF" | b"RF64" | b"BW64") || &riff[8..] != b"WAVE" {
        return Err(bad("it does not begin with RIFF....WAVE"));
    }
    let mut at = riff.len() as u64;
    let (mut format, mut long) = (None, None);
    loop {
        let mut head = [0; 8];
        file.read_exact(&mut head).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => bad("it has no data chunk"),
            _ => io(e),
        })?;
        at += 8;
        let len = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        let mut read = 0;
        match &head[..4] {
            // The length of the data in 64 bits, of RF64 and BW64.
            b"ds64" => {
                let mut ds64 = [0; 16];
                read = len.min(16);
                file.read_exact(&mut ds64[..read as usize]).map_err(io)?;
                let [.., a, b, c, d, e, f, g, h] = ds64;
                long = Some(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
            }
            b"fmt " => {
                let mut fmt = [0; 40];
                read = len.min(40);
                file.read_exact(&mut fmt[..read as usize]).map_err(io)?;
                match parse_format(path, &fmt[..read as usize])? {
                    Format::Pcm(encoding, channels, rate) => format = Some((encoding, channels, rate)),
                    Format::Encoded(tag, bits) => return Ok(Start::Encoded(tag, bits)),
                }
            }
            b"data" => {
                let Some((encoding, channels, rate)) = format else {
                    return Err(bad("its data come before their format"));
                };
                let claim = match (len, long) {
                    (0, _) | (0xffff_ffff, Some(0)) => Claim::Zero,
                    (0xffff_ffff, Some(long)) if long < u64::MAX >> 1 => Claim::Bytes(long),
                    (UNKNOWN.., _) => Claim::Unknown(len),
                    _ => Claim::Bytes(len),
                };
                return Ok(Start::Pcm(Head { encoding, channels, rate, data_start: at, claim }));
            }
            _ => {}
        }
        // Chunks of odd length are followed by a byte of padding. A file that ends here has no data chunk.
        io::copy(&mut file.take(len - read + len % 2), &mut io::sink()).map_err(io)?;
        at += len + len % 2;
    }
}

fn bad(path: &Path, what: String) -> RecordingError {
    RecordingError::Format { path: path.into(), kind: "WAV", what }
}

enum Format {
    Pcm(Encoding, usize, u32),
    Encoded(u16, u16),
}

fn parse_format(path: &Path, fmt: &[u8]) -> Result<Format, RecordingError> {
    let bad = |what| bad(path, what);
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
    if channels == 0 {
        return Err(bad("it has 0 channels".into()));
    }
    if rate == 0 {
        return Err(bad("its sample rate is 0 Hz".into()));
    }
    let encoding = match (tag, bits) {
        (1, 8) => Encoding::U8,
        (1, 16) => Encoding::I16,
        (1, 24) => Encoding::I24,
        (1, 32) => Encoding::I32,
        (3, 32) => Encoding::F32,
        (3, 64) => Encoding::F64,
        _ => return Ok(Format::Encoded(tag, bits)),
    };
    if align != channels * encoding.bytes() {
        return Err(bad(format!(
            "its frames have {align} bytes, {channels} x {bits} bits want {}",
            channels * encoding.bytes()
        )));
    }
    Ok(Format::Pcm(encoding, channels, rate))
}
