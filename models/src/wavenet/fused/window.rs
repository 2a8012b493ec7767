//! One window: forward through the layers, the head, and back.

use super::TILE;
use super::head::{HeadScratch, HeadTile};
use super::padded::{LayerPlaces, Padded, Weights};
use crate::fused::rows::{add, add_rows, broadcast};
use crate::kernels::aligned::Aligned;
use crate::kernels::tile::{Strided, multiply};
use crate::kernels::{Kernel, Simd, math};
use crate::objective::Window;
use crate::wavenet::Config;
use std::ops::Range;

/// Buffers of one window; every value is written before it is read.
#[derive(Default)]
pub struct Scratch {
    /// r_l of each layer [L][T, R].
    residual: Vec<Vec<f32>>,
    /// tanh(z) and σ(z) of each layer [L][T, 2D].
    halves: Vec<Vec<f32>>,
    /// The skip sum, then its gradient [T, S].
    skip: Vec<f32>,
    /// Gradient of the residual stream [T, R].
    d_residual: Vec<f32>,
    /// b_l + V_l c per frame, then the gradient of it [N, 2D].
    frame_bias: Vec<f32>,
    /// Conditioning frames [N, cond_len].
    frames: Vec<f32>,
    /// The frame-rate network's outputs; the last one is c [N, H].
    hidden: Vec<Vec<f32>>,
    /// Gradient of c, and of the network's first output [N, H].
    d_cond: Vec<f32>,
    d_hidden: Vec<f32>,
    d_frames: Vec<f32>,
    /// One tile of z [TILE, 2D], h and its gradient [TILE, D].
    z: Vec<f32>,
    h: Vec<f32>,
    d_h: Vec<f32>,
    head: HeadScratch,
}

impl Scratch {
    /// Bytes that a window of `t` rows takes.
    pub fn bytes(config: &Config, padded: &Padded, t: usize) -> usize {
        let w = padded.widths;
        let layers = config.dilations.len();
        let rows = layers * (w.r + 2 * w.d) + w.s + w.r;
        let hop = config.condition.as_ref().map_or(t, |c| c.hop);
        let frames = t.div_ceil(hop.max(1)) * (2 * w.d + w.f + 4 * w.c);
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
    /// Buffers.
    pub scratch: &'a mut Scratch,
}

/// Tiles of the rows `rows`.
#[inline(always)]
fn tiles(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(TILE).map(move |t| t..end.min(t + TILE))
}

/// Rows `r` of a buffer whose rows have `width` values.
#[inline(always)]
fn span(r: &Range<usize>, width: usize) -> Range<usize> {
    r.start * width..r.end * width
}

/// Makes `v` hold `len` values, of any content.
#[inline(always)]
fn size(v: &mut Vec<f32>, len: usize) {
    if v.len() < len {
        v.resize(len, 0.0);
    }
}

impl Kernel for WindowPass<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) -> f64 {
        let t = self.window.inputs.len();
        let w = self.padded.widths;
        self.size_scratch(t);
        self.embed();
        self.frame_network(s);
        let first = self.first_rows();
        for l in 0..self.config.dilations.len() {
            self.layer_forward(s, l, first[l + 1]..t);
        }
        let mut nats = 0.0;
        for rows in tiles(self.window.warmup..t) {
            nats += HeadTile {
                padded: self.padded,
                weights: self.weights,
                targets: &self.window.targets[rows.clone()],
                classes: self.config.classes,
                scale: self.scale,
                skip: &mut self.scratch.skip[span(&rows, w.s)],
                gradient: self.gradient.as_deref_mut(),
                scratch: &mut self.scratch.head,
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
        }
        nats
    }
}

