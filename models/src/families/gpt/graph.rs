//! The teacher-forced reading on candle: whole windows at once, differentiated by candle. It is written to be read
//! beside the equations, not to be fast; the fused layers and the engine are held to it.
//!
//! candle 0.11 computes some CPU gradients wrongly, so every product here is of contiguous tensors without broadcast,
//! and the fused layers' finite differences stand behind its gradients.

use super::{Config, ContextSpan, NORM_EPS, names, sites};
use crate::ar::Graph;
use crate::fixed_length::{class_rows, one_hot};
use crate::graph::{self, Batch, DeviceTensors, GraphError, GraphFamily, GraphReading, on_device, product};
use crate::likelihood::Input;
use crate::objective::{ObjectiveError, Window};
use crate::weights::Tensors;
use candle_core::{D, DType, Device, Result, Tensor};

/// A GPT's tensors on a candle device.
pub struct GptGraph {
    config: Config,
    tensors: DeviceTensors,
}

impl GptGraph {
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

    /// x + bias, where the model has biases.
    fn biased(&self, x: Tensor, at: &str, what: &str) -> Result<Tensor> {
        match self.config.bias {
            true => x.broadcast_add(self.get(&names::bias(at, what))),
            false => Ok(x),
        }
    }

    /// x [rows, in] times the named matrix [in, out], and its bias.
    fn affine(&self, x: &Tensor, at: &str, what: &str) -> Result<Tensor> {
        self.biased(product(x, self.get(&names::weight(at, what)))?, at, what)
    }

