//! PCM in f32 to whatever the device takes, and back.

use crate::sink::to_s16;
use cpal::{FromSample, I24, SizedSample, U24};

/// A device's sample type.
pub(super) trait Pcm: SizedSample + Send + 'static {
    /// The device's value of a sample; what exceeds -1..1 is clamped, NaN is silence.
    fn from_pcm(x: f32) -> Self;

    /// The PCM that a device's value means.
    fn to_pcm(self) -> f32;
}

/// Greatest f32 below 1: times a power of two it stays within the integers that cpal's conversion makes.
const TOP: f32 = 1.0 - f32::EPSILON / 2.0;

fn bounded(x: f32) -> f32 {
    if x.is_nan() { 0.0 } else { x.clamp(-1.0, TOP) }
}

macro_rules! pcm {
    ($($t:ty),*) => {$(
        impl Pcm for $t {
            fn from_pcm(x: f32) -> Self {
                <$t>::from_sample_(bounded(x))
            }

            fn to_pcm(self) -> f32 {
                f32::from_sample_(self)
            }
        }
    )*};
}

pcm!(i8, I24, i32, i64, u8, u16, U24, u32, u64, f32, f64);

impl Pcm for i16 {
    // The same as in files, so that a recording of what was played equals what was rendered.
    fn from_pcm(x: f32) -> Self {
        to_s16(x)
    }

    fn to_pcm(self) -> f32 {
        f32::from_sample_(self)
    }
}

/// Runs an expression for the sample type that belongs to a [`cpal::SampleFormat`].
macro_rules! with_sample_type {
    ($format:expr, $t:ident => $body:expr) => {{
        use cpal::SampleFormat as F;
        macro_rules! run {
            ($u:ty) => {{
                type $t = $u;
                $body
            }};
        }
        match $format {
            F::F32 => run!(f32),
            F::F64 => run!(f64),
            F::I8 => run!(i8),
            F::I16 => run!(i16),
            F::I24 => run!(cpal::I24),
            F::I32 => run!(i32),
            F::I64 => run!(i64),
            F::U8 => run!(u8),
            F::U16 => run!(u16),
            F::U24 => run!(cpal::U24),
            F::U32 => run!(u32),
            F::U64 => run!(u64),
            _ => Err(cpal::ErrorKind::UnsupportedConfig.into()),
        }
    }};
}

pub(super) use with_sample_type;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_full_scale_in_every_format() {
        assert_eq!(u8::from_pcm(0.0), 128);
        assert_eq!(u16::from_pcm(0.0), 32_768);
        assert_eq!(i16::from_pcm(-2.0), -32_767);
        assert_eq!(i32::from_pcm(0.0), 0);
        assert_eq!(i8::from_pcm(f32::NAN), 0);
        assert_eq!(u32::from_pcm(f32::NAN), 1 << 31);
        assert_eq!(f32::from_pcm(-7.0), -1.0);
        assert_eq!(I24::from_pcm(3.0).inner(), 8_388_607);
        assert_eq!(I24::from_pcm(-3.0).inner(), -8_388_608);
        assert_eq!(U24::from_pcm(9.0).inner(), 16_777_215);
        assert_eq!(U24::from_pcm(-9.0).inner(), 0);
        assert!(i32::from_pcm(9.0) > i32::MAX - 1_000);
        assert!(i64::from_pcm(9.0) > i64::MAX / 2);
        assert!(u64::from_pcm(9.0) > u64::MAX / 2 + u64::MAX / 4);
        assert_eq!((u8::from_pcm(9.0), u8::from_pcm(-9.0)), (255, 0));
        assert_eq!((i16::MIN.to_pcm(), 64u8.to_pcm(), 0.25f32.to_pcm()), (-1.0, -0.5, 0.25));
        assert_eq!((I24::from_pcm(-0.5).to_pcm(), u16::from_pcm(0.5).to_pcm()), (-0.5, 0.5));
    }
}
