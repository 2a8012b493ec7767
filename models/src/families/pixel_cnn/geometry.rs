//! What each step reads of the image: lines and taps, a pure function of grid, order and kernels.

use crate::order::{Grid, Order};
use std::ops::Range;

/// Which stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// It reads lines before that of the step.
    Vertical,
    /// It reads the step's own line.
    Horizontal,
}

impl Stack {
    /// Both, the vertical first.
    pub const BOTH: [Self; 2] = [Self::Vertical, Self::Horizontal];
}

/// The step that a tap reads where it reads none.
pub const NONE: u32 = u32::MAX;

/// The taps of a kernel that some step reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taps {
    /// (dy, dx) of each, by rising dy, then dx.
    pub offsets: Vec<(isize, isize)>,
    /// [N, taps] the step that each reads; [`NONE`] where it reads zeros.
    steps: Vec<u32>,
}

impl Taps {
    /// Taps of the window of `kernel` × `kernel` pixels, of which step t may read those steps that `reads(t, u)` allows.
    fn new(
        order: &[(usize, usize)],
        step_of: &[Vec<u32>],
        kernel: usize,
        reads: impl Fn(usize, usize) -> bool,
    ) -> Self {
        let half = (kernel / 2) as isize;
        let window = || (-half..=half).flat_map(move |dy| (-half..=half).map(move |dx| (dy, dx)));
        let at = |(y, x): (usize, usize), (dy, dx): (isize, isize)| {
            let row = step_of.get(y.checked_add_signed(dy)?)?;
            row.get(x.checked_add_signed(dx)?).copied()
        };
        let read = |t: usize, tap| at(order[t], tap).filter(|&u| reads(t, u as usize));
        let offsets: Vec<_> =
            window().filter(|&tap| (0..order.len()).any(|t| read(t, tap).is_some())).collect();
        let step = |t, &tap| read(t, tap).unwrap_or(NONE);
        let steps = (0..order.len()).flat_map(|t| offsets.iter().map(move |tap| step(t, tap))).collect();
        Self { offsets, steps }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// The step that each tap reads at step `t`; [`NONE`] where it reads zeros.
    ///
    /// # Panics
    /// When t is not below N.
    ///
    /// # Real-time
    /// Yes.
    #[inline(always)]
    pub fn of(&self, t: usize) -> &[u32] {
        &self.steps[t * self.len()..][..self.len()]
    }
}

/// Lines and taps of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geometry {
    /// The lines: steps, in order, without a gap. A line is a longest run of at least three steps that each move by one
    /// pixel in one and the same direction, along a row or a column, taken from the first step on; every other step is a
    /// line of its own.
    pub lines: Vec<Range<usize>>,
    /// The line of each step.
    line_of: Vec<u32>,
    /// Of the first layer and of the others: vertical, horizontal.
    taps: [[Taps; 2]; 2],
}

impl Geometry {
    /// Of `order`, which fills every pixel of `grid` once.
    pub fn new(grid: Grid, order: &Order, first_kernel: usize, kernel: usize) -> Self {
        let places: Vec<_> = (0..grid.len()).map(|t| grid.place(order.site(t))).collect();
        let mut step_of = vec![vec![0; grid.width]; grid.height];
        for (t, &(y, x)) in places.iter().enumerate() {
            step_of[y][x] = t as u32;
        }
        let lines = lines(&places);
        let line_of: Vec<u32> =
            lines.iter().enumerate().flat_map(|(i, line)| line.clone().map(move |_| i as u32)).collect();
        let (earlier, same) =
            (|t: usize, u: usize| line_of[u] < line_of[t], |t: usize, u: usize| line_of[u] == line_of[t]);
        let taps = |kernel: usize, first: bool| {
            [
                Taps::new(&places, &step_of, kernel, |t, u| earlier(t, u) || (!first && same(t, u))),
                Taps::new(&places, &step_of, kernel, |t, u| same(t, u) && (u < t || (!first && u == t))),
            ]
        };
        let taps = [taps(first_kernel, true), taps(kernel, false)];
        Self { lines, line_of, taps }
    }

    /// The taps of a stack in layer `l`.
    #[inline(always)]
    pub fn taps(&self, stack: Stack, l: usize) -> &Taps {
        &self.taps[l.min(1)][stack as usize]
    }

