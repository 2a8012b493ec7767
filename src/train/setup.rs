//! The parts of a run that its steps do not change: corpus, network, objective; and the work on a state.

use super::config::{Engine, Train};
use super::device::Device;
use super::files;
use super::folder::RunFolder;
use super::held_out::Evaluation;
use super::images::ImageSource;
use super::images::vq_vae::VqVaeSource;
use super::memory::{self, Forecast};
use super::mixed_precision::MixedPrecision;
use super::run_file::Run;
use super::schedules;
use super::series::SeriesSource;
use super::slots::Slots;
use super::source::{Batches, Network, Source, engine};
use super::speech::Speech;
use super::state::TrainingState;
use super::text::TextSource;
use super::tts::SaySource;
use super::units;
use crate::lookup;
use crate::ranks::Ranks;
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::time::Instant;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::objective::{Objective, ObjectiveOptions, Window};
use wavesynth_models::weights::{self, Checkpoint};
use wavesynth_output::say;

/// Steps that are timed to turn hours into steps; the first of them only warms caches.
const TIMED: u64 = 4;

/// The loss of `network` on `device` by the code that `train.engine` names, with dropout at the rate `dropout` where the
/// family knows it and gradients for what `learns` at least.
///
/// # Errors
/// A network that does not learn by steps, or a device that is not there.
pub fn objective(
    network: &dyn Network,
    engine: Engine,
    device: Device,
    dropout: f64,
    learns: &dyn Fn(&str) -> bool,
) -> Result<Box<dyn Objective>> {
    let family = network.header()?.family;
    let by = |isa: Isa| -> Result<Box<dyn Objective>> {
        let options = ObjectiveOptions { engine, device: device.open()?, isa, dropout, learns };
        network
            .objective(&options)?
            .with_context(|| format!("family {family}: counted, not trained by steps"))
    };
    let isa = device.isa()?;
    if device != Device::CpuBf16 {
        return by(isa);
    }
    ensure!(
        engine == Engine::Fused,
        "--device {device}: found train.engine = \"graph\"; wanted \"fused\", whose products it is about"
    );
    Ok(Box::new(MixedPrecision { rounded: by(isa)?, exact: by(Isa::detect())? }))
}

/// A run, without what its steps change.
pub struct RunSetup<'a> {
    /// The ranks that take part in it.
    pub ranks: &'a Ranks,
    /// The run file.
    pub run: Run,
    /// The corpus.
    pub source: Box<dyn Source>,
    /// The network's loss.
    pub objective: Box<dyn Objective>,
    /// Windows of a step, on each rank.
    pub windows: usize,
    text: String,
    folder: RunFolder,
}

impl<'a> RunSetup<'a> {
    /// Reads everything that `run` (with its `text`) names; the run's files go to `folder`. Losses are computed on `device`.
    ///
    /// # Errors
    /// A corpus or a device that can't be used; a `max_memory` that is too little.
    pub fn open(run: Run, text: String, folder: RunFolder, device: Device, ranks: &'a Ranks) -> Result<Self> {
        ranks.same(text.as_bytes(), "run file")?;
        // Before hours of recordings are read.
        device.open()?;
        let source: Box<dyn Source> = match &run {
            Run::Voice(run) => Box::new(Speech::open(run, ranks)?),
            Run::Text(run) => Box::new(TextSource::open(run, ranks)?),
            Run::Series(run) => Box::new(SeriesSource::open(run, ranks)?),
            Run::Say(run) => Box::new(SaySource::open(run, ranks)?),
            Run::Images(run) => Box::new(ImageSource::open(run, &folder, ranks)?),
            Run::VqVae(run) => Box::new(VqVaeSource::open(run, &folder, ranks)?),
        };
        let train = run.train();
        let len = source.network().layout().len();
        let vectors = memory::VECTORS * 4 * len;
        wavesynth_models::memory::check(format!("training {len} parameters"), vectors as u64)?;
        let learns = |name: &str| train.learns(name);
        let objective = objective(source.network(), train.engine, device, run.dropout(), &learns)?;
        let windows = run.train().windows();
        let mut setup = Self { ranks, run, source, objective, windows, text, folder };
        match setup.train().max_memory {
            Some(max) => setup.windows = memory::largest_batch(max, windows, |n| setup.forecast(n))?,
            None => {
                let forecast = setup.forecast(windows);
                let step = (forecast.total() - forecast.corpus) as u64;
                wavesynth_models::memory::check(format!("training with steps of {windows} windows"), step)?;
            }
        }
        Ok(setup)
    }

    /// The memory of a run with steps of `windows` windows.
    fn forecast(&self, windows: usize) -> Forecast {
        let threads = rayon::current_num_threads();
        let (objective, rows) = (self.objective.as_ref(), self.source.max_rows());
        Forecast::new(objective, self.source.bytes(), windows, rows, threads).with_saving()
    }

