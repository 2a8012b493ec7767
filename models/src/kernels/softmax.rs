//! The reduction in every softmax.

use super::{Simd, math};

/// x becomes e^(scale · (x − max x)); returns max x and the sum. `x` is whole vectors.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn exponentials<S: Simd>(s: S, x: &mut [f32], scale: f32) -> (f32, f32) {
    let mut high = s.splat(f32::MIN);
    for v in x.chunks_exact(S::LANES) {
        high = s.max(s.load(v), high);
    }
    let mut lanes = [f32::MIN; 16];
    s.store(&mut lanes, high);
    let max = lanes.into_iter().fold(f32::MIN, f32::max);
    let mut total = s.splat(0.0);
    for v in x.chunks_exact_mut(S::LANES) {
        let e = math::exp(s, s.mul(s.sub(s.load(v), s.splat(max)), s.splat(scale)));
        total = s.add(total, e);
        s.store(v, e);
    }
    s.store(&mut lanes, total);
    (max, lanes[..S::LANES].iter().sum())
}
