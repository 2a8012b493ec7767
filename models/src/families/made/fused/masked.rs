//! Products with a masked matrix: blocks of it that hold nothing but what the mask covers are left out.

use crate::families::made::degrees::Staircase;
use crate::fused::padded::Matrix;
use crate::kernels::Simd;
use crate::kernels::panel::add;
use crate::kernels::tile::{Strided, multiply_within};

/// Rows or columns of a matrix that are taken at a time: a multiple of every vector.
pub const BLOCK: usize = 64;

/// What the rows of a matrix are multiplied by.
#[derive(Clone, Copy)]
pub enum Values<'a> {
    /// [B, inputs] numbers, a row of the matrix for each.
    Dense {
        /// The values.
        rows: &'a [f32],
        /// Width of a row.
        width: usize,
    },
    /// [B, steps] symbols, each by its row among `of` rows of its step; [`NONE`] for none.
    Symbols {
        /// The symbols.
        rows: &'a [u32],
        /// Symbols of a window.
        steps: usize,
        /// Rows of a step.
        of: usize,
    },
}

/// No symbol.
pub const NONE: u32 = u32::MAX;

/// A masked matrix in the padded buffer, zeros where it is masked.
pub struct Masked {
    /// Where it stands.
    pub matrix: Matrix,
    /// What of it counts.
    pub mask: Staircase,
    /// Width of a row of its transpose.
    pub inputs: usize,
    lanes: usize,
}

impl Masked {
    /// `matrix` under `mask`, for vectors of `lanes`.
    pub fn new(matrix: Matrix, mask: Staircase, lanes: usize) -> Self {
        let inputs = mask.0.len().next_multiple_of(lanes);
        Self { matrix, mask, inputs, lanes }
    }

    /// The whole vectors' first column that row `row` counts from; the end behind the last row.
    #[inline(always)]
    fn from(&self, row: usize) -> usize {
        let from = self.mask.0.get(row).map_or(self.matrix.columns, |&from| from);
        (from / self.lanes * self.lanes).min(self.matrix.columns)
    }

    /// to [count, columns] += x M, M being the matrix's padded values.
    #[inline(always)]
    pub fn forward<S: Simd>(&self, s: S, m: &[f32], count: usize, x: Values, to: &mut [f32]) {
        let columns = self.matrix.columns;
        match x {
            Values::Dense { rows, width } => {
                for first in (0..columns).step_by(BLOCK) {
                    let n = BLOCK.min(columns - first);
                    // Rows below this count from a column behind the block.
                    let k = self.mask.0.partition_point(|&from| from < first + n);
                    let a = Strided::rows(rows, width);
                    let c = (&mut to[first..], columns);
                    if k > 0 {
                        multiply_within(s, (count, n, k), c, a, (&m[first..], columns));
                    }
                }
            }
            Values::Symbols { rows, steps, of } => {
                for (symbols, to) in rows.chunks_exact(steps).zip(to.chunks_exact_mut(columns)).take(count) {
                    for (step, &symbol) in symbols.iter().enumerate().filter(|(_, s)| **s != NONE) {
                        let row = step * of + symbol as usize;
                        let from = self.from(row);
                        add(s, &mut to[from..], &m[row * columns..][from..columns]);
                    }
                }
            }
        }
    }

    /// to [count, inputs] += d Mᵀ, from `transpose`, rows of [`Masked::inputs`] values.
    #[inline(always)]
    pub fn back<S: Simd>(&self, s: S, transpose: &[f32], count: usize, d: &[f32], to: &mut [f32]) {
        let (columns, inputs) = (self.matrix.columns, self.inputs);
        for first in (0..inputs).step_by(BLOCK) {
            let n = BLOCK.min(inputs - first);
            let from = self.from(first);
            if from < columns {
                let a = Strided::rows(&d[from..], columns);
                let m = (&transpose[from * inputs + first..], inputs);
                multiply_within(s, (count, n, columns - from), (&mut to[first..], inputs), a, m);
            }
        }
    }

    /// Adds xᵀ d to the rows of the gradient from `first` on, as many as `to` holds; `d` is [count, columns].
    #[inline(always)]
    pub fn gradient<S: Simd>(&self, s: S, count: usize, x: Values, d: &[f32], first: usize, to: &mut [f32]) {
        let columns = self.matrix.columns;
        let rows = to.len() / columns;
        match x {
            Values::Dense { rows: x, width } => {
                let from = self.from(first);
                if from < columns {
                    let a = Strided::transposed(&x[first..], width);
                    let d = (&d[from..], columns);
                    multiply_within(s, (rows, columns - from, count), (&mut to[from..], columns), a, d);
                }
            }
            Values::Symbols { rows: x, steps, of } => {
                let here = first / of..(first + rows).div_ceil(of);
                for step in here {
                    for (symbols, d) in x.chunks_exact(steps).zip(d.chunks_exact(columns)).take(count) {
                        let row = (step * of).wrapping_add(symbols[step] as usize).wrapping_sub(first);
                        if symbols[step] != NONE && row < rows {
                            let from = self.from(first + row);
                            add(s, &mut to[row * columns..][from..columns], &d[from..]);
                        }
                    }
                }
            }
        }
    }

    /// Makes zeros of what the mask covers in the rows of a gradient from `first` on.
    #[inline(always)]
    pub fn clear(&self, first: usize, to: &mut [f32]) {
        for (row, &from) in to.chunks_exact_mut(self.matrix.columns).zip(&self.mask.0[first..]) {
            row[..from].fill(0.0);
        }
    }
}
