//! One layer, forward and back, tile by tile.

use super::image::{ImagePass, Scratch, Tape, TileScratch, span, tiles};
use super::parameter_layout::{ParameterLayout, StackLayout};
use crate::dropout::Dropout;
use crate::families::pixel_cnn::gather::{gather, scatter};
use crate::families::pixel_cnn::geometry::{Stack, Taps};
use crate::fused::padded::{Matrix, Weights};
use crate::fused::rows::{add_rows, gates, gates_backward};
use crate::kernels::Simd;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{add, fill};
use crate::kernels::tile::{Strided, multiply, multiply_within};
use std::ops::Range;

/// Inputs that a product over taps takes at a time: of more, a block of the weights would not stay in the L1.
const INPUTS: usize = 192;

/// What a stack reads in a layer: the rows of the layer below.
#[derive(Clone, Copy)]
struct Below<'a> {
    taps: &'a Taps,
    stack: &'a StackLayout,
    /// Values of a tap.
    each: usize,
    /// Width of the rows that are read, and of those of the gradient.
    width: usize,
}

impl Below<'_> {
    /// What the taps of `rows` read, side by side.
    #[inline(always)]
    fn read<S: Simd>(self, s: S, rows: Range<usize>, from: &[f32], to: &mut [f32]) {
        let mut at = 0;
        for t in rows {
            gather(s, self.taps.of(t), self.each, (from, self.width), |u| u, &mut to[at..]);
            at += self.stack.taps;
        }
    }

    /// sums += what the taps of `rows` read, times the weights.
    #[inline(always)]
    fn forward<S: Simd>(
        self,
        s: S,
        rows: Range<usize>,
        weights: &Weights,
        from: &[f32],
        taps: &mut [f32],
        sums: &mut [f32],
    ) {
        let Some(w) = &self.stack.weight else { return };
        let n = rows.len();
        self.read(s, rows, from, taps);
        let (all, w_rows) = (self.stack.taps, weights.get(w));
        for from in (0..all).step_by(INPUTS) {
            let dims = (n, w.columns, INPUTS.min(all - from));
            multiply(s, dims, sums, Strided::rows(&taps[from..], all), &w_rows[from * w.columns..]);
        }
    }

    /// From the gradient of the sums to that of the weights and of what was read.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "a loop's body, cut out")]
    fn backward<S: Simd>(
        self,
        s: S,
        rows: Range<usize>,
        weights: &Weights,
        (from, d_from): (&[f32], &mut [f32]),
        (taps, d_taps): (&mut [f32], &mut [f32]),
        d_sums: &[f32],
        gradient: &mut Aligned,
    ) {
        let Some(w) = &self.stack.weight else { return };
        let (n, StackLayout { taps: inputs, taps_padded, .. }) = (rows.len(), self.stack);
        self.read(s, rows.clone(), from, taps);
        let m = (*inputs, w.columns, n);
        multiply(s, m, &mut gradient[w.at.clone()], Strided::transposed(taps, *inputs), d_sums);
        d_taps[..n * taps_padded].fill(0.0);
        let m = (n, *taps_padded, w.columns);
        multiply(s, m, d_taps, Strided::rows(d_sums, w.columns), weights.transpose(w));
        let mut at = 0;
        for t in rows {
            scatter(s, self.taps.of(t), self.each, &d_taps[at..], (&mut *d_from, self.width));
            at += taps_padded;
        }
    }
}

