//! Where windows come from, and what is trained on them: recordings, text, images. The loop sees these traits only.

use super::held_out::Evaluation;
use super::slots::Slots;
use super::state::TrainingState;
use crate::ranks::Ranks;
use anyhow::Result;
use serde_json::{Map, Value};
use std::path::Path;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::objective::{Objective, ObjectiveOptions, Window};
use wavesynth_models::vq_vae;
use wavesynth_models::weights::{Checkpoint, Header, Layout, Tensors};

/// Draws a rank's part of the batches of a run. A window is a function of the seed, the step number, its slot and the
/// number of slots alone.
pub type Batches<'a> = Box<dyn Fn(u64) -> Vec<Window> + 'a>;

/// What is trained: a network of a family, or a VQ-VAE.
pub trait Network {
    /// The header of its checkpoint, with no sections.
    ///
    /// # Errors
    /// None that a config of numbers gives.
    fn header(&self) -> serde_json::Result<Header>;

    /// Its tensors.
    fn layout(&self) -> Layout;

    /// Symbols that its likelihood is over; 0 over vectors.
    fn classes(&self) -> usize;

    /// Values of a vector that it is over; 0 over symbols.
    fn dims(&self) -> usize;

    /// Its loss; `None` where it is counted and learns by no steps.
    ///
    /// # Errors
    /// A device that can't be used.
    fn objective(&self, options: &ObjectiveOptions) -> candle_core::Result<Option<Box<dyn Objective>>>;
}

impl Network for FamilyConfig {
    fn header(&self) -> serde_json::Result<Header> {
        self.to_header()
    }

    fn layout(&self) -> Layout {
        FamilyConfig::layout(self)
    }

    fn classes(&self) -> usize {
        self.facts().likelihood.classes()
    }

    fn dims(&self) -> usize {
        self.facts().likelihood.dims()
    }

    fn objective(&self, options: &ObjectiveOptions) -> candle_core::Result<Option<Box<dyn Objective>>> {
        FamilyConfig::objective(self, options)
    }
}

impl Network for vq_vae::Learner {
    fn header(&self) -> serde_json::Result<Header> {
        self.config.to_header()
    }

    fn layout(&self) -> Layout {
        self.config.layout()
    }

    fn classes(&self) -> usize {
        self.config.likelihood.classes()
    }

    fn dims(&self) -> usize {
        self.config.likelihood.dims()
    }

    fn objective(&self, options: &ObjectiveOptions) -> candle_core::Result<Option<Box<dyn Objective>>> {
        Ok(Some(vq_vae::Learner::objective(self, options)))
    }
}

/// The engine of a checkpoint that a run called `name` would write.
///
/// # Errors
/// Weights that are no numbers.
pub fn engine(checkpoint: Checkpoint, name: &str) -> Result<Loaded> {
    Ok(Loaded::from_checkpoint(checkpoint, Isa::detect()).at(Path::new(name))?)
}

/// A corpus with its split, and the network that fits it.
pub trait Source: Send + Sync {
    /// What is trained.
    fn network(&self) -> &dyn Network;

    /// Names the content: equal for equal symbols and split.
    fn id(&self) -> &str;

    /// The word for an item of the corpus: `recording`, `text`.
    fn item(&self) -> &'static str;

    /// The word for a symbol: `sample`, `character`.
    fn unit(&self) -> &'static str;

    /// The checkpoint's name in the folder of the run.
    fn file_name(&self) -> &'static str;

    /// Corpus and network, in one line each.
    fn describe(&self) -> Vec<String>;

    /// Bytes held.
    fn bytes(&self) -> usize;

    /// Nats per symbol of the symbols' frequencies alone: the baseline of a network.
    fn frequency_nats(&self) -> f64;

    /// Rows of the longest window.
    fn max_rows(&self) -> usize;

    /// Checks that there is enough to cut steps of `windows` windows from, those of all ranks.
    ///
    /// # Errors
    /// There is too little.
    fn check(&self, windows: usize) -> Result<()>;

    /// Fits the weights in `file`, the checkpoint at `path` that a run starts from, to this corpus; shapes are checked
    /// after it. Returns a note of what was changed, if anything.
    ///
    /// # Errors
    /// A damaged checkpoint.
    fn adopt(&self, file: &mut Checkpoint, path: &Path) -> Result<Option<String>> {
        let _ = (file, path);
        Ok(None)
    }

    /// Whether a window goes on where that of its slot ended in the step before; if not, each begins anew.
    fn carries(&self) -> bool {
        true
    }

    /// The part `slots` of the batches of a run of `steps` steps.
    fn batches(&self, slots: Slots, steps: u64) -> Batches<'_>;

    /// Changes the state `s` as no gradient does, before the first step and behind every other: by `s.step`, its weights and the run file
    /// alone, so that a run that is resumed has the same bits. All `ranks` call this together.
    ///
    /// # Errors
    /// Weights that are no numbers.
    fn revise(&self, s: &mut TrainingState, ranks: &Ranks) -> Result<()> {
        let _ = (s, ranks);
        Ok(())
    }

    /// Tensors that the checkpoint holds beside the network's.
    fn companions(&self) -> Tensors {
        Tensors::new()
    }

    /// Reads the held-out selection by the engine, made of `checkpoint`, and by the trainer, `params`; both are the same weights.
    /// `None` if nothing is held out. All `ranks` call this together and share the work, `windows` at a time on each.
    ///
    /// # Errors
    /// As the objective.
    fn evaluate(
        &self,
        checkpoint: Checkpoint,
        objective: &dyn Objective,
        params: &[f32],
        windows: usize,
        ranks: &Ranks,
    ) -> Result<Option<Evaluation>>;

    /// The meaning of nats per symbol, in plain words.
    fn verdict(&self, nats: f64) -> String;

    /// The checkpoint's sections for `tensors`, the averaged weights of `state`; `run` is the run file's text.
    ///
    /// # Errors
    /// Values that are no JSON, which none of these are.
    fn sections(&self, tensors: &Tensors, state: &TrainingState, run: &str) -> Result<Map<String, Value>>;
}