    /// n(x) over the last axis.
    fn norm(&self, x: &Tensor, at: &str) -> Result<Tensor> {
        let x = standardised(x)?.broadcast_mul(self.get(&names::weight(at, "norm")))?;
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

    /// P of the positions 0 … t−1 [t, width], in the order `sites`, empty for the model's own.
    fn positions(&self, t: usize, sites: &[u32]) -> Result<Tensor> {
        let (width, device) = (self.config.width, self.get(names::EMBED).device());
        let mut sum = Tensor::zeros((t, width), DType::F32, device)?;
        for (i, (name, _)) in self.config.position_tables().into_iter().enumerate() {
            let rows: Vec<Option<usize>> = (0..t).map(|p| self.config.position_rows(p, sites)[i]).collect();
            // Steps without a row come first.
            let without = rows.iter().take_while(|row| row.is_none()).count();
            let ids: Vec<u32> = rows.into_iter().flatten().map(|row| row as u32).collect();
            if !ids.is_empty() {
                let rows = self.get(name).embedding(&Tensor::from_vec(ids, t - without, device)?)?;
                sum = (sum + rows.pad_with_zeros(0, without, 0)?)?;
            }
        }
        Ok(sum)
    }

    /// One window: `inputs` [B, T] or [B, T, numbers], T at most the context, at positions 0 … T−1, to parameters [B, T, P].
    /// `label` is the classes' rows [B, width], `orders` the order of each where they have some. Beside them r_L [B, T, width]; `masks` gives those for what the [sites](super::sites) of dropout add to the
    /// residual stream [B, T, width].
    fn window(
        &self,
        inputs: &Tensor,
        label: Option<Tensor>,
        orders: &[Vec<u32>],
        masks: impl Fn(usize) -> Result<Option<Tensor>>,
    ) -> Result<(Tensor, Tensor)> {
        let dropped = |x: Tensor, site: usize| match masks(site)? {
            None => Ok(x),
            Some(mask) => x.reshape(mask.shape())? * mask,
        };
        let (b, t) = (inputs.dim(0)?, inputs.dim(1)?);
        let (width, params) = (self.config.width, self.config.likelihood().params());
        let positions = match orders {
            [] => self.positions(t, &[])?.unsqueeze(0)?,
            orders => {
                let each = orders.iter().map(|sites| self.positions(t, sites)).collect::<Result<Vec<_>>>()?;
                Tensor::stack(&each, 0)?
            }
        };
        let mut entering = graph::embed(self.get(names::EMBED), inputs)?.broadcast_add(&positions)?;
        if let Some(label) = label {
            entering = entering.broadcast_add(&label.unsqueeze(1)?)?;
        }
        let mut x = dropped(entering, sites::INPUT)?.reshape((b * t, width))?;
        for l in 0..self.config.layers {
            let attended = dropped(self.attention(&x, l, b, t)?, sites::attention(l))?;
            x = (x + attended.reshape((b * t, width))?)?;
            let at = names::mlp(l);
            let hidden = self.affine(&self.norm(&x, &at)?, &at, "up")?.gelu_erf()?;
            let hidden = dropped(self.affine(&hidden, &at, "down")?, sites::mlp(l))?;
            x = (x + hidden.reshape((b * t, width))?)?;
        }
        let head = match self.config.tied_head {
            true => self.get(names::EMBED).t()?.contiguous()?,
            false => self.get(names::HEAD).clone(),
        };
        let parameters = product(&self.norm(&x, names::OUTPUT)?, &head)?.reshape((b, t, params))?;
        Ok((parameters, x.reshape((b, t, width))?))
    }

    /// The mean of −ln p(class) over the windows that have one, by r_L [B, T, width]; `None` where none has.
    fn class_loss(&self, x: &Tensor, windows: &[Window]) -> Result<Option<Tensor>> {
        let (t, device) = (x.dim(1)?, x.device());
        let labelled: Vec<usize> = (0..windows.len()).filter(|&i| windows[i].class.is_some()).collect();
        if self.config.classifier == 0 || labelled.is_empty() {
            return Ok(None);
        }
        let part = |w: &Window, i: usize| if i < w.rows() { 1.0 / w.rows() as f32 } else { 0.0 };
        let parts: Vec<f32> = windows.iter().flat_map(|w| (0..t).map(move |i| part(w, i))).collect();
        let mean = x.broadcast_mul(&Tensor::from_vec(parts, (windows.len(), t, 1), device)?)?.sum(1)?;
        let logits = self.classifier(&mean)?;
        let log_p = candle_nn::ops::log_softmax(&logits, D::Minus1)?;
        let rows: Vec<u32> = labelled.iter().map(|&i| i as u32).collect();
        let classes: Vec<u32> = labelled.iter().filter_map(|&i| windows[i].class).map(|c| c as u32).collect();
        let n = rows.len();
        let log_p = log_p.index_select(&Tensor::from_vec(rows, n, device)?, 0)?;
        Ok(Some(log_p.gather(&Tensor::from_vec(classes, (n, 1), device)?, 1)?.mean_all()?.neg()?))
    }

    /// n(mean) W_class + b_class [B, K] of means [B, width].
    fn classifier(&self, mean: &Tensor) -> Result<Tensor> {
        let weight = self.get(&names::classifier("weight"));
        let bias = self.get(&names::classifier("bias"));
        product(&standardised(mean)?, weight)?.broadcast_add(bias)
    }
}

/// n(x) over the last axis, before gain and bias.
fn standardised(x: &Tensor) -> Result<Tensor> {
    let x = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (x.sqr()?.mean_keepdim(D::Minus1)? + f64::from(NORM_EPS))?.sqrt()?;
    x.broadcast_div(&deviation)
}

impl GptGraph {
    /// Parameters [B, T, P] and r_L [B, T, width] of `inputs` [B, T] or [B, T, numbers], under the classes of `cond` [B, ⌈T / N⌉, K], behind which a model of
    /// any order has the N sites of each; `masks` gives those of a reading at a site of dropout.
    fn run(
        &self,
        inputs: &Tensor,
        cond: Option<&Tensor>,
        masks: impl Fn(&ContextSpan, usize) -> Result<Option<Tensor>>,
    ) -> Result<(Tensor, Tensor)> {
        let rows = self
            .config
            .readings(inputs.dim(1)?)
            .map(|r| {
                let mut inputs = inputs.narrow(1, r.rows.start, r.rows.len())?.contiguous()?;
                if self.config.has_fixed_length() && r.rows.start > 0 {
                    inputs = self.begun(&inputs)?;
                }
                let label = cond
                    .filter(|_| self.config.labels > 0)
                    .map(|cond| {
                        let classes = cond.narrow(2, 0, self.config.labels)?;
                        class_rows(&classes, r.rows.start, self.config.context, self.get(names::LABELS))
                    })
                    .transpose()?;
                let orders = match cond.filter(|_| self.config.any_order) {
                    Some(cond) => self.orders(cond, r.rows.start / self.config.context)?,
                    None => Vec::new(),
                };
                let (parameters, x) = self.window(&inputs, label, &orders, |site| masks(&r, site))?;
                let part = |x: Tensor| x.narrow(1, r.from - r.rows.start, r.rows.end - r.from);
                Ok((part(parameters)?, part(x)?))
            })
            .collect::<Result<Vec<_>>>()?;
        let (parameters, x): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        Ok((Tensor::cat(&parameters, 1)?, Tensor::cat(&x, 1)?))
    }