    fn train(&self) -> &Train {
        self.run.train()
    }

    /// The checkpoint.
    pub fn model_file(&self) -> PathBuf {
        self.folder.path().join(self.source.file_name())
    }

    /// The log.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join(files::LOG_FILE)
    }

    /// Prints on stderr what will be trained, on what, and how much memory it takes.
    pub fn announce(&self) {
        if !self.ranks.is_first() {
            return;
        }
        let source = &self.source;
        let len = self.objective.layout().len();
        source.describe().iter().for_each(|line| say!("{line}"));
        say!("model: {len} parameters ({} as f32)", units::bytes(4 * len));
        let threads = rayon::current_num_threads();
        let forecast = self.forecast(self.windows);
        say!(
            "memory: about {} expected{}: {} for the {}s, {} for the step ({} windows of {} {}s, {threads} threads), {} \
             for weights and moments, {} more while a checkpoint is written",
            units::bytes(forecast.total()),
            match self.ranks.size() {
                1 => String::new(),
                n => format!(" on each of {n} ranks"),
            },
            units::bytes(forecast.corpus),
            source.item(),
            units::bytes(forecast.step),
            self.windows,
            source.max_rows(),
            source.unit(),
            units::bytes(forecast.weights),
            units::bytes(forecast.saving)
        );
        say!("to beat: {:.3} nats/{}, by the frequencies alone", source.frequency_nats(), source.unit());
    }

    /// The state before the first step; makes the run's folder.
    ///
    /// # Errors
    /// `train.start_from` is no checkpoint of this model, the corpus is too small for a step, a folder that can't be
    /// made, or in which another run has begun.
    pub fn fresh(&self) -> Result<TrainingState> {
        self.source.check(self.slots().all)?;
        self.folder.begin(&self.model_file())?;
        let layout = self.objective.layout();
        let params = match &self.train().start_from {
            None => layout.init(self.train().seed),
            Some(path) => {
                let (mut file, _) = lookup::checkpoint(path).context("train.start_from")?;
                let at = || format!("train.start_from {}", path.display());
                let changed = self.source.adopt(&mut file, path).with_context(at)?;
                if let Some(changed) = changed.filter(|_| self.ranks.is_first()) {
                    say!("{}: {changed}", at());
                }
                weights::check(&file.tensors, layout.table()).with_context(at)?;
                layout.flatten(&file.tensors)
            }
        };
        let mut state = TrainingState::new(params, 0, self.slots().all);
        self.source.revise(&mut state, self.ranks)?;
        state.steps = match (self.train().steps, self.train().hours) {
            (Some(steps), _) => steps,
            (None, hours) => self.time(&state.params, hours.unwrap_or(0.0) * 3600.0)?,
        };
        Ok(self.part(state))
    }

    /// The windows that this rank draws.
    fn slots(&self) -> Slots {
        Slots::of(self.ranks, self.windows)
    }

    /// This rank's part of a state that holds the carry of all.
    fn part(&self, state: TrainingState) -> TrainingState {
        TrainingState { carry: state.carry[self.slots().own].to_vec(), ..state }
    }

    /// The carry of all ranks' windows; `own` is that of this one's. All ranks call this together.
    fn all_carry(&self, own: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        if self.objective.carry_len() == 0 {
            return Ok(vec![Vec::new(); self.slots().all]);
        }
        let bytes = own.iter().flatten().flat_map(|v| v.to_le_bytes()).collect();
        let all: Vec<f32> = (self.ranks.gather(bytes)?.iter())
            .flat_map(|bytes| bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)))
            .collect();
        Ok(match all.len() {
            0 => vec![Vec::new(); self.slots().all],
            _ => all.chunks_exact(self.objective.carry_len()).map(Vec::from).collect(),
        })
    }

    /// This rank's part of the batches of a run of `steps` steps.
    pub fn batches(&self, steps: u64) -> Batches<'_> {
        self.source.batches(self.slots(), steps)
    }

    /// How many steps fit into `seconds`.
    fn time(&self, params: &[f32], seconds: f64) -> Result<u64> {
        let batches = self.batches(TIMED);
        let mut grads = vec![0.0; params.len()];
        let mut began = Instant::now();
        for step in 0..TIMED {
            let loss = self.objective.loss(params, &batches(step), Some(&mut grads))?;
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
            say!("plan: {} steps in {}, {one:.2} s each", steps[0], units::span(seconds));
        }
        Ok(steps[0])
    }

    /// The engine with the weights `params`.
    ///
    /// # Errors
    /// Weights that are no numbers.
    fn engine(&self, params: &[f32]) -> Result<Loaded> {
        let (header, tensors) = (self.source.network().header()?, self.objective.layout().tensors(params));
        engine(Checkpoint { header, tensors }, self.source.file_name())
    }

    /// Mixes the network's own symbols into `batch`, of step `s.step`, where the run file asks for it.
    ///
    /// # Errors
    /// Weights that are no numbers.
    pub fn mix_own_symbols(&self, s: &TrainingState, batch: &mut [Window]) -> Result<()> {
        let Some(scheduled) = &self.train().scheduled_sampling else {
            return Ok(());
        };
        let truth = scheduled.truth(s.step, s.steps);
        let slots = self.slots();
        if truth < 1.0 {
            let first = slots.number(s.step, slots.own.start);
            schedules::mix(&self.engine(&s.params)?, batch, truth, (self.train().seed, first));
        }
        Ok(())
    }

    /// Reads the averaged weights on the held-out selection, by engine and trainer, and keeps the result in `state`.
    /// `None` if nothing is held out.
    ///
    /// # Errors
    /// The two readings differ.
    pub fn evaluate(&self, state: &mut TrainingState) -> Result<Option<Evaluation>> {
        let (objective, params) = (self.objective.as_ref(), &state.ema);
        let reading =
            self.source.evaluate(self.checkpoint(state)?, objective, params, self.windows, self.ranks)?;
        let Some(reading) = reading else {
            return Ok(None);
        };
        let reading = reading.check()?;
        state.held_out = Some(reading.own.engine);
        let best = state.best_held_out.unwrap_or(f64::MAX);
        state.best_held_out = Some(best.min(reading.own.engine));
        if reading.own.engine < best && self.train().keep_best && self.ranks.is_first() {
            let kept = self
                .checkpoint(state)
                .and_then(|c| Ok(c.write(&self.folder.path().join(lookup::BEST_FILE))?));
            if let Err(e) = kept {
                say!("step {}: the best checkpoint so far could not be kept: {e:#}", state.step);
            }
        }
        Ok(Some(reading))
    }

    fn checkpoint(&self, state: &TrainingState) -> Result<Checkpoint> {
        let mut tensors = self.objective.layout().tensors(&state.ema);
        let mut header = self.source.network().header()?;
        header.sections = self.source.sections(&tensors, state, &self.text)?;
        tensors.extend(self.source.companions());
        Ok(Checkpoint { header, tensors })
    }

    /// Checks that `state` may be written where the run's last one is.
    ///
    /// # Errors
    /// Weights that are no numbers, or the state of another run is there.
    pub fn check_savable(&self, state: &TrainingState) -> Result<()> {
        ensure!(state.is_finite(), "step {}: a weight is not a number: the run diverged", state.step);
        self.folder.check_own()
    }

    /// Writes state and checkpoint, each whole or not at all; the first rank does it for all, with a part of each.
    ///
    /// # Errors
    /// A file that can't be written. What was there stays.
    pub fn save(&self, state: &TrainingState) -> Result<()> {
        let carry = self.all_carry(&state.carry)?;
        if !self.ranks.is_first() {
            return Ok(());
        }
        state.write(&self.folder.state_file(), self.source.as_ref(), &self.text, &carry)?;
        self.folder.own_state();
        Ok(self.checkpoint(state)?.write(&self.model_file())?)
    }

    /// The state that was saved last; its number of windows goes on. With `steps` the run is extended to so many.
    ///
    /// # Errors
    /// There is none, it is another run's, or it has more steps.
    pub fn resume(&mut self, steps: Option<u64>) -> Result<TrainingState> {
        let path = self.folder.state_file();
        self.folder.own_state();
        let state = TrainingState::read(&path, self.source.as_ref(), &self.run, steps)?;
        let (had, ranks) = (state.windows, self.ranks.size());
        if self.train().max_memory.is_some() {
            self.windows = had / ranks;
        }
        ensure!(
            self.windows * ranks == had,
            "{}: was trained with {had} windows a step (train.batch times ranks), this is {}; set train.batch or the \
             number of ranks back, or begin anew in another train.out",
            path.display(),
            self.windows * ranks
        );
        Ok(self.part(state))
    }

    /// The states that the windows of the step after `state` begin from.
    pub fn carry(&self, state: &TrainingState) -> Vec<Vec<f32>> {
        match self.source.carries() {
            true => state.carry.clone(),
            false => vec![Vec::new(); state.carry.len()],
        }
    }

    /// Where the last good checkpoint is, for a run that failed.
    pub fn last_good(&self) -> String {
        match self.model_file().exists() {
            true => format!("the last good checkpoint is kept in {}", self.model_file().display()),
            false => "no checkpoint had been written yet".into(),
        }
    }
}
