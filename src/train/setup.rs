//! What stands still while a run steps: corpus, network, objective, and what is done with a state.

use super::config::{Engine, Train};
use super::held_out::Reading;
use super::report;
use super::run_file::Run;
use super::source::Source;
use super::speech::Speech;
use super::state::State;
use super::text::TextSource;
use super::tricks;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::time::Instant;
use wavesynth_models::char_rnn;
use wavesynth_models::kernels::Isa;
use wavesynth_models::objective::{Objective, Window};
use wavesynth_models::wavenet::{self, fused::Fused, graph::GraphObjective};
use wavesynth_models::weights::{self, Checkpoint, Header, VERSION};
use wavesynth_models::zoo::{FamilyConfig, Loaded};

/// Steps that are timed to turn hours into steps; the first of them only warms caches.
const TIMED: u64 = 4;

/// The objective that a run file's `train.engine` names.
pub fn objective(config: &wavenet::Config, engine: Engine) -> Box<dyn Objective> {
    match engine {
        Engine::Fused => Box::new(Fused::new(config.clone(), Isa::detect())),
        Engine::Graph => Box::new(GraphObjective::new(config.clone(), candle_core::Device::Cpu)),
    }
}

/// The objective of any family that learns by steps.
///
/// # Errors
/// A family that does not.
fn objective_of(config: &FamilyConfig, engine: Engine) -> Result<Box<dyn Objective>> {
    match config {
        FamilyConfig::WaveNet(c) => Ok(objective(c, engine)),
        FamilyConfig::CharRnn(c) => Ok(match engine {
            Engine::Fused => Box::new(char_rnn::fused::Fused::new(c.clone(), Isa::detect())),
            Engine::Graph => {
                Box::new(char_rnn::graph::GraphObjective::new(c.clone(), candle_core::Device::Cpu))
            }
        }),
        FamilyConfig::Ngram(_) => bail!("an n-gram table is counted, not trained by steps"),
    }
}

/// A run, without what its steps change.
pub struct Setup {
    /// The run file.
    pub run: Run,
    /// The corpus.
    pub source: Box<dyn Source>,
    /// The network's loss.
    pub objective: Box<dyn Objective>,
    text: String,
    out: PathBuf,
}

impl Setup {
    /// Reads everything that `run` (with its `text`) names; `out` is made if it is missing.
    ///
    /// # Errors
    /// A corpus or a folder that can't be used.
    pub fn open(run: Run, text: String, out: PathBuf) -> Result<Self> {
        let source: Box<dyn Source> = match &run {
            Run::Voice(run) => Box::new(Speech::open(run)?),
            Run::Text(run) => Box::new(TextSource::open(run)?),
        };
        std::fs::create_dir_all(&out).with_context(|| format!("train.out {}", out.display()))?;
        let objective = objective_of(source.config(), run.train().engine)?;
        Ok(Self { run, source, objective, text, out })
    }

    fn train(&self) -> &Train {
        self.run.train()
    }

    /// The checkpoint.
    pub fn model_file(&self) -> PathBuf {
        self.out.join(self.source.file_name())
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
        let (source, train) = (&self.source, self.train());
        let len = self.objective.layout().len();
        source.describe().iter().for_each(|line| eprintln!("{line}"));
        eprintln!("model: {len} parameters ({} as f32)", report::bytes(4 * len));
        let threads = rayon::current_num_threads();
        let work = self.objective.peak_bytes(train.batch, source.max_rows(), threads);
        // Parameters, gradient, two moments, average.
        let total = work + source.bytes() + 5 * 4 * len;
        eprintln!(
            "memory: about {} expected: {} for the {}s, {} for the step ({} windows of {} {}s, {threads} threads), {} \
             for weights and moments",
            report::bytes(total),
            report::bytes(source.bytes()),
            source.item(),
            report::bytes(work),
            train.batch,
            source.max_rows(),
            source.unit(),
            report::bytes(5 * 4 * len)
        );
        eprintln!("to beat: {:.3} nats/{}, by the frequencies alone", source.frequency_nats(), source.unit());
    }

    /// The state before the first step.
    ///
    /// # Errors
    /// `train.start_from` is no checkpoint of this model.
    pub fn fresh(&self) -> Result<State> {
        let layout = self.objective.layout();
        let params = match &self.train().start_from {
            None => layout.init(self.train().seed),
            Some(path) => {
                let file = Checkpoint::read(path).context("train.start_from")?;
                weights::check(&file.tensors, layout.table())
                    .with_context(|| format!("train.start_from {}", path.display()))?;
                layout.flatten(&file.tensors)
            }
        };
        let steps = match (self.train().steps, self.train().hours) {
            (Some(steps), _) => steps,
            (None, hours) => self.time(&params, hours.unwrap_or(0.0) * 3600.0)?,
        };
        Ok(State::new(params, steps, self.train().batch))
    }