impl ImagePass<'_> {
    #[inline(always)]
    fn below(&self, stack: Stack, l: usize) -> Below<'_> {
        Below {
            taps: self.geometry.taps(stack, l),
            stack: &self.layout.layers[l].stacks[stack as usize],
            each: self.config.inputs(l),
            width: if l == 0 { self.layout.e } else { self.layout.c },
        }
    }

    /// v_{l+1} and h_{l+1} of all rows.
    #[inline(always)]
    pub fn layer_forward<S: Simd>(&mut self, s: S, l: usize) {
        let (v, t, last) = (self.vertical_rows(), self.window.rows(), l + 1 == self.config.layers);
        let (weights, channels, c) = (self.weights, self.config.channels, self.layout.c);
        let (g, masks, class, layout) = (2 * c, self.masks, self.window.class, self.layout);
        let layer = &layout.layers[l];
        let mut scratch = std::mem::take(&mut *self.scratch);
        let [vertical, horizontal] = Stack::BOTH.map(|stack| self.below(stack, l));
        let Scratch { tapes, tile, .. } = &mut scratch;
        let TileScratch { taps, sums, gated, bias, .. } = tile;
        for (bias, stack) in bias.iter_mut().zip(&layer.stacks) {
            bias[..g].copy_from_slice(&weights.forward[stack.bias.clone()]);
            if let (Some(table), Some(class)) = (&stack.class, class) {
                add(s, &mut bias[..g], &weights.get(table)[class * g..][..g]);
            }
        }
        let (here, above) = tapes.split_at_mut(l + 1);
        let Tape { vertical: v_l, horizontal: h_l, before, vertical_halves, horizontal_halves } =
            &mut here[l];
        let above = &mut above[0];
        for rows in tiles(0..v) {
            let a = &mut before[span(&rows, g)];
            fill(s, a, &bias[0][..g]);
            vertical.forward(s, rows.clone(), weights, v_l, taps, a);
            if !last {
                let next = &mut above.vertical[span(&rows, c)];
                gates(s, c, a, &mut vertical_halves[span(&rows, g)], next);
                if l > 0 {
                    add(s, next, &v_l[span(&rows, c)]);
                }
            }
            let rows = rows.start..rows.end.min(t);
            if rows.is_empty() {
                continue;
            }
            let (n, a) = (rows.len(), &before[span(&rows, g)]);
            let z = &mut sums[..n * g];
            fill(s, z, &bias[1][..g]);
            for (i, part) in layer.between.iter().enumerate() {
                let a = Strided::rows(&a[i * c..], g);
                multiply(s, (n, g, part.at.len() / g), z, a, weights.get(part));
            }
            let from = if l == 0 { &*v_l } else { &*h_l };
            horizontal.forward(s, rows.clone(), weights, from, taps, z);
            let o = &mut gated[..n * c];
            gates(s, c, z, &mut horizontal_halves[span(&rows, g)], o);
            lay(masks, l, rows.start, o, c);
            let next = &mut above.horizontal[span(&rows, c)];
            fill(s, next, &weights.forward[layer.residual_bias.clone()]);
            if l > 0 {
                add(s, next, &h_l[span(&rows, c)]);
            }
            multiply(s, (n, c, channels), next, Strided::rows(o, c), weights.get(&layer.residual));
        }
        *self.scratch = scratch;
    }

    /// From the gradients of v_{l+1} and h_{l+1} to those of v_l and h_l, of the first layer to that of the pixels, and to
    /// those of the layer's weights.
    #[inline(always)]
    pub fn layer_backward<S: Simd>(&mut self, s: S, l: usize, gradient: &mut Aligned) {
        let (v, t, last) = (self.vertical_rows(), self.window.rows(), l + 1 == self.config.layers);
        let (weights, channels, c) = (self.weights, self.config.channels, self.layout.c);
        let (g, masks, class, layout) = (2 * c, self.masks, self.window.class, self.layout);
        let layer = &layout.layers[l];
        let mut scratch = std::mem::take(&mut *self.scratch);
        let [vertical, horizontal] = Stack::BOTH.map(|stack| self.below(stack, l));
        let Scratch { tapes, d_vertical, d_horizontal, d_pixels, tile, .. } = &mut scratch;
        let TileScratch { taps, d_taps, sums, d_before, gated, d_gated, bias } = tile;
        bias.iter_mut().for_each(|b| b[..g].fill(0.0));
        let Tape { vertical: v_l, horizontal: h_l, before, vertical_halves, horizontal_halves } = &tapes[l];
        let ([d_v, d_v_l], [d_h, d_h_l]) = (&mut *d_vertical, &mut *d_horizontal);
        // Both sums pass the gradient on as it is.
        match l {
            0 => d_pixels[..v * layout.e].fill(0.0),
            _ => {
                d_h_l[..t * c].copy_from_slice(&d_h[..t * c]);
                match last {
                    true => d_v_l[..v * c].fill(0.0),
                    false => d_v_l[..v * c].copy_from_slice(&d_v[..v * c]),
                }
            }
        }
        for rows in tiles(0..v) {
            let n = rows.len();
            let d_a = &mut d_before[..n * g];
            match last {
                true => d_a.fill(0.0),
                false => gates_backward(s, c, &d_v[span(&rows, c)], &vertical_halves[span(&rows, g)], d_a),
            }
            let in_loss = rows.start..rows.end.min(t);
            if !in_loss.is_empty() {
                let (n, d_h) = (in_loss.len(), &d_h[span(&in_loss, c)]);
                let halves = &horizontal_halves[span(&in_loss, g)];
                let (o, d_o, d_z) = (&mut gated[..n * c], &mut d_gated[..n * c], &mut sums[..n * g]);
                for (o, halves) in o.chunks_exact_mut(c).zip(halves.chunks_exact(g)) {
                    for i in (0..c).step_by(S::LANES) {
                        s.store(&mut o[i..], s.mul(s.load(&halves[i..]), s.load(&halves[c + i..])));
                    }
                }
                lay(masks, l, in_loss.start, o, c);
                let d_residual = &mut gradient[layer.residual.at.clone()];
                multiply(s, (channels, c, n), d_residual, Strided::transposed(o, c), d_h);
                add_rows(s, &mut gradient[layer.residual_bias.clone()], d_h);
                d_o.fill(0.0);
                multiply(s, (n, c, channels), d_o, Strided::rows(d_h, c), weights.transpose(&layer.residual));
                lay(masks, l, in_loss.start, d_o, c);
                gates_backward(s, c, d_o, halves, d_z);
                add_rows(s, &mut bias[1][..g], d_z);
                let a = &before[span(&in_loss, g)];
                between_backward(s, layout, weights, &layer.between, (a, &mut *d_a), d_z, gradient);
                let from = match l {
                    0 => (&v_l[..], &mut d_pixels[..]),
                    _ => (&h_l[..], &mut d_h_l[..]),
                };
                horizontal.backward(
                    s,
                    in_loss,
                    weights,
                    from,
                    (&mut taps[..], &mut d_taps[..]),
                    d_z,
                    gradient,
                );
            }
            add_rows(s, &mut bias[0][..g], d_a);
            let d_from = if l == 0 { &mut d_pixels[..] } else { &mut d_v_l[..] };
            vertical.backward(
                s,
                rows,
                weights,
                (&v_l[..], d_from),
                (&mut taps[..], &mut d_taps[..]),
                d_a,
                gradient,
            );
        }
        for (bias, stack) in bias.iter().zip(&layer.stacks) {
            add(s, &mut gradient[stack.bias.clone()], &bias[..g]);
            if let (Some(table), Some(class)) = (&stack.class, class) {
                add(s, &mut gradient[table.at.start + class * g..][..g], &bias[..g]);
            }
        }
        d_vertical.swap(0, 1);
        d_horizontal.swap(0, 1);
        *self.scratch = scratch;
    }
}

/// From the gradient of z_l to that of V_l and, added, to that of a_l.
#[inline(always)]
fn between_backward<S: Simd>(
    s: S,
    layout: &ParameterLayout,
    weights: &Weights,
    between: &[Matrix],
    (a, d_a): (&[f32], &mut [f32]),
    d_z: &[f32],
    gradient: &mut Aligned,
) {
    let (g, width) = (2 * layout.c, 2 * layout.c / between.len());
    let n = d_z.len() / g;
    for (i, part) in between.iter().enumerate() {
        let a = Strided::transposed(&a[i * width..], g);
        multiply(s, (part.at.len() / g, g, n), &mut gradient[part.at.clone()], a, d_z);
        let d_a = (&mut d_a[i * width..], g);
        multiply_within(s, (n, width, g), d_a, Strided::rows(d_z, g), (weights.transpose(part), width));
    }
}

/// The masks of layer `l` over rows from `first` on.
#[inline(always)]
fn lay(masks: Option<(Dropout, u64)>, l: usize, first: usize, rows: &mut [f32], width: usize) {
    let Some((dropout, key)) = masks else { return };
    for (i, row) in rows.chunks_exact_mut(width).enumerate() {
        dropout.apply(key, l, first + i, row);
    }
}
