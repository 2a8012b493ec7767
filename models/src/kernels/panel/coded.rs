//! Products of x in codes: what made x has rounded it, so that one rounding serves every product.

use super::codes::{Coded, Codes, store_unit};
use super::{Data, Outputs, Panels, Then, accumulate_panels, gated_panels};
use crate::kernels::{Kernel, Simd};

/// out = then(out + W x), with `out` in packed order, padded.
///
/// # Panics
/// When the weights are not i8, or a length differs from the packed matrix's.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn accumulate_codes<S: Simd>(s: S, w: &Panels, x: Codes, out: &mut [f32], then: Then) {
    s.call(Accumulate { w, x, out, then });
}

/// Codes, of scale [`super::UNIT`], of tanh(z\[..D\])·σ(z\[D..\]) with z = W x + add; `add` in packed order, `out` the D
/// gated outputs, padded.
///
/// # Panics
/// When the weights are not i8, or a length differs from the packed matrix's.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn gated_codes<S: Simd>(s: S, w: &Panels, x: Codes, add: &[f32], out: &mut [u8]) {
    s.call(Gated { w, x, add, out });
}

struct Accumulate<'a> {
    w: &'a Panels,
    x: Codes<'a>,
    out: &'a mut [f32],
    then: Then,
}

impl Kernel for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { w, x, out, then } = self;
        let (data, x) = operands(w, x);
        assert!(!w.gated && w.lanes == S::LANES && out.len() == w.vectors * S::LANES);
        accumulate_panels(s, data, x, w.vectors, out, then);
    }
}

struct Gated<'a> {
    w: &'a Panels,
    x: Codes<'a>,
    add: &'a [f32],
    out: &'a mut [u8],
}

impl Kernel for Gated<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { w, x, add, out } = self;
        let (data, x) = operands(w, x);
        assert!(w.gated && w.lanes == S::LANES);
        assert!(add.len() == w.vectors * S::LANES && out.len() * 2 == add.len());
        gated_panels(s, data, x, w.vectors, add, Coding(out));
    }
}

struct Coding<'a>(&'a mut [u8]);

impl Outputs for Coding<'_> {
    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, at: usize, v: S::V) {
        store_unit(s, v, &mut self.0[at..]);
    }
}

#[inline(always)]
fn operands<'a>(w: &'a Panels, x: Codes<'a>) -> (&'a [i8], Coded<'a>) {
    let Data::I8(data) = &w.data else { panic!("codes meet weights of i8 only") };
    (data, Coded { x, inputs: w.inputs, block: w.block })
}
