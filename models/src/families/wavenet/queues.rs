//! What a stream keeps from symbol to symbol: the queues of past inputs, and the products with them that are ready.

use super::packed::{LARGEST_BATCH, PastTaps, WaveNet};
use super::quantised_queues::QuantisedQueues;
use super::ring::Ring;
use crate::kernels::Simd;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::copy;

/// The memory of one layer: rows of floats [R padded].
#[derive(Clone)]
pub(super) struct Queue {
    rows: Aligned,
    ring: Ring,
    /// The past taps' products for the symbols of the batch at hand [batch × 2D padded]; empty in a layer without.
    ready: Aligned,
}

/// All layers' memories of one stream.
#[derive(Clone)]
pub(super) struct Queues {
    /// Empty where the layers' inputs are kept as codes.
    pub layers: Vec<Queue>,
    pub quantised: QuantisedQueues,
    /// Symbols absorbed, modulo the largest batch.
    clock: usize,
}

impl Queues {
    /// Of a stream that has heard nothing.
    pub fn new(net: &WaveNet) -> Self {
        let row = net.residual_padded;
        let (floats, coded) = net.layers.split_at(if net.all_i8 { 0 } else { net.layers.len() });
        let layers = floats.iter().map(|layer| {
            let ring = Ring::new(net.kernel_size, layer.dilation);
            let ready = layer.gate.past.as_ref().map_or(0, |p| p.batch * p.weight.padded_outputs());
            Queue { rows: Aligned::zeros(ring.len() * row), ring, ready: Aligned::zeros(ready) }
        });
        let quantised = QuantisedQueues::new(coded, net.kernel_size, row, net.gate_padded);
        Self { layers: layers.collect(), quantised, clock: 0 }
    }

    /// Forgets everything. Zeros are the products of an empty queue, so every batch may begin at any symbol.
    pub fn reset(&mut self) {
        for q in &mut self.layers {
            q.rows.fill(0.0);
            q.ready.fill(0.0);
            q.ring.reset();
        }
        self.quantised.reset();
        self.clock = 0;
    }

    /// A symbol was absorbed.
    #[inline(always)]
    pub fn tick(&mut self) {
        self.clock = (self.clock + 1) % LARGEST_BATCH;
    }

    /// The place of the symbol at hand in the batch of `past`; a batch is computed at its place 0.
    #[inline(always)]
    pub fn place(&self, past: &PastTaps) -> usize {
        (self.clock + past.offset) % past.batch
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> usize {
        let floats = |q: &Queue| q.rows.len() + q.ready.len();
        4 * self.layers.iter().map(floats).sum::<usize>()
            + size_of_val(&self.layers[..])
            + self.quantised.bytes()
    }
}

impl Queue {
    /// Copies the past taps of the symbol that is `ahead` of the one at hand into `out` [taps × `channels`], the oldest
    /// first.
    #[inline(always)]
    pub fn read<S: Simd>(&self, s: S, ahead: usize, channels: usize, row: usize, out: &mut [f32]) {
        for (tap, at) in out.chunks_exact_mut(channels).zip(self.ring.taps(ahead)) {
            copy(s, tap, &self.rows[at * row..][..channels]);
        }
    }

    /// Replaces the oldest row by `x`.
    #[inline(always)]
    pub fn push<S: Simd>(&mut self, s: S, x: &[f32]) {
        if let Some(row) = self.ring.push() {
            copy(s, &mut self.rows[row * x.len()..][..x.len()], x);
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
