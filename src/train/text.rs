//! A text file as a source of windows, and the text model's file.
//!
//! ```text
//! config    the run file: [text], [model] of any family, [train]
//! corpus    the file as symbols, its first part for training, its last held out
//! window    batches, cut as the family wants them: see window::WindowPast
//! lines     batches of lines, each a sequence of its own
//! held_out  the held-out part read by the engine and by the trainer
//! counted   families that are counted in one pass: n-gram tables
//! ```

pub mod config;
pub mod corpus;
pub mod counted;
pub mod held_out;
pub mod lines;
pub mod window;

use super::held_out::{Evaluation, HeldOutNats};
use super::schedules::Lengths;
use super::slots::Slots;
use super::source::{Batches, Network, Source, engine};
use super::state::TrainingState;
use crate::kinds;
use crate::ranks::Ranks;
use crate::text::{SECTION, TextModel};
use anyhow::{Context, Result, bail};
use config::TextRun;
use corpus::TextCorpus;
use lines::{Line, TextLines};
use serde_json::{Map, Value, json};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::objective::{Learning, Objective, WindowPast};
use wavesynth_models::weights::{Checkpoint, Tensors};
use window::{InputNoise, TextWindows};

/// The text of a run file.
pub struct TextSource {
    run: TextRun,
    corpus: TextCorpus,
    config: FamilyConfig,
    past: WindowPast,
    /// Where each line of the training symbols and of the held-out ones is learned, for a run over lines.
    lines: Option<[Vec<Line>; 2]>,
}

impl TextSource {
    /// Reads the text that `run` names and makes its tokeniser; each of `ranks` reads all of it.
    ///
    /// # Errors
    /// A file that can't be read or is not the same on all ranks, a network that its number of symbols makes too large.
    pub fn open(run: &TextRun, ranks: &Ranks) -> Result<Self> {
        let corpus = TextCorpus::load(&run.text)?;
        ranks.same(corpus.id.as_bytes(), "text")?;
        let config = run.network(corpus.tokenizer.classes(), corpus.tokenizer.start())?;
        let Learning::Steps(past) = config.learning() else {
            bail!("family {}: counted, not trained by steps", config.family());
        };
        let lines = run.text.lines.then(|| lines::split(run, &corpus)).transpose()?;
        Ok(Self { run: run.clone(), corpus, config, past, lines })
    }

    /// The past of a training window. Held-out ones always have all.
    fn training_past(&self) -> WindowPast {
        self.past.bounded(self.run.train.max_warmup)
    }
}

/// Nats per symbol in bits, and as perplexity.
pub fn verdict(nats: f64) -> String {
    format!("{:.4} bits, perplexity {:.2}", nats / std::f64::consts::LN_2, nats.exp())
}

/// The sections of a text model: its tokeniser, and where it comes from.
fn sections(
    corpus: &TextCorpus,
    state: Value,
    held_out: Option<f64>,
    run: &str,
) -> Result<Map<String, Value>> {
    let mut training = json!({
        "corpus_symbols": corpus.training.len(),
        "held_out_symbols": corpus.held_out.len(),
        "held_out_nats": held_out,
        "frequency_nats": corpus.frequency_nats,
        "corpus": corpus.id,
        "run": run,
    });
    if let (Value::Object(all), Value::Object(state)) = (&mut training, state) {
        all.extend(state);
    }
    let sections = [(SECTION, corpus.tokenizer.to_json()?), (super::product::TRAINING, training)];
    Ok(sections.into_iter().map(|(k, v)| (k.to_string(), v)).collect())
}

impl Source for TextSource {
    fn network(&self) -> &dyn Network {
        &self.config
    }

    fn id(&self) -> &str {
        &self.corpus.id
    }

    fn item(&self) -> &'static str {
        "text"
    }

    fn unit(&self) -> &'static str {
        self.corpus.tokenizer.unit()
    }

    fn file_name(&self) -> &'static str {
        kinds::TEXT_FILE
    }

    fn describe(&self) -> Vec<String> {
        vec![
            self.corpus.describe(),
            match self.lines {
                Some(_) => format!("network: {}, each line a sequence of its own", self.config.family()),
                None => format!("network: {}, {}", self.config.family(), self.past.describe(self.unit())),
            },
        ]
    }

    fn bytes(&self) -> usize {
        self.corpus.bytes()
    }

    fn frequency_nats(&self) -> f64 {
        self.corpus.frequency_nats
    }

    fn max_rows(&self) -> usize {
        self.training_past().warmup() + self.run.train.window
    }

    fn check(&self, windows: usize) -> Result<()> {
        match &self.lines {
            Some(_) => Ok(()),
            None => self.corpus.check_length(self.run.train.window, windows, self.past),
        }
    }

    fn carries(&self) -> bool {
        self.lines.is_none()
    }

    fn batches(&self, slots: Slots, steps: u64) -> Batches<'_> {
        let train = &self.run.train;
        let facts = self.config.facts();
        let noise = InputNoise {
            rate: self.run.text.input_dropout,
            classes: facts.likelihood.classes(),
            seed: train.seed,
        };
        let (symbols, start) = (&self.corpus.training[..], facts.start);
        if let Some([lines, _]) = &self.lines {
            let sampler = TextLines { symbols, lines, start, slots, noise };
            return Box::new(move |step| sampler.batch(step));
        }
        let sampler = TextWindows {
            symbols,
            start,
            past: self.training_past(),
            slots,
            noise,
            lengths: Lengths::new(train.window, train.curriculum.as_ref(), steps),
        };
        Box::new(move |step| sampler.batch(step))
    }

    fn evaluate(
        &self,
        checkpoint: Checkpoint,
        objective: &dyn Objective,
        params: &[f32],
        windows: usize,
        ranks: &Ranks,
    ) -> Result<Option<Evaluation>> {
        let most = self.run.text.eval_symbols;
        let symbols = &self.corpus.held_out[..self.corpus.held_out.len().min(most)];
        if symbols.is_empty() {
            return Ok(None);
        }
        let model =
            TextModel::from_loaded(engine(checkpoint, self.file_name())?).context(self.file_name())?;
        let (eval, window) = (self.run.text.eval, self.run.train.window);
        let start = self.config.facts().start;
        let held_out = match &self.lines {
            Some([_, lines]) => {
                let lines = &lines[..lines.partition_point(|l| l.symbols.end <= most).max(1)];
                held_out::HeldOutText::of_lines(&self.corpus.held_out, lines, self.past, window, start)
            }
            None => held_out::HeldOutText::new(symbols, eval, self.past, window, start),
        };
        let engine = held_out.by_engine(&model, ranks);
        let trainer = held_out.by_trainer(objective, params, windows, ranks)?;
        Ok(Some(Evaluation { own: HeldOutNats { engine, trainer }, cross_speaker: None }))
    }

    fn verdict(&self, nats: f64) -> String {
        verdict(nats)
    }

    fn sections(&self, _: &Tensors, state: &TrainingState, run: &str) -> Result<Map<String, Value>> {
        let so_far = json!({
            "steps": state.step,
            "planned_steps": state.steps,
            "symbols": state.samples,
            "seconds": state.seconds,
        });
        sections(&self.corpus, so_far, state.held_out, run)
    }
}
