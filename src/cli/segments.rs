//! Which pixels a model of any order takes at once: what drawing and reading share.

use wavesynth::images::{Groups, Schedule};
use wavesynth_models::order::Grid;

/// Several pixels at a time.
#[derive(Debug, clap::Args)]
pub struct SegmentArgs {
    /// Take several pixels at a time, in so many steps, by a model of any order: few first, then more
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "squares")]
    steps: Option<u32>,
    /// Take squares of so many pixels each way in a random order, each at once, by a model of any order
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    squares: Option<u32>,
}

impl SegmentArgs {
    /// Whether any is asked for.
    pub fn is_given(&self) -> bool {
        self.steps.is_some() || self.squares.is_some()
    }

    /// The segments over `grid` by the random numbers of `seed`, if any are asked for.
    pub fn groups(&self, grid: Grid, seed: u64) -> Option<Groups> {
        let schedule = match (self.steps, self.squares) {
            (Some(k), _) => Schedule::Cosine(k as usize),
            (_, Some(n)) => Schedule::Squares(n as usize),
            _ => return None,
        };
        Some(Groups::new(schedule, grid, seed))
    }
}
