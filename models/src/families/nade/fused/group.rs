//! One group of windows: forward through the steps with the loss and the gradient of the outputs, and back.

use super::Places;
use crate::fused::rows::add_rows;
use crate::fused::size;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{add, add_outer, add_weighted, dot};
use crate::kernels::tile::{Strided, multiply};
use crate::kernels::{Kernel, Simd, math};
use crate::likelihood::{Input, LikelihoodConfig, Value};
use crate::objective::Window;
use std::ops::Range;

/// Steps whose hidden units are computed again at a time: those of a group stay in the cache.
const CHUNK: usize = 16;

/// Buffers of one group; every value is written before it is read.
#[derive(Default)]
pub struct Scratch {
    /// a_t of every window [G, H].
    sums: Vec<f32>,
    /// a_t before every chunk [⌈T / CHUNK⌉, G, H].
    kept: Vec<f32>,
    /// h_t of a chunk [CHUNK, G, H].
    hidden: Vec<f32>,
    /// The gradient of every step's parameters [T, G, P].
    d_params: Vec<f32>,
    /// That of a_t [G, H], and that of h_t, where it is a product.
    d_sums: Vec<f32>,
    d_hidden: Vec<f32>,
    /// A value as numbers.
    numbers: Vec<f32>,
}

impl Scratch {
    /// Bytes that a group of `windows` windows of `t` rows takes.
    pub fn bytes(places: &Places, windows: usize, t: usize) -> usize {
        let (h, p) = (places.weight.columns, places.output_bias.columns);
        4 * windows * (h * (t.div_ceil(CHUNK) + CHUNK + 3) + p * t)
    }
}

/// A group's loss and gradient.
pub struct GroupPass<'a> {
    /// What the outputs mean.
    pub likelihood: LikelihoodConfig,
    /// Where things stand.
    pub places: &'a Places,
    /// The padded parameters.
    pub weights: &'a [f32],
    /// The data.
    pub windows: &'a [Window],
    /// Weight of one row in the loss's mean.
    pub scale: f32,
    /// The padded gradient to add to; none for the loss alone.
    pub gradient: Option<&'a mut Aligned>,
    /// Buffers.
    pub scratch: &'a mut Scratch,
}

/// The sizes of a group.
#[derive(Clone, Copy)]
struct Sizes {
    /// Rows of the longest window.
    t: usize,
    /// H and P, padded.
    h: usize,
    p: usize,
    /// P.
    params: usize,
}

impl Kernel for GroupPass<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) -> f64 {
        let (g, params) = (self.windows.len(), self.likelihood.params());
        let t = self.windows.iter().map(Window::rows).max().unwrap_or(0);
        let (h, p) = (self.places.weight.columns, self.places.output_bias.columns);
        let sizes = Sizes { t, h, p, params };
        let scratch = &mut *self.scratch;
        scratch.numbers.resize(self.likelihood.input().numbers(), 0.0);
        size(&mut scratch.sums, g * h);
        size(&mut scratch.kept, t.div_ceil(CHUNK) * g * h);
        size(&mut scratch.hidden, CHUNK * g * h);
        size(&mut scratch.d_params, t * g * p);
        size(&mut scratch.d_sums, g * h);
        size(&mut scratch.d_hidden, g * h);
        let mut gradient = self.gradient.take();
        let nats = self.forward(s, sizes, gradient.as_deref_mut());
        if let Some(gradient) = gradient {
            self.backward(s, sizes, gradient);
        }
        nats
    }
}

/// Rows of tensor `range` that belong to step `t`, of `len` values.
#[inline(always)]
fn of_step(range: &Range<usize>, t: usize, len: usize) -> Range<usize> {
    range.start + t * len..range.start + (t + 1) * len
}

