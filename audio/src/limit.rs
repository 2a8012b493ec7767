//! A limiter that needs no look ahead and no memory: what passes -1 dBFS is bent below full scale.

/// Magnitude up to which nothing changes: -1 dBFS.
pub const KNEE: f32 = 0.891_250_9;

/// `x` where its magnitude is at most [`KNEE`]; beyond, KNEE + (1 − KNEE) u / (1 + u) with u = (|x| − KNEE) / (1 − KNEE), and
/// `x`'s sign. Steady with its slope, never above 1. NaN stays.
///
/// # Real-time
/// A comparison; five operations where it limits.
#[inline]
pub fn limit(x: f32) -> f32 {
    let beyond = x.abs() - KNEE;
    if beyond > 0.0 {
        let room = 1.0 - KNEE;
        // An infinity has no share of anything.
        let u = (beyond / room).min(1e6);
        return (KNEE + room * (u / (1.0 + u))).copysign(x);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_the_knee_is_itself_and_nothing_passes_full_scale() {
        assert!((20.0 * KNEE.log10() + 1.0).abs() < 1e-5);
        let mut last = 0.0;
        for i in 0..40_000 {
            let x = i as f32 / 10_000.0;
            let y = limit(x);
            assert!(if x <= KNEE { y == x } else { y <= x && y <= 1.0 }, "{x}: {y}");
            assert!(y >= last && y - last <= 1.01e-4, "no step and no slope beyond its own: {x}");
            assert_eq!(limit(-x), -y);
            last = y;
        }
        assert!(limit(f32::INFINITY) <= 1.0 && limit(f32::MAX) <= 1.0 && limit(f32::NAN).is_nan());
        assert!((limit(1.0) - 0.9456).abs() < 1e-3);
    }
}
