//! The teacher-forced reading on candle: a whole sequence at once, differentiated by candle. It is written to be read
//! beside the equations, not to be fast; the fused layers and the engine are held to it.
//!
//! candle 0.11 computes some CPU gradients wrongly (conv1d in batches, products with a transposed left side), so there
//! is nothing here but products of two-dimensional contiguous tensors in the layout [B·T, C].

use super::{Condition, Config, names};
use crate::ar::Graph;
use crate::objective::{Objective, ObjectiveError, Window};
use crate::weights::{Layout, Tensors, WeightsError, check};
use candle_core::{D, DType, Device, Result, Tensor, Var};
use std::collections::HashMap;

/// A WaveNet's tensors on a candle device.
pub struct WaveNetGraph {
    config: Config,
    tensors: HashMap<String, Tensor>,
}

/// Why a graph can't be built.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// Tensors that are not those of the config.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The library failed.
    #[error("graph: {0}")]
    Candle(#[from] candle_core::Error),
}

impl WaveNetGraph {
    /// Puts `tensors` on `device`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`], or a device out of memory.
    pub fn new(config: &Config, tensors: &Tensors, device: &Device) -> std::result::Result<Self, GraphError> {
        check(tensors, &config.table())?;
        let tensors = tensors
            .iter()
            .map(|(name, t)| Ok((name.clone(), Tensor::from_slice(&t.data, &t.shape[..], device)?)))
            .collect::<Result<_>>()?;
        Ok(Self { config: config.clone(), tensors })
    }

    fn get(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }

    /// x [.., in] times the named matrix [in, out].
    fn product(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let w = self.get(name);
        let mut shape = x.dims().to_vec();
        let inputs = shape.pop().unwrap_or(0);
        let rows: usize = shape.iter().product();
        shape.push(w.dim(1)?);
        x.contiguous()?.reshape((rows, inputs))?.matmul(w)?.reshape(shape)
    }

    fn affine(&self, x: &Tensor, weight: &str, bias: &str) -> Result<Tensor> {
        self.product(x, weight)?.broadcast_add(self.get(bias))
    }

    /// c [B, N, len] of the frames [B, N, cond_len].
    fn frame_network(&self, c: &Condition, frames: &Tensor) -> Result<Tensor> {
        let mut x = frames.clone();
        if c.hidden > 0 {
            for i in 0..2 {
                x = self.affine(&x, &names::hidden(i), &names::hidden_bias(i))?.tanh()?;
            }
        }
        Ok(x)
    }

    /// The speaker vectors of `speakers` (rows of the table), one per batch entry, before the local frames
    /// [B, N, local_len]: frames [B, N, cond_len].
    fn with_speakers(
        &self,
        c: &Condition,
        speakers: &[u32],
        local: Option<Tensor>,
        frames: usize,
    ) -> Result<Tensor> {
        let mut parts = Vec::new();
        if c.speaker_dim > 0 {
            let table = self.get(names::SPEAKERS);
            let index = Tensor::from_slice(speakers, speakers.len(), table.device())?;
            let rows = table.embedding(&index)?.unsqueeze(1)?;
            parts.push(rows.broadcast_as((speakers.len(), frames, c.speaker_dim))?);
        }
        parts.extend(local);
        Tensor::cat(&parts, 2)
    }
}

/// x[t − steps] along the axis of time of [B, T, C], zeros before the start.
fn shift(x: &Tensor, steps: usize) -> Result<Tensor> {
    let t = x.dim(1)?;
    x.pad_with_zeros(1, steps.min(t), 0)?.narrow(1, 0, t)?.contiguous()
}

/// Rows of [B, N, C] held for `hop` samples each, cut to [B, T, C].
fn hold(x: &Tensor, hop: usize, t: usize) -> Result<Tensor> {
    let (b, n, c) = x.dims3()?;
    x.unsqueeze(2)?.broadcast_as((b, n, hop, c))?.reshape((b, n * hop, c))?.narrow(1, 0, t)
}

