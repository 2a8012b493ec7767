//! One group of windows: forward through the layers, the head, and back. Row t·G + w is symbol t of window w; windows
//! shorter than the longest go on with any symbol, and no gradient comes back from those rows.

mod backward;

use super::parameter_layout::ParameterLayout;
use crate::dropout::{Dropout, Masks};
use crate::families::char_rnn::{Cell, Config, cell};
use crate::fused::padded::Weights;
use crate::fused::rows::{add_rows, broadcast};
use crate::fused::size;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{add, add_weighted, add_weighted_sparse};
use crate::kernels::tile::{Strided, multiply_with};
use crate::kernels::{Isa, Kernel, Simd};
use crate::objective::Window;
use std::ops::Range;

/// Rows of a chunk, about: its gates stay in the L2 beside the layer's weights.
const CHUNK: usize = 128;

/// Buffers of one group; every value is written before it is read.
#[derive(Default)]
pub struct Scratch {
    layers: Vec<LayerScratch>,
    /// Gradient of the output of the layer at hand [T·G, H].
    d_out: Vec<f32>,
    /// Gradient of an LSTM's memory [G, H].
    d_c: Vec<f32>,
    /// Logits of a chunk, then their gradient [CHUNK, classes].
    logits: Vec<f32>,
}

/// What a layer keeps for its backward.
#[derive(Default, Clone)]
struct LayerScratch {
    /// u_l, then the gates, then their gradient [T·G, gates · H].
    gates: Vec<f32>,
    /// h_l [(T+1)·G, H], the carried state first.
    h: Vec<f32>,
    /// c_l of an LSTM, as h.
    c: Vec<f32>,
    /// A GRU's recurrent product, then its gradient [T·G, 3H].
    recurrent: Vec<f32>,
    /// What the layer above reads, where that is h_l under a mask [T·G, H]; else empty.
    dropped: Vec<f32>,
}

impl LayerScratch {
    /// What the layer above, or the head, reads of `rows`, `carried` rows of width `h` being the state before.
    #[inline(always)]
    fn output(&self, rows: &Range<usize>, carried: usize, h: usize) -> &[f32] {
        match self.dropped.is_empty() {
            true => &self.h[(rows.start + carried) * h..(rows.end + carried) * h],
            false => &self.dropped[span(rows, h)],
        }
    }
}

impl Scratch {
    /// Bytes that a group of `windows` windows of `t` rows takes.
    pub fn bytes(
        config: &Config,
        layout: &ParameterLayout,
        windows: usize,
        t: usize,
        dropout: bool,
    ) -> usize {
        let second = match config.cell {
            Cell::Lstm => layout.h,
            Cell::Gru => layout.g,
        };
        let row =
            config.layers * (layout.g + layout.h + second + if dropout { layout.h } else { 0 }) + layout.h;
        4 * (windows * (t + 1) * row + CHUNK.max(windows) * layout.p)
    }
}

/// A group's loss and gradient.
pub struct GroupPass<'a> {
    /// The instruction set that this pass runs under.
    pub isa: Isa,
    /// Sizes.
    pub config: &'a Config,
    /// Where things stand.
    pub layout: &'a ParameterLayout,
    /// Laid over each layer's output.
    pub dropout: Option<Dropout>,
    /// The weights.
    pub weights: &'a Weights,
    /// The data.
    pub windows: &'a [Window],
    /// The state before each window, then that behind it.
    pub carry: &'a mut [Vec<f32>],
    /// Weight of one row in the loss's mean.
    pub scale: f32,
    /// The padded gradient to add to; none for the loss alone.
    pub gradient: Option<&'a mut Aligned>,
    /// Buffers.
    pub scratch: &'a mut Scratch,
}

/// Rows `r` of a buffer whose rows have `width` values.
#[inline(always)]
fn span(r: &Range<usize>, width: usize) -> Range<usize> {
    r.start * width..r.end * width
}

/// c_t of a window.
#[inline(always)]
fn condition<'a>(config: &Config, window: &'a Window, t: usize) -> &'a [f32] {
    let features = config.features();
    &window.frames.rows[t * features..][..features]
}

