//! One window: forward through the layers, the head, and back.

use super::head::{HeadScratch, HeadTile};
use super::padded::Padded;
use super::phase_timer::{Phase, PhaseTimer};
use super::tiles::{TILE, span, tiles};
use crate::condition::Condition;
use crate::families::wavenet::{ConditionConfig, Config};
use crate::fused::padded::{Matrix, Weights};
use crate::fused::rows::add_rows;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{add, add_outer, add_weighted};
use crate::kernels::tile::{Strided, multiply};
use crate::kernels::{Kernel, Simd, math};
use crate::likelihood::Input;
use crate::objective::Window;
use std::ops::Range;

/// Buffers of one window; every value is written before it is read.
#[derive(Default)]
pub struct Scratch {
    /// r_l of each layer [L][T, R]; without a gradient two buffers take turns.
    pub residual: Vec<Vec<f32>>,
    /// tanh(z) and σ(z) of each layer [L][T, 2D]; without a gradient one tile.
    pub halves: Vec<Vec<f32>>,
    /// The skip sum, then its gradient [T, S].
    pub skip: Vec<f32>,
    /// Gradient of the residual stream [T, R].
    pub d_residual: Vec<f32>,
    /// b_l + V_l c per frame, then the gradient of it [N, 2D].
    pub frame_bias: Vec<f32>,
    /// Conditioning frames [N, cond_len].
    pub frames: Vec<f32>,
    /// What the two layers of the frame-rate networks give, run by run; the last is c [N, H].
    pub hidden: Vec<Vec<f32>>,
    /// Gradient of c [N, H].
    pub d_cond: Vec<f32>,
    /// Gradient of what the first layer gives in one run.
    d_hidden: Vec<f32>,
    d_frames: Vec<f32>,
    /// One tile of z [TILE, 2D], h and its gradient [TILE, D].
    pub z: Vec<f32>,
    pub h: Vec<f32>,
    pub d_h: Vec<f32>,
    head: HeadScratch,
    /// Where the time went.
    pub timer: PhaseTimer,
}

impl Scratch {
    /// Bytes that a window of `t` samples takes.
    pub fn bytes(config: &Config, padded: &Padded, t: usize) -> usize {
        let w = padded.widths;
        let t = t.div_ceil(config.bunch);
        let layers = config.dilations.len();
        let rows = layers * (w.r + 2 * w.d) + w.s + w.r;
        let hop = config.condition.as_ref().map_or(t, |c| c.hop / config.bunch);
        let frames = t.div_ceil(hop.max(1)) * (2 * w.d + 2 * w.f + 2 * w.c + 2 * w.h);
        let tile = TILE * (4 * w.d + w.s + 2 * w.a + w.p);
        4 * (t * rows + frames + tile)
    }
}

/// One window's loss and gradient.
pub struct WindowPass<'a> {
    /// Sizes.
    pub config: &'a Config,
    /// Where things stand.
    pub padded: &'a Padded,
    /// The weights.
    pub weights: &'a Weights,
    /// The data.
    pub window: &'a Window,
    /// Weight of one row in the loss's mean.
    pub scale: f32,
    /// The padded gradient to add to; none for the loss alone.
    pub gradient: Option<&'a mut Aligned>,
    /// Whether the products behind the conditioning frames get theirs.
    pub trunk: bool,
    /// Buffers.
    pub scratch: &'a mut Scratch,
}

/// Makes `v` hold `len` values, of any content.
#[inline(always)]
fn size(v: &mut Vec<f32>, len: usize) {
    if v.len() < len {
        // What was in it need not be moved, and growth by doubling would take more than was announced.
        *v = Vec::new();
        v.reserve_exact(len);
        v.resize(len, 0.0);
    }
}

