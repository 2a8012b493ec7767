//! The teacher-forced reading on candle, to be read beside the equations; the fused layers and the engine are held to
//! it.

use super::{Config, names};
use crate::ar::Graph;
use crate::fixed_length::{check_batch, class_rows, one_hot};
use crate::graph::{self, Batch, DeviceTensors, GraphError, GraphFamily, GraphReading, on_device};
use crate::objective::{ObjectiveError, Window};
use crate::weights::Tensors;
use candle_core::{Device, IndexOp, Result, Tensor};
use candle_nn::ops::sigmoid;

/// A NADE's tensors on a candle device.
pub struct NadeGraph {
    config: Config,
    tensors: DeviceTensors,
}

impl NadeGraph {
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
}

impl Graph for NadeGraph {
    /// A sequence longer than N is several, one behind the other.
    fn forward(&self, inputs: &Tensor, cond: Option<&Tensor>) -> Result<Tensor> {
        let (b, n, h) = (inputs.dim(0)?, self.config.steps(), self.config.hidden);
        let first = self.get(names::BIAS).broadcast_as((b, h))?.contiguous()?;
        let (mut a, mut rows) = (first.clone(), Vec::new());
        for t in 0..inputs.dim(1)? {
            let step = t % n;
            a = match step {
                0 => first.clone(),
                _ => {
                    let weight = self.get(names::WEIGHT).i(step - 1)?.contiguous()?;
                    (a + graph::embed(&weight, &inputs.narrow(1, t, 1)?)?.squeeze(1)?)?
                }
            };
            let z = match cond.filter(|_| self.config.labels > 0) {
                Some(cond) => (&a + class_rows(cond, t, n, self.get(names::LABELS))?)?,
                None => a.clone(),
            };
            let output = self.get(names::OUTPUT).i(step)?.t()?.contiguous()?;
            let bias = self.get(names::OUTPUT_BIAS).i(step)?;
            rows.push(sigmoid(&z)?.matmul(&output)?.broadcast_add(&bias)?);
        }
        Tensor::stack(&rows, 1)
    }
}

/// The loss by the plain graph.
pub type GraphObjective = graph::GraphObjective<Config>;

impl GraphFamily for Config {
    fn check(&self, batch: &[Window], _carry: &[Vec<f32>]) -> std::result::Result<usize, ObjectiveError> {
        check_batch(batch, &self.likelihood(), self.steps(), self.labels, false)
    }

    fn read(&self, tensors: DeviceTensors, batch: &Batch) -> Result<GraphReading> {
        let graph = NadeGraph { config: self.clone(), tensors };
        let cond = one_hot(batch.windows, self.labels, batch.device)?;
        Ok(graph.forward(batch.inputs, cond.as_ref())?.into())
    }

    fn peak_bytes(&self, windows: usize, window_len: usize) -> usize {
        // Forward values kept for the backward, and once more as gradients, those of the tables at every step.
        let likelihood = Config::likelihood(self);
        let (rows, params) = (likelihood.input().rows(), likelihood.params());
        let tables = self.hidden * (rows + 2 * params);
        4 * window_len * 2 * (windows * (6 * self.hidden + 4 * params) + tables)
    }
}