impl Kernel for GroupPass<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) -> f64 {
        let t = self.windows.iter().map(Window::rows).max().unwrap_or(0);
        self.size_scratch(t);
        self.start();
        let steps = (CHUNK / self.windows.len()).max(1);
        let chunks: Vec<_> = (0..t).step_by(steps).map(|i| i..t.min(i + steps)).collect();
        for l in 0..self.config.layers {
            for steps in &chunks {
                self.layer_forward(s, l, steps.clone());
            }
        }
        let mut gradient = self.gradient.take();
        let mut nats = 0.0;
        for steps in &chunks {
            nats += self.head(s, steps.clone(), gradient.as_deref_mut());
        }
        if let Some(gradient) = gradient {
            for l in (0..self.config.layers).rev() {
                let len = self.windows.len() * self.layout.h;
                self.scratch.d_c[..len].fill(0.0);
                for steps in chunks.iter().rev() {
                    self.layer_backward(s, l, steps.clone(), gradient);
                }
            }
        }
        self.finish();
        nats
    }
}

impl<'a> GroupPass<'a> {
    #[inline(always)]
    fn size_scratch(&mut self, t: usize) {
        let (n, h, g) = (self.windows.len(), self.layout.h, self.layout.g);
        let scratch = &mut *self.scratch;
        scratch.layers.resize(self.config.layers, LayerScratch::default());
        for layer in &mut scratch.layers {
            size(&mut layer.gates, t * n * g);
            size(&mut layer.h, (t + 1) * n * h);
            match self.config.cell {
                Cell::Lstm => size(&mut layer.c, (t + 1) * n * h),
                Cell::Gru => size(&mut layer.recurrent, t * n * g),
            }
            match self.dropout {
                None => layer.dropped.clear(),
                Some(_) => size(&mut layer.dropped, t * n * h),
            }
        }
        size(&mut scratch.d_out, t * n * h);
        size(&mut scratch.d_c, n * h);
    }

    /// The carried states to the rows before the first.
    #[inline(always)]
    fn start(&mut self) {
        let (units, h) = (self.config.hidden, self.layout.h);
        let memories = self.config.cell.memories();
        for (l, layer) in self.scratch.layers.iter_mut().enumerate() {
            for (w, carry) in self.carry.iter().enumerate() {
                for (i, rows) in [&mut layer.h, &mut layer.c].into_iter().take(memories).enumerate() {
                    let row = &mut rows[w * h..(w + 1) * h];
                    row.fill(0.0);
                    if !carry.is_empty() {
                        row[..units].copy_from_slice(&carry[(l * memories + i) * units..][..units]);
                    }
                }
            }
        }
    }

    /// The states behind each window's last row to its carry.
    #[inline(always)]
    fn finish(&mut self) {
        let (n, units, h) = (self.windows.len(), self.config.hidden, self.layout.h);
        let memories = self.config.cell.memories();
        for (w, carry) in self.carry.iter_mut().enumerate() {
            let row = (self.windows[w].rows() * n + w) * h;
            carry.clear();
            for layer in &self.scratch.layers {
                for rows in [&layer.h, &layer.c].into_iter().take(memories) {
                    carry.extend_from_slice(&rows[row..row + units]);
                }
            }
        }
    }

