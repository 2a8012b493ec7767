//! The way back through a layer.

use super::{GroupPass, Scratch, condition, span};
use crate::families::char_rnn::cell;
use crate::fused::rows::add_rows;
use crate::kernels::Simd;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{add, add_outer, add_outer_sparse};
use crate::kernels::tile::{Strided, multiply_with};
use std::ops::Range;

impl GroupPass<'_> {
    /// Takes `d_out` of the rows of `steps` through layer `l`: to the layer's gradient, to `d_out` of the step before,
    /// and, in its place, to that of the layer below.
    #[inline(always)]
    pub(super) fn layer_backward<S: Simd>(
        &mut self,
        s: S,
        l: usize,
        steps: Range<usize>,
        gradient: &mut Aligned,
    ) {
        let masks = self.masks();
        let (n, units, weights) = (self.windows.len(), self.config.hidden, self.weights);
        let (h, g) = (self.layout.h, self.layout.g);
        let layout = &self.layout.layers[l];
        let Scratch { layers, d_out, d_c, .. } = &mut *self.scratch;
        let (below, here) = layers.split_at_mut(l);
        let layer = &mut here[0];
        let back = weights.transpose(&self.layout.layers[l].recurrent);
        for t in steps.clone().rev() {
            let rows = t * n..(t + 1) * n;
            let (before, now) = d_out[..rows.end * h].split_at_mut(rows.start * h);
            let gates = &mut layer.gates[span(&rows, g)];
            let d_z = match &layout.candidate {
                None => {
                    let (old, c) = layer.c[t * n * h..(t + 2) * n * h].split_at(n * h);
                    let states = old.chunks_exact(h).zip(c.chunks_exact(h));
                    let d = now.chunks_exact(h).zip(d_c.chunks_exact_mut(h));
                    for ((z, (old, c)), (d_h, d_c)) in gates.chunks_exact_mut(g).zip(states).zip(d) {
                        cell::lstm_backward(s, z, old, c, d_h, d_c);
                    }
                    &*gates
                }
                Some(_) => {
                    let m = &mut layer.recurrent[span(&rows, g)];
                    let old = &layer.h[span(&rows, h)];
                    let products = gates.chunks_exact_mut(g).zip(m.chunks_exact_mut(g));
                    let states = old.chunks_exact(h).zip(now.chunks_exact_mut(h));
                    for ((z, m), (old, d_h)) in products.zip(states) {
                        cell::gru_backward(s, z, m, old, d_h);
                    }
                    &*m
                }
            };
            if t > 0 {
                let before = &mut before[(t - 1) * n * h..];
                if layout.candidate.is_some() {
                    add(s, before, now);
                }
                multiply_with(self.isa, (n, h, g), before, Strided::rows(d_z, g), back);
            }
        }
        let rows = steps.start * n..steps.end * n;
        let d_u = &layer.gates[span(&rows, g)];
        let d_z = match &layout.candidate {
            None => d_u,
            Some(bias) => {
                let m = &layer.recurrent[span(&rows, g)];
                for m in m.chunks_exact(g) {
                    add(s, &mut gradient[bias.clone()], &m[2 * h..]);
                }
                m
            }
        };
        let old = Strided::transposed(&layer.h[rows.start * h..], h);
        let d_recurrent = &mut gradient[layout.recurrent.at.clone()];
        multiply_with(self.isa, (units, g, rows.len()), d_recurrent, old, d_z);
        add_rows(s, &mut gradient[layout.bias.clone()], d_u);
        let d_input = &mut gradient[layout.input.at.clone()];
        match below.last() {
            None => {
                let enters = self.config.likelihood().input();
                let mut numbers = vec![0.0; enters.numbers()];
                for (i, d_u) in d_u.chunks_exact(g).enumerate() {
                    let (window, t) = (&self.windows[i % n], steps.start + i / n);
                    if t >= window.rows() {
                        continue;
                    }
                    if numbers.is_empty() {
                        add(s, &mut d_input[window.inputs[t] as usize * g..][..g], d_u);
                    } else {
                        enters.write(window.input(t), &mut numbers);
                        add_outer(s, d_input, &numbers, d_u);
                    }
                }
                if let Some(at) = &self.layout.condition {
                    let d_condition = &mut gradient[at.at.clone()];
                    for (i, d_u) in d_u.chunks_exact(g).enumerate() {
                        let (window, t) = (&self.windows[i % n], steps.start + i / n);
                        if t < window.rows() {
                            add_outer_sparse(s, d_condition, condition(self.config, window, t), d_u);
                        }
                    }
                }
            }
            Some(below) => {
                let x = Strided::transposed(below.output(&rows, n, h), h);
                multiply_with(self.isa, (units, g, rows.len()), d_input, x, d_u);
                let d_out = &mut d_out[span(&rows, h)];
                d_out.fill(0.0);
                let back = weights.transpose(&self.layout.layers[l].input);
                multiply_with(self.isa, (rows.len(), h, g), d_out, Strided::rows(d_u, g), back);
                masks.lay(l - 1, steps.start, d_out);
            }
        }
    }
}
