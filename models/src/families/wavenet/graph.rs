//! The teacher-forced reading on candle: a whole sequence at once, differentiated by candle. It is written to be read
//! beside the equations, not to be fast; the fused layers and the engine are held to it.
//!
//! candle 0.11 computes some CPU gradients wrongly (conv1d in batches, products with a transposed left side), so there
//! is nothing here but products of two-dimensional contiguous tensors in the layout [B·T, C].

use super::frame::CROSS_SPEAKER;
use super::{ConditionConfig, Config, names};
use crate::ar::Graph;
use crate::condition::Condition;
use crate::graph::{self, Batch, DeviceTensors, GraphError, GraphFamily, GraphReading, on_device};
use crate::likelihood::Input;
use crate::objective::{ObjectiveError, Window};
use crate::weights::Tensors;
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

    /// For each bunch n the named table's row of the symbol that stands `lag` before row nB + `phase` of `symbols`
    /// [batch, T]: [batch, bunches, width].
    fn rows(&self, table: &str, symbols: &Tensor, phase: usize, lag: usize) -> Result<Tensor> {
        let ((b, t), bunch) = (symbols.dims2()?, self.config.bunch);
        let start = Tensor::full(u32::from(self.config.start), (b, 1), symbols.device())?;
        let symbols = Tensor::cat(&[&start, symbols], 1)?;
        // Column 0 is the start symbol, column 1 + t row t. Rows behind the last belong to no sample.
        let column = |n: usize| (n * bunch + phase + 1).saturating_sub(lag).min(t) as u32;
        let columns: Vec<u32> = (0..t.div_ceil(bunch)).map(column).collect();
        let columns = Tensor::new(columns, symbols.device())?;
        let picked = symbols.index_select(&columns, 1)?;
        let (table, n) = (self.get(table), picked.dim(1)?);
        table.embedding(&picked.flatten_all()?)?.reshape((b, n, table.dim(1)?))
    }

    /// c [B, N, len] of the frames [B, N, cond_len].
    fn frame_network(&self, c: &ConditionConfig, frames: &Tensor) -> Result<Tensor> {
        let network = |net: &str| {
            let layer =
                |x: &Tensor, i| self.affine(x, &names::frame(net, i), &names::frame_bias(net, i))?.tanh();
            layer(&layer(frames, 0)?, 1)
        };
        let c_of: Vec<Tensor> = c.networks().map(|(net, _)| network(net)).collect::<Result<_>>()?;
        match &c_of[..] {
            [] => Ok(frames.clone()),
            [all] => Ok(all.clone()),
            [own, others, ..] => {
                let flag = frames.narrow(2, c.speaker_dim, 1)?.contiguous()?;
                let theirs = flag.eq(f64::from(CROSS_SPEAKER))?.broadcast_as(own.shape())?;
                theirs.contiguous()?.where_cond(others, own)
            }
        }
    }

    /// The speaker vectors of `speakers` (rows of the table), one per batch entry, before the local frames
    /// [B, N, local_len]: frames [B, N, cond_len].
    fn with_speakers(
        &self,
        c: &ConditionConfig,
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
        let (b, t) = (symbols.dim(0)?, symbols.dim(1)?);
        let (d, k) = (config.gate_channels, config.kernel_size);
        let c = match (&config.condition, cond) {
            (Some(c), Some(frames)) => Some((c.hop / config.bunch, self.frame_network(c, frames)?)),
            _ => None,
        };
        let samples = t;
        // From here on time is counted in bunches.
        let t = samples.div_ceil(config.bunch);
        let mut x = match config.likelihood().input() {
            Input::Table { .. } => self.rows(&names::embed(0), symbols, 0, 0)?,
            Input::Numbers { .. } => graph::embed(self.get(&names::embed(0)), symbols)?,
        };
        for lag in 1..config.bunch {
            x = (x + self.rows(&names::embed(lag), symbols, 0, lag)?)?;
        }
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
        let skip = skip.relu()?;
        let phase = |j: usize| {
            let mut a = self.affine(&skip, &names::phase(j), &names::phase_bias(j))?;
            for lag in 0..j {
                a = (a + self.rows(&names::drawn(j, lag), symbols, j, lag)?)?;
            }
            a.relu()
        };
        let phases = (0..config.bunch).map(phase).collect::<Result<Vec<_>>>()?;
        let y = Tensor::stack(&phases, 2)?.reshape((b, t * config.bunch, config.head_channels))?;
        self.affine(&y.narrow(1, 0, samples)?, names::OUT, names::OUT_BIAS)
    }
}

/// The loss by the plain graph.
pub type GraphObjective = graph::GraphObjective<Config>;

impl GraphFamily for Config {
    fn check(&self, batch: &[Window], _carry: &[Vec<f32>]) -> std::result::Result<usize, ObjectiveError> {
        super::fused::check_batch(self, batch)
    }

    fn read(&self, tensors: DeviceTensors, batch: &Batch) -> Result<GraphReading> {
        let graph = WaveNetGraph { config: self.clone(), tensors };
        let Some(c) = &self.condition else { return Ok(graph.forward(batch.inputs, None)?.into()) };
        let (n, local_len) = (batch.rows()?.div_ceil(c.hop), c.local_len());
        let local = if c.features == 0 {
            None
        } else {
            let mut all = vec![0.0; batch.windows.len() * n * local_len];
            for (to, w) in all.chunks_exact_mut(n * local_len).zip(batch.windows) {
                for (i, to) in to.chunks_exact_mut(local_len).enumerate().take(w.frames.len()) {
                    let condition = Condition { frames: w.frames.window(i), ..Condition::default() };
                    ConditionConfig { speakers: 0, speaker_dim: 0, ..c.clone() }.write(&condition, to);
                }
            }
            Some(Tensor::from_vec(all, (batch.windows.len(), n, local_len), batch.device)?)
        };
        let speakers: Vec<u32> = batch.windows.iter().map(|w| w.speaker.unwrap_or(0) as u32).collect();
        let cond = graph.with_speakers(c, &speakers, local, n)?;
        Ok(graph.forward(batch.inputs, Some(&cond))?.into())
    }

    fn peak_bytes(&self, windows: usize, window_len: usize) -> usize {
        // Forward values kept for the backward, counted off the graph above: per layer the taps, z and its parts, h and
        // the two sums, and once more as gradients while a layer is differentiated.
        let layer = 2 * self.kernel_size * self.residual_channels
            + 14 * self.gate_channels
            + 3 * self.residual_channels
            + 2 * self.skip_channels;
        let head = 4 * self.skip_channels + 4 * self.head_channels + 4 * Config::likelihood(self).params();
        4 * windows * window_len * (self.dilations.len() * layer / self.bunch + head)
    }
}
