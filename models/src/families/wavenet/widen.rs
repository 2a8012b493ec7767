//! A wider network that says what the narrow one said, to learn on from there (Net2Net: Chen et al. 2016,
//! arXiv:1511.05641).
//!
//! Each new channel is computed with random weights, as at the beginning of a training, from all channels; no old channel
//! reads it. So all old channels keep their values, and every new one has something to offer as soon as its zeros learn.

use super::{ConditionConfig, Config, names};
use crate::weights::{Layout, Tensor, Tensors};

impl Config {
    /// The sizes that may grow, by name.
    fn widths(&self) -> [(&'static str, usize); 6] {
        [
            ("residual_channels", self.residual_channels),
            ("gate_channels", self.gate_channels),
            ("skip_channels", self.skip_channels),
            ("head_channels", self.head_channels),
            ("hidden", self.condition.as_ref().map_or(0, |c| c.hidden)),
            ("others", self.condition.as_ref().map_or(0, |c| c.others)),
        ]
    }

    /// The widths in which `self` is above `narrow`, as (name, narrow, wide); `None` where it is narrower in one or
    /// differs in anything else.
    pub fn wider_than(&self, narrow: &Self) -> Option<Vec<(&'static str, usize, usize)>> {
        let (hidden, others) = self.condition.as_ref().map_or((0, 0), |c| (c.hidden, c.others));
        let condition = |c: &ConditionConfig| ConditionConfig {
            // From no frame network to one there is no way that changes nothing.
            hidden: if c.hidden > 0 { hidden } else { 0 },
            // One for others' tracks that is new begins as that for all.
            others: if c.others > 0 || others >= c.hidden { others } else { 0 },
            ..c.clone()
        };
        let same = Self {
            residual_channels: self.residual_channels,
            gate_channels: self.gate_channels,
            skip_channels: self.skip_channels,
            head_channels: self.head_channels,
            condition: narrow.condition.as_ref().map(condition),
            ..narrow.clone()
        };
        let pairs = || narrow.widths().into_iter().zip(self.widths());
        (same == *self && pairs().all(|((_, a), (_, b))| a <= b)).then(|| {
            pairs().filter(|((_, a), (_, b))| a < b).map(|((name, a), (_, b))| (name, a, b)).collect()
        })
    }

    /// `tensors`, of a network than which this one is [wider](Self::wider_than), as wide as this one; what is new comes from
    /// `seed`.
    ///
    /// # Panics
    /// When they are of another network: check them first.
    pub fn widened(&self, tensors: &Tensors, seed: u64) -> Tensors {
        let layout = Layout::new(self.table());
        let mut wide = layout.tensors(&layout.init(seed));
        for (name, wide) in &mut wide {
            match tensors.get(name) {
                Some(old) => keep(old, wide, names::column_parts(name)),
                None => keep(&self.cross_speaker_tensor(tensors, name), wide, 1),
            }
        }
        wide
    }
}

/// Puts `old` into `new`, where columns come in so many `parts` and rows are inputs: an old column reads no new row.
fn keep(old: &Tensor, new: &mut Tensor, parts: usize) {
    let matrix = |shape: &[usize]| match shape {
        [.., rows, columns] => (*rows, *columns),
        _ => (1, shape.iter().product()),
    };
    let ((rows, columns), (wide_rows, wide_columns)) = (matrix(&old.shape), matrix(&new.shape));
    let (part, wide_part) = (columns / parts, wide_columns / parts);
    for (i, row) in new.data.chunks_exact_mut(wide_columns.max(1)).enumerate() {
        let (block, r) = (i / wide_rows, i % wide_rows);
        for (n, to) in row.chunks_exact_mut(wide_part.max(1)).enumerate() {
            match r < rows {
                true => {
                    to[..part].copy_from_slice(&old.data[(block * rows + r) * columns + n * part..][..part])
                }
                false => to[..part].fill(0.0),
            }
        }
    }
}
