//! The reference: four lanes in an array, no intrinsics. Every machine runs it, and every other kernel is held to it.

use super::{Kernel, Simd};
use half::f16;

/// Plain arithmetic.
#[derive(Clone, Copy)]
pub struct Plain;

type V = [f32; 4];
type I = [i32; 4];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

impl Simd for Plain {
    type V = V;
    type I = I;
    const LANES: usize = 4;
    const TILE_VECTORS: usize = 2;
    const TILE_ROWS: usize = 4;
    const BIASED: bool = false;

    #[inline(never)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }
    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; 4]
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> V {
        [x[0], x[1], x[2], x[3]]
    }
    #[inline(always)]
    fn store(self, x: &mut [f32], v: V) {
        x[..4].copy_from_slice(&v);
    }
    #[inline(always)]
    fn mul_add(self, a: V, b: V, c: V) -> V {
        self.add(self.mul(a, b), c)
    }
    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn exp2_int(self, n: V) -> V {
        let one = |n: f32| f32::from_bits(((n as i32 + 127) as u32) << 23);
        [one(n[0]), one(n[1]), one(n[2]), one(n[3])]
    }
    #[allow(unsafe_code, reason = "see Simd::load_ptr")]
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> V {
        // SAFETY: the caller promises four readable floats.
        unsafe { x.cast::<V>().read_unaligned() }
    }
    #[allow(unsafe_code, reason = "see Simd::store_ptr")]
    #[inline(always)]
    unsafe fn store_ptr(self, x: *mut f32, v: V) {
        // SAFETY: the caller promises four writable floats.
        unsafe { x.cast::<V>().write_unaligned(v) }
    }
    #[allow(unsafe_code, reason = "see Simd::load_half_ptr")]
    #[inline(always)]
    unsafe fn load_half_ptr(self, x: *const u16) -> V {
        // SAFETY: the caller promises four readable values.
        unsafe { x.cast::<[u16; 4]>().read_unaligned() }.map(|b| f16::from_bits(b).to_f32())
    }
    #[inline(always)]
    fn max_lane(self, v: V) -> f32 {
        v[0].max(v[1]).max(v[2].max(v[3]))
    }
    #[inline(always)]
    fn splat_int(self, x: i32) -> I {
        [x; 4]
    }
    #[inline(always)]
    fn add_int(self, a: I, b: I) -> I {
        [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
    }
    #[inline(always)]
    fn to_float(self, a: I) -> V {
        a.map(|a| a as f32)
    }
    #[allow(unsafe_code, reason = "see Simd::load_int_ptr")]
    #[inline(always)]
    unsafe fn load_int_ptr(self, x: *const i32) -> I {
        // SAFETY: the caller promises four readable integers.
        unsafe { x.cast::<I>().read_unaligned() }
    }
    #[allow(unsafe_code, reason = "see Simd::dot_ptr")]
    #[inline(always)]
    unsafe fn dot_ptr(self, mut acc: I, x: I, w: *const i8) -> I {
        // SAFETY: the caller promises sixteen readable codes.
        let w = unsafe { w.cast::<[[i8; 4]; 4]>().read_unaligned() };
        for ((acc, x), w) in acc.iter_mut().zip(x).zip(w) {
            for (x, w) in x.to_ne_bytes().into_iter().zip(w) {
                *acc += i32::from(x as i8) * i32::from(w);
            }
        }
        acc
    }
    #[allow(unsafe_code, reason = "see Simd::store_i8_ptr")]
    #[inline(always)]
    unsafe fn store_i8_ptr(self, out: *mut u8, v: V) {
        // A float that is out of a byte's range becomes its nearest end.
        let codes = v.map(|v| v.round_ties_even() as i8);
        // SAFETY: the caller promises four writable bytes.
        unsafe { out.cast::<[i8; 4]>().write_unaligned(codes) }
    }
}
