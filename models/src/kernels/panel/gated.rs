//! The product into the gated unit: z = W x + add never leaves the registers.

use super::floats::Floats;
use super::int8::{BLOCK, Rounded};
use super::{Data, Operand, Panels, WIDEST, chains, load_all, widths};
use crate::kernels::{Kernel, Simd, math};

/// out = tanh(z[..D])·σ(z[D..]) with z = W x + add; `add` in packed order, `out` the D gated outputs, padded.
///
/// # Panics
/// When a length differs from the packed matrix's.
///
/// # Real-time
/// Yes.
#[inline(always)]
pub fn gated<S: Simd>(s: S, w: &Panels, x: &[f32], add: &[f32], out: &mut [f32]) {
    s.call(Gated { w, x, add, out });
}

struct Gated<'a> {
    w: &'a Panels,
    x: &'a [f32],
    add: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Gated<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { w, x, add, out } = self;
        assert!(w.gated && w.lanes == S::LANES && x.len() == w.inputs);
        assert!(add.len() == w.vectors * S::LANES && out.len() * 2 == add.len());
        match &w.data {
            Data::F32(d) => gated_panels(s, d, Floats(x), w.vectors, add, Floating(out)),
            Data::F16(d) => gated_panels(s, d, Floats(x), w.vectors, add, Floating(out)),
            Data::I8(d) => {
                w.expect_i8_of::<S>();
                assert_eq!(w.block, BLOCK, "weights that were packed for codes");
                gated_panels(s, d, Rounded::new(s, x), w.vectors, add, Floating(out));
            }
        }
    }
}

/// Where gated outputs go.
pub trait Outputs {
    /// Writes the vector that begins at output `at`.
    fn put<S: Simd>(&mut self, s: S, at: usize, v: S::V);
}

struct Floating<'a>(&'a mut [f32]);

impl Outputs for Floating<'_> {
    #[inline(always)]
    fn put<S: Simd>(&mut self, s: S, at: usize, v: S::V) {
        s.store(&mut self.0[at..], v);
    }
}

#[inline(always)]
pub fn gated_panels<S: Simd, T, X: Operand<T>, O: Outputs>(
    s: S,
    data: &[T],
    mut x: X,
    vectors: usize,
    add: &[f32],
    mut out: O,
) {
    let (mut panel, mut add, mut first) = (data, add, 0);
    for half in widths(vectors / 2, WIDEST / 2) {
        let (now, later) = panel.split_at(x.panel_len(2 * half * S::LANES));
        let (bias, next) = add.split_at(2 * half * S::LANES);
        macro_rules! panel {
            ($($h:literal $n:literal),*) => {
                match half {
                    $($h => {
                        let mut acc = load_all::<S, $n>(s, bias);
                        x.multiply::<S, $n, { chains($n) }>(s, &mut acc, now);
                        for i in 0..$h {
                            out.put(s, first + i * S::LANES, math::gate(s, acc[i], acc[$h + i]));
                        }
                    })*
                    _ => unreachable!("widths() gives 1 to 4"),
                }
            };
        }
        panel!(1 2, 2 4, 3 6, 4 8);
        panel = later;
        add = next;
        first += half * S::LANES;
    }
}