impl Kernel for WindowPass<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) -> f64 {
        let t = self.bunches();
        let w = self.padded.widths;
        self.scratch.timer.start();
        self.size_scratch(t);
        self.embed(s);
        self.frame_network(s);
        self.scratch.timer.mark(Phase::Input);
        let first = self.first_rows();
        for l in 0..self.config.dilations.len() {
            self.layer_forward(s, l, first[l + 1]..t);
        }
        let mut nats = 0.0;
        for rows in tiles(self.warmup()..t) {
            nats += HeadTile {
                config: self.config,
                padded: self.padded,
                weights: self.weights,
                window: self.window,
                scale: self.scale,
                skip: &mut self.scratch.skip[span(&rows, w.s)],
                bunches: rows,
                gradient: self.gradient.as_deref_mut(),
                trunk: self.trunk,
                scratch: &mut self.scratch.head,
                timer: &mut self.scratch.timer,
            }
            .run(s);
        }
        if let Some(gradient) = self.gradient.take() {
            self.scratch.d_residual[..t * w.r].fill(0.0);
            let (frames, _) = self.frame_clock();
            self.scratch.d_cond[..frames * w.c].fill(0.0);
            for l in (0..self.config.dilations.len()).rev() {
                self.layer_backward(s, l, first[l + 1]..t, gradient);
            }
            self.embed_backward(s, gradient);
            self.frame_network_backward(s, gradient);
            self.scratch.timer.mark(Phase::Input);
        }
        nats
    }
}

