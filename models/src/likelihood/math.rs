//! Functions in f64. [`exp`], [`ln`] and what stands on them are sums, products and quotients in a fixed order, so that
//! the same parameters and uniforms draw the same values on every machine.

use std::f64::consts::{LN_2, LOG2_E, SQRT_2};

/// eˣ within 2 units of the last place; 0 below −708, infinite above 709. No branch, so that loops over it are vectors.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    /// Adding it leaves a whole number in the last bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// ln 2 in two parts, the first short enough that its product with an exponent is exact.
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    // r² (1/2! + r²/4! + …) + r³ (1/3! + r²/5! + …), two sums that need not wait for each other.
    let q = r * r;
    let even = [1.0 / 479_001_600.0, 1.0 / 3_628_800.0, 1.0 / 40_320.0, 1.0 / 720.0, 1.0 / 24.0, 0.5];
    let odd =
        [1.0 / 6_227_020_800.0, 1.0 / 39_916_800.0, 1.0 / 362_880.0, 1.0 / 5_040.0, 1.0 / 120.0, 1.0 / 6.0];
    let sum = |c: [f64; 6]| ((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5];
    let y = 1.0 + (r + q * (sum(even) + r * sum(odd)));
    let y = y * f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    let y = if x < -708.0 { 0.0 } else { y };
    if x > 709.0 { f64::INFINITY } else { y }
}

/// The natural logarithm, its absolute error below 2⁻⁵¹ · max(1, |ln x|).
#[inline]
pub fn ln(x: f64) -> f64 {
    if !(f64::MIN_POSITIVE..f64::INFINITY).contains(&x) {
        return x.ln();
    }
    let bits = x.to_bits();
    let mut n = (bits >> 52) as i64 - 1023;
    let mut m = f64::from_bits(bits & (u64::MAX >> 12) | 1023 << 52);
    if m > SQRT_2 {
        m *= 0.5;
        n += 1;
    }
    // ln m = 2 artanh(s) = 2 (s + s³/3 + s⁵/5 + …), |s| < 0.172.
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let mut sum = 0.0;
    for i in (1..=10).rev() {
        sum = (sum + 1.0 / f64::from(2 * i + 1)) * q;
    }
    n as f64 * LN_2 + 2.0 * (s + s * sum)
}

/// 1 / (1 + e^−x).
#[inline]
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// tanh x = 2 σ(2x) − 1.
#[inline]
pub fn tanh(x: f64) -> f64 {
    2.0 * sigmoid(2.0 * x) - 1.0
}

/// ln(1 + eˣ) = −ln σ(−x).
#[inline]
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + ln(1.0 + exp(-x.abs()))
}

/// Moves a uniform number in [0, 1) to the middle of its cell of 2⁻²⁴: into (0, 1), where quantiles are finite.
#[inline]
pub fn open(uniform: f32) -> f64 {
    f64::from(uniform) + 1.0 / f64::from(1 << 25)
}

/// The quantile of the standard logistic distribution.
#[inline]
pub fn logistic_quantile(u: f64) -> f64 {
    ln(u / (1.0 - u))
}

/// The quantile of the standard normal distribution for u from e⁻²⁵ to 1 − e⁻²⁵: PPND16 of Wichura 1988, "Algorithm AS
/// 241", Applied Statistics 37(3), relative error about 1e-16. Its third part, for u below e⁻²⁵, is never reached by
/// [`open`].
pub fn normal_quantile(u: f64) -> f64 {
    let q = u - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(0.180625 - q * q, &CENTRAL);
    }
    let tail = if q < 0.0 { u } else { 1.0 - u };
    (ratio((-ln(tail)).sqrt() - 1.6, &TAIL)).copysign(q)
}

/// A quotient of two polynomials, coefficients from the highest power down.
fn ratio(r: f64, [above, below]: &[[f64; 8]; 2]) -> f64 {
    let at = |p: &[f64; 8]| p.iter().fold(0.0, |sum, c| sum * r + c);
    at(above) / at(below)
}

