//! The arithmetic of a step.

use super::super::passes::{neighbour, taps};
use super::{PassState, PixelRnn, State, Work};
use crate::ar::Symbol;
use crate::families::char_rnn::cell;
use crate::kernels::panel::{Rows, Then, accumulate_many, add, add_weighted};
use crate::kernels::{Kernel, Simd};
use crate::likelihood::{Input, Value, Values};

/// A step of several streams.
pub(super) struct Step<'a> {
    pub(super) net: &'a PixelRnn,
    pub(super) states: &'a mut [State],
    /// One for each.
    pub(super) values: Values<'a>,
    /// [`Work`] of a row for each.
    pub(super) work: &'a mut [f32],
    /// [N, P padded].
    pub(super) params: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, states, values, work, params } = self;
        let (sizes, count) = (net.sizes, states.len());
        let (h, d, len) = (sizes.hidden_padded, sizes.width_padded, sizes.len);
        let mut work = sizes.work_of(work, count);
        for (i, state) in states.iter_mut().enumerate() {
            net.absorb(state, values.get(i));
        }
        // The row above is whole.
        let begins = |t: usize| t > 0 && t.is_multiple_of(len);
        if states.iter().any(|state| begins(state.step)) {
            for (p, pass) in sizes.passes.iter().enumerate().filter(|(_, pass)| pass.from_right) {
                for (x, l) in pass.columns(len).flat_map(|x| (0..sizes.layers).map(move |l| (x, l))) {
                    let above = |t: usize| begins(t).then(|| t - len + x);
                    net.cells(s, (l, p), states, above, &mut work);
                }
            }
        }
        for (i, state) in states.iter_mut().enumerate() {
            net.first(s, state, &mut work.stream[i * d..][..d]);
        }
        for (l, layer) in net.layers.iter().enumerate() {
            for (state, r) in states.iter_mut().zip(work.stream.chunks_exact(d)) {
                state.layers[l].below[state.step % len * d..][..d].copy_from_slice(r);
            }
            for (p, _) in sizes.passes.iter().enumerate().filter(|(_, pass)| !pass.from_right) {
                net.cells(s, (l, p), states, Some, &mut work);
            }
            for ((state, o), r) in
                states.iter().zip(work.outputs.chunks_exact_mut(h)).zip(work.stream.chunks_exact_mut(d))
            {
                o.fill(0.0);
                for (pass, kept) in sizes.passes.iter().zip(&state.layers[l].passes) {
                    if let Some(t) = state.step.checked_sub(pass.down() * len) {
                        add(s, o, &kept.outputs[row_at(t, len) * h..][..h]);
                    }
                }
                add(s, r, &layer.output.bias);
            }
            let o = Rows { data: &*work.outputs, stride: h };
            let r = Rows { data: &mut *work.stream, stride: d };
            accumulate_many(s, &layer.output.weight, count, o, r, Then::Store);
        }
        for (to, r) in work.relu.chunks_exact_mut(S::LANES).zip(work.stream.chunks_exact(S::LANES)) {
            s.store(to, s.max(s.load(r), s.splat(0.0)));
        }
        let hidden = Rows { data: &mut *work.head, stride: sizes.head_padded };
        net.head[0].run(s, count, Rows { data: &*work.relu, stride: d }, hidden, Then::Relu);
        let hidden = Rows { data: &*work.head, stride: sizes.head_padded };
        let params = Rows { data: params, stride: sizes.params_padded };
        net.head[1].run(s, count, hidden, params, Then::Store);
        for state in states {
            state.step += 1;
        }
    }
}

/// Where step `t` stands in two rows of outputs.
#[inline(always)]
fn row_at(t: usize, len: usize) -> usize {
    t / len % 2 * len + t % len
}

