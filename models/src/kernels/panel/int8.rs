//! Weights of i8: w = code · scale, with one scale per output. x is rounded to codes of its own, whose scale is its
//! largest magnitude / 127, so that a product is one of integers and exact:
//!
//! ```text
//! q_i = round(x_i / t), t = max |x| / 127              halves to even; q in −127 … 127
//! y_o = add_o + (scale_o · t) · Σ_i q_i code_io          the sum in 32-bit integers, three roundings in f32
//! ```
//!
//! Inputs come in blocks of at most [`BLOCK`], each with its own t: x as floats is rounded block by block here, x as
//! [`Quantised`] was rounded by who made it.
//!
//! A panel holds, for each block of inputs: an integer per output that the sum starts from (−128 · Σ codes where the
//! activations are biased by 128, else 0); then, for every four inputs, four codes per output. After the blocks: the
//! scales. Blocks are padded with zeros to fours.

use super::{Operand, Rows};
use crate::kernels::Simd;
use std::mem::MaybeUninit;

/// Most inputs that share a scale. Their codes are on the stack while a product runs.
pub const BLOCK: usize = 4096;

/// Codes that a store may write beyond the last: less than the widest vector.
const SLACK: usize = 16;

/// Bytes of a number that a panel holds besides codes.
pub const NUMBER: usize = 4;

/// The panels of a row-major matrix whose values are multiples of `scales`, one per column. A panel is given by its
/// columns; `None` is padding.
pub fn pack(w: &[f32], scales: &[f32], panels: &[&[Option<usize>]], block: usize, biased: bool) -> Vec<i8> {
    let mut packed = Vec::new();
    for columns in panels {
        for block in w.chunks(block * scales.len()) {
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

/// Bytes of a panel of so many columns.
#[inline(always)]
fn panel_len(inputs: usize, block: usize, columns: usize) -> usize {
    let (whole, rest) = (inputs / block, inputs % block);
    let fours = whole * block.div_ceil(4) + rest.div_ceil(4);
    columns * NUMBER * (inputs.div_ceil(block) + fours + 1)
}

/// x as codes, with the scale of each block.
#[derive(Clone, Copy)]
pub struct Quantised<'a> {
    /// Those of block b begin at b·`stride`.
    pub values: &'a [u8],
    /// A multiple of four, no less than the block.
    pub stride: usize,
    /// t of each block, or one for all.
    pub scales: &'a [f32],
}

/// Scale of the codes of values in [−1, 1].
pub const UNIT: f32 = 1.0 / 127.0;

impl<'a> Quantised<'a> {
    /// Codes of values in [−1, 1], however many blocks they make.
    #[inline(always)]
    pub fn unit(values: &'a [u8]) -> Self {
        Self { values, stride: BLOCK, scales: &[UNIT] }
    }
}

/// Writes x, rounded, into `out` and returns its scale.
///
/// # Panics
/// When `out` is not as long as `x`, or that is not whole vectors.
#[allow(unsafe_code, reason = "writes bytes as vectors")]
#[inline(always)]
pub fn round<S: Simd>(s: S, x: &[f32], out: &mut [u8]) -> f32 {
    assert!(x.len() == out.len() && x.len().is_multiple_of(S::LANES));
    // SAFETY: `out` is as long as x, which is whole vectors.
    unsafe { round_ptr(s, x, out.as_mut_ptr()) }
}

/// Writes values in [−1, 1] of one vector as codes of scale [`UNIT`].
///
/// # Panics
/// When `out` is not as long as the vector.
#[allow(unsafe_code, reason = "writes bytes as a vector")]
#[inline(always)]
pub fn store_unit<S: Simd>(s: S, v: S::V, out: &mut [u8]) {
    // SAFETY: the slice holds a byte for every lane.
    unsafe { s.store_i8_ptr(out[..S::LANES].as_mut_ptr(), s.mul(v, s.splat(127.0))) }
}

/// As [`round`], where x may end within a vector.
///
/// # Safety
/// `out` is valid for writes of x's length, rounded up to whole vectors.
#[allow(unsafe_code, reason = "writes whole vectors into a buffer that is not filled before")]
#[inline(always)]
unsafe fn round_ptr<S: Simd>(s: S, x: &[f32], out: *mut u8) -> f32 {
    let (whole, rest) = x.split_at(x.len() / S::LANES * S::LANES);
    let mut last = [0.0; SLACK];
    last[..rest.len()].copy_from_slice(rest);
    let magnitude = |v| s.max(v, s.sub(s.splat(0.0), v));
    let mut largest = s.splat(0.0);
    for v in whole.chunks_exact(S::LANES) {
        largest = s.max(largest, magnitude(s.load(v)));
    }
    if !rest.is_empty() {
        largest = s.max(largest, magnitude(s.load(&last)));
    }
    let largest = s.max_lane(largest);
    // Silence, or so near to it that the quotient would be infinite.
    let inverse = s.splat(if largest > 1e-30 { 127.0 / largest } else { 0.0 });
    for (i, v) in whole.chunks_exact(S::LANES).enumerate() {
        // SAFETY: the caller's promise.
        unsafe { s.store_i8_ptr(out.add(i * S::LANES), s.mul(s.load(v), inverse)) };
    }
    if !rest.is_empty() {
        // SAFETY: the caller's promise.
        unsafe { s.store_i8_ptr(out.add(whole.len()), s.mul(s.load(&last), inverse)) };
    }
    largest / 127.0
}

/// The codes as a product reads them, with the sizes of the matrix.
pub struct QuantisedOperand<'a> {
    pub x: Quantised<'a>,
    pub inputs: usize,
    pub block: usize,
}

impl Operand<i8> for QuantisedOperand<'_> {
    #[inline(always)]
    fn panel_len(&self, columns: usize) -> usize {
        panel_len(self.inputs, self.block, columns)
    }

    #[inline(always)]
    fn multiply<S: Simd, const N: usize, const U: usize>(&mut self, s: S, acc: &mut [S::V; N], panel: &[i8]) {
        let columns = N * S::LANES;
        let (mut rest, scales) = panel.split_at(panel.len() - columns * NUMBER);
        let (mut from, mut b) = (0, 0);
        while from < self.inputs {
            let here = self.block.min(self.inputs - from);
            let (now, later) = rest.split_at(columns * NUMBER * (1 + here.div_ceil(4)));
            let values = &self.x.values[b * self.x.stride..][..here.next_multiple_of(4)];
            let scale = self.x.scales[b.min(self.x.scales.len() - 1)];
            add_block::<S, N, U>(s, acc, values, scale, now, scales);
            rest = later;
            from += here;
            b += 1;
        }
    }
}

