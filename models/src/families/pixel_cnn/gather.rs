//! What the taps of a step read, side by side, and the way back for gradients. Both go by whole vectors: what a vector has
//! beyond a tap's values is overwritten by the next tap, so that buffers are [`SLACK`] values longer than what they hold.

use super::geometry::NONE;
use crate::kernels::Simd;

/// Values behind the last row of a buffer that is read or written here: the widest vector.
pub const SLACK: usize = 16;

/// Copies `each` values of what each tap reads, rows of `width` values at `row(step)`; zeros where it reads nothing. Rows are
/// written in rising order, for the values behind the last tap are of no use.
///
/// # Panics
/// When a buffer ends within a vector.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn gather<S: Simd>(
    s: S,
    taps: &[u32],
    each: usize,
    (from, width): (&[f32], usize),
    row: impl Fn(usize) -> usize,
    to: &mut [f32],
) {
    let mut at = 0;
    for &u in taps {
        let to = &mut to[at..];
        let mut i = 0;
        match u {
            NONE => {
                while i < each {
                    s.store(&mut to[i..], s.splat(0.0));
                    i += S::LANES;
                }
            }
            u => {
                let from = &from[row(u as usize) * width..];
                while i < each {
                    s.store(&mut to[i..], s.load(&from[i..]));
                    i += S::LANES;
                }
            }
        }
        at += each;
    }
}

/// Adds the gradient `d` of what [`gather`] gave, `each` values of every tap, to the rows of whole vectors that were read.
/// The padding of these is of no use.
#[cfg(feature = "train")]
#[inline(always)]
pub fn scatter<S: Simd>(s: S, taps: &[u32], each: usize, d: &[f32], (to, width): (&mut [f32], usize)) {
    let mut at = 0;
    for &u in taps {
        if u != NONE {
            let (d, to) = (&d[at..], &mut to[u as usize * width..][..width]);
            let mut i = 0;
            while i < each {
                let sum = s.add(s.load(&to[i..]), s.load(&d[i..]));
                s.store(&mut to[i..], sum);
                i += S::LANES;
            }
        }
        at += each;
    }
}
