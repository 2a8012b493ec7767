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

/// a += Σ_i k_i b_i over the rows b_i of `rows`, which are as long as `a`.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn add_weighted<S: Simd>(s: S, a: &mut [f32], rows: &[f32], weights: &[f32]) {
    for (row, &k) in rows.chunks_exact(a.len()).zip(weights) {
        add_scaled(s, a, row, k);
    }
}

/// a_i += k_i b for the rows a_i of `rows`, which are as long as `b`: the gradient of [`add_weighted`] by its rows.
#[cfg(feature = "train")]
#[inline(always)]
pub fn add_outer<S: Simd>(s: S, rows: &mut [f32], weights: &[f32], b: &[f32]) {
    for (row, &k) in rows.chunks_exact_mut(b.len()).zip(weights) {
        add_scaled(s, row, b, k);
    }
}

/// a += k b, for rows of whole vectors.
#[inline(always)]
fn add_scaled<S: Simd>(s: S, a: &mut [f32], b: &[f32], k: f32) {
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
