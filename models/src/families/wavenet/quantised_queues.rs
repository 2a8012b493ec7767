//! The queues of a stream whose layers' weights are all i8: past inputs as i8 with a scale each.

use super::packed::{Layer, PastTaps};
use super::ring::Ring;
use crate::kernels::Simd;
use crate::kernels::aligned::{Aligned, Lines};
use crate::kernels::panel::{Quantised, Rows, accumulate_i8_many, round};

/// What one stream keeps of its layers' inputs, and its buffers.
#[derive(Clone)]
pub(super) struct QuantisedQueues {
    /// One per layer.
    queues: Vec<Queue>,
    /// Taps of the layer at hand [K × R padded], and their scales.
    pub taps: Lines<u8>,
    pub scales: Vec<f32>,
    /// Past taps of the layer's batch at hand [batch × K−1 × R padded], and their scales.
    ahead: Lines<u8>,
    ahead_scales: Vec<f32>,
    /// h_l of all layers [L × D padded].
    pub gated: Lines<u8>,
    /// R padded.
    row: usize,
}

/// A layer's past inputs, rows [R padded].
#[derive(Clone)]
struct Queue {
    ring: Ring,
    rows: Lines<u8>,
    /// One per row; 0 makes a row of silence, whatever its codes are.
    scales: Vec<f32>,
    /// The past taps' products for the symbols of the batch at hand [batch × 2D padded]; empty in a layer without.
    ready: Aligned,
}

impl QuantisedQueues {
    /// Of a stream that has heard nothing. `row` is R, `gate` D, padded.
    pub fn new(layers: &[Layer], kernel_size: usize, row: usize, gate: usize) -> Self {
        let queue = |layer: &Layer| {
            let ring = Ring::new(kernel_size, layer.dilation);
            let ready = layer.gate.past.as_ref().map_or(0, |p| p.batch * 2 * gate);
            Queue {
                rows: Lines::zeros(ring.len() * row),
                scales: vec![0.0; ring.len()],
                ring,
                ready: Aligned::zeros(ready),
            }
        };
        let batch = layers.iter().filter_map(|l| l.gate.past.as_ref()).map(|p| p.batch).max().unwrap_or(0);
        let ahead = batch * (kernel_size - 1);
        Self {
            queues: layers.iter().map(queue).collect(),
            taps: Lines::zeros(kernel_size * row),
            scales: vec![0.0; kernel_size],
            ahead: Lines::zeros(ahead * row),
            ahead_scales: vec![0.0; ahead],
            gated: Lines::zeros(layers.len() * gate),
            row,
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        for q in &mut self.queues {
            q.rows.fill(0);
            q.scales.fill(0.0);
            q.ready.fill(0.0);
            q.ring.reset();
        }
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> usize {
        let floats = |q: &Queue| q.scales.len() + q.ready.len();
        let queue = |q: &Queue| q.rows.len() + 4 * floats(q) + size_of::<Queue>();
        self.queues.iter().map(queue).sum::<usize>()
            + self.taps.len()
            + self.ahead.len()
            + self.gated.len()
            + 4 * (self.scales.len() + self.ahead_scales.len())
    }

    /// Brings layer `l`'s past taps from the queue.
    #[inline(always)]
    pub fn read<S: Simd>(&mut self, s: S, l: usize) {
        let last = self.scales.len() - 1;
        let (values, scales) = (&mut self.taps[..last * self.row], &mut self.scales[..last]);
        self.queues[l].read(s, 0, values, scales, self.row);
    }

    /// Rounds layer `l`'s input into the last of its taps and keeps it in the queue.
    #[inline(always)]
    pub fn push<S: Simd>(&mut self, s: S, l: usize, x: &[f32]) {
        let row = self.row;
        let queue = &mut self.queues[l];
        let last = self.scales.len() - 1;
        let now = &mut self.taps[last * row..];
        let scale = round(s, x, now);
        self.scales[last] = scale;
        if let Some(at) = queue.ring.push() {
            copy_bytes(s, &mut queue.rows[at * row..][..row], now);
            queue.scales[at] = scale;
        }
    }

    /// The products of layer `l`'s past taps at `place` of their batch, which is computed at the first.
    #[inline(always)]
    pub fn ready<S: Simd>(&mut self, s: S, l: usize, past: &PastTaps, place: usize) -> &[f32] {
        let Self { queues, scales, ahead, ahead_scales, row, .. } = self;
        let queue = &mut queues[l];
        let width = queue.ready.len() / past.batch;
        if place == 0 {
            let each = scales.len() - 1;
            let columns = ahead.chunks_exact_mut(each * *row).zip(ahead_scales.chunks_exact_mut(each));
            for (n, (values, scales)) in columns.take(past.batch).enumerate() {
                queue.read(s, n, values, scales, *row);
            }
            queue.ready.fill(0.0);
            let x = Quantised { values: ahead, stride: *row, scales: ahead_scales };
            let out = Rows { data: &mut queue.ready[..], stride: width };
            accumulate_i8_many(s, &past.weight, past.batch, x, out);
        }
        &queue.ready[place * width..][..width]
    }
}

impl Queue {
    /// Copies the past taps of the symbol that is `ahead` of the one at hand, and their scales, the oldest first.
    #[inline(always)]
    fn read<S: Simd>(&self, s: S, ahead: usize, values: &mut [u8], scales: &mut [f32], row: usize) {
        let taps = values.chunks_exact_mut(row).zip(scales);
        for ((tap, scale), at) in taps.zip(self.ring.taps(ahead)) {
            copy_bytes(s, tap, &self.rows[at * row..][..row]);
            *scale = self.scales[at];
        }
    }
}

/// Codes of whole vectors: a call of `memcpy` costs more than they do.
#[inline(always)]
fn copy_bytes<S: Simd>(_: S, to: &mut [u8], from: &[u8]) {
    for (to, from) in to.chunks_exact_mut(S::LANES).zip(from.chunks_exact(S::LANES)) {
        to.copy_from_slice(from);
    }
}
