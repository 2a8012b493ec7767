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

/// One instruction set: the token, and the trait by its intrinsics.
macro_rules! simd {
    (
        $name:ident, $v:ty, $lanes:literal lanes, tiles of $tile_vectors:literal by $tile_rows:literal,
        $set1:ident, $loadu:ident, $storeu:ident, $fmadd:ident,
        $add:ident, $sub:ident, $mul:ident, $div:ident, $min:ident, $max:ident,
        $set1_epi32:ident, $add_epi32:ident, $cvtps_epi32:ident, $slli_epi32:ident, $cast:ident
    ) => {
        #[derive(Clone, Copy)]
        struct $name {
            /// Only a shell above makes one.
            _seen: (),
        }

        impl Simd for $name {
            type V = $v;
            const LANES: usize = $lanes;
            const TILE_VECTORS: usize = $tile_vectors;
            const TILE_ROWS: usize = $tile_rows;

            #[inline(always)]
            fn splat(self, x: f32) -> Self::V {
                // SAFETY: the token proves the instruction set.
                unsafe { $set1(x) }
            }
            #[inline(always)]
            fn load(self, x: &[f32]) -> Self::V {
                // SAFETY: the slice holds LANES floats; the token proves the instruction set.
                unsafe { self.load_ptr(x[..$lanes].as_ptr()) }
            }
            #[inline(always)]
            fn store(self, x: &mut [f32], v: Self::V) {
                // SAFETY: the slice holds LANES floats; the token proves the instruction set.
                unsafe { self.store_ptr(x[..$lanes].as_mut_ptr(), v) }
            }
            #[inline(always)]
            fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                // SAFETY: the token proves the instruction set.
                unsafe { $fmadd(a, b, c) }
            }
            #[inline(always)]
            fn add(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: the token proves the instruction set.
                unsafe { $add(a, b) }
            }
            #[inline(always)]
            fn sub(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: the token proves the instruction set.
                unsafe { $sub(a, b) }
            }
            #[inline(always)]
            fn mul(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: the token proves the instruction set.
                unsafe { $mul(a, b) }
            }
            #[inline(always)]
            fn div(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: the token proves the instruction set.
                unsafe { $div(a, b) }
            }
            #[inline(always)]
            fn min(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: the token proves the instruction set.
                unsafe { $min(a, b) }
            }
            #[inline(always)]
            fn max(self, a: Self::V, b: Self::V) -> Self::V {
                // SAFETY: the token proves the instruction set.
                unsafe { $max(a, b) }
            }
            #[inline(always)]
            fn exp2_int(self, n: Self::V) -> Self::V {
                // SAFETY: the token proves the instruction set.
                unsafe { $cast($slli_epi32::<23>($add_epi32($cvtps_epi32(n), $set1_epi32(127)))) }
            }
            #[inline(always)]
            unsafe fn load_ptr(self, x: *const f32) -> Self::V {
                // SAFETY: the caller promises the floats, the token proves the instruction set.
                unsafe { $loadu(x) }
            }
            #[inline(always)]
            unsafe fn store_ptr(self, x: *mut f32, v: Self::V) {
                // SAFETY: the caller promises the floats, the token proves the instruction set.
                unsafe { $storeu(x, v) }
            }
        }
    };
}

simd!(
    Avx2, __m256, 8 lanes, tiles of 2 by 4,
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps,
    _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps, _mm256_min_ps, _mm256_max_ps,
    _mm256_set1_epi32, _mm256_add_epi32, _mm256_cvtps_epi32, _mm256_slli_epi32, _mm256_castsi256_ps
);

simd!(
    Avx512, __m512, 16 lanes, tiles of 3 by 8,
    _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps,
    _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_div_ps, _mm512_min_ps, _mm512_max_ps,
    _mm512_set1_epi32, _mm512_add_epi32, _mm512_cvtps_epi32, _mm512_slli_epi32, _mm512_castsi512_ps
);
