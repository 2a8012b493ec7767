//! A new speaker for a trained voice: only the speaker vector is learned, every weight stays as it is.

use super::config::{Engine, Train};
use super::device::Device;
use super::held_out::HeldOutSpeech;
use super::objective;
use super::optim::{AdamW, Moments, Schedule};
use super::recording::{Extracted, FrontEnd, Recording, unit_hash};
use super::window::{Cutter, Pool};
use crate::progress::Progress;
use crate::ranks::Ranks;
use crate::recordings::{self, Notes};
use crate::voice::{VoiceSection, wavenet_config};
use anyhow::{Context, Result, bail, ensure};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use wavesynth_audio::cond::{Condition, SpeakerVector};
use wavesynth_audio::features::{self, Extractor, SpeakerStats};
use wavesynth_audio::pcm::Encoding;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::families::wavenet::{self, names};
use wavesynth_models::family::{Family, FamilyConfig};
use wavesynth_models::in_file::AtPath;
use wavesynth_models::objective::Objective;
use wavesynth_models::weights::{self, Checkpoint};

/// Fraction of the recordings that is held out.
const HELD_OUT: f64 = 0.2;
/// Most seconds of it that are read to compare vectors.
const JUDGED_SECONDS: f64 = 20.0;
/// Windows of a step.
const BATCH: usize = 8;
/// Samples of a window in the loss.
const WINDOW: usize = 4800;
/// Vectors have a spread of some tenths; this is a small part of it.
const LEARNING_RATE: f64 = 0.02;

/// How a speaker is enrolled.
#[derive(Debug, Clone)]
pub struct EnrollOptions {
    /// The speaker's name.
    pub name: String,
    /// Steps of learning.
    pub steps: u64,
    /// Where all random numbers come from.
    pub seed: u64,
}

/// A speaker that was enrolled.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// Vector and statistics.
    pub condition: Condition,
    /// The trained speaker that came nearest.
    pub nearest: String,
    /// Held-out nats per sample with the nearest speaker's vector.
    pub before: f64,
    /// Held-out nats per sample with the new one.
    pub after: f64,
}

/// Learns the vector of the speaker of `files` for the voice in `checkpoint`; `model` is used in errors only. Runs in
/// the current rayon pool. What is wrong with the recordings is
/// said on stderr.
///
/// # Errors
/// A model without speakers, recordings that can't be read or are too short.
pub fn enroll(
    checkpoint: &Checkpoint,
    model: &Path,
    files: &[PathBuf],
    options: &EnrollOptions,
) -> Result<Enrolled> {
    let config = FamilyConfig::from_header(&checkpoint.header).at(model)?;
    let config = wavenet_config(&config).at(model)?.clone();
    let section = VoiceSection::from_header(&checkpoint.header).at(model)?;
    weights::check(&checkpoint.tensors, &config.table()).with_context(|| model.display().to_string())?;
    let dim = config.condition.as_ref().map_or(0, |c| c.speaker_dim);
    if dim == 0 {
        bail!("{}: this voice has no speakers, so none can be added", model.display());
    }
    let table = &checkpoint.tensors[names::SPEAKERS].data;

    // The same network with a table of one row.
    let mut one = config.clone();
    if let Some(c) = &mut one.condition {
        c.speakers = 1;
    }
    let objective =
        objective(&one.clone().into(), Engine::Fused, Device::Cpu, 0.0, &|name| name == names::SPEAKERS)?;
    let mut tensors = checkpoint.tensors.clone();
    if let Some(t) = tensors.get_mut(names::SPEAKERS) {
        t.shape[0] = 1;
        t.data.truncate(dim);
    }
    let mut params = objective.layout().flatten(&tensors);
    let place = objective.layout().range(names::SPEAKERS);

    let (recordings, stats) = read(&section, &one, files)?;
    let (known, judged) = split(recordings, one.hop(), section.sample_rate)?;
    let cutter = Cutter::new(&one.facts(), WINDOW, None);
    let judge = |params: &mut [f32], vector: &[f32]| {
        params[place.clone()].copy_from_slice(vector);
        judged.by_trainer(objective.as_ref(), params, &cutter, BATCH, &Ranks::solo())
    };
    let mut nearest = (f64::MAX, 0);
    for (i, vector) in table.chunks_exact(dim).enumerate() {
        let nats = judge(&mut params, vector)?;
        if nats < nearest.0 {
            nearest = (nats, i);
        }
    }
    let start = &table[nearest.1 * dim..][..dim];
    params[place.clone()].copy_from_slice(start);
    let learned = learn(objective.as_ref(), &mut params, &place, &known, &cutter, options)?;
    let after = judge(&mut params, &learned)?;
    // Too little material can make the new vector worse on held-out recordings.
    let (after, values) = if after <= nearest.0 { (after, learned) } else { (nearest.0, start.to_vec()) };
    let space = section.space.clone();
    Ok(Enrolled {
        condition: Condition {
            name: options.name.clone(),
            source: String::new(),
            speaker: Some(SpeakerVector { space, values }),
            stats,
            track: None,
        },
        nearest: section.speakers[nearest.1].name.clone(),
        before: nearest.0,
        after,
    })
}

