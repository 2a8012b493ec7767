//! Models and conditions as a person names them: a path, a run's folder, or the name of a shipped one.

use crate::shipped;
use anyhow::{Context, Result, anyhow, bail};
use std::path::{Path, PathBuf};
use wavesynth_audio::cond::Condition;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::weights::Checkpoint;

/// Checkpoints end in this.
const EXTENSION: &str = "safetensors";

/// What resuming reads: it lies beside a run's checkpoint, and is none itself.
pub(crate) const STATE_FILE: &str = "state.safetensors";

/// The checkpoint that `path` names, and how errors call it: a file, the one checkpoint in a run's folder or, where there
/// is neither, the shipped model of that name.
///
/// # Errors
/// Nothing of that name, several checkpoints in the folder, or a damaged file.
pub fn checkpoint(path: &Path) -> Result<(Checkpoint, PathBuf)> {
    let shipped = path.to_str().and_then(|name| Some((name, shipped::model(name)?)));
    let found = match path.is_dir() {
        true => in_run(path)?,
        false if path.exists() => Some(path.into()),
        false => None,
    };
    match (found, shipped) {
        (Some(path), _) => {
            let file = Checkpoint::read(&path).at(&path)?;
            Ok((file, path))
        }
        (None, Some((name, bytes))) => {
            let called = PathBuf::from(format!("the shipped {name}"));
            Ok((Checkpoint::from_bytes(bytes).at(&called)?, called))
        }
        (None, None) => {
            let name = path.display();
            if path.exists() {
                bail!(
                    "{name}: no checkpoint in this folder; wanted a file *.{EXTENSION}, as training writes it"
                );
            }
            let models = list(shipped::models());
            bail!("{name}: no such file, and no shipped model of that name; shipped models: {models}")
        }
    }
}

/// The checkpoint in the folder of a run, if there is one.
fn in_run(folder: &Path) -> Result<Option<PathBuf>> {
    let at = || folder.display().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(at)? {
        let path = entry.with_context(at)?.path();
        let is_state = path.file_name().is_some_and(|name| name == STATE_FILE);
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

/// The condition that `path` names: a file or, where there is no such file, the shipped condition of that name, speakers
/// first.
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
    // A folder of that name is not what is meant: speakers' recordings often lie in one.
    if (!path.exists() || path.is_dir())
        && let Some(name) = path.to_str()
    {
        if let Some(bytes) = shipped(name) {
            return Condition::from_bytes(bytes).map_err(|e| anyhow!("shipped {name}: {e}"));
        }
        if path.exists() {
            bail!("{name}: not a file; wanted a condition file");
        }
        let (speakers, tracks) = (list(shipped::speakers()), list(shipped::tracks()));
        bail!(
            "{name}: no such file, and no shipped condition of that name; shipped speakers: {speakers}; shipped tracks: \
             {tracks}"
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
        std::fs::write(at("small.safetensors"), "").unwrap();
        let message = in_run(folder.path()).unwrap_err().to_string();
        assert!(message.ends_with("small.safetensors, voice.safetensors"), "{message}");
    }
}
