//! Where a recording comes from, and its frames.

use super::caf;
use super::decoder::Decoder;
use super::kind::{HEAD, Kind};
use super::{RecordingError, STDIN};
use crate::wav::{self, Start, WavReader};
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use symphonia::core::io::{MediaSource, ReadOnlySource};

/// Bytes that a pipe may hold of a format in which one has to jump; they are kept in a temporary file.
const MOST_SPOOLED: u64 = 4 << 30;

/// The name of WAV files with encoded sound in errors: A-law, mu-law and ADPCM.
const ENCODED_WAV: &str = "WAV";

/// Any reader that can be given away.
pub(super) type Pipe = Box<dyn Read + Send + Sync>;

/// An open file or pipe, of which the first bytes are known.
pub(super) struct Source {
    path: PathBuf,
    head: Vec<u8>,
    from: From,
}

enum From {
    /// Rewound.
    File(File),
    /// Behind the head.
    Pipe(Pipe),
}

impl Source {
    /// Opens `path`, or standard input if that is `-`.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let io = |source| RecordingError::Io { path: path.into(), source };
        if path.as_os_str() == STDIN {
            return Self::pipe(Box::new(io::stdin()), Path::new("stdin"));
        }
        let mut file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(io(io::Error::new(
                io::ErrorKind::IsADirectory,
                "it is a folder, wanted a recording",
            )));
        }
        if !metadata.is_file() {
            return Self::pipe(Box::new(file), path);
        }
        let head = first(&mut file).map_err(io)?;
        file.rewind().map_err(io)?;
        Ok(Self { path: path.into(), head, from: From::File(file) })
    }

    /// Takes a pipe, which errors call `name`.
    pub fn pipe(mut pipe: Pipe, name: &Path) -> Result<Self, RecordingError> {
        let head = first(&mut pipe).map_err(|source| RecordingError::Io { path: name.into(), source })?;
        Ok(Self { path: name.into(), head, from: From::Pipe(pipe) })
    }

    /// Whether opening it once more gives the same.
    pub fn can_be_read_again(&self) -> bool {
        matches!(self.from, From::File(_))
    }

    /// The frames of a recording that is read as a whole.
    pub fn whole(self) -> Result<Frames, RecordingError> {
        self.frames(true)
    }

    /// The frames of a recording as they come.
    pub fn stream(self) -> Result<Frames, RecordingError> {
        self.frames(false)
    }

    fn frames(self, whole: bool) -> Result<Frames, RecordingError> {
        let path = self.path.clone();
        match Kind::of(&self.head) {
            Kind::Wav => self.wav(),
            // The library looks at the end of a file, too, and then gives the same for files and pipes.
            Kind::Stream(kind) if !whole => Frames::decoded(self.unseekable(), kind, &path),
            Kind::Stream(kind) | Kind::Jumping(kind) => {
                let mut source = self.seekable()?;
                if kind == caf::KIND {
                    caf::check(&mut *source, &path)?;
                }
                Frames::decoded(source, kind, &path)
            }
            Kind::Other(found, advice) => Err(RecordingError::Unknown { path, found: found.into(), advice }),
        }
    }

    fn wav(self) -> Result<Frames, RecordingError> {
        let path = self.path.clone();
        let io = |source| RecordingError::Io { path: path.clone(), source };
        match self.from {
            From::File(file) => {
                let size = file.metadata().map_err(io)?.len();
                let mut reader = BufReader::with_capacity(1 << 16, file);
                match wav::head(&path, &mut reader)? {
                    Start::Pcm(head) => {
                        let reader: Pipe = Box::new(reader);
                        Ok(Frames::Wav(WavReader::new(reader, head, Some(size), &path)?))
                    }
                    Start::Encoded(tag, bits) => {
                        let mut file = reader.into_inner();
                        file.rewind().map_err(io)?;
                        Frames::encoded(Box::new(file), tag, bits, &path)
                    }
                }
            }
            From::Pipe(pipe) => {
                let mut kept = Keeping { inner: Cursor::new(self.head).chain(pipe), kept: Vec::new() };
                match wav::head(&path, &mut kept)? {
                    Start::Pcm(head) => {
                        let reader: Pipe = Box::new(kept.inner);
                        Ok(Frames::Wav(WavReader::new(reader, head, None, &path)?))
                    }
                    Start::Encoded(tag, bits) => {
                        let again = Cursor::new(kept.kept).chain(kept.inner);
                        Frames::encoded(Box::new(ReadOnlySource::new(again)), tag, bits, &path)
                    }
                }
            }
        }
    }

    fn unseekable(self) -> Box<dyn MediaSource> {
        match self.from {
            From::File(file) => Box::new(file),
            From::Pipe(pipe) => Box::new(ReadOnlySource::new(Cursor::new(self.head).chain(pipe))),
        }
    }

    /// A pipe goes into a temporary file first.
    fn seekable(self) -> Result<Box<dyn MediaSource>, RecordingError> {
        let path = self.path.clone();
        let io = |source| RecordingError::Io { path: path.clone(), source };
        match self.from {
            From::File(file) => Ok(Box::new(file)),
            From::Pipe(pipe) => {
                let mut file = tempfile::tempfile().map_err(io)?;
                let all = Cursor::new(self.head).chain(pipe);
                let n = io::copy(&mut all.take(MOST_SPOOLED), &mut file).map_err(io)?;
                if n == MOST_SPOOLED {
                    return Err(io(io::Error::new(
                        io::ErrorKind::FileTooLarge,
                        "more than 4 GiB through a pipe",
                    )));
                }
                file.seek(SeekFrom::Start(0)).map_err(io)?;
                Ok(Box::new(file))
            }
        }
    }
}

