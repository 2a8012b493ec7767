//! The teacher-forced reading on candle, to be read beside the equations; the fused layers and the engine are held to
//! it. A tap is a choice of rows, so that there are products of two-dimensional contiguous tensors only, and no convolution
//! of candle's.

use super::geometry::{Geometry, NONE, Stack, Taps};
use super::{Config, names};
use crate::ar::Graph;
use crate::fixed_length::one_hot;
use crate::graph::{self, Batch, DeviceTensors, GraphError, GraphFamily, GraphReading, on_device, product};
use crate::objective::{ObjectiveError, Window};
use crate::weights::Tensors;
use candle_core::{Device, Result, Tensor};
use candle_nn::ops::sigmoid;

/// A PixelCNN's tensors on a candle device.
pub struct PixelCnnGraph {
    config: Config,
    geometry: Geometry,
    tensors: DeviceTensors,
}

impl PixelCnnGraph {
    /// Puts `tensors` on `device`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`], or a device out of memory.
    pub fn new(config: &Config, tensors: &Tensors, device: &Device) -> std::result::Result<Self, GraphError> {
        Ok(Self::of(config, on_device(tensors, &config.table(), device)?))
    }

    fn of(config: &Config, tensors: DeviceTensors) -> Self {
        Self { config: config.clone(), geometry: config.geometry(), tensors }
    }

    fn get(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }

    /// Parameters [B, T, P] of images whose rows are `inputs` [B, T], or numbers [B, T, count], with T at most N. `class`
    /// [B, labels] has a 1 at each label; `masks` gives each layer's for its gated units [B, T, C].
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn run(
        &self,
        inputs: &Tensor,
        class: Option<&Tensor>,
        masks: impl Fn(usize) -> Result<Option<Tensor>>,
    ) -> Result<Tensor> {
        let (b, t, layers) = (inputs.dim(0)?, inputs.dim(1)?, self.config.layers);
        // The vertical stack goes to the end of the last line.
        let rows = self.geometry.line(t - 1).end;
        let mut e = graph::embed(self.get(names::EMBED), inputs)?;
        if let Some(bias) = self.tensors.get(names::EMBED_BIAS) {
            e = e.broadcast_add(bias)?;
        }
        // Row t of the inputs is x_{t−1}; here it is x_t, and zeros where that is not given.
        let mut v = Tensor::zeros((b, rows + 1 - t, self.config.embedding), e.dtype(), e.device())?;
        if t > 1 {
            v = Tensor::cat(&[&e.narrow(1, 1, t - 1)?, &v], 1)?;
        }
        let mut h = v.clone();
        for l in 0..layers {
            let a = self.taps(Stack::Vertical, l, &v, rows, class)?;
            let own = self.taps(Stack::Horizontal, l, &h, t, class)?;
            let z = (own + product(&a.narrow(1, 0, t)?, self.get(&names::between(l)))?)?;
            let mut o = gate(&z)?;
            if let Some(mask) = masks(l)? {
                o = (o * mask)?;
            }
            let o = product(&o, self.get(&names::residual(l)))?;
            let o = o.broadcast_add(self.get(&names::residual_bias(l)))?;
            let next = gate(&a)?;
            (v, h) = if l == 0 { (next, o) } else { ((next + v)?, (o + h)?) };
        }
        for i in 0..2 {
            h = product(&h.relu()?, self.get(&names::head(i)))?
                .broadcast_add(self.get(&names::head_bias(i)))?;
        }
        Ok(h)
    }

