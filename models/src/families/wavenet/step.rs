//! The engine: one symbol in, one distribution out, O(1) work whatever the receptive field; for one stream, or for
//! several in lockstep, which then share every weight that is read.
//!
//! Each layer with taps in the past keeps its last (K−1)·d inputs in a queue (Paine et al. 2016). Weights are packed
//! once for one instruction set, in the order in which a step reads them. What depends on the condition alone is
//! computed once a frame. In a layer whose dilation allows it, the past taps of the next symbols are known already: their
//! products are one small matrix product every few symbols, at different symbols in different layers, so that no step is
//! slow. The gated outputs of all layers are laid side by side and meet the skip weights in one product.
//!
//! With bunches the layers, their queues and their batches run once a bunch, at its first symbol; the head runs at every
//! symbol (see `bunch.rs`). Streams in lockstep may stand at different positions in their bunches.
//!
//! A stream's numbers are the same bits alone and in any company: see [`accumulate_many`].

use super::bunch::BunchPosition;
use super::frame_rate::{Biases, SetFrame};
use super::packed::{Gate, Layer, PastTaps, WaveNet};
use super::queues::Queues;
use crate::adaptation::Adaptation;
use crate::ar::{Model, Symbol};
use crate::condition::Condition;
use crate::kernels::affine::Affine;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{Rows, Then, accumulate_many, add, add_weighted, copy, gated_many};
use crate::kernels::{Kernel, Simd};
use crate::likelihood::{Input, LikelihoodConfig, Value, Values};
use crate::weights::Tensors;

/// What changes while a stream runs.
#[derive(Clone)]
pub struct State {
    position: BunchPosition,
    /// The numbers that x_{t−1} enters as; empty where it enters by a table.
    numbers: Vec<f32>,
    pub(super) queues: Queues,
    pub(super) biases: Biases,
    /// For steps of this stream alone.
    scratch: Aligned,
}

/// Buffers that a step overwrites before it reads them: a row per stream in each, those whose bunch begins first.
pub(super) struct Scratch<'a> {
    /// r_l [R padded].
    pub x: &'a mut [f32],
    /// Taps of the layer at hand, side by side [K·R padded].
    taps: &'a mut [f32],
    /// z_l [2D padded].
    pub z: &'a mut [f32],
    /// h_l of all layers [L × D padded].
    gated: &'a mut [f32],
    /// [S padded].
    pub skip: &'a mut [f32],
    /// [A padded].
    head: &'a mut [f32],
    /// The same by phase; empty where there is one.
    by_phase: &'a mut [f32],
    /// [classes padded].
    logits: &'a mut [f32],
    /// The past taps of one stream's batch [batch × K·R padded].
    past: &'a mut [f32],
}

impl WaveNet {
    /// Floats of each buffer of [`Scratch`] for one stream; the last belongs to all streams together.
    fn widths(&self) -> [usize; 9] {
        let taps = (self.kernel_size * self.residual_channels).next_multiple_of(self.isa.lanes());
        let head = self.head.phases[0].product.bias.len();
        let batch = self.layers.iter().filter_map(|l| l.gate.past.as_ref()).map(|p| p.batch).max();
        [
            self.residual_padded,
            taps,
            2 * self.gate_padded,
            self.layers.len() * self.gate_padded,
            self.skip.bias.len(),
            head,
            if self.head.bunch() > 1 { head } else { 0 },
            self.head.out.bias.len(),
            taps * batch.unwrap_or(0),
        ]
    }

    fn scratch<'a>(&self, buffer: &'a mut [f32], streams: usize) -> Scratch<'a> {
        let mut rest = buffer;
        let [x, taps, z, gated, skip, head, by_phase, logits, past] = self.widths();
        let mut take = |n: usize| {
            let (taken, after) = std::mem::take(&mut rest).split_at_mut(n);
            rest = after;
            taken
        };
        Scratch {
            logits: take(logits * streams),
            x: take(x * streams),
            taps: take(taps * streams),
            z: take(z * streams),
            gated: take(gated * streams),
            skip: take(skip * streams),
            head: take(head * streams),
            by_phase: take(by_phase * streams),
            past: take(past),
        }
    }
}

impl Model for WaveNet {
    type State = State;

    fn likelihood(&self) -> LikelihoodConfig {
        self.likelihood
    }

    fn start(&self) -> Symbol {
        self.start
    }

    fn state(&self) -> State {
        let mut state = State {
            numbers: vec![0.0; self.likelihood.input().numbers()],
            position: BunchPosition::new(self.head.bunch(), self.skip.bias.len(), self.start),
            queues: Queues::new(self),
            biases: self.frame.biases(),
            scratch: Aligned::zeros(self.scratch_len(1)),
        };
        self.isa.run(SetFrame::Zeros(&self.frame, &mut state.biases));
        state
    }

