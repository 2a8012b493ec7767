//! A matrix turned over.

use super::aligned::Aligned;

/// The transpose of x [rows, `columns`], in rows of `width` values, of which the first `rows` are written.
pub fn transpose(x: &[f32], columns: usize, out: &mut [f32], width: usize) {
    /// Rows and columns of a block: its lines stay in the cache until they are full.
    const BLOCK: usize = 16;
    let rows = x.len() / columns;
    for i0 in (0..rows).step_by(BLOCK) {
        for j0 in (0..columns).step_by(BLOCK) {
            let (i1, j1) = (rows.min(i0 + BLOCK), columns.min(j0 + BLOCK));
            for j in j0..j1 {
                for (to, i) in out[j * width + i0..j * width + i1].iter_mut().zip(i0..) {
                    *to = x[i * columns + j];
                }
            }
        }
    }
}

/// The transpose of rows of `columns` values.
pub fn transposed(x: &[f32], columns: usize) -> Aligned {
    let mut out = Aligned::zeros(x.len());
    transpose(x, columns, &mut out, x.len() / columns);
    out
}
