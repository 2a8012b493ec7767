//! Silence that a device plays by itself, seen on its own clock.
//!
//! A device that runs dry makes up silence, and everything after that is heard later by as much. So the time at which a
//! sample is heard, less its number over the rate, stays the same while nothing breaks off, and grows by each gap.

/// Callbacks in a row that have to agree. Right after a gap a device still reports its buffer as empty.
const AGREE: u32 = 5;
/// Most by which they may differ, in seconds.
const NOISE: f64 = 1e-3;
/// Callbacks within which further silence belongs to the gap before: a device's reports settle in steps.
const SETTLES: u32 = 40;
/// The least that is a gap, in seconds: reports are off by half of that on a busy machine.
const LEAST: f64 = 4e-3;
/// The least that is more of the gap before.
const MORE: f64 = 3e-4;
/// Most that two clocks drift apart, as a share of the time. It is followed; sound servers let a gap appear little by
/// little, which is faster.
const DRIFT: f64 = 5e-4;

/// Finds gaps from the times at which callbacks' samples are heard.
#[derive(Debug)]
pub(super) struct Timeline {
    rate: f64,
    /// Samples handed over.
    written: u64,
    /// What has been agreed on: seconds by which a sample is heard later than its number says.
    base: Option<f64>,
    /// Least and greatest of the last callbacks that agree, and how many they are.
    recent: (f64, f64, u32),
    /// Callbacks since the last gap was found.
    since: u32,
}

/// What a callback has found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Found {
    /// Samples of silence that were played; below zero for what turns out not to have been.
    pub samples: i64,
    /// Whether they are a gap of their own.
    pub gap: bool,
}

impl Timeline {
    pub(super) fn new(rate: u32) -> Self {
        Self { rate: rate.into(), written: 0, base: None, recent: (0.0, 0.0, 0), since: SETTLES }
    }

    /// A callback hands over `samples` samples, the first of which is heard at `heard` seconds of any clock.
    ///
    /// # Real-time
    /// A few operations.
    pub(super) fn callback(&mut self, heard: f64, samples: usize) -> Found {
        let late = heard - self.written as f64 / self.rate;
        self.written += samples as u64;
        self.since = self.since.saturating_add(1);
        let (least, most, count) = self.recent;
        let wider = (least.min(late), most.max(late), count + 1);
        self.recent = if count > 0 && wider.1 - wider.0 <= NOISE { wider } else { (late, late, 1) };
        if self.recent.2 < AGREE {
            return Found::default();
        }
        let now = (self.recent.0 + self.recent.1) / 2.0;
        // From here on the newest speaks, or a drift would widen the range until it never agrees.
        self.recent = (late, late, AGREE - 1);
        let base = self.base.unwrap_or(now);
        let gap = now - base;
        let follows = DRIFT * samples as f64 / self.rate;
        let least = if self.since > SETTLES { LEAST } else { MORE };
        self.base = Some(if gap.abs() < least { base + gap.clamp(-follows, follows) } else { now });
        if gap.abs() < least {
            return Found::default();
        }
        let begins = gap > 0.0 && self.since > SETTLES;
        self.since = 0;
        Found { samples: (gap * self.rate).round() as i64, gap: begins }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: usize = 960;

    /// What is found of `gaps` (callback, seconds) in ten seconds, at a clock that runs `drift` too slow, with up to
    /// `jitter` seconds of noise.
    fn found(gaps: &[(usize, f64)], drift: f64, jitter: f64) -> Vec<i64> {
        let mut line = Timeline::new(48_000);
        let (mut now, mut out) = (0.03, Vec::new());
        for i in 0..500 {
            now += gaps.iter().filter(|(at, _)| *at == i).map(|(_, s)| s).sum::<f64>();
            // Right after a gap the buffer counts as empty.
            let early = gaps.iter().any(|(at, _)| (*at..at + 3).contains(&i));
            let noise = jitter * ((i * 7 % 11) as f64 / 10.0 - 0.5);
            let heard = now + noise - if early { 0.012 } else { 0.0 };
            let found = line.callback(heard, PERIOD);
            match out.last_mut() {
                _ if found.gap => out.push(found.samples),
                Some(last) => *last += found.samples,
                None => assert_eq!(found.samples, 0),
            }
            now += PERIOD as f64 / 48_000.0 * (1.0 + drift);
        }
        out
    }

    #[test]
    fn every_gap_is_found_with_its_length() {
        assert_eq!(found(&[(100, 0.2)], 0.0, 0.0), [9600]);
        assert_eq!(
            found(&[(100, 0.2), (160, 0.0133), (220, 0.04), (400, 2.0)], 0.0, 0.0),
            [9600, 638, 1920, 96_000]
        );
    }

    #[test]
    fn noise_and_drift_are_no_gaps() {
        assert!(found(&[], 3e-4, 0.0).is_empty());
        assert!(found(&[], -3e-4, 9e-4).is_empty());
        let with_noise = found(&[(250, 0.1)], 1e-4, 6e-4);
        assert_eq!(with_noise.len(), 1);
        assert!((with_noise[0] - 4800).abs() < 60, "{with_noise:?}");
    }

    /// A gap that a sound server's clock shows little by little, a tenth of a millisecond at each callback.
    #[test]
    fn a_gap_that_appears_slowly_is_one_gap() {
        let glide: Vec<_> = (100..233).map(|at| (at, 1e-4)).collect();
        let found = glides(&glide);
        assert_eq!(found.len(), 1);
        assert!((found[0] - 638).abs() < 80, "{found:?}");
    }

    /// As `found`, of a clock that tells no less right after a gap.
    fn glides(gaps: &[(usize, f64)]) -> Vec<i64> {
        let mut line = Timeline::new(48_000);
        let (mut now, mut out) = (0.03, Vec::new());
        for i in 0..500 {
            now += gaps.iter().filter(|(at, _)| *at == i).map(|(_, s)| s).sum::<f64>();
            let found = line.callback(now, PERIOD);
            match out.last_mut() {
                _ if found.gap => out.push(found.samples),
                Some(last) => *last += found.samples,
                None => assert_eq!(found.samples, 0),
            }
            now += PERIOD as f64 / 48_000.0;
        }
        out
    }

    /// A report that was wrong for a while, and is taken back.
    #[test]
    fn what_is_taken_back_is_subtracted() {
        assert_eq!(found(&[(100, 0.05), (200, -0.05)], 0.0, 0.0).iter().sum::<i64>(), 0);
    }
}