impl Graph for WaveNetGraph {
    fn forward(&self, symbols: &Tensor, cond: Option<&Tensor>) -> Result<Tensor> {
        let config = &self.config;
        let (b, t) = symbols.dims2()?;
        let (d, k) = (config.gate_channels, config.kernel_size);
        let c = match (&config.condition, cond) {
            (Some(c), Some(frames)) => Some((c.hop, self.frame_network(c, frames)?)),
            _ => None,
        };
        let mut x = self.get(names::EMBED).embedding(&symbols.flatten_all()?)?.reshape((
            b,
            t,
            config.residual_channels,
        ))?;
        let mut skip = self.get(names::SKIP_BIAS).broadcast_as((b, t, config.skip_channels))?;
        for (l, &dilation) in config.dilations.iter().enumerate() {
            let taps = (0..k).map(|tap| shift(&x, (k - 1 - tap) * dilation)).collect::<Result<Vec<_>>>()?;
            let weight = self.get(&names::gate(l));
            let rows = b * t;
            let mut z = self.get(&names::gate_bias(l)).broadcast_as((rows, 2 * d))?.contiguous()?;
            for (tap, x) in taps.iter().enumerate() {
                let x = x.reshape((rows, config.residual_channels))?;
                z = (z + x.matmul(&weight.get(tap)?.contiguous()?)?)?;
            }
            let mut z = z.reshape((b, t, 2 * d))?;
            if let Some((hop, c)) = &c {
                z = (z + hold(&self.product(c, &names::cond(l))?, *hop, t)?)?;
            }
            let sigmoid = candle_nn::ops::sigmoid(&z.narrow(2, d, d)?)?;
            let h = (z.narrow(2, 0, d)?.tanh()? * sigmoid)?;
            skip = (skip + self.product(&h, &names::skip(l))?)?;
            if l + 1 < config.dilations.len() {
                x = (x + self.affine(&h, &names::residual(l), &names::residual_bias(l))?)?;
            }
        }
        let y = self.affine(&skip.relu()?, &names::head(0), &names::head_bias(0))?.relu()?;
        self.affine(&y, &names::head(1), &names::head_bias(1))
    }
}

/// The loss by the plain graph.
pub struct GraphObjective {
    config: Config,
    layout: Layout,
    device: Device,
}

impl GraphObjective {
    /// The loss of `config` on `device`.
    pub fn new(config: Config, device: Device) -> Self {
        let layout = Layout::new(config.table());
        Self { config, layout, device }
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
        let device = &self.device;
        let t = super::fused::check_batch(&self.config, batch)?;
        let mut vars = Vec::new();
        for (name, tensor) in self.layout.tensors(params) {
            vars.push((name, Var::from_slice(&tensor.data, &tensor.shape[..], device)?));
        }
        let graph = WaveNetGraph {
            config: self.config.clone(),
            tensors: vars.iter().map(|(n, v)| (n.clone(), v.as_tensor().clone())).collect(),
        };
        // Windows of several lengths are padded to the longest; what is padded has no weight in the loss.
        let padded = |of: fn(&Window) -> &[u16]| -> Vec<u32> {
            let row = |w| (0..t).map(move |i| of(w).get(i).map_or(0, |&s| u32::from(s)));
            batch.iter().flat_map(row).collect()
        };
        let shape = (batch.len(), t);
        let inputs = Tensor::from_vec(padded(|w| &w.inputs), shape, device)?;
        let targets = Tensor::from_vec(padded(|w| &w.targets), shape, device)?;
        let counts = |w: &Window, i| i >= w.warmup && i < w.inputs.len();
        let weight: Vec<f32> =
            batch.iter().flat_map(|w| (0..t).map(move |i| if counts(w, i) { 1.0 } else { 0.0 })).collect();
        let total = weight.iter().map(|&w| f64::from(w)).sum::<f64>();
        let weight = Tensor::from_vec(weight, shape, device)?;
        let cond = match &self.config.condition {
            None => None,
            Some(c) => {
                let (n, local_len) = (t.div_ceil(c.hop), c.local_len());
                let local = if c.features == 0 {
                    None
                } else {
                    let mut all = vec![0.0; batch.len() * n * local_len];
                    for (to, w) in all.chunks_exact_mut(n * local_len).zip(batch) {
                        to[..w.frames.len().min(n * local_len)]
                            .copy_from_slice(&w.frames[..w.frames.len().min(n * local_len)]);
                    }
                    Some(Tensor::from_vec(all, (batch.len(), n, local_len), device)?)
                };
                let speakers: Vec<u32> = batch.iter().map(|w| w.speaker.unwrap_or(0) as u32).collect();
                Some(graph.with_speakers(c, &speakers, local, n)?)
            }
        };
        let logits = graph.forward(&inputs, cond.as_ref())?;
        let log_p = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
        let picked = log_p.gather(&targets.unsqueeze(2)?, 2)?.squeeze(2)?;
        let loss = ((picked * weight)?.sum_all()? * (-1.0 / total))?;
        if let Some(grads) = grads {
            let store = loss.backward()?;
            for (name, var) in &vars {
                let to = &mut grads[self.layout.range(name)];
                match store.get(var.as_tensor()) {
                    Some(g) => to.copy_from_slice(&g.flatten_all()?.to_vec1::<f32>()?),
                    None => to.fill(0.0),
                }
            }
        }
        Ok(f64::from(loss.to_dtype(DType::F32)?.to_scalar::<f32>()?))
    }

    fn peak_bytes(&self, windows: usize, window_len: usize, _threads: usize) -> usize {
        let c = &self.config;
        // Forward values kept for the backward, counted off the graph above: per layer the taps, z and its parts, h and
        // the two sums, and once more as gradients while a layer is differentiated.
        let layer = 2 * c.kernel_size * c.residual_channels
            + 14 * c.gate_channels
            + 3 * c.residual_channels
            + 2 * c.skip_channels;
        let head = 4 * c.skip_channels + 4 * c.head_channels + 4 * c.classes;
        4 * windows * window_len * (c.dilations.len() * layer + head)
    }
}
