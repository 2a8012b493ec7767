//! Tiles of rows.

use std::ops::Range;

/// Rows of a tile: its widest buffers fit the L2 beside the layer's weights.
pub const TILE: usize = 128;

/// Tiles of the rows `rows`.
#[inline(always)]
pub fn tiles(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(TILE).map(move |t| t..end.min(t + TILE))
}

/// Rows `r` of a buffer whose rows have `width` values.
#[inline(always)]
pub fn span(r: &Range<usize>, width: usize) -> Range<usize> {
    r.start * width..r.end * width
}
