//! NEON on aarch64: four lanes.
#![allow(unsafe_code, reason = "intrinsics, and calls of the shell that enables them")]

use super::{Isa, Kernel, Simd};
use std::arch::aarch64::*;
use std::arch::asm;

/// Runs `kernel` under NEON. `isa` is proof that it was detected.
#[inline]
pub fn run<K: Kernel>(kernel: K, _isa: Isa) -> K::Output {
    // SAFETY: an `Isa` of this kind exists only where the feature was detected.
    unsafe { neon(kernel) }
}

/// Runs `kernel` under NEON and its dot products. `isa` is proof that they were detected.
#[inline]
pub fn run_dot<K: Kernel>(kernel: K, _isa: Isa) -> K::Output {
    // SAFETY: as above.
    unsafe { neon_dot(kernel) }
}

/// The shells: a body that is inlined into one of them is compiled under its instruction set.
#[target_feature(enable = "neon")]
#[inline(never)]
fn neon<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon::<false> { _seen: () })
}

#[target_feature(enable = "neon,dotprod")]
#[inline(never)]
fn neon_dot<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Neon::<true> { _seen: () })
}

/// NEON; `DOT` where there are dot products of bytes.
#[derive(Clone, Copy)]
struct Neon<const DOT: bool> {
    /// Only a shell above makes one.
    _seen: (),
}

impl<const DOT: bool> Simd for Neon<DOT> {
    type V = float32x4_t;
    type I = int32x4_t;
    const LANES: usize = 4;
    const TILE_VECTORS: usize = 3;
    const TILE_ROWS: usize = 8;
    const BIASED: bool = false;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: the token proves the instruction set.
        unsafe { if DOT { neon_dot(kernel) } else { neon(kernel) } }
    }
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
    #[inline(always)]
    unsafe fn load_half_ptr(self, x: *const u16) -> Self::V {
        // SAFETY: the caller promises the values; every core with NEON widens 16-bit floats.
        unsafe { vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x))) }
    }
    #[inline(always)]
    fn max_lane(self, v: Self::V) -> f32 {
        // SAFETY: the token proves the instruction set.
        unsafe { vmaxvq_f32(v) }
    }
    #[inline(always)]
    fn splat_int(self, x: i32) -> Self::I {
        // SAFETY: the token proves the instruction set.
        unsafe { vdupq_n_s32(x) }
    }
    #[inline(always)]
    fn add_int(self, a: Self::I, b: Self::I) -> Self::I {
        // SAFETY: the token proves the instruction set.
        unsafe { vaddq_s32(a, b) }
    }
    #[inline(always)]
    fn to_float(self, a: Self::I) -> Self::V {
        // SAFETY: the token proves the instruction set.
        unsafe { vcvtq_f32_s32(a) }
    }
    #[inline(always)]
    unsafe fn load_int_ptr(self, x: *const i32) -> Self::I {
        // SAFETY: the caller promises the integers, the token proves the instruction set.
        unsafe { vld1q_s32(x) }
    }
    #[inline(always)]
    unsafe fn dot_ptr(self, acc: Self::I, x: Self::I, w: *const i8) -> Self::I {
        // SAFETY: the caller promises the codes, the token proves the instruction set.
        unsafe {
            let (x, w) = (vreinterpretq_s8_s32(x), vld1q_s8(w));
            if DOT {
                // `vdotq_s32` is not in stable Rust.
                let mut acc = acc;
                asm!("sdot {acc:v}.4s, {x:v}.16b, {w:v}.16b", acc = inout(vreg) acc, x = in(vreg) x, w = in(vreg) w,
                    options(pure, nomem, nostack, preserves_flags));
                return acc;
            }
            let low = vpaddlq_s16(vmull_s8(vget_low_s8(x), vget_low_s8(w)));
            let high = vpaddlq_s16(vmull_high_s8(x, w));
            vaddq_s32(acc, vpaddq_s32(low, high))
        }
    }
    #[inline(always)]
    unsafe fn store_i8_ptr(self, out: *mut u8, v: Self::V) {
        // SAFETY: the caller promises the bytes, the token proves the instruction set.
        unsafe {
            let q = vqmovn_s32(vcvtnq_s32_f32(v));
            let q = vqmovn_s16(vcombine_s16(q, q));
            out.cast::<u32>().write_unaligned(vget_lane_u32::<0>(vreinterpret_u32_s8(q)));
        }
    }
}
