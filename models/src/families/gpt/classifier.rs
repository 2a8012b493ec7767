//! The classification head, on the mean of the residual stream behind the last layer.

use super::norm::normalise;
use crate::kernels::{Kernel, Simd};

/// W [width, K] and b `[K]`.
#[derive(Clone, Copy)]
pub struct Classifier<'a> {
    /// W.
    pub weight: &'a [f32],
    /// b.
    pub bias: &'a [f32],
}

impl Classifier<'_> {
    /// n(`mean`) W + b; `mean`, padded to whole vectors, becomes n(mean). Returns what it was scaled by.
    #[inline(always)]
    pub fn logits<S: Simd>(self, s: S, mean: &mut [f32], logits: &mut Vec<f32>) -> f32 {
        let classes = self.bias.len();
        let scale = normalise(s, mean, self.weight.len() / classes);
        logits.clear();
        logits.extend_from_slice(self.bias);
        for (x, row) in mean.iter().zip(self.weight.chunks_exact(classes)) {
            logits.iter_mut().zip(row).for_each(|(y, w)| *y += x * w);
        }
        scale
    }
}

/// The logits of every class.
pub struct ClassLogits<'a> {
    /// The head.
    pub head: Classifier<'a>,
    /// The mean of r_L, padded to whole vectors; overwritten.
    pub mean: &'a mut [f32],
}

impl Kernel for ClassLogits<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<f32> {
        let mut logits = Vec::new();
        self.head.logits(s, self.mean, &mut logits);
        logits
    }
}
