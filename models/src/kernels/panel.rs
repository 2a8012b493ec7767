//! The engine's product: y = W x for one x, W read once from front to back.
//!
//! W [inputs, outputs] is packed into panels of up to eight vectors of outputs; in a panel the outputs of input 0 come
//! first, then those of input 1, and so on. x is broadcast value by value, and a panel's outputs stay in registers.
//! Outputs are padded with zeros to whole vectors. Weights of i8 go by fours of inputs: see `codes`.

mod floats;
mod gated;
mod int8;
mod int8_input;
mod many;
mod row;

pub use gated::gated;
pub use int8::{BLOCK, Quantised, round};
pub use int8_input::{accumulate_i8, accumulate_i8_many, gated_i8};
pub use many::{Rows, accumulate_many, gated_many};
pub use row::{add, add_scaled, add_weighted, add_weighted_sparse, copy, dot, fill, rectify, sum};
#[cfg(feature = "train")]
pub use row::{add_outer, add_outer_sparse};

use super::aligned::{Aligned, Lines};
use super::{Isa, Kernel, Simd};
use crate::weights::{Stored, Tensor};
use floats::Floats;
use half::f16;
use int8::Rounded;

/// Widest panel, in vectors: with one more register for the broadcast it fits sixteen.
const WIDEST: usize = 8;

/// A matrix to be packed, [inputs, outputs] row-major: its values, each of them one that it can be stored as.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    /// inputs × outputs values.
    pub values: &'a [f32],
    /// How they are packed.
    pub stored: &'a Stored,
}

impl<'a> From<&'a [f32]> for Matrix<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self { values, stored: &Stored::F32 }
    }
}

impl<'a> From<&'a Vec<f32>> for Matrix<'a> {
    fn from(values: &'a Vec<f32>) -> Self {
        Self::from(&values[..])
    }
}

impl<'a> From<&'a Tensor> for Matrix<'a> {
    fn from(t: &'a Tensor) -> Self {
        Self { values: &t.data, stored: &t.stored }
    }
}

/// A matrix packed for one instruction set.
#[derive(Clone)]
pub struct Panels {
    data: Data,
    inputs: usize,
    /// Inputs whose codes share a scale, where weights are i8.
    block: usize,
    /// Whether weights of i8 were packed for activations with a bias.
    biased: bool,
    /// Outputs in vectors, padded.
    vectors: usize,
    /// Outputs come in pairs of halves: each panel holds as many vectors of the first half as of the second.
    gated: bool,
    lanes: usize,
}

#[derive(Clone)]
enum Data {
    F32(Aligned),
    /// The bits of 16-bit floats.
    F16(Lines<u16>),
    /// As [`codes`] lays them out.
    I8(Lines<i8>),
}

/// How wide each panel is: as equal as can be, none above `widest`.
#[inline(always)]
fn widths(vectors: usize, widest: usize) -> impl Iterator<Item = usize> {
    let panels = vectors.div_ceil(widest);
    (0..panels).map(move |p| (p + 1) * vectors / panels - p * vectors / panels)
}

/// Sums that a panel of `width` vectors keeps per output, each over every so many-th input: where the panel alone would
/// wait on the latency of a multiply-add. They make part of the result's bits.
const fn chains(width: usize) -> usize {
    match width {
        1 => 8,
        2 => 4,
        3 => 3,
        4 | 5 => 2,
        _ => 1,
    }
}

