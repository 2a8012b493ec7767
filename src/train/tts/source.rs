//! Windows of durations and frames, and their held-out readings.

use super::adopt::adopt;
use super::config::SayRun;
use super::corpus::{SayCorpus, Sentence};
use super::learner::Learner;
use crate::columns;
use crate::images::entropy;
use crate::kinds;
use crate::ranks::Ranks;
use crate::recordings;
use crate::train::held_out::{Evaluation, HeldOutNats};
use crate::train::product::{TRAINING, progress};
use crate::train::recording::{short_hex, unit_hash};
use crate::train::schedules::dropout_key;
use crate::train::series::gaussian_nats;
use crate::train::slots::Slots;
use crate::train::source::{Batches, Network, Source, engine};
use crate::train::state::TrainingState;
use crate::tts::context::{self, WITHIN, phone_features, write_within};
use crate::tts::draw::{FrameStream, Prosody, given};
use crate::tts::model::{MOST_FRAMES, SECTION, SayModel, SaySection};
use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::path::Path;
use wavesynth_audio::features::{self, CEPSTRA, FEATURES, PITCH, VOICING};
use wavesynth_models::ar::{Sampling, Uniforms};
use wavesynth_models::condition::{FrameTable, TrackSource};
use wavesynth_models::objective::{Objective, VectorRows, Window};
use wavesynth_models::second;
use wavesynth_models::weights::{Checkpoint, Tensors};
use wavesynth_output::say;

/// Standard deviation of the noise on the pitch and the voicing to be drawn, in their own: where nothing is voiced they are exact
/// numbers, whose density has no bound.
const TARGET_NOISE: f32 = 0.08;

/// Seconds of frames that an evaluation draws at most.
const DRAWN_SECONDS: usize = 60;

/// The sentences of a run file.
pub struct SaySource {
    run: SayRun,
    corpus: SayCorpus,
    training: Vec<Sentence>,
    held_out: Vec<Sentence>,
    section: SaySection,
    learner: Learner,
    frequency_nats: f64,
    id: String,
}

impl SaySource {
    /// Reads and aligns the recordings that `run` names; each of `ranks` does it.
    ///
    /// # Errors
    /// As [`SayCorpus::load`], or recordings that are not the same on all ranks.
    pub fn open(run: &SayRun, ranks: &Ranks) -> Result<Self> {
        let corpus = SayCorpus::load(&run.say, ranks)?;
        if ranks.is_first() {
            recordings::say(&corpus.notes);
        }
        let (mut held_out, mut training): (Vec<_>, Vec<_>) =
            corpus.sentences().into_iter().partition(|s| s.held_out);
        if training.is_empty() {
            bail!("say.folders: nothing to train on");
        }
        let rows = || training.iter().flat_map(|s| s.frames.chunks_exact(FEATURES));
        let (mean, std) = columns::measured(FEATURES, rows)
            .map_err(|k| anyhow!("say.folders: number {k} of the frames never changes: no speech"))?;
        let section = SaySection {
            language: run.say.language.clone(),
            context: context::RECIPE.into(),
            recipe: features::RECIPE.into(),
            phones: corpus.phones.names().to_vec(),
            mean,
            std,
        };
        let mut hash = Sha256::new();
        for s in training.iter_mut().chain(&mut held_out) {
            section.columns().normalise(&mut s.frames);
            hash.update(s.name.as_bytes());
            s.durations.iter().for_each(|d| hash.update(d.to_le_bytes()));
            s.table.iter().chain(&s.frames).for_each(|x| hash.update(x.to_le_bytes()));
        }
        let id = short_hex(&hash.finalize());
        ranks.same(id.as_bytes(), "recordings")?;
        // Neither the first by alphabet nor the longest.
        held_out.sort_by(|a, b| unit_hash(&a.name).total_cmp(&unit_hash(&b.name)));
        let (frames, durations) = run.networks(corpus.phones.len())?;
        let frequency_nats = frequency_nats(&training);
        let learner = Learner { frames, durations };
        Ok(Self { run: run.clone(), corpus, training, held_out, section, learner, frequency_nats, id })
    }

