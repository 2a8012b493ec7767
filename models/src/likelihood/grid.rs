//! Levels on a line from −1 to 1, and what a logistic distribution gives the bin of one.

use super::{LOG_SCALE_MAX, math};

/// Level k, from 0 to `last`, stands for 2k / `last` − 1.
#[derive(Clone, Copy)]
pub struct Grid {
    pub last: f64,
    /// The least ln s.
    pub log_scale_min: f32,
}

impl Grid {
    /// A whole number as a level.
    fn level(self, x: f32) -> f64 {
        f64::from(x).min(self.last)
    }

    /// The value between `level` − 1 and `level`.
    pub fn edge(self, level: f64) -> f64 {
        (2.0 * level - 1.0 - self.last) / self.last
    }

    /// The value that `level` stands for.
    pub fn value(self, level: f32) -> f64 {
        2.0 * self.level(level) / self.last - 1.0
    }

    /// The level whose bin holds `value`.
    pub fn round(self, value: f64) -> usize {
        ((value + 1.0) * 0.5 * self.last).round().clamp(0.0, self.last) as usize
    }

    /// ln s between its clamps.
    pub fn clamped(self, log_scale: f32) -> f64 {
        f64::from(log_scale.clamp(self.log_scale_min, LOG_SCALE_MAX))
    }

    /// ln p of the bin of `level`, and its derivatives by μ and ln s.
    ///
    /// With a and b the upper and lower edge of the bin in scales from the mean, and δ = a − b taken from the scale
    /// alone, so that nothing cancels: σ(a) − σ(b) = σ(a) σ(−b) (1 − e^−δ). The first bin is σ(a), the last σ(−b).
    #[inline(always)]
    pub fn bin(self, level: f32, mean: f64, log_scale: f32) -> (f64, f64, f64) {
        let level = self.level(level);
        let clamped = self.clamped(log_scale);
        let inverse = math::exp(-clamped);
        let (mut linear, mut d_mean, mut d_log_scale) = (0.0, 0.0, 0.0);
        let (mut above, mut below) = (1.0, 1.0);
        if level < self.last {
            let a = (self.edge(level + 1.0) - mean) * inverse;
            let e = math::exp(-a.abs());
            // σ(−a), the derivative of ln σ(a).
            let slope = if a > 0.0 { e } else { 1.0 } / (1.0 + e);
            linear += a.min(0.0);
            below *= 1.0 + e;
            d_mean -= slope;
            d_log_scale -= a * slope;
        }
        if level > 0.0 {
            let b = (self.edge(level) - mean) * inverse;
            let e = math::exp(-b.abs());
            // σ(b), minus the derivative of ln σ(−b).
            let slope = if b > 0.0 { 1.0 } else { e } / (1.0 + e);
            linear -= b.max(0.0);
            below *= 1.0 + e;
            d_mean += slope;
            d_log_scale += b * slope;
        }
        if level > 0.0 && level < self.last {
            let width = 2.0 * inverse / self.last;
            above = -(-width).exp_m1();
            d_log_scale -= width * (1.0 - above) / above;
        }
        if clamped != f64::from(log_scale) {
            d_log_scale = 0.0;
        }
        (linear + math::ln(above / below), d_mean * inverse, d_log_scale)
    }
}