impl Panels {
    /// Packs `w` ([inputs, outputs]).
    pub fn pack<'a>(isa: Isa, w: impl Into<Matrix<'a>>, inputs: usize, outputs: usize) -> Self {
        Self::pack_blocks(isa, w, inputs, outputs, BLOCK)
    }

    /// Packs `w` ([inputs, 2·half]), the two halves side by side in every panel, for [`gated`].
    pub fn pack_gated<'a>(isa: Isa, w: impl Into<Matrix<'a>>, inputs: usize, half: usize) -> Self {
        Self::pack_gated_blocks(isa, w, inputs, half, BLOCK)
    }

    /// As [`Panels::pack`], for x in [`Quantised`] whose blocks are `block` long.
    ///
    /// # Panics
    /// When that is more than codes can have.
    pub fn pack_blocks<'a>(
        isa: Isa,
        w: impl Into<Matrix<'a>>,
        inputs: usize,
        outputs: usize,
        block: usize,
    ) -> Self {
        assert!(block <= BLOCK);
        Self::pack_columns(isa, w.into(), [inputs, outputs], outputs, false, block)
    }

    /// As [`Panels::pack_gated`], for x in [`Quantised`] whose blocks are `block` long.
    ///
    /// # Panics
    /// When that is more than codes can have.
    pub fn pack_gated_blocks<'a>(
        isa: Isa,
        w: impl Into<Matrix<'a>>,
        inputs: usize,
        half: usize,
        block: usize,
    ) -> Self {
        assert!(block <= BLOCK);
        Self::pack_columns(isa, w.into(), [inputs, 2 * half], half, true, block)
    }

    fn pack_columns(
        isa: Isa,
        w: Matrix<'_>,
        [inputs, outputs]: [usize; 2],
        half: usize,
        gated: bool,
        block: usize,
    ) -> Self {
        assert_eq!(w.values.len(), inputs * outputs, "a matrix of {inputs} by {outputs}");
        let (lanes, biased) = (isa.lanes(), isa.biased());
        let order = column_order(half, lanes, gated);
        let (per_panel, halves) = if gated { (WIDEST / 2, 2) } else { (WIDEST, 1) };
        let mut rest = &order[..];
        let panels: Vec<_> = widths(half.div_ceil(lanes), per_panel)
            .map(|width| {
                let (columns, after) = rest.split_at(width * lanes * halves);
                rest = after;
                columns
            })
            .collect();
        let data = match w.stored {
            Stored::F32 => Data::F32(Lines::from(&floats::pack(w.values, outputs, &panels, |v| v)[..])),
            Stored::F16 => {
                let bits = |v| f16::from_f32(v).to_bits();
                Data::F16(Lines::from(&floats::pack(w.values, outputs, &panels, bits)[..]))
            }
            Stored::I8 { scales } => {
                Data::I8(Lines::from(&int8::pack(w.values, scales, &panels, block, biased)[..]))
            }
        };
        Self { data, inputs, block, biased, vectors: order.len() / lanes, gated, lanes }
    }

    /// That codes as `S` makes them meet weights that were packed for them: [`Kernel::INTEGER`] decides on both.
    #[inline(always)]
    fn expect_i8_of<S: Simd>(&self) {
        assert!(self.biased == S::BIASED, "weights of i8 in a kernel without `INTEGER`");
    }

    /// Inputs.
    #[inline(always)]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Outputs, padded to whole vectors.
    pub fn padded_outputs(&self) -> usize {
        self.vectors * self.lanes
    }

    /// Bytes of the packed weights.
    pub fn bytes(&self) -> usize {
        match &self.data {
            Data::F32(d) => size_of_val(&d[..]),
            Data::F16(d) => size_of_val(&d[..]),
            Data::I8(d) => size_of_val(&d[..]),
        }
    }

    /// Brings a vector of outputs (a bias, a column) into the packed order, zeros in the padding.
    pub fn order(&self, x: &[f32]) -> Aligned {
        let half = if self.gated { x.len() / 2 } else { x.len() };
        let order = column_order(half, self.lanes, self.gated);
        let mut out = Aligned::zeros(order.len());
        for (o, c) in out.iter_mut().zip(order) {
            *o = c.map_or(0.0, |c| x[c]);
        }
        out
    }
}