    /// Frames from `start` on, `rows` at most: each reads the one before it. With a `key` noise is laid over what is read.
    fn frame_window(&self, s: &Sentence, start: usize, rows: usize, key: Option<u64>) -> Window {
        let all = s.frames.len() / FEATURES;
        let rows = rows.min(all - start);
        let span = |from: usize, to: usize| &s.frames[from * FEATURES..to * FEATURES];
        let mut targets = span(start, start + rows).to_vec();
        let first = if start > 0 { span(start - 1, start).to_vec() } else { vec![0.0; FEATURES] };
        let mut inputs = [&first[..], span(start, start + rows - 1)].concat();
        if let Some(key) = key {
            let mut u = Uniforms::new(key);
            let (noise, drop) = (self.run.say.noise as f32, self.run.say.drop as f32);
            for (read, drawn) in inputs.chunks_exact_mut(FEATURES).zip(targets.chunks_exact_mut(FEATURES)) {
                if u.next_uniform() < drop {
                    read.fill(0.0);
                } else if noise > 0.0 {
                    read.iter_mut().for_each(|x| *x += noise * u.normal());
                }
                drawn[PITCH..=VOICING].iter_mut().for_each(|x| *x += TARGET_NOISE * u.normal());
            }
        }
        let width = phone_features(self.corpus.phones.len());
        let mut frames = FrameTable::default();
        let mut t = 0;
        for (row, d) in s.table.chunks_exact(width).zip(&s.durations) {
            for i in 0..usize::from(*d) {
                if (start..start + rows).contains(&t) {
                    frames.rows.extend_from_slice(row);
                    let at = frames.rows.len();
                    frames.rows.resize(at + WITHIN, 0.0);
                    write_within(i, usize::from(*d), &mut frames.rows[at..]);
                    frames.sources.push(Some(TrackSource::Own));
                }
                t += 1;
            }
        }
        let vectors = VectorRows { dims: FEATURES, inputs, targets };
        Window { vectors, frames, dropout: key, ..Window::default() }
    }

    /// The durations of a sentence.
    fn duration_window(&self, s: &Sentence, key: Option<u64>) -> Window {
        let targets: Vec<u16> = s.durations.iter().map(|d| d - 1).collect();
        let inputs = [&[0], &targets[..targets.len() - 1]].concat();
        let sources = vec![Some(TrackSource::Own); targets.len()];
        let frames = FrameTable { rows: s.table.clone(), sources };
        Window { inputs, targets, frames, dropout: key, ..Window::default() }
    }

    /// The held-out sentences that an evaluation reads.
    fn read(&self) -> Vec<&Sentence> {
        let most = (self.run.train.eval_seconds * 100.0) as usize;
        let mut frames = 0;
        let all = self.held_out.iter().take_while(|s| {
            let before = frames;
            frames += s.frames.len() / FEATURES;
            before < most
        });
        all.collect()
    }

    /// Draws the likeliest frames of `sentences` with the durations of the recordings, each frame after the model's own, and says how
    /// far they are from the recordings'.
    fn distance(&self, model: &SayModel, sentences: &[&Sentence]) -> Distance {
        let width = phone_features(self.corpus.phones.len());
        let mut stream =
            FrameStream::new(model, Prosody { temperature: 0.0, variation: 1.0, ..Prosody::default() }, 0);
        let mut distance = Distance::default();
        for s in sentences {
            if distance.frames > DRAWN_SECONDS * 100 {
                break;
            }
            stream.begin(0);
            let mut truth = s.frames.chunks_exact(FEATURES);
            let mut drawn = [0.0; FEATURES];
            for (row, d) in s.table.chunks_exact(width).zip(&s.durations) {
                for (i, truth) in (0..usize::from(*d)).zip(&mut truth) {
                    stream.frame(row, i, usize::from(*d), &mut drawn);
                    let truth: Vec<f32> = self.section.columns().restored(truth).collect();
                    distance.add(&drawn, &truth);
                }
            }
        }
        distance
    }
}