/// Keeps what it has read of a header.
struct Keeping<R> {
    inner: R,
    kept: Vec<u8>,
}

/// A format chunk stands within this many bytes in all but absurd files.
const MOST_KEPT: usize = 1 << 20;

impl<R: Read> Read for Keeping<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        if self.kept.len() < MOST_KEPT {
            self.kept.extend_from_slice(&out[..n]);
        }
        Ok(n)
    }
}

/// The first bytes.
fn first(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    file.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// The frames of a recording, block by block.
pub(super) enum Frames {
    Wav(WavReader<Pipe>),
    Decoded(Box<Decoder>),
}

impl Frames {
    fn decoded(
        source: Box<dyn MediaSource>,
        kind: &'static str,
        path: &Path,
    ) -> Result<Self, RecordingError> {
        Ok(Self::Decoded(Box::new(Decoder::open(source, kind, path)?)))
    }

    /// A WAV file whose sound is encoded.
    fn encoded(
        source: Box<dyn MediaSource>,
        tag: u16,
        bits: u16,
        path: &Path,
    ) -> Result<Self, RecordingError> {
        Self::decoded(source, ENCODED_WAV, path).map_err(|e| match e {
            RecordingError::Io { .. } | RecordingError::Truncated { .. } => e,
            _ => RecordingError::Unknown {
                path: path.into(),
                found: format!("a WAV file with sound of format {tag:#06x} with {bits} bits"),
                advice: "; convert it, as in `ffmpeg -i IN OUT.wav`",
            },
        })
    }

    /// Samples per second.
    pub fn rate(&self) -> u32 {
        match self {
            Self::Wav(wav) => wav.head.rate,
            Self::Decoded(decoder) => decoder.rate(),
        }
    }

    /// Samples of a frame.
    pub fn channels(&self) -> usize {
        match self {
            Self::Wav(wav) => wav.head.channels,
            Self::Decoded(decoder) => decoder.channels(),
        }
    }

    /// About how many frames there are, if the header tells.
    pub fn promise(&self) -> Option<u64> {
        match self {
            Self::Wav(wav) => wav.promise(),
            Self::Decoded(decoder) => decoder.promise().map(|(n, _)| n),
        }
    }

    /// How many frames there are, to the frame, or reading them is an error; 0 where that is not known.
    pub fn sure(&self) -> u64 {
        match self {
            Self::Wav(wav) => wav.promise().unwrap_or(0),
            Self::Decoded(decoder) => decoder.promise().filter(|(_, exact)| *exact).map_or(0, |(n, _)| n),
        }
    }

    /// Whether the header should tell how many there are and does not.
    pub fn unfinished(&self) -> bool {
        matches!(self, Self::Wav(wav) if wav.unfinished)
    }

    /// Whether its steps are so fine that equal samples at a peak tell of clipping.
    pub fn is_fine(&self) -> bool {
        match self {
            Self::Wav(wav) => wav.head.encoding.bytes() > 1,
            Self::Decoded(decoder) => decoder.kind() != ENCODED_WAV,
        }
    }

    /// Packets that could not be decoded so far.
    pub fn damaged(&self) -> u64 {
        match self {
            Self::Wav(_) => 0,
            Self::Decoded(decoder) => decoder.damaged(),
        }
    }

    /// Puts some frames into `block`, interleaved; none at the end only.
    pub fn next(&mut self, block: &mut Vec<f64>) -> Result<(), RecordingError> {
        match self {
            Self::Wav(wav) => wav.next(block),
            Self::Decoded(decoder) => decoder.next(block),
        }
    }
}
