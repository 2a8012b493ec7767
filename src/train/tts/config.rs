//! The run file of a text-to-speech model.

use crate::train::config::Train;
use crate::train::config::check::{parse_toml, range};
use crate::tts::Language;
use crate::tts::context::{frame_features, phone_features};
use crate::tts::language::check_code;
use crate::tts::model::{MOST_FRAMES, is_given};
use crate::tts::pronounce::common::MULTIPLE;
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;
use wavesynth_audio::features::FEATURES;
use wavesynth_models::families::char_rnn::{self, Cell};
use wavesynth_models::family::{FamilyConfig, Given, GivenCondition, ModelKeys};
use wavesynth_models::likelihood::LikelihoodConfig;
use wavesynth_models::objective::Learning;

/// A run file as it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SayRun {
    /// What is read.
    pub say: Say,
    /// Family and sizes of the network of frames.
    pub model: ModelKeys,
    /// Family and sizes of the network of durations.
    #[serde(default = "durations", deserialize_with = "of_durations")]
    pub durations: ModelKeys,
    /// How they learn.
    #[serde(default)]
    pub train: Train,
}

/// Section `[say]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Say {
    /// The language, as `en`.
    pub language: String,
    /// A folder for each speaker, with recordings and `transcripts.tsv`.
    pub folders: Vec<PathBuf>,
    /// The language of each folder, where they are several; their phones are then the [`common`](crate::tts::pronounce::common) ones.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Recordings that can't be read are left out, where without it the first of them is an error.
    #[serde(default)]
    pub skip_bad: bool,
    /// Gaussians that a frame's distribution is mixed of; 1 for a single one.
    #[serde(default = "four")]
    pub components: usize,
    /// Standard deviation of the noise on the frame before, as the network reads it, in standard deviations.
    #[serde(default = "noise")]
    pub noise: f64,
    /// Probability that the frame before is not read.
    #[serde(default = "drop")]
    pub drop: f64,
}

fn durations() -> ModelKeys {
    char_rnn::Keys { cell: Cell::Lstm, hidden: 64, layers: 1, dropout: 0.2 }.into()
}

/// What the section says, and of what it leaves out that of [`durations`], where it names no other family.
fn of_durations<'de, D: Deserializer<'de>>(section: D) -> Result<ModelKeys, D::Error> {
    let mut keys = Map::deserialize(section)?;
    if let Value::Object(defaults) = serde_json::to_value(durations()).map_err(D::Error::custom)?
        && keys.get("family").is_none_or(|family| Some(family) == defaults.get("family"))
    {
        for (key, value) in defaults {
            keys.entry(key).or_insert(value);
        }
    }
    serde_json::from_value(Value::Object(keys)).map_err(D::Error::custom)
}

fn four() -> usize {
    4
}
fn noise() -> f64 {
    0.4
}
fn drop() -> f64 {
    0.1
}

impl SayRun {
    /// Reads a run file's text; `name` is used in errors only.
    ///
    /// # Errors
    /// An unknown or missing key, a value out of range: file, key and what was wanted.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let run: Self = parse_toml(text, name)?;
        run.validate().with_context(|| name.to_string())?;
        Ok(run)
    }

    fn validate(&self) -> Result<()> {
        let say = &self.say;
        check_code(&say.language).map_err(|e| anyhow!("say.{e}"))?;
        ensure!(!say.folders.is_empty(), "say.folders: wanted a folder with recordings and transcripts.tsv");
        if !say.languages.is_empty() {
            ensure!(
                say.languages.len() == say.folders.len(),
                "say.languages has {} languages, wanted one for each of the {} folders",
                say.languages.len(),
                say.folders.len()
            );
            let unknown = say.languages.iter().find(|l| Language::from_name(l).is_none());
            if let Some(unknown) = unknown {
                let known: Vec<_> = Language::ALL.into_iter().map(Language::name).collect();
                bail!(
                    "say.languages: {unknown:?} is none that this program reads, wanted {}",
                    known.join(", ")
                );
            }
            ensure!(
                say.language == MULTIPLE,
                "say.language is {:?}, wanted {MULTIPLE:?} where say.languages names several",
                say.language
            );
        }
        range("say.components", say.components as f64, 1.0, 128.0)?;
        range("say.noise", say.noise, 0.0, 4.0)?;
        range("say.drop", say.drop, 0.0, 1.0)?;
        range("model.dropout", self.model.dropout(), 0.0, 0.9)?;
        range("durations.dropout", self.durations.dropout(), 0.0, 0.9)?;
        // The transcripts are not read yet; a few phones stand for theirs.
        self.networks(4)?;
        if self.train.scheduled_sampling.is_some() {
            bail!("train.scheduled_sampling is a key for symbols; speech has say.noise and say.drop");
        }
        self.train.validate()
    }

    /// The networks of frames and of durations, for `phones` phones.
    ///
    /// # Errors
    /// A size out of range, or a family that takes no numbers for every step.
    pub fn networks(&self, phones: usize) -> Result<(FamilyConfig, FamilyConfig)> {
        let network = |section: &str, keys: &ModelKeys, classes, likelihood, features| {
            let condition = Some(GivenCondition { speakers: 0, features, hop: 1 });
            let given =
                Given { classes, start: 0, likelihood, window: self.train.window, condition, image: None };
            let config = keys
                .config(&given)
                .map_err(|e| anyhow!("{section}.{} is {}, wanted {}", e.field, e.found, e.want))?;
            ensure!(
                is_given(&config, features) && matches!(config.learning(), Learning::Steps(_)),
                "{section}.family is {}, wanted char_rnn",
                config.family()
            );
            Ok(config)
        };
        let gaussians = LikelihoodConfig::gaussians(self.say.components, FEATURES);
        let frames = network("model", &self.model, 0, Some(gaussians), frame_features(phones))?;
        let durations = network("durations", &self.durations, MOST_FRAMES, None, phone_features(phones))?;
        Ok((frames, durations))
    }
}