#[allow(clippy::excessive_precision, reason = "as published")]
const CENTRAL: [[f64; 8]; 2] = [
    [
        2509.0809287301226727,
        33430.575583588128105,
        67265.770927008700853,
        45921.953931549871457,
        13731.693765509461125,
        1971.5909503065514427,
        133.14166789178437745,
        3.387132872796366608,
    ],
    [
        5226.495278852545925,
        28729.085735721942674,
        39307.89580009271061,
        21213.794301586595867,
        5394.1960214247511077,
        687.1870074920579083,
        42.313330701600911252,
        1.0,
    ],
];

#[allow(clippy::excessive_precision, reason = "as published")]
const TAIL: [[f64; 8]; 2] = [
    [
        7.7454501427834140764e-4,
        0.0227238449892691845833,
        0.24178072517745061177,
        1.27045825245236838258,
        3.64784832476320460504,
        5.7694972214606914055,
        4.6303378461565452959,
        1.42343711074968357734,
    ],
    [
        1.05075007164441684324e-9,
        5.475938084995344946e-4,
        0.0151986665636164571966,
        0.14810397642748007459,
        0.68976733498510000455,
        1.6763848301838038494,
        2.05319162663775882187,
        1.0,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_ln_are_those_of_the_standard_library() {
        for i in -7080..=7090 {
            let x = f64::from(i) * 0.1;
            assert!((exp(x) / x.exp() - 1.0).abs() < 4.5e-16, "exp {x}: {} {}", exp(x), x.exp());
            let y = x.exp();
            assert!((ln(y) - y.ln()).abs() <= 4.5e-16 * y.ln().abs().max(1.0), "ln {y}");
        }
        for i in 1..10_000 {
            let x = f64::from(i) * 3e-4;
            assert!((ln(x) - x.ln()).abs() < 4.5e-16 * x.ln().abs().max(1.0), "ln {x}");
        }
        assert_eq!((exp(0.0), exp(-1e9), exp(1e9), ln(1.0)), (1.0, 0.0, f64::INFINITY, 0.0));
        assert!(exp(f64::NAN).is_nan() && ln(f64::NAN).is_nan() && ln(0.0) == f64::NEG_INFINITY);
    }

    #[test]
    fn functions_of_them_are_sound_at_both_ends() {
        for (x, want) in
            [(-1e6, 0.0), (0.0, std::f64::consts::LN_2), (1e6, 1e6), (-30.0, (-30f64).exp().ln_1p())]
        {
            assert!((softplus(x) - want).abs() < 3e-16, "softplus {x}");
        }
        for x in [-1e6, -20.0, -0.3, 0.0, 1e-9, 2.0, 1e6] {
            assert!((tanh(x) - x.tanh()).abs() < 3e-16, "tanh {x}");
        }
        assert_eq!((sigmoid(-1e6), sigmoid(0.0), sigmoid(1e6)), (0.0, 0.5, 1.0));
    }

    /// `tests/models/likelihood.rs` holds them to an independent program.
    #[test]
    fn quantiles_are_odd_monotone_and_finite() {
        let mut last = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        let count = 1 << 24;
        // 4097 · 4095 is the last one.
        for i in (0..count).step_by(4097) {
            let u = open(i as f32 / count as f32);
            assert!(u > 0.0 && u < 1.0);
            let (z, l) = (normal_quantile(u), logistic_quantile(u));
            assert!(z.is_finite() && l.is_finite() && z > last.0 && l > last.1, "{u}: {z} {l}");
            assert!((z + normal_quantile(1.0 - u)).abs() < 1e-12 && (sigmoid(l) - u).abs() < 1e-15, "{u}");
            last = (z, l);
        }
        assert_eq!((normal_quantile(0.5), logistic_quantile(0.5)), (0.0, 0.0));
    }
}
