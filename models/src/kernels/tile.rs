//! The trainer's product: C += A B over small blocks that stay in the cache, nothing packed.
//!
//! B and C are row-major, of whole vectors; A is read by strides, so that A and its transpose cost the same.
//! A block of C stays in registers while the inner dimension runs. Where the instruction set was told to ([`Isa::with_bfloat16`]), larger
//! products round A and B to bfloat16 and keep their sums in f32.

use super::{Isa, Kernel, Simd};

/// m, n and k of a product C[m, n] += A[m, k] B[k, n].
pub type Dims = (usize, usize, usize);

/// A read by strides: element (i, k) stands at `data[i·row + k·column]`.
#[derive(Clone, Copy)]
pub struct Strided<'a> {
    /// The values.
    pub data: &'a [f32],
    /// Distance of one row to the next.
    pub row: usize,
    /// Distance of one column to the next.
    pub column: usize,
}

impl<'a> Strided<'a> {
    /// Rows of `width` values behind one another.
    #[inline(always)]
    pub fn rows(data: &'a [f32], width: usize) -> Self {
        Self { data, row: width, column: 1 }
    }

    /// The transpose of rows of `width` values.
    #[inline(always)]
    pub fn transposed(data: &'a [f32], width: usize) -> Self {
        Self { data, row: 1, column: width }
    }
}

/// C[m, n] += A[m, k] B[k, n]. `b` and `c` are rows of `n` values; n is a multiple of the lanes.
///
/// # Panics
/// When a slice is too short or n is not a multiple of the lanes.
#[inline(always)]
pub fn multiply<S: Simd>(s: S, (m, n, k): Dims, c: &mut [f32], a: Strided<'_>, b: &[f32]) {
    multiply_within(s, (m, n, k), (c, n), a, (b, n));
}

/// As [`multiply`], where C and B are the first `n` columns of wider matrices: each comes with the width of its rows.
///
/// # Panics
/// As [`multiply`].
#[inline(always)]
pub fn multiply_within<S: Simd>(
    s: S,
    (m, n, k): Dims,
    (c, c_row): (&mut [f32], usize),
    a: Strided<'_>,
    (b, b_row): (&[f32], usize),
) {
    s.call(Multiply { dims: (m, n, k), c: (c, c_row), a, b: (b, b_row) });
}

/// [`multiply`], for a caller that is no kernel.
///
/// # Panics
/// As [`multiply`].
pub fn multiply_with(isa: Isa, dims: Dims, c: &mut [f32], a: Strided<'_>, b: &[f32]) {
    isa.run(Multiply { dims, c: (c, dims.1), a, b: (b, dims.1) });
}

struct Multiply<'a> {
    dims: Dims,
    c: (&'a mut [f32], usize),
    a: Strided<'a>,
    b: (&'a [f32], usize),
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { dims, c: (c, c_row), a, b: (b, b_row) } = self;
        let (m, n, k) = dims;
        if m == 0 || n == 0 || k == 0 {
            return;
        }
        assert!(n.is_multiple_of(S::LANES), "rows of whole vectors");
        assert!(c_row >= n && b_row >= n && c.len() >= (m - 1) * c_row + n && b.len() >= (k - 1) * b_row + n);
        assert!(a.data.len() > (m - 1) * a.row + (k - 1) * a.column);
        #[cfg(all(feature = "train", target_arch = "x86_64"))]
        if s.bfloat16() && super::amx::worthwhile(dims, a) {
            #[allow(unsafe_code, reason = "a call of another instruction set")]
            // SAFETY: a token of bfloat16 exists only where AMX is granted; the sizes were checked above, and AVX-512 has 16 lanes.
            unsafe {
                super::amx::multiply(dims, (c, c_row), a, (b, b_row));
            }
            return;
        }
        let vectors = n / S::LANES;
        let blocks = vectors.div_ceil(S::TILE_VECTORS);
        for block in 0..blocks {
            let (from, to) = (block * vectors / blocks, (block + 1) * vectors / blocks);
            let column = from * S::LANES;
            macro_rules! rows {
                ($($n:literal),*) => {
                    match to - from {
                        $($n => columns::<S, $n>(s, (m, k), (c, c_row), a, (b, b_row), column),)*
                        _ => unreachable!("TILE_VECTORS is at most 3"),
                    }
                };
            }
            rows!(1, 2, 3);
        }
    }
}

/// All rows of one block of columns, as many at a time as the registers hold.
#[inline(always)]
fn columns<S: Simd, const N: usize>(
    s: S,
    (m, k): (usize, usize),
    (c, c_row): (&mut [f32], usize),
    a: Strided<'_>,
    (b, b_row): (&[f32], usize),
    column: usize,
) {
    let mut i = 0;
    macro_rules! rows {
        ($m:literal) => {{
            block::<S, $m, N>(s, (i, column, k), (c, c_row), a, (b, b_row));
            i += $m;
        }};
    }
    if S::TILE_ROWS >= 8 {
        while i + 8 <= m {
            rows!(8);
        }
    }
    while i + 4 <= m {
        rows!(4);
    }
    if i + 2 <= m {
        rows!(2);
    }
    if i < m {
        block::<S, 1, N>(s, (i, column, k), (c, c_row), a, (b, b_row));
    }
}

/// M rows by N vectors of C in registers.
#[allow(unsafe_code, reason = "bounds checked once in `Multiply`; a check per load would halve the speed")]
#[inline(always)]
fn block<S: Simd, const M: usize, const N: usize>(
    s: S,
    (i, column, k): (usize, usize, usize),
    (c, c_row): (&mut [f32], usize),
    a: Strided<'_>,
    (b, b_row): (&[f32], usize),
) {
    // SAFETY: `Multiply` checked that rows i..i+M of C and A, rows 0..k of B and columns column..column+N·LANES of
    // both lie inside the slices.
    unsafe {
        let cp = c.as_mut_ptr().add(i * c_row + column);
        let mut acc = [[s.splat(0.0); N]; M];
        for (r, acc) in acc.iter_mut().enumerate() {
            for (v, acc) in acc.iter_mut().enumerate() {
                *acc = s.load_ptr(cp.add(r * c_row + v * S::LANES));
            }
        }
        let mut ap = a.data.as_ptr().add(i * a.row);
        let mut bp = b.as_ptr().add(column);
        for _ in 0..k {
            let mut row = [s.splat(0.0); N];
            for (v, row) in row.iter_mut().enumerate() {
                *row = s.load_ptr(bp.add(v * S::LANES));
            }
            for (r, acc) in acc.iter_mut().enumerate() {
                let x = s.splat(*ap.add(r * a.row));
                for (acc, row) in acc.iter_mut().zip(row) {
                    *acc = s.mul_add(x, row, *acc);
                }
            }
            ap = ap.wrapping_add(a.column);
            bp = bp.wrapping_add(b_row);
        }
        for (r, acc) in acc.iter().enumerate() {
            for (v, acc) in acc.iter().enumerate() {
                s.store_ptr(cp.add(r * c_row + v * S::LANES), *acc);
            }
        }
    }
}
