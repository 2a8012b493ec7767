//! The recordings of a run, as codes and feature tracks.

use super::config::RunFile;
use super::report;
use crate::voice::SpeakerSection;
use anyhow::{Context, Result, anyhow, bail, ensure};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use wavesynth_audio::features::{self, Extractor, RawFeatures, SpeakerStats};
use wavesynth_audio::{pcm, wav};

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// `SPEAKER/FILE` without `.wav`.
    pub name: String,
    /// Row of the speaker table.
    pub speaker: usize,
    /// Mu-law codes at the model's rate; there are 256 of them, so a byte holds one.
    pub codes: Vec<u8>,
    /// [N, FEATURES] normalised features; empty for a model without local conditioning.
    pub track: Vec<f32>,
    /// Kept away from training.
    pub held_out: bool,
}

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
}

/// A file before it is read.
struct Found {
    speaker: usize,
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
        let folders = folders(run)?;
        let mut found = Vec::new();
        for (speaker, (name, folder)) in folders.iter().enumerate() {
            found.extend(files(speaker, name, folder)?);
        }
        let bar = report::loading(found.len() as u64);
        let min_samples = run.corpus.min_seconds * f64::from(run.audio.sample_rate);
        let read: Result<Vec<_>> = found
            .par_iter()
            .map_init(Extractor::new, |extractor, f| {
                let (codes, raw) = read(&f.path, run, extractor)?;
                bar.inc(1);
                Ok((codes.len() as f64 >= min_samples.max(1.0)).then_some((codes, raw)))
            })
            .collect();
        bar.finish_and_clear();
        let mut kept: Vec<(Found, Vec<u8>, RawFeatures)> = Vec::new();
        let total = found.len();
        for (f, r) in found.into_iter().zip(read?) {
            if let Some((codes, raw)) = r {
                kept.push((f, codes, raw));
            }
        }
        let skipped = total - kept.len();
        let mut speakers = Vec::new();
        let mut recordings = Vec::new();
        for (speaker, (name, folder)) in folders.iter().enumerate() {
            let n = kept.iter().take_while(|(f, ..)| f.speaker == speaker).count();
            let own: Vec<_> = kept.drain(..n).collect();
            let held = split(&own, run.corpus.held_out);
            ensure!(
                held.iter().any(|h| !h),
                "speaker {name}: no recording to train on in {} (at least {} s long, 16-bit or float WAV)",
                folder.display(),
                run.corpus.min_seconds
            );
            let training = || own.iter().zip(&held).filter(|(_, h)| !**h).map(|(r, _)| &r.2);
            let stats = match run.model.features {
                true => Some(
                    SpeakerStats::pool(training())
                        .with_context(|| format!("speaker {name} ({})", folder.display()))?,
                ),
                false => None,
            };
            for ((f, codes, raw), held_out) in own.into_iter().zip(held) {
                recordings.push(Recording {
                    name: format!("{name}/{}", f.name),
                    speaker,
                    codes,
                    track: stats.as_ref().map_or(vec![], |s| features::normalise(&raw, s).frames),
                    held_out,
                });
            }
            speakers.push(SpeakerSection { name: name.clone(), stats });
        }
        if run.corpus.held_out > 0.0 && !recordings.iter().any(|r| r.held_out) {
            bail!(
                "no recording can be held out: each speaker has only one; cut one into several files, or set \
                 corpus.held_out = 0 to train without the check"
            );
        }
        let id = content_id(&recordings);
        let sample_rate = run.audio.sample_rate;
        Ok(Self { speakers, recordings, skipped, sample_rate, id })
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

    /// Nats per sample of the best model that looks at no past and no condition: the training codes' own frequencies,
    /// scored on themselves. What a network has to beat before it has learned anything.
    pub fn frequency_nats(&self) -> f64 {
        let mut counts = [0u64; 256];
        for r in self.part(false) {
            r.codes.iter().for_each(|&c| counts[c as usize] += 1);
        }
        let total = counts.iter().sum::<u64>().max(1) as f64;
        let share = counts.iter().filter(|c| **c > 0).map(|&c| c as f64 / total);
        share.map(|p| -p * p.ln()).sum()
    }
}

