//! How fast a model trains on this machine, phase by phase, and in how much memory.
//!
//! [`measure`] knows no family: it takes an objective and whatever makes its batches.

mod symbols;

use crate::ranks::Ranks;
use crate::train::config::{Engine, RunFile, Train};
use crate::train::corpus::SpeechCorpus;
use crate::train::memory::{self, Forecast};
use crate::train::optim::{self, Moments, Optimizer, Schedule};
use crate::train::recording::Recording;
use crate::train::slots::{FileWeights, Slots};
use crate::train::window::{Cutter, SpeechWindows};
use crate::train::{self, device::Device};
use crate::voice::{SpeakerSection, wavenet_config};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::time::Instant;
use wavesynth_audio::pcm::Codes;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::families::wavenet;
use wavesynth_models::family::{Family, FamilyConfig, NamedShape};
use wavesynth_models::objective::{Objective, Window};

/// Steps before the clock starts: buffers are made in the first, and the second still fills caches.
const UNTIMED: u64 = 2;

/// Samples of each synthetic recording: 30 s at 16 kHz.
const RECORDING: usize = 480_000;

/// One measurement.
#[derive(Debug, Clone, Serialize)]
pub struct TrainRow {
    /// The shape's name, or the run file's.
    pub shape: String,
    /// Which code computed loss and gradient: fused or graph.
    pub engine: String,
    /// Where: cpu, cpu-bf16 or cuda:N.
    pub device: String,
    /// Threads.
    pub threads: usize,
    /// Windows of a step.
    pub windows: usize,
    /// Rows of a full window, warm-up among them.
    pub rows: usize,
    /// Rows of it that warm up.
    pub warmup: usize,
    /// Trained numbers.
    pub parameters: usize,
    /// Steps timed.
    pub steps: usize,
    /// Seconds of a step: batch, loss, gradient, clipping, optimizer, average. Median.
    pub step_seconds: f64,
    /// Of each timed step.
    pub step_seconds_all: Vec<f64>,
    /// Rows in the loss per second; what warms up is not counted.
    pub samples_per_s: f64,
    /// All rows per second.
    pub rows_per_s: f64,
    /// Where the mean step goes.
    pub phases: Vec<PhaseRow>,
    /// Memory announced before the first step, in bytes.
    pub predicted_bytes: usize,
    /// The most that the process has held, in bytes; `None` where the system does not say.
    pub peak_bytes: Option<usize>,
    /// Loss of the first step and of the last, nats.
    pub losses: [f64; 2],
}

/// A part of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseRow {
    /// Its name.
    pub name: String,
    /// Seconds of a mean step; work of several threads at once counts as their mean.
    pub seconds: f64,
    /// Fraction of the step.
    pub share: f64,
}

/// The subject of a measurement.
pub struct TrainSubject<'a> {
    /// Its name in the table.
    pub name: String,
    /// How its loss is computed: fused or graph.
    pub engine: String,
    /// Where it is computed.
    pub device: Device,
    /// Its loss.
    pub objective: &'a dyn Objective,
    /// Makes the batch of a step.
    pub batch: &'a dyn Fn(u64) -> Vec<Window>,
    /// Optimiser and clipping.
    pub train: Train,
    /// Rows of a full window, and those that warm up.
    pub rows: (usize, usize),
    /// Bytes that the batches are cut from.
    pub recordings: usize,
}

/// How a shape is measured; what is left out is the shape's own.
#[derive(Debug, Clone, Default)]
pub struct TrainBenchOptions {
    /// Windows of a step.
    pub batch: Option<usize>,
    /// Rows of a window in the loss.
    pub window: Option<usize>,
    /// Rows at most that warm a window up; the receptive field when left out.
    pub max_warmup: Option<usize>,
    /// Which code computes the loss.
    pub engine: Option<Engine>,
    /// Where it is computed.
    pub device: Device,
    /// Timed steps.
    pub steps: usize,
}

