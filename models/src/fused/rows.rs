//! Work on rows of whole vectors: sums, rectifiers, gates, and the softmax with its loss.

use crate::kernels::softmax::exponentials;
use crate::kernels::{Simd, math};

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
    let width = sum.len();
    for i in (0..width).step_by(S::LANES) {
        let mut total = s.load(&sum[i..]);
        let mut at = i;
        while at < rows.len() {
            total = s.add(total, s.load(&rows[at..]));
            at += width;
        }
        s.store(&mut sum[i..], total);
    }
}

/// Zeroes the gradient where the rectifier's output was zero.
#[inline(always)]
pub fn pass_where_positive<S: Simd>(_s: S, gradient: &mut [f32], output: &[f32]) {
    for (g, &y) in gradient.iter_mut().zip(output) {
        *g = if y > 0.0 { *g } else { 0.0 };
    }
}

/// tanh and σ of the halves of each row of z [2d], beside each other in `halves` [2d], and their product h `[d]`.
#[inline(always)]
pub fn gates<S: Simd>(s: S, d: usize, z: &[f32], halves: &mut [f32], h: &mut [f32]) {
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

/// The gradient of z in [`gates`]: dh·σ·(1 − tanh²) and dh·tanh·σ·(1 − σ).
#[inline(always)]
pub fn gates_backward<S: Simd>(s: S, d: usize, d_h: &[f32], halves: &[f32], d_z: &mut [f32]) {
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
