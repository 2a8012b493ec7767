//! What a stream keeps from symbol to symbol: the queues of past inputs, and the products with them that are ready.

use super::pack::LARGEST_BATCH;
use super::step::{Past, WaveNet};
use crate::kernels::aligned::Aligned;

/// The memory of one layer. Its last (K−1)·d inputs, a ring of rows [R padded] (Paine et al. 2016).
#[derive(Clone)]
pub(super) struct Queue {
    rows: Aligned,
    /// Number of rows.
    len: usize,
    dilation: usize,
    /// The oldest row: the next to be overwritten.
    oldest: usize,
    /// The past taps' products for the symbols of the batch at hand [batch × 2D padded]; empty in a layer without.
    ready: Aligned,
}

/// All layers' memories of one stream.
#[derive(Clone)]
pub(super) struct Memory {
    pub queues: Vec<Queue>,
    /// Symbols absorbed, modulo the largest batch.
    clock: usize,
}

impl Memory {
    /// Of a stream that has heard nothing.
    pub fn new(net: &WaveNet) -> Self {
        let queues = net.layers.iter().map(|layer| {
            let len = (net.kernel_size - 1) * layer.dilation;
            let ready = layer.gate.past.as_ref().map_or(0, |p| p.batch * p.weight.padded_outputs());
            Queue {
                rows: Aligned::zeros(len * net.residual_padded),
                len,
                dilation: layer.dilation,
                oldest: 0,
                ready: Aligned::zeros(ready),
            }
        });
        Self { queues: queues.collect(), clock: 0 }
    }

    /// Forgets everything. Zeros are the products of an empty queue, so every batch may begin at any symbol.
    pub fn reset(&mut self) {
        for q in &mut self.queues {
            q.rows.fill(0.0);
            q.ready.fill(0.0);
            q.oldest = 0;
        }
        self.clock = 0;
    }

    /// A symbol was absorbed.
    #[inline(always)]
    pub fn tick(&mut self) {
        self.clock = (self.clock + 1) % LARGEST_BATCH;
    }

    /// The place of the symbol at hand in the batch of `past`; a batch is computed at its place 0.
    #[inline(always)]
    pub fn place(&self, past: &Past) -> usize {
        (self.clock + past.offset) % past.batch
    }

    /// Floats in all buffers.
    pub fn floats(&self) -> usize {
        self.queues.iter().map(|q| q.rows.len() + q.ready.len()).sum()
    }
}

impl Queue {
    /// Copies the past taps of the symbol that is `ahead` of the one at hand into `out` [taps × `channels`], the oldest
    /// first. Known as long as `ahead` is less than the dilation.
    #[inline(always)]
    pub fn read(&self, ahead: usize, channels: usize, row: usize, out: &mut [f32]) {
        let mut at = self.oldest + ahead;
        for tap in out.chunks_exact_mut(channels) {
            at = if at >= self.len { at - self.len } else { at };
            tap.copy_from_slice(&self.rows[at * row..][..channels]);
            at += self.dilation;
        }
    }

    /// Replaces the oldest row by `x`.
    #[inline(always)]
    pub fn push(&mut self, x: &[f32]) {
        if self.len > 0 {
            self.rows[self.oldest * x.len()..][..x.len()].copy_from_slice(x);
            self.oldest = if self.oldest + 1 == self.len { 0 } else { self.oldest + 1 };
        }
    }

    /// The past taps' products, a row [2D padded] per symbol of the batch.
    #[inline(always)]
    pub fn ready(&self) -> &[f32] {
        &self.ready
    }

    /// The same, to be computed.
    #[inline(always)]
    pub fn ready_mut(&mut self) -> &mut [f32] {
        &mut self.ready
    }
}
