//! The teacher-forced reading on candle, to be read beside the equations; the fused layers and the engine are held to
//! it. Products of two-dimensional contiguous tensors only: candle's own recurrent layers are not used.

use super::{Cell, Config, names};
use crate::ar::Graph;
use crate::graph::{self, Batch, DeviceTensors, GraphError, GraphFamily, GraphReading, on_device, product};
use crate::objective::{ObjectiveError, Window};
use crate::weights::Tensors;
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

    /// Parameters [B, T, P] of `symbols` [B, T], or of numbers [B, T, count], given `condition` [B, T, F], from the state `start` [B, state_len], or from zeros, on, and the state
    /// behind every row [B, T, state_len], laid out as [`Config::state_len`] says. `masks` gives each layer's for its output
    /// [B, T, H].
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn run(
        &self,
        symbols: &Tensor,
        condition: Option<&Tensor>,
        start: Option<&Tensor>,
        masks: impl Fn(usize) -> Result<Option<Tensor>>,
    ) -> Result<(Tensor, Tensor)> {
        let config = &self.config;
        let (n, memories) = (config.hidden, config.cell.memories());
        let (b, t) = (symbols.dim(0)?, symbols.dim(1)?);
        let mut u = graph::embed(self.get(&names::input(0)), symbols)?;
        if let Some(c) = condition.filter(|_| config.condition.is_some()) {
            u = (u + product(c, self.get(names::CONDITION))?)?;
        }
        let mut kept = Vec::new();
        let mut h = Tensor::zeros((b, t, n), u.dtype(), u.device())?;
        for l in 0..config.layers {
            if l > 0 {
                u = product(&h, self.get(&names::input(l)))?;
            }
            u = u.broadcast_add(self.get(&names::bias(l)))?;
            let memory = |i: usize| match start {
                Some(start) => start.narrow(1, (l * memories + i) * n, n)?.contiguous(),
                None => Tensor::zeros((b, n), u.dtype(), u.device()),
            };
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
    fn forward(&self, symbols: &Tensor, cond: Option<&Tensor>) -> Result<Tensor> {
        Ok(self.run(symbols, cond, None, |_| Ok(None))?.0)
    }
}

/// c [B, T, features] of a batch, zeros behind the end of a window.
fn condition(features: usize, batch: &Batch) -> Result<Tensor> {
    let (b, t) = (batch.windows.len(), batch.rows()?);
    let mut all = vec![0.0; b * t * features];
    for (w, rows) in batch.windows.iter().zip(all.chunks_exact_mut(t * features)) {
        rows[..w.frames.rows.len()].copy_from_slice(&w.frames.rows);
    }
    Tensor::from_vec(all, (b, t, features), batch.device)
}

/// The loss by the plain graph.
pub type GraphObjective = graph::GraphObjective<Config>;

impl GraphObjective {
    /// The same loss with dropout at `rate` over the output of every layer, in windows that have a key for it.
    pub fn with_dropout(self, rate: f64) -> Self {
        self.dropping(rate)
    }
}

impl GraphFamily for Config {
    fn check(&self, batch: &[Window], carry: &[Vec<f32>]) -> std::result::Result<usize, ObjectiveError> {
        super::fused::check_batch(self, batch, carry)
    }

    fn carry_len(&self) -> usize {
        self.state_len()
    }

    fn read(&self, tensors: DeviceTensors, batch: &Batch) -> Result<GraphReading> {
        let (graph, rows) = (CharRnnGraph { config: self.clone(), tensors }, batch.rows()?);
        let masks = |l| batch.masks(l, 0..rows, self.hidden);
        let condition = self.condition.map(|c| condition(c.features, batch)).transpose()?;
        let (logits, states) = graph.run(batch.inputs, condition.as_ref(), batch.start.as_ref(), masks)?;
        Ok(GraphReading { states: Some(states), ..logits.into() })
    }

    fn peak_bytes(&self, windows: usize, window_len: usize) -> usize {
        // Forward values kept for the backward, and once more as gradients. That of each gate is as wide as all gates.
        let layer = 9 * self.cell.gates() * self.hidden + 14 * self.hidden;
        4 * windows * window_len * 2 * (self.layers * layer + 4 * Config::likelihood(self).params())
    }
}
