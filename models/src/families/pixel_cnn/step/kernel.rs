//! The arithmetic of a step: a line through the vertical stack, a pixel through the horizontal one.

use super::super::gather::{SLACK, gather};
use super::super::geometry::Stack;
use super::{PixelCnn, Sizes, State};
use crate::kernels::panel::{Panels, Rows, Then, accumulate_many, add, copy, fill};
use crate::kernels::{Kernel, Simd, math};
use std::ops::Range;

/// Steps of streams that have done the same number of them.
pub(super) struct Step<'a> {
    pub(super) net: &'a PixelCnn,
    pub(super) states: &'a mut [State],
    /// Buffers for some rows.
    pub(super) work: &'a mut [f32],
    /// A row for each stream.
    pub(super) params: &'a mut [f32],
}

/// The buffers of some rows.
struct Work<'a> {
    /// What the taps read, side by side; then a_l without its padding.
    taps: &'a mut [f32],
    /// Sums before a gate [rows, 2C padded].
    sums: &'a mut [f32],
    /// Gated [rows, C padded].
    gated: &'a mut [f32],
    /// h_l [rows, C padded].
    features: &'a mut [f32],
    /// a_l [rows, 2C].
    before: &'a mut [f32],
    /// Inside the head [rows, A padded].
    head: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, states, work, params } = self;
        let (sizes, c) = (net.sizes, net.config.channels);
        let rows = sizes.rows(states.len());
        let (taps, rest) = work.split_at_mut(rows * sizes.taps + SLACK);
        let (sums, rest) = rest.split_at_mut(rows * 2 * sizes.channels);
        let (gated, rest) = rest.split_at_mut(rows * sizes.channels);
        let (features, rest) = rest.split_at_mut(rows * sizes.channels);
        let (before, rest) = rest.split_at_mut(rows * 2 * c);
        let head = &mut rest[..rows * sizes.head];
        let mut work = Work { taps, sums, gated, features, before, head };
        let t = states[0].done;
        let line = net.geometry.line(t);
        if t == line.start {
            for states in states.chunks_mut(rows / line.len()) {
                net.vertical(s, states, &line, &mut work);
            }
        }
        for (states, params) in states.chunks_mut(rows).zip(params.chunks_mut(rows * net.params())) {
            net.horizontal(s, states, t, &line, &mut work, params);
        }
        for state in states {
            state.done = t + 1;
        }
    }
}

impl PixelCnn {
    /// The vertical stack of `line`, and what it gives the horizontal one, for some streams.
    #[inline(always)]
    fn vertical<S: Simd>(&self, s: S, states: &mut [State], line: &Range<usize>, work: &mut Work) {
        let (c, Sizes { channels, line: longest, reach, .. }) = (self.config.channels, self.sizes);
        let (n, rows) = (line.len(), states.len() * line.len());
        for (l, layer) in self.layers.iter().enumerate() {
            let taps = self.geometry.taps(Stack::Vertical, l);
            let width = taps.len() * self.config.inputs(l);
            let mut at = 0;
            for state in states.iter() {
                for t in line.clone() {
                    let (taps, each, to) = (taps.of(t), self.config.inputs(l), &mut work.taps[at..]);
                    match l.checked_sub(1) {
                        None => gather(s, taps, each, (&state.pixels, each), |u| u, to),
                        Some(below) => {
                            let from = &state.vertical[below * reach * channels..][..reach * channels];
                            gather(s, taps, each, (from, channels), |u| u % reach, to);
                        }
                    }
                    at += width;
                }
            }
            let sums = &mut work.sums[..rows * 2 * channels];
            for (state, sums) in states.iter().zip(sums.chunks_exact_mut(n * 2 * channels)) {
                fill(s, sums, &layer.vertical.bias[state.class_now * 2 * channels..][..2 * channels]);
            }
            multiply(s, layer.vertical.weight.as_ref(), rows, (&*work.taps, width), sums, Then::Store);
            for (to, from) in work.before.chunks_exact_mut(2 * c).zip(sums.chunks_exact(2 * channels)) {
                copy(s, &mut to[..c], &from[..c]);
                copy(s, &mut to[c..], &from[channels..][..c]);
            }
            if l + 1 < self.layers.len() {
                for (state, sums) in states.iter_mut().zip(sums.chunks_exact(n * 2 * channels)) {
                    for (t, sums) in line.clone().zip(sums.chunks_exact(2 * channels)) {
                        let (below, here) = state.vertical.split_at_mut(l * reach * channels);
                        let row = t % reach * channels;
                        let to = &mut here[row..][..channels];
                        gate(s, sums, to);
                        if l > 0 {
                            add(s, to, &below[(l - 1) * reach * channels + row..][..channels]);
                        }
                    }
                }
            }
            for (state, sums) in states.iter().zip(sums.chunks_exact_mut(n * 2 * channels)) {
                fill(s, sums, &layer.horizontal.bias[state.class_now * 2 * channels..][..2 * channels]);
            }
            multiply(s, Some(&layer.between), rows, (&*work.before, 2 * c), sums, Then::Store);
            for (state, sums) in states.iter_mut().zip(sums.chunks_exact(n * 2 * channels)) {
                copy(s, &mut state.between[l * longest * 2 * channels..][..sums.len()], sums);
            }
        }
    }

