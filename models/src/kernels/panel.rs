//! The engine's product: y = W x for one x, W read once from front to back.
//!
//! W [inputs, outputs] is packed into panels of up to eight vectors of outputs; in a panel the outputs of input 0 come
//! first, then those of input 1, and so on. x is broadcast value by value, and a panel's outputs stay in registers.
//! Outputs are padded with zeros to whole vectors.

mod many;

pub use many::{Rows, accumulate_many, gated_many};

use super::aligned::Aligned;
use super::{Isa, Simd, math};

/// Widest panel, in vectors: with one more register for the broadcast it fits sixteen.
const WIDEST: usize = 8;

/// A matrix packed for one instruction set.
#[derive(Clone)]
pub struct Panels {
    data: Aligned,
    inputs: usize,
    /// Outputs in vectors, padded.
    vectors: usize,
    /// Outputs come in pairs of halves: each panel holds as many vectors of the first half as of the second.
    gated: bool,
    lanes: usize,
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
    /// Packs `w` ([inputs, outputs] row-major).
    pub fn pack(isa: Isa, w: &[f32], inputs: usize, outputs: usize) -> Self {
        Self::pack_columns(isa, w, inputs, outputs, outputs, false)
    }

    /// Packs `w` ([inputs, 2·half] row-major), the two halves side by side in every panel, for [`gated`].
    pub fn pack_gated(isa: Isa, w: &[f32], inputs: usize, half: usize) -> Self {
        Self::pack_columns(isa, w, inputs, 2 * half, half, true)
    }

    fn pack_columns(isa: Isa, w: &[f32], inputs: usize, outputs: usize, half: usize, gated: bool) -> Self {
        assert_eq!(w.len(), inputs * outputs, "a matrix of {inputs} by {outputs}");
        let lanes = isa.lanes();
        let order = column_order(half, lanes, gated);
        let mut data = Aligned::zeros(order.len() * inputs);
        let mut at = 0;
        let mut first = 0;
        let per_panel = if gated { WIDEST / 2 } else { WIDEST };
        for width in widths(half.div_ceil(lanes), per_panel) {
            let columns = width * lanes * if gated { 2 } else { 1 };
            for row in w.chunks_exact(outputs) {
                for column in &order[first..first + columns] {
                    data[at] = column.map_or(0.0, |c| row[c]);
                    at += 1;
                }
            }
            first += columns;
        }
        Self { data, inputs, vectors: order.len() / lanes, gated, lanes }
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
        self.data.len() * size_of::<f32>()
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
    out.copy_from_slice(add);
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
    assert!(!w.gated && w.lanes == S::LANES && x.len() == w.inputs);
    assert_eq!(out.len(), w.vectors * S::LANES);
    let mut panel = &w.data[..];
    let mut rest = out;
    for width in widths(w.vectors, WIDEST) {
        let (now, later) = panel.split_at(width * S::LANES * w.inputs);
        let (here, there) = rest.split_at_mut(width * S::LANES);
        macro_rules! panel {
            ($($n:literal),*) => {
                match width {
                    $($n => {
                        let mut acc = load_all::<S, $n>(s, here);
                        multiply::<S, $n, { chains($n) }>(s, &mut acc, now, x);
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

/// out = tanh(z[..D])·σ(z[D..]) with z = W x + add; `add` in packed order, `out` the D gated outputs, padded.
///
/// # Panics
/// When a length differs from the packed matrix's.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn gated<S: Simd>(s: S, w: &Panels, x: &[f32], add: &[f32], out: &mut [f32]) {
    assert!(w.gated && w.lanes == S::LANES && x.len() == w.inputs);
    assert!(add.len() == w.vectors * S::LANES && out.len() * 2 == add.len());
    let (mut panel, mut add, mut rest) = (&w.data[..], add, out);
    for half in widths(w.vectors / 2, WIDEST / 2) {
        let (now, later) = panel.split_at(2 * half * S::LANES * w.inputs);
        let (bias, next) = add.split_at(2 * half * S::LANES);
        let (here, there) = rest.split_at_mut(half * S::LANES);
        macro_rules! panel {
            ($($h:literal $n:literal),*) => {
                match half {
                    $($h => {
                        let mut acc = load_all::<S, $n>(s, bias);
                        multiply::<S, $n, { chains($n) }>(s, &mut acc, now, x);
                        for i in 0..$h {
                            s.store(&mut here[i * S::LANES..], math::gate(s, acc[i], acc[$h + i]));
                        }
                    })*
                    _ => unreachable!("widths() gives 1 to 4"),
                }
            };
        }
        panel!(1 2, 2 4, 3 6, 4 8);
        panel = later;
        add = next;
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

/// acc += panel · x. `U` inputs at a time go to accumulators of their own where N alone would wait on the latency of a
/// multiply-add.
#[allow(unsafe_code, reason = "bounds checked once for the panel; a check per load costs a tenth")]
#[inline(always)]
fn multiply<S: Simd, const N: usize, const U: usize>(s: S, acc: &mut [S::V; N], panel: &[f32], x: &[f32]) {
    assert!(panel.len() == x.len() * N * S::LANES);
    let mut more = [[s.splat(0.0); N]; U];
    more[0] = *acc;
    let mut w = panel.as_ptr();
    let whole = x.len() / U * U;
    let mut j = 0;
    while j < whole {
        for (u, acc) in more.iter_mut().enumerate() {
            // SAFETY: j + u < x.len(), and the panel holds N vectors for every value of x.
            unsafe {
                let v = s.splat(*x.get_unchecked(j + u));
                for (i, acc) in acc.iter_mut().enumerate() {
                    *acc = s.mul_add(s.load_ptr(w.add((u * N + i) * S::LANES)), v, *acc);
                }
            }
        }
        // SAFETY: stays within the panel or one past its end.
        w = unsafe { w.add(U * N * S::LANES) };
        j += U;
    }
    while j < x.len() {
        // SAFETY: as above.
        unsafe {
            let v = s.splat(*x.get_unchecked(j));
            for (i, acc) in more[0].iter_mut().enumerate() {
                *acc = s.mul_add(s.load_ptr(w.add(i * S::LANES)), v, *acc);
            }
            w = w.add(N * S::LANES);
        }
        j += 1;
    }
    *acc = more[0];
    for other in &more[1..] {
        for (a, o) in acc.iter_mut().zip(other) {
            *a = s.add(*a, *o);
        }
    }
}
