//! AVX2+FMA and AVX-512F, one trait each over the intrinsics.
#![allow(unsafe_code, reason = "intrinsics, and calls of the shells that enable them")]

use super::{Isa, Kernel, Simd};
use std::arch::x86_64::*;

/// Runs `kernel` under AVX2 and FMA. `isa` is proof that they were detected.
#[inline]
pub fn run_avx2<K: Kernel>(kernel: K, _isa: Isa) -> K::Output {
    #[target_feature(enable = "avx2,fma")]
    fn shell<K: Kernel>(kernel: K) -> K::Output {
        kernel.run(Avx2 { _seen: () })
    }
    // SAFETY: an `Isa` of this kind exists only where the features were detected.
    unsafe { shell(kernel) }
}

/// Runs `kernel` under AVX-512F. `isa` is proof that it was detected.
#[inline]
pub fn run_avx512<K: Kernel>(kernel: K, _isa: Isa) -> K::Output {
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn shell<K: Kernel>(kernel: K) -> K::Output {
        kernel.run(Avx512 { _seen: () })
    }
    // SAFETY: an `Isa` of this kind exists only where the features were detected.
    unsafe { shell(kernel) }
}

/// Avx2.
#[derive(Clone, Copy)]
struct Avx2 {
    /// Only a shell below makes one.
    _seen: (),
}

impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = 8;
    const TILE_VECTORS: usize = 2;
    const TILE_ROWS: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> Self::V {
        // SAFETY: the slice holds LANES floats; the token proves the instruction set.
        unsafe { self.load_ptr(x[..8].as_ptr()) }
    }
    #[inline(always)]
    fn store(self, x: &mut [f32], v: Self::V) {
        // SAFETY: the slice holds LANES floats; the token proves the instruction set.
        unsafe { self.store_ptr(x[..8].as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn exp2_int(self, n: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let bias = _mm256_set1_epi32(127);
            let bits = _mm256_add_epi32(_mm256_cvtps_epi32(n), bias);
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(bits))
        }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> Self::V {
        // SAFETY: the caller promises the floats, the token proves the instruction set.
        unsafe { _mm256_loadu_ps(x) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, x: *mut f32, v: Self::V) {
        // SAFETY: the caller promises the floats, the token proves the instruction set.
        unsafe { _mm256_storeu_ps(x, v) }
    }
}

/// Avx512.
#[derive(Clone, Copy)]
struct Avx512 {
    /// Only a shell below makes one.
    _seen: (),
}

impl Simd for Avx512 {
    type V = __m512;
    const LANES: usize = 16;
    const TILE_VECTORS: usize = 3;
    const TILE_ROWS: usize = 8;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> Self::V {
        // SAFETY: the slice holds LANES floats; the token proves the instruction set.
        unsafe { self.load_ptr(x[..16].as_ptr()) }
    }
    #[inline(always)]
    fn store(self, x: &mut [f32], v: Self::V) {
        // SAFETY: the slice holds LANES floats; the token proves the instruction set.
        unsafe { self.store_ptr(x[..16].as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn exp2_int(self, n: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let bias = _mm512_set1_epi32(127);
            let bits = _mm512_add_epi32(_mm512_cvtps_epi32(n), bias);
            _mm512_castsi512_ps(_mm512_slli_epi32::<23>(bits))
        }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> Self::V {
        // SAFETY: the caller promises the floats, the token proves the instruction set.
        unsafe { _mm512_loadu_ps(x) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, x: *mut f32, v: Self::V) {
        // SAFETY: the caller promises the floats, the token proves the instruction set.
        unsafe { _mm512_storeu_ps(x, v) }
    }
}
