//! Pause, resume and stop without a click: a gain that moves in straight lines.

/// A gain between 0 and 1. At rest it is exactly 1, so that it changes no sample.
#[derive(Debug, Clone)]
pub(super) struct Gain {
    level: f32,
    step: f32,
    stopping: bool,
    sample_rate: u32,
}

impl Gain {
    pub(super) fn new(sample_rate: u32) -> Self {
        Self { level: 1.0, step: 0.0, stopping: false, sample_rate }
    }

    /// The gain of the next sample.
    pub(super) fn next(&mut self) -> f32 {
        let now = self.level;
        if self.step != 0.0 {
            self.level = (now + self.step).clamp(0.0, 1.0);
            if self.level == 0.0 || self.level == 1.0 {
                self.step = 0.0;
            }
        }
        now
    }

    fn ramp(&mut self, ms: u32) -> f32 {
        1.0 / (self.sample_rate as f32 * ms as f32 / 1000.0).max(1.0)
    }

    pub(super) fn pause(&mut self, ms: u32) {
        if !self.stopping {
            self.step = -self.ramp(ms);
        }
    }

    pub(super) fn resume(&mut self, ms: u32) {
        if !self.stopping {
            self.step = self.ramp(ms);
        }
    }

    pub(super) fn stop(&mut self, ms: u32) {
        if !self.stopping {
            self.stopping = true;
            // From wherever a pause has brought it, in the same time.
            self.step = -self.ramp(ms) * self.level;
        }
    }

    /// Silent and standing still.
    pub(super) fn is_paused(&self) -> bool {
        self.level == 0.0 && self.step == 0.0 && !self.stopping
    }

    /// Silent for good.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopping && self.level == 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_in_steps_too_small_to_click() {
        let mut g = Gain::new(16_000);
        assert_eq!(g.next(), 1.0);
        g.pause(8);
        let mut last = 1.0;
        for _ in 0..129 {
            let now = g.next();
            assert!(now <= last && last - now < 0.0079);
            last = now;
        }
        assert!(last < 1e-5 && g.is_paused());
        g.resume(8);
        assert!(!g.is_paused());
        (0..129).for_each(|_| last = g.next());
        assert_eq!(last, 1.0);
        g.stop(100);
        g.resume(8);
        (0..1602).for_each(|_| last = g.next());
        assert!(g.is_stopped() && !g.is_paused());
    }

    #[test]
    fn a_stop_in_a_pause_is_immediate() {
        let mut g = Gain::new(16_000);
        g.pause(0);
        g.next();
        assert!(g.is_paused());
        g.stop(100);
        assert!(g.is_stopped());
    }
}
