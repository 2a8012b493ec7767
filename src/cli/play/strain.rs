//! What to do when the voice can't be made in time, said once.

use std::time::{Duration, Instant};
use wavesynth::synth::SessionSetup;
use wavesynth_models::weights::Dtype;

/// A ring that has been below half for so long is no passing matter.
const LONG: Duration = Duration::from_secs(3);
/// Underruns that are no passing matter either.
const MANY: u64 = 3;
/// Below this many times real time the engine itself is what is too slow.
const SLOW: f64 = 1.3;
/// The longest `--latency`, in ms.
const LONGEST_MS: f64 = 2000.0;

/// Watches the ring.
pub(super) struct Strain {
    dtype: Dtype,
    /// Input in real time keeps the ring low by itself.
    live: bool,
    low_since: Option<Instant>,
    said: bool,
}

impl Strain {
    pub(super) fn new(dtype: Dtype, live: bool) -> Self {
        Self { dtype, live, low_since: None, said: false }
    }

    /// What helps, where the ring is `fill` per cent full, so many `underruns` were counted, and the engine makes `speed`
    /// times real time. Once.
    pub(super) fn advice(
        &mut self,
        fill: usize,
        underruns: u64,
        speed: f64,
        setup: SessionSetup,
    ) -> Option<String> {
        if fill >= 50 || self.live {
            self.low_since = None;
        } else {
            self.low_since.get_or_insert_with(Instant::now);
        }
        let low = self.low_since.is_some_and(|since| since.elapsed() >= LONG);
        let slow = speed < SLOW;
        if self.said || !(low || underruns >= MANY || (underruns > 0 && slow)) {
            return None;
        }
        self.said = true;
        let ms = setup.ring_samples as f64 * 1000.0 / f64::from(setup.device_rate);
        let longer = (2.0 * ms).min(LONGEST_MS);
        Some(match (slow, self.dtype) {
            (true, Dtype::I8) => format!(
                "the engine makes {speed:.2} x real time in i8, its fastest type, so there are gaps; fewer --layer or a \
                 smaller model help, and `render` works at any speed"
            ),
            (true, dtype) => format!(
                "the engine makes {speed:.2} x real time in {dtype}, so there are gaps; `--dtype i8` is several times as \
                 fast, and `render` works at any speed"
            ),
            (false, _) if longer > ms => format!(
                "the engine is fast enough ({speed:.2} x real time), but this machine is busy with other things; \
                 `--latency {longer:.0}` keeps more sound ready than the {ms:.0} ms of now"
            ),
            (false, _) => format!(
                "the engine is fast enough ({speed:.2} x real time) and {ms:.0} ms of sound are kept ready, so this \
                 machine is too busy with other things; `render` works at any speed"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETUP: SessionSetup =
        SessionSetup { device_rate: 48_000, ring_samples: 2880, realtime: false, patient: false };

    #[test]
    fn advice_fits_what_is_seen_and_comes_once() {
        let mut strain = Strain::new(Dtype::F32, false);
        assert_eq!(strain.advice(100, 0, 0.5, SETUP), None);
        let said = strain.advice(0, 1, 0.8, SETUP).unwrap();
        assert!(said.contains("--dtype i8") && said.contains("0.80 x"), "{said}");
        assert_eq!(strain.advice(0, 9, 0.8, SETUP), None);
        let said = Strain::new(Dtype::I8, false).advice(0, 1, 0.8, SETUP).unwrap();
        assert!(!said.contains("--dtype") && said.contains("render"), "{said}");
        let mut fast = Strain::new(Dtype::I8, false);
        assert_eq!(fast.advice(80, 2, 9.0, SETUP), None);
        assert!(fast.advice(80, 3, 9.0, SETUP).unwrap().contains("--latency 120"));
        let full = SessionSetup { ring_samples: 96_000, ..SETUP };
        let said = Strain::new(Dtype::F32, false).advice(80, 3, 9.0, full).unwrap();
        assert!(!said.contains("--latency") && !said.contains("--dtype"), "{said}");
    }

    #[test]
    fn a_low_ring_counts_once_it_lasts_and_never_with_live_input() {
        for (live, said) in [(false, true), (true, false)] {
            let mut strain = Strain::new(Dtype::I8, live);
            assert_eq!(strain.advice(10, 0, 9.0, SETUP), None);
            strain.low_since = strain.low_since.map(|since| since - LONG);
            assert_eq!(strain.advice(10, 0, 9.0, SETUP).is_some(), said);
        }
    }
}
