//! What a step does with its rows: what enters, the layers, the outputs.

use super::weights::{Gpt, Layer};
use super::{State, Window};
use crate::families::gpt::norm::{normalise, scale};
use crate::families::gpt::positions::grid_rows;
use crate::families::gpt::{Config, Positions};
use crate::kernels::affine::Affine;
use crate::kernels::panel::{Panels, Rows, Then, accumulate_many, add, add_weighted};
use crate::kernels::{Simd, math};
use crate::likelihood::{Input, Value, Values};

/// Widths of the rows of [`Work`], padded.
#[derive(Clone, Copy)]
pub(super) struct Widths {
    pub(super) width: usize,
    /// [q | k | v], heads padded.
    pub(super) qkv: usize,
    pub(super) mlp: usize,
    /// One head's output.
    pub(super) head: usize,
    /// Scores of one head.
    pub(super) scores: usize,
}

impl Widths {
    /// Floats of the work on `rows` rows.
    pub(super) fn floats(self, rows: usize) -> usize {
        rows * (3 * self.width + self.qkv + self.mlp) + self.head + self.scores
    }

    /// The parts of `buffer`, for `rows` rows.
    #[inline(always)]
    pub(super) fn work(self, buffer: &mut [f32], rows: usize) -> Work<'_> {
        let (x, rest) = buffer.split_at_mut(rows * self.width);
        let (normed, rest) = rest.split_at_mut(rows * self.width);
        let (attended, rest) = rest.split_at_mut(rows * self.width);
        let (qkv, rest) = rest.split_at_mut(rows * self.qkv);
        let (hidden, rest) = rest.split_at_mut(rows * self.mlp);
        let (head, rest) = rest.split_at_mut(self.head);
        Work { widths: self, x, normed, attended, qkv, hidden, head, scores: &mut rest[..self.scores] }
    }
}

/// The symbols at hand, a row for each window that reads one: the leading windows of all streams, then those that follow.
pub(super) struct Work<'a> {
    pub(super) widths: Widths,
    /// r.
    pub(super) x: &'a mut [f32],
    /// n(r) but for the bias.
    pub(super) normed: &'a mut [f32],
    /// The heads' outputs side by side.
    pub(super) attended: &'a mut [f32],
    /// [q | k | v].
    pub(super) qkv: &'a mut [f32],
    /// gelu(n(m) W_up).
    pub(super) hidden: &'a mut [f32],
    /// One head's output.
    pub(super) head: &'a mut [f32],
    /// Scores of one head.
    pub(super) scores: &'a mut [f32],
}

impl Gpt {
    /// A layer over the first `reading` rows, of which the perceptron takes the first `rows`; `attend` keeps keys and values and
    /// attends.
    #[inline(always)]
    pub(super) fn block<S: Simd>(
        &self,
        s: S,
        layer: &Layer,
        work: &mut Work,
        (reading, rows): (usize, usize),
        attend: impl FnOnce(S, &mut Work),
    ) {
        let width = work.widths.width;
        normalised(s, &self.config, &layer.qkv.gain, work, reading);
        biased(&layer.qkv.product, work.qkv, reading);
        multiply(s, &layer.qkv.product.weight, reading, (&*work.normed, width), work.qkv);
        attend(s, work);
        for x in work.x.chunks_exact_mut(width).take(rows) {
            add(s, x, &layer.out.bias);
        }
        multiply(s, &layer.out.weight, rows, (&*work.attended, width), work.x);
        normalised(s, &self.config, &layer.up.gain, work, rows);
        biased(&layer.up.product, work.hidden, rows);
        multiply(s, &layer.up.product.weight, rows, (&*work.normed, width), work.hidden);
        for v in work.hidden[..work.widths.mlp * rows].chunks_exact_mut(S::LANES) {
            s.store(v, math::gelu(s, s.load(v)).0);
        }
        for x in work.x.chunks_exact_mut(width).take(rows) {
            add(s, x, &layer.down.bias);
        }
        multiply(s, &layer.down.weight, rows, (&*work.hidden, work.widths.mlp), work.x);
    }

    /// Parameters of the first `rows` rows.
    #[inline(always)]
    pub(super) fn outputs<S: Simd>(&self, s: S, work: &mut Work, rows: usize, logits: &mut [f32]) {
        normalised(s, &self.config, &self.head.gain, work, rows);
        biased(&self.head.product, logits, rows);
        multiply(s, &self.head.product.weight, rows, (&*work.normed, work.widths.width), logits);
    }