impl WindowPass<'_> {
    /// Rows of the layers: bunches of the window, the last one perhaps not whole.
    #[inline(always)]
    fn bunches(&self) -> usize {
        self.window.rows().div_ceil(self.config.bunch)
    }

    /// Rows of the layers before the first with a sample in the loss.
    #[inline(always)]
    pub fn warmup(&self) -> usize {
        self.window.warmup / self.config.bunch
    }

    /// Frames of the window, and the rows that one lasts; a model without a condition has one frame for all rows.
    #[inline(always)]
    pub fn frame_clock(&self) -> (usize, usize) {
        let t = self.bunches();
        self.config.condition.as_ref().map_or((1, t), |c| {
            let rows = c.hop / self.config.bunch;
            (t.div_ceil(rows), rows)
        })
    }

    #[inline(always)]
    fn size_scratch(&mut self, t: usize) {
        let (frames, _) = self.frame_clock();
        let Scratch { residual, halves, skip, d_residual, frame_bias, d_cond, z, h, d_h, .. } =
            &mut *self.scratch;
        let w = self.padded.widths;
        let layers = self.config.dilations.len();
        let (residuals, halves_of, rows) = match self.gradient {
            Some(_) => (layers, layers, t),
            None => (2, 1, TILE),
        };
        residual.resize(residual.len().max(residuals), Vec::new());
        halves.resize(halves.len().max(halves_of), Vec::new());
        residual[..residuals].iter_mut().for_each(|v| size(v, t * w.r));
        halves[..halves_of].iter_mut().for_each(|v| size(v, rows * 2 * w.d));
        size(skip, t * w.s);
        size(d_residual, t * w.r);
        size(frame_bias, frames * 2 * w.d);
        size(d_cond, frames * w.c);
        size(z, TILE * 2 * w.d);
        size(h, TILE * w.d);
        size(d_h, TILE * w.d);
    }

    /// The first row of r_l that the loss depends on, for l = 0 … L: a layer computes no row before that of the next.
    #[inline(always)]
    fn first_rows(&self) -> Vec<usize> {
        let mut first = vec![self.warmup(); self.config.dilations.len() + 1];
        for (l, &d) in self.config.dilations.iter().enumerate().rev() {
            first[l] = first[l + 1].saturating_sub((self.config.kernel_size - 1) * d);
        }
        first
    }

    #[inline(always)]
    fn embed<S: Simd>(&mut self, s: S) {
        let (r, config, window) = (self.padded.widths.r, self.config, self.window);
        let (rows, input) = (self.bunches(), config.likelihood().input());
        if let Input::Numbers { count, .. } = input {
            let table = self.weights.get(&self.padded.embed[0]);
            let mut numbers = vec![0.0; count];
            for (n, to) in self.scratch.residual[0].chunks_exact_mut(r).take(rows).enumerate() {
                input.write(window.input(n), &mut numbers);
                to.fill(0.0);
                add_weighted(s, to, table, &numbers);
            }
            return;
        }
        for (lag, place) in self.padded.embed.iter().enumerate() {
            let table = self.weights.get(place);
            let to = self.scratch.residual[0].chunks_exact_mut(r).take(rows);
            for (n, to) in to.enumerate() {
                let row = &table[config.lagged(&window.inputs, n * config.bunch, lag) * r..][..r];
                match lag {
                    0 => to.copy_from_slice(row),
                    _ => add(s, to, row),
                }
            }
        }
    }

    #[inline(always)]
    fn embed_backward<S: Simd>(&mut self, s: S, gradient: &mut Aligned) {
        let (r, config, window) = (self.padded.widths.r, self.config, self.window);
        let (rows, input) = (self.bunches(), config.likelihood().input());
        if let Input::Numbers { count, .. } = input {
            let table = &mut gradient[self.padded.embed[0].at.clone()];
            let mut numbers = vec![0.0; count];
            for (n, from) in self.scratch.d_residual.chunks_exact(r).take(rows).enumerate() {
                input.write(window.input(n), &mut numbers);
                add_outer(s, table, &numbers, from);
            }
            return;
        }
        for (lag, place) in self.padded.embed.iter().enumerate() {
            let table = &mut gradient[place.at.clone()];
            for (n, from) in self.scratch.d_residual.chunks_exact(r).take(rows).enumerate() {
                let x = config.lagged(&window.inputs, n * config.bunch, lag);
                add(s, &mut table[x * r..][..r], from);
            }
        }
    }

    /// The conditioning frames, and from them c.
    #[inline(always)]
    fn frame_network<S: Simd>(&mut self, s: S) {
        let Some(c) = &self.config.condition else { return };
        let w = self.padded.widths;
        let n = self.window.rows().div_ceil(c.hop);
        let Scratch { frames, hidden, .. } = &mut *self.scratch;
        frames.clear();
        frames.resize(n * w.f, 0.0);
        for (i, frame) in frames.chunks_exact_mut(w.f).enumerate() {
            let embedding = match (&self.padded.speakers, self.window.speaker) {
                (Some(table), Some(speaker)) => {
                    &self.weights.get(table)[speaker * table.columns..][..c.speaker_dim]
                }
                _ => &[],
            };
            let frames = if self.window.frames.is_empty() { None } else { self.window.frames.window(i) };
            c.write(&Condition { embedding, frames, ..Condition::default() }, &mut frame[..c.len()]);
        }
        let networks = &self.padded.networks;
        hidden.resize(if networks.is_empty() { 0 } else { 2 }, Vec::new());
        let [inner, out] = &mut hidden[..] else { return };
        inner.clear();
        out.clear();
        for Run { network, rows } in runs(c, frames, w.f) {
            let [first, second] = &networks[network];
            let begin = inner.len();
            let x = Strided::rows(&frames[span(&rows, w.f)], w.f);
            tanh_layer(s, self.weights, first, rows.len(), x, inner);
            let x = Strided::rows(&inner[begin..], first.0.columns);
            tanh_layer(s, self.weights, second, rows.len(), x, out);
        }
    }

    /// From the gradient of c to that of the frame-rate network and the speaker's vector.
    #[inline(always)]
    fn frame_network_backward<S: Simd>(&mut self, s: S, gradient: &mut Aligned) {
        let Some(c) = &self.config.condition else { return };
        let (w, weights, padded) = (self.padded.widths, self.weights, self.padded);
        let n = self.window.rows().div_ceil(c.hop);
        let Scratch { frames, hidden, d_cond, d_hidden, d_frames, .. } = &mut *self.scratch;
        d_frames.clear();
        d_frames.resize(n * w.f, 0.0);
        if let [inner, out] = &hidden[..] {
            let mut begin = 0;
            for Run { network, rows } in runs(c, frames, w.f) {
                let ([(w0, b0), (w1, b1)], n) = (&padded.networks[network], rows.len());
                let (width, wide) = (w1.at.len() / w1.columns, w0.columns);
                let inner = &inner[begin..][..n * wide];
                begin += inner.len();
                let d_cond = &mut d_cond[span(&rows, w.c)];
                d_hidden.clear();
                d_hidden.resize(n * wide, 0.0);
                tanh_backward(s, d_cond, &out[span(&rows, w.c)]);
                add_rows(s, &mut gradient[b1.clone()], d_cond);
                let m = (width, w.c, n);
                multiply(s, m, &mut gradient[w1.at.clone()], Strided::transposed(inner, wide), d_cond);
                let back = weights.transpose(w1);
                multiply(s, (n, wide, w.c), d_hidden, Strided::rows(d_cond, w.c), back);
                tanh_backward(s, d_hidden, inner);
                add_rows(s, &mut gradient[b0.clone()], d_hidden);
                let m = (c.len(), wide, n);
                let frames = Strided::transposed(&frames[span(&rows, w.f)], w.f);
                multiply(s, m, &mut gradient[w0.at.clone()], frames, d_hidden);
                let back = weights.transpose(w0);
                let d_frames = &mut d_frames[span(&rows, w.f)];
                multiply(s, (n, w.f, wide), d_frames, Strided::rows(d_hidden, wide), back);
            }
        } else {
            d_frames.copy_from_slice(&d_cond[..n * w.f]);
        }
        if let (Some(table), Some(speaker)) = (&padded.speakers, self.window.speaker) {
            let row = table.at.start + speaker * table.columns;
            for frame in d_frames.chunks_exact(w.f) {
                let vector = &mut gradient[row..row + c.speaker_dim];
                for (g, &d) in vector.iter_mut().zip(frame) {
                    *g += d;
                }
            }
        }
    }
}

