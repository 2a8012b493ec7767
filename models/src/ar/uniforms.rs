//! Where randomness comes from.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// The uniform numbers of a seed: xoshiro256++ seeded by SplitMix64, one 64-bit output a uniform, its upper 24 bits over
/// 2²⁴. Uniform t of a seed is the same on every machine and at every block size.
#[derive(Clone)]
pub struct Uniforms(Xoshiro256PlusPlus);

impl Uniforms {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// The sequence that belongs to `seed` and an index (a training step, a stream): independent of all others.
    pub fn keyed(seed: u64, index: u64) -> Self {
        // An odd multiplier keeps distinct indices distinct; the SplitMix64 seeding scrambles the rest.
        Self::new(seed ^ index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// The next number, uniform in [0, 1), a multiple of 2⁻²⁴.
    ///
    /// # Real-time
    /// Yes.
    pub fn next_uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// The next 64 random bits.
    ///
    /// # Real-time
    /// Yes.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Puts `all` into an order of which any is as likely (Fisher and Yates).
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for i in (1..all.len()).rev() {
            all.swap(i, self.below(i as u64 + 1) as usize);
        }
    }

    /// Uniform in `0..n`; `n` must not be 0.
    pub fn below(&mut self, n: u64) -> u64 {
        // Lemire's multiply-shift; its bias of n / 2^64 is far below what any corpus could show.
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A standard normal number (Box and Muller).
    pub fn normal(&mut self) -> f32 {
        let u = 1.0 - f64::from(self.next_uniform());
        let v = f64::from(self.next_uniform());
        ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_documented_sequence() {
        // Computed by an independent implementation: SplitMix64 from 0 fills the state of xoshiro256++.
        let mut z = 0u64;
        let mut split = || {
            z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut x = z;
            x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            x ^ (x >> 31)
        };
        let mut s = [split(), split(), split(), split()];
        let mut uniforms = Uniforms::new(0);
        for _ in 0..1000 {
            let want = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
            let t = s[1] << 17;
            s[2] ^= s[0];
            s[3] ^= s[1];
            s[1] ^= s[2];
            s[0] ^= s[3];
            s[2] ^= t;
            s[3] = s[3].rotate_left(45);
            assert_eq!(uniforms.next_uniform(), (want >> 40) as f32 / 16_777_216.0);
        }
    }

    #[test]
    fn normal_has_unit_variance() {
        let mut c = Uniforms::new(1);
        let v: Vec<f64> = (0..20_000).map(|_| f64::from(c.normal())).collect();
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        let var = v.iter().map(|x| x * x).sum::<f64>() / v.len() as f64 - mean * mean;
        assert!(mean.abs() < 0.03 && (var - 1.0).abs() < 0.05, "{mean} {var}");
    }
}
