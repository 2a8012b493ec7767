//! The run file of a text: `[text]` in place of `[corpus]` and `[audio]`, `[model]` of any family.

use crate::text::TokenizerKind;
use crate::train::config::check::{parse_toml, range};
use crate::train::config::{Dilations, Train};
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;
use wavesynth_models::zoo::FamilyConfig;
use wavesynth_models::{char_rnn, gpt, ngram, wavenet};

/// A run file as it was read. Paths in it are relative to the folder that the program was started in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextRun {
    /// The section `[text]`.
    pub text: Text,
    /// Family and sizes of the network.
    pub model: TextModelConfig,
    /// How it learns.
    #[serde(default)]
    pub train: Train,
}

/// Section `[text]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The text.
    pub file: PathBuf,
    /// The tokeniser.
    #[serde(default)]
    pub tokenizer: TokenizerKind,
    /// Fraction at the end of the file that is held out; 0 holds nothing out.
    #[serde(default = "tenth")]
    pub held_out: f64,
    /// Probability that a symbol is replaced by another one, all equally likely, before the network reads it: dropout
    /// on the inputs. The first symbol of a window stays.
    #[serde(default)]
    pub input_dropout: f64,
    /// How the held-out part is read while training.
    #[serde(default)]
    pub eval: Eval,
    /// Most symbols of the held-out part that an evaluation reads.
    #[serde(default = "many")]
    pub eval_symbols: usize,
}

fn tenth() -> f64 {
    0.1
}
fn many() -> usize {
    20_000
}

/// The reading of a held-out text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Eval {
    /// In one go, as `wavesynth eval` does: the exact likelihood.
    #[default]
    Text,
    /// In windows of `train.window` symbols, before each the one symbol that stands there: the measure of
    /// other programs' loss estimates over random windows.
    Windows,
}

/// Section `[model]`: a family, and its config as far as the text does not decide it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "family", rename_all = "snake_case")]
pub enum TextModelConfig {
    /// Dilated causal convolutions; the default.
    #[serde(rename = "wavenet")]
    WaveNet(WaveNet),
    /// A recurrent network.
    CharRnn(CharRnn),
    /// A transformer's decoder.
    Gpt(Gpt),
    /// A table of counts.
    Ngram(Ngram),
}

/// Keys of [`wavenet::Config`]; a text has no condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaveNet {
    /// R.
    pub residual_channels: usize,
    /// D; R when left out.
    pub gate_channels: Option<usize>,
    /// S.
    pub skip_channels: usize,
    /// A; S when left out.
    pub head_channels: Option<usize>,
    /// K.
    #[serde(default = "two")]
    pub kernel_size: usize,
    /// d_l, as in a voice's run file.
    pub dilations: Dilations,
}

fn two() -> usize {
    2
}

/// Keys of [`char_rnn::Config`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CharRnn {
    /// `lstm` or `gru`.
    pub cell: char_rnn::Cell,
    /// H.
    pub hidden: usize,
    /// L.
    pub layers: usize,
    /// Rate of dropout over the output of every layer while it is trained.
    #[serde(default)]
    pub dropout: f64,
}

/// Keys of [`gpt::Config`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpt {
    /// L.
    pub layers: usize,
    /// H.
    pub heads: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// C; `train.window` when left out, and never more than that: later positions would not be trained.
    pub context: Option<usize>,
    /// Whether products and norms have a bias.
    #[serde(default)]
    pub bias: bool,
    /// Whether the head is the embedding's transpose.
    #[serde(default = "yes")]
    pub tied_head: bool,
    /// Rate of dropout over the embedding and over every sublayer's output while it is trained.
    #[serde(default)]
    pub dropout: f64,
}

fn yes() -> bool {
    true
}

/// Keys of [`ngram::Config`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ngram {
    /// n.
    #[serde(default = "five")]
    pub order: usize,
    /// Most pairs of context and symbol; 16 bytes of checkpoint each, at most.
    #[serde(default = "million")]
    pub max_entries: usize,
}

fn five() -> usize {
    5
}
fn million() -> usize {
    1_000_000
}

impl<'de> Deserialize<'de> for TextModelConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        /// An error without the parser's own place, which belongs to no line of the file.
        fn keys<T: for<'a> Deserialize<'a>, E: Error>(table: toml::Table, family: &str) -> Result<T, E> {
            let message = |e: toml::de::Error| E::custom(format!("family {family}: {}", e.message()));
            table.try_into().map_err(message)
        }
        let mut table = toml::Table::deserialize(deserializer)?;
        let family = table.remove("family").unwrap_or_else(|| wavenet::FAMILY.into());
        match family.as_str() {
            Some(f @ wavenet::FAMILY) => keys(table, f).map(Self::WaveNet),
            Some(f @ char_rnn::FAMILY) => keys(table, f).map(Self::CharRnn),
            Some(f @ gpt::FAMILY) => keys(table, f).map(Self::Gpt),
            Some(f @ ngram::FAMILY) => keys(table, f).map(Self::Ngram),
            _ => Err(D::Error::custom(format!(
                "family is {family}, wanted \"wavenet\", \"char_rnn\", \"gpt\" or \"ngram\""
            ))),
        }
    }
}