#[repr(align(64))]
struct Buffer([MaybeUninit<u8>; BLOCK + SLACK]);

/// x, rounded where it is multiplied.
pub struct Rounded<'a> {
    x: &'a [f32],
    /// Codes of the block at hand, padded with zeros to fours.
    values: Buffer,
    /// Their scale.
    scale: f32,
}

impl<'a> Rounded<'a> {
    #[inline(always)]
    pub fn new<S: Simd>(s: S, x: &'a [f32]) -> Self {
        let mut rounded = Self { x, values: Buffer([MaybeUninit::uninit(); BLOCK + SLACK]), scale: 0.0 };
        if x.len() <= BLOCK {
            rounded.round(s, x);
        }
        rounded
    }

    /// Rounds a block.
    #[allow(unsafe_code, reason = "writes whole vectors into a buffer that is not filled before")]
    #[inline(always)]
    fn round<S: Simd>(&mut self, s: S, block: &[f32]) {
        assert!(block.len() <= BLOCK && S::LANES <= SLACK);
        // SAFETY: the block is no longer than BLOCK, and the buffer longer by a whole vector.
        self.scale = unsafe { round_ptr(s, block, self.values.0.as_mut_ptr().cast::<u8>()) };
    }
}

impl Operand<i8> for Rounded<'_> {
    #[inline(always)]
    fn panel_len(&self, columns: usize) -> usize {
        panel_len(self.x.len(), BLOCK, columns)
    }

    #[allow(unsafe_code, reason = "codes that were written")]
    #[inline(always)]
    fn multiply<S: Simd, const N: usize, const U: usize>(&mut self, s: S, acc: &mut [S::V; N], panel: &[i8]) {
        let columns = N * S::LANES;
        let (mut rest, scales) = panel.split_at(panel.len() - columns * NUMBER);
        let x = self.x;
        for block in x.chunks(BLOCK) {
            if x.len() > BLOCK {
                self.round(s, block);
            }
            let fours = block.len().div_ceil(4);
            let (now, later) = rest.split_at(columns * NUMBER * (1 + fours));
            rest = later;
            // SAFETY: `round` has written all codes of the block, to whole fours and beyond.
            let values =
                unsafe { std::slice::from_raw_parts(self.values.0.as_ptr().cast::<u8>(), fours * 4) };
            add_block::<S, N, U>(s, acc, values, self.scale, now, scales);
        }
    }
}

