//! The recordings of a run, as codes and feature tracks.

use super::config::RunFile;
use super::recording::{FrontEnd, Heard, Recording, short_hex, unit_hash};
use super::report;
use crate::recordings;
use crate::voice::SpeakerSection;
use anyhow::{Context, Result, anyhow, bail, ensure};
use indicatif::ProgressBar;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use wavesynth_audio::features::{Extractor, SpeakerStats};

/// All recordings of a run, by speaker and file name.
#[derive(Debug, Clone)]
pub struct Corpus {
    /// Name and statistics of each speaker, in the order of the speaker table.
    pub speakers: Vec<SpeakerSection>,
    /// Both parts of the split.
    pub recordings: Vec<Recording>,
    /// Files that were too short.
    pub skipped: usize,
    /// Samples per second.
    pub sample_rate: u32,
    /// Names the content: equal for equal names, codes and split.
    pub id: String,
    /// Nats per sample of the best model that looks at no past and no condition: the training codes' own frequencies,
    /// scored on themselves. What a network has to beat before it has learned anything.
    pub frequency_nats: f64,
}

/// A file before it is read.
struct Found {
    name: String,
    path: PathBuf,
    held_out: Option<bool>,
}

impl Corpus {
    /// Finds, reads, resamples and encodes the recordings of a run, in parallel.
    ///
    /// # Errors
    /// A missing folder, an unreadable file, a speaker without speech: one line with its path.
    pub fn load(run: &RunFile) -> Result<Self> {
        let front = FrontEnd {
            sample_rate: run.audio.sample_rate,
            preemphasis: run.audio.preemphasis,
            features: run.model.features,
        };
        let mut corpus = Self {
            speakers: Vec::new(),
            recordings: Vec::new(),
            skipped: 0,
            sample_rate: front.sample_rate,
            id: String::new(),
            frequency_nats: 0.0,
        };
        let folders = folders(run)?;
        let found: Result<Vec<_>> = folders.iter().map(|(n, f)| files(n, f)).collect();
        let found = found?;
        let bar = report::loading(found.iter().map(Vec::len).sum::<usize>() as u64);
        for ((name, folder), files) in folders.into_iter().zip(found) {
            corpus
                .add(&name, files, &front, run, &bar)
                .with_context(|| format!("speaker {name} ({})", folder.display()))?;
        }
        bar.finish_and_clear();
        if run.corpus.held_out > 0.0 && corpus.part(true).next().is_none() {
            bail!(
                "no recording can be held out: each speaker has only one; cut one into several files, or set \
                 corpus.held_out = 0 to train without the check"
            );
        }
        corpus.id = content_id(&corpus.recordings);
        corpus.frequency_nats = frequency_nats(corpus.part(false));
        Ok(corpus)
    }

    /// Reads the files of the next speaker.
    fn add(
        &mut self,
        name: &str,
        files: Vec<Found>,
        front: &FrontEnd,
        run: &RunFile,
        bar: &ProgressBar,
    ) -> Result<()> {
        let least = (run.corpus.min_seconds * f64::from(front.sample_rate)).max(1.0);
        let heard: Result<Vec<Heard>> = files
            .par_iter()
            .map_init(Extractor::new, |extractor, f| {
                let heard = front.hear(&f.path, extractor);
                bar.inc(1);
                heard
            })
            .collect();
        let total = files.len();
        let own: Vec<(Found, Heard)> =
            files.into_iter().zip(heard?).filter(|(_, h)| h.codes.len() as f64 >= least).collect();
        self.skipped += total - own.len();
        let held = split(own.iter().map(|(f, _)| f), run.corpus.held_out);
        ensure!(
            held.contains(&false),
            "no recording to train on: {} are at least {} s long, {} of them held out",
            own.len(),
            run.corpus.min_seconds,
            held.iter().filter(|h| **h).count()
        );
        let training = || own.iter().zip(&held).filter(|(_, h)| !**h).map(|((_, r), _)| &r.raw);
        let stats = front.features.then(|| SpeakerStats::pool(training())).transpose()?;
        let speaker = self.speakers.len();
        for ((f, heard), held_out) in own.into_iter().zip(held) {
            let name = format!("{name}/{}", f.name);
            self.recordings.push(heard.recording(name, speaker, stats.as_ref(), held_out));
        }
        self.speakers.push(SpeakerSection { name: name.into(), stats });
        Ok(())
    }