    /// How many steps fit into `seconds`.
    fn time(&self, params: &[f32], seconds: f64) -> Result<u64> {
        let batches = self.source.batches(TIMED);
        let mut grads = vec![0.0; params.len()];
        let mut began = Instant::now();
        for step in 0..TIMED {
            self.objective.loss(params, &batches(step), Some(&mut grads))?;
            if step == 0 {
                began = Instant::now();
            }
        }
        let one = began.elapsed().as_secs_f64() / (TIMED - 1) as f64;
        let steps = (seconds / one.max(1e-9)).max(1.0) as u64;
        eprintln!("plan: {steps} steps in {}, {one:.2} s each", report::span(seconds));
        Ok(steps)
    }

    /// The engine with the weights `params`.
    ///
    /// # Errors
    /// Weights that are no numbers.
    fn engine(&self, params: &[f32]) -> Result<Loaded> {
        let config = self.source.config();
        let header = Header {
            version: VERSION,
            family: config.family().into(),
            config: config.to_json()?,
            sections: serde_json::Map::new(),
        };
        let file = Checkpoint { header, tensors: self.objective.layout().tensors(params) };
        Ok(Loaded::from_checkpoint(file, &self.model_file(), Isa::detect())?)
    }

    /// Lets the network read its own symbols in `batch`, of step `s.step`, where the run file asks for it.
    ///
    /// # Errors
    /// Weights that are no numbers.
    pub fn mix_own_symbols(&self, s: &State, batch: &mut [Window]) -> Result<()> {
        let Some(scheduled) = &self.train().scheduled_sampling else {
            return Ok(());
        };
        let truth = scheduled.truth(s.step, s.steps);
        if truth < 1.0 {
            let layout = self.objective.layout();
            tricks::mix(
                &self.engine(&s.params)?,
                &s.params,
                layout,
                batch,
                truth,
                (self.train().seed, s.step),
            );
        }
        Ok(())
    }

    /// Reads the averaged weights on the held-out selection, by engine and trainer, and keeps the result in `state`.
    /// `None` if nothing is held out.
    ///
    /// # Errors
    /// The two readings differ.
    pub fn evaluate(&self, state: &mut State) -> Result<Option<Reading>> {
        let model = Loaded::from_checkpoint(self.checkpoint(state)?, &self.model_file(), Isa::detect())?;
        let Some(reading) = self.source.evaluate(model, self.objective.as_ref(), &state.ema)? else {
            return Ok(None);
        };
        let reading = reading.check()?;
        state.held_out = Some(reading.engine);
        let best = state.best_held_out.unwrap_or(f64::MAX);
        state.best_held_out = Some(best.min(reading.engine));
        Ok(Some(reading))
    }

    fn checkpoint(&self, state: &State) -> Result<Checkpoint> {
        let config = self.source.config();
        let tensors = self.objective.layout().tensors(&state.ema);
        let header = Header {
            version: VERSION,
            family: config.family().into(),
            config: config.to_json()?,
            sections: self.source.sections(&tensors, state, &self.text)?,
        };
        Ok(Checkpoint { header, tensors })
    }

    /// Writes checkpoint and state, each whole or not at all.
    ///
    /// # Errors
    /// Weights that are no numbers, or what the file system says.
    pub fn save(&self, state: &State) -> Result<()> {
        ensure!(state.is_finite(), "step {}: a weight is not a number: the run diverged", state.step);
        state.write(&self.state_file(), self.source.as_ref(), &self.text)?;
        Ok(self.checkpoint(state)?.write(&self.model_file())?)
    }

    /// The state that was saved last.
    ///
    /// # Errors
    /// There is none, or it is another run's.
    pub fn resume(&self) -> Result<State> {
        State::read(&self.state_file(), self.source.as_ref(), &self.run)
    }

    /// Where the last good checkpoint is, for a run that failed.
    pub fn last_good(&self) -> String {
        match self.model_file().exists() {
            true => format!("the last good checkpoint is kept in {}", self.model_file().display()),
            false => "no checkpoint had been written yet".into(),
        }
    }

    /// Whether `out` holds a run already.
    pub fn is_begun(out: &Path) -> bool {
        out.join("state.safetensors").exists()
    }
}
