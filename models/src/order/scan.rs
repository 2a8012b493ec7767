//! The orders of an image's pixels.

use super::{Order, Sites};
use crate::ar::Uniforms;
use serde::{Deserialize, Serialize};

/// Rows and columns of an image; pixel (y, x) is variable y · width + x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Grid {
    /// Pixels.
    pub fn len(self) -> usize {
        self.height * self.width
    }

    /// Whether there is no pixel.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// (y, x) of a variable.
    pub fn place(self, site: usize) -> (usize, usize) {
        (site / self.width, site % self.width)
    }
}

/// A named order of the pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scan {
    /// Row by row from the top, each from the left.
    #[default]
    Raster,
    /// Column by column from the left, each from the top.
    Column,
    /// The raster backwards.
    Reverse,
    /// Row by row from the top, every second one from the right.
    Serpentine,
    /// From the top left along the edges, clockwise, inwards.
    Spiral,
    /// Any, each as likely, by a seed.
    Random,
}

impl Scan {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Raster, Self::Column, Self::Reverse, Self::Serpentine, Self::Spiral, Self::Random];

    /// Those that need no seed.
    const FIXED: [Self; 5] = [Self::Raster, Self::Column, Self::Reverse, Self::Serpentine, Self::Spiral];

    /// Its name in a run file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raster => "raster",
            Self::Column => "column",
            Self::Reverse => "reverse",
            Self::Serpentine => "serpentine",
            Self::Spiral => "spiral",
            Self::Random => "random",
        }
    }

    /// Which order over `grid` this is; `None` for a random one and all others, those of another number of pixels with them.
    pub fn of(order: &Order, grid: Grid) -> Option<Self> {
        // No scan is made of a grid that a file says to be larger than its order.
        order.len().filter(|&n| grid.height.checked_mul(grid.width) == Some(n))?;
        Self::FIXED.into_iter().find(|scan| scan.order(grid, 0) == *order)
    }

    /// The order over `grid`; only [`Scan::Random`] reads the seed.
    pub fn order(self, grid: Grid, seed: u64) -> Order {
        let Grid { height, width } = grid;
        let raster = 0..grid.len();
        let sites: Vec<usize> = match self {
            Self::Raster => raster.collect(),
            Self::Column => raster.map(|i| i % height * width + i / height).collect(),
            Self::Reverse => raster.rev().collect(),
            Self::Serpentine => raster
                .map(|i| match grid.place(i) {
                    (y, x) if y % 2 == 1 => y * width + (width - 1 - x),
                    _ => i,
                })
                .collect(),
            Self::Spiral => spiral(grid),
            Self::Random => {
                let (mut sites, mut uniforms) = (raster.collect::<Vec<_>>(), Uniforms::new(seed));
                uniforms.shuffle(&mut sites);
                sites
            }
        };
        Order::Sites(Sites { sites: sites.into_iter().map(|s| s as u32).collect(), groups: Vec::new() })
    }
}

fn spiral(grid: Grid) -> Vec<usize> {
    let (mut top, mut left, mut bottom, mut right) = (0, 0, grid.height, grid.width);
    let mut sites = Vec::with_capacity(grid.len());
    let at = |y: usize, x: usize| y * grid.width + x;
    while top < bottom && left < right {
        sites.extend((left..right).map(|x| at(top, x)));
        top += 1;
        sites.extend((top..bottom).map(|y| at(y, right - 1)));
        right -= 1;
        if top < bottom {
            sites.extend((left..right).rev().map(|x| at(bottom - 1, x)));
            bottom -= 1;
        }
        if left < right {
            sites.extend((top..bottom).rev().map(|y| at(y, left)));
            left += 1;
        }
    }
    sites
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites(scan: Scan, height: usize, width: usize) -> Vec<usize> {
        let order = scan.order(Grid { height, width }, 3);
        (0..height * width).map(|t| order.site(t)).collect()
    }

    #[test]
    fn orders_are_what_they_are_called() {
        assert_eq!(sites(Scan::Raster, 2, 3), [0, 1, 2, 3, 4, 5]);
        assert_eq!(sites(Scan::Column, 2, 3), [0, 3, 1, 4, 2, 5]);
        assert_eq!(sites(Scan::Reverse, 2, 3), [5, 4, 3, 2, 1, 0]);
        assert_eq!(sites(Scan::Serpentine, 3, 3), [0, 1, 2, 5, 4, 3, 6, 7, 8]);
        assert_eq!(sites(Scan::Spiral, 3, 4), [0, 1, 2, 3, 7, 11, 10, 9, 8, 4, 5, 6]);
        assert_ne!(sites(Scan::Random, 5, 5), sites(Scan::Raster, 5, 5));
    }

    #[test]
    fn every_order_fills_every_pixel_once() {
        for scan in Scan::ALL {
            for (height, width) in [(1, 1), (1, 7), (7, 1), (4, 4), (5, 3), (28, 28)] {
                assert_eq!(scan.order(Grid { height, width }, 9).validate(), Ok(()), "{scan:?}");
                assert_eq!(sites(scan, height, width).len(), height * width);
            }
        }
    }

    #[test]
    fn orders_are_known_again() {
        let grid = Grid { height: 3, width: 4 };
        for scan in Scan::ALL {
            let known = Scan::of(&scan.order(grid, 5), grid);
            assert_eq!(known, Some(scan).filter(|s| *s != Scan::Random));
            assert_eq!(serde_json::to_value(scan).unwrap(), scan.name());
        }
    }

    #[test]
    fn an_order_is_no_scan_of_a_grid_that_does_not_fit_it() {
        let order = Scan::Raster.order(Grid { height: 3, width: 4 }, 0);
        for (height, width) in
            [(3, 5), (0, 0), (0, 12), (1, usize::MAX), (1 << 40, 4), (usize::MAX, usize::MAX), (1 << 62, 4)]
        {
            let grid = Grid { height, width };
            assert_eq!((Scan::of(&order, grid), Scan::of(&Order::Time, grid)), (None, None), "{grid:?}");
        }
    }

    #[test]
    fn a_seed_names_one_random_order() {
        let grid = Grid { height: 28, width: 28 };
        assert_eq!(Scan::Random.order(grid, 1), Scan::Random.order(grid, 1));
        assert_ne!(Scan::Random.order(grid, 1), Scan::Random.order(grid, 2));
    }
}