impl PixelRnn {
    /// Keeps the value before the step at hand.
    #[inline(always)]
    fn absorb(&self, state: &mut State, x: Value) {
        if state.step == self.sizes.steps {
            // What follows the last pixel begins anew, and its past is empty.
            state.step = 0;
        }
        let Some(before) = state.step.checked_sub(1) else { return };
        match (self.input, x) {
            // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
            (Input::Table { rows }, Value::Symbol(x)) => {
                state.symbols[before] = usize::from(x).min(rows - 1) as Symbol;
            }
            (input, x) => {
                let n = self.sizes.numbers;
                input.write(x, &mut state.numbers[before * n..][..n]);
            }
        }
    }

    /// r_0 of the pixel at hand.
    #[inline(always)]
    fn first<S: Simd>(&self, s: S, state: &State, to: &mut [f32]) {
        let (d, rows, n) = (to.len(), self.input.rows(), self.sizes.numbers);
        to.copy_from_slice(&self.first_bias);
        for (place, weight) in taps().zip(self.first.chunks_exact(rows * d)) {
            let Some(at) = neighbour(state.step, self.sizes.len, place) else { continue };
            match n {
                0 => add(s, to, &weight[usize::from(state.symbols[at]) * d..][..d]),
                _ => add_weighted(s, to, weight, &state.numbers[at * n..][..n]),
            }
        }
        add(s, to, self.labels.row(state.class));
    }

    /// The cells of direction `p` of layer `l`, at the step that `at` gives for the step at hand, of all streams that it gives
    /// one for.
    #[inline(always)]
    fn cells<S: Simd>(
        &self,
        s: S,
        (l, p): (usize, usize),
        states: &mut [State],
        at: impl Fn(usize) -> Option<usize>,
        work: &mut Work,
    ) {
        let sizes = self.sizes;
        let (pass, packed) = (sizes.passes[p], &self.layers[l].passes[p]);
        let (h, d, len) = (sizes.hidden_padded, sizes.width_padded, sizes.len);
        let (inputs, recurrent) = (packed.entering.inputs(), packed.recurrent.inputs());
        let mut count = 0;
        for state in states.iter() {
            let Some(t) = at(state.step) else { continue };
            let layer = &state.layers[l];
            let to = &mut work.entering[count * inputs..][..inputs];
            for (to, &place) in to.chunks_exact_mut(sizes.width).zip(pass.inputs) {
                match neighbour(t, len, place) {
                    None => to.fill(0.0),
                    Some(t) => to.copy_from_slice(&layer.below[t % len * d..][..sizes.width]),
                }
            }
            let to = &mut work.recurrent[count * recurrent..][..recurrent];
            for (to, &place) in to.chunks_exact_mut(sizes.hidden).zip(pass.recurrent) {
                match neighbour(t, len, place) {
                    None => to.fill(0.0),
                    Some(t) => {
                        let outputs = &layer.passes[p].outputs[row_at(t, len) * h..];
                        to.copy_from_slice(&outputs[..sizes.hidden]);
                    }
                }
            }
            work.gates[count * 4 * h..][..4 * h].copy_from_slice(&packed.bias);
            count += 1;
        }
        if count == 0 {
            return;
        }
        let products =
            [(&packed.entering, &*work.entering, inputs), (&packed.recurrent, &*work.recurrent, recurrent)];
        for (weight, data, stride) in products {
            let gates = Rows { data: &mut *work.gates, stride: 4 * h };
            accumulate_many(s, weight, count, Rows { data, stride }, gates, Then::Store);
        }
        let mut gates = work.gates.chunks_exact_mut(4 * h);
        for state in states.iter_mut() {
            let Some(t) = at(state.step) else { continue };
            let Some(gates) = gates.next() else { return };
            let PassState { outputs, memories } = &mut state.layers[l].passes[p];
            let here = t % len * h;
            match neighbour(t, len, pass.memory) {
                None => memories[here..here + h].fill(0.0),
                Some(from) => memories.copy_within(from % len * h..(from % len + 1) * h, here),
            }
            let to = &mut outputs[row_at(t, len) * h..][..h];
            cell::lstm(s, gates, &mut memories[here..here + h], to);
        }
    }
}
