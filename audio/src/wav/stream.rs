//! A WAV file that comes through a pipe.

use super::{Encoding, Head, WavError, head, io_error};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Bytes read at a time, at most.
const BLOCK: usize = 1 << 12;

/// Reads a WAV file front to back, giving samples as soon as they are there.
pub struct WavStream<R> {
    reader: R,
    /// Its name in errors.
    name: PathBuf,
    encoding: Encoding,
    channels: usize,
    rate: u32,
    /// Bytes of data promised and not yet read.
    left: Option<u64>,
    bytes: Vec<u8>,
    samples: u64,
}

impl<R: Read> WavStream<R> {
    /// Reads the header; errors call the stream `name`.
    ///
    /// # Errors
    /// No WAV file, or one of a kind that is not known.
    pub fn open(mut reader: R, name: &Path) -> Result<Self, WavError> {
        let Head { encoding, channels, rate, data_len: left, .. } = head(name, &mut reader)?;
        let bytes = Vec::with_capacity(BLOCK);
        Ok(Self { reader, name: name.into(), encoding, channels, rate, left, bytes, samples: 0 })
    }

    /// Samples per second.
    pub fn sample_rate(&self) -> u32 {
        self.rate
    }

    /// Waits for some samples, appends them to `out`, channels averaged and limited to -1..1, and returns how many there
    /// were; 0 at the end only.
    ///
    /// # Errors
    /// An error of the reader, an end before all the data promised, a number that is not finite, a stream
    /// without a sample.
    pub fn read(&mut self, out: &mut Vec<f32>) -> Result<usize, WavError> {
        let frame = self.encoding.bytes() * self.channels;
        let mut block = [0; BLOCK];
        loop {
            let most = self.left.map_or(BLOCK, |left| left.min(BLOCK as u64) as usize);
            let n = match self.reader.read(&mut block[..most]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                done => done.map_err(|e| io_error(&self.name, e))?,
            };
            if n == 0 {
                return self.end();
            }
            self.left = self.left.map(|left| left - n as u64);
            self.bytes.extend_from_slice(&block[..n]);
            let whole = self.bytes.len() / frame * frame;
            for bytes in self.bytes[..whole].chunks_exact(frame) {
                out.push(self.encoding.mono(bytes, self.channels).map_err(|value| WavError::NotFinite {
                    path: self.name.clone(),
                    index: self.samples,
                    value,
                })?);
                self.samples += 1;
            }
            self.bytes.drain(..whole);
            if whole > 0 {
                return Ok(whole / frame);
            }
        }
    }

    fn end(&self) -> Result<usize, WavError> {
        let path = self.name.clone();
        match self.left {
            Some(left) if left > 0 => {
                let found = self.samples * (self.encoding.bytes() * self.channels) as u64;
                let found = found + self.bytes.len() as u64;
                Err(WavError::Truncated { path, found, wanted: found + left })
            }
            _ if self.samples == 0 => Err(WavError::Empty { path }),
            _ => Ok(0),
        }
    }
}
