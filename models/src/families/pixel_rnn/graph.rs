//! The teacher-forced reading on candle, to be read beside the equations: pixel by pixel. The fused layers and the engine are
//! held to it.

use super::passes::{Pass, neighbour, taps};
use super::{Config, names};
use crate::ar::Graph;
use crate::fixed_length::{check_batch, class_rows, one_hot};
use crate::graph::{self, Batch, DeviceTensors, GraphError, GraphFamily, GraphReading, on_device};
use crate::objective::{ObjectiveError, Window};
use crate::weights::Tensors;
use candle_core::{DType, Device, IndexOp, Result, Tensor};
use candle_nn::ops::sigmoid;

/// A PixelRNN's tensors on a candle device.
pub struct PixelRnnGraph {
    config: Config,
    tensors: DeviceTensors,
}

impl PixelRnnGraph {
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

    /// x times the `i`th of the named matrices.
    fn times(&self, x: &Tensor, name: &str, i: usize) -> Result<Tensor> {
        x.matmul(&self.get(name).i(i)?.contiguous()?)
    }

    /// r_0 of every pixel [B, D], of inputs whose row t is the value of step t − 1; `label` is the classes' rows.
    fn first(&self, inputs: &Tensor, label: Option<&Tensor>) -> Result<Vec<Tensor>> {
        let (b, t, len) = (inputs.dim(0)?, inputs.dim(1)?, self.config.row_len());
        let pixel = |t: usize| {
            let mut r = self.get(names::INPUT_BIAS).broadcast_as((b, self.config.width()))?.contiguous()?;
            for (i, place) in taps().enumerate() {
                if let Some(at) = neighbour(t, len, place) {
                    let weight = self.get(names::INPUT).i(i)?.contiguous()?;
                    r = (r + graph::embed(&weight, &inputs.narrow(1, at + 1, 1)?)?.squeeze(1)?)?;
                }
            }
            match label {
                Some(label) => r + label,
                None => Ok(r),
            }
        };
        (0..t).map(pixel).collect()
    }

    /// h of every pixel [B, H] by one direction of layer `l`.
    fn pass(&self, l: usize, pass: Pass, r: &[Tensor]) -> Result<Vec<Tensor>> {
        let (len, n) = (self.config.row_len(), self.config.hidden);
        let name = |what| names::pass(l, pass.name, what);
        let none = Tensor::zeros((r[0].dim(0)?, n), DType::F32, r[0].device())?;
        let (mut h, mut c) = (vec![none.clone(); r.len()], vec![none.clone(); r.len()]);
        for y in 0..r.len().div_ceil(len) {
            for t in pass.columns(len).map(|x| y * len + x).filter(|&t| t < r.len()) {
                let mut z = self.get(&name(names::BIAS)).broadcast_as((none.dim(0)?, 4 * n))?.contiguous()?;
                for (i, &place) in pass.inputs.iter().enumerate() {
                    if let Some(at) = neighbour(t, len, place) {
                        z = (z + self.times(&r[at], &name(names::ENTERING), i)?)?;
                    }
                }
                for (i, &place) in pass.recurrent.iter().enumerate() {
                    if let Some(at) = neighbour(t, len, place).filter(|&at| at < r.len()) {
                        z = (z + self.times(&h[at], &name(names::RECURRENT), i)?)?;
                    }
                }
                let part = |i: usize| z.narrow(1, i * n, n);
                let memory = neighbour(t, len, pass.memory).filter(|&at| at < r.len());
                let old = memory.map_or(&none, |at| &c[at]);
                let (i, f) = (sigmoid(&part(0)?)?, sigmoid(&part(1)?)?);
                let (g, o) = (part(2)?.tanh()?, sigmoid(&part(3)?)?);
                c[t] = ((f * old)? + (i * g)?)?;
                h[t] = (o * c[t].tanh()?)?;
            }
        }
        Ok(h)
    }

    /// Parameters [B, T, P] of one image.
    fn image(&self, inputs: &Tensor, label: Option<&Tensor>) -> Result<Tensor> {
        let (config, len) = (&self.config, self.config.row_len());
        let mut r = self.first(inputs, label)?;
        for l in 0..config.layers {
            let bias = self.get(&names::output_bias(l));
            let mut next = r.iter().map(|r| r.broadcast_add(bias)).collect::<Result<Vec<_>>>()?;
            for &pass in config.kind.passes() {
                let h = self.pass(l, pass, &r)?;
                for (t, next) in next.iter_mut().enumerate() {
                    if let Some(at) = t.checked_sub(pass.down() * len) {
                        *next = (&*next + h[at].matmul(self.get(&names::output(l)))?)?;
                    }
                }
            }
            r = next;
        }
        let head = |r: &Tensor| {
            let hidden = r.relu()?.matmul(self.get(&names::head(0)))?;
            let hidden = hidden.broadcast_add(self.get(&names::head_bias(0)))?.relu()?;
            hidden.matmul(self.get(&names::head(1)))?.broadcast_add(self.get(&names::head_bias(1)))
        };
        Tensor::stack(&r.iter().map(head).collect::<Result<Vec<_>>>()?, 1)
    }
}

impl Graph for PixelRnnGraph {
    /// A sequence longer than N is several, one behind the other.
    fn forward(&self, inputs: &Tensor, cond: Option<&Tensor>) -> Result<Tensor> {
        let (t, n) = (inputs.dim(1)?, self.config.steps());
        let images = (0..t).step_by(n).map(|from| {
            let label = cond.filter(|_| self.config.labels > 0);
            let label = label.map(|cond| class_rows(cond, from, n, self.get(names::LABELS))).transpose()?;
            let inputs = inputs.narrow(1, from, n.min(t - from))?.contiguous()?;
            self.image(&inputs, label.as_ref())
        });
        Tensor::cat(&images.collect::<Result<Vec<_>>>()?, 1)
    }
}

/// The loss by the plain graph.
pub type GraphObjective = graph::GraphObjective<Config>;

impl GraphFamily for Config {
    fn check(&self, batch: &[Window], _carry: &[Vec<f32>]) -> std::result::Result<usize, ObjectiveError> {
        check_batch(batch, &self.likelihood(), self.steps(), self.labels, false)
    }

    fn read(&self, tensors: DeviceTensors, batch: &Batch) -> Result<GraphReading> {
        let graph = PixelRnnGraph { config: self.clone(), tensors };
        let cond = one_hot(batch.windows, self.labels, batch.device)?;
        Ok(graph.forward(batch.inputs, cond.as_ref())?.into())
    }

    fn peak_bytes(&self, windows: usize, window_len: usize) -> usize {
        // Forward values kept for the backward, and once more as gradients; a matrix is copied at every pixel.
        let (h, d) = (self.hidden, self.width());
        let cell = |p: &super::passes::Pass| {
            let places = p.inputs.len() + p.recurrent.len();
            (windows * (4 * h * (places + 6) + 4 * h), 4 * h * (p.inputs.len() * d + p.recurrent.len() * h))
        };
        let layer: usize = self.kind.passes().iter().map(cell).map(|(values, copies)| values + copies).sum();
        let input = 24 * (windows + Config::likelihood(self).input().rows()) * d;
        let head = windows * (3 * self.head + 4 * Config::likelihood(self).params());
        4 * 2 * window_len * (self.layers * (layer + 3 * windows * d) + input + head)
    }
}
