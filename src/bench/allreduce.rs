//! The cost of communication between ranks: the sum of a gradient over all of them.

use crate::ranks::Ranks;
use serde::Serialize;
use std::time::{Duration, Instant};

/// Sums before the clock starts: buffers and connections as in mid-run.
const WARM_UP: usize = 10;
/// Fewest sums of a length.
const LEAST: usize = 20;
/// Least time for a length.
const TIME: Duration = Duration::from_millis(500);

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AllreduceRow {
    /// Processes.
    pub ranks: usize,
    /// Numbers summed, f32 each.
    pub values: usize,
    /// Sums timed.
    pub sums: usize,
    /// Median time of a sum on rank 0, in µs, the copy of the values included.
    pub p50_us: f64,
    /// Bytes of values summed in a second.
    pub bytes_per_s: f64,
}

/// Times [`Ranks::sum`] over `values` numbers.
pub fn allreduce(ranks: &Ranks, values: usize) -> AllreduceRow {
    let mut gradient = vec![1e-3f32; values];
    let mut times = Vec::new();
    let start = Instant::now();
    let mut more = true;
    while more {
        let begun = Instant::now();
        ranks.sum(&mut gradient);
        times.push(begun.elapsed().as_secs_f64() * 1e6);
        gradient.fill(1e-3);
        // The first rank's clock decides for all, and so that they start alike.
        more = ranks.any(ranks.is_first() && (times.len() < WARM_UP + LEAST || start.elapsed() < TIME));
    }
    let mut times = times.split_off(WARM_UP);
    times.sort_unstable_by(f64::total_cmp);
    let p50_us = times[times.len() / 2];
    let bytes_per_s = 4e6 * values as f64 / p50_us;
    AllreduceRow { ranks: ranks.size(), values, sums: times.len(), p50_us, bytes_per_s }
}