impl GroupPass<'_> {
    /// The rows of W that the value before step `t` meets.
    #[inline(always)]
    fn entering(&self, t: usize, h: usize) -> Range<usize> {
        of_step(&self.places.weight.at, t - 1, self.likelihood.input().rows() * h)
    }

    /// The sums before the first step: the bias and the labels' rows.
    #[inline(always)]
    fn start<S: Simd>(&mut self, s: S, h: usize) {
        for (w, sum) in self.windows.iter().zip(self.scratch.sums.chunks_exact_mut(h)) {
            sum.copy_from_slice(&self.weights[self.places.bias.clone()]);
            if let (Some(class), Some(labels)) = (w.class, &self.places.labels) {
                add(s, sum, &self.weights[of_step(labels, class, h)]);
            }
        }
    }

    /// Adds what the values before step `t` give to the sums.
    #[inline(always)]
    fn absorb<S: Simd>(&mut self, s: S, t: usize, h: usize) {
        let rows = &self.weights[self.entering(t, h)];
        let input = self.likelihood.input();
        let sums = self.scratch.sums.chunks_exact_mut(h);
        for (w, sum) in self.windows.iter().zip(sums).filter(|(w, _)| t < w.rows()) {
            match (input, w.input(t)) {
                (Input::Table { .. }, Value::Symbol(x)) => add(s, sum, &rows[usize::from(x) * h..][..h]),
                (input, x) => {
                    input.write(x, &mut self.scratch.numbers);
                    add_weighted(s, sum, rows, &self.scratch.numbers);
                }
            }
        }
    }

    /// h_t to place `i` of the chunk.
    #[inline(always)]
    fn activate<S: Simd>(&mut self, s: S, i: usize, h: usize) {
        let len = self.windows.len() * h;
        let sums = self.scratch.sums[..len].chunks_exact(S::LANES);
        for (to, a) in self.scratch.hidden[i * len..][..len].chunks_exact_mut(S::LANES).zip(sums) {
            s.store(to, math::sigmoid(s, s.load(a)));
        }
    }

    /// The sum of −ln p over the rows that count; with `gradient`, its gradient to that of the outputs, and that of the
    /// parameters kept for the way back.
    #[inline(always)]
    fn forward<S: Simd>(&mut self, s: S, sizes: Sizes, mut gradient: Option<&mut Aligned>) -> f64 {
        let Sizes { t: steps, h, p, params } = sizes;
        let g = self.windows.len();
        let mut nats = 0.0;
        self.start(s, h);
        for t in 0..steps {
            if t > 0 {
                self.absorb(s, t, h);
            }
            if t.is_multiple_of(CHUNK) {
                self.scratch.kept[t / CHUNK * g * h..][..g * h].copy_from_slice(&self.scratch.sums[..g * h]);
            }
            self.activate(s, 0, h);
            let hidden = &self.scratch.hidden[..g * h];
            let at = of_step(&self.places.output.at, t, params * h);
            let bias_at = of_step(&self.places.output_bias.at, t, p);
            let (output, bias) = (&self.weights[at.clone()], &self.weights[bias_at.clone()]);
            let rows = &mut self.scratch.d_params[t * g * p..][..g * p];
            let each = rows.chunks_exact_mut(p).zip(hidden.chunks_exact(h)).zip(self.windows);
            for ((row, hidden), w) in each {
                if t < w.warmup || t >= w.rows() {
                    row.fill(0.0);
                    continue;
                }
                for ((to, v), b) in row.iter_mut().zip(output.chunks_exact(h)).zip(bias) {
                    *to = b + dot(s, hidden, v);
                }
                nats += self.likelihood.loss_row(s, row, w.target(t), self.scale);
            }
            if let Some(gradient) = &mut gradient {
                add_rows(s, &mut gradient[bias_at], rows);
                let to = &mut gradient[at];
                multiply(s, (params, h, g), to, Strided::transposed(rows, p), hidden);
            }
        }
        nats
    }

    #[inline(always)]
    fn backward<S: Simd>(&mut self, s: S, sizes: Sizes, gradient: &mut Aligned) {
        let Sizes { t: steps, h, .. } = sizes;
        let g = self.windows.len();
        let input = self.likelihood.input();
        self.scratch.d_sums[..g * h].fill(0.0);
        for chunk in (0..steps.div_ceil(CHUNK)).rev() {
            let first = chunk * CHUNK;
            let last = steps.min(first + CHUNK);
            self.scratch.sums[..g * h].copy_from_slice(&self.scratch.kept[chunk * g * h..][..g * h]);
            for t in first..last {
                if t > first {
                    self.absorb(s, t, h);
                }
                self.activate(s, t - first, h);
            }
            for t in (first..last).rev() {
                self.step_back(s, sizes, t, t - first);
                if t == 0 {
                    continue;
                }
                let to = &mut gradient[self.entering(t, h)];
                let d_sums = self.scratch.d_sums.chunks_exact(h);
                for (w, d) in self.windows.iter().zip(d_sums).filter(|(w, _)| t < w.rows()) {
                    match (input, w.input(t)) {
                        (Input::Table { .. }, Value::Symbol(x)) => {
                            add(s, &mut to[usize::from(x) * h..][..h], d);
                        }
                        (input, x) => {
                            input.write(x, &mut self.scratch.numbers);
                            add_outer(s, to, &self.scratch.numbers, d);
                        }
                    }
                }
            }
        }
        let d_sums = &self.scratch.d_sums[..g * h];
        add_rows(s, &mut gradient[self.places.bias.clone()], d_sums);
        for (w, d) in self.windows.iter().zip(d_sums.chunks_exact(h)) {
            if let (Some(class), Some(labels)) = (w.class, &self.places.labels) {
                add(s, &mut gradient[of_step(labels, class, h)], d);
            }
        }
    }

    /// Adds what step `t` gives to the gradient of its sums, its hidden units at place `i` of the chunk.
    #[inline(always)]
    fn step_back<S: Simd>(&mut self, s: S, sizes: Sizes, t: usize, i: usize) {
        let Sizes { h, p, params, .. } = sizes;
        let g = self.windows.len();
        let output = &self.weights[of_step(&self.places.output.at, t, params * h)];
        let Scratch { hidden, d_params, d_sums, d_hidden, .. } = &mut *self.scratch;
        let d_params = &d_params[t * g * p..][..g * p];
        let hidden = hidden[i * g * h..][..g * h].chunks_exact(h);
        if params > 1 {
            let d_hidden = &mut d_hidden[..g * h];
            d_hidden.fill(0.0);
            multiply(s, (g, h, params), d_hidden, Strided::rows(d_params, p), output);
            for ((hidden, d), sum) in hidden.zip(d_hidden.chunks_exact(h)).zip(d_sums.chunks_exact_mut(h)) {
                slope(s, hidden, d, s.splat(1.0), sum);
            }
            return;
        }
        for ((hidden, d), sum) in hidden.zip(d_params.chunks_exact(p)).zip(d_sums.chunks_exact_mut(h)) {
            slope(s, hidden, output, s.splat(d[0]), sum);
        }
    }
}

/// sum += k d h (1 − h), the gradient through h = σ(a).
#[inline(always)]
fn slope<S: Simd>(s: S, hidden: &[f32], d: &[f32], k: S::V, sum: &mut [f32]) {
    let each = hidden.chunks_exact(S::LANES).zip(d.chunks_exact(S::LANES));
    for ((h, d), sum) in each.zip(sum.chunks_exact_mut(S::LANES)) {
        let h = s.load(h);
        let slope = s.sub(h, s.mul(h, h));
        s.store(sum, s.mul_add(s.mul(k, s.load(d)), slope, s.load(sum)));
    }
}