    /// The line that holds step `t`.
    ///
    /// # Panics
    /// When there is no such step.
    ///
    /// # Real-time
    /// Yes.
    #[inline(always)]
    pub fn line(&self, t: usize) -> Range<usize> {
        self.lines[self.line_of[t] as usize].clone()
    }

    /// Steps of the longest line.
    pub fn longest_line(&self) -> usize {
        self.lines.iter().map(Range::len).max().unwrap_or(0)
    }

    /// Steps, the last of which ends a line, among which are all that the vertical stack reads in that line, in any layer
    /// but the first.
    pub fn reach(&self) -> usize {
        let taps = self.taps(Stack::Vertical, 1);
        let back = |line: &Range<usize>| {
            let read = line.clone().flat_map(|t| taps.of(t)).filter(|&&u| u != NONE);
            line.end - read.min().map_or(line.start, |&u| line.start.min(u as usize))
        };
        self.lines.iter().map(back).max().unwrap_or(0)
    }
}

fn lines(places: &[(usize, usize)]) -> Vec<Range<usize>> {
    const LEAST: usize = 3;
    let step = |t: usize| {
        let ((y, x), (y2, x2)) = (places[t], places[t + 1]);
        (y2 as isize - y as isize, x2 as isize - x as isize)
    };
    let (mut lines, mut t) = (Vec::new(), 0);
    while t < places.len() {
        let mut end = t + 1;
        if end < places.len() && matches!(step(t), (0, -1 | 1) | (-1 | 1, 0)) {
            while end < places.len() && step(end - 1) == step(t) {
                end += 1;
            }
        }
        if end - t < LEAST {
            end = t + 1;
        }
        lines.push(t..end);
        t = end;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Scan;

    fn geometry(scan: Scan, height: usize, width: usize) -> Geometry {
        let grid = Grid { height, width };
        Geometry::new(grid, &scan.order(grid, 3), 7, 3)
    }

    fn lengths(scan: Scan, height: usize, width: usize) -> Vec<usize> {
        geometry(scan, height, width).lines.iter().map(Range::len).collect()
    }

    #[test]
    fn lines_are_rows_columns_and_sides() {
        assert_eq!(lengths(Scan::Raster, 3, 5), [5, 5, 5]);
        assert_eq!(lengths(Scan::Reverse, 3, 5), [5, 5, 5]);
        assert_eq!(lengths(Scan::Column, 3, 5), [3; 5]);
        assert_eq!(lengths(Scan::Serpentine, 3, 5), [5, 5, 5]);
        assert_eq!(lengths(Scan::Spiral, 4, 5), [5, 3, 4, 1, 4, 3]);
        assert_eq!(lengths(Scan::Raster, 3, 2), [1; 6], "two in a row are no line");
        assert_eq!(lengths(Scan::Random, 28, 28), [1; 784]);
    }

    /// The masks are those of LMConv over both stacks: what is read is filled before.
    #[test]
    fn no_tap_reads_the_future_and_none_is_left_out() {
        for scan in [Scan::Raster, Scan::Column, Scan::Serpentine, Scan::Spiral, Scan::Random] {
            let g = geometry(scan, 9, 8);
            let mut steps = 0;
            for t in 0..72 {
                let line = g.line(t);
                assert!(line.contains(&t));
                let read =
                    |stack, l| g.taps(stack, l).of(t).iter().filter(|&&u| u != NONE).map(|&u| u as usize);
                assert!(read(Stack::Vertical, 0).all(|u| u < line.start), "{scan:?} {t}");
                assert!(read(Stack::Vertical, 1).all(|u| u < line.end && u + g.reach() >= line.end));
                assert!(read(Stack::Horizontal, 0).all(|u| u >= line.start && u < t));
                assert!(read(Stack::Horizontal, 1).all(|u| u >= line.start && u <= t));
                for l in 0..2 {
                    assert!(l == 0 || read(Stack::Vertical, l).any(|u| u == t));
                    assert!(l == 0 || read(Stack::Horizontal, l).any(|u| u == t));
                }
                steps += read(Stack::Vertical, 0).count() + read(Stack::Horizontal, 0).count();
            }
            // Each pair of pixels within the window is read once, by the later of the two.
            let near = |n: usize| {
                (0..n).flat_map(|a| (0..n).map(move |b| a.abs_diff(b))).filter(|&d| d <= 3).count()
            };
            assert_eq!(steps, (near(9) * near(8) - 72) / 2, "{scan:?}");
        }
    }
}
