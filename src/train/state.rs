//! Everything that a run needs to go on as if it had not stopped, in one file.

use super::guard::Guard;
use super::optim::Moments;
use super::run_file::Run;
use super::source::Source;
use crate::kinds;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::Path;
use wavesynth_models::weights::{Checkpoint, Header, Tensor, Tensors};

/// The header of a state file but for its section: its family is one that no loader takes for a model's.
fn header(source: &dyn Source) -> Result<Header> {
    let header = source.network().header()?;
    Ok(Header { family: format!("{}-training-state", header.family), ..header })
}

/// The key of a network's order in its config.
const ORDER: &str = "order";

/// Windows of a step on all ranks, at most.
const MOST_WINDOWS: usize = 1 << 24;

/// A run between two steps.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingState {
    /// Steps taken.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Windows of a step, on all ranks.
    pub windows: usize,
    /// Samples that counted in a loss.
    pub samples: u64,
    /// Seconds of work, all resumptions together.
    pub seconds: f64,
    /// The last held-out reading.
    pub held_out: Option<f64>,
    /// The best held-out reading.
    pub best_held_out: Option<f64>,
    /// The guard of the loss.
    pub guard: Guard,
    /// The weights.
    pub params: Vec<f32>,
    /// The optimiser's moments.
    pub moments: Moments,
    /// The average of the weights: the model that is written.
    pub ema: Vec<f32>,
    /// For each window of a step, those of this rank alone while it trains, the recurrent state that the next step begins
    /// with; each empty before the first step, and always for a family whose windows stand alone.
    pub carry: Vec<Vec<f32>>,
}

/// The header's section `state`.
#[derive(Serialize, Deserialize)]
struct Section {
    step: u64,
    steps: u64,
    windows: usize,
    samples: u64,
    seconds: f64,
    held_out: Option<f64>,
    best_held_out: Option<f64>,
    guard: Guard,
    corpus: String,
    run: String,
}

impl TrainingState {
    /// Before the first step, with these weights, for steps of `windows` windows on all ranks.
    pub fn new(params: Vec<f32>, steps: u64, windows: usize) -> Self {
        Self {
            step: 0,
            steps,
            windows,
            samples: 0,
            seconds: 0.0,
            held_out: None,
            best_held_out: None,
            guard: Guard::default(),
            moments: Moments::new(params.len()),
            ema: params.clone(),
            carry: vec![Vec::new(); windows],
            params,
        }
    }

    /// Whether every number is one.
    pub fn is_finite(&self) -> bool {
        [&self.params, &self.moments.m, &self.moments.v, &self.ema]
            .iter()
            .all(|v| v.iter().all(|x| x.is_finite()))
    }

    /// A digest of weights, moments and average.
    pub fn digest(&self) -> Vec<u8> {
        let mut h = Sha256::new();
        h.update(self.step.to_le_bytes());
        for v in [&self.params, &self.moments.m, &self.moments.v, &self.ema] {
            v.iter().for_each(|x| h.update(x.to_le_bytes()));
        }
        h.finalize().to_vec()
    }

    /// Writes the state beside `path` and moves it into place: the state that was there stays until then. `carry` is that
    /// of all ranks' windows.
    ///
    /// # Errors
    /// A file that can't be written.
    pub fn write(&self, path: &Path, source: &dyn Source, run_text: &str, carry: &[Vec<f32>]) -> Result<()> {
        let section = Section {
            step: self.step,
            steps: self.steps,
            windows: self.windows,
            samples: self.samples,
            seconds: self.seconds,
            held_out: self.held_out,
            best_held_out: self.best_held_out,
            guard: self.guard.clone(),
            corpus: source.id().into(),
            run: run_text.into(),
        };
        let mut header = header(source)?;
        header.sections.insert(kinds::STATE_SECTION.into(), serde_json::to_value(section)?);
        let flat = |data: &[f32]| Tensor::new(&[data.len()], data.to_vec());
        let mut tensors = Tensors::from([
            ("params".into(), flat(&self.params)),
            ("adam.m".into(), flat(&self.moments.m)),
            ("adam.v".into(), flat(&self.moments.v)),
            ("ema".into(), flat(&self.ema)),
        ]);
        let values = carry.concat();
        if !values.is_empty() {
            let shape = [carry.len(), values.len() / carry.len()];
            tensors.insert("carry".into(), Tensor::new(&shape, values));
        }
        Ok(Checkpoint { header, tensors }.write(path)?)
    }

