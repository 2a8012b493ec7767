//! The layers where all their weights are i8: what goes from product to product is codes.
//!
//! A layer's input r_l is rounded once, with a scale of its own, and kept in the queue as codes: every tap is multiplied
//! with the scale it was given then. h_l is in [−1, 1], so its codes have one scale always; the residual and the skip
//! product share them. The stream r_l itself stays in f32.

use super::memory::Ring;
use super::step::{Scratch, State, WaveNet, beginning};
use crate::kernels::Simd;
use crate::kernels::aligned::Lines;
use crate::kernels::panel::{Codes, Then, accumulate_codes, add, copy, gated_codes, round};

/// What one stream keeps of its layers' inputs, and its buffers.
#[derive(Clone)]
pub(super) struct CodedMemory {
    /// One per layer.
    queues: Vec<Queue>,
    /// Taps of the layer at hand [K × R padded], and their scales.
    taps: Lines<u8>,
    scales: Vec<f32>,
    /// h_l of all layers [L × D padded].
    gated: Lines<u8>,
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
}

impl CodedMemory {
    /// Of a stream that has heard nothing. `row` is R, `gate` D, padded.
    pub fn new(rings: Vec<Ring>, kernel_size: usize, row: usize, gate: usize) -> Self {
        let queue =
            |ring: Ring| Queue { rows: Lines::zeros(ring.len() * row), scales: vec![0.0; ring.len()], ring };
        Self {
            taps: Lines::zeros(kernel_size * row),
            scales: vec![0.0; kernel_size],
            gated: Lines::zeros(rings.len() * gate),
            queues: rings.into_iter().map(queue).collect(),
            row,
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        for q in &mut self.queues {
            q.rows.fill(0);
            q.scales.fill(0.0);
            q.ring.reset();
        }
    }

    /// Bytes of all buffers.
    pub fn bytes(&self) -> usize {
        let queue = |q: &Queue| q.rows.len() + size_of_val(&q.scales[..]) + size_of::<Queue>();
        self.queues.iter().map(queue).sum::<usize>()
            + self.taps.len()
            + self.gated.len()
            + size_of_val(&self.scales[..])
    }

    /// Rounds layer `l`'s input into the last of its taps, brings the others from the queue, and keeps the input there.
    #[inline(always)]
    fn gather<S: Simd>(&mut self, s: S, l: usize, x: &[f32]) {
        let row = self.row;
        let last = self.scales.len() - 1;
        let Self { queues, taps, scales, .. } = self;
        let queue = &mut queues[l];
        let (past, now) = taps.split_at_mut(last * row);
        let earlier = past.chunks_exact_mut(row).zip(&mut *scales);
        for ((tap, scale), at) in earlier.zip(queue.ring.taps(0)) {
            copy_codes(s, tap, &queue.rows[at * row..][..row]);
            *scale = queue.scales[at];
        }
        let scale = round(s, x, now);
        scales[last] = scale;
        if let Some(at) = queue.ring.push() {
            copy_codes(s, &mut queue.rows[at * row..][..row], now);
            queue.scales[at] = scale;
        }
    }
}

/// Codes of whole vectors: a call of `memcpy` costs more than they do.
#[inline(always)]
fn copy_codes<S: Simd>(_: S, to: &mut [u8], from: &[u8]) {
    for (to, from) in to.chunks_exact_mut(S::LANES).zip(from.chunks_exact(S::LANES)) {
        to.copy_from_slice(from);
    }
}

impl WaveNet {
    /// As `WaveNet::layers`, from r_0 in the rows of `scratch.x` to relu(s) in those of `scratch.skip`.
    #[inline(always)]
    pub(super) fn layers_in_codes<S: Simd>(&self, s: S, states: &mut [State], scratch: &mut Scratch) {
        let width = self.residual_padded;
        let gate = self.gate_padded;
        for (l, layer) in self.layers.iter().enumerate() {
            let rows = scratch.x.chunks_exact_mut(width);
            for (state, x) in beginning(states).zip(rows) {
                let State { memory, biases, .. } = state;
                let memory = &mut memory.coded;
                memory.gather(s, l, x);
                let CodedMemory { taps, scales, gated, .. } = memory;
                let h = &mut gated[l * gate..][..gate];
                let taps = Codes { codes: taps, stride: width, scales };
                gated_codes(s, &layer.gate.weight, taps, biases.layer(l), h);
                if let Some(res) = &layer.residual {
                    add(s, x, &res.bias);
                    let h = Codes::unit(h);
                    accumulate_codes(s, &res.weight, h, x, Then::Store);
                }
            }
        }
        let rows = scratch.skip.chunks_exact_mut(self.skip.bias.len());
        for (state, skip) in beginning(states).zip(rows) {
            let h = Codes::unit(&state.memory.coded.gated);
            copy(s, skip, &self.skip.bias);
            accumulate_codes(s, &self.skip.weight, h, skip, Then::Relu);
        }
    }
}
