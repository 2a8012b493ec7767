//! The one `match` over families.

use crate::ar::{Generator, Sampling, Stream, Symbol};
use crate::kernels::Isa;
use crate::ngram::{self, Ngram};
use crate::wavenet::{self, WaveNet};
use crate::weights::{Checkpoint, CheckpointError, Header, Layout, WeightsError, check};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a model can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read as a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A family that this program does not know.
    #[error("{path}: family `{found}`, this program knows `wavenet`, `ngram`")]
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
    /// See [`crate::ngram`].
    Ngram(ngram::Config),
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
            ngram::FAMILY => {
                let c: ngram::Config = serde_json::from_value(header.config.clone())
                    .map_err(|e| config(format!("config: {e}")))?;
                c.validate().map_err(|e| config(e.to_string()))?;
                Ok(Self::Ngram(c))
            }
            found => Err(LoadError::Family { path: path.into(), found: found.into() }),
        }
    }

    /// The family's tensors, laid out for the trainer.
    pub fn layout(&self) -> Layout {
        match self {
            Self::WaveNet(c) => Layout::new(c.table()),
            Self::Ngram(c) => Layout::new(c.table()),
        }
    }

    /// The family's name.
    pub fn family(&self) -> &'static str {
        match self {
            Self::WaveNet(_) => wavenet::FAMILY,
            Self::Ngram(_) => ngram::FAMILY,
        }
    }

    /// Number of symbols.
    pub fn classes(&self) -> usize {
        match self {
            Self::WaveNet(c) => c.classes,
            Self::Ngram(c) => c.classes,
        }
    }

    /// The symbol that stands for x_{−1}.
    pub fn start(&self) -> Symbol {
        match self {
            Self::WaveNet(c) => c.start,
            Self::Ngram(c) => c.start,
        }
    }

    /// Length of a conditioning frame; 0 for an unconditional model.
    pub fn cond_len(&self) -> usize {
        match self {
            Self::WaveNet(c) => c.cond_len(),
            Self::Ngram(_) => 0,
        }
    }

    /// Symbols of the past that a prediction depends on; `None` where all of them count.
    pub fn memory(&self) -> Option<usize> {
        match self {
            Self::WaveNet(c) => Some(c.receptive_field()),
            Self::Ngram(c) => Some(c.order - 1),
        }
    }

    /// The config as a header holds it.
    ///
    /// # Errors
    /// None that a config of numbers gives.
    pub fn to_json(&self) -> serde_json::Result<serde_json::Value> {
        match self {
            Self::WaveNet(c) => serde_json::to_value(c),
            Self::Ngram(c) => serde_json::to_value(c),
        }
    }
}

/// A model, loaded, checked and packed: any number of streams can be started from it.
#[derive(Clone)]
pub struct Loaded {
    /// What the checkpoint said of itself.
    pub header: Header,
    /// The family and its sizes.
    pub config: FamilyConfig,
    packed: Packed,
}

#[derive(Clone)]
enum Packed {
    WaveNet(Arc<WaveNet>),
    Ngram(Arc<Ngram>),
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
            FamilyConfig::Ngram(c) => {
                check(&file.tensors, &c.table()).map_err(weights)?;
                let reason = |e: ngram::TableError| e.to_string();
                let bad = |reason| LoadError::Config { path: path.into(), reason };
                c.check_values(&file.tensors).map_err(reason).map_err(bad)?;
                Packed::Ngram(Arc::new(Ngram::new(c, &file.tensors)))
            }
        };
        Ok(Self { header: file.header, config, packed })
    }

    /// A fresh stream.
    pub fn generator(&self, sampling: Sampling) -> Box<dyn Generator> {
        match &self.packed {
            Packed::WaveNet(m) => Box::new(Stream::new(m.clone(), sampling)),
            Packed::Ngram(m) => Box::new(Stream::new(m.clone(), sampling)),
        }
    }
}
