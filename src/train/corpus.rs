//! The recordings of a run, as codes and feature tracks. Every rank knows of all files; it reads those that its windows
//! come from, and those held out.

pub(in crate::train) mod listing;
pub(in crate::train) mod transcripts;

use super::config::RunFile;
use super::recording::{Extracted, FrontEnd, Recording, short_hex};
use super::slots::FileWeights;
use crate::progress::Progress;
use crate::ranks::Ranks;
use crate::recordings::Notes;
use crate::voice::SpeakerSection;
use anyhow::{Context, Result, bail, ensure};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::path::PathBuf;
use wavesynth_audio::features::common::{self, Codebook};
use wavesynth_audio::features::{Extractor, FEATURES, RawFeatures, SpeakerStats};

/// The bar while they are read.
const READING: &str = "reading recordings {wide_bar} {pos}/{len} files, {eta} left";

/// The recordings of a run, by speaker and file name.
#[derive(Debug, Clone)]
pub struct SpeechCorpus {
    /// Name and statistics of each speaker, in the order of the speaker table.
    pub speakers: Vec<SpeakerSection>,
    /// The space common to all speakers' cepstra; absent for one speaker, without features, or if a speaker has too
    /// little speech.
    pub common: Option<Codebook>,
    /// All files, both parts of the split.
    pub files: Vec<File>,
    /// How likely each training file is.
    pub file_weights: FileWeights,
    /// The training files that this rank has, counted among those of all ranks.
    pub own: Range<usize>,
    /// The recordings of this rank: those training files, and all held-out files.
    pub recordings: Vec<Recording>,
    /// Files that were too short.
    pub skipped: usize,
    /// Lines about what is left out and what is wrong with recordings; on the first rank only.
    pub notes: Vec<String>,
    /// Samples per second.
    pub sample_rate: u32,
    /// Names the content: equal for equal names, codes and split.
    pub id: String,
    /// Nats per sample of the best model that looks at no past and no condition: the training codes' own frequencies,
    /// scored on themselves: the baseline of a network.
    pub frequency_nats: f64,
}

/// A recording that may be another rank's.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    /// `SPEAKER/FILE` without the ending.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Row of the speaker table.
    pub speaker: usize,
    /// Samples at the model's rate.
    pub samples: u64,
    /// Kept away from training.
    pub held_out: bool,
}

impl SpeechCorpus {
    /// Finds the recordings of a run; reads, resamples and encodes, in parallel, those that this rank needs. All ranks
    /// together.
    ///
    /// # Errors
    /// A missing folder, an unreadable file, a speaker without speech: one line with its path.
    pub fn load(run: &RunFile, ranks: &Ranks) -> Result<Self> {
        let front = FrontEnd {
            sample_rate: run.audio.sample_rate,
            preemphasis: run.audio.preemphasis,
            encoding: run.audio.bits.encoding(),
            features: run.network(1)?.facts().condition.as_ref().is_some_and(|c| c.frames.is_some()),
        };
        let mut corpus = Self {
            speakers: Vec::new(),
            common: None,
            files: Vec::new(),
            file_weights: FileWeights::default(),
            own: 0..0,
            recordings: Vec::new(),
            skipped: 0,
            notes: Vec::new(),
            sample_rate: front.sample_rate,
            id: String::new(),
            frequency_nats: 0.0,
        };
        let notes = Notes::default();
        let folders = listing::folders(run, &notes)?;
        let at = |(name, folder): &(String, PathBuf)| format!("speaker {name} ({})", folder.display());
        for (speaker, named) in folders.iter().enumerate() {
            corpus.list(speaker, named, run, &notes).with_context(|| at(named))?;
        }
        if run.corpus.held_out > 0.0 && !corpus.files.iter().any(|f| f.held_out) {
            bail!(
                "no recording can be held out: each speaker has only one; cut one into several files, or set \
                 corpus.held_out = 0 to train without the check"
            );
        }
        let listed: Vec<_> = corpus.files.iter().map(|f| (&f.name, f.samples, f.held_out)).collect();
        ranks.same(format!("{listed:?}").as_bytes(), "recordings")?;

        let training = corpus.files.iter().filter(|f| !f.held_out).map(|f| (f.speaker, f.samples));
        corpus.file_weights = FileWeights::new(training, run.corpus.balance);
        corpus.own = corpus.file_weights.of(ranks.rank(), ranks.size());
        let kept = corpus.file_weights.kept_by(ranks.rank(), ranks.size());
        let bar = match ranks.is_first() {
            true => Progress::new(corpus.wanted().count() as u64, READING),
            false => Progress::hidden(),
        };
        let mut books = Vec::new();
        for (speaker, named) in folders.iter().enumerate() {
            books.extend(
                corpus
                    .read(speaker, &named.0, &kept, (&front, &notes), ranks, &bar)
                    .with_context(|| at(named))?,
            );
        }
        bar.finish();
        corpus.notes = gathered(&notes, ranks)?;
        if books.len() == folders.len()
            && let Some((maps, reference)) = common::align(&books)
        {
            let stats = corpus.speakers.iter_mut().filter_map(|s| s.stats.as_mut());
            stats.zip(maps).for_each(|(stats, map)| stats.common = Some(map));
            corpus.common = Some(reference);
        }
        if let Some(others) = &run.train.others {
            others.read(&corpus.speakers, &mut corpus.recordings, ranks)?;
        }
        // The file at the boundary to the rank before is counted there.
        let before = kept.start - corpus.own.start;
        let kept: Vec<&Recording> = corpus.part(false).skip(before).collect();
        let (id, frequency_nats) =
            (content_id(&corpus, &kept, ranks)?, frequency_nats(&kept, front.encoding.classes(), ranks));
        (corpus.id, corpus.frequency_nats) = (id, frequency_nats);
        Ok(corpus)
    }