    /// The first `rows` sums [B, rows, 2C] over the taps of a stack in layer `l`, with bias and class; `x` [B, _, width] is
    /// what they read.
    fn taps(
        &self,
        stack: Stack,
        l: usize,
        x: &Tensor,
        rows: usize,
        class: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (b, given, width) = x.dims3()?;
        let bias = self.get(&names::bias(l, stack));
        let mut sums = bias.reshape((1, 1, 2 * self.config.channels))?;
        if let Some(class) = class {
            let class = product(class, self.get(&names::class(l, stack)))?;
            sums = class.unsqueeze(1)?.broadcast_add(&sums)?;
        }
        let taps = self.geometry.taps(stack, l);
        if taps.is_empty() {
            return sums.broadcast_as((b, rows, 2 * self.config.channels))?.contiguous();
        }
        let zero = Tensor::zeros((b, 1, width), x.dtype(), x.device())?;
        let x = Tensor::cat(&[x, &zero], 1)?.reshape((b * (given + 1), width))?;
        let ids = Tensor::from_vec(ids(taps, b, given, rows), b * rows * taps.len(), x.device())?;
        let x = x.index_select(&ids, 0)?.reshape((b, rows, taps.len() * width))?;
        product(&x, self.get(&names::weight(l, stack)))?.broadcast_add(&sums)
    }
}

/// The row that each tap of each row of each window reads, in windows of `given` rows and one of zeros.
fn ids(taps: &Taps, windows: usize, given: usize, rows: usize) -> Vec<u32> {
    let row = |b: usize, u: u32| b * (given + 1) + if u == NONE { given } else { u as usize };
    let window = |b| (0..rows).flat_map(|t| taps.of(t)).map(move |&u| row(b, u) as u32);
    (0..windows).flat_map(window).collect()
}

/// tanh(a)·σ(b) of the halves of the last axis.
fn gate(x: &Tensor) -> Result<Tensor> {
    let c = x.dim(2)? / 2;
    x.narrow(2, 0, c)?.tanh()? * sigmoid(&x.narrow(2, c, c)?.contiguous()?)?
}

impl Graph for PixelCnnGraph {
    /// Of more rows than an image has, each image stands alone.
    fn forward(&self, inputs: &Tensor, cond: Option<&Tensor>) -> Result<Tensor> {
        let (t, n) = (inputs.dim(1)?, self.config.grid.len());
        let images = (0..t).step_by(n).enumerate().map(|(i, from)| {
            let inputs = inputs.narrow(1, from, n.min(t - from))?.contiguous()?;
            let class = cond.map(|c| c.narrow(1, i, 1)?.squeeze(1)?.contiguous()).transpose()?;
            self.run(&inputs, class.as_ref(), |_| Ok(None))
        });
        Tensor::cat(&images.collect::<Result<Vec<_>>>()?, 1)
    }
}

/// The loss by the plain graph.
pub type GraphObjective = graph::GraphObjective<Config>;

impl GraphObjective {
    /// The same loss with dropout at `rate` over the gated units of the horizontal stack, in windows that have a key for
    /// it.
    pub fn with_dropout(self, rate: f64) -> Self {
        self.dropping(rate)
    }
}

impl GraphFamily for Config {
    fn check(&self, batch: &[Window], _carry: &[Vec<f32>]) -> std::result::Result<usize, ObjectiveError> {
        super::fused::check_batch(self, batch)
    }

    fn read(&self, tensors: DeviceTensors, batch: &Batch) -> Result<GraphReading> {
        let (graph, rows) = (PixelCnnGraph::of(self, tensors), batch.rows()?);
        let classes = one_hot(batch.windows, self.labels, batch.device)?;
        let class = classes.map(|c| c.squeeze(1)).transpose()?;
        let masks = |l| batch.masks(l, 0..rows, self.channels);
        Ok(graph.run(batch.inputs, class.as_ref(), masks)?.into())
    }

    fn peak_bytes(&self, windows: usize, window_len: usize) -> usize {
        let (c, geometry) = (self.channels, self.geometry());
        // Forward values kept for the backward, and once more as gradients.
        let taps = |l| Stack::BOTH.map(|stack| geometry.taps(stack, l).len()).iter().sum::<usize>();
        let layer = |l| taps(l) * self.inputs(l) + 30 * c;
        let layers: usize = (0..self.layers).map(layer).sum();
        let head = 3 * self.head_channels + 4 * Config::likelihood(self).params();
        4 * windows * window_len * 2 * (layers + head)
    }
}