    fn reset(&self, state: &mut State) {
        state.position.reset(self.start);
        state.queues.reset();
        self.isa.run(SetFrame::Zeros(&self.frame, &mut state.biases));
    }

    fn condition(&self, state: &mut State, condition: &Condition) {
        self.isa.run(SetFrame::Given(&self.frame, &mut state.biases, condition));
    }

    fn announce(&self, state: &mut State, condition: &Condition) {
        self.frame.announce(&mut state.biases, condition);
    }

    fn adaptation(&self, tensors: &Tensors) -> Option<Adaptation> {
        self.config.condition.as_ref().map(|_| self.changes(tensors))
    }

    fn adapt(&self, state: &mut State, adaptation: Option<&Adaptation>) {
        self.frame.adapt(&mut state.biases, adaptation);
    }

    fn step<'s>(&self, state: &'s mut State, x: Value) -> &'s [f32] {
        let symbols = [if let Value::Symbol(x) = x { x } else { 0 }];
        let values = match x {
            Value::Symbol(_) => Values::Symbols(&symbols),
            Value::Vector(rows) => Values::Vectors { dims: rows.len(), rows },
        };
        // An empty buffer has no memory to allocate or free.
        let mut scratch = std::mem::replace(&mut state.scratch, Aligned::zeros(0));
        self.isa.run(Step { net: self, states: std::slice::from_mut(state), values, scratch: &mut scratch });
        state.scratch = scratch;
        &state.scratch[..self.likelihood.params()]
    }

    fn scratch_len(&self, streams: usize) -> usize {
        let [rows @ .., past] = self.widths();
        rows.iter().sum::<usize>() * streams + past
    }

    fn step_many<'s>(&self, states: &mut [State], values: Values, scratch: &'s mut [f32]) -> &'s [f32] {
        assert_eq!(states.len(), values.len(), "a value for every stream");
        self.isa.run(Step { net: self, states, values, scratch });
        &scratch[..values.len() * self.head.out.bias.len()]
    }

    fn embeddings(&self) -> &[f32] {
        &self.speakers
    }

    fn weight_bytes(&self) -> usize {
        let past = |p: &PastTaps| p.weight.bytes() / p.batch;
        let gate = |g: &Gate| g.weight.bytes() + g.past.as_ref().map_or(0, past);
        let layers: usize = self
            .layers
            .iter()
            .zip(&self.frame.gates)
            .map(|(l, (_, b))| gate(&l.gate) + b.len() * 4 + l.residual.as_ref().map_or(0, Affine::bytes))
            .sum();
        (layers + self.skip.bytes() + self.head.bytes()) / self.head.bunch()
    }

    fn state_bytes(&self) -> usize {
        let s = self.state();
        4 * (s.biases.floats() + s.scratch.len() + s.numbers.len()) + s.queues.bytes() + s.position.bytes()
    }

    fn isa(&self) -> &'static str {
        self.isa.name()
    }
}

struct Step<'a> {
    net: &'a WaveNet,
    states: &'a mut [State],
    /// One per state.
    values: Values<'a>,
    /// [`Model::scratch_len`] floats.
    scratch: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, states, values, scratch } = self;
        let count = states.len();
        let mut scratch = net.scratch(scratch, count);
        let input = net.likelihood.input();
        for (i, state) in states.iter_mut().enumerate() {
            // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
            let symbol = match (input, values.get(i)) {
                (Input::Table { rows }, Value::Symbol(x)) => x.min((rows - 1) as Symbol),
                (_, x) => {
                    input.write(x, &mut state.numbers);
                    0
                }
            };
            state.position.advance(symbol);
            net.frame.advance(s, &mut state.biases);
        }
        net.layers(s, states, &mut scratch);
        let [_, _, _, _, skip_width, head_width, _, logits_width, _] = net.widths();
        let Scratch { skip, head, by_phase, logits, .. } = scratch;
        let positions = states.iter().map(|state| &state.position);
        let skip = Rows { data: skip, stride: skip_width };
        net.head.hidden(s, positions, skip, by_phase, Rows { data: &mut *head, stride: head_width });
        let head = Rows { data: &*head, stride: head_width };
        net.head.out.run(s, count, head, Rows { data: logits, stride: logits_width }, Then::Store);
    }
}

