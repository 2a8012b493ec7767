//! Work on rows of whole vectors: sums, and the softmax with its loss.

use crate::kernels::Simd;
use crate::kernels::panel::add;
use crate::kernels::softmax::exponentials;

/// `n` copies of `row`.
#[inline(always)]
pub fn broadcast(to: &mut Vec<f32>, row: &[f32], n: usize) {
    to.resize(n * row.len(), 0.0);
    for to in to.chunks_exact_mut(row.len()) {
        to.copy_from_slice(row);
    }
}

/// sum += every row of `rows`.
#[inline(always)]
pub fn add_rows<S: Simd>(s: S, sum: &mut [f32], rows: &[f32]) {
    for row in rows.chunks_exact(sum.len()) {
        add(s, sum, row);
    }
}

/// −ln softmax(row)[target]; `row` becomes scale · (softmax(row) − onehot(target)), zeros in the padding.
#[inline(always)]
pub fn softmax_loss<S: Simd>(s: S, row: &mut [f32], target: usize, classes: usize, scale: f32) -> f64 {
    let logit = row[target];
    row[classes..].fill(f32::MIN);
    let (max, total) = exponentials(s, row, 1.0);
    let k = s.splat(scale / total);
    for v in row.chunks_exact_mut(S::LANES) {
        s.store(v, s.mul(s.load(v), k));
    }
    row[target] -= scale;
    row[classes..].fill(0.0);
    f64::from(max - logit) + f64::from(total).ln()
}

/// max(·, 0) of whole vectors.
#[inline(always)]
pub fn rectify<S: Simd>(s: S, x: &mut [f32]) {
    for x in x.chunks_exact_mut(S::LANES) {
        s.store(x, s.max(s.load(x), s.splat(0.0)));
    }
}

/// Zeroes the gradient where the rectifier's output was zero.
#[inline(always)]
pub fn pass_where_positive<S: Simd>(_s: S, gradient: &mut [f32], output: &[f32]) {
    for (g, &y) in gradient.iter_mut().zip(output) {
        *g = if y > 0.0 { *g } else { 0.0 };
    }
}
