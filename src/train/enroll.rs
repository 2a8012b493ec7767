//! A new speaker for a trained voice: the shipped speaker who is nearest, and a small adaptation.
//!
//! A vector alone does not bring a stranger. The voice's few speakers span no space of voices, and their tracks are
//! normalised, so the network never reads how a stranger's spectrum lies. So the new speaker takes the vector of the voice's
//! speaker whose copies of him are likeliest, and his tracks are read in that speaker's numbers: then the network meets what
//! it knows. What is left is learned as a low-rank change of the products that the condition alone reaches
//! ([`wavesynth_models::adaptation`]).

mod judge;
mod low_rank;

pub use judge::Figures;

use super::config::Engine;
use super::device::Device;
use super::objective;
use super::recording::{FrontEnd, Recording, unit_hash};
use super::window::{Cutter, Pool};
use crate::recordings::{self, Notes};
use crate::voice::{self, Voice, wavenet_config};
use anyhow::{Context, Result, bail, ensure};
use judge::Judge;
use low_rank::Learner;
use rayon::prelude::*;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use wavesynth_audio::cond::{AdaptationTensor, Condition, SpeakerVector};
use wavesynth_audio::features::common::Alignment;
use wavesynth_audio::features::{self, Extractor, RawFeatures, SAMPLE_RATE, SpeakerStats};
use wavesynth_audio::pcm::Codes;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::{Checkpoint, Layout, Tensors};

/// Fraction of the recordings that is held out.
const HELD_OUT: f64 = 0.2;
/// Most seconds of it that are read.
const JUDGED_SECONDS: f64 = 15.0;
/// Samples of a window in the loss.
const WINDOW: usize = 4800;
/// Rank of the changes.
const RANK: usize = 8;

/// How a speaker is enrolled.
#[derive(Debug, Clone)]
pub struct EnrollOptions {
    /// The speaker's name.
    pub name: String,
    /// Steps of learning; with none the voice is not adapted.
    pub steps: u64,
    /// Where all random numbers come from.
    pub seed: u64,
}

/// A speaker that was enrolled.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// Vector, statistics and adaptation.
    pub condition: Condition,
    /// The voice's speaker who came nearest.
    pub nearest: String,
    /// That speaker as he would be played on the held-out recordings.
    pub before: Figures,
    /// The new one on them; `None` where no adaptation gave fewer nats, and `condition` is the nearest speaker.
    pub after: Option<Figures>,
}

/// A recording, or a part of one.
struct Piece {
    path: PathBuf,
    /// Its samples at 16 kHz and those behind it: a pipe is read once. Empty for a voice without local conditioning, and where
    /// the piece is learned from.
    signal: Vec<f32>,
    codes: Codes,
    /// Empty for a voice without local conditioning.
    raw: RawFeatures,
}

/// Makes the speaker of `files` one of the voice in `checkpoint`; `model` is used in errors only. Runs in the current rayon
/// pool. Once `stop` is set it ends with the best so far, which is an error before the nearest speaker is found. What is wrong with
/// the recordings is said on stderr.
///
/// # Errors
/// A model without speakers, recordings that can't be read or are too short.
pub fn enroll(
    checkpoint: &Checkpoint,
    model: &Path,
    files: &[PathBuf],
    options: &EnrollOptions,
    stop: &AtomicBool,
) -> Result<Enrolled> {
    let voice = Loaded::from_checkpoint(checkpoint.clone(), Isa::detect()).at(model)?;
    let voice = Voice::from_loaded(voice).at(model)?;
    let config = FamilyConfig::from_header(&checkpoint.header).at(model)?;
    let Some(dim) =
        wavenet_config(&config).at(model)?.condition.as_ref().map(|c| c.speaker_dim).filter(|d| *d > 0)
    else {
        bail!("{}: this voice has no speakers, so none can be added", model.display());
    };
    let pieces = read(&voice, files)?;
    let section = &voice.section;
    let local = voice.track_shape().is_some();
    let stats = local
        .then(|| recordings::statistics(pieces.iter().map(|p| &p.raw), section.common.as_ref()))
        .transpose()?;
    let stats = stats.map(held_to_identity);
    let (known, judged) = split(pieces, voice.config.hop(), section.sample_rate)?;
    let mut played = checkpoint.clone();
    voice::for_playing(&mut played).at(model)?;
    let played = Voice::from_loaded(Loaded::from_checkpoint(played, Isa::detect()).at(model)?).at(model)?;
    let judge = Judge { voice: &voice, played: &played, pieces: &judged };

    let as_speaker = |i: usize| Condition {
        name: options.name.clone(),
        source: String::new(),
        speaker: Some(SpeakerVector {
            reads: section.speakers[i].stats.clone().filter(|_| local),
            ..SpeakerVector::new(section.space.clone(), voice.model.embeddings()[i * dim..][..dim].to_vec())
        }),
        stats: stats.clone(),
        track: None,
    };
    let nats = (0..section.speakers.len()).into_par_iter().map(|i| {
        ensure!(!stop.load(Ordering::Relaxed), "stopped before a speaker was found; nothing is written");
        judge.nats(&as_speaker(i))
    });
    let nats = nats.collect::<Result<Vec<f64>>>()?;
    let nearest = (0..nats.len()).min_by(|&a, &b| nats[a].total_cmp(&nats[b])).context("no speaker")?;
    let mut condition = as_speaker(nearest);
    let before = judge.figures(&condition, nats[nearest])?;

    let table = config.adaptation_table(RANK);
    let mut after = None;
    if options.steps > 0 && !table.is_empty() && !stop.load(Ordering::Relaxed) {
        let changed: HashSet<String> =
            table.iter().map(|s| s.name.trim_end_matches(".down").to_owned()).collect();
        let objective = objective(&config, Engine::Fused, Device::Cpu, 0.0, &|name| changed.contains(name))?;
        let reads = condition.speaker.as_ref().and_then(|s| s.reads.as_ref());
        let known: Vec<Recording> = known.into_iter().map(|p| p.recording(nearest, reads)).collect();
        let pool: Pool = known.iter().collect();
        let cutter = Cutter::new(config.facts(), WINDOW, None);
        let adapted = |factors: &Tensors| {
            let mut adapted = condition.clone();
            if let Some(speaker) = &mut adapted.speaker {
                speaker.adaptation = (factors.iter())
                    .map(|(name, t)| {
                        (name.clone(), AdaptationTensor { shape: t.shape.clone(), values: t.data.clone() })
                    })
                    .collect();
            }
            adapted
        };
        let learner = Learner {
            objective: objective.as_ref(),
            base: &checkpoint.tensors,
            pool: &pool,
            cutter: &cutter,
            layout: Layout::new(table),
            stop,
        };
        let best = learner.learn(options, before.nats, &|factors| judge.nats(&adapted(factors)))?;
        if let Some((factors, nats)) = best {
            condition = adapted(&factors);
            after = Some(judge.figures(&condition, nats)?);
        }
    }
    Ok(Enrolled { condition, nearest: section.speakers[nearest].name.clone(), before, after })
}

