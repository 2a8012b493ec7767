//! Where windows come from: recordings or text. The loop sees this trait only.

use super::held_out::Evaluation;
use super::slots::Slots;
use super::state::TrainingState;
use crate::ranks::Ranks;
use anyhow::Result;
use serde_json::{Map, Value};
use std::path::Path;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::objective::{Objective, Window};
use wavesynth_models::weights::{Checkpoint, Tensors};

/// Draws a rank's part of the batches of a run. A window is a function of the seed, the step number, its slot and the
/// number of slots alone.
pub type Batches<'a> = Box<dyn Fn(u64) -> Vec<Window> + 'a>;

/// A corpus with its split, and the network that fits it.
pub trait Source: Send + Sync {
    /// The network's sizes.
    fn config(&self) -> &FamilyConfig;

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

    /// Reads the held-out selection by the engine, `model`, and by the trainer, `params`; both are the same weights.
    /// `None` if nothing is held out. All `ranks` call this together and share the work, `windows` at a time on each.
    ///
    /// # Errors
    /// As the objective.
    fn evaluate(
        &self,
        model: Loaded,
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
