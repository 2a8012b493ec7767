//! The teacher-forced reading on candle, to be read beside the equations; the fused layers and the engine are held to
//! it. Products of two-dimensional contiguous tensors only: candle's own recurrent layers are not used.

use super::{Cell, Config, names};
use crate::ar::Graph;
use crate::dropout::Dropout;
use crate::graph::{DeviceTensors, GraphError, PaddedBatch, Variables, masks, on_device, product, scalar};
use crate::objective::{Objective, ObjectiveError, Window};
use crate::weights::{Layout, Tensors};
use candle_core::{Device, IndexOp, Result, Tensor};
use candle_nn::ops::sigmoid;

/// A Char-RNN's tensors on a candle device.
pub struct CharRnnGraph {
    config: Config,
    tensors: DeviceTensors,
}

impl CharRnnGraph {
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

    /// Logits [B, T, classes] of `symbols` [B, T] from the state `start` [B, state_len] on, and the state behind every
    /// row [B, T, state_len], laid out as [`Config::state_len`] says. `masks` gives each layer's for its output [B, T, H].
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn run(
        &self,
        symbols: &Tensor,
        start: &Tensor,
        masks: impl Fn(usize) -> Result<Option<Tensor>>,
    ) -> Result<(Tensor, Tensor)> {
        let config = &self.config;
        let (n, memories) = (config.hidden, config.cell.memories());
        let (b, t) = symbols.dims2()?;
        let gates = config.cell.gates() * n;
        let mut u = self.get(&names::input(0)).embedding(&symbols.flatten_all()?)?.reshape((b, t, gates))?;
        let mut kept = Vec::new();
        let mut h = Tensor::zeros((b, t, n), u.dtype(), u.device())?;
        for l in 0..config.layers {
            if l > 0 {
                u = product(&h, self.get(&names::input(l)))?;
            }
            u = u.broadcast_add(self.get(&names::bias(l)))?;
            let memory = |i: usize| start.narrow(1, (l * memories + i) * n, n)?.contiguous();
            let (mut h_t, mut c_t) = (memory(0)?, memory(memories - 1)?);
            let (mut hs, mut cs) = (Vec::new(), Vec::new());
            for row in 0..t {
                let u = u.i((.., row))?.contiguous()?;
                (h_t, c_t) = self.cell(l, &u, &h_t, &c_t)?;
                hs.push(h_t.clone());
                cs.push(c_t.clone());
            }
            h = Tensor::stack(&hs, 1)?;
            kept.push(h.clone());
            if config.cell == Cell::Lstm {
                kept.push(Tensor::stack(&cs, 1)?);
            }
            if let Some(mask) = masks(l)? {
                h = (h * mask)?;
            }
        }
        let logits = product(&h, self.get(names::HEAD))?.broadcast_add(self.get(names::HEAD_BIAS))?;
        Ok((logits, Tensor::cat(&kept, 2)?))
    }

    /// h_l[t] and c_l[t] [B, H] from u_l [B, gates · H]; a GRU has no c and gives h twice.
    fn cell(&self, l: usize, u: &Tensor, h: &Tensor, c: &Tensor) -> Result<(Tensor, Tensor)> {
        let n = self.config.hidden;
        let part = |x: &Tensor, i: usize| x.narrow(1, i * n, n);
        let m = h.matmul(self.get(&names::recurrent(l)))?;
        match self.config.cell {
            Cell::Lstm => {
                let z = (u + m)?;
                let (i, f) = (sigmoid(&part(&z, 0)?)?, sigmoid(&part(&z, 1)?)?);
                let (g, o) = (part(&z, 2)?.tanh()?, sigmoid(&part(&z, 3)?)?);
                let c = ((f * c)? + (i * g)?)?;
                Ok(((o * c.tanh()?)?, c))
            }
            Cell::Gru => {
                let r = sigmoid(&(part(u, 0)? + part(&m, 0)?)?)?;
                let z = sigmoid(&(part(u, 1)? + part(&m, 1)?)?)?;
                let candidate = part(&m, 2)?.broadcast_add(self.get(&names::candidate_bias(l)))?;
                let new = (part(u, 2)? + (r * candidate)?)?.tanh()?;
                let h = (((1.0 - &z)? * new)? + (z * h)?)?;
                Ok((h.clone(), h))
            }
        }
    }
}

impl Graph for CharRnnGraph {
    fn forward(&self, symbols: &Tensor, _cond: Option<&Tensor>) -> Result<Tensor> {
        let head = self.get(names::HEAD);
        let start = Tensor::zeros((symbols.dim(0)?, self.config.state_len()), head.dtype(), head.device())?;
        Ok(self.run(symbols, &start, |_| Ok(None))?.0)
    }
}

/// The loss by the plain graph.
pub struct GraphObjective {
    config: Config,
    layout: Layout,
    device: Device,
    dropout: Option<Dropout>,
}

impl GraphObjective {
    /// The loss of `config` on `device`.
    pub fn new(config: Config, device: Device) -> Self {
        let layout = Layout::new(config.table());
        Self { config, layout, device, dropout: None }
    }

    /// The same loss with dropout at `rate` over the output of every layer, in windows that have a key for it.
    pub fn with_dropout(self, rate: f64) -> Self {
        Self { dropout: Dropout::new(rate), ..self }
    }
}

impl Objective for GraphObjective {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn loss(
        &self,
        params: &[f32],
        batch: &[Window],
        grads: Option<&mut [f32]>,
    ) -> std::result::Result<f64, ObjectiveError> {
        self.loss_carried(params, batch, &mut vec![Vec::new(); batch.len()], grads)
    }

    fn carry_len(&self) -> usize {
        self.config.state_len()
    }

    fn loss_carried(
        &self,
        params: &[f32],
        batch: &[Window],
        carry: &mut [Vec<f32>],
        grads: Option<&mut [f32]>,
    ) -> std::result::Result<f64, ObjectiveError> {
        let t = super::fused::check_batch(&self.config, batch, carry)?;
        let n = self.config.state_len();
        let vars = Variables::new(&self.layout, params, &self.device)?;
        let graph = CharRnnGraph { config: self.config.clone(), tensors: vars.tensors() };
        let padded = PaddedBatch::new(batch, t, &self.device)?;
        let mut start = vec![0.0; batch.len() * n];
        for (to, from) in start.chunks_exact_mut(n).zip(&*carry) {
            to[..from.len()].copy_from_slice(from);
        }
        let start = Tensor::from_vec(start, (batch.len(), n), &self.device)?;
        let (logits, states) = graph.run(&padded.inputs, &start, |l| {
            self.dropout.map(|d| masks(d, batch, l, 0..t, self.config.hidden, &self.device)).transpose()
        })?;
        let loss = padded.loss(&logits)?;
        if let Some(grads) = grads {
            vars.gradient(&loss, &self.layout, grads)?;
        }
        for (i, (carry, w)) in carry.iter_mut().zip(batch).enumerate() {
            *carry = states.i((i, w.inputs.len() - 1))?.to_vec1()?;
        }
        scalar(&loss)
    }

    fn peak_bytes(&self, windows: usize, window_len: usize, _threads: usize) -> usize {
        let c = &self.config;
        // Forward values kept for the backward, and once more as gradients. That of each gate is as wide as all gates.
        let layer = 9 * c.cell.gates() * c.hidden + 14 * c.hidden;
        4 * windows * window_len * 2 * (c.layers * layer + 4 * c.classes)
    }
}
