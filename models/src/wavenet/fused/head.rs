//! The head, its softmax and loss, and their backward, in one pass over a tile of rows.

use super::laps::{Laps, Phase};
use super::padded::{Padded, Weights};
use crate::ar::Symbol;
use crate::fused::rows::{add_rows, broadcast, softmax_loss};
use crate::kernels::Simd;
use crate::kernels::aligned::Aligned;
use crate::kernels::tile::{Strided, multiply};

/// Buffers of one tile.
#[derive(Default)]
pub struct HeadScratch {
    /// relu(s) [TILE, S].
    skip: Vec<f32>,
    /// relu of the first product [TILE, A].
    hidden: Vec<f32>,
    /// Logits, then their gradient [TILE, P].
    logits: Vec<f32>,
    /// Gradient of `hidden` [TILE, A].
    d_hidden: Vec<f32>,
}

/// A tile of the head.
pub struct HeadTile<'a> {
    /// Where things stand.
    pub padded: &'a Padded,
    /// The weights.
    pub weights: &'a Weights,
    /// Symbols that the rows should have given.
    pub targets: &'a [Symbol],
    /// Number of classes, padding left out.
    pub classes: usize,
    /// Weight of one row in the loss's mean.
    pub scale: f32,
    /// [n, S] skip sums; afterwards their gradient, where one is wanted.
    pub skip: &'a mut [f32],
    /// The padded gradient to add to.
    pub gradient: Option<&'a mut Aligned>,
    /// Buffers.
    pub scratch: &'a mut HeadScratch,
    /// Where the time goes.
    pub laps: &'a mut Laps,
}

impl HeadTile<'_> {
    /// The sum of −ln p over the rows, in nats.
    #[inline(always)]
    pub fn run<S: Simd>(self, s: S) -> f64 {
        let Self { padded, weights, targets, classes, scale, skip, gradient, scratch, laps } = self;
        let w = padded.widths;
        let n = targets.len();
        let [(w0, b0), (w1, b1)] = &padded.head;
        let HeadScratch { skip: relu, hidden, logits, d_hidden } = scratch;
        relu.resize(n * w.s, 0.0);
        relu.copy_from_slice(&skip[..n * w.s]);
        rectify(s, relu);
        broadcast(hidden, &weights.forward[b0.clone()], n);
        multiply(s, (n, w.a, w0.at.len() / w.a), hidden, Strided::rows(relu, w.s), weights.get(w0));
        rectify(s, hidden);
        broadcast(logits, &weights.forward[b1.clone()], n);
        multiply(s, (n, w.p, w1.at.len() / w.p), logits, Strided::rows(hidden, w.a), weights.get(w1));
        let mut nats = 0.0;
        for (row, &target) in logits.chunks_exact_mut(w.p).zip(targets) {
            nats += softmax_loss(s, row, target as usize, classes, scale);
        }
        laps.lap(Phase::Head);
        let Some(gradient) = gradient else { return nats };
        add_rows(s, &mut gradient[b1.clone()], logits);
        let m = w1.at.len() / w.p;
        multiply(s, (m, w.p, n), &mut gradient[w1.at.clone()], Strided::transposed(hidden, w.a), logits);
        laps.lap(Phase::Weights);
        d_hidden.clear();
        d_hidden.resize(n * w.a, 0.0);
        multiply(s, (n, w.a, w.p), d_hidden, Strided::rows(logits, w.p), weights.transpose(padded, w1));
        pass_where_positive(s, d_hidden, hidden);
        laps.lap(Phase::Head);
        add_rows(s, &mut gradient[b0.clone()], d_hidden);
        let m = w0.at.len() / w.a;
        multiply(s, (m, w.a, n), &mut gradient[w0.at.clone()], Strided::transposed(relu, w.s), d_hidden);
        laps.lap(Phase::Weights);
        let d_skip = &mut skip[..n * w.s];
        d_skip.fill(0.0);
        multiply(s, (n, w.s, w.a), d_skip, Strided::rows(d_hidden, w.a), weights.transpose(padded, w0));
        pass_where_positive(s, d_skip, relu);
        add_rows(s, &mut gradient[padded.skip_bias.clone()], d_skip);
        laps.lap(Phase::Head);
        nats
    }
}

#[inline(always)]
fn rectify<S: Simd>(s: S, x: &mut [f32]) {
    for x in x.chunks_exact_mut(S::LANES) {
        s.store(x, s.max(s.load(x), s.splat(0.0)));
    }
}

/// Zeroes the gradient where the rectifier's output was zero.
#[inline(always)]
fn pass_where_positive<S: Simd>(_s: S, gradient: &mut [f32], output: &[f32]) {
    for (g, &y) in gradient.iter_mut().zip(output) {
        *g = if y > 0.0 { *g } else { 0.0 };
    }
}
