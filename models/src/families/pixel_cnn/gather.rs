//! What the taps of a step read, side by side, and the way back for gradients.

use super::geometry::NONE;
use crate::kernels::Simd;
use crate::kernels::panel::copy;

/// Copies what each tap reads, of rows of `width` values at `row(step)` the first ones, as many as a tap has room for;
/// zeros where it reads nothing.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn gather<S: Simd>(
    s: S,
    taps: &[u32],
    from: &[f32],
    width: usize,
    row: impl Fn(usize) -> usize,
    to: &mut [f32],
) {
    let Some(each) = to.len().checked_div(taps.len()) else { return };
    for (&u, to) in taps.iter().zip(to.chunks_exact_mut(each)) {
        match u {
            NONE => to.fill(0.0),
            u => copy(s, to, &from[row(u as usize) * width..][..each]),
        }
    }
}

/// Adds the gradient `d` of what [`gather`] gave, `each` values of every tap, to the rows that were read.
#[cfg(feature = "train")]
#[inline(always)]
pub fn scatter<S: Simd>(s: S, taps: &[u32], d: &[f32], each: usize, to: &mut [f32], width: usize) {
    for (&u, d) in taps.iter().zip(d.chunks_exact(each)) {
        if u != NONE {
            let to = &mut to[u as usize * width..][..each];
            let whole = each / S::LANES * S::LANES;
            crate::kernels::panel::add(s, &mut to[..whole], &d[..whole]);
            to[whole..].iter_mut().zip(&d[whole..]).for_each(|(to, d)| *to += d);
        }
    }
}