impl TextModelConfig {
    /// The config for `classes` symbols, of which `start` stands before the text, trained on windows of `window` symbols.
    ///
    /// # Errors
    /// A size out of range.
    pub fn config(&self, classes: usize, start: u16, window: usize) -> Result<FamilyConfig> {
        match self {
            Self::WaveNet(m) => {
                let config = wavenet::Config {
                    bunch: 1,
                    classes,
                    start,
                    residual_channels: m.residual_channels,
                    gate_channels: m.gate_channels.unwrap_or(m.residual_channels),
                    skip_channels: m.skip_channels,
                    head_channels: m.head_channels.unwrap_or(m.skip_channels),
                    kernel_size: m.kernel_size,
                    dilations: m.dilations.get(),
                    condition: None,
                };
                config.validate().map_err(|e| anyhow!("model: {e}"))?;
                Ok(FamilyConfig::WaveNet(config))
            }
            Self::CharRnn(m) => {
                let (cell, hidden, layers) = (m.cell, m.hidden, m.layers);
                let config = char_rnn::Config { classes, start, cell, hidden, layers };
                config.validate().map_err(|e| anyhow!("model: {e}"))?;
                Ok(FamilyConfig::CharRnn(config))
            }
            Self::Gpt(m) => {
                let (layers, heads, width) = (m.layers, m.heads, m.width);
                let (context, bias, tied_head) = (m.context.unwrap_or(window), m.bias, m.tied_head);
                let config = gpt::Config { classes, start, layers, heads, width, context, bias, tied_head };
                config.validate().map_err(|e| anyhow!("model: {e}"))?;
                ensure!(
                    context <= window,
                    "model.context is {context}, more than train.window = {window}: positions behind the window would \
                     never be trained; lower the one or raise the other"
                );
                Ok(FamilyConfig::Gpt(config))
            }
            Self::Ngram(m) => {
                // The counts are not known yet; one stands for them.
                let config = ngram::Config { classes, start, order: m.order, contexts: 1, entries: 1 };
                config.validate().map_err(|e| anyhow!("model: {e}"))?;
                Ok(FamilyConfig::Ngram(config))
            }
        }
    }

    /// Rate of dropout while it is trained.
    pub fn dropout(&self) -> f64 {
        match self {
            Self::WaveNet(_) | Self::Ngram(_) => 0.0,
            Self::CharRnn(m) => m.dropout,
            Self::Gpt(m) => m.dropout,
        }
    }

    /// Whether the family is counted in one pass and not trained by steps.
    pub fn is_counted(&self) -> bool {
        matches!(self, Self::Ngram(_))
    }
}

/// Keys of `[train]` that mean something for recordings only.
const OF_RECORDINGS: [&str; 6] =
    ["input_noise", "perturbation", "others", "feature_dropout", "dropout_speech", "eval_seconds"];

/// Keys of `[train]` that mean something for a family that is counted.
const OF_COUNTED: [&str; 2] = ["out", "threads"];

/// Symbols of a window where the run file does not say.
const WINDOW: usize = 256;

impl TextRun {
    /// Reads a run file's `text`, which `table` is too; `name` is used in errors only.
    ///
    /// # Errors
    /// An unknown or missing key, a value out of range: file, key and what was wanted.
    pub fn parse(text: &str, table: &toml::Table, name: &str) -> Result<Self> {
        let mut run: Self = parse_toml(text, name)?;
        let keys = table.get("train").and_then(toml::Value::as_table);
        let given = |key: &str| keys.is_some_and(|t| t.contains_key(key));
        if !given("window") {
            run.train.window = WINDOW;
        }
        let other = OF_RECORDINGS.into_iter().find(|k| given(k));
        let steps = keys.into_iter().flat_map(|t| t.keys()).find(|k| !OF_COUNTED.contains(&k.as_str()));
        run.validate(other, steps.map(String::as_str)).with_context(|| name.to_string())?;
        Ok(run)
    }

    fn validate(&self, of_recordings: Option<&str>, of_steps: Option<&str>) -> Result<()> {
        let t = &self.text;
        range("text.held_out", t.held_out, 0.0, 0.5)?;
        range("text.input_dropout", t.input_dropout, 0.0, 1.0)?;
        range("text.eval_symbols", t.eval_symbols as f64, 1.0, 1e9)?;
        if let Some(key) = of_recordings {
            bail!("train.{key} is a key for recordings; a text has none of it");
        }
        range("model.dropout", self.model.dropout(), 0.0, 0.9)?;
        // The text is not read yet; two symbols stand for those that it has.
        self.model.config(2, 0, self.train.window)?;
        match &self.model {
            TextModelConfig::Ngram(m) => {
                range("model.max_entries", m.max_entries as f64, 1.0, ngram::MOST as f64)?;
                if let Some(key) = of_steps {
                    bail!("train.{key}: an n-gram table is counted in one pass; leave the key out");
                }
                Ok(())
            }
            _ => self.train.validate(),
        }
    }
}
