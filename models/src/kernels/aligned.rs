//! Buffers that start on a cache line, so that no vector load is split over two.

use std::ops::{Deref, DerefMut};

/// A cache line, which is also the widest vector.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// Floats on a cache line of their own. Its length never changes.
#[derive(Clone)]
pub struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

impl Aligned {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        Self { lines: vec![Line([0.0; LINE]); len.div_ceil(LINE)], len }
    }
}

impl From<&[f32]> for Aligned {
    fn from(x: &[f32]) -> Self {
        let mut a = Self::zeros(x.len());
        a.copy_from_slice(x);
        a
    }
}

impl Deref for Aligned {
    type Target = [f32];
    #[allow(unsafe_code, reason = "an array of arrays of floats seen as floats")]
    #[inline(always)]
    fn deref(&self) -> &[f32] {
        // SAFETY: `Line` is repr(C) over LINE floats with no padding (64 bytes, aligned to 64), and `len` is at most
        // the number of floats in `lines`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl DerefMut for Aligned {
    #[allow(unsafe_code, reason = "an array of arrays of floats seen as floats")]
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and the borrow of `self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
