//! Models and conditions as a person names them: a path, a run's folder, or the name of a shipped one.
//!
//! A shipped name always means the shipped thing, whatever lies in the working folder. A file or folder of that name is
//! reached by a path with a separator or a suffix, as in `./voice`.

use crate::{kinds, shipped};
use anyhow::{Context, Result, anyhow, bail};
use std::path::{Path, PathBuf};
use wavesynth_audio::cond::Condition;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::weights::Checkpoint;

/// Checkpoints end in this.
const EXTENSION: &str = "safetensors";

/// What resuming reads: it lies beside a run's checkpoint, and is none itself.
pub(crate) const STATE_FILE: &str = "state.safetensors";

/// The checkpoint with the best held-out reading, where a run keeps it; named in full it is taken, the folder means the last one.
pub(crate) const BEST_FILE: &str = "best.safetensors";

/// How a file of a shipped name is reached, for errors.
const RULE: &str = "a shipped name always means the shipped one, a file of that name is ./NAME";

/// The shipped name that `path` is, if it is one.
fn shipped_name(path: &Path, is_shipped: fn(&str) -> bool) -> Option<&str> {
    path.to_str().filter(|name| is_shipped(name))
}

/// The checkpoint that `path` names, and how errors call it: the shipped model of that name, else a file, or the one
/// checkpoint in a run's folder.
///
/// # Errors
/// Nothing of that name, several checkpoints in the folder, or a damaged file.
pub fn checkpoint(path: &Path) -> Result<(Checkpoint, PathBuf)> {
    let name = path.display();
    if let Some(name) = shipped_name(path, shipped::is_model_name) {
        let bytes = shipped::model(name).with_context(|| {
            format!(
                "{name}: this program was built without its model `{name}`; a file of that name is ./{name}"
            )
        })?;
        let called = PathBuf::from(format!("the shipped {name}"));
        return whole(Checkpoint::from_bytes(bytes).at(&called)?, called);
    }
    let file = match path.is_dir() {
        true => in_run(path)?.with_context(|| {
            format!(
                "{name}: no checkpoint in this folder; wanted a file *.{EXTENSION}, as training writes it"
            )
        })?,
        false if path.exists() => path.into(),
        false => {
            let models = list(shipped::models());
            bail!("{name}: no such file, and no shipped model of that name; shipped models: {models}; {RULE}")
        }
    };
    whole(Checkpoint::read(&file)?, file)
}

/// The shipped text-to-speech model of `language`, and how errors call it; `None` where there is none.
///
/// # Errors
/// A damaged one.
pub fn shipped_say(language: &str) -> Result<Option<(Checkpoint, PathBuf)>> {
    let Some(bytes) = shipped::say(language) else { return Ok(None) };
    let called = PathBuf::from(format!("the shipped speech of {language}"));
    whole(Checkpoint::from_bytes(bytes).at(&called)?, called).map(Some)
}

fn whole(checkpoint: Checkpoint, path: PathBuf) -> Result<(Checkpoint, PathBuf)> {
    if checkpoint.header.sections.contains_key(kinds::STATE_SECTION) {
        bail!(
            "{}: the state of a training run, which `train --resume` reads; the model stands beside it",
            path.display()
        );
    }
    kinds::check(&checkpoint.header).at(&path)?;
    Ok((checkpoint, path))
}

/// The checkpoint in the folder of a run, if there is one.
fn in_run(folder: &Path) -> Result<Option<PathBuf>> {
    let at = || folder.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(at)? {
        let path = entry.with_context(at)?.path();
        let is_state = path.file_name().is_some_and(|name| name == STATE_FILE || name == BEST_FILE);
        if path.extension().is_some_and(|e| e == EXTENSION) && !is_state {
            found.push(path);
        }
    }
    found.sort();
    if found.len() > 1 {
        let names = list(found.iter().filter_map(|p| p.file_name()?.to_str()));
        bail!("{}: several checkpoints in this folder, name one of them: {names}", folder.display());
    }
    Ok(found.pop())
}

/// The condition that `path` names: the shipped condition of that name, speakers first, else a file.
///
/// # Errors
/// Nothing of that name, or a damaged file.
pub fn condition(path: &Path) -> Result<Condition> {
    find(path, shipped::condition)
}

/// The same, where a voice's `own` speaker goes by that name, too: after a file, and after a shipped condition of the same
/// space.
///
/// # Errors
/// As [`condition`].
pub fn condition_or(path: &Path, own: Option<Condition>) -> Result<Condition> {
    match own {
        Some(own) if !path.is_file() => {
            let space = own.speaker.as_ref().map(|s| s.space.clone());
            match path.to_str().and_then(shipped_space) {
                shipped if shipped.is_some() && shipped == space => condition(path),
                _ => Ok(own),
            }
        }
        _ => condition(path),
    }
}

/// The space of the shipped speaker called `name`.
pub(crate) fn shipped_space(name: &str) -> Option<String> {
    Some(Condition::from_bytes(shipped::condition(name)?).ok()?.speaker?.space)
}

/// The same, tracks first.
///
/// # Errors
/// As [`condition`].
pub fn track(path: &Path) -> Result<Condition> {
    find(path, shipped::track)
}

fn find(path: &Path, shipped: fn(&str) -> Option<&'static [u8]>) -> Result<Condition> {
    let name = path.display();
    if let Some(bytes) = path.to_str().and_then(shipped) {
        return Condition::from_bytes(bytes).map_err(|e| anyhow!("shipped {name}: {e}"));
    }
    if path.is_dir() {
        bail!("{name}: not a file; wanted a condition file");
    }
    if !path.exists() {
        let (speakers, tracks) = (list(shipped::speakers()), list(shipped::tracks()));
        bail!(
            "{name}: no such file, and no shipped condition of that name; shipped speakers: {speakers}; shipped tracks: \
             {tracks}; {RULE}"
        );
    }
    Condition::read(path).context("condition")
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runs_folder_stands_for_its_one_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("log.csv"), "").unwrap();
        std::fs::write(at("state.safetensors"), "").unwrap();
        assert_eq!(in_run(folder.path()).unwrap(), None);
        let message = checkpoint(folder.path()).unwrap_err().to_string();
        assert!(message.contains("no checkpoint in this folder"), "{message}");
        std::fs::write(at("voice.safetensors"), "").unwrap();
        assert_eq!(in_run(folder.path()).unwrap(), Some(at("voice.safetensors")));
        std::fs::write(at("best.safetensors"), "").unwrap();
        assert_eq!(in_run(folder.path()).unwrap(), Some(at("voice.safetensors")));
        std::fs::write(at("small.safetensors"), "").unwrap();
        let message = in_run(folder.path()).unwrap_err().to_string();
        assert!(message.ends_with("small.safetensors, voice.safetensors"), "{message}");
    }
}
