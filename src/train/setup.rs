//! What stands still while a run steps: corpus, network, objective, and what is done with a state.

use super::config::{Engine, RunFile};
use super::corpus::Corpus;
use super::device::Device;
use super::held_out::{HeldOut, Reading};
use super::memory::{self, Forecast};
use super::state::State;
use super::window::{Cutter, Sampler};
use super::{product, report};
use crate::ranks::Ranks;
use crate::voice::Voice;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::time::Instant;
use wavesynth_models::kernels::Isa;
use wavesynth_models::objective::Objective;
use wavesynth_models::wavenet::{self, fused::Fused, graph::GraphObjective, names};
use wavesynth_models::weights::{self, Checkpoint};
use wavesynth_models::zoo::Loaded;

/// Steps that are timed to turn hours into steps; the first of them only warms caches.
const TIMED: u64 = 4;

/// The objective that a run file's `train.engine` names. On a GPU it is the plain graph in any case: the fused layers
/// are for a processor's caches.
///
/// # Errors
/// A device that is not there.
pub fn objective(config: &wavenet::Config, engine: Engine, device: Device) -> Result<Box<dyn Objective>> {
    Ok(match (engine, device) {
        (Engine::Fused, Device::Cpu) => Box::new(Fused::new(config.clone(), Isa::detect())),
        _ => Box::new(GraphObjective::new(config.clone(), device.open()?)),
    })
}

/// A run, without what its steps change.
pub struct Setup<'a> {
    /// Who takes part in it.
    pub ranks: &'a Ranks,
    /// The run file.
    pub run: RunFile,
    /// The recordings.
    pub corpus: Corpus,
    /// The network's sizes.
    pub config: wavenet::Config,
    /// Its loss.
    pub objective: Box<dyn Objective>,
    /// How recordings become windows.
    pub cutter: Cutter,
    /// Windows of a step.
    pub windows: usize,
    /// How held-out recordings do: always with the whole receptive field, as the engine hears them.
    judge: Cutter,
    /// What is evaluated; `None` if nothing is held out.
    pub held_out: Option<HeldOut>,
    text: String,
    out: PathBuf,
}

impl<'a> Setup<'a> {
    /// Reads everything that `run` (with its `text`) names; `out` is made if it is missing. Losses are computed on
    /// `device`.
    ///
    /// # Errors
    /// A corpus, a folder or a device that can't be used; a `max_memory` that is too little.
    pub fn open(run: RunFile, text: String, out: PathBuf, device: Device, ranks: &'a Ranks) -> Result<Self> {
        ranks.same(text.as_bytes(), "run file")?;
        // Before hours of recordings are read.
        device.open()?;
        let corpus = Corpus::load(&run, ranks)?;
        std::fs::create_dir_all(&out).with_context(|| format!("train.out {}", out.display()))?;
        let config = run.model.config(corpus.speakers.len(), run.audio.sample_rate);
        config.validate()?;
        let objective = objective(&config, run.train.engine, device)?;
        let cutter = Cutter::new(&config, run.train.window, run.train.max_warmup);
        let judge = Cutter::new(&config, run.train.window, None);
        let held_out = HeldOut::select(&corpus, run.train.eval_seconds);
        let windows = run.train.windows();
        let mut setup =
            Self { ranks, run, corpus, config, objective, cutter, windows, judge, held_out, text, out };
        if let Some(max) = setup.run.train.max_memory {
            setup.windows = memory::largest_batch(max, windows, |n| setup.forecast(n))?;
        }
        Ok(setup)
    }

    /// The memory of a run with steps of `windows` windows.
    fn forecast(&self, windows: usize) -> Forecast {
        let threads = rayon::current_num_threads();
        let (objective, rows) = (self.objective.as_ref(), self.cutter.max_rows());
        Forecast::new(objective, self.corpus.bytes(), windows, rows, threads).with_saving()
    }

    /// The voice file.
    pub fn voice_file(&self) -> PathBuf {
        self.out.join("voice.safetensors")
    }

    /// The file that resuming reads.
    pub fn state_file(&self) -> PathBuf {
        self.out.join("state.safetensors")
    }

    /// The log.
    pub fn log_file(&self) -> PathBuf {
        self.out.join("log.csv")
    }

    /// Says on stderr what will be trained, on what, and how much memory it takes.
    pub fn announce(&self) {
        if !self.ranks.is_first() {
            return;
        }
        let c = &self.corpus;
        let names: Vec<&str> = c.speakers.iter().map(|s| s.name.as_str()).collect();
        eprintln!(
            "corpus: {} speakers ({}), {} recordings, {:.2} h to train on, {:.2} h held out{}",
            names.len(),
            names.join(", "),
            c.files.len(),
            c.hours(false),
            c.hours(true),
            match c.skipped {
                0 => String::new(),
                n => format!(", {n} shorter than {} s skipped", self.run.corpus.min_seconds),
            }
        );
        let len = self.objective.layout().len();
        let rate = f64::from(c.sample_rate);
        eprintln!(
            "model: {len} parameters ({} as f32), {} layers, receptive field {:.0} ms, {:.2} million multiply-adds a \
             sample",
            report::bytes(4 * len),
            self.config.dilations.len(),
            self.config.receptive_field() as f64 / rate * 1e3,
            self.config.macs_per_sample() as f64 / 1e6
        );
        let threads = rayon::current_num_threads();
        let forecast = self.forecast(self.windows);
        eprintln!(
            "memory: about {} expected{}: {} for recordings, {} for the step ({} windows of {} samples, {threads} \
             threads), {} for weights and moments, {} more while a checkpoint is written",
            report::bytes(forecast.total()),
            match self.ranks.size() {
                1 => String::new(),
                n => format!(" on each of {n} ranks"),
            },
            report::bytes(forecast.recordings),
            report::bytes(forecast.step),
            self.windows,
            self.cutter.max_rows(),
            report::bytes(forecast.weights),
            report::bytes(forecast.saving)
        );
        eprintln!("to beat: {:.3} nats/sample, by the codes' frequencies alone", c.frequency_nats);
    }