impl WaveNet {
    /// relu(s) of every stream whose bunch begins, in the first rows of `scratch.skip` and, where a bunch is more than one
    /// symbol, in the stream's state.
    #[inline(always)]
    fn layers<S: Simd>(&self, s: S, states: &mut [State], scratch: &mut Scratch) {
        let x_width = self.residual_padded;
        let mut count = 0;
        for (state, x) in beginning(states).zip(scratch.x.chunks_exact_mut(x_width)) {
            if state.numbers.is_empty() {
                for (lag, (table, &symbol)) in self.embed.iter().zip(state.position.recent()).enumerate() {
                    let row = &table[symbol as usize * x_width..][..x_width];
                    match lag {
                        0 => copy(s, x, row),
                        _ => add(s, x, row),
                    }
                }
            } else {
                x.fill(0.0);
                add_weighted(s, x, &self.embed[0], &state.numbers);
            }
            count += 1;
        }
        if count == 0 {
            return;
        }
        if self.all_i8 {
            self.layers_in_i8(s, states, scratch);
        } else {
            self.layers_in_floats(s, states, count, scratch);
        }
        let rows = scratch.skip.chunks_exact(self.skip.bias.len());
        for (state, skip) in beginning(states).zip(rows) {
            state.queues.tick();
            state.position.keep(skip);
        }
    }

    /// From r_0 in the first `count` rows of `scratch.x` to relu(s) in those of `scratch.skip`.
    #[inline(always)]
    fn layers_in_floats<S: Simd>(&self, s: S, states: &mut [State], count: usize, scratch: &mut Scratch) {
        let [x_width, taps_width, z_width, gated_width, skip_width, ..] = self.widths();
        let Scratch { x, taps, z, gated, skip, past, .. } = scratch;
        for (l, layer) in self.layers.iter().enumerate() {
            for (n, state) in beginning(states).enumerate() {
                let x = &x[n * x_width..][..x_width];
                let taps = &mut taps[n * taps_width..][..layer.gate.weight.inputs()];
                layer.gather(s, self, state, l, x, taps, &mut z[n * z_width..][..z_width], past);
            }
            let h = Rows { data: &mut gated[l * self.gate_padded..], stride: gated_width };
            let inputs = Rows { data: &**taps, stride: taps_width };
            gated_many(s, &layer.gate.weight, count, inputs, Rows { data: &mut **z, stride: z_width }, h);
            if let Some(res) = &layer.residual {
                for x in x.chunks_exact_mut(x_width).take(count) {
                    add(s, x, &res.bias);
                }
                let h = Rows { data: &gated[l * self.gate_padded..], stride: gated_width };
                let x = Rows { data: &mut **x, stride: x_width };
                accumulate_many(s, &res.weight, count, h, x, Then::Store);
            }
        }
        let h = Rows { data: &**gated, stride: gated_width };
        self.skip.run(s, count, h, Rows { data: &mut **skip, stride: skip_width }, Then::Relu);
    }
}

/// The streams that the layers run for.
#[inline(always)]
pub(super) fn beginning(states: &mut [State]) -> impl Iterator<Item = &mut State> {
    states.iter_mut().filter(|state| state.position.begins())
}

impl Layer {
    /// Writes what the gate's product of one stream starts from: its inputs into `taps`, and all that is added to it into
    /// `z`. Then the layer's input `x` goes into the queue.
    #[allow(clippy::too_many_arguments, reason = "a loop's body, cut out")]
    #[inline(always)]
    fn gather<S: Simd>(
        &self,
        s: S,
        net: &WaveNet,
        state: &mut State,
        l: usize,
        x: &[f32],
        taps: &mut [f32],
        z: &mut [f32],
        scratch: &mut [f32],
    ) {
        let State { queues, biases, .. } = state;
        let (r, row) = (net.residual_channels, net.residual_padded);
        let place = self.gate.past.as_ref().map(|p| queues.place(p));
        let queue = &mut queues.layers[l];
        let bias = biases.layer(l);
        match (&self.gate.past, place) {
            (Some(past), Some(place)) => {
                if place == 0 {
                    let inputs = past.weight.inputs();
                    for (ahead, taps) in scratch.chunks_exact_mut(inputs).take(past.batch).enumerate() {
                        queue.read(s, ahead, r, row, taps);
                    }
                    let ready = queue.ready_mut();
                    ready.fill(0.0);
                    let x = Rows { data: &*scratch, stride: inputs };
                    let ready = Rows { data: ready, stride: z.len() };
                    accumulate_many(s, &past.weight, past.batch, x, ready, Then::Store);
                }
                let ready = &queue.ready()[place * z.len()..][..z.len()];
                let (z, ready) = (z.chunks_exact_mut(S::LANES), ready.chunks_exact(S::LANES));
                for ((z, ready), bias) in z.zip(ready).zip(bias.chunks_exact(S::LANES)) {
                    s.store(z, s.add(s.load(ready), s.load(bias)));
                }
                copy(s, taps, &x[..r]);
            }
            _ => {
                let (past, now) = taps.split_at_mut(taps.len() - r);
                queue.read(s, 0, r, row, past);
                copy(s, now, &x[..r]);
                copy(s, z, bias);
            }
        }
        queue.push(s, x);
    }
}