    #[inline(always)]
    fn masks(&self) -> Masks<'a> {
        Masks { dropout: self.dropout, windows: self.windows, width: self.layout.h }
    }

    #[inline(always)]
    fn layer_forward<S: Simd>(&mut self, s: S, l: usize, steps: Range<usize>) {
        let masks = self.masks();
        let (n, units, weights) = (self.windows.len(), self.config.hidden, self.weights);
        let (h, g) = (self.layout.h, self.layout.g);
        let layout = &self.layout.layers[l];
        let (below, here) = self.scratch.layers.split_at_mut(l);
        let layer = &mut here[0];
        let rows = steps.start * n..steps.end * n;
        let bias = &weights.forward[layout.bias.clone()];
        let input = weights.get(&layout.input);
        let u = &mut layer.gates[span(&rows, g)];
        match below.last() {
            None => {
                let enters = self.config.likelihood().input();
                let mut numbers = vec![0.0; enters.numbers()];
                for (i, u) in u.chunks_exact_mut(g).enumerate() {
                    let (window, t) = (&self.windows[i % n], steps.start + i / n);
                    u.copy_from_slice(bias);
                    if numbers.is_empty() {
                        let x = window.inputs.get(t).map_or(0, |&x| x as usize);
                        add(s, u, &input[x * g..][..g]);
                    } else if t < window.rows() {
                        enters.write(window.input(t), &mut numbers);
                        add_weighted(s, u, input, &numbers);
                    }
                    if let Some(at) = self.layout.condition.as_ref().filter(|_| t < window.rows()) {
                        add_weighted_sparse(s, u, weights.get(at), condition(self.config, window, t));
                    }
                }
            }
            Some(below) => {
                u.chunks_exact_mut(g).for_each(|u| u.copy_from_slice(bias));
                let x = Strided::rows(below.output(&rows, n, h), h);
                multiply_with(self.isa, (rows.len(), g, units), u, x, input);
            }
        }
        let recurrent = weights.get(&layout.recurrent);
        for t in steps.clone() {
            let rows = t * n..(t + 1) * n;
            let gates = &mut layer.gates[span(&rows, g)];
            let (old, new) = layer.h[t * n * h..(t + 2) * n * h].split_at_mut(n * h);
            let dims = (n, g, units);
            match &layout.candidate {
                None => {
                    multiply_with(self.isa, dims, gates, Strided::rows(old, h), recurrent);
                    let (old, c) = layer.c[t * n * h..(t + 2) * n * h].split_at_mut(n * h);
                    c.copy_from_slice(old);
                    let rows = gates.chunks_exact_mut(g).zip(c.chunks_exact_mut(h));
                    for ((z, c), h) in rows.zip(new.chunks_exact_mut(h)) {
                        cell::lstm(s, z, c, h);
                    }
                }
                Some(bias) => {
                    let bias = &weights.forward[bias.clone()];
                    let m = &mut layer.recurrent[span(&rows, g)];
                    for m in m.chunks_exact_mut(g) {
                        m[..2 * h].fill(0.0);
                        m[2 * h..].copy_from_slice(bias);
                    }
                    multiply_with(self.isa, dims, m, Strided::rows(old, h), recurrent);
                    new.copy_from_slice(old);
                    let rows = gates.chunks_exact_mut(g).zip(m.chunks_exact(g));
                    for ((z, m), h) in rows.zip(new.chunks_exact_mut(h)) {
                        cell::gru(s, z, m, h);
                    }
                }
            }
        }
        if self.dropout.is_some() {
            let dropped = &mut layer.dropped[span(&rows, h)];
            dropped.copy_from_slice(&layer.h[(rows.start + n) * h..(rows.end + n) * h]);
            masks.lay(l, steps.start, dropped);
        }
    }

    /// The sum of −ln p over the rows of `steps` that count; with `gradient`, its gradient to the head's and to `d_out`.
    #[inline(always)]
    fn head<S: Simd>(&mut self, s: S, steps: Range<usize>, gradient: Option<&mut Aligned>) -> f64 {
        let masks = self.masks();
        let (n, units, likelihood) = (self.windows.len(), self.config.hidden, self.config.likelihood());
        let (h, p) = (self.layout.h, self.layout.p);
        let rows = steps.start * n..steps.end * n;
        let (count, layout) = (rows.len(), self.layout);
        let Scratch { layers, logits, d_out, .. } = &mut *self.scratch;
        let top = layers[layers.len() - 1].output(&rows, n, h);
        broadcast(logits, &self.weights.forward[layout.head_bias.clone()], count);
        let w = self.weights.get(&layout.head);
        multiply_with(self.isa, (count, p, units), logits, Strided::rows(top, h), w);
        let mut nats = 0.0;
        for (i, row) in logits.chunks_exact_mut(p).enumerate() {
            let (w, t) = (&self.windows[i % n], steps.start + i / n);
            if t >= w.warmup && t < w.rows() {
                nats += likelihood.loss_row(s, row, w.target(t), self.scale);
            } else {
                row.fill(0.0);
            }
        }
        let Some(gradient) = gradient else { return nats };
        add_rows(s, &mut gradient[layout.head_bias.clone()], logits);
        let d_head = &mut gradient[layout.head.at.clone()];
        multiply_with(self.isa, (units, p, count), d_head, Strided::transposed(top, h), logits);
        let d_out = &mut d_out[span(&rows, h)];
        d_out.fill(0.0);
        let back = self.weights.transpose(&self.layout.head);
        multiply_with(self.isa, (count, h, p), d_out, Strided::rows(logits, p), back);
        masks.lay(layers.len() - 1, steps.start, d_out);
        nats
    }
}
