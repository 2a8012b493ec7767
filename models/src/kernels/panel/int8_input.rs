//! Products of x in codes: what made x has rounded it, so that one rounding serves every product.

use super::gated::{Outputs, gated_panels};
use super::int8::{NUMBER, Quantised, QuantisedOperand, store_unit};
use super::{Data, Operand, Panels, Rows, Then, WIDEST, accumulate_panels, widths};
use crate::kernels::{Kernel, Simd};

/// out = then(out + W x), with `out` in packed order, padded.
///
/// # Panics
/// When the weights are not i8, or a length differs from the packed matrix's.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn accumulate_i8<S: Simd>(s: S, w: &Panels, x: Quantised, out: &mut [f32], then: Then) {
    s.call(Accumulate { w, x, out, then });
}

/// Quantised, of scale 1/127, of tanh(z\[..D\])·σ(z\[D..\]) with z = W x + add; `add` in packed order, `out` the D
/// gated outputs, padded.
///
/// # Panics
/// When the weights are not i8, or a length differs from the packed matrix's.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn gated_i8<S: Simd>(s: S, w: &Panels, x: Quantised, add: &[f32], out: &mut [u8]) {
    s.call(Gated { w, x, add, out });
}

/// out\[n\] = out\[n\] + W x\[n\] for the first `count` rows of `out` and as many times the blocks of `x`: every weight that
/// is read meets all of them. A column gives the same bits as alone.
///
/// # Panics
/// When the weights are not i8, or something is shorter than the packed matrix wants.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn accumulate_i8_many<S: Simd>(s: S, w: &Panels, count: usize, x: Quantised, out: Rows<&mut [f32]>) {
    s.call(Columns { w, count, x, out });
}

struct Accumulate<'a> {
    w: &'a Panels,
    x: Quantised<'a>,
    out: &'a mut [f32],
    then: Then,
}

impl Kernel for Accumulate<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { w, x, out, then } = self;
        let (data, x) = operands::<S>(w, x);
        assert!(!w.gated && w.lanes == S::LANES && out.len() == w.vectors * S::LANES);
        accumulate_panels(s, data, x, w.vectors, out, then);
    }
}

struct Gated<'a> {
    w: &'a Panels,
    x: Quantised<'a>,
    add: &'a [f32],
    out: &'a mut [u8],
}

impl Kernel for Gated<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { w, x, add, out } = self;
        let (data, x) = operands::<S>(w, x);
        assert!(w.gated && w.lanes == S::LANES);
        assert!(add.len() == w.vectors * S::LANES && out.len() * 2 == add.len());
        gated_panels(s, data, x, w.vectors, add, QuantisedOutputs(out));
    }
}

struct QuantisedOutputs<'a>(&'a mut [u8]);

impl Outputs for QuantisedOutputs<'_> {
    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, at: usize, v: S::V) {
        store_unit(s, v, &mut self.0[at..]);
    }
}

#[inline(always)]
fn operands<'a, S: Simd>(w: &'a Panels, x: Quantised<'a>) -> (&'a [i8], QuantisedOperand<'a>) {
    w.expect_i8_of::<S>();
    let Data::I8(data) = &w.data else { panic!("codes meet weights of i8 only") };
    (data, QuantisedOperand { x, inputs: w.inputs, block: w.block })
}

struct Columns<'a> {
    w: &'a Panels,
    count: usize,
    x: Quantised<'a>,
    out: Rows<&'a mut [f32]>,
}

impl Kernel for Columns<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { w, count, x, out } = self;
        let (mut rest, operand) = operands::<S>(w, x);
        let blocks = w.inputs.div_ceil(w.block);
        assert!(!w.gated && w.lanes == S::LANES && count > 0);
        assert!(out.data.len() >= (count - 1) * out.stride + w.vectors * S::LANES);
        assert!(x.values.len() >= count * blocks * x.stride && x.scales.len() >= count * blocks);
        let mut first = 0;
        for width in widths(w.vectors, WIDEST) {
            let columns = width * S::LANES;
            let (now, later) = rest.split_at(operand.panel_len(columns));
            rest = later;
            let (mut now, scales) = now.split_at(now.len() - columns * NUMBER);
            for b in 0..blocks {
                let here = w.block.min(w.inputs - b * w.block);
                let (panel, after) = now.split_at(columns * NUMBER * (1 + here.div_ceil(4)));
                now = after;
                let block = Block { panel, scales, width, first, fours: here.div_ceil(4) };
                let x = Quantised { values: &x.values[b * x.stride..], scales: &x.scales[b..], ..x };
                block.columns(s, count, x, blocks, out.data, out.stride);
            }
            first += columns;
        }
    }
}

