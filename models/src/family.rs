//! What a family of networks is: one trait for each, its type forgotten once.
//!
//! A family is a folder in `families/` and a line in [`crate::families::ALL`]. Its `Config` implements [`Family`]; all that a
//! program wants of any family it reaches through [`FamilyConfig`] and [`Loaded`](crate::loaded::Loaded), and what a run file
//! says of a network through [`ModelKeys`]. `docs/new-family.md` says step by step how one is added.

mod keys;
mod registry;

pub use keys::{Given, GivenCondition, GivenImage, Keys, ModelKeys};
pub use registry::Registered;

use crate::adaptation::Adaptation;
use crate::ar::{Generator, Generators, Model, Sampling, Stream, Streams, Symbol};
use crate::condition::ConditionSpec;
use crate::config::ConfigError;
use crate::kernels::Isa;
use crate::likelihood::LikelihoodConfig;
#[cfg(feature = "train")]
use crate::objective::{Learning, Objective, ObjectiveOptions};
use crate::order::Order;
use crate::weights::{Layout, TensorSpec, Tensors, WeightsError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// What the names of the tensors of a classification head begin with, in every family that has one.
pub const CLASSIFIER: &str = "output.classifier.";

/// What a network's sizes mean for whoever uses it.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// What the outputs are the parameters of.
    pub likelihood: LikelihoodConfig,
    /// The symbol that stands for x_{−1}.
    pub start: Symbol,
    /// Which variable each step fills.
    pub order: Order,
    /// What the network is given beside the past.
    pub condition: Option<ConditionSpec>,
    /// Symbols that a conditioning frame lasts; 1 without a condition, or the least that a sequence can be cut at.
    pub hop: usize,
    /// Multiply-adds for one symbol, what is computed once a conditioning frame left out.
    pub macs: usize,
    /// Symbols of the past that a prediction depends on; `None` where all of them count.
    pub past: Option<usize>,
}

impl Facts {
    /// Whether its variables are read and drawn in any order.
    pub fn any_order(&self) -> bool {
        self.condition.as_ref().is_some_and(|c| c.any_order)
    }
}

/// What a family says of a network for a person and for a program.
#[derive(Debug, Clone, Default)]
pub struct Description {
    /// Label and text, a line each.
    pub lines: Vec<(&'static str, String)>,
    /// The same as values.
    pub values: Map<String, Value>,
}

/// A network of a named size that is measured beside others.
#[derive(Debug, Clone)]
pub struct NamedShape<C> {
    /// What the literature calls it.
    pub name: &'static str,
    /// Its sizes.
    pub config: C,
    /// Windows of a training step.
    pub batch: usize,
    /// Symbols of a window in the loss.
    pub window: usize,
}

/// Why tensors can't be packed.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum PackError {
    /// They are not those of the config.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// They are, and a value means nothing.
    #[error("{0}")]
    Value(String),
}