/// Times steps of `subject` in the current rayon pool: what the trainer's loop does in each, without its files.
///
/// # Errors
/// As the objective, or a loss that is no number.
pub fn measure(subject: &TrainSubject, steps: usize) -> Result<TrainRow> {
    let TrainSubject { objective, batch, train, .. } = subject;
    let threads = rayon::current_num_threads();
    let windows = train.windows();
    let layout = objective.layout();
    let forecast = Forecast::new(*objective, subject.recordings, windows, subject.rows.0, threads);
    let (mut params, mut grads) = (layout.init(train.seed), vec![0.0; layout.len()]);
    let (mut moments, mut ema) = (Moments::new(params.len()), params.clone());
    let optimizer = Optimizer::new(train, layout)?;
    let schedule = Schedule::new(train, UNTIMED + steps as u64);
    let (mut seconds, mut losses) = (Vec::with_capacity(steps), Vec::new());
    let (mut counted, mut rows) = (0, 0);
    // Batch, loss, clip, optimizer, average.
    let mut spent = [0.0; 5];
    for step in 0..UNTIMED + steps as u64 {
        if step == UNTIMED {
            (spent, counted, rows) = ([0.0; 5], 0, 0);
            objective.phases();
        }
        let began = Instant::now();
        let mut last = began;
        let mut mark = |i: usize| {
            let now = Instant::now();
            spent[i] += (now - last).as_secs_f64();
            last = now;
        };
        let windows = batch(step);
        mark(0);
        losses.push(objective.loss(&params, &windows, Some(&mut grads))?);
        mark(1);
        optim::clip(&mut grads, train.clip_norm);
        mark(2);
        optimizer.update(&mut params, &grads, &mut moments, step, schedule.at(step));
        mark(3);
        optim::average(&mut ema, &params, train.ema, step);
        mark(4);
        if step >= UNTIMED {
            seconds.push(began.elapsed().as_secs_f64());
        }
        counted += windows.iter().map(|w| w.targets.len() - w.warmup).sum::<usize>();
        rows += windows.iter().map(|w| w.targets.len()).sum::<usize>();
    }
    ensure!(losses.iter().all(|l| l.is_finite()), "the loss is not a number");
    let mut sorted = seconds.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    Ok(TrainRow {
        shape: subject.name.clone(),
        engine: subject.engine.clone(),
        device: subject.device.to_string(),
        threads,
        windows,
        rows: subject.rows.0,
        warmup: subject.rows.1,
        parameters: layout.len(),
        steps,
        step_seconds: median,
        samples_per_s: counted as f64 / steps as f64 / median,
        rows_per_s: rows as f64 / steps as f64 / median,
        phases: phases(spent, &objective.phases(), threads, steps),
        step_seconds_all: seconds,
        predicted_bytes: forecast.total(),
        peak_bytes: memory::peak(),
        losses: [losses[0], losses[losses.len() - 1]],
    })
}

