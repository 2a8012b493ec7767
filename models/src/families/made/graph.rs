//! The teacher-forced reading on candle, to be read beside the equations: matrices times masks, for all steps at once. The
//! fused layers and the engine are held to it.

use super::degrees::Staircase;
use super::{Config, names};
use crate::ar::Graph;
use crate::fixed_length::{check_batch, class_rows, one_hot};
use crate::graph::{self, Batch, DeviceTensors, GraphError, GraphFamily, GraphReading, on_device};
use crate::likelihood::Input;
use crate::objective::{ObjectiveError, Window};
use crate::weights::Tensors;
use candle_core::{DType, Device, Result, Tensor};

/// A masked perceptron's tensors on a candle device.
pub struct MadeGraph {
    config: Config,
    tensors: DeviceTensors,
}

impl MadeGraph {
    /// Puts `tensors` on `device`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`], or a device out of memory.
    pub fn new(config: &Config, tensors: &Tensors, device: &Device) -> std::result::Result<Self, GraphError> {
        Ok(Self { tensors: on_device(tensors, &config.table(), device)?, config: config.clone() })
    }

    fn get(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }

    /// x times the named matrix under its mask.
    fn masked(&self, x: &Tensor, name: &str, mask: &Staircase) -> Result<Tensor> {
        let w = self.get(name);
        let columns = w.dims().last().copied().unwrap_or(1);
        let ones = Tensor::from_vec(mask.ones(columns), (mask.0.len(), columns), x.device())?;
        x.matmul(&(w.reshape((mask.0.len(), columns))? * ones)?)
    }

    /// x_0 … x_{N−2} side by side [B, (N − 1) rows], from inputs of up to N rows, of which the first is not read.
    fn values(&self, inputs: &Tensor) -> Result<Tensor> {
        let input = self.config.likelihood().input();
        let (b, t) = (inputs.dim(0)?, inputs.dim(1)?);
        let rows = match input {
            Input::Table { rows } => {
                let eye = Tensor::eye(rows, DType::F32, inputs.device())?;
                graph::embed(&eye, inputs)?
            }
            Input::Numbers { .. } => inputs.clone(),
        };
        let rows = rows.narrow(1, 1, t - 1)?;
        let missing = self.config.steps() - t;
        let none = Tensor::zeros((b, missing, input.rows()), DType::F32, inputs.device())?;
        Tensor::cat(&[&rows.contiguous()?, &none], 1)?.reshape((b, (self.config.steps() - 1) * input.rows()))
    }

    /// Parameters [B, N, P] of one sequence; `class` is a one-hot row [B, 1, K], and `masks` gives what dropout lays over a
    /// layer of so many units, [B, 1, H_l].
    fn sequence(
        &self,
        inputs: &Tensor,
        class: Option<&Tensor>,
        masks: impl Fn(usize, usize) -> Result<Option<Tensor>>,
    ) -> Result<Tensor> {
        let config = &self.config;
        let labels = |x: Tensor, name: &str| match class.filter(|_| config.labels > 0) {
            Some(class) => x + class_rows(class, 0, 1, self.get(name))?,
            None => Ok(x),
        };
        let x = self.values(inputs)?;
        let mut h = x.clone();
        for l in 0..config.hidden.len() {
            let sums = self.masked(&h, &names::weight(l), &config.layer_mask(l))?;
            let sums = sums.broadcast_add(self.get(&names::bias(l)))?;
            h = (if l == 0 { labels(sums, names::LABELS)? } else { sums }).relu()?;
            if let Some(mask) = masks(l, config.hidden[l])? {
                h = (h * mask.squeeze(1)?)?;
            }
        }
        let out = self.masked(&h, names::OUTPUT, &config.output_mask())?;
        let mut out = labels(out.broadcast_add(self.get(names::OUTPUT_BIAS))?, names::OUTPUT_LABELS)?;
        if config.direct {
            out = (out + self.masked(&x, names::DIRECT, &config.direct_mask())?)?;
        }
        out.reshape((inputs.dim(0)?, config.steps(), config.likelihood().params()))
    }
}

impl Graph for MadeGraph {
    /// A sequence longer than N is several, one behind the other.
    fn forward(&self, inputs: &Tensor, cond: Option<&Tensor>) -> Result<Tensor> {
        let (t, n) = (inputs.dim(1)?, self.config.steps());
        let sequences = (0..t).step_by(n).map(|from| {
            let rows = n.min(t - from);
            let class = cond.map(|cond| cond.narrow(1, from / n, 1)?.contiguous()).transpose()?;
            let inputs = inputs.narrow(1, from, rows)?.contiguous()?;
            self.sequence(&inputs, class.as_ref(), |_, _| Ok(None))?.narrow(1, 0, rows)?.contiguous()
        });
        Tensor::cat(&sequences.collect::<Result<Vec<_>>>()?, 1)
    }
}

/// The loss by the plain graph.
pub type GraphObjective = graph::GraphObjective<Config>;

impl GraphObjective {
    /// The same loss with dropout at `rate` over the hidden units, in windows that have a key for it.
    pub fn with_dropout(self, rate: f64) -> Self {
        self.dropping(rate)
    }
}

impl GraphFamily for Config {
    fn check(&self, batch: &[Window], _carry: &[Vec<f32>]) -> std::result::Result<usize, ObjectiveError> {
        check_batch(batch, &self.likelihood(), self.steps(), self.labels, false)
    }

    fn read(&self, tensors: DeviceTensors, batch: &Batch) -> Result<GraphReading> {
        let graph = MadeGraph { config: self.clone(), tensors };
        let class = one_hot(batch.windows, self.labels, batch.device)?;
        let masks = |l, units| batch.masks(l, 0..1, units);
        Ok(graph.sequence(batch.inputs, class.as_ref(), masks)?.narrow(1, 0, batch.rows()?)?.into())
    }

    fn peak_bytes(&self, windows: usize, _window_len: usize) -> usize {
        // Forward values kept for the backward, and once more as gradients; each matrix also under its mask.
        let values: usize = self.table().iter().map(|s| s.len()).sum();
        let rows = self.steps() * Config::likelihood(self).input().rows();
        let units: usize = self.hidden.iter().sum();
        4 * 2 * (4 * values + windows * (3 * rows + 4 * units + 6 * self.outputs()))
    }
}
