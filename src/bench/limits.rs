//! How near a shape comes to the machine's limits.
//!
//! A step reads every weight once, so it can take no less time than
//!
//! ```text
//! bound = max(multiply-adds / peak rate, weight bytes / read rate(weight bytes))
//! ```
//!
//! The read rate is measured on a buffer as large as the weights, read over and over. The figure of a cache level alone
//! would be no bound: weights a little larger than a cache are neither all found in it nor all missed, because caches
//! do not replace the least recently used line strictly. A smaller buffer can always be read as fast as a larger one,
//! so a higher rate of a larger one counts.

use super::machine::{Machine, median, read_rate};
use super::{Grain, Subject, measure};
use serde::Serialize;
use wavesynth_models::kernels::Isa;

/// Samples per block that the clock is read around.
const BLOCK: usize = 256;
/// Bound and engine are measured in turn, so that a change of the machine's speed affects both.
const ROUNDS: usize = 5;
/// Buffer sizes from which the roofline is drawn, as powers of two in halves: 16 KiB to 64 MiB.
const LADDER: std::ops::RangeInclusive<i32> = 28..=52;

/// A machine, its shapes and how near each comes.
#[derive(Debug, Clone, Serialize)]
pub struct Limits {
    /// The core.
    pub machine: Machine,
    /// Bytes of a buffer and the bytes per second that it can be read with, never rising.
    pub read_rates: Vec<(usize, f64)>,
    /// One row a shape.
    pub rows: Vec<LimitRow>,
}

/// A shape, its bound, and what was reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LimitRow {
    /// The shape's name, or the checkpoint's file name.
    pub shape: String,
    /// How weights are stored in memory.
    pub dtype: String,
    /// Instruction set of the engine.
    pub isa: String,
    /// Bytes of weights read per symbol.
    pub weight_bytes: usize,
    /// Multiply-adds per symbol.
    pub macs_per_symbol: usize,
    /// Samples per second that `times_real_time` refers to.
    pub sample_rate: u32,
    /// The nearest level of memory that holds the weights.
    pub level: String,
    /// Least time of a symbol, and what sets it.
    #[serde(flatten)]
    pub bound: Bound,
    /// Median time of a symbol, in blocks of 256.
    pub ns_per_symbol: f64,
    /// Seconds of sound made in a second.
    pub times_real_time: f64,
    /// Seconds of sound in a second that the bound allows.
    pub bound_times_real_time: f64,
    /// Reached / bound.
    pub fraction: f64,
}

/// The least time of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bound {
    /// For the multiply-adds at the peak rate of their type, ns.
    pub compute_ns: f64,
    /// For reading the weights, ns.
    pub read_ns: f64,
    /// The larger of the two.
    pub bound_ns: f64,
}

impl Bound {
    /// From a symbol's needs and the machine's rates.
    pub fn new(macs: usize, mul_adds_per_s: f64, bytes: usize, bytes_per_s: f64) -> Self {
        let compute_ns = 1e9 * macs as f64 / mul_adds_per_s;
        let read_ns = 1e9 * bytes as f64 / bytes_per_s;
        Self { compute_ns, read_ns, bound_ns: read_ns.max(compute_ns) }
    }
}

impl Limits {
    /// Measures the machine under `isa`, without shapes yet.
    pub fn of(isa: Isa) -> Self {
        let machine = Machine::measure(isa);
        let mut read_rates: Vec<_> = LADDER
            .map(|i| {
                let bytes = (f64::from(i) / 2.0).exp2() as usize;
                (bytes, read_rate(isa, bytes))
            })
            .collect();
        for i in (0..read_rates.len()).rev() {
            let beyond = read_rates.get(i + 1).map_or(0.0, |r| r.1);
            read_rates[i].1 = rate_at(&machine, read_rates[i].0, read_rates[i].1.max(beyond));
        }
        Self { machine, read_rates, rows: Vec::new() }
    }

    /// Measures `seconds` of sound from `subject`, and its bound.
    pub fn add(&mut self, subject: &Subject, isa: Isa, seconds: f64) {
        let mut rows = Vec::new();
        let mut rates = Vec::new();
        for _ in 0..ROUNDS {
            let row = measure(subject, seconds / ROUNDS as f64, Grain::Block(BLOCK), 1);
            rates.push(read_rate(isa, row.weight_bytes));
            rows.push(row);
        }
        let ns = median(rows.iter().map(|r| r.ns_per_symbol.p50));
        let row = rows.swap_remove(0);
        let rate = rate_at(&self.machine, row.weight_bytes, median(rates.into_iter()));
        let (macs, bytes) = (row.macs_per_symbol, row.weight_bytes);
        let bound = Bound::new(macs, self.machine.peak(&row.dtype), bytes, rate);
        let real_time = |ns: f64| 1e9 / (ns * f64::from(row.sample_rate));
        self.rows.push(LimitRow {
            level: self.machine.level(bytes).name.clone(),
            weight_bytes: bytes,
            macs_per_symbol: macs,
            sample_rate: row.sample_rate,
            bound,
            ns_per_symbol: ns,
            times_real_time: real_time(ns),
            bound_times_real_time: real_time(bound.bound_ns),
            fraction: bound.bound_ns / ns,
            shape: row.shape,
            dtype: row.dtype,
            isa: row.isa,
        });
    }
}

/// Bytes per second that a buffer of `bytes` can be read with: as measured, or as a larger one was if that is more.
fn rate_at(machine: &Machine, bytes: usize, measured: f64) -> f64 {
    let larger = machine.levels.iter().filter(|l| l.read_over >= bytes).map(|l| l.bytes_per_s);
    larger.fold(measured, f64::max)
}

#[cfg(test)]
mod tests {
    use super::super::machine::Level;
    use super::*;

    #[test]
    fn the_bound_is_the_slower_of_computing_and_reading() {
        let b = Bound::new(1000, 1e9, 4000, 8e9);
        assert_eq!((b.compute_ns, b.read_ns, b.bound_ns), (1000.0, 500.0, 1000.0));
        let b = Bound::new(1000, 1e10, 2000, 1e9);
        assert_eq!((b.compute_ns, b.read_ns, b.bound_ns), (100.0, 2000.0, 2000.0));
    }

    #[test]
    fn a_smaller_buffer_is_read_as_fast_as_a_larger_one() {
        let level =
            |read_over, bytes_per_s| Level { name: String::new(), bytes: None, read_over, bytes_per_s };
        let machine = Machine {
            cpu: String::new(),
            isa: String::new(),
            mul_adds_per_s: 1.0,
            byte_mul_adds_per_s: 1.0,
            levels: vec![level(100, 9.0), level(1000, 5.0), level(10_000, 2.0)],
            sizes_assumed: false,
        };
        assert_eq!(rate_at(&machine, 500, 4.0), 5.0);
        assert_eq!(rate_at(&machine, 500, 6.0), 6.0);
        assert_eq!(rate_at(&machine, 2000, 1.0), 2.0);
        assert_eq!(rate_at(&machine, 20_000, 1.0), 1.0);
    }
}
