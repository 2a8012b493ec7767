//! Amounts with their units, as run files write them and as a person reads them.

pub use wavesynth_models::memory::Bytes;

/// Bytes with a unit.
pub fn bytes(n: usize) -> String {
    wavesynth_models::memory::bytes(n as u64)
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
        assert_eq!(span(59.9), "59 s");
        assert_eq!(span(7260.0), "2 h 01 min");
    }
}
