//! Rows of a few vectors.

use crate::kernels::Simd;

/// a += b, of whole vectors.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn add<S: Simd>(s: S, a: &mut [f32], b: &[f32]) {
    for (a, b) in a.chunks_exact_mut(S::LANES).zip(b.chunks_exact(S::LANES)) {
        s.store(a, s.add(s.load(a), s.load(b)));
    }
}

/// a += k b, for rows of whole vectors.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn add_scaled<S: Simd>(s: S, a: &mut [f32], b: &[f32], k: f32) {
    let k = s.splat(k);
    for (a, b) in a.chunks_exact_mut(S::LANES).zip(b.chunks_exact(S::LANES)) {
        s.store(a, s.mul_add(k, s.load(b), s.load(a)));
    }
}

/// Copies a row of a few vectors, which costs less than a call of `memcpy`.
///
/// # Panics
/// When the lengths differ.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn copy<S: Simd>(s: S, to: &mut [f32], from: &[f32]) {
    assert_eq!(to.len(), from.len());
    let whole = to.len() / S::LANES * S::LANES;
    let ((to, end), (from, rest)) = (to.split_at_mut(whole), from.split_at(whole));
    for (to, from) in to.chunks_exact_mut(S::LANES).zip(from.chunks_exact(S::LANES)) {
        s.store(to, s.load(from));
    }
    end.copy_from_slice(rest);
}
