//! The reference: four lanes in an array, no intrinsics. Every machine runs it, and every other kernel is held to it.

use super::Simd;

/// Plain arithmetic.
#[derive(Clone, Copy)]
pub struct Plain;

type V = [f32; 4];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

impl Simd for Plain {
    type V = V;
    const LANES: usize = 4;
    const TILE_VECTORS: usize = 2;
    const TILE_ROWS: usize = 4;

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
}
