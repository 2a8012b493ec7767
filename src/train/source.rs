//! Where windows come from: recordings or text. The loop knows nothing else of either.

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

    /// What the corpus is made of: `recording`, `text`.
    fn item(&self) -> &'static str;

    /// What a person calls a symbol: `sample`, `character`.
    fn unit(&self) -> &'static str;

    /// The checkpoint's name in the folder of the run.
    fn file_name(&self) -> &'static str;

    /// Corpus and network, in one line each, for a person.
    fn describe(&self) -> Vec<String>;

    /// Bytes held.
    fn bytes(&self) -> usize;

    /// Nats per symbol of the symbols' frequencies alone: what a network has to beat before it has learned anything.
    fn frequency_nats(&self) -> f64;

    /// Rows of the longest window.
    fn max_rows(&self) -> usize;

    /// Checks that there is enough to cut steps of `windows` windows from, those of all ranks.
    ///
    /// # Errors
    /// There is not.
    fn check(&self, windows: usize) -> Result<()>;

    /// Fits the weights in `file`, the checkpoint at `path` that a run starts from, to what this corpus has of its own;
    /// shapes are checked after it. What was changed, if it is worth saying.
    ///
    /// # Errors
    /// A damaged checkpoint.
    fn adopt(&self, file: &mut Checkpoint, path: &Path) -> Result<Option<String>> {
        let _ = (file, path);
        Ok(None)
    }

    /// The part `slots` of the batches of a run of `steps` steps.
    fn batches(&self, slots: Slots, steps: u64) -> Batches<'_>;

    /// Reads the held-out selection by the engine, `model`, and by the trainer, `params`; both are the same weights.
    /// `None` if nothing is held out. All `ranks` call this together and share the work, `windows` at a time on each.
    ///
    /// # Errors
    /// What the objective says.
    fn evaluate(
        &self,
        model: Loaded,
        objective: &dyn Objective,
        params: &[f32],
        windows: usize,
        ranks: &Ranks,
    ) -> Result<Option<Evaluation>>;

    /// What nats per symbol mean, in plain words.
    fn verdict(&self, nats: f64) -> String;

    /// The checkpoint's sections for `tensors`, the averaged weights of `state`; `run` is the run file's text.
    ///
    /// # Errors
    /// Values that are no JSON, which none of these are.
    fn sections(&self, tensors: &Tensors, state: &TrainingState, run: &str) -> Result<Map<String, Value>>;
}