    /// Lists the files of the next speaker.
    fn list(
        &mut self,
        speaker: usize,
        named: &(String, PathBuf),
        run: &RunFile,
        notes: &Notes,
    ) -> Result<()> {
        let (name, folder) = named;
        let found = listing::files(folder, self.sample_rate, &run.corpus, notes)?;
        let total = found.len();
        let least = (run.corpus.min_seconds * f64::from(self.sample_rate)).max(1.0);
        let found: Vec<listing::Found> = found.into_iter().filter(|f| f.samples as f64 >= least).collect();
        self.skipped += total - found.len();
        let held = listing::split(&found, run.corpus.held_out);
        ensure!(
            held.contains(&false),
            "no recording to train on: {} are at least {} s long, {} of them held out",
            found.len(),
            run.corpus.min_seconds,
            held.iter().filter(|h| **h).count()
        );
        self.files.extend(found.into_iter().zip(held).map(|(f, held_out)| {
            let name = format!("{name}/{}", f.name);
            File { name, path: f.path, speaker, samples: f.samples, held_out }
        }));
        Ok(())
    }

    /// The files that this rank reads, each with its number among the training files.
    fn wanted(&self) -> impl Iterator<Item = (Option<usize>, &File)> {
        let mut next = 0;
        self.files
            .iter()
            .map(move |f| {
                let number = (!f.held_out).then_some(next);
                next += usize::from(!f.held_out);
                (number, f)
            })
            .filter(|(number, _)| number.is_none_or(|n| self.own.contains(&n)))
    }

    /// Reads this rank's files of the next speaker; the ranks pool its statistics and codebook, each giving the files in
    /// `kept`.
    fn read(
        &mut self,
        speaker: usize,
        name: &str,
        kept: &Range<usize>,
        (front, notes): (&FrontEnd, &Notes),
        ranks: &Ranks,
        bar: &Progress,
    ) -> Result<Option<Codebook>> {
        let wanted: Vec<_> = self.wanted().filter(|(_, f)| f.speaker == speaker).collect();
        let extracted: Result<Vec<Extracted>> = wanted
            .par_iter()
            .map_init(Extractor::new, |extractor, (_, f)| {
                let extracted = front.extract(&f.path, extractor, notes)?;
                bar.inc(1);
                ensure!(
                    extracted.codes.len() as u64 == f.samples,
                    "{} has {} samples, its header said {}: it changed while it was read",
                    f.path.display(),
                    extracted.codes.len(),
                    f.samples
                );
                Ok(extracted)
            })
            .collect();
        let extracted = extracted?;
        let (stats, book) = match front.features {
            true => {
                let own =
                    wanted.iter().zip(&extracted).filter(|((n, _), _)| n.is_some_and(|n| kept.contains(&n)));
                let all = pooled(own.map(|(_, h)| &h.raw), ranks)?;
                let stats = SpeakerStats::pool([&all])?;
                let book = Codebook::of([&all], &stats);
                (Some(stats), book)
            }
            false => (None, None),
        };
        let read: Vec<Recording> = wanted
            .iter()
            .zip(extracted)
            .map(|((_, f), extracted)| {
                extracted.recording(f.name.clone(), speaker, stats.as_ref(), f.held_out)
            })
            .collect();
        self.recordings.extend(read);
        self.speakers.push(SpeakerSection { name: name.into(), stats });
        Ok(book)
    }

