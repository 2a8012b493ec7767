//! A layer of cells on a group of windows. Row t · G + w is pixel t of window w.

use super::places::{LayerPlaces, PassPlaces, Places};
use crate::families::char_rnn::cell;
use crate::families::pixel_rnn::passes::{Place, neighbour, overlap};
use crate::fused::padded::Weights;
use crate::fused::rows::add_rows;
use crate::fused::size;
use crate::kernels::Simd;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::add;
use crate::kernels::tile::{Strided, multiply};
use std::ops::Range;

/// What a direction keeps for its backward.
#[derive(Default, Clone)]
pub struct PassTape {
    /// z, then the gates, then their gradient [T·G, 4H].
    gates: Vec<f32>,
    /// h [T·G, H].
    outputs: Vec<f32>,
    /// The memories [T·G, H].
    memories: Vec<f32>,
}

/// Gradients on their way through a layer.
#[derive(Default)]
pub struct Slopes {
    /// Of r_l+1, then of r_l [T·G, D].
    pub stream: Vec<f32>,
    /// What the cells give to that of r_l.
    below: Vec<f32>,
    /// Of a direction's h and memories [T·G, H].
    outputs: Vec<f32>,
    memories: Vec<f32>,
}

/// A layer, and how many pixels of how many windows it reads: whole rows of pixels.
#[derive(Clone, Copy)]
pub struct LayerPass<'a> {
    /// Sizes.
    pub places: &'a Places,
    /// Where its parameters stand.
    pub layer: &'a LayerPlaces,
    /// The weights.
    pub weights: &'a Weights,
    /// Pixels, whole rows.
    pub pixels: usize,
    /// G.
    pub windows: usize,
}

/// Rows of a buffer.
#[inline(always)]
fn span(rows: &Range<usize>, width: usize) -> Range<usize> {
    rows.start * width..rows.end * width
}

