//! AVX2+FMA and AVX-512F, one trait each over the intrinsics.
#![allow(unsafe_code, reason = "intrinsics, and calls of the shells that enable them")]

use super::{Isa, Kernel, Simd};
use std::arch::x86_64::*;

/// Runs `kernel` under AVX2, FMA and F16C. `isa` is proof that they were detected.
#[inline]
pub fn run_avx2<K: Kernel>(kernel: K, _isa: Isa) -> K::Output {
    // SAFETY: an `Isa` of this kind exists only where the features were detected.
    unsafe { avx2(kernel, false) }
}

/// Runs `kernel` under AVX2, FMA, F16C and AVX-VNNI. `isa` is proof that they were detected.
#[inline]
pub fn run_avx2_dot<K: Kernel>(kernel: K, _isa: Isa) -> K::Output {
    // SAFETY: as above.
    unsafe { avx2_dot(kernel, false) }
}

/// Runs `kernel` under AVX-512F. `isa` is proof that it was detected.
#[inline]
pub fn run_avx512<K: Kernel>(kernel: K, isa: Isa) -> K::Output {
    // SAFETY: as above.
    unsafe { avx512(kernel, isa.bfloat16) }
}

/// Runs `kernel` under AVX-512F and AVX-512 VNNI. `isa` is proof that they were detected.
#[inline]
pub fn run_avx512_dot<K: Kernel>(kernel: K, isa: Isa) -> K::Output {
    // SAFETY: as above.
    unsafe { avx512_dot(kernel, isa.bfloat16) }
}

/// The shells: a body that is inlined into one of them is compiled under its instruction set.
#[target_feature(enable = "avx2,fma,f16c")]
#[inline(never)]
fn avx2<K: Kernel>(kernel: K, bfloat16: bool) -> K::Output {
    kernel.run(Avx2::<false> { bfloat16 })
}

#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
#[inline(never)]
fn avx2_dot<K: Kernel>(kernel: K, bfloat16: bool) -> K::Output {
    kernel.run(Avx2::<true> { bfloat16 })
}

#[target_feature(enable = "avx512f,avx2,fma,f16c")]
#[inline(never)]
fn avx512<K: Kernel>(kernel: K, bfloat16: bool) -> K::Output {
    kernel.run(Avx512::<false> { bfloat16 })
}

#[target_feature(enable = "avx512f,avx512vnni,avx2,fma,f16c")]
#[inline(never)]
fn avx512_dot<K: Kernel>(kernel: K, bfloat16: bool) -> K::Output {
    kernel.run(Avx512::<true> { bfloat16 })
}

/// acc + the dot products of four bytes, without VNNI. `maddubs` adds neighbouring products in 16 bits with saturation
/// and wants one side unsigned: |x| ≤ 128 and weights of at most 127 give sums of at most 32,512, so none saturates.
///
/// # Safety
/// The machine has AVX2.
#[inline(always)]
unsafe fn dot_avx2(acc: __m256i, x: __m256i, w: __m256i) -> __m256i {
    // SAFETY: the caller promises the instruction set.
    unsafe {
        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
        _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    }
}

/// One instruction set: the token, and the trait by its intrinsics.
macro_rules! simd {
    (
        $name:ident by $shell:ident and $shell_dot:ident, $v:ty, $lanes:literal lanes, tiles of $tile_vectors:literal by $tile_rows:literal,
        $set1:ident, $loadu:ident, $storeu:ident, $fmadd:ident,
        $add:ident, $sub:ident, $mul:ident, $div:ident, $min:ident, $max:ident,
        $set1_epi32:ident, $add_epi32:ident, $cvtps_epi32:ident, $slli_epi32:ident, $cast:ident,
        $int:ty, $cvtepi32_ps:ident, $loadu_int:ident, $cvtph_ps:ident, $load_halves:ident,
        { $($own:item)* }
    ) => {
        /// The token; `DOT` where there are dot products of bytes.
        #[derive(Clone, Copy)]
        struct $name<const DOT: bool> {
            /// Whether the trainer's product rounds to bfloat16. Only a shell above makes a token.
            bfloat16: bool,
        }

        impl<const DOT: bool> Simd for $name<DOT> {
            type V = $v;
            type I = $int;
            const LANES: usize = $lanes;
            const TILE_VECTORS: usize = $tile_vectors;
            const TILE_ROWS: usize = $tile_rows;
            const BIASED: bool = DOT;

            #[inline(always)]
            fn bfloat16(self) -> bool {
                self.bfloat16
            }
            #[inline(always)]
            fn call<K: Kernel>(self, kernel: K) -> K::Output {
                // SAFETY: the token proves the instruction set.
                unsafe { if DOT && K::INTEGER { $shell_dot(kernel, self.bfloat16) } else { $shell(kernel, self.bfloat16) } }
            }
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
            #[inline(always)]
            unsafe fn load_half_ptr(self, x: *const u16) -> Self::V {
                // SAFETY: the caller promises the values, the token proves the instruction set.
                unsafe { $cvtph_ps($load_halves(x.cast())) }
            }
            #[inline(always)]
            fn splat_int(self, x: i32) -> Self::I {
                // SAFETY: the token proves the instruction set.
                unsafe { $set1_epi32(x) }
            }
            #[inline(always)]
            fn add_int(self, a: Self::I, b: Self::I) -> Self::I {
                // SAFETY: the token proves the instruction set.
                unsafe { $add_epi32(a, b) }
            }
            #[inline(always)]
            fn to_float(self, a: Self::I) -> Self::V {
                // SAFETY: the token proves the instruction set.
                unsafe { $cvtepi32_ps(a) }
            }
            #[inline(always)]
            unsafe fn load_int_ptr(self, x: *const i32) -> Self::I {
                // SAFETY: the caller promises the integers, the token proves the instruction set.
                unsafe { $loadu_int(x.cast()) }
            }
            $($own)*
        }
    };
}