    /// Reads the state at `path` for a run that must be the one that wrote it, with the carry of all ranks' windows. More
    /// steps, in the run file or as `steps`, extend the run.
    ///
    /// # Errors
    /// A missing or damaged file, or another run: the key that differs.
    pub fn read(path: &Path, source: &dyn Source, run: &Run, steps: Option<u64>) -> Result<Self> {
        if !path.exists() {
            bail!("{}: no state to resume from; run without --resume to begin", path.display());
        }
        let file = Checkpoint::read(path)?;
        let wanted = header(source)?;
        let is_own = file.header.family == wanted.family;
        let section = file.header.sections.get(kinds::STATE_SECTION).filter(|_| is_own);
        let Some(section) = section else {
            bail!("{}: not a training state", path.display());
        };
        let section: Section = serde_json::from_value(section.clone())
            .with_context(|| format!("{}: header section `state`", path.display()))?;
        let before = Run::parse(&section.run, &path.display().to_string())?;
        if let Some((key, old, new)) = before.conflict(run) {
            bail!(
                "{}: was trained with {key} = {old}, the run file says {new}; set it back, or begin anew in another \
                 train.out",
                path.display()
            );
        }
        ensure!(
            section.corpus == source.id(),
            "{}: was trained on other {}s (their content, number or split changed); bring them back, or begin anew in \
             another train.out",
            path.display(),
            source.item()
        );
        // The run file may name a file of it, whose content is part of neither.
        ensure!(
            file.header.config.get(ORDER) == wanted.config.get(ORDER),
            "{}: was trained in another order of the {}s (the content of images.order_file changed); bring it back, or \
             begin anew in another train.out",
            path.display(),
            source.unit()
        );
        ensure!(
            (1..=MOST_WINDOWS).contains(&section.windows),
            "{}: header section `state`: windows is {}, wanted 1 to {MOST_WINDOWS}",
            path.display(),
            section.windows
        );
        let planned = section.steps;
        let asked = steps.or(run.train().steps.filter(|n| before.train().steps != Some(*n)));
        let steps = asked.unwrap_or(planned);
        ensure!(
            steps >= planned,
            "{}: is the state of a run of {planned} steps, {steps} are asked for; a run can be made longer, not shorter",
            path.display()
        );
        let len = source.network().layout().len();
        let mut tensors = file.tensors;
        let mut carry = match tensors.remove("carry") {
            Some(t) if t.shape.len() == 2 && t.shape[0] == section.windows && !t.data.is_empty() => {
                t.data.chunks_exact(t.shape[1]).map(Vec::from).collect()
            }
            Some(t) => bail!("{}: tensor carry has shape {:?}", path.display(), t.shape),
            None => vec![Vec::new(); section.windows],
        };
        // A curriculum of other steps puts the windows elsewhere in the text.
        if steps != planned && run.train().curriculum.is_some() {
            carry.iter_mut().for_each(Vec::clear);
        }
        let mut take = |name: &str| -> Result<Vec<f32>> {
            let t = tensors
                .remove(name)
                .with_context(|| format!("{}: tensor {name} is missing", path.display()))?;
            ensure!(
                t.data.len() == len,
                "{}: tensor {name} has {} values, wanted {len}",
                path.display(),
                t.data.len()
            );
            Ok(t.data)
        };
        let state = Self {
            step: section.step,
            steps,
            windows: section.windows,
            samples: section.samples,
            seconds: section.seconds,
            held_out: section.held_out,
            best_held_out: section.best_held_out,
            guard: section.guard,
            params: take("params")?,
            moments: Moments { m: take("adam.m")?, v: take("adam.v")? },
            ema: take("ema")?,
            carry,
        };
        let carried = state.carry.iter().flatten().all(|x| x.is_finite());
        ensure!(
            state.is_finite() && carried && state.moments.v.iter().all(|v| *v >= 0.0),
            "{}: holds values that no run has: damaged; begin anew in another train.out",
            path.display()
        );
        Ok(state)
    }
}
