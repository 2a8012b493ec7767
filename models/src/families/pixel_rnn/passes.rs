//! The directions of a layer: which neighbours a pixel's cell reads. Engine, graph and trainer all read it here.

use serde::{Deserialize, Serialize};

/// A place beside a pixel: rows down and columns to the right.
pub type Place = (isize, isize);

/// What a layer computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Row LSTM, with kernels of 3.
    Row,
    /// Diagonal BiLSTM.
    Diagonal,
}

/// One direction of a layer.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// What its tensors are called.
    pub name: &'static str,
    /// Where what enters is read.
    pub inputs: &'static [Place],
    /// Where its own output is read: in the row above, then in its own row.
    pub recurrent: &'static [Place],
    /// Where its memory comes from.
    pub memory: Place,
    /// Whether a row goes from the right to the left: once all of it is known.
    pub from_right: bool,
}

impl Kind {
    /// The directions of a layer.
    pub fn passes(self) -> &'static [Pass] {
        match self {
            Self::Row => &[Pass {
                name: "row",
                inputs: &[(0, -1), (0, 0)],
                recurrent: &[(-1, -1), (-1, 0), (-1, 1)],
                memory: (-1, 0),
                from_right: false,
            }],
            Self::Diagonal => &[
                Pass {
                    name: "left",
                    inputs: &[(0, 0)],
                    recurrent: &[(-1, 0), (0, -1)],
                    memory: (0, -1),
                    from_right: false,
                },
                Pass {
                    name: "right",
                    inputs: &[(0, 0)],
                    recurrent: &[(-1, 0), (0, 1)],
                    memory: (0, 1),
                    from_right: true,
                },
            ],
        }
    }
}

impl Pass {
    /// Rows that its output is read below.
    pub fn down(self) -> usize {
        usize::from(self.from_right)
    }

    /// The columns of a row of `len`, in their order.
    pub fn columns(self, len: usize) -> impl DoubleEndedIterator<Item = usize> {
        (0..len).map(move |i| if self.from_right { len - 1 - i } else { i })
    }
}

/// Where the values stand that the first layer reads, mask A of 7 by 7: row by row.
pub fn taps() -> impl Iterator<Item = Place> {
    let above = (-3..0).flat_map(|dy| (-3..4).map(move |dx| (dy, dx)));
    above.chain((-3..0).map(|dx| (0, dx)))
}

/// The step at `place` beside step `t` of an image of rows of `len` steps; `None` beyond its edges.
pub fn neighbour(t: usize, len: usize, (dy, dx): Place) -> Option<usize> {
    let (y, x) = ((t / len).checked_add_signed(dy)?, (t % len).checked_add_signed(dx)?);
    (x < len).then_some(y * len + x)
}

/// Which columns of a row of `len` have a neighbour `dx` to the right: the first of them, the first neighbour, how many.
#[cfg(feature = "train")]
pub fn overlap(len: usize, dx: isize) -> (usize, usize, usize) {
    let apart = dx.unsigned_abs();
    let (to, from) = if dx < 0 { (apart, 0) } else { (0, apart) };
    (to, from, len.saturating_sub(apart))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ahead_is_read() {
        assert_eq!(taps().count(), 24);
        assert!(taps().all(|(dy, dx)| dy < 0 || (dy == 0 && dx < 0)));
        assert_eq!(neighbour(7, 5, (-1, -1)), Some(1));
        assert_eq!((neighbour(5, 5, (0, -1)), neighbour(9, 5, (-1, 1))), (None, None));
        assert_eq!((neighbour(3, 5, (-1, 0)), neighbour(9, 5, (-1, 0))), (None, Some(4)));
        // What a pixel reads of a direction was computed before, a row that is turned round read one row below.
        for kind in [Kind::Row, Kind::Diagonal] {
            for pass in kind.passes() {
                let ahead = if pass.from_right { 1 } else { -1 };
                for &(dy, dx) in pass.recurrent.iter().chain([&pass.memory]) {
                    assert!(dy == -1 || (dy == 0 && dx == ahead), "{pass:?}");
                }
            }
        }
    }
}