/// Name and folder of each speaker, in the order of the speaker table.
fn folders(run: &RunFile) -> Result<Vec<(String, PathBuf)>> {
    let mut folders = Vec::new();
    if let Some(root) = &run.corpus.root {
        let mut names = run.corpus.speakers.clone();
        if names.is_empty() {
            let entries = std::fs::read_dir(root)
                .with_context(|| format!("corpus.root {}", root.display()))?;
            for entry in entries {
                let entry = entry.with_context(|| format!("corpus.root {}", root.display()))?;
                if entry.path().is_dir() && !wav_files(&entry.path())?.is_empty() {
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
        ensure!(
            !folders[..i].iter().any(|(n, _)| n == name),
            "speaker {name} is named twice"
        );
    }
    Ok(folders)
}

/// The WAV files of a folder, sorted by name.
///
/// # Errors
/// A folder that can't be read.
pub fn wav_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("folder {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("folder {}", folder.display()))?.path();
        let wav = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("wav"));
        if wav && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn files(speaker: usize, name: &str, folder: &Path) -> Result<Vec<Found>> {
    let splits = transcripts(&folder.join("transcripts.tsv"))?;
    let paths = wav_files(folder).with_context(|| format!("speaker {name}"))?;
    ensure!(!paths.is_empty(), "speaker {name}: no WAV files in {}", folder.display());
    Ok(paths
        .into_iter()
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let held_out = splits.get(&name).map(|s| s == "test");
            Found { speaker, name, path, held_out }
        })
        .collect())
}

/// Column `split` by column `utt` of a `transcripts.tsv`; nothing if there is no such file.
fn transcripts(path: &Path) -> Result<HashMap<String, String>> {
    let Ok(text) = std::fs::read_to_string(path) else {
        return Ok(HashMap::new());
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

/// Codes and raw features of one file.
fn read(path: &Path, run: &RunFile, extractor: &mut Extractor) -> Result<(Vec<u8>, RawFeatures)> {
    let rate = run.audio.sample_rate;
    let signal = wav::read_at(path, rate)?;
    let codes = encode(&signal, run.audio.preemphasis);
    let raw = match (run.model.features, rate == features::SAMPLE_RATE) {
        (false, _) => RawFeatures::default(),
        (true, true) => extractor.extract(&signal),
        (true, false) => extractor.extract(&wav::read_at(path, features::SAMPLE_RATE)?),
    };
    Ok((codes, raw))
}

/// Pre-emphasis and mu-law, a byte a sample.
pub fn encode(signal: &[f32], preemphasis: f32) -> Vec<u8> {
    pcm::encode_signal(signal, preemphasis).into_iter().map(|c| c as u8).collect()
}

/// Which files of one speaker are held out: as `transcripts.tsv` says, otherwise those whose name's hash falls into
/// the fraction, and at least one where there are several.
fn split(own: &[(Found, Vec<u8>, RawFeatures)], fraction: f64) -> Vec<bool> {
    if fraction == 0.0 {
        return vec![false; own.len()];
    }
    let draw: Vec<f64> = own.iter().map(|(f, ..)| unit_hash(&f.name)).collect();
    let mut held: Vec<bool> =
        own.iter().zip(&draw).map(|((f, ..), d)| f.held_out.unwrap_or(*d < fraction)).collect();
    if own.len() > 1 && !held.contains(&true) {
        let least = (0..own.len()).min_by(|&a, &b| draw[a].total_cmp(&draw[b]));
        held[least.unwrap_or(0)] = true;
    }
    held
}

/// A number in [0, 1) that only the text decides.
pub fn unit_hash(text: &str) -> f64 {
    let digest = Sha256::digest(text.as_bytes());
    let head = u64::from_le_bytes(digest[..8].try_into().unwrap_or_default());
    (head >> 11) as f64 / (1u64 << 53) as f64
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

/// The first 8 bytes of a digest as text: enough to tell two apart by accident, not against intent.
pub fn short_hex(digest: &[u8]) -> String {
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}
