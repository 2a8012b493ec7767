//! Recordings and their transcripts, aligned and cut into sentences.

use super::config::Say;
use crate::ranks::Ranks;
use crate::recordings::{self, Notes};
use crate::train::corpus::listing::own_names;
use crate::train::corpus::transcripts::{Said, Transcripts};
use crate::tts::align::{self, Acoustics, Item, Segment, observe};
use crate::tts::context::Sequence;
use crate::tts::model::MOST_FRAMES;
use crate::tts::phones::{self, PhoneSet};
use crate::tts::pronounce::common;
use crate::tts::utterance::{Utterance, Word};
use crate::tts::{FrontEnd, Language};
use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use wavesynth_audio::features::{Extractor, FEATURES, RawFeatures, SpeakerStats};

/// A sentence as it was said.
#[derive(Debug, Clone, PartialEq)]
pub struct Sentence {
    /// Its recording, as `FOLDER/FILE`.
    pub name: String,
    /// What is told of its phones, row by row.
    pub table: Vec<f32>,
    /// Frames of each phone, [`MOST_FRAMES`] at most.
    pub durations: Vec<u16>,
    /// [Σ durations, FEATURES] normalised by speaker.
    pub frames: Vec<f32>,
    /// Kept away from training.
    pub held_out: bool,
}

/// A recording with the phones found in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// Its recording, as `FOLDER/FILE`.
    pub name: String,
    /// Its words.
    pub words: Vec<Word>,
    /// The phones, which cover all of its frames.
    pub segments: Vec<Segment>,
    /// [N, FEATURES] normalised by speaker.
    track: Vec<f32>,
    held_out: bool,
}

/// The sentences of a run.
#[derive(Debug, Clone)]
pub struct SayCorpus {
    /// The phones of the transcripts.
    pub phones: PhoneSet,
    /// Recordings, aligned.
    pub aligned: Vec<Aligned>,
    /// Lines about what is left out.
    pub notes: Vec<String>,
    /// Mean of a frame's logarithm of the density along the alignment.
    pub fit: f64,
}

/// A recording and what is said in it.
struct Found {
    name: String,
    path: PathBuf,
    said: Vec<Utterance>,
    held_out: bool,
}

/// A recording, what is said in it, and its features.
pub struct Spoken {
    /// Its recording, as `FOLDER/FILE`.
    pub name: String,
    /// Its file.
    path: PathBuf,
    /// What is said.
    pub said: Vec<Utterance>,
    /// Kept away from training.
    pub held_out: bool,
    /// [N, FEATURES] normalised by speaker.
    track: Vec<f32>,
}

impl Spoken {
    /// Reads the recordings of `say`.
    ///
    /// # Errors
    /// A folder or file that can't be read, a transcript without words, a speaker without speech.
    pub fn all(say: &Say, notes: &Notes) -> Result<Vec<Self>> {
        let at = |folder: &Path| format!("say.folders {}", folder.display());
        let mut listed = Vec::new();
        for (i, folder) in say.folders.iter().enumerate() {
            let real = folder.canonicalize().with_context(|| at(folder))?;
            ensure!(
                !listed.iter().any(|(other, _, _)| *other == real),
                "{}: the folder is there twice",
                at(folder)
            );
            let own = list(&Reader::new(say, i), folder, notes).with_context(|| at(folder))?;
            listed.push((real, folder, own));
        }
        let mut all = Vec::new();
        for (_, folder, own) in listed {
            let read = features(&own, say.skip_bad, notes).with_context(|| at(folder))?;
            let stats = SpeakerStats::pool(read.iter().flatten()).with_context(|| at(folder))?;
            for (Found { name, path, said, held_out }, raw) in own.into_iter().zip(read) {
                if let Some(raw) = raw {
                    let track = recordings::track(&raw, &stats).frames;
                    all.push(Self { name, path, said, held_out, track });
                }
            }
        }
        Ok(all)
    }

    /// What is aligned: its frames, and its phones by their numbers in `phones`.
    pub fn item(&self, phones: &PhoneSet) -> Item {
        Item { frames: observe(&self.track), words: numbers(phones, &self.said) }
    }
}

