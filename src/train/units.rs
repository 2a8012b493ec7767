//! Amounts with their units, as run files write them and as a person reads them.

use serde::{Deserialize, Serialize};

/// An amount of memory as a run file writes it: `"800 MB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub usize);

/// Units that [`Bytes`] knows.
const UNITS: [(&str, f64); 6] =
    [("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("kib", 1024.0), ("mib", 1_048_576.0), ("gib", 1_073_741_824.0)];

impl TryFrom<String> for Bytes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
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

impl From<Bytes> for String {
    fn from(bytes: Bytes) -> Self {
        format!("{} kB", bytes.0 as f64 / 1e3)
    }
}

/// Bytes with a unit.
pub fn bytes(n: usize) -> String {
    match n as f64 {
        b if b >= 1e9 => format!("{:.1} GB", b / 1e9),
        b if b >= 1e6 => format!("{:.0} MB", b / 1e6),
        b => format!("{:.0} kB", b / 1e3),
    }
}

/// A span of time with units.
pub fn span(seconds: f64) -> String {
    let s = seconds.max(0.0) as u64;
    match (s / 3600, s / 60 % 60) {
        (0, 0) => format!("{s} s"),
        (0, m) => format!("{m} min"),
        (h, m) => format!("{h} h {m:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_readers() {
        assert_eq!(bytes(1_530_000_000), "1.5 GB");
        assert_eq!(bytes(2_000_000), "2 MB");
        assert_eq!(span(59.9), "59 s");
        assert_eq!(span(7260.0), "2 h 01 min");
    }
}
