//! The checkpoint: one safetensors file whose header says what the tensors are. Written down in `docs/formats.md`.

use super::container::{CHECKSUM_KEY, Checksum, Head};
use super::unique_keys::unique_keys;
use super::{Stored, Tensor, Tensors, nearest_i8};
use crate::in_file::{AtPath, InFile};
use crate::memory::MemoryError;
use half::f16;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use wavesynth_output::plan::Why;
use wavesynth_output::{Output, kind};

/// The metadata key that holds [`Header`] as JSON.
pub const HEADER_KEY: &str = "wavesynth";

/// Version of the header that this program writes and the only one that it reads.
pub const VERSION: u32 = 1;

/// What a checkpoint says of itself.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub struct Header {
    /// [`VERSION`].
    pub version: u32,
    /// The family, as [`crate::families`] knows it.
    pub family: String,
    /// The family's `Config`.
    pub config: serde_json::Value,
    /// Sections that the model itself does not read: the audio front end, speakers, provenance.
    #[serde(flatten)]
    pub sections: serde_json::Map<String, serde_json::Value>,
}

/// A model as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// What the tensors are.
    pub header: Header,
    /// The values.
    pub tensors: Tensors,
}

/// The header of the checkpoint at `path`, as far as there is one that can be read.
pub fn header_of(path: &Path) -> Option<Header> {
    serde_json::from_str(&kind::metadata(path)?.remove(HEADER_KEY)?).ok()
}

/// Why a checkpoint can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It can't be written there.
    #[error(transparent)]
    Output(Why),
    /// The file system said no.
    #[error("{0}")]
    Io(std::io::Error),
    /// A file of another length than its head says.
    #[error("a file of {found} bytes, its head says {wanted}: cut off or damaged")]
    Size {
        /// Its bytes, or as many as were read.
        found: u64,
        /// As its head says.
        wanted: u64,
    },
    /// Other bytes than were written.
    #[error("damaged: its content does not match the checksum in its head")]
    Checksum,
    /// More memory than a model may take.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Not a safetensors file, or cut off.
    #[error("not a safetensors file, or damaged ({0})")]
    Container(String),
    /// A safetensors file of somebody else's.
    #[error("a safetensors file without a `wavesynth` header, so not a wavesynth checkpoint")]
    NoHeader,
    /// The header does not parse.
    #[error("the `wavesynth` header is damaged ({0})")]
    Header(String),
    /// Written by another version.
    #[error("checkpoint version {0}, this program reads version {VERSION}")]
    Version(u32),
    /// A tensor type that is not supported.
    #[error("tensor {name} is {found}, wanted F32, F16 or I8")]
    Dtype {
        /// The tensor.
        name: String,
        /// Its type.
        found: String,
    },
    /// An i8 tensor whose codes or scales are none.
    #[error("tensor {name} is I8, {reason}")]
    I8 {
        /// The tensor.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

/// What the name of an i8 tensor's scales ends in.
const SCALE: &str = ".scale";

impl Checkpoint {
    /// Reads a checkpoint. The tensors are what the file holds; whether they fit the config is the family's to
    /// [check](super::check).
    ///
    /// # Errors
    /// [`CheckpointError`], with the file.
    pub fn read(path: &Path) -> Result<Self, InFile<CheckpointError>> {
        let read = || {
            let file = File::open(path).map_err(CheckpointError::Io)?;
            let metadata = file.metadata().map_err(CheckpointError::Io)?;
            // A pipe has no length that is known, a folder none that means anything.
            let len = metadata.is_file().then_some(metadata.len());
            Self::from_reader(file, len)
        };
        read().at(path)
    }

    /// Reads a checkpoint from memory.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        Self::from_reader(bytes, Some(bytes.len() as u64))
    }

    /// Nothing is read, and no memory taken, beyond what the head says and the limit of memory allows.
    fn from_reader(mut from: impl Read, len: Option<u64>) -> Result<Self, CheckpointError> {
        let head = Head::read(&mut from, len)?;
        let damaged = |e: serde_json::Error| CheckpointError::Header(e.to_string());
        unique_keys(&head.header).map_err(damaged)?;
        let header: Header = serde_json::from_str(&head.header).map_err(damaged)?;
        if header.version != VERSION {
            return Err(CheckpointError::Version(header.version));
        }
        head.check_memory()?;
        let bytes = head.read_tensors(&mut from)?;
        let mut tensors = Tensors::new();
        let mut codes = Vec::new();
        for (name, info) in head.tensors.tensors() {
            let data = &bytes[info.data_offsets.0..info.data_offsets.1];
            let halves = || data.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect();
            let (data, stored) = match info.dtype {
                Dtype::F32 => (floats(data), Stored::F32),
                Dtype::F16 => (halves(), Stored::F16),
                Dtype::I8 => {
                    codes.push(name.clone());
                    (data.iter().map(|&b| f32::from(b as i8)).collect(), Stored::F32)
                }
                found => {
                    let found = format!("{found:?}");
                    return Err(CheckpointError::Dtype { name, found });
                }
            };
            tensors.insert(name, Tensor { stored, ..Tensor::new(&info.shape, data) });
        }
        for name in codes {
            let scales = tensors.remove(&format!("{name}{SCALE}"));
            if let Some(t) = tensors.get_mut(&name) {
                scale(t, scales).map_err(|reason| CheckpointError::I8 { name, reason })?;
            }
        }
        Ok(Self { header, tensors })
    }

    /// Writes the checkpoint to `path`, whole or not at all.
    ///
    /// # Errors
    /// [`CheckpointError`], with the file.
    pub fn write(&self, path: &Path) -> Result<(), InFile<CheckpointError>> {
        Output::at(path).map_err(|e| CheckpointError::Output(e.why)).at(path).and_then(|to| self.write_to(to))
    }

    /// Writes the checkpoint to an output that is checked already.
    ///
    /// # Errors
    /// As [`Checkpoint::write`].
    pub fn write_to(&self, output: Output) -> Result<(), InFile<CheckpointError>> {
        let path = output.path().to_path_buf();
        let bytes = self.to_bytes().map_err(|e| CheckpointError::Container(e.to_string()));
        bytes.and_then(|b| output.write(&b).map_err(|e| CheckpointError::Output(e.why))).at(&path)
    }

    /// The bytes of the file.
    fn to_bytes(&self) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let mut raw: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, t) in &self.tensors {
            let (dtype, bytes) = match &t.stored {
                Stored::F32 => (Dtype::F32, bytes(&t.data)),
                Stored::F16 => {
                    (Dtype::F16, t.data.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect())
                }
                Stored::I8 { scales } => {
                    raw.push((format!("{name}{SCALE}"), Dtype::F32, vec![scales.len()], bytes(scales)));
                    let scales = scales.iter().cycle();
                    (Dtype::I8, t.data.iter().zip(scales).map(|(&v, &s)| nearest_i8(v, s) as u8).collect())
                }
            };
            raw.push((name.clone(), dtype, t.shape.clone(), bytes));
        }
        let views: Result<Vec<_>, safetensors::SafeTensorError> = raw
            .iter()
            .map(|(name, dtype, shape, raw)| {
                Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), raw)?))
            })
            .collect();
        let header = serde_json::to_string(&self.header).map_err(safetensors::SafeTensorError::JsonError)?;
        let mut bytes = safetensors::serialize(views?, None)?;
        insert_metadata(&mut bytes, &header)?;
        Ok(bytes)
    }
}

