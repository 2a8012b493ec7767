//! The run file of a text: `[text]` in place of `[corpus]` and `[audio]`, `[model]` of any family.

use crate::text::TokenizerKind;
use crate::train::config::check::{parse_toml, range, without_keys};
use crate::train::config::{OF_RECORDINGS, Train};
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use wavesynth_models::ar::Symbol;
use wavesynth_models::family::{FamilyConfig, Given, ModelKeys};
use wavesynth_models::objective::Learning;

/// A run file as it was read. Paths in it are relative to the folder that the program was started in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextRun {
    /// The section `[text]`.
    pub text: Text,
    /// Family and sizes of the network.
    pub model: ModelKeys,
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
    /// Whether each line is a sequence of its own. A step then has the next `train.batch` lines of the file, and behind the
    /// last line comes the first.
    #[serde(default)]
    pub lines: bool,
    /// Of lines: the character that ends what is read and not learned, up to and with it.
    pub prompt: Option<char>,
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
        let steps = keys.into_iter().flat_map(|t| t.keys()).find(|k| !OF_COUNTED.contains(&k.as_str()));
        run.validate(table, steps.map(String::as_str)).with_context(|| name.to_string())?;
        Ok(run)
    }

    /// What the data of `classes` symbols, of which `start` stands before the text, decides of the network.
    pub fn given(&self, classes: usize, start: Symbol) -> Given {
        Given { classes, start, likelihood: None, window: self.train.window, condition: None, image: None }
    }

    /// The network for `classes` symbols, of which `start` stands before the text.
    ///
    /// # Errors
    /// A size out of range.
    pub fn network(&self, classes: usize, start: Symbol) -> Result<FamilyConfig> {
        self.model
            .config(&self.given(classes, start))
            .map_err(|e| anyhow!("model.{} is {}, wanted {}", e.field, e.found, e.want))
    }

    /// Whether the network is counted in one pass and not trained by steps.
    ///
    /// # Errors
    /// A size out of range.
    pub fn is_counted(&self) -> Result<bool> {
        Ok(self.network(2, 0)?.learning() == Learning::Counting)
    }

    fn validate_lines(&self) -> Result<()> {
        let t = &self.text;
        if !t.lines {
            ensure!(t.prompt.is_none(), "text.prompt is a key for lines: set text.lines = true");
            return Ok(());
        }
        ensure!(
            !matches!(t.tokenizer, TokenizerKind::Bpe(_)),
            "text.tokenizer: byte pairs may join a line to the next; wanted \"chars\" or \"bytes\" where text.lines is true"
        );
        ensure!(
            t.eval == Eval::Text,
            "text.eval is \"windows\": where text.lines is true, lines are read, each in one go"
        );
        ensure!(
            self.train.curriculum.is_none(),
            "train.curriculum: a window is a line where text.lines is true"
        );
        let fits =
            t.prompt.is_none_or(|c| c != '\n' && (t.tokenizer == TokenizerKind::Chars || c.is_ascii()));
        ensure!(
            fits,
            "text.prompt is {:?}, wanted one symbol that is no line break",
            t.prompt.unwrap_or_default()
        );
        Ok(())
    }

    fn validate(&self, table: &toml::Table, of_steps: Option<&str>) -> Result<()> {
        let t = &self.text;
        range("text.held_out", t.held_out, 0.0, 0.5)?;
        range("text.input_dropout", t.input_dropout, 0.0, 1.0)?;
        range("text.eval_symbols", t.eval_symbols as f64, 1.0, 1e9)?;
        self.validate_lines()?;
        without_keys(table, "train", &OF_RECORDINGS, "recordings; a text has none of it")?;
        range("model.dropout", self.model.dropout(), 0.0, 0.9)?;
        // The text is not read yet; two symbols stand for those that it has.
        ensure!(
            !t.lines || !self.is_counted()?,
            "text.lines is true: an n-gram table counts the text in one piece"
        );
        match (self.is_counted()?, of_steps) {
            (false, _) => self.train.validate(),
            (true, Some(key)) => {
                bail!("train.{key}: an n-gram table is counted in one pass; leave the key out")
            }
            (true, None) => Ok(()),
        }
    }
}