/// With a map to the common space that is held half-way to the identity: one from little speech is nearly singular, and what
/// is said by its inverse is garbled.
fn held_to_identity(mut stats: SpeakerStats) -> SpeakerStats {
    stats.common = stats.common.map(|map| Alignment::mixed(&[(&map, 0.5), (&Alignment::identity(), 0.5)]));
    stats
}

/// Codes and features of the new speaker's recordings.
fn read(voice: &Voice, files: &[PathBuf]) -> Result<Vec<Piece>> {
    let front = FrontEnd {
        sample_rate: voice.section.sample_rate,
        preemphasis: voice.section.preemphasis,
        encoding: voice.encoding,
        features: voice.track_shape().is_some(),
    };
    let notes = Notes::default();
    let pieces = files
        .par_iter()
        .map_init(Extractor::new, |extractor, path| {
            let recording = recordings::read(path, front.sample_rate, &notes)?;
            let extracted = front.of(&recording, extractor)?;
            let signal = if front.features { recording.at(SAMPLE_RATE)? } else { Vec::new() };
            Ok(Piece { path: path.clone(), signal, codes: extracted.codes, raw: extracted.raw })
        })
        .collect::<Result<_>>()?;
    notes.say();
    Ok(pieces)
}

impl Piece {
    fn name(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// For the trainer: of speaker `speaker` of the voice, its track in the numbers of `stats`.
    fn recording(self, speaker: usize, stats: Option<&SpeakerStats>) -> Recording {
        Recording {
            name: self.name(),
            speaker,
            track: stats.map_or(Vec::new(), |s| features::normalise(&self.raw, s).frames),
            codes: self.codes,
            cross_tracks: Vec::new(),
            held_out: false,
        }
    }

    /// Cuts off what lies from frame `at` on.
    fn split_off(&mut self, at: usize, hop: usize, rate: u32) -> Self {
        let from = at * hop * SAMPLE_RATE as usize / rate as usize;
        let rest = Self {
            path: self.path.clone(),
            signal: self.signal[from.min(self.signal.len())..].to_vec(),
            codes: self.codes.from_on(at * hop),
            raw: self.raw.split_off(at),
        };
        self.codes.truncate(at * hop);
        rest
    }
}

/// Recordings to learn from and to judge by: by file where there are several, else by time. Held out are whole recordings,
/// the last of them cut, of at most [`JUDGED_SECONDS`] together.
fn split(mut all: Vec<Piece>, hop: usize, rate: u32) -> Result<(Vec<Piece>, Vec<Piece>)> {
    let samples: usize = all.iter().map(|r| r.codes.len()).sum();
    let seconds = samples as f64 / f64::from(rate);
    ensure!(seconds >= 2.0, "{seconds:.1} s of recordings, wanted at least 2 s, better a minute");
    if let [only] = &mut all[..] {
        let at = only.codes.len() as f64 / hop as f64 * (1.0 - HELD_OUT);
        let rest = only.split_off(at as usize, hop, rate);
        all.push(rest);
    } else {
        all.sort_by(|a, b| unit_hash(&b.name()).total_cmp(&unit_hash(&a.name())));
    }
    let mut judged = vec![];
    let mut room = ((seconds * HELD_OUT).min(JUDGED_SECONDS) * f64::from(rate)) as usize;
    while all.len() > 1 && room > 0 {
        let Some(mut last) = all.pop() else { break };
        if last.codes.len() > room + hop {
            last.split_off(room.div_ceil(hop), hop, rate);
        }
        room = room.saturating_sub(last.codes.len());
        judged.push(last);
    }
    all.iter_mut().for_each(|piece| piece.signal = Vec::new());
    Ok((all, judged))
}