/// Codes and tracks of the new speaker's recordings, and the statistics that normalise them.
fn read(
    section: &VoiceSection,
    config: &wavenet::Config,
    files: &[PathBuf],
) -> Result<(Vec<Recording>, Option<SpeakerStats>)> {
    let local = config.condition.as_ref().is_some_and(|c| c.features > 0);
    let front = FrontEnd {
        sample_rate: section.sample_rate,
        preemphasis: section.preemphasis,
        encoding: Encoding::of_classes(config.likelihood().classes()).unwrap_or(Encoding::MuLaw),
        features: local,
    };
    let notes = Notes::default();
    let extracted: Result<Vec<Extracted>> = files
        .par_iter()
        .map_init(Extractor::new, |extractor, path| front.extract(path, extractor, &notes))
        .collect();
    let extracted = extracted?;
    notes.say();
    let stats = local
        .then(|| recordings::statistics(extracted.iter().map(|h| &h.raw), section.common.as_ref()))
        .transpose()?;
    let recordings = files
        .iter()
        .zip(extracted)
        .map(|(path, extracted)| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            extracted.recording(name, 0, stats.as_ref(), false)
        })
        .collect();
    Ok((recordings, stats))
}

/// Recordings to learn from and to judge by: by file where there are several, else by time.
fn split(mut all: Vec<Recording>, hop: usize, rate: u32) -> Result<(Vec<Recording>, HeldOutSpeech)> {
    let samples: usize = all.iter().map(|r| r.codes.len()).sum();
    let seconds = samples as f64 / f64::from(rate);
    ensure!(seconds >= 2.0, "{seconds:.1} s of recordings, wanted at least 2 s, better a minute");
    if let [only] = &mut all[..] {
        let frames = only.codes.len() / hop;
        let at = (frames as f64 * (1.0 - HELD_OUT)) as usize;
        let mut rest = only.clone();
        rest.codes = rest.codes.from_on(at * hop);
        rest.track.drain(..(at * features::FEATURES).min(only.track.len()));
        only.codes.truncate(at * hop);
        all.push(rest);
    } else {
        all.sort_by(|a, b| unit_hash(&b.name).total_cmp(&unit_hash(&a.name)));
    }
    let mut judged = vec![];
    let mut room = (seconds * HELD_OUT).min(JUDGED_SECONDS) * f64::from(rate);
    while all.len() > 1 && room > 0.0 {
        let last = all.len() - 1;
        room -= all[last].codes.len() as f64;
        judged.extend(all.pop());
    }
    Ok((all, HeldOutSpeech::of(judged)))
}

/// Adam on the vector alone; the result is the mean over the second half of the steps.
fn learn(
    objective: &dyn Objective,
    params: &mut [f32],
    place: &std::ops::Range<usize>,
    known: &[Recording],
    cutter: &Cutter,
    options: &EnrollOptions,
) -> Result<Vec<f32>> {
    let train =
        Train { learning_rate: LEARNING_RATE, warmup_steps: 10, final_fraction: 0.1, ..Train::default() };
    let adam = AdamW::without_decay(&train, place.len());
    let schedule = Schedule::new(&train, options.steps);
    let mut moments = Moments::new(place.len());
    let mut grads = vec![0.0; params.len()];
    let mut vector = params[place.clone()].to_vec();
    let mut sum = vec![0.0f64; vector.len()];
    let mut counted = 0;
    let pool: Pool = known.iter().collect();
    let bar = Progress::new(options.steps, "enrolling {wide_bar} {pos}/{len} steps, {eta} left");
    for step in 0..options.steps {
        let mut uniforms = Uniforms::keyed(options.seed, step);
        let batch: Vec<_> = (0..BATCH)
            .map(|_| {
                let recording = pool.pick(&mut uniforms);
                cutter.cut(recording, cutter.place(recording, &mut uniforms), Some(recording.own_track()))
            })
            .collect();
        params[place.clone()].copy_from_slice(&vector);
        objective.loss(params, &batch, Some(&mut grads))?;
        adam.update(&mut vector, &grads[place.clone()], &mut moments, step, schedule.at(step));
        if step >= options.steps / 2 {
            sum.iter_mut().zip(&vector).for_each(|(s, v)| *s += f64::from(*v));
            counted += 1;
        }
        bar.inc(1);
    }
    bar.finish();
    ensure!(vector.iter().all(|v| v.is_finite()), "the vector diverged; check the recordings");
    Ok(sum.iter().map(|s| (s / f64::from(counted.max(1))) as f32).collect())
}
