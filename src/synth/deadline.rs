//! How long things took: counts in fixed buckets, so that recording never allocates.

use std::time::Duration;

/// Buckets per factor of two: a percentile is at most 9 % too high.
const PER_OCTAVE: u32 = 8;
/// 2^0 to 2^40 ns, about 18 minutes.
const BUCKETS: usize = 40 * PER_OCTAVE as usize;

/// A histogram of durations, logarithmic, from 1 ns up.
#[derive(Clone)]
pub struct Deadlines {
    counts: Box<[u64; BUCKETS]>,
    total: u64,
    max_ns: u64,
}

/// The percentiles of a [`Deadlines`], in ns.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Percentiles {
    /// Half are at most this.
    pub p50: f64,
    /// 99 in 100 are.
    pub p99: f64,
    /// 999 in 1000 are.
    pub p999: f64,
    /// All are.
    pub max: f64,
}

impl Percentiles {
    /// The same in another unit: every value times `factor`.
    pub fn scaled(self, factor: f64) -> Self {
        Self {
            p50: self.p50 * factor,
            p99: self.p99 * factor,
            p999: self.p999 * factor,
            max: self.max * factor,
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::new()
    }
}

impl Deadlines {
    /// An empty histogram.
    pub fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0, max_ns: 0 }
    }

    /// Counts one duration.
    ///
    /// # Real-time
    /// Yes.
    pub fn record(&mut self, took: Duration) {
        let ns = (took.as_nanos() as u64).max(1);
        self.counts[bucket(ns)] += 1;
        self.total += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// Durations counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The percentiles; zeros when nothing was counted.
    pub fn percentiles(&self) -> Percentiles {
        Percentiles { p50: self.at(0.5), p99: self.at(0.99), p999: self.at(0.999), max: self.max_ns as f64 }
    }

    fn at(&self, share: f64) -> f64 {
        let wanted = (share * self.total as f64).ceil() as u64;
        let mut seen = 0;
        for (i, &n) in self.counts.iter().enumerate() {
            seen += n;
            if seen >= wanted && n > 0 {
                return upper_edge(i).min(self.max_ns as f64);
            }
        }
        0.0
    }
}

/// The exponent and the next three bits of `ns`: exact integer arithmetic, no logarithm.
fn bucket(ns: u64) -> usize {
    let exponent = ns.ilog2();
    let fraction = if exponent >= 3 { (ns >> (exponent - 3)) & 7 } else { (ns << (3 - exponent)) & 7 };
    ((exponent * PER_OCTAVE) as usize + fraction as usize).min(BUCKETS - 1)
}

fn upper_edge(bucket: usize) -> f64 {
    let (exponent, fraction) = (bucket as u32 / PER_OCTAVE, bucket as u32 % PER_OCTAVE);
    2f64.powi(exponent as i32) * (1.0 + f64::from(fraction + 1) / 8.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_at_most_a_bucket_too_high() {
        let mut d = Deadlines::new();
        assert_eq!(d.percentiles(), Percentiles::default());
        (1..=10_000u64).for_each(|us| d.record(Duration::from_micros(us)));
        let p = d.percentiles();
        for (got, want) in [(p.p50, 5e6), (p.p99, 9.9e6), (p.p999, 9.99e6)] {
            assert!(got >= want * 0.999 && got <= want * 1.13, "{got} for {want}");
        }
        assert_eq!((p.max, d.count()), (1e7, 10_000));
    }

    #[test]
    fn every_duration_has_a_bucket() {
        let mut d = Deadlines::new();
        for ns in [0, 1, 2, 3, 7, 8, u64::MAX / 2] {
            d.record(Duration::from_nanos(ns));
        }
        assert_eq!(d.count(), 7);
        for ns in 1..100_000u64 {
            let edge = upper_edge(bucket(ns));
            assert!(ns as f64 <= edge && edge <= 1.13 * ns as f64 + 1.0, "{ns} {edge}");
        }
    }
}
