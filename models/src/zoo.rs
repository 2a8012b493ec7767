//! The one `match` over families.

use crate::ar::{Generator, Sampling, Stream};
use crate::kernels::Isa;
use crate::wavenet::{self, WaveNet};
use crate::weights::{self, Checkpoint, CheckpointError, Dtype, Header, Layout, WeightsError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a model can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read as a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A family that this program does not know.
    #[error("{path}: family `{found}`, this program knows `wavenet`")]
    Family {
        /// The file.
        path: PathBuf,
        /// Its family.
        found: String,
    },
    /// The config does not parse or is out of range.
    #[error("{path}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The tensors are not those of the config.
    #[error("{path}: {source}")]
    Weights {
        /// The file.
        path: PathBuf,
        /// The difference.
        source: WeightsError,
    },
}

/// The config of a known family.
#[derive(Debug, Clone, PartialEq)]
pub enum FamilyConfig {
    /// See [`crate::wavenet`].
    WaveNet(wavenet::Config),
}

impl FamilyConfig {
    /// The config that a header names; `path` is used in errors only.
    ///
    /// # Errors
    /// An unknown family, or sizes out of range.
    pub fn from_header(header: &Header, path: &Path) -> Result<Self, LoadError> {
        let config = |reason: String| LoadError::Config { path: path.into(), reason };
        match header.family.as_str() {
            wavenet::FAMILY => {
                let c: wavenet::Config = serde_json::from_value(header.config.clone())
                    .map_err(|e| config(format!("config: {e}")))?;
                c.validate().map_err(|e| config(e.to_string()))?;
                Ok(Self::WaveNet(c))
            }
            found => Err(LoadError::Family { path: path.into(), found: found.into() }),
        }
    }

    /// The family's tensors, laid out for the trainer.
    pub fn layout(&self) -> Layout {
        match self {
            Self::WaveNet(c) => Layout::new(c.table()),
        }
    }
}

/// Stores the tensors of `file` as [`weights::narrow`] says; `path` is used in errors only.
///
/// # Errors
/// As [`Loaded::open`], and a value that the type does not have.
pub fn narrow(file: &mut Checkpoint, path: &Path, dtype: Dtype) -> Result<(), LoadError> {
    let config = FamilyConfig::from_header(&file.header, path)?;
    weights::narrow(&mut file.tensors, config.layout().table(), dtype)
        .map_err(|source| LoadError::Weights { path: path.into(), source })
}

/// A model, loaded, checked and packed: any number of streams can be started from it.
#[derive(Clone)]
pub struct Loaded {
    /// What the checkpoint said of itself.
    pub header: Header,
    /// The family and its sizes.
    pub config: FamilyConfig,
    /// The smallest type that weights are packed as.
    pub dtype: Dtype,
    packed: Packed,
}

#[derive(Clone)]
enum Packed {
    WaveNet(Arc<WaveNet>),
}

impl Loaded {
    /// Reads, checks and packs the checkpoint at `path` for `isa`.
    ///
    /// # Errors
    /// [`LoadError`], which names the file and what in it is wrong.
    pub fn open(path: &Path, isa: Isa) -> Result<Self, LoadError> {
        Self::from_checkpoint(Checkpoint::read(path)?, path, isa)
    }

    /// Checks and packs a checkpoint that was read already; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`Loaded::open`].
    pub fn from_checkpoint(file: Checkpoint, path: &Path, isa: Isa) -> Result<Self, LoadError> {
        let config = FamilyConfig::from_header(&file.header, path)?;
        let weights = |source| LoadError::Weights { path: path.into(), source };
        let packed = match &config {
            FamilyConfig::WaveNet(c) => {
                Packed::WaveNet(Arc::new(WaveNet::new(c, &file.tensors, isa).map_err(weights)?))
            }
        };
        let dtype = weights::dtype(&file.tensors);
        Ok(Self { header: file.header, config, dtype, packed })
    }

    /// A fresh stream.
    pub fn generator(&self, sampling: Sampling) -> Box<dyn Generator> {
        match &self.packed {
            Packed::WaveNet(m) => Box::new(Stream::new(m.clone(), sampling)),
        }
    }
}
