//! A product with its bias: y = W x + b, for one row or many.

use super::aligned::Aligned;
use super::panel::{Matrix, Panels, Rows, Then, accumulate_many, fill};
use super::{Isa, Simd};

/// A product with its bias.
#[derive(Clone)]
pub struct Affine {
    /// W [inputs, outputs].
    pub weight: Panels,
    /// `[out]`, packed order.
    pub bias: Aligned,
}

impl Affine {
    /// Packs `weight` [inputs, outputs] and `bias` `[outputs]` for `isa`.
    pub fn pack(isa: Isa, weight: Matrix, bias: &[f32], inputs: usize) -> Self {
        let weight = Panels::pack(isa, weight, inputs, bias.len());
        Self { bias: weight.order(bias), weight }
    }

    /// out\[n\] = then(W x\[n\] + b) for the first `count` rows.
    #[inline(always)]
    pub fn run<S: Simd>(&self, s: S, count: usize, x: Rows<&[f32]>, out: Rows<&mut [f32]>, then: Then) {
        fill(s, &mut out.data[..count * out.stride], &self.bias);
        accumulate_many(s, &self.weight, count, x, out, then);
    }

    /// Bytes of weights and bias.
    pub fn bytes(&self) -> usize {
        self.weight.bytes() + self.bias.len() * size_of::<f32>()
    }
}
