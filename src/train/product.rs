//! The voice file: averaged weights, the front end that goes with them, and a record of the training run.

use super::config::RunFile;
use super::corpus::SpeechCorpus;
use super::recording::short_hex;
use super::source::Source;
use super::state::TrainingState;
use crate::voice::{SECTION, VoiceSection};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wavesynth_audio::features;
use wavesynth_models::families::wavenet::{self, names};
use wavesynth_models::weights::Tensors;

/// The header's section about the training run.
pub const TRAINING: &str = "training";

/// The header section `training`: for people, not for the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Steps taken.
    pub steps: u64,
    /// Steps that the run was planned for.
    pub planned_steps: u64,
    /// Samples that counted in a loss.
    pub samples: u64,
    /// Seconds of work, all resumptions together.
    pub seconds: f64,
    /// Hours of recordings trained on.
    pub corpus_hours: f64,
    /// Hours held out.
    pub held_out_hours: f64,
    /// Nats per sample on the held-out selection, of these weights or of the last evaluated before.
    pub held_out_nats: Option<f64>,
    /// Nats per sample of the codes' frequencies alone, for comparison.
    pub frequency_nats: f64,
    /// Names the recordings.
    pub corpus: String,
    /// The run file.
    pub run: String,
}

/// The section [`TRAINING`] of a model of anything but sound and text: how far its run has come.
pub fn progress(source: &dyn Source, state: &TrainingState, run: &str) -> serde_json::Value {
    serde_json::json!({
        "steps": state.step,
        "planned_steps": state.steps,
        (format!("{}s", source.unit())): state.samples,
        "seconds": state.seconds,
        "held_out_nats": state.held_out,
        "frequency_nats": source.frequency_nats(),
        "corpus": source.id(),
        "run": run,
    })
}

/// The sections of the voice whose weights are `tensors`, the average of `state`.
///
/// # Errors
/// A section that is no JSON, which none is.
pub fn sections(
    run: (&RunFile, &str),
    corpus: &SpeechCorpus,
    config: &wavenet::Config,
    tensors: &Tensors,
    state: &TrainingState,
) -> Result<serde_json::Map<String, serde_json::Value>> {
    let (run, text) = run;
    let voice = VoiceSection {
        sample_rate: run.audio.sample_rate,
        preemphasis: run.audio.preemphasis,
        recipe: if config.condition.as_ref().is_some_and(|c| c.features > 0) {
            features::RECIPE.into()
        } else {
            String::new()
        },
        space: space(config, tensors),
        speakers: corpus.speakers.clone(),
        common: corpus.common.clone(),
    };
    let training = Training {
        steps: state.step,
        planned_steps: state.steps,
        samples: state.samples,
        seconds: state.seconds,
        corpus_hours: corpus.hours(false),
        held_out_hours: corpus.hours(true),
        held_out_nats: state.held_out,
        frequency_nats: corpus.frequency_nats,
        corpus: corpus.id.clone(),
        run: text.into(),
    };
    let mut sections = serde_json::Map::new();
    sections.insert(SECTION.into(), serde_json::to_value(voice)?);
    sections.insert(TRAINING.into(), serde_json::to_value(training)?);
    Ok(sections)
}

/// Names the space of speaker vectors: the table and the products that read a vector first. Other weights may change
/// how a vector sounds, but only these define its space.
pub fn space(config: &wavenet::Config, tensors: &Tensors) -> String {
    let reader = match config.condition.as_ref().map_or(0, |c| c.hidden) {
        0 => names::cond(0),
        _ => names::frame(names::HIDDEN, 0),
    };
    let mut h = Sha256::new();
    for name in [names::SPEAKERS, &reader] {
        if let Some(t) = tensors.get(name) {
            t.data.iter().for_each(|v| h.update(v.to_le_bytes()));
        }
    }
    short_hex(&h.finalize())
}
