//! The exponential, and the gate made of it. One polynomial for every instruction set.

use super::Simd;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
// ln 2 in two parts, the first with few bits, so that n·LN2_HIGH is exact (Cephes, expf).
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Adding and subtracting 1.5·2²³ rounds to the nearest integer.
const ROUND: f32 = 12_582_912.0;

/// eˣ, relative error below 3e-7 for |x| ≤ 87; x outside is clamped to it.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    exp_rounded::<S, true>(s, x)
}

/// The same, every product rounded before it is added to: the same bits under every instruction set.
#[inline(always)]
pub fn exp_everywhere<S: Simd>(s: S, x: S::V) -> S::V {
    exp_rounded::<S, false>(s, x)
}

#[inline(always)]
fn exp_rounded<S: Simd, const FUSED: bool>(s: S, x: S::V) -> S::V {
    let x = s.min(s.max(x, s.splat(-87.0)), s.splat(87.0));
    let n = s.sub(mul_add::<S, FUSED>(s, x, s.splat(LOG2_E), s.splat(ROUND)), s.splat(ROUND));
    let r = mul_add::<S, FUSED>(s, n, s.splat(-LN2_HIGH), x);
    let r = mul_add::<S, FUSED>(s, n, s.splat(-LN2_LOW), r);
    let mut p = s.splat(1.987_569_1e-4);
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = mul_add::<S, FUSED>(s, p, r, s.splat(c));
    }
    let y = s.add(mul_add::<S, FUSED>(s, s.mul(p, r), r, r), s.splat(1.0));
    s.mul(y, s.exp2_int(n))
}

#[inline(always)]
fn mul_add<S: Simd, const FUSED: bool>(s: S, a: S::V, b: S::V, c: S::V) -> S::V {
    if FUSED { s.mul_add(a, b, c) } else { s.add(s.mul(a, b), c) }
}

/// tanh(a)·σ(b) = (1 − E) / ((1 + E)(1 + F)) with E = e^−2a, F = e^−b: two exponentials and one division. Always in
/// [−1, 1].
#[inline(always)]
pub fn gate<S: Simd>(s: S, a: S::V, b: S::V) -> S::V {
    let (e, f) = gate_exps(s, a, b);
    let one = s.splat(1.0);
    s.div(s.sub(one, e), s.mul(s.add(one, e), s.add(one, f)))
}

/// tanh(a) and σ(b) apart, as the backward pass wants them. In [−1, 1] and [0, 1].
#[inline(always)]
pub fn tanh_sigmoid<S: Simd>(s: S, a: S::V, b: S::V) -> (S::V, S::V) {
    let (e, f) = gate_exps(s, a, b);
    let one = s.splat(1.0);
    (s.div(s.sub(one, e), s.add(one, e)), s.div(one, s.add(one, f)))
}

/// tanh(a), in [−1, 1].
#[inline(always)]
pub fn tanh<S: Simd>(s: S, a: S::V) -> S::V {
    tanh_sigmoid(s, a, s.splat(0.0)).0
}

/// E and F, from inputs clamped so that no product of the two overflows.
#[inline(always)]
fn gate_exps<S: Simd>(s: S, a: S::V, b: S::V) -> (S::V, S::V) {
    let a = s.min(s.max(a, s.splat(-15.0)), s.splat(15.0));
    let b = s.min(s.max(b, s.splat(-30.0)), s.splat(30.0));
    (exp(s, s.mul(a, s.splat(-2.0))), exp(s, s.sub(s.splat(0.0), b)))
}

/// σ(x), in [0, 1].
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    let one = s.splat(1.0);
    s.div(one, s.add(one, exp(s, s.sub(s.splat(0.0), x))))
}

/// gelu(x) = x·Φ(x) and its derivative Φ(x) + x·φ(x), with Φ and φ the normal distribution and density: the exact
/// form of Hendrycks and Gimpel 2016 (arXiv:1606.08415), not its tanh approximation. The tail 1 − Φ(|x|) is Abramowitz
/// and Stegun's 7.1.26, absolute error below 8e-8.
#[inline(always)]
pub fn gelu<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    let size = s.max(x, s.sub(zero, x));
    let e = exp(s, s.mul(s.mul(x, x), s.splat(-0.5)));
    let t = s.div(one, s.mul_add(size, s.splat(0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2), one));
    let mut p = s.splat(1.061_405_4);
    for c in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        p = s.mul_add(p, t, s.splat(c));
    }
    let tail = s.mul(s.mul(s.mul(p, t), s.splat(0.5)), e);
    let gelu = s.sub(s.max(x, zero), s.mul(size, tail));
    let sign = s.min(s.max(s.mul(x, s.splat(1e30)), s.splat(-1.0)), one);
    let half = s.splat(0.5);
    let below = s.mul_add(sign, s.sub(half, tail), half);
    let density = s.mul(e, s.splat(0.398_942_3));
    (gelu, s.mul_add(x, density, below))
}