/// Puts the header and a checksum into the head of a file without metadata, always in this order.
fn insert_metadata(file: &mut Vec<u8>, header: &str) -> Result<(), safetensors::SafeTensorError> {
    let (length, rest) = file.split_first_chunk::<8>().ok_or(safetensors::SafeTensorError::HeaderTooSmall)?;
    let (head, tensors) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let text = std::str::from_utf8(head).map_err(safetensors::SafeTensorError::InvalidHeader)?;
    let json = |value: &serde_json::Value| serde_json::to_string(value);
    let checksum = serde_json::to_value(Checksum::of(header, tensors)).and_then(|c| json(&c));
    let metadata = checksum.and_then(|c| json(&json!({ HEADER_KEY: header, CHECKSUM_KEY: c })));
    let metadata = metadata.map_err(safetensors::SafeTensorError::JsonError)?;
    let entries = text.trim_end();
    let entries = entries.strip_prefix('{').and_then(|e| e.strip_suffix('}')).unwrap_or(entries);
    let comma = if entries.is_empty() { "" } else { "," };
    let mut head = format!("{{\"__metadata__\":{metadata}{comma}{entries}}}").into_bytes();
    head.resize(head.len().next_multiple_of(8), b' ');
    let old = length.len() + text.len();
    file.splice(..old, (head.len() as u64).to_le_bytes().into_iter().chain(head));
    Ok(())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn bytes(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Makes values of the codes that `t` holds.
fn scale(t: &mut Tensor, scales: Option<Tensor>) -> Result<(), String> {
    let columns = t.columns();
    let scales = scales.ok_or("and has no scales beside it")?;
    if scales.stored != Stored::F32 || scales.shape != [columns] {
        return Err(format!("its scales have shape {:?}, wanted F32 [{columns}]", scales.shape));
    }
    if let Some(s) = scales.data.iter().find(|s| !s.is_normal() || **s < 0.0) {
        return Err(format!("one of its scales is {s}"));
    }
    if t.data.contains(&f32::from(i8::MIN)) {
        return Err("it holds the code -128, codes are -127 to 127".into());
    }
    for (v, s) in t.data.iter_mut().zip(scales.data.iter().cycle()) {
        *v *= s;
    }
    t.stored = Stored::I8 { scales: scales.data };
    Ok(())
}
