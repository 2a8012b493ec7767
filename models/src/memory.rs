//! How much memory a model takes, known before it is taken, and the most that one may take.
//!
//! [`Memory`] is computed from a config alone. A checkpoint is compared with [`limit`] by its head, before its tensors are
//! read, and a model before its weights are packed and a stream is made.

use crate::family::FamilyConfig;
use crate::weights::TensorSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most memory that a model may take unless [`set_limit`] says otherwise: 2 GB.
pub const DEFAULT_LIMIT: u64 = 2_000_000_000;

/// Of the process, as its memory is.
static LIMIT: AtomicU64 = AtomicU64::new(DEFAULT_LIMIT);

/// The most bytes that a model of this process may take, with all its streams.
pub fn limit() -> u64 {
    LIMIT.load(Ordering::Relaxed)
}

/// Sets [`limit`] for all models that are opened from now on.
pub fn set_limit(bytes: u64) {
    LIMIT.store(bytes, Ordering::Relaxed);
}

/// More memory than [`limit`] allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} would take {wanted} of memory, at most {limit} are allowed; --max-memory raises the limit",
    wanted = bytes(*wanted),
    limit = bytes(*limit)
)]
pub struct MemoryError {
    /// What would take it.
    pub what: String,
    /// Bytes that it would take.
    pub wanted: u64,
    /// Bytes that are allowed.
    pub limit: u64,
}

/// Checks that `wanted` bytes for `what` are within [`limit`].
///
/// # Errors
/// When they are not.
pub fn check(what: impl Into<String>, wanted: u64) -> Result<(), MemoryError> {
    match limit() {
        limit if wanted > limit => Err(MemoryError { what: what.into(), wanted, limit }),
        _ => Ok(()),
    }
}

/// The most bytes that a model takes, by part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The tensors' values as 32-bit floats, and the packed weights with what exists while they are packed.
    pub weights: u64,
    /// One stream: queues, caches of keys and values, recurrent state, scratch, sampler.
    pub stream: u64,
}

impl Memory {
    /// Of a network of these sizes, whatever the instruction set and the type of its weights.
    pub fn of(config: &FamilyConfig) -> Self {
        let table = config.table();
        let values: u64 = table.iter().map(|s| 4 * count(s)).sum();
        let packed = |s: &TensorSpec| packed(s, |columns| config.packed_columns(columns));
        // What is gathered or turned before it is packed: at most the largest group of tensors, twice.
        let mut groups: BTreeMap<&str, u64> = BTreeMap::new();
        for spec in &table {
            *groups.entry(spec.group.unwrap_or(&spec.name)).or_default() += packed(spec);
        }
        let largest = groups.values().max().copied().unwrap_or(0);
        let likelihood = config.facts().likelihood.get();
        // The sampler's weights, sums and order.
        let sampler = 16 * (likelihood.alternatives() as u64 + 64);
        Self {
            weights: values + table.iter().map(packed).sum::<u64>() + 2 * largest,
            stream: config.stream_bytes() + sampler + 4096,
        }
    }

    /// Of `streams` streams.
    pub fn total(&self, streams: usize) -> u64 {
        self.weights.saturating_add(self.stream.saturating_mul(streams as u64))
    }
}

/// Values of a tensor.
fn count(spec: &TensorSpec) -> u64 {
    spec.shape.iter().fold(1, |n: u64, &x| n.saturating_mul(x as u64))
}

/// Bytes of a tensor in whole vectors of the widest instruction set.
fn packed(spec: &TensorSpec, columns: impl Fn(usize) -> usize) -> u64 {
    let last = spec.shape.last().copied().unwrap_or(1);
    let rows = (count(spec) / last.max(1) as u64).next_multiple_of(LANES as u64);
    let rows = if spec.shape.len() > 1 { rows } else { 1 };
    4 * rows.saturating_mul(columns(last) as u64)
}

/// Floats of a vector of the widest instruction set.
pub(crate) const LANES: usize = 16;

/// `n` floats padded to whole vectors of the widest instruction set.
pub(crate) fn padded(n: usize) -> u64 {
    n.next_multiple_of(LANES) as u64
}

/// An amount of memory as a person writes it: `800 MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub usize);

/// Units that [`Bytes`] knows.
const UNITS: [(&str, f64); 6] =
    [("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("kib", 1024.0), ("mib", 1_048_576.0), ("gib", 1_073_741_824.0)];

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim().trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.trim()[digits.len()..].to_ascii_lowercase();
        let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|u| u.1);
        match (digits.trim().parse::<f64>(), scale) {
            (Ok(n), Some(scale)) if n > 0.0 && n * scale < 1e15 => Ok(Self((n * scale) as usize)),
            _ => Err(format!(
                "`{text}` is no amount of memory, wanted a number and kB, MB or GB, as in \"800 MB\""
            )),
        }
    }
}

impl TryFrom<String> for Bytes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        format!("{} kB", bytes.0 as f64 / 1e3)
    }
}

/// Bytes with a unit.
pub fn bytes(n: u64) -> String {
    match n as f64 {
        b if b >= 1e9 => format!("{:.1} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.0} MB", b / 1e6),
        b => format!("{:.0} kB", b / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_for_readers() {
        assert_eq!(bytes(1_530_000_000), "1.5 GB");
        assert_eq!(bytes(2_000_000), "2 MB");
        let read = |t: &str| t.parse();
        assert_eq!(read("800 MB"), Ok(Bytes(800_000_000)));
        assert_eq!(read("1.5GiB"), Ok(Bytes(1_610_612_736)));
        assert_eq!(read(" 20 kb "), Ok(Bytes(20_000)));
        for bad in ["800", "MB", "-1 MB", "8 apples", "", "1e30 GB", "NaN MB"] {
            assert!(read(bad).unwrap_err().contains("wanted a number and kB, MB or GB"), "{bad}");
        }
        assert_eq!(read(&String::from(Bytes(1_610_612_736))), Ok(Bytes(1_610_612_736)));
    }
}
