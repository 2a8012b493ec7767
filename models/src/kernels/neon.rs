//! NEON on aarch64: four lanes.
#![allow(unsafe_code, reason = "intrinsics, and calls of the shell that enables them")]

use super::{Isa, Kernel, Simd};
use std::arch::aarch64::*;

/// Runs `kernel` under NEON. `isa` is proof that it was detected.
#[inline]
pub fn run<K: Kernel>(kernel: K, _isa: Isa) -> K::Output {
    #[target_feature(enable = "neon")]
    fn shell<K: Kernel>(kernel: K) -> K::Output {
        kernel.run(Neon { _seen: () })
    }
    // SAFETY: an `Isa` of this kind exists only where the feature was detected.
    unsafe { shell(kernel) }
}

/// NEON.
#[derive(Clone, Copy)]
struct Neon {
    /// Only the shell above makes one.
    _seen: (),
}

impl Simd for Neon {
    type V = float32x4_t;
    const LANES: usize = 4;
    const TILE_VECTORS: usize = 3;
    const TILE_ROWS: usize = 8;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> Self::V {
        // SAFETY: the slice holds LANES floats; the token proves the instruction set.
        unsafe { self.load_ptr(x[..4].as_ptr()) }
    }
    #[inline(always)]
    fn store(self, x: &mut [f32], v: Self::V) {
        // SAFETY: the slice holds LANES floats; the token proves the instruction set.
        unsafe { self.store_ptr(x[..4].as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }
    #[inline(always)]
    fn exp2_int(self, n: Self::V) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe {
            let bits = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(bits))
        }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> Self::V {
        // SAFETY: the caller promises the floats, the token proves the instruction set.
        unsafe { vld1q_f32(x) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, x: *mut f32, v: Self::V) {
        // SAFETY: the caller promises the floats, the token proves the instruction set.
        unsafe { vst1q_f32(x, v) }
    }
}