impl LayerPass<'_> {
    /// Rows of all pixels.
    fn rows(&self) -> usize {
        self.pixels * self.windows
    }

    /// The rows of a row `y` of pixels that have a neighbour at a place, and the rows of these; none above the first.
    #[inline(always)]
    fn neighbours(&self, y: usize, (dy, dx): Place) -> Option<(Range<usize>, Range<usize>)> {
        let (len, g) = (self.places.len, self.windows);
        let (to, from, count) = overlap(len, dx);
        let above = y.checked_add_signed(dy)?;
        let at = |y: usize, x: usize| (y * len + x) * g..(y * len + x + count) * g;
        (count > 0).then(|| (at(y, to), at(above, from)))
    }

    /// The rows of pixel `t`.
    #[inline(always)]
    fn pixel(&self, t: usize) -> Range<usize> {
        t * self.windows..(t + 1) * self.windows
    }

    /// r_l+1 to `next` from r_l.
    #[inline(always)]
    pub fn forward<S: Simd>(&self, s: S, r: &[f32], tapes: &mut [PassTape], next: &mut [f32]) {
        let Places { h, d, len, hidden, .. } = *self.places;
        let bias = &self.weights.forward[self.layer.output.1.clone()];
        for (to, r) in next.chunks_exact_mut(d).zip(r.chunks_exact(d)).take(self.rows()) {
            to.copy_from_slice(r);
            add(s, to, bias);
        }
        for (pass, tape) in self.layer.passes.iter().zip(tapes) {
            self.pass(s, pass, r, tape);
            let later = pass.pass.down() * len * self.windows;
            let count = self.rows() - later;
            let (x, w) = (Strided::rows(&tape.outputs, h), self.weights.get(&self.layer.output.0));
            multiply(s, (count, d, hidden), &mut next[later * d..], x, w);
        }
    }

    #[inline(always)]
    fn pass<S: Simd>(&self, s: S, pass: &PassPlaces, r: &[f32], tape: &mut PassTape) {
        let Places { h, d, len, hidden, width, .. } = *self.places;
        let (g, weights) = (self.windows, self.weights);
        size(&mut tape.gates, self.rows() * 4 * h);
        size(&mut tape.outputs, self.rows() * h);
        size(&mut tape.memories, self.rows() * h);
        let bias = &weights.forward[pass.bias.clone()];
        tape.gates.chunks_exact_mut(4 * h).for_each(|z| z.copy_from_slice(bias));
        for y in 0..self.pixels / len {
            for (&place, w) in pass.pass.inputs.iter().zip(&pass.entering) {
                if let Some((to, from)) = self.neighbours(y, place) {
                    let x = Strided::rows(&r[from.start * d..], d);
                    let z = &mut tape.gates[span(&to, 4 * h)];
                    multiply(s, (to.len(), 4 * h, width), z, x, weights.get(w));
                }
            }
            let recurrent = || pass.pass.recurrent.iter().zip(&pass.recurrent);
            for (&place, w) in recurrent().filter(|(place, _)| place.0 < 0) {
                if let Some((to, from)) = self.neighbours(y, place) {
                    let x = Strided::rows(&tape.outputs[from.start * h..], h);
                    let z = &mut tape.gates[span(&to, 4 * h)];
                    multiply(s, (to.len(), 4 * h, hidden), z, x, weights.get(w));
                }
            }
            for t in pass.pass.columns(len).map(|x| y * len + x) {
                let rows = self.pixel(t);
                for (&place, w) in recurrent().filter(|(place, _)| place.0 == 0) {
                    if let Some(at) = neighbour(t, len, place) {
                        let x = Strided::rows(&tape.outputs[self.pixel(at).start * h..], h);
                        let z = &mut tape.gates[span(&rows, 4 * h)];
                        multiply(s, (g, 4 * h, hidden), z, x, weights.get(w));
                    }
                }
                match neighbour(t, len, pass.pass.memory) {
                    None => tape.memories[span(&rows, h)].fill(0.0),
                    Some(at) => tape.memories.copy_within(span(&self.pixel(at), h), rows.start * h),
                }
                let states = tape.memories[span(&rows, h)].chunks_exact_mut(h);
                let outputs = tape.outputs[span(&rows, h)].chunks_exact_mut(h);
                let gates = tape.gates[span(&rows, 4 * h)].chunks_exact_mut(4 * h);
                for ((z, c), h) in gates.zip(states).zip(outputs) {
                    cell::lstm(s, z, c, h);
                }
            }
        }
    }

    /// Takes the gradient of r_l+1 to that of r_l, and adds to the layer's.
    #[inline(always)]
    pub fn backward<S: Simd>(
        &self,
        s: S,
        r: &[f32],
        tapes: &mut [PassTape],
        slopes: &mut Slopes,
        gradient: &mut Aligned,
    ) {
        let Places { h, d, len, hidden, .. } = *self.places;
        let all = self.rows();
        let Slopes { stream, below, outputs, memories } = slopes;
        size(below, all * d);
        size(outputs, all * h);
        size(memories, all * h);
        below[..all * d].fill(0.0);
        add_rows(s, &mut gradient[self.layer.output.1.clone()], &stream[..all * d]);
        for (pass, tape) in self.layer.passes.iter().zip(tapes) {
            let later = pass.pass.down() * len * self.windows;
            let (count, d_out) = (all - later, &stream[later * d..all * d]);
            let x = Strided::transposed(&tape.outputs, h);
            multiply(s, (hidden, d, count), &mut gradient[self.layer.output.0.at.clone()], x, d_out);
            outputs[..all * h].fill(0.0);
            let back = self.weights.transpose(&self.layer.output.0);
            multiply(s, (count, h, d), outputs, Strided::rows(d_out, d), back);
            memories[..all * h].fill(0.0);
            self.pass_backward(s, pass, tape, outputs, memories);
            self.gradients(s, pass, r, tape, below, gradient);
        }
        add(s, &mut stream[..all * d], &below[..all * d]);
    }

    /// The gates of `tape` become their gradient.
    #[inline(always)]
    fn pass_backward<S: Simd>(
        &self,
        s: S,
        pass: &PassPlaces,
        tape: &mut PassTape,
        d_outputs: &mut [f32],
        d_memories: &mut [f32],
    ) {
        let Places { h, len, .. } = *self.places;
        let (g, weights) = (self.windows, self.weights);
        let zeros = vec![0.0; g * h];
        for y in (0..self.pixels / len).rev() {
            for t in pass.pass.columns(len).rev().map(|x| y * len + x) {
                let rows = self.pixel(t);
                let memory = neighbour(t, len, pass.pass.memory).map(|at| self.pixel(at));
                let old = memory.as_ref().map_or(&zeros[..], |at| &tape.memories[span(at, h)]);
                let new = &tape.memories[span(&rows, h)];
                let states = old.chunks_exact(h).zip(new.chunks_exact(h));
                let slopes = d_outputs[span(&rows, h)]
                    .chunks_exact(h)
                    .zip(d_memories[span(&rows, h)].chunks_exact_mut(h));
                let gates = tape.gates[span(&rows, 4 * h)].chunks_exact_mut(4 * h);
                for ((z, (old, new)), (d_h, d_c)) in gates.zip(states).zip(slopes) {
                    cell::lstm_backward(s, z, old, new, d_h, d_c);
                }
                // Nothing else reads that memory.
                if let Some(at) = memory {
                    d_memories.copy_within(span(&rows, h), at.start * h);
                }
                let recurrent = pass.pass.recurrent.iter().zip(&pass.recurrent);
                for (&place, w) in recurrent.filter(|(place, _)| place.0 == 0) {
                    if let Some(at) = neighbour(t, len, place) {
                        let to = &mut d_outputs[span(&self.pixel(at), h)];
                        let d_z = Strided::rows(&tape.gates[rows.start * 4 * h..], 4 * h);
                        multiply(s, (g, h, 4 * h), to, d_z, weights.transpose(w));
                    }
                }
            }
            let recurrent = pass.pass.recurrent.iter().zip(&pass.recurrent);
            for (&place, w) in recurrent.filter(|(place, _)| place.0 < 0) {
                if let Some((to, from)) = self.neighbours(y, place) {
                    let d_z = Strided::rows(&tape.gates[to.start * 4 * h..], 4 * h);
                    let d_h = &mut d_outputs[span(&from, h)];
                    multiply(s, (from.len(), h, 4 * h), d_h, d_z, weights.transpose(w));
                }
            }
        }
    }

    /// What the gradient of the gates gives to the direction's parameters and to r_l.
    #[inline(always)]
    fn gradients<S: Simd>(
        &self,
        s: S,
        pass: &PassPlaces,
        r: &[f32],
        tape: &PassTape,
        below: &mut [f32],
        gradient: &mut Aligned,
    ) {
        let Places { h, d, len, hidden, width, .. } = *self.places;
        add_rows(s, &mut gradient[pass.bias.clone()], &tape.gates[..self.rows() * 4 * h]);
        for y in 0..self.pixels / len {
            for (&place, w) in pass.pass.inputs.iter().zip(&pass.entering) {
                if let Some((to, from)) = self.neighbours(y, place) {
                    let d_z = &tape.gates[span(&to, 4 * h)];
                    let x = Strided::transposed(&r[from.start * d..], d);
                    multiply(s, (width, 4 * h, to.len()), &mut gradient[w.at.clone()], x, d_z);
                    let back = self.weights.transpose(w);
                    let d_r = &mut below[span(&from, d)];
                    multiply(s, (to.len(), d, 4 * h), d_r, Strided::rows(d_z, 4 * h), back);
                }
            }
            for (&place, w) in pass.pass.recurrent.iter().zip(&pass.recurrent) {
                if let Some((to, from)) = self.neighbours(y, place) {
                    let x = Strided::transposed(&tape.outputs[from.start * h..], h);
                    let d_z = &tape.gates[span(&to, 4 * h)];
                    multiply(s, (hidden, 4 * h, to.len()), &mut gradient[w.at.clone()], x, d_z);
                }
            }
        }
    }
}