/// Column of the row-major matrix at each packed output; `None` is padding. `half` is the number of outputs of one
/// half where `gated`, else of all.
fn column_order(half: usize, lanes: usize, gated: bool) -> Vec<Option<usize>> {
    let vectors = half.div_ceil(lanes);
    let column = |base: usize, c: usize| (c < half).then_some(base + c);
    if !gated {
        return (0..vectors * lanes).map(|c| column(0, c)).collect();
    }
    let mut order = Vec::new();
    let mut first = 0;
    for width in widths(vectors, WIDEST / 2) {
        for base in [0, half] {
            order.extend((first * lanes..(first + width) * lanes).map(|c| column(base, c)));
        }
        first += width;
    }
    order
}

/// What becomes of a product before it is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Store,
    /// max(·, 0).
    Relu,
}

/// out = then(W x + add), with `add` and `out` in packed order, padded.
///
/// # Panics
/// When a length differs from the packed matrix's.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn product<S: Simd>(s: S, w: &Panels, x: &[f32], add: &[f32], out: &mut [f32], then: Then) {
    copy(s, out, add);
    accumulate(s, w, x, out, then);
}

/// out = then(out + W x), with `out` in packed order, padded.
///
/// # Panics
/// When a length differs from the packed matrix's.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn accumulate<S: Simd>(s: S, w: &Panels, x: &[f32], out: &mut [f32], then: Then) {
    s.call(Accumulate { w, x, out, then });
}

struct Accumulate<'a> {
    w: &'a Panels,
    x: &'a [f32],
    out: &'a mut [f32],
    then: Then,
}

impl Kernel for Accumulate<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { w, x, out, then } = self;
        assert!(!w.gated && w.lanes == S::LANES && x.len() == w.inputs);
        assert_eq!(out.len(), w.vectors * S::LANES);
        match &w.data {
            Data::F32(d) => accumulate_panels(s, d, Floats(x), w.vectors, out, then),
            Data::F16(d) => accumulate_panels(s, d, Floats(x), w.vectors, out, then),
            Data::I8(d) => {
                w.expect_i8_of::<S>();
                assert_eq!(w.block, BLOCK, "weights that were packed for codes");
                accumulate_panels(s, d, Rounded::new(s, x), w.vectors, out, then);
            }
        }
    }
}

/// x, as weights of type `T` meet it.
trait Operand<T> {
    /// Length of a panel.
    fn panel_len(&self, columns: usize) -> usize;
    /// acc += panel · x, the panel N vectors wide. `U` inputs at a time go to accumulators of their own where N alone
    /// would wait on the latency of a multiply-add.
    fn multiply<S: Simd, const N: usize, const U: usize>(&mut self, s: S, acc: &mut [S::V; N], panel: &[T]);
}

#[inline(always)]
fn accumulate_panels<S: Simd, T, X: Operand<T>>(
    s: S,
    data: &[T],
    mut x: X,
    vectors: usize,
    out: &mut [f32],
    then: Then,
) {
    let mut panel = data;
    let mut rest = out;
    for width in widths(vectors, WIDEST) {
        let (now, later) = panel.split_at(x.panel_len(width * S::LANES));
        let (here, there) = rest.split_at_mut(width * S::LANES);
        macro_rules! panel {
            ($($n:literal),*) => {
                match width {
                    $($n => {
                        let mut acc = load_all::<S, $n>(s, here);
                        x.multiply::<S, $n, { chains($n) }>(s, &mut acc, now);
                        for (i, a) in acc.into_iter().enumerate() {
                            let a = if then == Then::Relu { s.max(a, s.splat(0.0)) } else { a };
                            s.store(&mut here[i * S::LANES..], a);
                        }
                    })*
                    _ => unreachable!("widths() gives 1 to 8"),
                }
            };
        }
        panel!(1, 2, 3, 4, 5, 6, 7, 8);
        panel = later;
        rest = there;
    }
}

#[inline(always)]
fn load_all<S: Simd, const N: usize>(s: S, x: &[f32]) -> [S::V; N] {
    let mut v = [s.splat(0.0); N];
    for (i, v) in v.iter_mut().enumerate() {
        *v = s.load(&x[i * S::LANES..]);
    }
    v
}
