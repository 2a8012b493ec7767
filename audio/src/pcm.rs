//! Pre-emphasis, its inverse, and the two chains built from them: signal to codes, code to sample.
//!
//! Pre-emphasis `e_t = x_t - a x_(t-1)` flattens the spectrum of speech before 8 bits are spent on it;
//! de-emphasis `y_t = e_t + a y_(t-1)` undoes it and tilts the quantisation noise like speech, which
//! hides it (Valin and Skoglund 2019, LPCNet, section 3.2; a = 0.85 there). `a` = 0 switches both off.

use crate::mulaw;

/// Highest usable coefficient: at 1 de-emphasis would integrate and never forget an error.
pub const MAX_COEFFICIENT: f32 = 0.99;

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

/// How samples become a model's symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// 256 mu-law codes.
    MuLaw,
    /// 65,536 levels: symbol k stands for k / 32768 − 1.
    Linear16,
}

impl Encoding {
    /// That of a model with `classes` symbols; `None` for another number of them.
    pub fn of_classes(classes: usize) -> Option<Self> {
        [Self::MuLaw, Self::Linear16].into_iter().find(|e| e.classes() == classes)
    }

    /// Number of symbols.
    pub fn classes(self) -> usize {
        match self {
            Self::MuLaw => mulaw::CLASSES,
            Self::Linear16 => 1 << 16,
        }
    }

    /// The symbol of silence.
    pub fn zero(self) -> u16 {
        match self {
            Self::MuLaw => mulaw::ZERO,
            Self::Linear16 => 1 << 15,
        }
    }

    /// The symbol of a sample in −1..1; what lies beyond is clipped.
    #[inline]
    pub fn encode(self, x: f32) -> u16 {
        match self {
            Self::MuLaw => mulaw::encode(x),
            Self::Linear16 => ((x + 1.0) * 32768.0).round().clamp(0.0, 65535.0) as u16,
        }
    }

    /// The sample that a symbol stands for.
    ///
    /// # Real-time
    /// A table look-up, or two operations.
    #[inline]
    pub fn decode(self, symbol: u16) -> f32 {
        match self {
            Self::MuLaw => mulaw::decode(symbol),
            Self::Linear16 => f32::from(symbol) / 32768.0 - 1.0,
        }
    }
}

/// Pre-emphasis, then the encoding: the symbols of a whole signal, one per sample.
pub fn encode_signal(pcm: &[f32], preemphasis: f32, encoding: Encoding) -> Vec<u16> {
    let mut filter = PreEmphasis::new(preemphasis);
    pcm.iter().map(|&x| encoding.encode(filter.process(x))).collect()
}

/// The symbols of a recording, a byte each where there are 256 of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Codes {
    /// Of [`Encoding::MuLaw`].
    Bytes(Vec<u8>),
    /// Of [`Encoding::Linear16`].
    Words(Vec<u16>),
}

impl Codes {
    /// `symbols` of `encoding`.
    pub fn new(symbols: Vec<u16>, encoding: Encoding) -> Self {
        match encoding {
            Encoding::MuLaw => Self::Bytes(symbols.into_iter().map(|c| c as u8).collect()),
            Encoding::Linear16 => Self::Words(symbols),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(c) => c.len(),
            Self::Words(c) => c.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Symbol `i`.
    ///
    /// # Panics
    /// When there is none.
    pub fn get(&self, i: usize) -> u16 {
        match self {
            Self::Bytes(c) => c[i].into(),
            Self::Words(c) => c[i],
        }
    }

    /// Symbols `range`, in their order.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn range(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = u16> + '_ {
        range.map(|i| self.get(i))
    }

    /// All symbols, in their order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.range(0..self.len())
    }

    /// Keeps the first `n`.
    pub fn truncate(&mut self, n: usize) {
        match self {
            Self::Bytes(c) => c.truncate(n),
            Self::Words(c) => c.truncate(n),
        }
    }

    /// Those from `first` on.
    ///
    /// # Panics
    /// When there are not so many.
    pub fn from_on(&self, first: usize) -> Self {
        match self {
            Self::Bytes(c) => Self::Bytes(c[first..].to_vec()),
            Self::Words(c) => Self::Words(c[first..].to_vec()),
        }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Bytes(c) => c.len(),
            Self::Words(c) => 2 * c.len(),
        }
    }

    /// The symbols as little-endian bytes, one or two each.
    pub fn to_le_bytes(&self) -> std::borrow::Cow<'_, [u8]> {
        match self {
            Self::Bytes(c) => c.into(),
            Self::Words(c) => c.iter().flat_map(|c| c.to_le_bytes()).collect::<Vec<u8>>().into(),
        }
    }
}

/// Symbols to PCM, one at a time: the encoding undone, then de-emphasis.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoder {
    encoding: Encoding,
    filter: DeEmphasis,
}

impl Decoder {
    /// A decoder at rest. `preemphasis` and `encoding` must be those that the symbols were made with.
    pub fn new(preemphasis: f32, encoding: Encoding) -> Self {
        Self { encoding, filter: DeEmphasis::new(preemphasis) }
    }

    /// The next sample. De-emphasis can carry it beyond -1..1; integer output clamps it.
    ///
    /// # Real-time
    /// A few operations.
    #[inline]
    pub fn decode(&mut self, symbol: u16) -> f32 {
        self.filter.process(self.encoding.decode(symbol))
    }

    /// Back to rest.
    pub fn reset(&mut self) {
        self.filter.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_are_kept() {
        let e = Encoding::Linear16;
        assert!((0..=u16::MAX).all(|k| e.encode(e.decode(k)) == k));
        assert_eq!((e.encode(7.0), e.encode(-7.0), e.encode(0.0), e.zero()), (u16::MAX, 0, 1 << 15, 1 << 15));
        assert_eq!([256, 65_536, 300].map(Encoding::of_classes), [Some(Encoding::MuLaw), Some(e), None]);
        let (codes, bytes) = (Codes::new(vec![5, 300, 7], e), Codes::new(vec![5, 200, 7], Encoding::MuLaw));
        assert_eq!((codes.bytes(), bytes.bytes()), (6, 3));
        assert_eq!(codes.from_on(1).iter().collect::<Vec<_>>(), [300, 7]);
        assert_eq!(codes.to_le_bytes()[2..4], [44, 1]);
    }
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
            let mut decoder = Decoder::new(0.0, Encoding::MuLaw);
            for (&x, c) in x.iter().zip(encode_signal(&x, 0.0, Encoding::MuLaw)) {
                let y = decoder.decode(c);
                // Half a step is (1/2) d x / d code = ln 256 / (2 * 127 * 255) (1 + 255 |x|).
                prop_assert!((x - y).abs() <= 0.0225 * (x.abs() + 1.0 / 255.0));
            }
        }
    }

    #[test]
    fn silence_stays_silence() {
        let codes = encode_signal(&[0.0; 50], 0.85, Encoding::MuLaw);
        let mut decoder = Decoder::new(0.85, Encoding::MuLaw);
        assert!(codes.iter().all(|&c| decoder.decode(c) == 0.0));
    }

    #[test]
    fn reset_forgets() {
        let mut d = Decoder::new(0.9, Encoding::MuLaw);
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
