//! The head, its softmax and loss, and their backward, in one pass over a tile of rows.

use super::padded::{Padded, PhaseLayout};
use super::phase_timer::{Phase, PhaseTimer};
use super::tiles::span;
use crate::families::wavenet::Config;
use crate::fused::padded::Weights;
use crate::fused::rows::{add_rows, broadcast, pass_where_positive};
use crate::kernels::Simd;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{add, rectify};
use crate::kernels::tile::{Strided, multiply};
use crate::objective::Window;
use std::ops::Range;

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

/// A tile of the head: whole bunches, one phase after another, so that the rows of a product are as many as a layer's.
pub struct HeadTile<'a> {
    /// Sizes.
    pub config: &'a Config,
    /// Where things stand.
    pub padded: &'a Padded,
    /// The weights.
    pub weights: &'a Weights,
    /// The data.
    pub window: &'a Window,
    /// Weight of one row in the loss's mean.
    pub scale: f32,
    /// The tile's place among the window's bunches.
    pub bunches: Range<usize>,
    /// [n, S] skip sums; afterwards their gradient, where one is wanted.
    pub skip: &'a mut [f32],
    /// The padded gradient to add to.
    pub gradient: Option<&'a mut Aligned>,
    /// Whether its products get theirs.
    pub trunk: bool,
    /// Buffers.
    pub scratch: &'a mut HeadScratch,
    /// Where the time goes.
    pub timer: &'a mut PhaseTimer,
}

impl HeadTile<'_> {
    /// The sum of −ln p over the rows, in nats.
    #[inline(always)]
    pub fn run<S: Simd>(mut self, s: S) -> f64 {
        let relu = &mut self.scratch.skip;
        relu.resize(self.skip.len(), 0.0);
        relu.copy_from_slice(self.skip);
        rectify(s, relu);
        if self.gradient.is_some() {
            self.skip.fill(0.0);
        }
        let mut nats = 0.0;
        for phase in 0..self.config.bunch {
            let in_loss = self.in_loss(phase);
            if !in_loss.is_empty() {
                nats += self.phase(s, phase, in_loss);
            }
        }
        if let Some(gradient) = self.gradient {
            pass_where_positive(s, self.skip, &self.scratch.skip);
            add_rows(s, &mut gradient[self.padded.skip_bias.clone()], self.skip);
            self.timer.mark(Phase::Head);
        }
        nats
    }

    /// The tile's bunches whose sample of phase `j` is in the loss.
    #[inline(always)]
    fn in_loss(&self, j: usize) -> Range<usize> {
        let bunch = self.config.bunch;
        // The first bunch whose sample stands at or behind `t`.
        let from = |t: usize| t.saturating_sub(j).div_ceil(bunch);
        let Range { start, end } = self.bunches;
        start.max(from(self.window.warmup))..end.min(from(self.window.rows()))
    }

    /// The samples of phase `j` of the bunches `heard`, none of the gradient's rectifier at the skip sum yet.
    #[inline(always)]
    fn phase<S: Simd>(&mut self, s: S, j: usize, in_loss: Range<usize>) -> f64 {
        let Self { config, padded, weights, window, scratch, timer, .. } = self;
        let (w, n) = (padded.widths, in_loss.len());
        let PhaseLayout { weight: w0, bias: b0, drawn } = &padded.phases[j];
        let (w1, b1) = &padded.out;
        let HeadScratch { skip: relu, hidden, logits, d_hidden } = &mut **scratch;
        let rows = span(&(in_loss.start - self.bunches.start..in_loss.end - self.bunches.start), w.s);
        let relu = &relu[rows.clone()];
        let times = in_loss.map(|n| n * config.bunch + j);
        broadcast(hidden, &weights.forward[b0.clone()], n);
        for (lag, place) in drawn.iter().enumerate() {
            let table = weights.get(place);
            for (hidden, t) in hidden.chunks_exact_mut(w.a).zip(times.clone()) {
                add(s, hidden, &table[config.lagged(&window.inputs, t, lag) * w.a..][..w.a]);
            }
        }
        multiply(s, (n, w.a, w0.at.len() / w.a), hidden, Strided::rows(relu, w.s), weights.get(w0));
        rectify(s, hidden);
        broadcast(logits, &weights.forward[b1.clone()], n);
        multiply(s, (n, w.p, w1.at.len() / w.p), logits, Strided::rows(hidden, w.a), weights.get(w1));
        let (mut nats, likelihood) = (0.0, config.likelihood());
        for (row, t) in logits.chunks_exact_mut(w.p).zip(times.clone()) {
            nats += likelihood.loss_row(s, row, window.target(t), self.scale);
        }
        timer.mark(Phase::Head);
        let Some(gradient) = self.gradient.as_deref_mut() else { return nats };
        add_rows(s, &mut gradient[b1.clone()], logits);
        if self.trunk {
            let m = w1.at.len() / w.p;
            multiply(s, (m, w.p, n), &mut gradient[w1.at.clone()], Strided::transposed(hidden, w.a), logits);
            timer.mark(Phase::Weights);
        }
        d_hidden.clear();
        d_hidden.resize(n * w.a, 0.0);
        multiply(s, (n, w.a, w.p), d_hidden, Strided::rows(logits, w.p), weights.transpose(w1));
        pass_where_positive(s, d_hidden, hidden);
        timer.mark(Phase::Head);
        add_rows(s, &mut gradient[b0.clone()], d_hidden);
        for (lag, place) in drawn.iter().enumerate() {
            let table = &mut gradient[place.at.clone()];
            for (d_hidden, t) in d_hidden.chunks_exact(w.a).zip(times.clone()) {
                add(s, &mut table[config.lagged(&window.inputs, t, lag) * w.a..][..w.a], d_hidden);
            }
        }
        if self.trunk {
            let m = w0.at.len() / w.a;
            multiply(s, (m, w.a, n), &mut gradient[w0.at.clone()], Strided::transposed(relu, w.s), d_hidden);
            timer.mark(Phase::Weights);
        }
        let back = weights.transpose(w0);
        multiply(s, (n, w.s, w.a), &mut self.skip[rows], Strided::rows(d_hidden, w.a), back);
        timer.mark(Phase::Head);
        nats
    }
}
