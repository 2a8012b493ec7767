//! Shared by all run files: reading TOML with errors that name line and key, ranges, and whether two files are one run.

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;
use wavesynth_models::in_file;

/// Keys that may change between a run and its resumption: none of them moves a weight. The state itself
/// holds the number of windows of all ranks, which `train.batch` makes up.
const FREE: [&str; 18] = [
    "corpus.skip_bad",
    "say.skip_bad",
    "corpus.root",
    "text.file",
    "images.file",
    "images.codes",
    "images.validation",
    "images.eval_images",
    "text.eval_symbols",
    "train.batch",
    "train.threads",
    "train.log_every",
    "train.eval_every",
    "train.eval_seconds",
    "train.checkpoint_every_minutes",
    "train.keep_best",
    "train.out",
    "train.start_from",
];

/// Keys whose number may grow: the run is extended.
const GROWING: [&str; 1] = ["train.steps"];

/// Reads TOML; an error names `name`, line and key.
///
/// # Errors
/// No TOML, an unknown or missing key, a value of another type.
pub fn parse_toml<T: DeserializeOwned>(text: &str, name: &str) -> Result<T> {
    toml::from_str(text).map_err(|e| {
        let at = e.span().map_or(0, |s| s.start).min(text.len());
        let number = text[..at].matches('\n').count();
        let line = text.lines().nth(number).unwrap_or("").trim();
        let what = e.message().replace('\n', " ");
        match line {
            "" => anyhow!("{name}: {what}"),
            _ => anyhow!("{name}: line {} `{line}`: {what}", number + 1),
        }
    })
}

/// Checks that `found`, the value of `key`, lies in `low ..= high`.
///
/// # Errors
/// When it does not.
pub fn range(key: &str, found: f64, low: f64, high: f64) -> Result<()> {
    ensure!((low..=high).contains(&found), "{key} is {found}, wanted {low} to {high}");
    Ok(())
}

/// Checks that the section `section` of `table` has none of `keys`; `why` says of which runs they are.
///
/// # Errors
/// The first one that it has.
pub fn without_keys(table: &toml::Table, section: &str, keys: &[&str], why: &str) -> Result<()> {
    let given = table.get(section).and_then(toml::Value::as_table);
    let other = given.and_then(|given| keys.iter().find(|key| given.contains_key(**key)));
    other.map_or(Ok(()), |key| bail!("{section}.{key} is a key for {why}"))
}

/// Bytes of the longest run file that is read, 1 MiB.
const MOST_RUN_FILE: u64 = 1 << 20;

/// The text of the run file at `path`, or of another that it names.
///
/// # Errors
/// A file that can't be read.
pub fn read_text(path: &Path) -> Result<String> {
    in_file::read_text(path, MOST_RUN_FILE).with_context(|| path.display().to_string())
}

/// The first key in which two run files differ so much that one can't continue the other, with both values.
pub fn conflict(a: &impl Serialize, b: &impl Serialize) -> Option<(String, String, String)> {
    let (a, b) = (serde_json::to_value(a).unwrap_or_default(), serde_json::to_value(b).unwrap_or_default());
    first_difference("", &a, &b)
}

fn first_difference(at: &str, a: &Value, b: &Value) -> Option<(String, String, String)> {
    if FREE.contains(&at) {
        return None;
    }
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if GROWING.contains(&at) && a.as_f64() < b.as_f64() => None,
        (Value::Object(x), Value::Object(y)) => x.keys().chain(y.keys()).find_map(|key| {
            let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            let get = |m: &serde_json::Map<String, Value>| m.get(key).cloned().unwrap_or_default();
            first_difference(&path, &get(x), &get(y))
        }),
        _ if a == b => None,
        _ => Some((at.to_string(), a.to_string(), b.to_string())),
    }
}
