//! Causal attention over one reading, forward and backward, in blocks of queries. The weights are not kept: the backward
//! computes them again from the scores and their log-sum (Dao et al. 2022, arXiv:2205.14135).

use super::products::Sizes;
use crate::kernels::panel::sum;
use crate::kernels::softmax::exponentials;
use crate::kernels::tile::{Strided, multiply_within};
use crate::kernels::transpose::transpose;
use crate::kernels::{Simd, math};
use std::ops::Range;

/// Queries of a block.
const QUERIES: usize = 32;

/// Buffers of one head.
#[derive(Default)]
pub struct Scratch {
    /// [head, T padded]: keys and values as columns.
    keys: Vec<f32>,
    values: Vec<f32>,
    /// [T, head]: keys or values on their way to columns.
    rows: Vec<f32>,
    /// [QUERIES, T padded]: scores, then weights; and their gradient.
    weights: Vec<f32>,
    d_weights: Vec<f32>,
    /// [3, T, head padded]: gradients of q, k and v.
    d_qkv: Vec<f32>,
}

/// One reading's attention.
#[derive(Clone, Copy)]
pub struct Attention {
    /// Rows.
    pub t: usize,
    /// Width of a head.
    pub width: usize,
    /// Padded sizes.
    pub sizes: Sizes,
}

impl Attention {
    /// Values of a row of q, k and v.
    #[inline(always)]
    fn row(self) -> usize {
        3 * self.sizes.heads
    }

    /// Where part `i` (q, k, v) of head `h` starts in a row.
    #[inline(always)]
    fn at(self, i: usize, h: usize) -> usize {
        i * self.sizes.heads + h * self.sizes.head
    }

    #[inline(always)]
    fn scale(self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }

    /// Part `i` of head `h` as columns: `to` [head, T padded].
    #[inline(always)]
    fn columns<S: Simd>(
        self,
        _s: S,
        qkv: &[f32],
        i: usize,
        h: usize,
        rows: &mut Vec<f32>,
        to: &mut Vec<f32>,
    ) {
        let padded = self.t.next_multiple_of(S::LANES);
        rows.clear();
        for row in qkv.chunks_exact(self.row()) {
            rows.extend_from_slice(&row[self.at(i, h)..][..self.width]);
        }
        rows.resize(padded * self.width, 0.0);
        to.resize(padded * self.width, 0.0);
        transpose(rows, self.width, to, padded);
    }

    /// q · k of a block of queries with every key that one of them may see; returns how many columns that is.
    #[inline(always)]
    fn scores<S: Simd>(
        self,
        s: S,
        qkv: &[f32],
        h: usize,
        block: &Range<usize>,
        keys: &[f32],
        to: &mut Vec<f32>,
    ) -> usize {
        let padded = self.t.next_multiple_of(S::LANES);
        let columns = block.end.next_multiple_of(S::LANES);
        to.clear();
        to.resize(QUERIES * padded, 0.0);
        let q = Strided::rows(&qkv[block.start * self.row() + self.at(0, h)..], self.row());
        multiply_within(s, (block.len(), columns, self.width), (to, padded), q, (keys, padded));
        columns
    }

    /// `out` [T, heads] from `qkv` [T, 3 · heads]; `log_sums` [heads, T] is kept for the backward.
    #[inline(always)]
    pub fn forward<S: Simd>(
        self,
        s: S,
        qkv: &[f32],
        out: &mut [f32],
        log_sums: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let Scratch { keys, rows, weights, .. } = scratch;
        let padded = self.t.next_multiple_of(S::LANES);
        out.fill(0.0);
        for (h, log_sums) in log_sums.chunks_exact_mut(self.t).enumerate() {
            self.columns(s, qkv, 1, h, rows, keys);
            for block in blocks(self.t) {
                let columns = self.scores(s, qkv, h, &block, keys, weights);
                for (i, row) in block.clone().zip(weights.chunks_exact_mut(padded)) {
                    let row = &mut row[..columns];
                    row[i + 1..].fill(f32::MIN);
                    let (max, total) = exponentials(s, row, self.scale());
                    row[i + 1..].fill(0.0);
                    for v in row.chunks_exact_mut(S::LANES) {
                        s.store(v, s.mul(s.load(v), s.splat(1.0 / total)));
                    }
                    log_sums[i] = max * self.scale() + total.ln();
                }
                let values = (&qkv[self.at(2, h)..], self.row());
                let to = &mut out[block.start * self.sizes.heads + h * self.sizes.head..];
                let m = (block.len(), self.sizes.head, block.end);
                multiply_within(s, m, (to, self.sizes.heads), Strided::rows(weights, padded), values);
            }
        }
    }