impl WindowPass<'_> {
    /// Frames of the window, and the rows that one lasts; a model without a condition has one frame for all rows.
    #[inline(always)]
    fn frame_clock(&self) -> (usize, usize) {
        let t = self.window.inputs.len();
        self.config.condition.as_ref().map_or((1, t), |c| (t.div_ceil(c.hop), c.hop))
    }

    #[inline(always)]
    fn size_scratch(&mut self, t: usize) {
        let (frames, _) = self.frame_clock();
        let Scratch { residual, halves, skip, d_residual, frame_bias, d_cond, z, h, d_h, .. } =
            &mut *self.scratch;
        let w = self.padded.widths;
        let layers = self.config.dilations.len();
        residual.resize(layers, Vec::new());
        halves.resize(layers, Vec::new());
        residual.iter_mut().for_each(|v| size(v, t * w.r));
        halves.iter_mut().for_each(|v| size(v, t * 2 * w.d));
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
        let mut first = vec![self.window.warmup; self.config.dilations.len() + 1];
        for (l, &d) in self.config.dilations.iter().enumerate().rev() {
            first[l] = first[l + 1].saturating_sub((self.config.kernel_size - 1) * d);
        }
        first
    }

    #[inline(always)]
    fn embed(&mut self) {
        let r = self.padded.widths.r;
        let table = self.weights.get(&self.padded.embed);
        let to = self.scratch.residual[0].chunks_exact_mut(r);
        for (to, &x) in to.zip(&self.window.inputs) {
            to.copy_from_slice(&table[x as usize * r..][..r]);
        }
    }

    #[inline(always)]
    fn embed_backward<S: Simd>(&mut self, s: S, gradient: &mut Aligned) {
        let r = self.padded.widths.r;
        let table = &mut gradient[self.padded.embed.at.clone()];
        let from = self.scratch.d_residual.chunks_exact(r);
        for (from, &x) in from.zip(&self.window.inputs) {
            add(s, &mut table[x as usize * r..][..r], from);
        }
    }

    /// The conditioning frames, and from them c.
    #[inline(always)]
    fn frame_network<S: Simd>(&mut self, s: S) {
        let Some(c) = &self.config.condition else { return };
        let w = self.padded.widths;
        let n = self.window.inputs.len().div_ceil(c.hop);
        let Scratch { frames, hidden, .. } = &mut *self.scratch;
        frames.clear();
        frames.resize(n * w.f, 0.0);
        for (i, frame) in frames.chunks_exact_mut(w.f).enumerate() {
            if let (Some(table), Some(speaker)) = (&self.padded.speakers, self.window.speaker) {
                let row = &self.weights.get(table)[speaker * table.columns..][..c.speaker_dim];
                frame[..c.speaker_dim].copy_from_slice(row);
            }
            let local = c.local_len();
            frame[c.speaker_dim..][..local].copy_from_slice(&self.window.frames[i * local..][..local]);
        }
        hidden.resize(self.padded.hidden.len(), Vec::new());
        for (i, (weight, bias)) in self.padded.hidden.iter().enumerate() {
            let (before, here) = hidden.split_at_mut(i);
            let (input, width) = before.last().map_or((&frames[..], w.f), |h| (&h[..], w.c));
            let out = &mut here[0];
            broadcast(out, &self.weights.forward[bias.clone()], n);
            let inputs = weight.at.len() / w.c;
            multiply(s, (n, w.c, inputs), out, Strided::rows(input, width), self.weights.get(weight));
            for v in out.chunks_exact_mut(S::LANES) {
                s.store(v, math::tanh(s, s.load(v)));
            }
        }
    }

    /// From the gradient of c to that of the frame-rate network and the speaker's vector.
    #[inline(always)]
    fn frame_network_backward<S: Simd>(&mut self, s: S, gradient: &mut Aligned) {
        let Some(c) = &self.config.condition else { return };
        let (w, weights, padded) = (self.padded.widths, self.weights, self.padded);
        let n = self.window.inputs.len().div_ceil(c.hop);
        let Scratch { frames, hidden, d_cond, d_hidden, d_frames, .. } = &mut *self.scratch;
        d_frames.clear();
        d_frames.resize(n * w.f, 0.0);
        if let [(w0, b0), (w1, b1)] = &padded.hidden[..] {
            let d_cond = &mut d_cond[..n * w.c];
            d_hidden.clear();
            d_hidden.resize(n * w.c, 0.0);
            tanh_backward(s, d_cond, &hidden[1]);
            add_rows(s, &mut gradient[b1.clone()], d_cond);
            let m = (c.hidden, w.c, n);
            multiply(s, m, &mut gradient[w1.at.clone()], Strided::transposed(&hidden[0], w.c), d_cond);
            let back = weights.transpose(padded, w1);
            multiply(s, (n, w.c, w.c), d_hidden, Strided::rows(d_cond, w.c), back);
            tanh_backward(s, d_hidden, &hidden[0]);
            add_rows(s, &mut gradient[b0.clone()], d_hidden);
            let m = (c.len(), w.c, n);
            multiply(s, m, &mut gradient[w0.at.clone()], Strided::transposed(frames, w.f), d_hidden);
            let back = weights.transpose(padded, w0);
            multiply(s, (n, w.f, w.c), d_frames, Strided::rows(d_hidden, w.c), back);
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

    #[inline(always)]
    fn layer_forward<S: Simd>(&mut self, s: S, l: usize, rows: Range<usize>) {
        let (w, weights, config) = (self.padded.widths, self.weights, self.config);
        let places = &self.padded.layers[l];
        let warmup = self.window.warmup;
        let g = 2 * w.d;
        let (frames, hop) = self.frame_clock();
        let scratch = &mut *self.scratch;
        let bias = &mut scratch.frame_bias;
        broadcast_into(bias, &weights.forward[places.gate_bias.clone()], frames);
        if let Some(v) = &places.cond {
            let c = scratch.hidden.last().unwrap_or(&scratch.frames);
            let (inputs, a) = (v.at.len() / g, Strided::rows(c, w.c));
            multiply(s, (frames, g, inputs), bias, a, weights.get(v));
        }
        let (before, after) = scratch.residual.split_at_mut(l + 1);
        let x = &before[l][..];
        for rows in tiles(rows) {
            let n = rows.len();
            let z = &mut scratch.z[..n * g];
            for (z, t) in z.chunks_exact_mut(g).zip(rows.clone()) {
                z.copy_from_slice(&scratch.frame_bias[t / hop * g..][..g]);
            }
            for (from, to, tap) in taps(config, l, &rows) {
                let a = Strided::rows(&x[from * w.r..], w.r);
                let m = (rows.end - to, g, config.residual_channels);
                let z = &mut z[(to - rows.start) * g..];
                multiply(s, m, z, a, weights.get(&places.gate[tap]));
            }
            let halves = &mut scratch.halves[l][span(&rows, g)];
            let h = &mut scratch.h[..n * w.d];
            gates(s, w.d, z, halves, h);
            if let Some((weight, bias)) = &places.residual {
                let next = &mut after[0][span(&rows, w.r)];
                let bias = &weights.forward[bias.clone()];
                for (next, x) in next.chunks_exact_mut(w.r).zip(x[span(&rows, w.r)].chunks_exact(w.r)) {
                    next.copy_from_slice(x);
                    add(s, next, bias);
                }
                let m = (n, w.r, config.gate_channels);
                multiply(s, m, next, Strided::rows(h, w.d), weights.get(weight));
            }
            let heard = rows.start.max(warmup)..rows.end;
            if !heard.is_empty() {
                let skip = &mut scratch.skip[span(&heard, w.s)];
                if l == 0 {
                    broadcast_into(skip, &weights.forward[self.padded.skip_bias.clone()], heard.len());
                }
                let h = Strided::rows(&h[(heard.start - rows.start) * w.d..], w.d);
                let m = (heard.len(), w.s, config.gate_channels);
                multiply(s, m, skip, h, weights.get(&places.skip));
            }
        }
    }

    #[inline(always)]
    fn layer_backward<S: Simd>(&mut self, s: S, l: usize, rows: Range<usize>, gradient: &mut Aligned) {
        let (w, weights, config, padded) = (self.padded.widths, self.weights, self.config, self.padded);
        let places: &LayerPlaces = &padded.layers[l];
        let warmup = self.window.warmup;
        let (g, d) = (2 * w.d, config.gate_channels);
        let (frames, hop) = self.frame_clock();
        let scratch = &mut *self.scratch;
        scratch.frame_bias[..frames * g].fill(0.0);
        let x = &scratch.residual[l][..];
        let skip_back = weights.transpose(padded, &places.skip);
        for rows in tiles(rows) {
            let n = rows.len();
            let halves = &scratch.halves[l][span(&rows, g)];
            let (h, d_h) = (&mut scratch.h[..n * w.d], &mut scratch.d_h[..n * w.d]);
            d_h.fill(0.0);
            for (h, halves) in h.chunks_exact_mut(w.d).zip(halves.chunks_exact(g)) {
                for i in (0..w.d).step_by(S::LANES) {
                    s.store(&mut h[i..], s.mul(s.load(&halves[i..]), s.load(&halves[w.d + i..])));
                }
            }
            if let Some((weight, bias)) = &places.residual {
                let d_x = &scratch.d_residual[span(&rows, w.r)];
                let back = weights.transpose(padded, weight);
                multiply(s, (n, w.d, w.r), d_h, Strided::rows(d_x, w.r), back);
                let h = Strided::transposed(h, w.d);
                multiply(s, (d, w.r, n), &mut gradient[weight.at.clone()], h, d_x);
                add_rows(s, &mut gradient[bias.clone()], d_x);
            }
            let heard = rows.start.max(warmup)..rows.end;
            if !heard.is_empty() {
                let d_skip = &scratch.skip[span(&heard, w.s)];
                let at = (heard.start - rows.start) * w.d;
                let m = (heard.len(), w.d, w.s);
                multiply(s, m, &mut d_h[at..], Strided::rows(d_skip, w.s), skip_back);
                let h = Strided::transposed(&h[at..], w.d);
                let m = (d, w.s, heard.len());
                multiply(s, m, &mut gradient[places.skip.at.clone()], h, d_skip);
            }
            let d_z = &mut scratch.z[..n * g];
            gates_backward(s, w.d, d_h, halves, d_z);
            for (d_z, t) in d_z.chunks_exact(g).zip(rows.clone()) {
                add(s, &mut scratch.frame_bias[t / hop * g..][..g], d_z);
            }
            for (from, to, tap) in taps(config, l, &rows) {
                let (d_z, count) = (&d_z[(to - rows.start) * g..], rows.end - to);
                let place = &places.gate[tap];
                let past = Strided::transposed(&x[from * w.r..], w.r);
                let m = (config.residual_channels, g, count);
                multiply(s, m, &mut gradient[place.at.clone()], past, d_z);
                // Rows at or before this tile: their own use of this gradient is behind us.
                let d_x = &mut scratch.d_residual[from * w.r..(from + count) * w.r];
                let back = weights.transpose(padded, place);
                multiply(s, (count, w.r, g), d_x, Strided::rows(d_z, g), back);
            }
        }
        let d_bias = &scratch.frame_bias[..frames * g];
        add_rows(s, &mut gradient[places.gate_bias.clone()], d_bias);
        if let Some(v) = &places.cond {
            let c = scratch.hidden.last().unwrap_or(&scratch.frames);
            let m = (v.at.len() / g, g, frames);
            multiply(s, m, &mut gradient[v.at.clone()], Strided::transposed(c, w.c), d_bias);
            let back = weights.transpose(padded, v);
            multiply(s, (frames, w.c, g), &mut scratch.d_cond, Strided::rows(d_bias, g), back);
        }
    }
}

/// For each tap: the row that the first reading row reads, that reading row, and the tap. Rows before the window's
/// start are zero and read nothing.
#[inline(always)]
fn taps(config: &Config, l: usize, rows: &Range<usize>) -> impl Iterator<Item = (usize, usize, usize)> {
    let (k, d, rows) = (config.kernel_size, config.dilations[l], rows.clone());
    (0..k).filter_map(move |tap| {
        let back = (k - 1 - tap) * d;
        let to = rows.start.max(back);
        (to < rows.end).then(|| (to - back, to, tap))
    })
}

/// `n` copies of `row` at the front of `to`.
#[inline(always)]
fn broadcast_into(to: &mut [f32], row: &[f32], n: usize) {
    for to in to.chunks_exact_mut(row.len()).take(n) {
        to.copy_from_slice(row);
    }
}

/// tanh and σ of z, and their product h.
#[inline(always)]
fn gates<S: Simd>(s: S, d: usize, z: &[f32], halves: &mut [f32], h: &mut [f32]) {
    let rows = z.chunks_exact(2 * d).zip(halves.chunks_exact_mut(2 * d));
    for ((z, halves), h) in rows.zip(h.chunks_exact_mut(d)) {
        for i in (0..d).step_by(S::LANES) {
            let (a, b) = math::tanh_sigmoid(s, s.load(&z[i..]), s.load(&z[d + i..]));
            s.store(&mut halves[i..], a);
            s.store(&mut halves[d + i..], b);
            s.store(&mut h[i..], s.mul(a, b));
        }
    }
}

/// Gradient of z: dh·σ·(1 − tanh²) and dh·tanh·σ·(1 − σ).
#[inline(always)]
fn gates_backward<S: Simd>(s: S, d: usize, d_h: &[f32], halves: &[f32], d_z: &mut [f32]) {
    let one = s.splat(1.0);
    let rows = d_h.chunks_exact(d).zip(halves.chunks_exact(2 * d));
    for ((d_h, halves), d_z) in rows.zip(d_z.chunks_exact_mut(2 * d)) {
        for i in (0..d).step_by(S::LANES) {
            let (a, b, dh) = (s.load(&halves[i..]), s.load(&halves[d + i..]), s.load(&d_h[i..]));
            let filter = s.mul(s.mul(dh, b), s.sub(one, s.mul(a, a)));
            let gate = s.mul(s.mul(dh, a), s.mul(b, s.sub(one, b)));
            s.store(&mut d_z[i..], filter);
            s.store(&mut d_z[d + i..], gate);
        }
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