/// The parts of a mean step; `own` is the objective's own account of its share, in seconds of all threads together.
fn phases(spent: [f64; 5], own: &[(&'static str, f64)], threads: usize, steps: usize) -> Vec<PhaseRow> {
    let [batch, loss, clip, optimizer, average] = spent;
    let mut parts = vec![("batch", batch)];
    parts.extend(own.iter().map(|&(name, s)| (name, s / threads as f64)));
    let known: f64 = parts[1..].iter().map(|p| p.1).sum();
    let rest = if own.is_empty() { "loss and gradient" } else { "padding, summing and waiting" };
    parts.extend([(rest, loss - known), ("clip", clip), ("optimizer", optimizer), ("average", average)]);
    let total: f64 = spent.iter().sum();
    let row = |(name, s): (&str, f64)| PhaseRow {
        name: name.into(),
        seconds: s / steps as f64,
        share: s / total.max(1e-12),
    };
    parts.into_iter().map(row).collect()
}

/// Measures the steps of a network of named sizes: one of recordings on random ones, cut, disturbed and drawn as the trainer
/// does, any other on random symbols.
///
/// # Errors
/// As [`measure`].
pub fn named(shape: &NamedShape<FamilyConfig>, options: &TrainBenchOptions) -> Result<TrainRow> {
    match shape.config.downcast() {
        Some(config) => {
            let train = Train { batch: Some(shape.batch), window: shape.window, ..Train::default() };
            self::wavenet(shape.name, config, train, options)
        }
        None => symbols::named(shape, options),
    }
}

/// Measures the steps of `run`, called `name`, on random recordings in place of its own.
///
/// # Errors
/// As [`measure`].
pub fn run_file(name: &str, run: &RunFile, options: &TrainBenchOptions) -> Result<TrainRow> {
    let speakers = run.corpus.speakers.len() + run.speakers.len();
    let network = run.network(speakers.max(1))?;
    self::wavenet(
        name,
        wavenet_config(&network).with_context(|| name.to_string())?,
        run.train.clone(),
        options,
    )
}

fn wavenet(
    name: &str,
    config: &wavenet::Config,
    mut train: Train,
    options: &TrainBenchOptions,
) -> Result<TrainRow> {
    train.batch = options.batch.or(train.batch);
    train.window = options.window.unwrap_or(train.window);
    train.max_warmup = options.max_warmup.or(train.max_warmup);
    train.engine = options.engine.unwrap_or(train.engine);
    let corpus = random_corpus(config, train.window);
    let cutter = Cutter::new(&config.facts(), train.window, train.max_warmup);
    let objective =
        train::objective(&FamilyConfig::from(config.clone()), train.engine, options.device, 0.0, &|_| true)?;
    if let Some(max) = train.max_memory {
        let threads = rayon::current_num_threads();
        let forecast = |n| Forecast::new(objective.as_ref(), corpus.bytes(), n, cutter.max_rows(), threads);
        train.batch = Some(memory::largest_batch(max, train.windows(), forecast)?);
    }
    // One step in all: the noise on the inputs is at its full height from the second on.
    let sampler = SpeechWindows::new(&train, &corpus, &cutter, Slots::of(&Ranks::solo(), train.windows()), 1);
    let loss_rows = train.window.next_multiple_of(config.hop());
    let subject = TrainSubject {
        name: name.into(),
        engine: format!("{:?}", train.engine).to_lowercase(),
        device: options.device,
        objective: objective.as_ref(),
        batch: &|step| sampler.batch(step),
        rows: (cutter.max_rows(), cutter.max_rows() - loss_rows),
        recordings: corpus.bytes(),
        train,
    };
    measure(&subject, options.steps.max(1))
}

/// One recording a speaker, of random codes and features.
fn random_corpus(config: &wavenet::Config, window: usize) -> SpeechCorpus {
    let mut uniforms = Uniforms::new(1);
    let condition = config.condition.as_ref();
    let (speakers, width) = condition.map_or((1, 0), |c| (c.speakers.max(1), c.features));
    let samples = RECORDING.max(8 * window);
    let mut recording = |speaker: usize| Recording {
        name: speaker.to_string(),
        speaker,
        codes: Codes::Bytes(
            (0..samples).map(|_| uniforms.below(config.classes.min(256) as u64) as u8).collect(),
        ),
        track: (0..samples.div_ceil(config.hop()) * width).map(|_| uniforms.normal()).collect(),
        cross_tracks: Vec::new(),
        held_out: false,
    };
    SpeechCorpus {
        files: Vec::new(),
        file_weights: FileWeights::new((0..speakers).map(|s| (s, samples as u64)), 1.0),
        own: 0..speakers,
        recordings: (0..speakers).map(&mut recording).collect(),
        common: None,
        speakers: (0..speakers).map(|s| SpeakerSection { name: s.to_string(), stats: None }).collect(),
        skipped: 0,
        notes: Vec::new(),
        sample_rate: 16_000,
        id: String::new(),
        frequency_nats: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up_to_the_step() {
        let own = [("layers", 6.0), ("head", 2.0)];
        let rows = phases([1.0, 5.0, 0.5, 0.25, 0.25], &own, 2, 10);
        let names: Vec<_> = rows.iter().map(|r| r.name.as_str()).collect();
        let rest = "padding, summing and waiting";
        assert_eq!(names, ["batch", "layers", "head", rest, "clip", "optimizer", "average"]);
        assert!((rows.iter().map(|r| r.seconds).sum::<f64>() - 0.7).abs() < 1e-12);
        assert!((rows.iter().map(|r| r.share).sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((rows[3].seconds - 0.1).abs() < 1e-12);
    }
}