    /// The state before the first step.
    ///
    /// # Errors
    /// `train.start_from` is no checkpoint of this model.
    pub fn fresh(&self) -> Result<State> {
        let layout = self.objective.layout();
        let params = match &self.run.train.start_from {
            None => layout.init(self.run.train.seed),
            Some(path) => {
                let file = Checkpoint::read(path).context("train.start_from")?;
                weights::check(&file.tensors, layout.table())
                    .with_context(|| format!("train.start_from {}", path.display()))?;
                layout.flatten(&file.tensors)
            }
        };
        let steps = match (self.run.train.steps, self.run.train.hours) {
            (Some(steps), _) => steps,
            (None, hours) => self.time(&params, hours.unwrap_or(0.0) * 3600.0)?,
        };
        Ok(State::new(params, steps, self.windows * self.ranks.size()))
    }

    /// The batches of a run of `steps` steps.
    pub fn sampler(&self, steps: u64) -> Sampler<'_> {
        Sampler::new(&self.run.train, &self.corpus, &self.cutter, self.ranks, (self.windows, steps))
    }

    /// How many steps fit into `seconds`.
    fn time(&self, params: &[f32], seconds: f64) -> Result<u64> {
        let sampler = self.sampler(TIMED);
        let mut grads = vec![0.0; params.len()];
        let mut began = Instant::now();
        for step in 0..TIMED {
            let loss = self.objective.loss(params, &sampler.batch(step), Some(&mut grads))?;
            self.ranks.mean(loss, 1, &mut grads);
            if step == 0 {
                began = Instant::now();
            }
        }
        let one = began.elapsed().as_secs_f64() / (TIMED - 1) as f64;
        // The ranks' clocks differ: the first one's counts.
        let mut steps = [if self.ranks.is_first() { (seconds / one.max(1e-9)).max(1.0) as u64 } else { 0 }];
        self.ranks.sum(&mut steps);
        if self.ranks.is_first() {
            eprintln!("plan: {} steps in {}, {one:.2} s each", steps[0], report::span(seconds));
        }
        Ok(steps[0])
    }

    /// Reads the averaged weights on the held-out selection, by engine and trainer, and keeps the result in `state`.
    /// `None` if nothing is held out.
    ///
    /// # Errors
    /// The two readings differ.
    pub fn evaluate(&self, state: &mut State) -> Result<Option<Reading>> {
        let Some(held_out) = &self.held_out else {
            return Ok(None);
        };
        let layout = self.objective.layout();
        let file = self.voice_file();
        let model = Loaded::from_checkpoint(self.voice(state)?, &file, Isa::detect())?;
        let voice = Voice::from_loaded(model, &file)?;
        let dim = self.config.condition.as_ref().map_or(0, |c| c.speaker_dim);
        let vectors = match dim {
            0 => &[][..],
            _ => &state.ema[layout.range(names::SPEAKERS)],
        };
        let reading = Reading {
            engine: held_out.by_engine(&voice, vectors, self.ranks),
            trainer: held_out.by_trainer(
                self.objective.as_ref(),
                &state.ema,
                &self.judge,
                self.windows,
                self.ranks,
            )?,
        }
        .check()?;
        state.held_out = Some(reading.engine);
        let best = state.best_held_out.unwrap_or(f64::MAX);
        state.best_held_out = Some(best.min(reading.engine));
        Ok(Some(reading))
    }

    fn voice(&self, state: &State) -> Result<Checkpoint> {
        let run = (&self.run, self.text.as_str());
        product::checkpoint(run, &self.corpus, &self.config, self.objective.layout(), state)
    }

    /// Writes voice and state, each whole or not at all; the first rank does it for all.
    ///
    /// # Errors
    /// Weights that are no numbers, or what the file system says.
    pub fn save(&self, state: &State) -> Result<()> {
        ensure!(state.is_finite(), "step {}: a weight is not a number: the run diverged", state.step);
        if !self.ranks.is_first() {
            return Ok(());
        }
        state.write(&self.state_file(), &self.config, &self.corpus, &self.text)?;
        Ok(self.voice(state)?.write(&self.voice_file())?)
    }

    /// The state that was saved last; its number of windows goes on.
    ///
    /// # Errors
    /// There is none, or it is another run's.
    pub fn resume(&mut self) -> Result<State> {
        let path = self.state_file();
        let state = State::read(&path, &self.config, &self.corpus, &self.run)?;
        let (had, ranks) = (state.windows, self.ranks.size());
        if self.run.train.max_memory.is_some() {
            self.windows = had / ranks;
        }
        ensure!(
            self.windows * ranks == had,
            "{}: was trained with {had} windows a step (train.batch times ranks), this is {}; set train.batch or the \
             number of ranks back, or begin anew in another train.out",
            path.display(),
            self.windows * ranks
        );
        Ok(state)
    }

    /// Where the last good checkpoint is, for a run that failed.
    pub fn last_good(&self) -> String {
        match self.voice_file().exists() {
            true => format!("the last good checkpoint is kept in {}", self.voice_file().display()),
            false => "no checkpoint had been written yet".into(),
        }
    }

    /// Whether `out` holds a run already.
    pub fn is_begun(out: &Path) -> bool {
        out.join("state.safetensors").exists()
    }
}