/// Rows that [`RoundedRows`] holds at most.
pub const ROWS: usize = 4;

/// A few rows of x that are a block each, every one rounded with a scale of its own.
pub struct RoundedRows {
    values: [MaybeUninit<u8>; ROWS * (BLOCK + SLACK)],
    /// Codes of a row.
    stride: usize,
    scales: [f32; ROWS],
    count: usize,
}

impl RoundedRows {
    /// The first `inputs` values, at most [`BLOCK`], of `count` rows, at most [`ROWS`].
    ///
    /// # Panics
    /// When there are more.
    #[allow(unsafe_code, reason = "writes whole vectors into a buffer that is not filled before")]
    #[inline(always)]
    pub fn new<S: Simd>(s: S, x: Rows<&[f32]>, inputs: usize, count: usize) -> Self {
        assert!(inputs <= BLOCK && count <= ROWS && S::LANES <= SLACK);
        let stride = inputs.next_multiple_of(SLACK);
        let values = [MaybeUninit::uninit(); ROWS * (BLOCK + SLACK)];
        let mut rounded = Self { values, stride, scales: [0.0; ROWS], count };
        rounded.values[..count * stride].fill(MaybeUninit::new(0));
        for n in 0..count {
            let row = &x.data[n * x.stride..][..inputs];
            let to = rounded.values[n * stride..][..stride].as_mut_ptr().cast::<u8>();
            // SAFETY: the slice is as long as the row, rounded up to whole vectors of any instruction set.
            rounded.scales[n] = unsafe { round_ptr(s, row, to) };
        }
        rounded
    }

    /// The codes, a block a row.
    #[allow(unsafe_code, reason = "codes that were written")]
    #[inline(always)]
    pub fn get(&self) -> Quantised<'_> {
        let len = self.count * self.stride;
        // SAFETY: `new` has filled so many.
        let values = unsafe { std::slice::from_raw_parts(self.values.as_ptr().cast::<u8>(), len) };
        Quantised { values, stride: self.stride, scales: &self.scales[..self.count] }
    }
}

/// acc += scale · weight scales · Σ of one block's products. `scales` are the weights', as numbers among codes.
#[allow(unsafe_code, reason = "the scales are floats among codes")]
#[inline(always)]
fn add_block<S: Simd, const N: usize, const U: usize>(
    s: S,
    acc: &mut [S::V; N],
    values: &[u8],
    scale: f32,
    panel: &[i8],
    scales: &[i8],
) {
    assert!(scales.len() == N * S::LANES * NUMBER);
    let sums = sums::<S, N, U>(s, values, panel);
    let scale = s.splat(scale);
    for (i, (acc, sum)) in acc.iter_mut().zip(sums).enumerate() {
        // SAFETY: N vectors of scales.
        let weight = unsafe { s.load_ptr(scales.as_ptr().cast::<f32>().add(i * S::LANES)) };
        *acc = s.mul_add(s.to_float(sum), s.mul(weight, scale), *acc);
    }
}

/// Sums of one block's products.
#[allow(unsafe_code, reason = "bounds checked once for the panel; a check per load costs a tenth")]
#[inline(always)]
fn sums<S: Simd, const N: usize, const U: usize>(s: S, values: &[u8], panel: &[i8]) -> [S::I; N] {
    let fours = values.len() / 4;
    assert!(panel.len() == (1 + fours) * N * S::LANES * 4);
    let mut sums = [[s.splat_int(0); N]; U];
    let mut w = panel.as_ptr();
    let x = values.as_ptr().cast::<i32>();
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
            // SAFETY: j + u < fours, and the panel holds N vectors of codes for every four.
            unsafe {
                let x = s.splat_int(x.add(j + u).read_unaligned());
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
            let x = s.splat_int(x.add(j).read_unaligned());
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