/// One block of a panel's inputs.
struct Block<'a> {
    panel: &'a [i8],
    /// The weights', as numbers among codes.
    scales: &'a [i8],
    /// In vectors.
    width: usize,
    /// Output that the panel begins with.
    first: usize,
    fours: usize,
}

impl Block<'_> {
    /// With all columns, four, two and one at a time. Column c of `x` begins c·`blocks` blocks from its begin.
    #[inline(always)]
    fn columns<S: Simd>(
        &self,
        s: S,
        count: usize,
        x: Quantised,
        blocks: usize,
        out: &mut [f32],
        stride: usize,
    ) {
        // As many vectors as leave registers for the weights and a broadcast: 32 registers or 16.
        let most = if S::LANES >= 16 { 4 } else { 2 };
        let mut n = 0;
        while n < count {
            let tall = if count - n >= 4 { 4 } else { (count - n).min(2) };
            let mut v = 0;
            while v < self.width {
                let wide = (self.width - v).min(most);
                let from = n * blocks;
                let x = Quantised {
                    values: &x.values[from * x.stride..],
                    scales: &x.scales[from..],
                    stride: blocks * x.stride,
                };
                let out = Rows { data: &mut out[n * stride + self.first + v * S::LANES..], stride };
                macro_rules! tile {
                    ($($wide:literal $tall:literal),*) => {
                        match (wide, tall) {
                            $(($wide, $tall) => self.tile::<S, $wide, $tall>(s, v, x, blocks, out),)*
                            _ => unreachable!("tiles are at most 4 by 4"),
                        }
                    };
                }
                if S::LANES >= 16 {
                    tile!(1 1, 2 1, 3 1, 4 1, 1 2, 2 2, 3 2, 4 2, 1 4, 2 4, 3 4, 4 4);
                } else {
                    tile!(1 1, 2 1, 1 2, 2 2, 1 4, 2 4);
                }
                v += wide;
            }
            n += tall;
        }
    }

    /// `V` vectors of outputs, from the `v`th on, with `C` columns, `x.stride` codes and `blocks` scales from each other.
    #[allow(unsafe_code, reason = "bounds checked once for the tile; a check per load costs a tenth")]
    #[inline(always)]
    fn tile<S: Simd, const V: usize, const C: usize>(
        &self,
        s: S,
        v: usize,
        x: Quantised,
        blocks: usize,
        out: Rows<&mut [f32]>,
    ) {
        let vector = S::LANES * 4;
        let row = self.width * vector;
        assert!(self.panel.len() == (1 + self.fours) * row && v + V <= self.width);
        assert!(self.scales.len() == row && x.values.len() >= (C - 1) * x.stride + 4 * self.fours);
        let mut sums = [[s.splat_int(0); C]; V];
        // SAFETY: the panel is one vector of integers and `fours` of codes for each of its `width`, and x has `fours`
        // times four codes in each column, as asserted.
        unsafe {
            let w = self.panel.as_ptr().add(v * vector);
            for (i, sums) in sums.iter_mut().enumerate() {
                *sums = [s.load_int_ptr(w.add(i * vector).cast()); C];
            }
            for j in 0..self.fours {
                let w = w.add((1 + j) * row);
                for c in 0..C {
                    let x = x.values.as_ptr().add(c * x.stride + 4 * j).cast::<i32>();
                    let x = s.splat_int(x.read_unaligned());
                    for (i, sums) in sums.iter_mut().enumerate() {
                        sums[c] = s.dot_ptr(sums[c], x, w.add(i * vector));
                    }
                }
            }
        }
        for (i, sums) in sums.into_iter().enumerate() {
            // SAFETY: a vector of scales for each of the panel's `width`.
            let weight = unsafe { s.load_ptr(self.scales.as_ptr().add((v + i) * vector).cast()) };
            for (c, sum) in sums.into_iter().enumerate() {
                let out = &mut out.data[c * out.stride + i * S::LANES..];
                let scale = s.mul(weight, s.splat(x.scales[c * blocks]));
                s.store(out, s.mul_add(s.to_float(sum), scale, s.load(out)));
            }
        }
    }
}