    /// The horizontal stack and the head of step `t` in `line`, for some streams.
    #[inline(always)]
    fn horizontal<S: Simd>(
        &self,
        s: S,
        states: &mut [State],
        t: usize,
        line: &Range<usize>,
        work: &mut Work,
        params: &mut [f32],
    ) {
        let Sizes { channels, line: longest, head, .. } = self.sizes;
        let (n, at) = (states.len(), t - line.start);
        for (l, layer) in self.layers.iter().enumerate() {
            let taps = self.geometry.taps(Stack::Horizontal, l);
            let width = taps.len() * self.config.inputs(l);
            let mut first = 0;
            for state in states.iter() {
                let (taps, each, to) = (taps.of(t), self.config.inputs(l), &mut work.taps[first..]);
                match l.checked_sub(1) {
                    None => gather(s, taps, each, (&state.pixels, each), |u| u, to),
                    Some(below) => {
                        let from = &state.horizontal[below * longest * channels..][..longest * channels];
                        gather(s, taps, each, (from, channels), |u| u - line.start, to);
                    }
                }
                first += width;
            }
            for (state, sums) in states.iter().zip(work.sums.chunks_exact_mut(2 * channels)) {
                copy(s, sums, &state.between[(l * longest + at) * 2 * channels..][..2 * channels]);
            }
            multiply(s, layer.horizontal.weight.as_ref(), n, (&*work.taps, width), work.sums, Then::Store);
            for (sums, to) in
                work.sums.chunks_exact(2 * channels).zip(work.gated.chunks_exact_mut(channels)).take(n)
            {
                gate(s, sums, to);
            }
            let features = &mut work.features[..n * channels];
            for h in features.chunks_exact_mut(channels) {
                match l {
                    0 => copy(s, h, &layer.residual.bias),
                    _ => add(s, h, &layer.residual.bias),
                }
            }
            let (w, inputs) = (&layer.residual.weight, (&*work.gated, channels));
            multiply(s, Some(w), n, inputs, features, Then::Store);
            if l + 1 < self.layers.len() {
                for (state, h) in states.iter_mut().zip(features.chunks_exact(channels)) {
                    copy(s, &mut state.horizontal[(l * longest + at) * channels..][..channels], h);
                }
            }
        }
        let features = &mut work.features[..n * channels];
        for h in features.chunks_exact_mut(S::LANES) {
            s.store(h, s.max(s.load(h), s.splat(0.0)));
        }
        let x = Rows { data: &*features, stride: channels };
        self.head[0].run(s, n, x, Rows { data: &mut work.head[..n * head], stride: head }, Then::Relu);
        let x = Rows { data: &*work.head, stride: head };
        self.head[1].run(s, n, x, Rows { data: params, stride: self.params() }, Then::Store);
    }
}

/// tanh(a)·σ(b) of the two halves of `sums`.
#[inline(always)]
fn gate<S: Simd>(s: S, sums: &[f32], to: &mut [f32]) {
    let (a, b) = sums.split_at(to.len());
    for ((a, b), to) in
        a.chunks_exact(S::LANES).zip(b.chunks_exact(S::LANES)).zip(to.chunks_exact_mut(S::LANES))
    {
        s.store(to, math::gate(s, s.load(a), s.load(b)));
    }
}

/// out = then(out + x W) for the first `rows` rows of x, whose width comes with it.
#[inline(always)]
fn multiply<S: Simd>(
    s: S,
    w: Option<&Panels>,
    rows: usize,
    (x, width): (&[f32], usize),
    out: &mut [f32],
    then: Then,
) {
    let Some(w) = w else { return };
    let stride = w.padded_outputs();
    accumulate_many(s, w, rows, Rows { data: x, stride: width }, Rows { data: out, stride }, then);
}
