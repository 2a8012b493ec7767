//! Positions as a table of rows, one for each step: what the engine and the trainer add to what enters.

use super::{Config, Positions, names};
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

    /// Of each of [`Config::position_tables`] the row that step `p` reads; `None` for none.
    pub(super) fn position_rows(&self, p: usize) -> [Option<usize>; 4] {
        match self.positions {
            Positions::Steps => [Some(p), None, None, None],
            Positions::Grid(grid) => {
                let (y, x) = grid.place(self.order.site(p));
                let entering = p.checked_sub(1).map(|before| grid.place(self.order.site(before)));
                [Some(y), Some(x), entering.map(|e| e.0), entering.map(|e| e.1)]
            }
        }
    }

    /// P [context, width], from the values of the tables by name.
    pub(super) fn position_table<'a>(&self, get: impl Fn(&str) -> &'a [f32]) -> Cow<'a, [f32]> {
        if let Positions::Steps = self.positions {
            return Cow::Borrowed(get(names::POSITION));
        }
        let tables: Vec<&[f32]> = self.position_tables().iter().map(|(name, _)| get(name)).collect();
        let mut all = vec![0.0; self.context * self.width];
        for (p, to) in all.chunks_exact_mut(self.width).enumerate() {
            for (table, row) in tables.iter().zip(self.position_rows(p)) {
                if let Some(row) = row {
                    let from = &table[row * self.width..][..self.width];
                    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
                }
            }
        }
        Cow::Owned(all)
    }
}
