//! The layers where all their weights are i8: what goes from product to product is codes.
//!
//! A layer's input r_l is rounded once, with a scale of its own, and kept in the queue as codes: every tap is multiplied
//! with the scale it was given then. h_l is in [−1, 1], so its codes have one scale always; the residual and the skip
//! product share them. The stream r_l itself stays in f32.

use super::packed::WaveNet;
use super::quantised_queues::QuantisedQueues;
use super::step::{Scratch, State, beginning};
use crate::kernels::Simd;
use crate::kernels::panel::{self, Quantised, Then, accumulate_i8, copy, gated_i8};

impl WaveNet {
    /// As `WaveNet::layers`, from r_0 in the rows of `scratch.x` to relu(s) in those of `scratch.skip`.
    #[inline(always)]
    pub(super) fn layers_in_i8<S: Simd>(&self, s: S, states: &mut [State], scratch: &mut Scratch) {
        let width = self.residual_padded;
        let gate = self.gate_padded;
        for (l, layer) in self.layers.iter().enumerate() {
            let rows = scratch.x.chunks_exact_mut(width).zip(scratch.z.chunks_exact_mut(2 * gate));
            for (state, (x, z)) in beginning(states).zip(rows) {
                let State { queues, biases, .. } = state;
                let place = layer.gate.past.as_ref().map(|p| (p, queues.place(p)));
                let (queues, bias) = (&mut queues.quantised, biases.layer(l));
                let last = queues.scales.len() - 1;
                let (add, from) = match place {
                    Some((past, place)) => {
                        copy(s, z, queues.ready(s, l, past, place));
                        panel::add(s, z, bias);
                        (&*z, last)
                    }
                    None => {
                        queues.read(s, l);
                        (bias, 0)
                    }
                };
                queues.push(s, l, x);
                let QuantisedQueues { taps, scales, gated, .. } = queues;
                let h = &mut gated[l * gate..][..gate];
                let taps =
                    Quantised { values: &taps[from * width..], stride: width, scales: &scales[from..] };
                gated_i8(s, &layer.gate.weight, taps, add, h);
                if let Some(res) = &layer.residual {
                    panel::add(s, x, &res.bias);
                    let h = Quantised::unit(h);
                    accumulate_i8(s, &res.weight, h, x, Then::Store);
                }
            }
        }
        let rows = scratch.skip.chunks_exact_mut(self.skip.bias.len());
        for (state, skip) in beginning(states).zip(rows) {
            let h = Quantised::unit(&state.queues.quantised.gated);
            copy(s, skip, &self.skip.bias);
            accumulate_i8(s, &self.skip.weight, h, skip, Then::Relu);
        }
    }
}
