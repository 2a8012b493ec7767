//! What the machine can do at most: multiply-adds that wait for nothing, and reads of a buffer from front to back. The
//! bench divides the engine's figures by theirs.

use super::{Kernel, Simd};

/// Accumulators of their own: two units with a latency of four need eight.
const CHAINS: usize = 8;

/// Multiply-adds on registers only.
pub struct MulAdds {
    /// Rounds of [`MulAdds::per_round`] multiply-adds each.
    pub rounds: usize,
}

impl MulAdds {
    /// Multiply-adds of a round, with vectors of `lanes` floats.
    pub const fn per_round(lanes: usize) -> usize {
        CHAINS * lanes
    }
}

impl Kernel for MulAdds {
    /// A value that depends on every multiply-add.
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        // Opaque to the compiler, and near a fixed point of 2, so that no value overflows or becomes denormal.
        let (scale, add) = (s.splat(std::hint::black_box(0.5)), s.splat(std::hint::black_box(1.0)));
        let mut acc = [s.splat(std::hint::black_box(1.5)); CHAINS];
        for (i, a) in acc.iter_mut().enumerate() {
            *a = s.add(*a, s.splat(i as f32));
        }
        for _ in 0..self.rounds {
            for a in &mut acc {
                *a = s.mul_add(*a, scale, add);
            }
        }
        total(s, acc)
    }
}

/// Multiply-adds of bytes into 32-bit sums, their weights in the nearest cache.
pub struct ByteMulAdds {
    /// Rounds of [`ByteMulAdds::per_round`] multiply-adds each.
    pub rounds: usize,
}

impl ByteMulAdds {
    /// Multiply-adds of a round, with vectors of `lanes` floats.
    pub const fn per_round(lanes: usize) -> usize {
        4 * CHAINS * lanes
    }
}

impl Kernel for ByteMulAdds {
    /// A value that depends on every multiply-add.
    type Output = f32;
    const INTEGER: bool = true;

    #[allow(unsafe_code, reason = "a check per load would be measured with it")]
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        // The widest vector has 16 lanes of four bytes.
        let weights = std::hint::black_box([1i8; 4 * 16 * CHAINS]);
        // Four activations of 1, as codes of this instruction set.
        let one = i32::from_le_bytes([if S::BIASED { 129 } else { 1 }; 4]);
        let x = s.splat_int(std::hint::black_box(one));
        let mut acc = [s.splat_int(0); CHAINS];
        for _ in 0..self.rounds {
            for (i, a) in acc.iter_mut().enumerate() {
                // SAFETY: the weights hold CHAINS vectors.
                *a = unsafe { s.dot_ptr(*a, x, weights.as_ptr().add(4 * i * S::LANES)) };
            }
        }
        total(s, acc.map(|a| s.to_float(a)))
    }
}

/// Reads a buffer and adds up what it holds.
pub struct Reads<'a> {
    /// Read in whole groups of vectors; what is left over at the end is not.
    pub data: &'a [f32],
    /// How often.
    pub passes: usize,
}

impl Reads<'_> {
    /// Floats of `data` that a pass reads, with vectors of `lanes` floats.
    pub fn per_pass(&self, lanes: usize) -> usize {
        let group = CHAINS * lanes;
        self.data.len() / group * group
    }
}

impl Kernel for Reads<'_> {
    /// The sum of all that was read.
    type Output = f32;

    #[allow(unsafe_code, reason = "a check per load would be measured with it")]
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let mut acc = [s.splat(0.0); CHAINS];
        for _ in 0..self.passes {
            // Opaque, or the passes could be made one.
            for group in std::hint::black_box(self.data).chunks_exact(CHAINS * S::LANES) {
                for (i, a) in acc.iter_mut().enumerate() {
                    // SAFETY: the group holds CHAINS vectors.
                    *a = s.add(*a, unsafe { s.load_ptr(group.as_ptr().add(i * S::LANES)) });
                }
            }
        }
        total(s, acc)
    }
}

#[inline(always)]
fn total<S: Simd>(s: S, acc: [S::V; CHAINS]) -> f32 {
    // The widest vector has 16 floats.
    let mut out = [0.0; 16 * CHAINS];
    for (out, a) in out.chunks_exact_mut(S::LANES).zip(acc) {
        s.store(out, a);
    }
    // From these stores the compiler sees that plain vectors are vectors; unseen, it would take them apart.
    std::hint::black_box(&out)[..S::LANES * CHAINS].iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;

    #[test]
    fn every_value_is_read_and_every_multiply_add_made() {
        for isa in Isa::available() {
            let lanes = isa.lanes();
            let group = CHAINS * lanes;
            let data: Vec<f32> = (0..3 * group + 5).map(|i| (i % 7) as f32).collect();
            let reads = Reads { data: &data, passes: 2 };
            assert_eq!(reads.per_pass(lanes), 3 * group);
            let want = 2.0 * data[..3 * group].iter().sum::<f32>();
            assert_eq!(isa.run(reads), want, "{}", isa.name());
            // After n rounds of v/2 + 1 a value is 2 + (v − 2)/2ⁿ; with these numbers no sum is rounded.
            let started: f32 = (0..CHAINS).map(|i| (i as f32 + 1.5 - 2.0) / 8.0 + 2.0).sum();
            assert_eq!(isa.run(MulAdds { rounds: 3 }), started * lanes as f32, "{}", isa.name());
            // Biased codes of 1 are 129 each.
            let sum = isa.run(ByteMulAdds { rounds: 3 }) as usize;
            let all = 3 * ByteMulAdds::per_round(lanes);
            assert!(sum == all || sum == 129 * all, "{}: {sum}", isa.name());
        }
    }
}
