//! Pre-emphasis, its inverse, and the two chains built from them: signal to codes, code to sample.
//!
//! Pre-emphasis `e_t = x_t - a x_(t-1)` flattens the spectrum of speech before 8 bits are spent on it;
//! de-emphasis `y_t = e_t + a y_(t-1)` undoes it and tilts the quantisation noise like speech, which
//! hides it (Valin and Skoglund 2019, LPCNet, section 3.2; a = 0.85 there). `a` = 0 switches both off.

use crate::mulaw;

/// Highest usable coefficient: at 1 de-emphasis would integrate and never forget an error.
const MAX_COEFFICIENT: f32 = 0.99;

fn usable(a: f32) -> f32 {
    if a.is_nan() { 0.0 } else { a.clamp(0.0, MAX_COEFFICIENT) }
}

/// `e_t = x_t - a x_(t-1)`.
#[derive(Clone, Debug, PartialEq)]
pub struct PreEmphasis {
    a: f32,
    last: f32,
}

impl PreEmphasis {
    /// A filter at rest. `a` is clamped to 0..0.99, NaN counts as 0.
    pub fn new(a: f32) -> Self {
        Self { a: usable(a), last: 0.0 }
    }

    /// Filters one sample.
    ///
    /// # Real-time
    /// Two operations.
    #[inline]
    pub fn process(&mut self, x: f32) -> f32 {
        let e = x - self.a * self.last;
        self.last = x;
        e
    }

    /// Back to rest.
    pub fn reset(&mut self) {
        self.last = 0.0;
    }
}

/// `y_t = e_t + a y_(t-1)`: the inverse of [`PreEmphasis`].
#[derive(Clone, Debug, PartialEq)]
pub struct DeEmphasis {
    a: f32,
    last: f32,
}

impl DeEmphasis {
    /// A filter at rest. `a` is clamped to 0..0.99, NaN counts as 0.
    pub fn new(a: f32) -> Self {
        Self { a: usable(a), last: 0.0 }
    }

    /// Filters one sample.
    ///
    /// # Real-time
    /// Two operations.
    #[inline]
    pub fn process(&mut self, e: f32) -> f32 {
        self.last = e + self.a * self.last;
        self.last
    }

    /// Back to rest.
    pub fn reset(&mut self) {
        self.last = 0.0;
    }
}

/// Pre-emphasis, then mu-law: the codes of a whole signal, one per sample.
pub fn encode_signal(pcm: &[f32], preemphasis: f32) -> Vec<u16> {
    let mut filter = PreEmphasis::new(preemphasis);
    pcm.iter().map(|&x| mulaw::encode(filter.process(x))).collect()
}

/// Codes to PCM, one at a time: mu-law, then de-emphasis.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoder {
    filter: DeEmphasis,
}

impl Decoder {
    /// A decoder at rest. `preemphasis` must be the one the codes were made with.
    pub fn new(preemphasis: f32) -> Self {
        Self { filter: DeEmphasis::new(preemphasis) }
    }

    /// The next sample. De-emphasis can carry it beyond -1..1; integer output clamps it.
    ///
    /// # Real-time
    /// A table look-up and two operations.
    #[inline]
    pub fn decode(&mut self, code: u16) -> f32 {
        self.filter.process(mulaw::decode(code))
    }

    /// Back to rest.
    pub fn reset(&mut self) {
        self.filter.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn de_emphasis_undoes_pre_emphasis(
            x in prop::collection::vec(-1.0f32..1.0, 0..400),
            a in 0.0f32..0.95,
        ) {
            let (mut pre, mut de) = (PreEmphasis::new(a), DeEmphasis::new(a));
            for &x in &x {
                prop_assert!((de.process(pre.process(x)) - x).abs() < 1e-5);
            }
        }

        #[test]
        fn codes_decode_to_the_signal_within_a_step(
            x in prop::collection::vec(-0.5f32..0.5, 0..400),
        ) {
            let mut decoder = Decoder::new(0.0);
            for (&x, c) in x.iter().zip(encode_signal(&x, 0.0)) {
                let y = decoder.decode(c);
                // Half a step is (1/2) d x / d code = ln 256 / (2 * 127 * 255) (1 + 255 |x|).
                prop_assert!((x - y).abs() <= 0.0225 * (x.abs() + 1.0 / 255.0));
            }
        }
    }

    #[test]
    fn silence_stays_silence() {
        let codes = encode_signal(&[0.0; 50], 0.85);
        let mut decoder = Decoder::new(0.85);
        assert!(codes.iter().all(|&c| decoder.decode(c) == 0.0));
    }

    #[test]
    fn reset_forgets() {
        let mut d = Decoder::new(0.9);
        let fresh = d.clone();
        d.decode(200);
        assert_ne!(d, fresh);
        d.reset();
        assert_eq!(d, fresh);
        let mut p = PreEmphasis::new(0.9);
        p.process(0.3);
        p.reset();
        assert_eq!(p, PreEmphasis::new(0.9));
    }

    #[test]
    fn an_unstable_or_absurd_coefficient_is_tamed() {
        for a in [f32::NAN, f32::INFINITY, -3.0, 1.0, 50.0] {
            let mut d = DeEmphasis::new(a);
            let peak = (0..100_000).map(|_| d.process(1.0)).fold(0.0, f32::max);
            assert!(peak <= 101.0, "{a}");
        }
    }
}
