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

/// As [`add_weighted`], for weights most of which are 0: their rows are not read.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn add_weighted_sparse<S: Simd>(s: S, a: &mut [f32], rows: &[f32], weights: &[f32]) {
    for (row, &k) in rows.chunks_exact(a.len()).zip(weights) {
        if k != 0.0 {
            add_scaled(s, a, row, k);
        }
    }
}

/// The gradient of [`add_weighted_sparse`] by its rows.
#[cfg(feature = "train")]
#[inline(always)]
pub fn add_outer_sparse<S: Simd>(s: S, rows: &mut [f32], weights: &[f32], b: &[f32]) {
    for (row, &k) in rows.chunks_exact_mut(b.len()).zip(weights) {
        if k != 0.0 {
            add_scaled(s, row, b, k);
        }
    }
}

/// Sum of the lanes, in their order.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn sum<S: Simd>(s: S, v: S::V) -> f32 {
    let mut lanes = [0.0; 16];
    s.store(&mut lanes, v);
    lanes[..S::LANES].iter().sum()
}

/// Σ_i a_i b_i, of whole vectors.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    // So many sums that none waits on the latency of a multiply-add.
    const AT_ONCE: usize = 4;
    let mut sums = [s.splat(0.0); AT_ONCE];
    let long = AT_ONCE * S::LANES;
    let (a_long, b_long) = (a.chunks_exact(long), b.chunks_exact(long));
    let rest = (a_long.remainder(), b_long.remainder());
    for (a, b) in a_long.zip(b_long) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = s.mul_add(s.load(&a[i * S::LANES..]), s.load(&b[i * S::LANES..]), *sum);
        }
    }
    for (a, b) in rest.0.chunks_exact(S::LANES).zip(rest.1.chunks_exact(S::LANES)) {
        sums[0] = s.mul_add(s.load(a), s.load(b), sums[0]);
    }
    sum(s, s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3])))
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

/// Copies `row` into every row of `rows`, which are as long.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn fill<S: Simd>(s: S, rows: &mut [f32], row: &[f32]) {
    for to in rows.chunks_exact_mut(row.len()) {
        copy(s, to, row);
    }
}

/// max(·, 0).
#[inline(always)]
pub fn rectify<S: Simd>(s: S, x: &mut [f32]) {
    for x in x.chunks_exact_mut(S::LANES) {
        s.store(x, s.max(s.load(x), s.splat(0.0)));
    }
}
