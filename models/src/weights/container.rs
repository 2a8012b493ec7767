//! The head of a checkpoint's file: read and checked before anything behind it is.

use super::CheckpointError;
use super::checkpoint::HEADER_KEY;
use super::unique_keys::unique_keys;
use crate::memory;
use safetensors::tensor::{Dtype, Metadata};
use serde::{Deserialize, Serialize};
use std::io::Read;

/// The metadata key that holds the size and the checksum as JSON.
pub const CHECKSUM_KEY: &str = "wavesynth.checksum";

/// Bytes of the longest head that is read, 16 MiB: a tokeniser of 65,536 tokens has a few.
pub const MOST_HEAD: u64 = 1 << 24;

/// Bytes of the number in front of the head: its length.
const LENGTH: u64 = 8;

/// What a file says of its own content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksum {
    /// Bytes of all tensors.
    bytes: u64,
    /// CRC-32 (ISO 3309, as in gzip) of the text under [`HEADER_KEY`] in UTF-8, with the bytes of all tensors behind it.
    crc32: u32,
}

impl Checksum {
    /// Of a file with this header and these tensors.
    pub fn of(header: &str, tensors: &[u8]) -> Self {
        let mut crc = crc32fast::Hasher::new();
        crc.update(header.as_bytes());
        crc.update(tensors);
        Self { bytes: tensors.len() as u64, crc32: crc.finalize() }
    }
}

/// A file's head.
pub(super) struct Head {
    /// Names, types, shapes and places of the tensors.
    pub tensors: Metadata,
    /// The text under [`HEADER_KEY`].
    pub header: String,
    /// Files of earlier versions have none.
    checksum: Option<Checksum>,
    /// Bytes of all tensors.
    bytes: u64,
    /// Bytes of the whole file.
    file: u64,
}

impl Head {
    /// Reads a head. `len` are the bytes of the whole file, where that is known.
    pub fn read(from: &mut impl Read, len: Option<u64>) -> Result<Self, CheckpointError> {
        let container = |e: String| CheckpointError::Container(e);
        let mut length = [0; LENGTH as usize];
        from.read_exact(&mut length).map_err(|e| container(format!("no head: {e}")))?;
        let n = u64::from_le_bytes(length);
        if n > MOST_HEAD {
            return Err(container(format!("a head of {n} bytes, at most {MOST_HEAD} are read")));
        }
        let mut text = Vec::new();
        from.take(n).read_to_end(&mut text).map_err(CheckpointError::Io)?;
        if (text.len() as u64) < n {
            return Err(container(format!("cut off: a head of {n} bytes, {} are there", text.len())));
        }
        let text = std::str::from_utf8(&text).map_err(|e| container(format!("its head: {e}")))?;
        unique_keys(text).map_err(|e| container(format!("its head: {e}")))?;
        let tensors: Metadata =
            serde_json::from_str(text).map_err(|e| container(format!("its head: {e}")))?;
        let mut metadata = tensors.metadata().clone().unwrap_or_default();
        let header = metadata.remove(HEADER_KEY).ok_or(CheckpointError::NoHeader)?;
        let checksum = metadata.get(CHECKSUM_KEY).map(|json| serde_json::from_str(json)).transpose();
        let checksum = checksum.map_err(|e| container(format!("`{CHECKSUM_KEY}` in its head: {e}")))?;
        let bytes = tensors.tensors().values().map(|t| t.data_offsets.1 as u64).max().unwrap_or(0);
        let head = Self { tensors, header, checksum, bytes, file: LENGTH + n + bytes };
        match len {
            Some(len) if len != head.file => Err(head.wrong_size(len)),
            _ => Ok(head),
        }
    }

    fn wrong_size(&self, found: u64) -> CheckpointError {
        CheckpointError::Size { found, wanted: self.file }
    }

    /// Checks that the tensors' bytes and their values in 32 bits fit in the memory that a model may take.
    pub fn check_memory(&self) -> Result<(), CheckpointError> {
        let values = |info: &safetensors::tensor::TensorInfo| {
            let (from, to) = info.data_offsets;
            let scale = match info.dtype {
                Dtype::F32 => 1,
                Dtype::F16 => 2,
                _ => 4,
            };
            scale * (to - from) as u64
        };
        let values = self.tensors.tensors().into_values().map(values).fold(0, u64::saturating_add);
        Ok(memory::check("reading its tensors", values.saturating_add(self.bytes))?)
    }

    /// Reads the tensors' bytes behind the head, to the file's end, and checks them.
    pub fn read_tensors(&self, from: &mut impl Read) -> Result<Vec<u8>, CheckpointError> {
        let mut bytes = Vec::new();
        // One more tells whether the file goes on.
        from.take(self.bytes + 1).read_to_end(&mut bytes).map_err(CheckpointError::Io)?;
        if bytes.len() as u64 != self.bytes {
            return Err(self.wrong_size(self.file - self.bytes + bytes.len() as u64));
        }
        self.check(&bytes)?;
        Ok(bytes)
    }

    /// Compares the checksum, if there is one.
    pub fn check(&self, tensors: &[u8]) -> Result<(), CheckpointError> {
        match self.checksum {
            Some(wanted) if wanted != Checksum::of(&self.header, tensors) => Err(CheckpointError::Checksum),
            _ => Ok(()),
        }
    }
}
