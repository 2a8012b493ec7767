//! Sequences of vectors as a source of windows, and the series model that comes of them: mixture density networks over time
//! (Bishop 1994; Graves 2013, arXiv:1308.0850, section 4).

use super::config::Train;
use super::config::check::{parse_toml, range};
use super::held_out::{Evaluation, HeldOutNats};
use super::product::{TRAINING, progress};
use super::recording::short_hex;
use super::schedules::dropout_key;
use super::slots::Slots;
use super::source::{Batches, Network, Source, engine};
use super::state::TrainingState;
use crate::columns;
use crate::kinds;
use crate::ranks::Ranks;
use crate::series::{SECTION, Sequences, SeriesModel, SeriesSection};
use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::family::{FamilyConfig, Given, ModelKeys};
use wavesynth_models::likelihood::LikelihoodConfig;
use wavesynth_models::objective::{Learning, Objective, VectorRows, Window};
use wavesynth_models::weights::{Checkpoint, Tensors};

/// A run file as it was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesRun {
    /// What is read.
    pub series: Series,
    /// Family and sizes of the network.
    pub model: ModelKeys,
    /// How it learns.
    #[serde(default)]
    pub train: Train,
}

/// Section `[series]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// A text file: a row of numbers on each line, with commas between them; an empty line ends a sequence.
    pub file: PathBuf,
    /// Components of the mixture of Gaussians; 1 for a single Gaussian.
    #[serde(default = "ten")]
    pub components: usize,
    /// Fraction of the sequences, at the end of the file, that is held out; 0 holds nothing out.
    #[serde(default = "tenth")]
    pub held_out: f64,
}

fn ten() -> usize {
    10
}
fn tenth() -> f64 {
    0.1
}

impl SeriesRun {
    /// Reads a run file's text; `name` is used in errors only.
    ///
    /// # Errors
    /// An unknown or missing key, a value out of range: file, key and what was wanted.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let run: Self = parse_toml(text, name)?;
        run.validate().with_context(|| name.to_string())?;
        Ok(run)
    }

    fn validate(&self) -> Result<()> {
        range("series.held_out", self.series.held_out, 0.0, 0.5)?;
        range("series.components", self.series.components as f64, 1.0, 128.0)?;
        range("model.dropout", self.model.dropout(), 0.0, 0.9)?;
        // The file is not read yet; one column stands for those that it has.
        let network = self.network(1)?;
        ensure!(
            network.learning() != Learning::Counting,
            "model.family is {}: it is counted, a series is learned by steps",
            network.family()
        );
        if self.train.scheduled_sampling.is_some() {
            bail!("train.scheduled_sampling is a key for symbols; a series has none");
        }
        self.train.validate()
    }

    /// The network for rows of `dims` numbers.
    ///
    /// # Errors
    /// A size out of range.
    pub fn network(&self, dims: usize) -> Result<FamilyConfig> {
        let likelihood = LikelihoodConfig::gaussians(self.series.components, dims);
        let given = Given {
            classes: 0,
            start: 0,
            likelihood: Some(likelihood),
            window: self.train.window,
            condition: None,
            image: None,
        };
        self.model.config(&given).map_err(|e| anyhow!("model.{} is {}, wanted {}", e.field, e.found, e.want))
    }
}

/// The sequences of a run file, normalised column by column.
pub struct SeriesSource {
    run: SeriesRun,
    training: Vec<Vec<f32>>,
    held_out: Vec<Vec<f32>>,
    section: SeriesSection,
    config: FamilyConfig,
    id: String,
}

impl SeriesSource {
    /// Reads the file that `run` names; each of `ranks` reads all of it.
    ///
    /// # Errors
    /// A file that can't be read or is not the same on all ranks, or one without anything to learn from.
    pub fn open(run: &SeriesRun, ranks: &Ranks) -> Result<Self> {
        let sequences = Sequences::read(&run.series.file).context("series.file")?;
        let Sequences { all: mut training, dims } = sequences;
        let held = (training.len() as f64 * run.series.held_out) as usize;
        let mut held_out = training.split_off(training.len() - held);
        let rows = training.iter().map(|s| s.len() / dims).max().unwrap_or(0);
        let (mean, std) = columns::measured(dims, || training.iter().flat_map(|s| s.chunks_exact(dims)))
            .map_err(|k| {
                anyhow!("series.file {}: column {} never changes", run.series.file.display(), k + 1)
            })?;
        let section = SeriesSection { rows, mean, std };
        training.iter_mut().chain(&mut held_out).for_each(|s| section.columns().normalise(s));
        let mut h = Sha256::new();
        for part in [&training, &held_out] {
            h.update((part.len() as u64).to_le_bytes());
            for s in part {
                h.update((s.len() as u64).to_le_bytes());
                s.iter().for_each(|x| h.update(x.to_le_bytes()));
            }
        }
        let id = short_hex(&h.finalize());
        ranks.same(id.as_bytes(), "series")?;
        let config = run.network(dims)?;
        Ok(Self { run: run.clone(), training, held_out, section, config, id })
    }

