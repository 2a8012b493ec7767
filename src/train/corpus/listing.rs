//! Which recordings a run has, by speaker; none is read for it but where their number of samples is not known ahead.

use super::transcripts::Transcripts;
use crate::recordings::{self, Notes};
use crate::train::config::{CorpusConfig, RunFile};
use crate::train::recording::unit_hash;
use anyhow::{Context, Result, anyhow, ensure};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use wavesynth_audio::recording::{self, Finding};
use wavesynth_output::name;

/// A file whose part of the split is not known yet.
pub struct Found {
    /// Its path in the speaker's folder, without its ending.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Samples at the model's rate.
    pub samples: u64,
    /// Its part by `transcripts.tsv`.
    held_out: Option<bool>,
}

/// Name and folder of each speaker, in the order of the speaker table.
///
/// # Errors
/// A folder that can't be read, no speaker at all.
pub fn folders(run: &RunFile, notes: &Notes) -> Result<Vec<(String, PathBuf)>> {
    let mut folders = Vec::new();
    if let Some(root) = &run.corpus.root {
        let mut names = run.corpus.speakers.clone();
        if names.is_empty() {
            names = in_root(root, notes)?;
        }
        ensure!(
            !names.is_empty(),
            "corpus.root {}: no sub-folder with recordings ({}); wanted one for each speaker",
            root.display(),
            recording::KINDS
        );
        folders.extend(names.into_iter().map(|n| (n.clone(), root.join(n))));
    }
    folders.extend(run.speakers.iter().map(|s| (s.name.clone(), s.folder.clone())));
    for (i, (name, _)) in folders.iter().enumerate() {
        ensure!(!folders[..i].iter().any(|(n, _)| n == name), "speaker {name} is named twice");
        name::check(name).map_err(|e| anyhow!("speaker {name:?}: its name {e}; give it another one"))?;
    }
    Ok(folders)
}

/// The sub-folders of `root` that hold recordings. What else it holds is noted.
fn in_root(root: &Path, notes: &Notes) -> Result<Vec<String>> {
    let at = || format!("corpus.root {}", root.display());
    let (mut names, mut without) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(root).with_context(at)? {
        let entry = entry.with_context(at)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || !entry.path().is_dir() {
            continue;
        }
        let folder = recordings::in_folder(&entry.path())?;
        match folder.recordings.is_empty() {
            false => names.push(name),
            true => without.push(format!("{name}{}", folder.reason())),
        }
    }
    names.sort();
    without.sort();
    if !without.is_empty() {
        let n = without.len();
        notes.line(format!(
            "{}: {n} folders hold no recording: {}",
            at(),
            recordings::names(without.into_iter())
        ));
    }
    let is_loose = |path: &&PathBuf| path.parent() == Some(root);
    let loose = recordings::in_folder(root)?.recordings;
    let loose: Vec<_> = loose.iter().filter(is_loose).filter_map(|p| p.file_name()).collect();
    if !loose.is_empty() {
        let own = loose.iter().map(|n| n.to_string_lossy().into_owned());
        notes.line(format!(
            "{}: {} recordings left out that are in no speaker's folder: {}",
            at(),
            loose.len(),
            recordings::names(own)
        ));
    }
    Ok(names)
}

/// The recordings in a speaker's folder that a run takes.
///
/// # Errors
/// A folder without recordings, one of them that can't be read unless `corpus.skip_bad` is set.
pub fn files(folder: &Path, rate: u32, corpus: &CorpusConfig, notes: &Notes) -> Result<Vec<Found>> {
    let splits = Transcripts::read(&folder.join("transcripts.tsv"))?;
    let found = recordings::in_folder(folder)?;
    ensure!(
        !found.recordings.is_empty(),
        "no recordings ({}) in {}{}",
        recording::KINDS,
        folder.display(),
        found.reason()
    );
    found.left_out(folder).into_iter().for_each(|line| notes.line(line));
    let names: Vec<_> = found.recordings.iter().map(|path| own_names(folder, path)).collect();
    let strays = splits.strays(&names, "a hash of their names decides");
    strays.into_iter().for_each(|line| notes.line(line));
    let least = (corpus.min_seconds * f64::from(rate)).max(1.0);
    let files: Result<Vec<Option<Found>>> = found
        .recordings
        .into_par_iter()
        .zip(names)
        .map(|(path, (name, file))| {
            let held_out = splits.held_out(&name, &file);
            let samples = match corpus.skip_bad {
                false => recording::samples_at(&path, rate)?,
                true => match recording::checked_samples_at(&path, rate) {
                    Ok(samples) => samples,
                    Err(e) => {
                        notes.left_out(e.to_string());
                        return Ok(None);
                    }
                },
            };
            if (samples as f64) < least {
                let seconds = samples as f64 / f64::from(rate);
                notes.add(&path, [Finding::Short { seconds, least: corpus.min_seconds }]);
            }
            Ok(Some(Found { name, path, samples, held_out }))
        })
        .collect();
    Ok(files?.into_iter().flatten().collect())
}

/// The name of a recording in its speaker's folder, without and with its ending.
pub fn own_names(folder: &Path, path: &Path) -> (String, String) {
    let text = |path: &Path| {
        let parts: Vec<_> = path.components().map(|c| c.as_os_str().to_string_lossy()).collect();
        parts.join("/")
    };
    let own = path.strip_prefix(folder).unwrap_or(path);
    (text(&own.with_extension("")), text(own))
}

/// Which files of one speaker are held out: as `transcripts.tsv` says, otherwise those whose name's hash falls into
/// the fraction, and at least one where there are several.
pub fn split(files: &[Found], fraction: f64) -> Vec<bool> {
    let (mut held, draws): (Vec<bool>, Vec<f64>) = files
        .iter()
        .map(|f| {
            let draw = unit_hash(&f.name);
            (fraction > 0.0 && f.held_out.unwrap_or(draw < fraction), draw)
        })
        .unzip();
    if fraction > 0.0 && held.len() > 1 && !held.contains(&true) {
        let least = (0..held.len()).min_by(|&a, &b| draws[a].total_cmp(&draws[b]));
        held[least.unwrap_or(0)] = true;
    }
    held
}