/// How far drawn frames are from those of recordings.
#[derive(Debug, Clone, Copy, Default)]
struct Distance {
    frames: usize,
    /// Σ over the cepstra of their squared differences, and of the variation of either, in standard deviations of the speaker.
    squares: f64,
    drawn: f64,
    wanted: f64,
    /// Frames of which one is voiced and the other is not.
    voicing: usize,
    /// Frames that both are voiced, and Σ of their squared difference in pitch.
    voiced: usize,
    pitch: f64,
}

impl Distance {
    fn add(&mut self, drawn: &[f32; FEATURES], wanted: &[f32]) {
        self.frames += 1;
        // Without c0, the level.
        for k in 1..CEPSTRA {
            self.squares += f64::from(drawn[k] - wanted[k]).powi(2);
            self.drawn += f64::from(drawn[k]).powi(2);
            self.wanted += f64::from(wanted[k]).powi(2);
        }
        let (a, b) = (drawn[VOICING] > 0.2, wanted[VOICING] > 0.2);
        self.voicing += usize::from(a != b);
        if a && b {
            self.voiced += 1;
            let octaves = (drawn[PITCH] - wanted[PITCH]) / features::PITCH_SCALE;
            self.pitch += f64::from(12.0 * octaves).powi(2);
        }
    }

    fn describe(&self) -> String {
        let numbers = (self.frames * (CEPSTRA - 1)).max(1) as f64;
        format!(
            "drawn with the recordings' durations, {} frames: cepstra off by {:.3} deviations (rms), {:.0} % of their variation, {:.1} % \
             of the frames voiced otherwise, pitch off by {:.2} semitones (rms)",
            self.frames,
            (self.squares / numbers).sqrt(),
            100.0 * (self.drawn / self.wanted.max(1e-9)).sqrt(),
            100.0 * self.voicing as f64 / self.frames.max(1) as f64,
            (self.pitch / self.voiced.max(1) as f64).sqrt()
        )
    }
}

/// Nats a row of one Gaussian a column, and of the durations' own frequencies.
fn frequency_nats(training: &[Sentence]) -> f64 {
    let frames: usize = training.iter().map(|s| s.frames.len() / FEATURES).sum();
    let mut counts = [0; MOST_FRAMES];
    training.iter().flat_map(|s| &s.durations).for_each(|d| counts[usize::from(*d) - 1] += 1);
    let phones = counts.iter().sum::<u64>() as usize;
    let (gaussians, entropy) = (gaussian_nats(FEATURES), entropy(&counts));
    (gaussians * frames as f64 + entropy * phones as f64) / (frames + phones) as f64
}

impl Source for SaySource {
    fn network(&self) -> &dyn Network {
        &self.learner
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn item(&self) -> &'static str {
        "recording"
    }

