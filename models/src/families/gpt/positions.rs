//! Positions as a table of rows, one for each step: what the engine and the trainer add to what enters.

use super::{Config, Positions, names};
use crate::order::Grid;
use std::borrow::Cow;

impl Config {
    /// The tables of positions, by name, and how many rows each has.
    pub(super) fn position_tables(&self) -> Vec<(&'static str, usize)> {
        match self.positions {
            Positions::Steps => vec![(names::POSITION, self.context)],
            Positions::Grid(grid) => {
                let (rows, columns) = (names::ROW, names::COLUMN);
                let tables = [rows[0], columns[0], rows[1], columns[1]];
                let lens = [grid.height, grid.width, grid.height, grid.width];
                tables.into_iter().zip(lens).collect()
            }
        }
    }

    /// Of each of [`Config::position_tables`] the row that step `p` reads; `None` for none. `sites` is the order of the window, empty
    /// for the model's own.
    pub(super) fn position_rows(&self, p: usize, sites: &[u32]) -> [Option<usize>; 4] {
        let site = |t: usize| sites.get(t).map_or_else(|| self.order.site(t), |&s| s as usize);
        match self.positions {
            Positions::Steps => [Some(p), None, None, None],
            Positions::Grid(grid) => grid_rows(grid, site(p), p.checked_sub(1).map(site)),
        }
    }

    /// P [context, width], from the values of the tables by name.
    pub(super) fn position_table<'a>(&self, get: impl Fn(&str) -> &'a [f32]) -> Cow<'a, [f32]> {
        if let Positions::Steps = self.positions {
            return Cow::Borrowed(get(names::POSITION));
        }
        let tables: Vec<&[f32]> = self.position_tables().iter().map(|(name, _)| get(name)).collect();
        Cow::Owned(self.position_sums(self.context, &tables, &[]))
    }

    /// P of the first `t` steps [t, width] of the order `sites`, empty for the model's own, from the tables.
    pub(super) fn position_sums(&self, t: usize, tables: &[&[f32]], sites: &[u32]) -> Vec<f32> {
        let mut all = vec![0.0; t * self.width];
        for (p, to) in all.chunks_exact_mut(self.width).enumerate() {
            for (table, row) in tables.iter().zip(self.position_rows(p, sites)) {
                if let Some(row) = row {
                    let from = &table[row * self.width..][..self.width];
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
                }
            }
        }
        all
    }
}

/// Rows of the four tables: those of the pixel that is wanted, and of the one that enters.
#[inline(always)]
pub(super) fn grid_rows(grid: Grid, wanted: usize, entering: Option<usize>) -> [Option<usize>; 4] {
    let (y, x) = grid.place(wanted);
    let entering = entering.map(|site| grid.place(site));
    [Some(y), Some(x), entering.map(|e| e.0), entering.map(|e| e.1)]
}