    /// The orders of image `i` of each sequence, from `cond`.
    fn orders(&self, cond: &Tensor, i: usize) -> Result<Vec<Vec<u32>>> {
        let sites = cond.narrow(1, i, 1)?.squeeze(1)?.narrow(1, self.config.labels, self.config.context)?;
        sites.to_dtype(DType::U32)?.to_vec2()
    }

    /// `inputs` with the start for the first: a sequence behind another has no past.
    fn begun(&self, inputs: &Tensor) -> Result<Tensor> {
        let (b, t, device) = (inputs.dim(0)?, inputs.dim(1)?, inputs.device());
        let (likelihood, start) = (self.config.likelihood(), self.config.start);
        let first = match likelihood.input() {
            Input::Table { .. } => Tensor::from_vec(vec![u32::from(start); b], (b, 1), device)?,
            Input::Numbers { count, .. } => {
                Tensor::from_vec(likelihood.start_numbers(start).repeat(b), (b, 1, count), device)?
            }
        };
        if t == 1 {
            return Ok(first);
        }
        Tensor::cat(&[&first, &inputs.narrow(1, 1, t - 1)?.contiguous()?], 1)
    }
}

impl Graph for GptGraph {
    fn forward(&self, inputs: &Tensor, cond: Option<&Tensor>) -> Result<Tensor> {
        Ok(self.run(inputs, cond, |_, _| Ok(None))?.0)
    }
}

/// The loss by the plain graph.
pub type GraphObjective = graph::GraphObjective<Config>;

impl GraphObjective {
    /// The same loss with dropout at `rate` over the embedding and what every sublayer adds, in windows that have a key
    /// for it.
    pub fn with_dropout(self, rate: f64) -> Self {
        self.dropping(rate)
    }
}

impl GraphFamily for Config {
    fn check(&self, batch: &[Window], _carry: &[Vec<f32>]) -> std::result::Result<usize, ObjectiveError> {
        super::check_batch(self, batch)
    }

    fn read(&self, tensors: DeviceTensors, batch: &Batch) -> Result<GraphReading> {
        let graph = GptGraph { config: self.clone(), tensors };
        let masks = |r: &ContextSpan, site| batch.masks(site, r.rows.clone(), self.width);
        let mut cond = one_hot(batch.windows, self.labels, batch.device)?;
        if self.any_order {
            let own: Vec<u32> = (0..self.context).map(|t| self.order.site(t) as u32).collect();
            let sites = |w: &Window| if w.sites.is_empty() { own.clone() } else { w.sites.clone() };
            let rows: Vec<f32> = batch.windows.iter().flat_map(sites).map(|s| s as f32).collect();
            let rows = Tensor::from_vec(rows, (batch.windows.len(), 1, self.context), batch.device)?;
            cond = Some(match cond {
                Some(classes) => Tensor::cat(&[&classes, &rows], 2)?,
                None => rows,
            });
        }
        let (parameters, x) = graph.run(batch.inputs, cond.as_ref(), masks)?;
        Ok(GraphReading { added: graph.class_loss(&x, batch.windows)?, ..parameters.into() })
    }

    fn peak_bytes(&self, windows: usize, window_len: usize) -> usize {
        let rows: usize = self.readings(window_len).map(|r| r.rows.len()).sum();
        // Forward values kept for the backward, counted off the graph above, and a layer's gradients beside them.
        let scores = 4 * self.heads * self.context.min(window_len);
        let layer = 30 * self.width + 4 * self.mlp_width() + scores;
        4 * windows * rows * ((self.layers + 1) * layer + 4 * Config::likelihood(self).params())
    }
}