simd!(
    Avx2 by avx2 and avx2_dot, __m256, 8 lanes, tiles of 2 by 4,
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps,
    _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps, _mm256_min_ps, _mm256_max_ps,
    _mm256_set1_epi32, _mm256_add_epi32, _mm256_cvtps_epi32, _mm256_slli_epi32, _mm256_castsi256_ps,
    __m256i, _mm256_cvtepi32_ps, _mm256_loadu_si256, _mm256_cvtph_ps, _mm_loadu_si128,
    {
        #[inline(always)]
        fn max_lane(self, v: Self::V) -> f32 {
            // SAFETY: the token proves the instruction set.
            unsafe {
                let m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
                let m = _mm_max_ps(m, _mm_movehl_ps(m, m));
                _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)))
            }
        }
        #[inline(always)]
        unsafe fn dot_ptr(self, acc: Self::I, x: Self::I, w: *const i8) -> Self::I {
            // SAFETY: the caller promises the codes, the token proves the instruction set.
            unsafe {
                let w = _mm256_loadu_si256(w.cast());
                if DOT { _mm256_dpbusd_avx_epi32(acc, x, w) } else { dot_avx2(acc, x, w) }
            }
        }
        #[inline(always)]
        unsafe fn store_i8_ptr(self, out: *mut u8, v: Self::V) {
            // SAFETY: the caller promises the bytes, the token proves the instruction set.
            unsafe {
                let q = _mm256_cvtps_epi32(v);
                let q = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256::<1>(q));
                let q = _mm_packs_epi16(q, q);
                let bias = _mm_set1_epi8(if DOT { i8::MIN } else { 0 });
                _mm_storel_epi64(out.cast(), _mm_xor_si128(q, bias));
            }
        }
    }
);

simd!(
    Avx512 by avx512 and avx512_dot, __m512, 16 lanes, tiles of 3 by 8,
    _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps,
    _mm512_add_ps, _mm512_sub_ps, _mm512_mul_ps, _mm512_div_ps, _mm512_min_ps, _mm512_max_ps,
    _mm512_set1_epi32, _mm512_add_epi32, _mm512_cvtps_epi32, _mm512_slli_epi32, _mm512_castsi512_ps,
    __m512i, _mm512_cvtepi32_ps, _mm512_loadu_si512, _mm512_cvtph_ps, _mm256_loadu_si256,
    {
        #[inline(always)]
        fn max_lane(self, v: Self::V) -> f32 {
            // SAFETY: the token proves the instruction set.
            unsafe { _mm512_reduce_max_ps(v) }
        }
        #[inline(always)]
        unsafe fn dot_ptr(self, acc: Self::I, x: Self::I, w: *const i8) -> Self::I {
            // SAFETY: the caller promises the codes, the token proves the instruction set.
            unsafe {
                if DOT {
                    return _mm512_dpbusd_epi32(acc, x, _mm512_loadu_si512(w.cast()));
                }
                let (low, high) = (_mm512_castsi512_si256(acc), _mm512_extracti64x4_epi64::<1>(acc));
                let x = _mm512_castsi512_si256(x);
                let low = dot_avx2(low, x, _mm256_loadu_si256(w.cast()));
                let high = dot_avx2(high, x, _mm256_loadu_si256(w.add(32).cast()));
                _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
            }
        }
        #[inline(always)]
        unsafe fn store_i8_ptr(self, out: *mut u8, v: Self::V) {
            // SAFETY: the caller promises the bytes, the token proves the instruction set.
            unsafe {
                let q = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v));
                let bias = _mm_set1_epi8(if DOT { i8::MIN } else { 0 });
                _mm_storeu_si128(out.cast(), _mm_xor_si128(q, bias));
            }
        }
    }
);