    /// A frame, or a phone's duration.
    fn unit(&self) -> &'static str {
        "row"
    }

    fn file_name(&self) -> &'static str {
        kinds::SAY_FILE
    }

    fn describe(&self) -> Vec<String> {
        let size = |part: &[Sentence]| {
            let frames: usize = part.iter().map(|s| s.frames.len() / FEATURES).sum();
            let phones: usize = part.iter().map(|s| s.durations.len()).sum();
            format!(
                "{} sentences ({:.1} min, {phones} phones and pauses)",
                part.len(),
                frames as f64 / 6000.0
            )
        };
        vec![
            format!("corpus: {} to train on, {} held out", size(&self.training), size(&self.held_out)),
            format!(
                "phones: {}; aligned at {:.2} nats a frame",
                self.corpus.phones.names()[1..].join(" "),
                -self.corpus.fit
            ),
            format!(
                "networks: {} of frames with {} Gaussians, {} of durations",
                self.learner.frames.family(),
                self.run.say.components,
                self.learner.durations.family()
            ),
        ]
    }

    fn bytes(&self) -> usize {
        let of = |s: &Sentence| size_of_val(&s.frames[..]) + size_of_val(&s.table[..]);
        self.training.iter().chain(&self.held_out).map(of).sum()
    }

    fn frequency_nats(&self) -> f64 {
        self.frequency_nats
    }

    fn max_rows(&self) -> usize {
        self.run.train.window
    }

    /// Any sentence gives any number of windows.
    fn check(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn carries(&self) -> bool {
        false
    }

    fn adopt(&self, file: &mut Checkpoint, _: &Path) -> Result<Option<String>> {
        adopt(file, &self.corpus.phones, &self.run.say.language)
    }

    /// Every other window is of durations.
    fn batches(&self, slots: Slots, _: u64) -> Batches<'_> {
        let (seed, rows) = (self.run.train.seed, self.run.train.window);
        // Each frame is as likely.
        let mut ends: Vec<u64> = Vec::new();
        for s in &self.training {
            ends.push(ends.last().unwrap_or(&0) + (s.frames.len() / FEATURES) as u64);
        }
        Box::new(move |step| {
            let draw = |slot: usize| {
                let number = slots.number(step, slot);
                let mut uniforms = Uniforms::keyed(seed, number);
                let key = Some(dropout_key(seed, number));
                let at = uniforms.below(*ends.last().unwrap_or(&1));
                let s = &self.training[ends.partition_point(|end| *end <= at)];
                if number % 2 == 1 {
                    return self.duration_window(s, key);
                }
                let spare = (s.frames.len() / FEATURES).saturating_sub(rows);
                // The beginning is as likely as the rest together.
                let start = match uniforms.next_uniform() < 0.5 {
                    true => 0,
                    false => uniforms.below(spare as u64 + 1) as usize,
                };
                self.frame_window(s, start, rows, key)
            };
            let mut all: Vec<Window> = slots.own.clone().map(draw).collect();
            all.sort_by_key(|w| w.vectors.dims == 0);
            all
        })
    }

    fn evaluate(
        &self,
        checkpoint: Checkpoint,
        objective: &dyn Objective,
        params: &[f32],
        windows: usize,
        ranks: &Ranks,
    ) -> Result<Option<Evaluation>> {
        let sentences = self.read();
        if sentences.is_empty() {
            return Ok(None);
        }
        let model = SayModel::from_loaded(engine(checkpoint, self.file_name())?).context(self.file_name())?;
        let frames: Vec<Window> =
            sentences.iter().map(|s| self.frame_window(s, 0, usize::MAX / FEATURES, None)).collect();
        let durations: Vec<Window> = sentences.iter().map(|s| self.duration_window(s, None)).collect();
        let rows = |part: &[Window]| part.iter().map(Window::rows).sum::<usize>() as f64;
        let total = rows(&frames) + rows(&durations);
        let (mut by_engine, mut by_trainer) = (0.0, 0.0);
        for (network, part) in [(&model.frames, &frames), (&model.durations, &durations)] {
            for w in part {
                let mut stream = network.generator(Sampling::default());
                let width = w.frames.rows.len() / w.rows();
                for (t, row) in w.frames.rows.chunks_exact(width).enumerate() {
                    stream.condition(&given(row));
                    by_engine += f64::from(stream.score(w.target(t)));
                }
            }
            for group in part.chunks(windows) {
                by_trainer += objective.loss(params, group, None)? * rows(group);
            }
        }
        if ranks.is_first() {
            say!("{}", self.distance(&model, &sentences).describe());
        }
        let own = HeldOutNats { engine: by_engine / total, trainer: by_trainer / total };
        Ok(Some(Evaluation { own, cross_speaker: None }))
    }

    fn verdict(&self, nats: f64) -> String {
        format!(
            "{:.3} nats below one Gaussian a column and the durations' frequencies",
            self.frequency_nats - nats
        )
    }

    fn sections(&self, _: &Tensors, state: &TrainingState, run: &str) -> Result<Map<String, Value>> {
        let sections = [
            (SECTION, serde_json::to_value(&self.section)?),
            (second::NAME, second::section(&self.learner.durations)?),
            (TRAINING, progress(self, state, run)),
        ];
        Ok(sections.into_iter().map(|(k, v)| (k.to_string(), v)).collect())
    }
}