    fn dims(&self) -> usize {
        self.section.mean.len()
    }

    /// The whole of a sequence, cut at `rows` rows: row t reads row t − 1, the first one zeros.
    fn window(&self, sequence: &[f32], rows: usize) -> Window {
        let dims = self.dims();
        let targets = sequence[..sequence.len().min(rows * dims)].to_vec();
        let inputs = [&vec![0.0; dims], &targets[..targets.len() - dims]].concat();
        Window { vectors: VectorRows { dims, inputs, targets }, ..Window::default() }
    }
}

/// Nats of a row of `dims` numbers of mean 0 and deviation 1 by one Gaussian a column.
pub(super) fn gaussian_nats(dims: usize) -> f64 {
    0.5 * dims as f64 * (1.0 + std::f64::consts::TAU.ln())
}

impl Source for SeriesSource {
    fn network(&self) -> &dyn Network {
        &self.config
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn item(&self) -> &'static str {
        "sequence"
    }

    fn unit(&self) -> &'static str {
        "row"
    }

    fn file_name(&self) -> &'static str {
        kinds::SERIES_FILE
    }

    fn describe(&self) -> Vec<String> {
        let rows = |part: &[Vec<f32>]| part.iter().map(|s| s.len() / self.dims()).sum::<usize>();
        vec![
            format!(
                "corpus: {}, {} sequences with {} rows of {} numbers to train on, {} with {} held out",
                self.run.series.file.display(),
                self.training.len(),
                rows(&self.training),
                self.dims(),
                self.held_out.len(),
                rows(&self.held_out)
            ),
            format!("network: {}, {} Gaussians a row", self.config.family(), self.run.series.components),
        ]
    }

    fn bytes(&self) -> usize {
        self.training.iter().chain(&self.held_out).map(|s| size_of_val(&s[..])).sum()
    }

    /// One Gaussian a column.
    fn frequency_nats(&self) -> f64 {
        gaussian_nats(self.dims())
    }

    fn max_rows(&self) -> usize {
        self.section.rows.min(self.run.train.window)
    }

    /// Any sequence gives any number of windows.
    fn check(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn carries(&self) -> bool {
        false
    }

    fn batches(&self, slots: Slots, _: u64) -> Batches<'_> {
        let (seed, rows) = (self.run.train.seed, self.run.train.window);
        Box::new(move |step| {
            let draw = |slot| {
                let number = slots.number(step, slot);
                let mut uniforms = Uniforms::keyed(seed, number);
                let sequence = &self.training[uniforms.below(self.training.len() as u64) as usize];
                Window { dropout: Some(dropout_key(seed, number)), ..self.window(sequence, rows) }
            };
            slots.own.clone().map(draw).collect()
        })
    }

    fn evaluate(
        &self,
        checkpoint: Checkpoint,
        objective: &dyn Objective,
        params: &[f32],
        windows: usize,
        _: &Ranks,
    ) -> Result<Option<Evaluation>> {
        if self.held_out.is_empty() {
            return Ok(None);
        }
        let model =
            SeriesModel::from_loaded(engine(checkpoint, self.file_name())?).context(self.file_name())?;
        let all: Vec<Window> =
            self.held_out.iter().map(|s| self.window(s, usize::MAX / self.dims())).collect();
        let rows: usize = all.iter().map(Window::rows).sum();
        let engine: f64 = all.iter().flat_map(|w| model.score(&w.vectors.targets)).map(f64::from).sum();
        let mut trainer = 0.0;
        for group in all.chunks(windows) {
            let counted: usize = group.iter().map(Window::rows).sum();
            trainer += objective.loss(params, group, None)? * counted as f64;
        }
        let own = HeldOutNats { engine: engine / rows as f64, trainer: trainer / rows as f64 };
        Ok(Some(Evaluation { own, cross_speaker: None }))
    }

    fn verdict(&self, nats: f64) -> String {
        format!("{:.3} nats below one Gaussian a column", self.frequency_nats() - nats)
    }

    fn sections(&self, _: &Tensors, state: &TrainingState, run: &str) -> Result<Map<String, Value>> {
        let sections =
            [(SECTION, serde_json::to_value(&self.section)?), (TRAINING, progress(self, state, run))];
        Ok(sections.into_iter().map(|(k, v)| (k.to_string(), v)).collect())
    }
}