impl SayCorpus {
    /// Reads the recordings of `say` and aligns them. All ranks do the same.
    ///
    /// # Errors
    /// A folder or file that can't be read, a transcript without words, a speaker without speech.
    pub fn load(say: &Say, ranks: &Ranks) -> Result<Self> {
        let notes = Notes::default();
        let found = Spoken::all(say, &notes)?;
        let listed: Vec<_> = found.iter().map(|f| (&f.name, &f.said, f.held_out)).collect();
        ranks.same(format!("{listed:?}").as_bytes(), "transcripts")?;
        let phones = PhoneSet::of(found.iter().flat_map(|f| &f.said)).context("say.folders")?;
        let items: Vec<Item> = found.iter().map(|f| f.item(&phones)).collect();
        let mut fit = 0.0;
        let (_, alignments) = Acoustics::learn(phones.len(), &items, |_, log_p| fit = log_p);
        let mut aligned = Vec::new();
        for (f, segments) in found.into_iter().zip(alignments) {
            let Some(segments) = segments else {
                notes.unused(format!("{}: too short for what is said in it", f.path.display()));
                continue;
            };
            let words = f.said.into_iter().flat_map(|u| u.words).collect();
            aligned.push(Aligned { name: f.name, words, segments, track: f.track, held_out: f.held_out });
        }
        ensure!(!aligned.is_empty(), "say.folders: no recording is long enough for its transcript");
        Ok(Self { phones, aligned, notes: notes.take(), fit })
    }

    /// The sentences of all recordings.
    pub fn sentences(&self) -> Vec<Sentence> {
        self.aligned.iter().flat_map(|a| a.sentences(&self.phones)).collect()
    }
}

/// The phones of all words, by number.
fn numbers(phones: &PhoneSet, said: &[Utterance]) -> Vec<Vec<u16>> {
    let word = |w: &Word| w.phones.iter().filter_map(|p| phones.number(p)).collect();
    said.iter().flat_map(|u| &u.words).map(word).collect()
}

/// The features of each recording; `None` of one that can't be read, where `skip_bad` leaves it out.
fn features(found: &[Found], skip_bad: bool, notes: &Notes) -> Result<Vec<Option<RawFeatures>>> {
    let each =
        |extractor: &mut Extractor, f: &Found| match recordings::raw_features(&f.path, extractor, notes) {
            Err(e) if skip_bad => {
                notes.left_out(format!("{e:#}"));
                Ok(None)
            }
            read => read.map(Some),
        };
    let read: Vec<_> = found.par_iter().map_init(Extractor::new, each).collect::<Result<_>>()?;
    ensure!(read.iter().any(Option::is_some), "none of its {} recordings can be read", read.len());
    Ok(read)
}

/// The recordings of a speaker's folder that have a transcript.
fn list(reader: &Reader<'_>, folder: &Path, notes: &Notes) -> Result<Vec<Found>> {
    let path = folder.join("transcripts.tsv");
    let transcripts = Transcripts::read(&path)?;
    let speaker = folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let files = recordings::in_folder(folder)?;
    files.left_out(folder).into_iter().for_each(|line| notes.line(line));
    let names: Vec<_> = files.recordings.iter().map(|file| own_names(folder, file)).collect();
    let strays = transcripts.strays(&names, "they are left out");
    strays.into_iter().for_each(|line| notes.line(line));
    let mut found = Vec::new();
    for (file, (name, full)) in files.recordings.into_iter().zip(names) {
        let Some(said) = transcripts.said(&name, &full)? else { continue };
        let held_out = transcripts.held_out(&name, &full) == Some(true);
        let said = reader.utterances(said).with_context(|| format!("{}: `{name}`", path.display()))?;
        if said.is_empty() {
            notes.unused(format!("{}: nothing is said in it", file.display()));
            continue;
        }
        found.push(Found { name: format!("{speaker}/{name}"), path: file, said, held_out });
    }
    ensure!(!found.is_empty(), "no recording with a transcript");
    Ok(found)
}

/// What transcripts say: their phones where they have them, else what the program reads of their text.
struct Reader<'a> {
    language: &'a str,
    /// Whether phones are the common ones.
    is_common: bool,
    front_end: OnceCell<FrontEnd>,
}

