//! Weights of i8: w = code · scale, with one scale per output. x is rounded to codes of its own, whose scale is its
//! largest magnitude / 127, so that a product is one of integers and exact:
//!
//! ```text
//! q_i = round(x_i / t), t = max |x| / 127              halves to even; q in −127 … 127
//! y_o = add_o + (scale_o · t) · Σ_i q_i code_io          the sum in 32-bit integers, three roundings in f32
//! ```
//!
//! More than [`BLOCK`] inputs are taken block by block, each with its own t.
//!
//! A panel holds, for each block of inputs: an integer per output that the sum starts from (−128 · Σ codes where the
//! activations are biased by 128, else 0); then, for every four inputs, four codes per output. After the blocks: the
//! scales. Inputs are padded with zeros to fours.

use super::Operand;
use crate::kernels::Simd;
use std::mem::MaybeUninit;

/// Most inputs that share a scale. Their codes are on the stack while a product runs.
pub const BLOCK: usize = 4096;

/// Codes that a store may write beyond the last: less than the widest vector.
const SLACK: usize = 16;

/// Bytes of a number that a panel holds besides codes.
const NUMBER: usize = 4;

/// The panels of a row-major matrix whose values are multiples of `scales`, one per column. A panel is given by its
/// columns; `None` is padding.
pub fn pack(w: &[f32], scales: &[f32], panels: &[&[Option<usize>]], biased: bool) -> Vec<i8> {
    let mut packed = Vec::new();
    for columns in panels {
        for block in w.chunks(BLOCK * scales.len()) {
            let rows: Vec<_> = block.chunks_exact(scales.len()).collect();
            let code = |row: &[f32], column: Option<usize>| {
                // The value is code · scale, rounded once: the quotient is nearest to its code.
                column.map_or(0, |c| (row[c] / scales[c]).round() as i8)
            };
            for &column in *columns {
                let sum: i32 = rows.iter().map(|row| i32::from(code(row, column))).sum();
                push(&mut packed, if biased { -128 * sum } else { 0 }.to_ne_bytes());
            }
            for four in rows.chunks(4) {
                for &column in *columns {
                    packed.extend((0..4).map(|i| four.get(i).map_or(0, |row| code(row, column))));
                }
            }
        }
        for column in *columns {
            push(&mut packed, column.map_or(0.0, |c| scales[c]).to_ne_bytes());
        }
    }
    packed
}

fn push(packed: &mut Vec<i8>, number: [u8; NUMBER]) {
    packed.extend(number.map(|byte| byte as i8));
}

#[repr(align(64))]
struct Buffer([MaybeUninit<u8>; BLOCK + SLACK]);

/// x as codes.
pub struct Codes<'a> {
    x: &'a [f32],
    /// Those of the block at hand, padded with zeros to fours.
    codes: Buffer,
    /// Their scale.
    scale: f32,
}

impl<'a> Codes<'a> {
    #[inline(always)]
    pub fn new<S: Simd>(s: S, x: &'a [f32]) -> Self {
        let mut codes = Self { x, codes: Buffer([MaybeUninit::uninit(); BLOCK + SLACK]), scale: 0.0 };
        if x.len() <= BLOCK {
            codes.round(s, x);
        }
        codes
    }

    /// Rounds a block.
    #[allow(unsafe_code, reason = "writes whole vectors into a buffer that is not filled before")]
    #[inline(always)]
    fn round<S: Simd>(&mut self, s: S, block: &[f32]) {
        assert!(block.len() <= BLOCK && S::LANES <= SLACK);
        let (whole, rest) = block.split_at(block.len() / S::LANES * S::LANES);
        let mut last = [0.0; SLACK];
        last[..rest.len()].copy_from_slice(rest);
        let magnitude = |v| s.max(v, s.sub(s.splat(0.0), v));
        let mut largest = magnitude(s.load(&last));
        for v in whole.chunks_exact(S::LANES) {
            largest = s.max(largest, magnitude(s.load(v)));
        }
        let largest = s.max_lane(largest);
        // Silence, or so near to it that the quotient would be infinite.
        let inverse = if largest > 1e-30 { 127.0 / largest } else { 0.0 };
        self.scale = largest / 127.0;
        let inverse = s.splat(inverse);
        let out = self.codes.0.as_mut_ptr().cast::<u8>();
        for (i, v) in whole.chunks_exact(S::LANES).enumerate() {
            // SAFETY: the block is no longer than BLOCK, and the buffer longer by a whole vector.
            unsafe { s.store_codes_ptr(out.add(i * S::LANES), s.mul(s.load(v), inverse)) };
        }
        // SAFETY: as above.
        unsafe { s.store_codes_ptr(out.add(whole.len()), s.mul(s.load(&last), inverse)) };
    }

