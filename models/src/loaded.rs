//! A checkpoint of any family as a model: read, checked, packed.

use crate::adaptation::{self, Adaptation};
use crate::ar::{Generator, Generators, Sampling};
use crate::families;
use crate::family::{FamilyConfig, PackError, Packed};
use crate::in_file::{AtPath, InFile};
use crate::kernels::Isa;
use crate::memory::{Memory, MemoryError, bytes};
use crate::second;
use crate::vq_vae::{self, VqVae};
use crate::weights::{self, Checkpoint, CheckpointError, Dtype, Header, TensorSpec, Tensors, WeightsError};
use std::path::Path;
use std::sync::Arc;

/// Why a checkpoint is no model.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ModelError {
    /// A family that this program does not know.
    #[error("family `{0}`, this program knows {known}", known = families::names(|n| format!("`{n}`"), "and"))]
    Family(String),
    /// A VQ-VAE, which draws nothing by itself.
    #[error(
        "a VQ-VAE, which only codes images; a model of its codes draws: train one with images.codes, or `wavesynth eval` this one"
    )]
    VqVae,
    /// The config does not parse or is out of range, or a value of a tensor means nothing.
    #[error("{0}")]
    Config(String),
    /// A type of weights that no tensor of the family can have.
    #[error("weights of {wanted}: family `{family}` keeps its weights as {found}")]
    Dtype {
        /// The type asked for.
        wanted: Dtype,
        /// The family.
        family: String,
        /// The smallest type that its weights have.
        found: Dtype,
    },
    /// Tensors of an adaptation for a model that takes none, or of a rank that none has.
    #[error("an adaptation of rank {rank}: {why}")]
    Adaptation {
        /// The rank; 0 where no tensor has one.
        rank: usize,
        /// What was wanted.
        why: String,
    },
    /// The tensors are not those of the config.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// More memory than a model may take.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