    /// Recordings for training, or those held out.
    pub fn part(&self, held_out: bool) -> impl Iterator<Item = &Recording> {
        self.recordings.iter().filter(move |r| r.held_out == held_out)
    }

    /// Hours of a part.
    pub fn hours(&self, held_out: bool) -> f64 {
        let samples: usize = self.part(held_out).map(|r| r.codes.len()).sum();
        samples as f64 / f64::from(self.sample_rate) / 3600.0
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.recordings.iter().map(|r| r.codes.len() + 4 * r.track.len()).sum()
    }
}

/// Name and folder of each speaker, in the order of the speaker table.
fn folders(run: &RunFile) -> Result<Vec<(String, PathBuf)>> {
    let mut folders = Vec::new();
    if let Some(root) = &run.corpus.root {
        let mut names = run.corpus.speakers.clone();
        if names.is_empty() {
            let entries =
                std::fs::read_dir(root).with_context(|| format!("corpus.root {}", root.display()))?;
            for entry in entries {
                let entry = entry.with_context(|| format!("corpus.root {}", root.display()))?;
                if entry.path().is_dir() && !recordings::in_folder(&entry.path())?.is_empty() {
                    names.push(entry.file_name().to_string_lossy().into_owned());
                }
            }
            names.sort();
        }
        ensure!(
            !names.is_empty(),
            "corpus.root {}: no sub-folder with WAV files; wanted one for each speaker",
            root.display()
        );
        folders.extend(names.into_iter().map(|n| (n.clone(), root.join(n))));
    }
    folders.extend(run.speakers.iter().map(|s| (s.name.clone(), s.folder.clone())));
    for (i, (name, _)) in folders.iter().enumerate() {
        ensure!(!folders[..i].iter().any(|(n, _)| n == name), "speaker {name} is named twice");
    }
    Ok(folders)
}

fn files(name: &str, folder: &Path) -> Result<Vec<Found>> {
    let splits = transcripts(&folder.join("transcripts.tsv"))?;
    let paths = recordings::in_folder(folder).with_context(|| format!("speaker {name}"))?;
    ensure!(!paths.is_empty(), "speaker {name}: no WAV files in {}", folder.display());
    Ok(paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let held_out = splits.get(&name).map(|s| s == "test");
            Found { name, path, held_out }
        })
        .collect())
}

/// Column `split` by column `utt` of a `transcripts.tsv`; nothing if there is no such file.
fn transcripts(path: &Path) -> Result<HashMap<String, String>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(e) => {
            return Err(e).with_context(|| {
                format!("{}: can't be read as text (UTF-8); correct or remove it", path.display())
            });
        }
    };
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap_or("").split('\t').collect();
    let column = |name: &str| {
        head.iter().position(|h| *h == name).ok_or_else(|| {
            anyhow!("{}: no column `{name}` in its first line; correct or remove it", path.display())
        })
    };
    let (utt, split) = (column("utt")?, column("split")?);
    Ok(lines
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            Some((cells.get(utt)?.to_string(), cells.get(split)?.to_string()))
        })
        .collect())
}

/// Which files of one speaker are held out: as `transcripts.tsv` says, otherwise those whose name's hash falls into
/// the fraction, and at least one where there are several.
fn split<'a>(files: impl Iterator<Item = &'a Found>, fraction: f64) -> Vec<bool> {
    let (mut held, draws): (Vec<bool>, Vec<f64>) = files
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

fn frequency_nats<'a>(recordings: impl Iterator<Item = &'a Recording>) -> f64 {
    let mut counts = [0u64; 256];
    for r in recordings {
        r.codes.iter().for_each(|&c| counts[c as usize] += 1);
    }
    let total = counts.iter().sum::<u64>().max(1) as f64;
    counts.iter().filter(|c| **c > 0).map(|&c| c as f64 / total).map(|p| -p * p.ln()).sum()
}

fn content_id(recordings: &[Recording]) -> String {
    let parts: Vec<_> = recordings
        .par_iter()
        .map(|r| {
            let mut h = Sha256::new();
            h.update(r.name.as_bytes());
            h.update([r.held_out as u8]);
            h.update((r.codes.len() as u64).to_le_bytes());
            h.update(&r.codes);
            h.finalize()
        })
        .collect();
    let mut all = Sha256::new();
    parts.iter().for_each(|p| all.update(p));
    short_hex(&all.finalize())
}
