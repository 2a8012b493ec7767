//! Weights of f32 and f16, multiplied and added in f32.

use super::Operand;
use crate::kernels::Simd;

/// The panels of a row-major matrix with rows of `outputs`, every value as `to` makes it. A panel is given by its
/// columns; `None` is padding.
pub fn pack<T>(w: &[f32], outputs: usize, panels: &[&[Option<usize>]], to: impl Fn(f32) -> T) -> Vec<T> {
    let mut packed = Vec::new();
    for columns in panels {
        for row in w.chunks_exact(outputs) {
            packed.extend(columns.iter().map(|column| to(column.map_or(0.0, |c| row[c]))));
        }
    }
    packed
}

/// A weight that is read as a float.
pub trait Weight {
    /// LANES weights.
    ///
    /// # Safety
    /// `w` is valid for reads of LANES weights.
    #[allow(unsafe_code, reason = "see Simd::load_ptr")]
    unsafe fn load<S: Simd>(s: S, w: *const Self) -> S::V;
}

impl Weight for f32 {
    #[allow(unsafe_code, reason = "see Simd::load_ptr")]
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, w: *const Self) -> S::V {
        // SAFETY: the caller's promise is passed on.
        unsafe { s.load_ptr(w) }
    }
}

/// The bits of a 16-bit float.
impl Weight for u16 {
    #[allow(unsafe_code, reason = "see Simd::load_ptr")]
    #[inline(always)]
    unsafe fn load<S: Simd>(s: S, w: *const Self) -> S::V {
        // SAFETY: the caller's promise is passed on.
        unsafe { s.load_half_ptr(w) }
    }
}

/// x as it is.
pub struct Floats<'a>(pub &'a [f32]);

impl<T: Weight> Operand<T> for Floats<'_> {
    #[inline(always)]
    fn panel_len(&self, columns: usize) -> usize {
        self.0.len() * columns
    }

    #[allow(unsafe_code, reason = "bounds checked once for the panel; a check per load costs a tenth")]
    #[inline(always)]
    fn multiply<S: Simd, const N: usize, const U: usize>(&mut self, s: S, acc: &mut [S::V; N], panel: &[T]) {
        let x = self.0;
        assert!(panel.len() == x.len() * N * S::LANES);
        let mut more = [[s.splat(0.0); N]; U];
        more[0] = *acc;
        let mut w = panel.as_ptr();
        let whole = x.len() / U * U;
        let mut j = 0;
        while j < whole {
            for (u, acc) in more.iter_mut().enumerate() {
                // SAFETY: j + u < x.len(), and the panel holds N vectors for every value of x.
                unsafe {
                    let v = s.splat(*x.get_unchecked(j + u));
                    for (i, acc) in acc.iter_mut().enumerate() {
                        *acc = s.mul_add(T::load(s, w.add((u * N + i) * S::LANES)), v, *acc);
                    }
                }
            }
            // SAFETY: stays within the panel or one past its end.
            w = unsafe { w.add(U * N * S::LANES) };
            j += U;
        }
        while j < x.len() {
            // SAFETY: as above.
            unsafe {
                let v = s.splat(*x.get_unchecked(j));
                for (i, acc) in more[0].iter_mut().enumerate() {
                    *acc = s.mul_add(T::load(s, w.add(i * S::LANES)), v, *acc);
                }
                w = w.add(N * S::LANES);
            }
            j += 1;
        }
        *acc = more[0];
        for other in &more[1..] {
            for (a, o) in acc.iter_mut().zip(other) {
                *a = s.add(*a, *o);
            }
        }
    }
}
