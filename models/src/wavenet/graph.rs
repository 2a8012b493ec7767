//! The teacher-forced reading on candle: a whole sequence at once, differentiated by candle. It is written to be read
//! beside the equations, not to be fast; the fused layers and the engine are held to it.
//!
//! candle 0.11 computes some CPU gradients wrongly (conv1d in batches, products with a transposed left side), so there
//! is nothing here but products of two-dimensional contiguous tensors in the layout [B·T, C].

use super::{Condition, Config, names};
use crate::ar::Graph;
use crate::graph::{self, DeviceTensors, GraphError, PaddedBatch, Variables, on_device};
use crate::objective::{Objective, ObjectiveError, Window};
use crate::weights::{Layout, Tensors};
use candle_core::{Device, Result, Tensor};

/// A WaveNet's tensors on a candle device.
pub struct WaveNetGraph {
    config: Config,
    tensors: DeviceTensors,
}

impl WaveNetGraph {
    /// Puts `tensors` on `device`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`], or a device out of memory.
    pub fn new(config: &Config, tensors: &Tensors, device: &Device) -> std::result::Result<Self, GraphError> {
        let tensors = on_device(tensors, &config.table(), device)?;
        Ok(Self { config: config.clone(), tensors })
    }

    fn get(&self, name: &str) -> &Tensor {
        &self.tensors[name]
    }

    /// x [.., in] times the named matrix [in, out].
    fn product(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        graph::product(x, self.get(name))
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
        let vars = Variables::new(&self.layout, params, device)?;
        let graph = WaveNetGraph { config: self.config.clone(), tensors: vars.tensors() };
        let padded = PaddedBatch::new(batch, t, device)?;
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
        let loss = padded.loss(&graph.forward(&padded.inputs, cond.as_ref())?)?;
        if let Some(grads) = grads {
            vars.gradient(&loss, &self.layout, grads)?;
        }
        graph::scalar(&loss)
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
