//! Buffers that start on a cache line, so that no vector load is split over two.
#![allow(unsafe_code, reason = "an array of bytes seen as numbers")]

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A cache line, which is also the widest vector.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

const LINE: usize = 64;

/// A number that any bits are a value of.
///
/// # Safety
/// No padding, no invalid bits, and a size that divides a cache line.
pub unsafe trait Number: Copy {}
// SAFETY: plain numbers of 4, 2 and 1 bytes.
unsafe impl Number for f32 {}
// SAFETY: as above.
unsafe impl Number for u16 {}
// SAFETY: as above.
unsafe impl Number for i8 {}
// SAFETY: as above.
unsafe impl Number for u8 {}

/// Numbers on cache lines of their own. Their count never changes.
#[derive(Clone)]
pub struct Lines<T> {
    lines: Vec<Line>,
    len: usize,
    of: PhantomData<T>,
}

/// Floats on cache lines of their own.
pub type Aligned = Lines<f32>;

impl<T: Number> Lines<T> {
    /// `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let lines = (len * size_of::<T>()).div_ceil(LINE);
        Self { lines: vec![Line([0; LINE]); lines], len, of: PhantomData }
    }
}

impl Aligned {
    /// Rows of `columns` values, each followed by zeros up to `width`.
    pub fn rows(values: &[f32], columns: usize, width: usize) -> Self {
        let mut out = Self::zeros(values.len() / columns * width);
        for (to, from) in out.chunks_exact_mut(width).zip(values.chunks_exact(columns)) {
            to[..columns].copy_from_slice(from);
        }
        out
    }
}

impl<T: Number> Default for Lines<T> {
    fn default() -> Self {
        Self::zeros(0)
    }
}

impl<T: Number> From<&[T]> for Lines<T> {
    fn from(x: &[T]) -> Self {
        let mut a = Self::zeros(x.len());
        a.copy_from_slice(x);
        a
    }
}

impl<T: Number> Deref for Lines<T> {
    type Target = [T];
    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `Line` is repr(C) over bytes with no padding, aligned to 64; any bits are a `T`, and `len` is at most
        // the number of them in `lines`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl<T: Number> DerefMut for Lines<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and the borrow of `self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
