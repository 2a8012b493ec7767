//! The degrees of the hidden units, and the masks that follow from them.

use super::Config;

/// The degrees of a hidden layer.
#[derive(Debug, Clone, Copy)]
pub struct Degrees {
    /// N − 1, the highest.
    highest: usize,
    /// H.
    units: usize,
}

impl Degrees {
    /// Those of `units` units over `steps` variables.
    pub fn new(steps: usize, units: usize) -> Self {
        Self { highest: steps - 1, units }
    }

    /// m(k).
    #[inline(always)]
    pub fn of(self, k: usize) -> usize {
        self.highest - (self.units - 1 - k) * self.highest / self.units
    }

    /// Units of a degree below `m`: the first of degree `m` or more.
    #[inline(always)]
    pub fn below(self, m: usize) -> usize {
        // m(k) < m where (H − 1 − k)(N − 1) ≥ (N − m) H.
        let more = (self.highest + 1).saturating_sub(m);
        self.units.saturating_sub((more * self.units).div_ceil(self.highest))
    }
}

/// Of every row of a masked matrix, the first column that counts. It never falls from row to row.
#[derive(Debug, Clone)]
pub struct Staircase(pub Vec<usize>);

impl Staircase {
    /// W_0: `rows` rows for every value that enters.
    #[cfg(any(test, feature = "train"))]
    pub fn first(steps: usize, rows: usize, units: Degrees) -> Self {
        Self((0..(steps - 1) * rows).map(|i| units.below(i / rows + 1)).collect())
    }

    /// W_1.
    #[cfg(any(test, feature = "train"))]
    pub fn between(from: Degrees, to: Degrees) -> Self {
        Self((0..from.units).map(|k| to.below(from.of(k))).collect())
    }

    /// V, of `params` columns a step.
    pub fn output(units: Degrees, params: usize) -> Self {
        Self((0..units.units).map(|k| units.of(k) * params).collect())
    }

    /// D.
    #[cfg(any(test, feature = "train"))]
    pub fn direct(steps: usize, rows: usize, params: usize) -> Self {
        Self((0..(steps - 1) * rows).map(|i| (i / rows + 1) * params).collect())
    }

    /// Makes zeros of what the mask covers in rows of `width` values.
    pub fn mask(&self, rows: &mut [f32], width: usize) {
        for (row, &from) in rows.chunks_exact_mut(width).zip(&self.0) {
            row[..from].fill(0.0);
        }
    }

    /// Ones where the matrix counts [rows, `columns`].
    #[cfg(any(test, feature = "train"))]
    pub fn ones(&self, columns: usize) -> Vec<f32> {
        let mut all = vec![1.0; self.0.len() * columns];
        self.mask(&mut all, columns);
        all
    }
}

impl Config {
    /// The degrees of layer `l`.
    pub(super) fn degrees(&self, l: usize) -> Degrees {
        Degrees::new(self.steps(), self.hidden[l])
    }

    /// Those of the last hidden layer.
    pub(super) fn top_degrees(&self) -> Degrees {
        Degrees::new(self.steps(), self.top())
    }

    /// The mask of W_l.
    #[cfg(feature = "train")]
    pub(super) fn layer_mask(&self, l: usize) -> Staircase {
        match l {
            0 => Staircase::first(self.steps(), self.likelihood().input().rows(), self.degrees(0)),
            _ => Staircase::between(self.degrees(l - 1), self.degrees(l)),
        }
    }

    /// The mask of V.
    pub(super) fn output_mask(&self) -> Staircase {
        Staircase::output(self.top_degrees(), self.likelihood().params())
    }

    /// The mask of D.
    #[cfg(feature = "train")]
    pub(super) fn direct_mask(&self) -> Staircase {
        let likelihood = self.likelihood();
        Staircase::direct(self.steps(), likelihood.input().rows(), likelihood.params())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_rise_and_are_shared_out_evenly() {
        for (steps, units) in [(2, 1), (2, 5), (784, 500), (9, 100), (30, 29), (30, 7)] {
            let d = Degrees::new(steps, units);
            let all: Vec<usize> = (0..units).map(|k| d.of(k)).collect();
            assert!(all.is_sorted() && all[0] >= 1 && all[units - 1] == steps - 1, "{all:?}");
            for m in 0..=steps + 1 {
                assert_eq!(d.below(m), all.iter().filter(|&&a| a < m).count(), "{m} in {all:?}");
            }
            let shares: Vec<usize> = (1..steps).map(|m| d.below(m + 1) - d.below(m)).collect();
            let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
            assert!(most - least <= 1, "{shares:?}");
        }
    }

    #[test]
    fn masks_are_those_of_the_equations() {
        let (steps, rows, params) = (7, 2, 3);
        let (a, b) = (Degrees::new(steps, 10), Degrees::new(steps, 4));
        let check = |mask: Staircase, columns: usize, counts: &dyn Fn(usize, usize) -> bool| {
            assert!(mask.0.is_sorted());
            for (i, row) in mask.ones(columns).chunks_exact(columns).enumerate() {
                for (j, &one) in row.iter().enumerate() {
                    assert_eq!(one == 1.0, counts(i, j), "row {i} column {j}");
                }
            }
        };
        check(Staircase::first(steps, rows, a), 10, &|i, k| i / rows < a.of(k));
        check(Staircase::between(a, b), 4, &|j, k| a.of(j) <= b.of(k));
        check(Staircase::output(b, params), steps * params, &|k, o| b.of(k) <= o / params);
        check(Staircase::direct(steps, rows, params), steps * params, &|i, o| i / rows < o / params);
    }
}
