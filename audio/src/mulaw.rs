//! 8-bit mu-law companding (ITU-T G.711's curve, mu = 255), mid-tread so that silence is exact.
//!
//! With x clamped to -1..1,
//!
//! ```text
//! y    = sign(x) ln(1 + 255 |x|) / ln 256          in -1..1
//! code = 128 + round(127 y)                        in 1..=255
//! x'   = sign(y) (256^|y| - 1) / 255               with y = (code - 128) / 127
//! ```
//!
//! The codes are symmetric around [`ZERO`], which decodes to 0.0 exactly; WaveNet's usual form (van den
//! Oord et al. 2016, section 2.2) has no code for zero and hums in pauses. Code 0 is never produced.

/// Number of symbols a model of this alphabet predicts. Code 0 is one of them though never produced.
pub const CLASSES: usize = 256;

/// The code of silence.
pub const ZERO: u16 = 128;

/// 256^(1/127): the ratio between neighbouring values of `1 + 255 |x|`.
const RATIO: f64 = 1.044_630_061_412_595_6;

static TABLE: [f32; CLASSES] = table();

const fn table() -> [f32; CLASSES] {
    let mut t = [0.0; CLASSES];
    let mut power = 1.0f64;
    let mut k = 1;
    while k <= 127 {
        power *= RATIO;
        let x = ((power - 1.0) / 255.0) as f32;
        // The product of 127 factors may end a bit beside 256.
        let x = if k == 127 { 1.0 } else { x };
        t[ZERO as usize + k] = x;
        t[ZERO as usize - k] = -x;
        k += 1;
    }
    t[0] = -1.0;
    t
}

/// The code of sample `x`: clamped to -1..1, NaN counts as 0. Result in 1..=255.
///
/// # Real-time
/// One logarithm; no allocation.
#[inline]
pub fn encode(x: f32) -> u16 {
    let x = if x.is_nan() { 0.0 } else { x.clamp(-1.0, 1.0) } as f64;
    // 5.545... is ln 256.
    let y = (255.0 * x.abs()).ln_1p() / 5.545_177_444_479_562;
    let step = (127.0 * y).round() as u16;
    if x < 0.0 { ZERO - step } else { ZERO + step }
}

/// The sample that `code` stands for, -1..1. Codes above 255 count as 255, code 0 as 1.
///
/// # Real-time
/// A table look-up.
#[inline]
pub fn decode(code: u16) -> f32 {
    TABLE[(code as usize).min(CLASSES - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_round_trip() {
        for c in 1..=255 {
            assert_eq!(encode(decode(c)), c);
        }
        assert_eq!(decode(0), -1.0);
        assert_eq!(decode(0), decode(1));
        assert_eq!(decode(u16::MAX), 1.0);
    }

    #[test]
    fn silence_is_exact_and_the_codes_symmetric() {
        assert_eq!(decode(ZERO), 0.0);
        assert_eq!(encode(0.0), ZERO);
        assert_eq!(encode(-0.0), ZERO);
        for k in 0..=127 {
            assert_eq!(decode(ZERO + k), -decode(ZERO - k));
        }
    }

    /// Computed apart from this code, in Python: `(256**abs(y) - 1) / 255` with y = (c - 128) / 127.
    #[test]
    fn values_agree_with_the_equation() {
        for (code, x) in [
            (1, -1.0),
            (64, -0.060_208_405_089_800_65),
            (100, -0.009_395_552_903_521_065),
            (129, 0.000_175_019_848_676_845_57),
            (150, 0.006_326_340_050_419_007),
            (200, 0.087_019_743_747_711_83),
            (255, 1.0),
        ] {
            assert!((decode(code) as f64 - x).abs() <= 1e-7 * f64::abs(x), "{code}");
        }
        for (x, code) in [(0.001, 133), (-0.001, 123), (0.01, 157), (0.1, 203), (-0.5, 17), (0.3, 228)] {
            assert_eq!(encode(x), code, "{x}");
        }
    }

    #[test]
    fn monotone_and_nearest_in_the_companded_domain() {
        let mut last = 0;
        for i in -40_000..=40_000 {
            let c = encode(i as f32 / 32_768.0);
            assert!(c >= last && (1..=255).contains(&c));
            last = c;
        }
        assert!((1..255).all(|c| decode(c) < decode(c + 1)));
    }

    #[test]
    fn bad_samples_get_a_code() {
        assert_eq!(encode(f32::NAN), ZERO);
        assert_eq!(encode(f32::INFINITY), 255);
        assert_eq!(encode(f32::NEG_INFINITY), 1);
        assert_eq!(encode(7.0), 255);
    }
}
