//! The one `match` over families.

use crate::ar::{Generator, Generators, Sampling, Stream, Streams, Symbol};
use crate::char_rnn::{self, CharRnn};
use crate::config::ConfigError;
use crate::gpt::{self, Gpt};
use crate::kernels::Isa;
use crate::ngram::{self, Ngram};
use crate::wavenet::{self, WaveNet};
use crate::weights::{self, Checkpoint, CheckpointError, Dtype, Header, Layout, TensorSpec, WeightsError};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a model can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read as a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A family that this program does not know.
    #[error("{path}: family `{found}`, this program knows `wavenet`, `char_rnn`, `gpt` and `ngram`")]
    Family {
        /// The file.
        path: PathBuf,
        /// Its family.
        found: String,
    },
    /// A known family where a voice is wanted.
    #[error("{path}: family `{found}`, wanted a voice (wavenet)")]
    NotAVoice {
        /// The file.
        path: PathBuf,
        /// Its family.
        found: &'static str,
    },
    /// The config does not parse or is out of range.
    #[error("{path}: {reason}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A type of weights that no tensor of the family can have.
    #[error("{path}: weights of {wanted}: family `{family}` keeps its weights as {found}")]
    Dtype {
        /// The file.
        path: PathBuf,
        /// The type asked for.
        wanted: Dtype,
        /// Its family.
        family: &'static str,
        /// The smallest type that its weights have.
        found: Dtype,
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
    /// See [`crate::char_rnn`].
    CharRnn(char_rnn::Config),
    /// See [`crate::gpt`].
    Gpt(gpt::Config),
    /// See [`crate::ngram`].
    Ngram(ngram::Config),
}

impl FamilyConfig {
    /// The config that a header names; `path` is used in errors only.
    ///
    /// # Errors
    /// An unknown family, or sizes out of range.
    pub fn from_header(header: &Header, path: &Path) -> Result<Self, LoadError> {
        fn parse<C: DeserializeOwned>(
            header: &Header,
            path: &Path,
            validate: fn(&C) -> Result<(), ConfigError>,
        ) -> Result<C, LoadError> {
            let err = |reason: String| LoadError::Config { path: path.into(), reason };
            let c = serde_json::from_value(header.config.clone()).map_err(|e| err(format!("config: {e}")))?;
            validate(&c).map_err(|e| err(e.to_string()))?;
            Ok(c)
        }
        match header.family.as_str() {
            wavenet::FAMILY => Ok(Self::WaveNet(parse(header, path, wavenet::Config::validate)?)),
            char_rnn::FAMILY => Ok(Self::CharRnn(parse(header, path, char_rnn::Config::validate)?)),
            gpt::FAMILY => Ok(Self::Gpt(parse(header, path, gpt::Config::validate)?)),
            ngram::FAMILY => Ok(Self::Ngram(parse(header, path, ngram::Config::validate)?)),
            found => Err(LoadError::Family { path: path.into(), found: found.into() }),
        }
    }

    /// The family's name in a checkpoint.
    pub fn family(&self) -> &'static str {
        match self {
            Self::WaveNet(_) => wavenet::FAMILY,
            Self::CharRnn(_) => char_rnn::FAMILY,
            Self::Gpt(_) => gpt::FAMILY,
            Self::Ngram(_) => ngram::FAMILY,
        }
    }

    /// The config of a voice; `path` is used in errors only.
    ///
    /// # Errors
    /// A family that makes no sound.
    pub fn into_voice(self, path: &Path) -> Result<wavenet::Config, LoadError> {
        match self {
            Self::WaveNet(c) => Ok(c),
            other => Err(LoadError::NotAVoice { path: path.into(), found: other.family() }),
        }
    }

    /// Every tensor of the family.
    pub fn table(&self) -> Vec<TensorSpec> {
        match self {
            Self::WaveNet(c) => c.table(),
            Self::CharRnn(c) => c.table(),
            Self::Gpt(c) => c.table(),
            Self::Ngram(c) => c.table(),
        }
    }

    /// The family's tensors, laid out for the trainer.
    pub fn layout(&self) -> Layout {
        Layout::new(self.table())
    }

    /// Multiply-adds for one symbol, what is computed per conditioning frame left out.
    pub fn macs_per_symbol(&self) -> usize {
        match self {
            Self::WaveNet(c) => c.macs_per_sample(),
            Self::CharRnn(c) => c.macs_per_symbol(),
            Self::Gpt(c) => c.macs_per_symbol(),
            // Counted at its most: every symbol in every context of a path.
            Self::Ngram(c) => c.order * c.classes,
        }
    }

    /// Symbols that a conditioning frame lasts; 1 without a condition.
    pub fn hop(&self) -> usize {
        match self {
            Self::WaveNet(c) => c.hop(),
            Self::CharRnn(_) | Self::Gpt(_) | Self::Ngram(_) => 1,
        }
    }

    /// Number of symbols.
    pub fn classes(&self) -> usize {
        match self {
            Self::WaveNet(c) => c.classes,
            Self::CharRnn(c) => c.classes,
            Self::Gpt(c) => c.classes,
            Self::Ngram(c) => c.classes,
        }
    }

    /// The symbol that stands for x_{−1}.
    pub fn start(&self) -> Symbol {
        match self {
            Self::WaveNet(c) => c.start,
            Self::CharRnn(c) => c.start,
            Self::Gpt(c) => c.start,
            Self::Ngram(c) => c.start,
        }
    }

    /// Length of a conditioning frame; 0 for an unconditional model.
    pub fn cond_len(&self) -> usize {
        match self {
            Self::WaveNet(c) => c.cond_len(),
            Self::CharRnn(_) | Self::Gpt(_) | Self::Ngram(_) => 0,
        }
    }

    /// Symbols of the past that a prediction depends on; `None` where all of them count.
    pub fn past_len(&self) -> Option<usize> {
        match self {
            Self::WaveNet(c) => Some(c.receptive_field()),
            Self::CharRnn(_) => None,
            Self::Gpt(c) => Some(c.context),
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
            Self::CharRnn(c) => serde_json::to_value(c),
            Self::Gpt(c) => serde_json::to_value(c),
            Self::Ngram(c) => serde_json::to_value(c),
        }
    }
}