/// A family's config: every size that its equations leave open, as a checkpoint's header holds it.
pub trait Family: Clone + PartialEq + Debug + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The family's name in checkpoints and run files.
    const NAME: &'static str;

    /// The engine.
    type Model: Model + 'static;

    /// The keys of `[model]` in a run file.
    type Keys: Keys<Config = Self>;

    /// Checks every size, so that nothing downstream can overflow or index out of range.
    ///
    /// # Errors
    /// The first field that is out of range.
    fn validate(&self) -> Result<(), ConfigError>;

    /// The tensors of an [adaptation](crate::adaptation) of rank `rank`; none where the family knows no adaptations.
    fn adaptation_table(&self, rank: usize) -> Vec<TensorSpec> {
        let _ = rank;
        Vec::new()
    }

    /// Every tensor, in the order in which the trainer lays them out.
    fn table(&self) -> Vec<TensorSpec>;

    /// What the sizes mean.
    fn facts(&self) -> Facts;

    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Family::table`].
    fn pack(&self, tensors: &Tensors, isa: Isa) -> Result<Self::Model, PackError>;

    /// Columns that a tensor of the table with so many has when it is packed, at most.
    fn packed_columns(&self, columns: usize) -> usize {
        // Each half of a gated unit is padded to whole vectors of 16.
        columns.next_multiple_of(32)
    }

    /// Bytes of one stream's state, at most, whatever the instruction set. They are computed from the sizes alone, before
    /// anything is allocated.
    fn stream_bytes(&self) -> u64;

    /// The network in words; `sample_rate`, in Hz, where its symbols are sound.
    fn describe(&self, sample_rate: Option<u32>) -> Description;

    /// Sizes that are measured beside other programs'.
    fn shapes() -> Vec<NamedShape<Self>> {
        Vec::new()
    }

    /// How the family learns.
    #[cfg(feature = "train")]
    fn learning(&self) -> Learning;

    /// Its loss; `None` for a family that does not learn by gradients.
    ///
    /// # Errors
    /// A device that can't be used.
    #[cfg(feature = "train")]
    fn objective(&self, options: &ObjectiveOptions) -> candle_core::Result<Option<Box<dyn Objective>>>;
}

/// [`Family`] with its type forgotten.
trait ErasedFamily: Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn table(&self) -> Vec<TensorSpec>;
    fn adaptation_table(&self, rank: usize) -> Vec<TensorSpec>;
    fn pack(&self, tensors: &Tensors, isa: Isa) -> Result<Arc<dyn ErasedModel>, PackError>;
    fn packed_columns(&self, columns: usize) -> usize;
    fn stream_bytes(&self) -> u64;
    fn describe(&self, sample_rate: Option<u32>) -> Description;
    fn to_json(&self) -> serde_json::Result<Value>;
    fn as_any(&self) -> &dyn Any;
    fn equals(&self, other: &dyn Any) -> bool;
    #[cfg(feature = "train")]
    fn learning(&self) -> Learning;
    #[cfg(feature = "train")]
    fn objective(&self, options: &ObjectiveOptions) -> candle_core::Result<Option<Box<dyn Objective>>>;
}

impl<F: Family> ErasedFamily for F {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn table(&self) -> Vec<TensorSpec> {
        Family::table(self)
    }

    fn adaptation_table(&self, rank: usize) -> Vec<TensorSpec> {
        Family::adaptation_table(self, rank)
    }

    fn pack(&self, tensors: &Tensors, isa: Isa) -> Result<Arc<dyn ErasedModel>, PackError> {
        Ok(Arc::new(Family::pack(self, tensors, isa)?))
    }

    fn packed_columns(&self, columns: usize) -> usize {
        Family::packed_columns(self, columns)
    }

    fn stream_bytes(&self) -> u64 {
        Family::stream_bytes(self)
    }

    fn describe(&self, sample_rate: Option<u32>) -> Description {
        Family::describe(self, sample_rate)
    }

    fn to_json(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<F>().is_some_and(|other| self == other)
    }

    #[cfg(feature = "train")]
    fn learning(&self) -> Learning {
        Family::learning(self)
    }

    #[cfg(feature = "train")]
    fn objective(&self, options: &ObjectiveOptions) -> candle_core::Result<Option<Box<dyn Objective>>> {
        Family::objective(self, options)
    }
}

/// The config of any family.
#[derive(Debug, Clone)]
pub struct FamilyConfig {
    config: Arc<dyn ErasedFamily>,
    facts: Facts,
}

impl PartialEq for FamilyConfig {
    fn eq(&self, other: &Self) -> bool {
        self.config.equals(other.config.as_any())
    }
}

impl<F: Family> From<F> for FamilyConfig {
    fn from(config: F) -> Self {
        Self { facts: config.facts(), config: Arc::new(config) }
    }
}

impl FamilyConfig {
    /// The family's name in a checkpoint.
    pub fn family(&self) -> &'static str {
        self.config.name()
    }

    /// What the sizes mean.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Every tensor of the family.
    pub fn table(&self) -> Vec<TensorSpec> {
        self.config.table()
    }

    /// The tensors of an [adaptation](crate::adaptation) of rank `rank`; none where the family knows no adaptations.
    pub fn adaptation_table(&self, rank: usize) -> Vec<TensorSpec> {
        self.config.adaptation_table(rank)
    }

    /// The family's tensors, laid out for the trainer.
    pub fn layout(&self) -> Layout {
        Layout::new(self.table())
    }

    /// See [`Family::packed_columns`].
    pub(crate) fn packed_columns(&self, columns: usize) -> usize {
        self.config.packed_columns(columns)
    }

    /// See [`Family::stream_bytes`].
    pub(crate) fn stream_bytes(&self) -> u64 {
        self.config.stream_bytes()
    }

    /// The network in words; `sample_rate`, in Hz, where its symbols are sound.
    pub fn describe(&self, sample_rate: Option<u32>) -> Description {
        self.config.describe(sample_rate)
    }

    /// The config as a header holds it.
    ///
    /// # Errors
    /// None that a config of numbers gives.
    pub fn to_json(&self) -> serde_json::Result<Value> {
        self.config.to_json()
    }

    /// The config of one family, for what only that family can do; `None` for another.
    pub fn downcast<F: Family>(&self) -> Option<&F> {
        self.config.as_any().downcast_ref()
    }

    /// How the family learns.
    #[cfg(feature = "train")]
    pub fn learning(&self) -> Learning {
        self.config.learning()
    }

    /// The family's loss; `None` for one that does not learn by gradients.
    ///
    /// # Errors
    /// A device that can't be used.
    #[cfg(feature = "train")]
    pub fn objective(&self, options: &ObjectiveOptions) -> candle_core::Result<Option<Box<dyn Objective>>> {
        self.config.objective(options)
    }

    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`FamilyConfig::table`].
    pub(crate) fn pack(&self, tensors: &Tensors, isa: Isa) -> Result<Packed, PackError> {
        self.config.pack(tensors, isa).map(Packed)
    }
}

/// [`Model`] with its type forgotten.
trait ErasedModel: Send + Sync {
    fn embeddings(&self) -> &[f32];
    fn adaptation(&self, tensors: &Tensors) -> Option<Adaptation>;
    fn classifier(&self) -> usize;
    fn class_logits(&self, mean: &[f32]) -> Vec<f32>;
    fn generator(self: Arc<Self>, sampling: Sampling) -> Box<dyn Generator>;
    fn generators(self: Arc<Self>, most: usize, sampling: Sampling) -> Box<dyn Generators>;
}

impl<M: Model + 'static> ErasedModel for M {
    fn embeddings(&self) -> &[f32] {
        Model::embeddings(self)
    }

    fn adaptation(&self, tensors: &Tensors) -> Option<Adaptation> {
        Model::adaptation(self, tensors)
    }

    fn classifier(&self) -> usize {
        Model::classifier(self)
    }

    fn class_logits(&self, mean: &[f32]) -> Vec<f32> {
        Model::class_logits(self, mean)
    }

    fn generator(self: Arc<Self>, sampling: Sampling) -> Box<dyn Generator> {
        Box::new(Stream::new(self, sampling))
    }

    fn generators(self: Arc<Self>, most: usize, sampling: Sampling) -> Box<dyn Generators> {
        Box::new(Streams::new(self, most, sampling))
    }
}

/// Packed weights of any family.
#[derive(Clone)]
pub(crate) struct Packed(Arc<dyn ErasedModel>);

impl Packed {
    pub fn embeddings(&self) -> &[f32] {
        self.0.embeddings()
    }

    pub fn adaptation(&self, tensors: &Tensors) -> Option<Adaptation> {
        self.0.adaptation(tensors)
    }

    pub fn classifier(&self) -> usize {
        self.0.classifier()
    }

    pub fn class_logits(&self, mean: &[f32]) -> Vec<f32> {
        self.0.class_logits(mean)
    }

    pub fn generator(&self, sampling: Sampling) -> Box<dyn Generator> {
        self.0.clone().generator(sampling)
    }

    pub fn generators(&self, most: usize, sampling: Sampling) -> Box<dyn Generators> {
        self.0.clone().generators(most, sampling)
    }
}