    /// Sums of one block's products.
    #[allow(unsafe_code, reason = "bounds checked once for the panel; a check per load costs a tenth")]
    #[inline(always)]
    fn sums<S: Simd, const N: usize, const U: usize>(&self, s: S, panel: &[i8], fours: usize) -> [S::I; N] {
        assert!(panel.len() == (1 + fours) * N * S::LANES * 4 && fours * 4 <= BLOCK);
        let mut sums = [[s.splat_int(0); N]; U];
        let mut w = panel.as_ptr();
        let x = self.codes.0.as_ptr().cast::<i32>();
        let vector = S::LANES * 4;
        for (i, sum) in sums[0].iter_mut().enumerate() {
            // SAFETY: the panel begins with N vectors of integers.
            *sum = unsafe { s.load_int_ptr(w.add(i * vector).cast()) };
        }
        // SAFETY: stays within the panel, as every step below.
        w = unsafe { w.add(N * vector) };
        let mut j = 0;
        while j + U <= fours {
            for (u, sums) in sums.iter_mut().enumerate() {
                // SAFETY: `round` has written all codes of the block, to whole fours and beyond; the panel holds N
                // vectors of codes for every four.
                unsafe {
                    let x = s.splat_int(*x.add(j + u));
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = s.dot_ptr(*sum, x, w.add((u * N + i) * vector));
                    }
                }
            }
            // SAFETY: as above.
            w = unsafe { w.add(U * N * vector) };
            j += U;
        }
        while j < fours {
            // SAFETY: as above.
            unsafe {
                let x = s.splat_int(*x.add(j));
                for (i, sum) in sums[0].iter_mut().enumerate() {
                    *sum = s.dot_ptr(*sum, x, w.add(i * vector));
                }
                w = w.add(N * vector);
            }
            j += 1;
        }
        let mut total = sums[0];
        for other in &sums[1..] {
            for (t, o) in total.iter_mut().zip(other) {
                *t = s.add_int(*t, *o);
            }
        }
        total
    }
}

impl Operand<i8> for Codes<'_> {
    #[inline(always)]
    fn panel_len(&self, columns: usize) -> usize {
        let blocks = self.x.len().div_ceil(BLOCK);
        // BLOCK is a multiple of four, so only the last block has a padded four.
        columns * (NUMBER * blocks + self.x.len().next_multiple_of(4) + NUMBER)
    }

    #[allow(unsafe_code, reason = "the scales are floats among codes")]
    #[inline(always)]
    fn multiply<S: Simd, const N: usize, const U: usize>(&mut self, s: S, acc: &mut [S::V; N], panel: &[i8]) {
        let columns = N * S::LANES;
        assert_eq!(panel.len(), self.panel_len(columns));
        let (blocks, scales) = panel.split_at(panel.len() - columns * NUMBER);
        let x = self.x;
        let mut rest = blocks;
        for block in x.chunks(BLOCK) {
            if x.len() > BLOCK {
                self.round(s, block);
            }
            let fours = block.len().div_ceil(4);
            let (now, later) = rest.split_at(columns * (NUMBER + fours * 4));
            rest = later;
            let sums = self.sums::<S, N, U>(s, now, fours);
            let scale = s.splat(self.scale);
            for (i, (acc, sum)) in acc.iter_mut().zip(sums).enumerate() {
                // SAFETY: the panel ends with N vectors of scales.
                let weight = unsafe { s.load_ptr(scales.as_ptr().cast::<f32>().add(i * S::LANES)) };
                *acc = s.mul_add(s.to_float(sum), s.mul(weight, scale), *acc);
            }
        }
    }
}