/// Stores the tensors of `file` as [`weights::quantise`] says; `path` is used in errors only.
///
/// # Errors
/// As [`Loaded::open`], a value that the type does not have, and a family that has no weights of it.
pub fn quantise(file: &mut Checkpoint, path: &Path, dtype: Dtype) -> Result<(), LoadError> {
    let config = FamilyConfig::from_header(&file.header, path)?;
    weights::quantise(&mut file.tensors, config.layout().table(), dtype)
        .map_err(|source| LoadError::Weights { path: path.into(), source })?;
    match weights::dtype(&file.tensors) {
        found if found > dtype => {
            Err(LoadError::Dtype { path: path.into(), wanted: dtype, family: config.family(), found })
        }
        _ => Ok(()),
    }
}

/// Puts the network for others' tracks of the voice in `file` half-way to that for own tracks: see
/// [`wavenet::Config::half_way`]. `path` is used in errors only.
///
/// # Errors
/// As [`Loaded::open`], another family, and a voice without such a network.
pub fn half_way(file: &mut Checkpoint, path: &Path) -> Result<(), LoadError> {
    let config = FamilyConfig::from_header(&file.header, path)?.into_voice(path)?;
    weights::check(&file.tensors, &config.table())
        .map_err(|source| LoadError::Weights { path: path.into(), source })?;
    let bad = |reason| LoadError::Config { path: path.into(), reason };
    let Some((config, tensors)) = config.half_way(&file.tensors) else {
        return Err(bad(
            "no network for others' tracks (config: `others` is 0), so nothing to put half-way".into()
        ));
    };
    file.header.config = FamilyConfig::WaveNet(config).to_json().map_err(|e| bad(e.to_string()))?;
    file.tensors = tensors;
    Ok(())
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
    CharRnn(Arc<CharRnn>),
    Gpt(Arc<Gpt>),
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
        let wrong = |source| LoadError::Weights { path: path.into(), source };
        let packed = match &config {
            FamilyConfig::WaveNet(c) => {
                Packed::WaveNet(Arc::new(WaveNet::new(c, &file.tensors, isa).map_err(wrong)?))
            }
            FamilyConfig::CharRnn(c) => {
                Packed::CharRnn(Arc::new(CharRnn::new(c, &file.tensors, isa).map_err(wrong)?))
            }
            FamilyConfig::Gpt(c) => Packed::Gpt(Arc::new(Gpt::new(c, &file.tensors, isa).map_err(wrong)?)),
            FamilyConfig::Ngram(c) => {
                weights::check(&file.tensors, &c.table()).map_err(wrong)?;
                let reason = |e: ngram::TableError| e.to_string();
                let bad = |reason| LoadError::Config { path: path.into(), reason };
                c.check_values(&file.tensors).map_err(reason).map_err(bad)?;
                Packed::Ngram(Arc::new(Ngram::new(c, &file.tensors)))
            }
        };
        let dtype = weights::dtype(&file.tensors);
        Ok(Self { header: file.header, config, dtype, packed })
    }

    /// The vectors of a voice's speakers, end to end; empty without any.
    pub fn speakers(&self) -> &[f32] {
        match &self.packed {
            Packed::WaveNet(m) => m.speakers(),
            Packed::CharRnn(_) | Packed::Gpt(_) | Packed::Ngram(_) => &[],
        }
    }

    /// A fresh stream.
    pub fn generator(&self, sampling: Sampling) -> Box<dyn Generator> {
        match &self.packed {
            Packed::WaveNet(m) => Box::new(Stream::new(m.clone(), sampling)),
            Packed::CharRnn(m) => Box::new(Stream::new(m.clone(), sampling)),
            Packed::Gpt(m) => Box::new(Stream::new(m.clone(), sampling)),
            Packed::Ngram(m) => Box::new(Stream::new(m.clone(), sampling)),
        }
    }

    /// Memory for `most` streams in lockstep, none of which runs yet.
    pub fn streams(&self, most: usize, sampling: Sampling) -> Box<dyn Generators> {
        match &self.packed {
            Packed::WaveNet(m) => Box::new(Streams::new(m.clone(), most, sampling)),
            Packed::CharRnn(m) => Box::new(Streams::new(m.clone(), most, sampling)),
            Packed::Gpt(m) => Box::new(Streams::new(m.clone(), most, sampling)),
            Packed::Ngram(m) => Box::new(Streams::new(m.clone(), most, sampling)),
        }
    }
}
