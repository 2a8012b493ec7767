//! The layer norm, and how its gain and bias pass into the product behind it.
//!
//! With x̂ = (x − mean) / √(var + ε): (x̂ · g + b) W + c = x̂ (diag(g) W) + (b W + c). The trainer keeps the right-hand side,
//! so that a row is normalised and nothing else. The engine keeps W as it is stored, which may be f16, and bW + c.

use super::NORM_EPS;
use crate::kernels::Simd;
use crate::kernels::panel::sum;

/// x ∘ gain, for padded rows.
#[inline(always)]
pub fn scale<S: Simd>(s: S, x: &mut [f32], gain: &[f32]) {
    for (x, g) in x.chunks_exact_mut(S::LANES).zip(gain.chunks_exact(S::LANES)) {
        s.store(x, s.mul(s.load(x), s.load(g)));
    }
}

/// x becomes x̂ over its first `width` values; the padding behind them is zero before and after. Returns
/// 1 / √(var + ε).
#[inline(always)]
pub fn normalise<S: Simd>(s: S, x: &mut [f32], width: usize) -> f32 {
    let n = width as f32;
    let mut total = s.splat(0.0);
    for v in x.chunks_exact(S::LANES) {
        total = s.add(total, s.load(v));
    }
    let mean = s.splat(sum(s, total) / n);
    for v in x.chunks_exact_mut(S::LANES) {
        s.store(v, s.sub(s.load(v), mean));
    }
    x[width..].fill(0.0);
    let mut squares = s.splat(0.0);
    for v in x.chunks_exact(S::LANES) {
        let v = s.load(v);
        squares = s.mul_add(v, v, squares);
    }
    let scale = 1.0 / (sum(s, squares) / n + NORM_EPS).sqrt();
    for v in x.chunks_exact_mut(S::LANES) {
        s.store(v, s.mul(s.load(v), s.splat(scale)));
    }
    scale
}

/// d_x += scale · (d − mean d − x̂ · mean(d x̂)): the gradient through x̂.
#[cfg(feature = "train")]
#[inline(always)]
pub fn normed_backward<S: Simd>(
    s: S,
    width: usize,
    padded: usize,
    d: &[f32],
    normed: &[f32],
    scales: &[f32],
    d_x: &mut [f32],
) {
    let rows = d.chunks_exact(padded).zip(normed.chunks_exact(padded)).zip(scales);
    for (((d, normed), &scale), d_x) in rows.zip(d_x.chunks_exact_mut(padded)) {
        let (mut total, mut dot) = (s.splat(0.0), s.splat(0.0));
        for (d, x) in d.chunks_exact(S::LANES).zip(normed.chunks_exact(S::LANES)) {
            total = s.add(total, s.load(d));
            dot = s.mul_add(s.load(d), s.load(x), dot);
        }
        let mean = s.splat(-sum(s, total) / width as f32);
        let along = s.splat(-sum(s, dot) / width as f32);
        let parts = d.chunks_exact(S::LANES).zip(normed.chunks_exact(S::LANES));
        for ((d, x), to) in parts.zip(d_x.chunks_exact_mut(S::LANES)) {
            let d = s.mul_add(s.load(x), along, s.add(s.load(d), mean));
            s.store(to, s.mul_add(d, s.splat(scale), s.load(to)));
        }
        d_x[width..].fill(0.0);
    }
}

/// A norm's gain and bias.
#[derive(Clone, Copy)]
pub struct NormParameters<'a> {
    /// g.
    pub gain: &'a [f32],
    /// b; none for zeros.
    pub bias: Option<&'a [f32]>,
}

impl NormParameters<'_> {
    /// b W + c, for `weight` W [inputs, outputs] and c (empty for zeros).
    pub fn shift(self, weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let outputs = weight.len() / self.gain.len();
        let mut shift = vec![0.0; outputs];
        shift[..bias.len()].copy_from_slice(bias);
        for (row, &b) in weight.chunks_exact(outputs).zip(self.bias.unwrap_or(&[])) {
            for (s, w) in shift.iter_mut().zip(row) {
                *s += b * w;
            }
        }
        shift
    }

    /// diag(g) W and b W + c, as [`NormParameters::shift`] has them.
    #[cfg(feature = "train")]
    pub fn fold(self, weight: &[f32], bias: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let rows = weight.chunks_exact(weight.len() / self.gain.len()).zip(self.gain);
        (rows.flat_map(|(row, g)| row.iter().map(move |w| w * g)).collect(), self.shift(weight, bias))
    }
}