    /// `qkv` becomes its gradient, from `d_out`, the gradient of `out`.
    #[inline(always)]
    pub fn backward<S: Simd>(
        self,
        s: S,
        qkv: &mut [f32],
        out: &[f32],
        d_out: &[f32],
        log_sums: &[f32],
        scratch: &mut Scratch,
    ) {
        let Scratch { keys, values, rows, weights, d_weights, d_qkv } = scratch;
        let (padded, head, heads) = (self.t.next_multiple_of(S::LANES), self.sizes.head, self.sizes.heads);
        let scale = s.splat(self.scale());
        for (h, log_sums) in log_sums.chunks_exact(self.t).enumerate() {
            self.columns(s, qkv, 1, h, rows, keys);
            self.columns(s, qkv, 2, h, rows, values);
            d_qkv.clear();
            d_qkv.resize(3 * self.t * head, 0.0);
            let (d_q, d_kv) = d_qkv.split_at_mut(self.t * head);
            let (d_k, d_v) = d_kv.split_at_mut(self.t * head);
            for block in blocks(self.t) {
                let columns = self.scores(s, qkv, h, &block, keys, weights);
                let at = block.start * heads + h * head;
                d_weights.clear();
                d_weights.resize(QUERIES * padded, 0.0);
                let m = (block.len(), columns, self.width);
                multiply_within(
                    s,
                    m,
                    (d_weights, padded),
                    Strided::rows(&d_out[at..], heads),
                    (values, padded),
                );
                let both = weights.chunks_exact_mut(padded).zip(d_weights.chunks_exact_mut(padded));
                for (i, (p, d_p)) in block.clone().zip(both) {
                    let here = i * heads + h * head..i * heads + (h + 1) * head;
                    let mut dot = s.splat(0.0);
                    let d_out = d_out[here.clone()].chunks_exact(S::LANES);
                    for (a, b) in out[here].chunks_exact(S::LANES).zip(d_out) {
                        dot = s.mul_add(s.load(a), s.load(b), dot);
                    }
                    let (dot, log_sum) = (s.splat(sum(s, dot)), s.splat(-log_sums[i]));
                    let (p, d_p) = (&mut p[..columns], &mut d_p[..columns]);
                    p[i + 1..].fill(f32::MIN);
                    for (p, d_p) in p.chunks_exact_mut(S::LANES).zip(d_p.chunks_exact_mut(S::LANES)) {
                        let e = math::exp(s, s.mul_add(s.load(p), scale, log_sum));
                        s.store(p, e);
                        s.store(d_p, s.mul(s.mul(e, scale), s.sub(s.load(d_p), dot)));
                    }
                    p[i + 1..].fill(0.0);
                    d_p[i + 1..].fill(0.0);
                }
                let (n, seen) = (block.len(), block.end);
                let row = self.row();
                let transposed = |x| Strided { data: x, row: 1, column: padded };
                let d = (&d_out[at..], heads);
                multiply_within(s, (seen, head, n), (d_v, head), transposed(weights), d);
                let q = (&qkv[block.start * row + self.at(0, h)..], row);
                multiply_within(s, (seen, head, n), (d_k, head), transposed(d_weights), q);
                let d_q = &mut d_q[block.start * head..];
                let k = (&qkv[self.at(1, h)..], row);
                multiply_within(s, (n, head, seen), (d_q, head), Strided::rows(d_weights, padded), k);
            }
            for (i, d) in d_qkv.chunks_exact(self.t * head).enumerate() {
                for (row, d) in qkv.chunks_exact_mut(self.row()).zip(d.chunks_exact(head)) {
                    row[self.at(i, h)..][..head].copy_from_slice(d);
                }
            }
        }
    }
}

/// Blocks of queries.
#[inline(always)]
fn blocks(t: usize) -> impl Iterator<Item = Range<usize>> {
    (0..t).step_by(QUERIES).map(move |i| i..t.min(i + QUERIES))
}