/// Why a file can't be opened as a model.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read as a checkpoint.
    #[error("{0}")]
    Checkpoint(#[from] InFile<CheckpointError>),
    /// It can, and it is no model.
    #[error("{0}")]
    Model(#[from] InFile<ModelError>),
}

impl From<PackError> for ModelError {
    fn from(e: PackError) -> Self {
        match e {
            PackError::Weights(e) => Self::Weights(e),
            PackError::Value(e) => Self::Config(e),
        }
    }
}

impl FamilyConfig {
    /// The config that a header names.
    ///
    /// # Errors
    /// An unknown family, or sizes out of range.
    pub fn from_header(header: &Header) -> Result<Self, ModelError> {
        if header.family == vq_vae::NAME {
            return Err(ModelError::VqVae);
        }
        let family =
            families::find(&header.family).ok_or_else(|| ModelError::Family(header.family.clone()))?;
        family.read(&header.config).map_err(ModelError::Config)
    }

    /// The header of a checkpoint of this config, with no sections.
    ///
    /// # Errors
    /// None that a config of numbers gives.
    pub fn to_header(&self) -> serde_json::Result<Header> {
        Ok(Header {
            version: weights::VERSION,
            family: self.family().into(),
            config: self.to_json()?,
            sections: serde_json::Map::new(),
        })
    }
}

/// The VQ-VAE whose codes are the symbols of a model with this header, where there is one: its sizes.
///
/// # Errors
/// Sizes out of range, or another number of codes than `config` has symbols.
fn coder(header: &Header, config: &FamilyConfig) -> Result<Option<vq_vae::Config>, ModelError> {
    let coder = vq_vae::Config::from_header(header).map_err(ModelError::Config)?;
    let symbols = config.facts().likelihood.classes();
    match coder {
        Some(c) if c.codes != symbols => {
            Err(ModelError::Config(format!("{symbols} symbols, its VQ-VAE has {} codes", c.codes)))
        }
        other => Ok(other),
    }
}

/// Every tensor of a checkpoint with this header: those of its family or VQ-VAE, and behind a family's those of the VQ-VAE whose
/// codes are its symbols and those of a second network, where there is one.
///
/// # Errors
/// An unknown family, or sizes out of range.
pub fn table(header: &Header) -> Result<Vec<TensorSpec>, ModelError> {
    if header.family == vq_vae::NAME {
        let config = vq_vae::Config::from_header(header).map_err(ModelError::Config)?;
        return Ok(config.map_or(Vec::new(), |c| c.table()));
    }
    let config = FamilyConfig::from_header(header)?;
    let coder = coder(header, &config)?;
    let prefixed = coder.iter().flat_map(vq_vae::Config::prefixed_table);
    Ok(config.table().into_iter().chain(prefixed).chain(second::table(header)?).collect())
}

/// Stores the tensors of `file` as [`weights::quantise`] says.
///
/// # Errors
/// As [`Loaded::from_checkpoint`], a value that the type does not have, and a family that has no weights of it.
pub fn quantise(file: &mut Checkpoint, dtype: Dtype) -> Result<(), ModelError> {
    weights::quantise(&mut file.tensors, &table(&file.header)?, dtype)?;
    match weights::dtype(&file.tensors) {
        found if found > dtype => {
            Err(ModelError::Dtype { wanted: dtype, family: file.header.family.clone(), found })
        }
        _ => Ok(()),
    }
}

fn check_room(memory: &Memory, streams: usize) -> Result<(), MemoryError> {
    let (weights, each) = (bytes(memory.weights), bytes(memory.stream));
    let what = format!("the model's weights ({weights}) and streams ({streams} of {each})");
    crate::memory::check(what, memory.total(streams))
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
    /// The most memory that it takes.
    pub memory: Memory,
    /// What makes its symbols of images and images of its symbols, where they are the codes of a VQ-VAE.
    pub vq_vae: Option<Arc<VqVae>>,
    /// The checkpoint's second network, where there is one.
    pub second: Option<Box<Loaded>>,
    packed: Packed,
}

impl Loaded {
    /// Reads, checks and packs the checkpoint at `path` for `isa`.
    ///
    /// # Errors
    /// [`LoadError`], which names the file and what in it is wrong.
    pub fn open(path: &Path, isa: Isa) -> Result<Self, LoadError> {
        Ok(Self::from_checkpoint(Checkpoint::read(path)?, isa).at(path)?)
    }

    /// Checks and packs a checkpoint that was read already.
    ///
    /// # Errors
    /// What in it is wrong.
    pub fn from_checkpoint(mut file: Checkpoint, isa: Isa) -> Result<Self, ModelError> {
        let config = FamilyConfig::from_header(&file.header)?;
        let coder = coder(&file.header, &config)?;
        let second = second::take(&mut file)?.map(|c| Self::from_checkpoint(c, isa)).transpose()?;
        let mut memory = Memory::of(&config);
        if let Some(second) = &second {
            memory.weights = memory.weights.saturating_add(second.memory.weights);
            memory.stream = memory.stream.saturating_add(second.memory.stream);
        }
        memory.weights = memory.weights.saturating_add(coder.as_ref().map_or(0, vq_vae::Config::bytes));
        check_room(&memory, 1)?;
        let vq_vae =
            coder.map(|c| VqVae::pack(&c, &vq_vae::take(&c, &mut file.tensors)?, isa)).transpose()?;
        let packed = config.pack(&file.tensors, isa)?;
        let dtype = weights::dtype(&file.tensors);
        let (vq_vae, second) = (vq_vae.map(Arc::new), second.map(Box::new));
        Ok(Self { header: file.header, config, dtype, memory, vq_vae, second, packed })
    }

    /// Checks that so many streams at a time are within the [limit of memory](crate::memory::limit). One is, as far as
    /// the limit was the same when the model was loaded.
    ///
    /// # Errors
    /// When they are not.
    pub fn check_room(&self, streams: usize) -> Result<(), MemoryError> {
        check_room(&self.memory, streams)
    }

    /// The embedding table of the condition (a voice's speakers), row by row; empty without one.
    pub fn embeddings(&self) -> &[f32] {
        self.packed.embeddings()
    }

    /// Packs the adaptation `tensors` for this model.
    ///
    /// # Errors
    /// A family without adaptations, a rank out of range, tensors that are missing, too many or of other shapes.
    pub fn adaptation(&self, tensors: &Tensors) -> Result<Adaptation, ModelError> {
        let rank = adaptation::rank(tensors).unwrap_or(0);
        let wrong = |why| ModelError::Adaptation { rank, why };
        if !(1..=adaptation::MAX_RANK).contains(&rank) {
            return Err(wrong(format!("wanted a rank from 1 to {}", adaptation::MAX_RANK)));
        }
        let takes_none = || wrong("this model takes no adaptation".into());
        let table = self.config.adaptation_table(rank);
        if table.is_empty() {
            return Err(takes_none());
        }
        weights::check(tensors, &table)?;
        self.packed.adaptation(tensors).ok_or_else(takes_none)
    }

    /// K, the classes that the classification head tells; 0 for a model without one.
    pub fn classifier(&self) -> usize {
        self.packed.classifier()
    }

    /// The logits of those classes for a sequence whose mean over the steps of the last row that
    /// [`Generator::read_hidden`] writes is `mean`; nothing without a head.
    ///
    /// # Panics
    /// When `mean` is not as wide as such a row.
    pub fn class_logits(&self, mean: &[f32]) -> Vec<f32> {
        self.packed.class_logits(mean)
    }

    /// A fresh stream.
    pub fn generator(&self, sampling: Sampling) -> Box<dyn Generator> {
        self.packed.generator(sampling)
    }

    /// Memory for `most` streams in lockstep, none of which runs yet.
    pub fn generators(&self, most: usize, sampling: Sampling) -> Box<dyn Generators> {
        self.packed.generators(most, sampling)
    }
}
