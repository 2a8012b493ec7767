//! The teacher-forced reading on candle: whole windows at once, differentiated by candle. It is written to be read
//! beside the equations, not to be fast; the fused layers and the engine are held to it.
//!
//! candle 0.11 computes some CPU gradients wrongly, so every product here is of contiguous tensors without broadcast,
//! and the fused layers' finite differences stand behind its gradients.

use super::{Config, NORM_EPS, names};
use crate::ar::Graph;
use crate::graph::GraphError;
use crate::objective::{Objective, ObjectiveError, Window};
use crate::weights::{Layout, Tensors, check};
use candle_core::{D, Device, Result, Tensor, Var};
use std::collections::HashMap;

/// A GPT's tensors on a candle device.
pub struct GptGraph {
    config: Config,
    tensors: HashMap<String, Tensor>,
}

impl GptGraph {
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

    /// x + bias, where the model has biases.
    fn biased(&self, x: Tensor, at: &str, what: &str) -> Result<Tensor> {
        match self.config.bias {
            true => x.broadcast_add(self.get(&names::bias(at, what))),
            false => Ok(x),
        }
    }

    /// x [rows, in] times the named matrix [in, out], and its bias.
    fn affine(&self, x: &Tensor, at: &str, what: &str) -> Result<Tensor> {
        self.biased(x.matmul(self.get(&names::weight(at, what)))?, at, what)
    }

    /// n(x) over the last axis.
    fn norm(&self, x: &Tensor, at: &str) -> Result<Tensor> {
        let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let deviation = (x.sqr()?.mean_keepdim(D::Minus1)? + f64::from(NORM_EPS))?.sqrt()?;
        let x = x.broadcast_div(&deviation)?.broadcast_mul(self.get(&names::weight(at, "norm")))?;
        self.biased(x, at, "norm")
    }

    /// The attention of layer `l` on x [B·T, width].
    fn attention(&self, x: &Tensor, l: usize, b: usize, t: usize) -> Result<Tensor> {
        let (heads, width, at) = (self.config.heads, self.config.width, names::attention(l));
        let k = self.config.head_width();
        let qkv = self.affine(&self.norm(x, &at)?, &at, "qkv")?;
        let part = |i: usize| {
            let part = qkv.narrow(1, i * width, width)?.reshape((b, t, heads, k))?;
            part.transpose(1, 2)?.contiguous()?.reshape((b * heads, t, k))
        };
        let (query, key, value) = (part(0)?, part(1)?, part(2)?);
        let scores = (query.matmul(&key.transpose(1, 2)?.contiguous()?)? / (k as f64).sqrt())?;
        let future = |i| (0..t).map(move |j| if j > i { f32::NEG_INFINITY } else { 0.0 });
        let mask = Tensor::from_vec((0..t).flat_map(future).collect::<Vec<f32>>(), (t, t), x.device())?;
        let weights = candle_nn::ops::softmax(&scores.broadcast_add(&mask)?, D::Minus1)?;
        let out = weights.matmul(&value)?.reshape((b, heads, t, k))?;
        let out = out.transpose(1, 2)?.contiguous()?.reshape((b * t, width))?;
        self.affine(&out, &at, "out")
    }

    /// One window: `symbols` [B, T], T at most the context, at positions 0 … T−1, to logits [B, T, classes].
    fn window(&self, symbols: &Tensor) -> Result<Tensor> {
        let (b, t) = symbols.dims2()?;
        let (width, classes) = (self.config.width, self.config.classes);
        let embed = self.get(names::EMBED).embedding(&symbols.flatten_all()?)?.reshape((b, t, width))?;
        let position = self.get(names::POSITION).narrow(0, 0, t)?;
        let mut x = embed.broadcast_add(&position)?.reshape((b * t, width))?;
        for l in 0..self.config.layers {
            x = (&x + self.attention(&x, l, b, t)?)?;
            let at = names::mlp(l);
            let hidden = self.affine(&self.norm(&x, &at)?, &at, "up")?.gelu_erf()?;
            x = (&x + self.affine(&hidden, &at, "down")?)?;
        }
        let head = match self.config.tied_head {
            true => self.get(names::EMBED).t()?.contiguous()?,
            false => self.get(names::HEAD).clone(),
        };
        self.norm(&x, names::OUTPUT)?.matmul(&head)?.reshape((b, t, classes))
    }
}

impl Graph for GptGraph {
    fn forward(&self, symbols: &Tensor, _cond: Option<&Tensor>) -> Result<Tensor> {
        let (_, t) = symbols.dims2()?;
        let rows = self
            .config
            .readings(t)
            .map(|r| {
                let logits = self.window(&symbols.narrow(1, r.rows.start, r.rows.len())?.contiguous()?)?;
                logits.narrow(1, r.from - r.rows.start, r.rows.end - r.from)
            })
            .collect::<Result<Vec<_>>>()?;
        Tensor::cat(&rows, 1)
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
        let total = super::fused::check_batch(&self.config, batch)?;
        let device = &self.device;
        let mut vars = Vec::new();
        for (name, tensor) in self.layout.tensors(params) {
            vars.push((name, Var::from_slice(&tensor.data, &tensor.shape[..], device)?));
        }
        let graph = GptGraph {
            config: self.config.clone(),
            tensors: vars.iter().map(|(n, v)| (n.clone(), v.as_tensor().clone())).collect(),
        };
        let mut loss = Tensor::zeros((), candle_core::DType::F32, device)?;
        for w in batch {
            let t = w.inputs.len();
            let tensor = |of: &[u16]| -> Result<Tensor> {
                Tensor::from_vec(of.iter().map(|&s| u32::from(s)).collect::<Vec<_>>(), (1, t), device)
            };
            let log_p = candle_nn::ops::log_softmax(&graph.forward(&tensor(&w.inputs)?, None)?, D::Minus1)?;
            let picked = log_p.gather(&tensor(&w.targets)?.unsqueeze(2)?, 2)?;
            let heard = picked.narrow(1, w.warmup, t - w.warmup)?.sum_all()?;
            loss = (loss - (heard / total as f64)?)?;
        }
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
        Ok(f64::from(loss.to_scalar::<f32>()?))
    }

    fn peak_bytes(&self, windows: usize, window_len: usize, _threads: usize) -> usize {
        let c = &self.config;
        // Forward values kept for the backward, counted off the graph above, and a layer's gradients beside them.
        let scores = 4 * c.heads * c.context.min(window_len);
        let layer = 30 * c.width + 4 * c.mlp_width() + scores;
        4 * windows * window_len * ((c.layers + 1) * layer + 4 * c.classes)
    }
}