    /// The rows that what enters gives: its embedding, position and label.
    #[inline(always)]
    pub(super) fn enter<S: Simd>(&self, s: S, states: &mut [State], values: Values, work: &mut Work) {
        let (width, stride) = (work.widths.width, self.config.stride());
        let mut follower = states.len();
        for (i, state) in states.iter_mut().enumerate() {
            let row = &mut work.x[i * width..][..width];
            self.embed(s, values.get(i), state.anew, &mut state.numbers, row);
            let followed = state.is_followed(stride);
            if followed {
                work.x.copy_within(i * width..(i + 1) * width, follower * width);
                let at = state.window(true).filled;
                self.place(s, (at, &state.sites), state.class, &mut work.x[follower * width..][..width]);
                follower += 1;
            }
            let at = state.window(false).filled;
            self.place(s, (at, &state.sites), state.class, &mut work.x[i * width..][..width]);
        }
    }

    /// The row of x, or where `anew` that of the start: what follows the last variable begins anew, and its past is empty.
    #[inline(always)]
    pub(super) fn embed<S: Simd>(&self, s: S, x: Value, anew: bool, numbers: &mut [f32], row: &mut [f32]) {
        match self.input {
            Input::Table { rows } => {
                let symbol = if anew { self.config.start } else { x.symbol() };
                // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
                let symbol = usize::from(symbol).min(rows - 1);
                row.copy_from_slice(&self.embed[symbol * row.len()..][..row.len()]);
            }
            input => {
                match anew {
                    true => numbers.copy_from_slice(&self.start_numbers),
                    false => input.write(x, numbers),
                }
                row.fill(0.0);
                add_weighted(s, row, &self.embed, numbers);
            }
        }
    }

    /// Adds the rows of the pixel that is wanted and of the one that enters.
    #[inline(always)]
    pub(super) fn place_on_grid<S: Simd>(&self, s: S, wanted: u32, entering: Option<u32>, row: &mut [f32]) {
        let Positions::Grid(grid) = self.config.positions else { return };
        let rows = grid_rows(grid, wanted as usize, entering.map(|site| site as usize));
        for (table, at) in self.tables.iter().zip(rows) {
            if let Some(at) = at {
                add(s, row, &table[at * row.len()..][..row.len()]);
            }
        }
    }

    /// Adds the position `at` of an order and the label to a row.
    #[inline(always)]
    pub(super) fn place<S: Simd>(
        &self,
        s: S,
        (at, sites): (usize, &[u32]),
        class: Option<usize>,
        row: &mut [f32],
    ) {
        match sites {
            [] => add(s, row, &self.position[at * row.len()..][..row.len()]),
            sites => self.place_on_grid(s, sites[at], at.checked_sub(1).map(|t| sites[t]), row),
        }
        if self.config.labels > 0 {
            add(s, row, self.labels.row(class));
        }
    }
}

/// to += x W for the first `rows` rows; those of `x` come with their width.
#[inline(always)]
fn multiply<S: Simd>(s: S, weight: &Panels, rows: usize, (x, stride): (&[f32], usize), to: &mut [f32]) {
    let to = Rows { data: to, stride: weight.padded_outputs() };
    accumulate_many(s, weight, rows, Rows { data: x, stride }, to, Then::Store);
}

/// The product's bias to the first `rows` rows.
#[inline(always)]
fn biased(product: &Affine, to: &mut [f32], rows: usize) {
    for to in to.chunks_exact_mut(product.bias.len()).take(rows) {
        to.copy_from_slice(&product.bias);
    }
}

/// n(r) of the first `rows` rows, but for the norm's bias.
#[inline(always)]
fn normalised<S: Simd>(s: S, config: &Config, gain: &[f32], work: &mut Work, rows: usize) {
    let width = work.widths.width;
    let both = work.normed.chunks_exact_mut(width).zip(work.x.chunks_exact(width));
    for (normed, x) in both.take(rows) {
        normed.copy_from_slice(x);
        normalise(s, normed, config.width);
        scale(s, normed, gain);
    }
}

/// Keeps the keys and values of row `i` in layer `l`'s caches at position `at`, and attends where the output is `wanted`.
#[inline(always)]
pub(super) fn attention<S: Simd>(
    s: S,
    net: &Gpt,
    (at, window, l): (usize, &mut Window, usize),
    work: &mut Work,
    i: usize,
    wanted: bool,
) {
    let (shape, heads) = (net.shape, net.config.heads);
    let width = shape.head_padded();
    let Work { widths, qkv, attended, head, scores, .. } = work;
    let qkv = &qkv[i * widths.qkv..][..widths.qkv];
    let attended = &mut attended[i * widths.width..][..widths.width];
    for (h, cache) in window.caches[l * heads..(l + 1) * heads].iter_mut().enumerate() {
        let part = |i: usize| (i * heads + h) * width..(i * heads + h + 1) * width;
        cache.put(s, shape, at, &qkv[part(1)], &qkv[part(2)]);
        if wanted {
            let query = &qkv[part(0)][..shape.head];
            cache.attend(s, shape, at, query, scores, head);
            attended[h * shape.head..(h + 1) * shape.head].copy_from_slice(&head[..shape.head]);
        }
    }
}
