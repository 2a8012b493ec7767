//! One gated dilated layer, forward and back, tile by tile.

use super::padded::LayerLayout;
use super::phase_timer::Phase;
use super::tiles::{span, tiles};
use super::window::WindowPass;
use crate::families::wavenet::Config;
use crate::fused::rows::{add_rows, gates, gates_backward};
use crate::kernels::Simd;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::add;
use crate::kernels::tile::{Strided, multiply};
use std::ops::Range;

impl WindowPass<'_> {
    /// Rows `rows` of r_{l+1}, and their share of the skip sum.
    #[inline(always)]
    pub fn layer_forward<S: Simd>(&mut self, s: S, l: usize, rows: Range<usize>) {
        let (w, weights, config) = (self.padded.widths, self.weights, self.config);
        let layout = &self.padded.layers[l];
        let warmup = self.warmup();
        let g = 2 * w.d;
        let (frames, hop) = self.frame_clock();
        let scratch = &mut *self.scratch;
        let bias = &mut scratch.frame_bias;
        broadcast_into(bias, &weights.forward[layout.gate_bias.clone()], frames);
        if let Some(v) = &layout.cond {
            let c = scratch.hidden.last().unwrap_or(&scratch.frames);
            let (inputs, a) = (v.at.len() / g, Strided::rows(c, w.c));
            multiply(s, (frames, g, inputs), bias, a, weights.get(v));
        }
        scratch.timer.mark(Phase::Input);
        // Kept layer by layer for the backward; where there is none, two buffers take turns.
        let keep = self.gradient.is_some();
        let (here, there) = if keep { (l, l + 1) } else { (l % 2, (l + 1) % 2) };
        let mut after = scratch.residual.get_mut(there).map(std::mem::take).unwrap_or_default();
        let x = &scratch.residual[here][..];
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
                multiply(s, m, z, a, weights.get(&layout.gate[tap]));
            }
            scratch.timer.mark(Phase::Gate);
            let halves = match keep {
                true => &mut scratch.halves[l][span(&rows, g)],
                false => &mut scratch.halves[0][..n * g],
            };
            let h = &mut scratch.h[..n * w.d];
            gates(s, w.d, z, halves, h);
            scratch.timer.mark(Phase::Activation);
            if let Some((weight, bias)) = &layout.residual {
                let next = &mut after[span(&rows, w.r)];
                let bias = &weights.forward[bias.clone()];
                for (next, x) in next.chunks_exact_mut(w.r).zip(x[span(&rows, w.r)].chunks_exact(w.r)) {
                    next.copy_from_slice(x);
                    add(s, next, bias);
                }
                let m = (n, w.r, config.gate_channels);
                multiply(s, m, next, Strided::rows(h, w.d), weights.get(weight));
            }
            let in_loss = rows.start.max(warmup)..rows.end;
            if !in_loss.is_empty() {
                let skip = &mut scratch.skip[span(&in_loss, w.s)];
                if l == 0 {
                    broadcast_into(skip, &weights.forward[self.padded.skip_bias.clone()], in_loss.len());
                }
                let h = Strided::rows(&h[(in_loss.start - rows.start) * w.d..], w.d);
                let m = (in_loss.len(), w.s, config.gate_channels);
                multiply(s, m, skip, h, weights.get(&layout.skip));
            }
            scratch.timer.mark(Phase::Out);
        }
        if let Some(place) = scratch.residual.get_mut(there) {
            *place = after;
        }
    }

    /// From the gradients of r_{l+1} and of the skip sum to those of r_l and of the layer's weights.
    #[inline(always)]
    pub fn layer_backward<S: Simd>(&mut self, s: S, l: usize, rows: Range<usize>, gradient: &mut Aligned) {
        let (w, weights, config, padded) = (self.padded.widths, self.weights, self.config, self.padded);
        let layout: &LayerLayout = &padded.layers[l];
        let warmup = self.warmup();
        let (g, d, trunk) = (2 * w.d, config.gate_channels, self.trunk);
        let (frames, hop) = self.frame_clock();
        let scratch = &mut *self.scratch;
        scratch.frame_bias[..frames * g].fill(0.0);
        let x = &scratch.residual[l][..];
        let skip_back = weights.transpose(&layout.skip);
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
            scratch.timer.mark(Phase::ActivationBack);
            if let Some((weight, bias)) = &layout.residual {
                let d_x = &scratch.d_residual[span(&rows, w.r)];
                let back = weights.transpose(weight);
                multiply(s, (n, w.d, w.r), d_h, Strided::rows(d_x, w.r), back);
                scratch.timer.mark(Phase::OutBack);
                if trunk {
                    let h = Strided::transposed(h, w.d);
                    multiply(s, (d, w.r, n), &mut gradient[weight.at.clone()], h, d_x);
                    add_rows(s, &mut gradient[bias.clone()], d_x);
                    scratch.timer.mark(Phase::Weights);
                }
            }
            let in_loss = rows.start.max(warmup)..rows.end;
            if !in_loss.is_empty() {
                let d_skip = &scratch.skip[span(&in_loss, w.s)];
                let at = (in_loss.start - rows.start) * w.d;
                let m = (in_loss.len(), w.d, w.s);
                multiply(s, m, &mut d_h[at..], Strided::rows(d_skip, w.s), skip_back);
                scratch.timer.mark(Phase::OutBack);
                if trunk {
                    let h = Strided::transposed(&h[at..], w.d);
                    let m = (d, w.s, in_loss.len());
                    multiply(s, m, &mut gradient[layout.skip.at.clone()], h, d_skip);
                    scratch.timer.mark(Phase::Weights);
                }
            }
            let d_z = &mut scratch.z[..n * g];
            gates_backward(s, w.d, d_h, halves, d_z);
            for (d_z, t) in d_z.chunks_exact(g).zip(rows.clone()) {
                add(s, &mut scratch.frame_bias[t / hop * g..][..g], d_z);
            }
            scratch.timer.mark(Phase::ActivationBack);
            for (from, to, tap) in taps(config, l, &rows) {
                let (d_z, count) = (&d_z[(to - rows.start) * g..], rows.end - to);
                let place = &layout.gate[tap];
                if trunk {
                    let past = Strided::transposed(&x[from * w.r..], w.r);
                    let m = (config.residual_channels, g, count);
                    multiply(s, m, &mut gradient[place.at.clone()], past, d_z);
                    scratch.timer.mark(Phase::Weights);
                }
                // Rows at or before this tile: their own use of this gradient is behind us.
                let d_x = &mut scratch.d_residual[from * w.r..(from + count) * w.r];
                let back = weights.transpose(place);
                multiply(s, (count, w.r, g), d_x, Strided::rows(d_z, g), back);
                scratch.timer.mark(Phase::GateBack);
            }
        }
        let d_bias = &scratch.frame_bias[..frames * g];
        add_rows(s, &mut gradient[layout.gate_bias.clone()], d_bias);
        if let Some(v) = &layout.cond {
            let c = scratch.hidden.last().unwrap_or(&scratch.frames);
            let m = (v.at.len() / g, g, frames);
            multiply(s, m, &mut gradient[v.at.clone()], Strided::transposed(c, w.c), d_bias);
            let back = weights.transpose(v);
            multiply(s, (frames, w.c, g), &mut scratch.d_cond, Strided::rows(d_bias, g), back);
        }
        scratch.timer.mark(Phase::Input);
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