    /// This rank's recordings for training, or those held out.
    pub fn part(&self, held_out: bool) -> impl Iterator<Item = &Recording> {
        self.recordings.iter().filter(move |r| r.held_out == held_out)
    }

    /// Hours of a part, on all ranks together.
    pub fn hours(&self, held_out: bool) -> f64 {
        let samples: u64 = self.files.iter().filter(|f| f.held_out == held_out).map(|f| f.samples).sum();
        samples as f64 / f64::from(self.sample_rate) / 3600.0
    }

    /// Bytes held by this rank.
    pub fn bytes(&self) -> usize {
        self.recordings.iter().map(|r| r.codes.bytes() + 4 * r.track.len() * (1 + r.cross_tracks.len())).sum()
    }
}

/// The notes of all ranks, on the first. What ranks note about the same files is said once.
fn gathered(notes: &Notes, ranks: &Ranks) -> Result<Vec<String>> {
    let own = notes.take().join("\n").into_bytes();
    let mut lines = Vec::new();
    for rank in ranks.gather(own)? {
        for line in String::from_utf8_lossy(&rank).lines() {
            if ranks.is_first() && !lines.iter().any(|l| l == line) {
                lines.push(line.to_owned());
            }
        }
    }
    Ok(lines)
}

/// The frames of a speaker's recordings on all ranks, one after the other in the order of the ranks: as one process has
/// them.
fn pooled<'a>(own: impl Iterator<Item = &'a RawFeatures>, ranks: &Ranks) -> Result<RawFeatures> {
    let mut all = RawFeatures::default();
    own.for_each(|raw| all.append(raw));
    if ranks.size() == 1 {
        return Ok(all);
    }
    let frames = all.cepstra.iter().zip(all.f0_hz.iter().zip(&all.voicing));
    let bytes = frames
        .flat_map(|(c, (f0, voicing))| c.iter().chain([f0, voicing]).flat_map(|v| v.to_le_bytes()))
        .collect();
    all = RawFeatures::default();
    for frame in ranks.gather(bytes)?.iter().flat_map(|bytes| bytes.chunks_exact(4 * FEATURES)) {
        let mut values = frame.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        all.cepstra.push(std::array::from_fn(|_| values.next().unwrap_or(0.0)));
        all.f0_hz.extend(values.next());
        all.voicing.extend(values.next());
    }
    Ok(all)
}

/// `kept` are the recordings that count for this rank.
fn frequency_nats(kept: &[&Recording], classes: usize, ranks: &Ranks) -> f64 {
    let mut counts = vec![0u64; classes];
    for r in kept {
        r.codes.iter().for_each(|c| counts[usize::from(c)] += 1);
    }
    ranks.sum(&mut counts);
    let total = counts.iter().sum::<u64>().max(1) as f64;
    counts.iter().filter(|c| **c > 0).map(|&c| c as f64 / total).map(|p| -p * p.ln()).sum()
}

/// `kept` are the recordings that count for this rank.
fn content_id(corpus: &SpeechCorpus, kept: &[&Recording], ranks: &Ranks) -> Result<String> {
    let digest = |r: &&Recording| {
        let mut h = Sha256::new();
        h.update(r.name.as_bytes());
        h.update([r.held_out as u8]);
        h.update((r.codes.len() as u64).to_le_bytes());
        h.update(r.codes.to_le_bytes());
        r.cross_tracks.iter().flatten().for_each(|v| h.update(v.to_le_bytes()));
        h.finalize().to_vec()
    };
    let digests = |recordings: &[&Recording]| -> Vec<u8> {
        recordings.par_iter().map(digest).collect::<Vec<_>>().concat()
    };
    let training = ranks.gather(digests(kept))?.concat();
    let held_out = digests(&corpus.part(true).collect::<Vec<_>>());
    let (mut training, mut held_out) = (training.chunks_exact(32), held_out.chunks_exact(32));
    let mut all = Sha256::new();
    for file in &corpus.files {
        let digest = if file.held_out { held_out.next() } else { training.next() };
        all.update(digest.unwrap_or_default());
    }
    Ok(short_hex(&all.finalize()))
}

#[cfg(test)]
mod tests;