impl<'a> Reader<'a> {
    /// Of folder `i`.
    fn new(say: &'a Say, i: usize) -> Self {
        let own = say.languages.get(i);
        Self { language: own.unwrap_or(&say.language), is_common: own.is_some(), front_end: OnceCell::new() }
    }

    fn utterances(&self, said: &Said) -> Result<Vec<Utterance>> {
        let mut all = self.own_utterances(said)?;
        if let Some(language) = Language::from_name(self.language).filter(|_| self.is_common) {
            let phones = all.iter_mut().flat_map(|u| &mut u.words).flat_map(|w| &mut w.phones);
            phones.for_each(|phone| *phone = common::named(language, phone));
        }
        Ok(all)
    }

    fn own_utterances(&self, said: &Said) -> Result<Vec<Utterance>> {
        if !said.phones.is_empty() {
            let all = phones::read(&said.phones);
            all.iter()
                .flat_map(|u| &u.words)
                .flat_map(|w| &w.phones)
                .try_for_each(|p| phones::check_name(p))?;
            return Ok(all);
        }
        if self.front_end.get().is_none() {
            let known = Language::from_name(self.language).with_context(|| {
                format!(
                    "this program reads no text in the language {}: wanted its phones in the column `phones`",
                    self.language
                )
            })?;
            let _ = self.front_end.set(FrontEnd::new(known)?);
        }
        Ok(self.front_end.get().map_or_else(Vec::new, |f| f.read(&said.text).0))
    }
}

impl Aligned {
    /// The frames at which each sentence ends, and the word behind it: the middle of the pause between two.
    fn cuts(&self) -> Vec<(usize, usize)> {
        let end = self.track.len() / FEATURES;
        let last = self.words.len();
        let mut cuts: Vec<_> = (self.segments.iter())
            .filter(|s| s.phone == align::PAUSE && (1..last).contains(&s.word))
            .filter(|s| self.words[s.word - 1].after.ends_sentence())
            .map(|s| (s.start.midpoint(s.end), s.word))
            .collect();
        cuts.push((end, last));
        cuts
    }

    /// Its sentences.
    fn sentences(&self, set: &PhoneSet) -> Vec<Sentence> {
        let (mut begin, mut first, mut all) = (0, 0, Vec::new());
        for (end, behind) in self.cuts() {
            let utterance = Utterance { words: self.words[first..behind].to_vec() };
            // The parts of its phones that lie in it, and the pauses among them.
            let own: Vec<(Segment, usize)> = (self.segments.iter())
                .map(|s| (*s, s.end.min(end).saturating_sub(s.start.max(begin))))
                .filter(|(_, frames)| *frames > 0)
                .collect();
            let pauses: Vec<usize> =
                own.iter().filter(|(s, _)| s.phone == align::PAUSE).map(|(s, _)| s.word - first).collect();
            if let Ok(sequence) = Sequence::new(set, &utterance, |words| pauses.contains(&words)) {
                all.extend(self.sentence(&sequence, &own, begin));
            }
            (begin, first) = (end, behind);
        }
        all
    }

    /// The sentence of these phones from frame `begin` on. What is longer than [`MOST_FRAMES`] loses its middle.
    fn sentence(&self, sequence: &Sequence, own: &[(Segment, usize)], begin: usize) -> Option<Sentence> {
        let same = own.iter().map(|(s, _)| s.phone).eq(sequence.slots().iter().map(|s| s.phone));
        if !same {
            return None;
        }
        let (mut frames, mut durations, mut at) = (Vec::new(), Vec::new(), begin);
        let mut add = |range: std::ops::Range<usize>| {
            frames.extend_from_slice(&self.track[range.start * FEATURES..range.end * FEATURES]);
        };
        for (_, n) in own {
            let kept = (*n).min(MOST_FRAMES);
            let half = kept / 2;
            add(at..at + half);
            add(at + n - (kept - half)..at + n);
            durations.push(kept as u16);
            at += n;
        }
        let (name, table) = (self.name.clone(), sequence.table());
        Some(Sentence { name, table, durations, frames, held_out: self.held_out })
    }
}