/// Frames in a row that one frame-rate network reads.
struct Run {
    network: usize,
    rows: Range<usize>,
}

/// The runs of `frames`, rows of `width` values.
fn runs<'a>(c: &'a ConditionConfig, frames: &'a [f32], width: usize) -> impl Iterator<Item = Run> + 'a {
    let network = move |frame: usize| c.network(&frames[frame * width..][..c.len()]);
    let (mut begin, n) = (0, frames.len() / width);
    std::iter::from_fn(move || {
        let first = (begin < n).then(|| network(begin))?;
        let end = (begin..n).find(|&i| network(i) != first).unwrap_or(n);
        let rows = std::mem::replace(&mut begin, end)..end;
        Some(Run { network: first, rows })
    })
}

/// Adds tanh(x W + b) of `n` rows to the end of `out`.
#[inline(always)]
fn tanh_layer<S: Simd>(
    s: S,
    weights: &Weights,
    (weight, bias): &(Matrix, Range<usize>),
    n: usize,
    x: Strided,
    out: &mut Vec<f32>,
) {
    let (begin, width) = (out.len(), weight.columns);
    for _ in 0..n {
        out.extend_from_slice(&weights.forward[bias.clone()]);
    }
    let out = &mut out[begin..];
    multiply(s, (n, width, weight.at.len() / width), out, x, weights.get(weight));
    for v in out.chunks_exact_mut(S::LANES) {
        s.store(v, math::tanh(s, s.load(v)));
    }
}

/// gradient ·= 1 − y².
#[inline(always)]
fn tanh_backward<S: Simd>(s: S, gradient: &mut [f32], y: &[f32]) {
    for (g, y) in gradient.chunks_exact_mut(S::LANES).zip(y.chunks_exact(S::LANES)) {
        let y = s.load(y);
        s.store(g, s.mul(s.load(g), s.sub(s.splat(1.0), s.mul(y, y))));
    }
}
