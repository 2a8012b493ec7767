//! The engine: one symbol in, one distribution out. The first layer's input is a row of a table with the bias in it;
//! every other product reads its weights once, packed for one instruction set, and meets a row of each stream. A unit's gates
//! stand a whole number of vectors apart.

use super::{Cell, Config, cell, names};
use crate::ar::{Model, Symbol};
use crate::condition::Condition;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{
    Matrix, Panels, Rows, Then, accumulate_many, add_weighted, add_weighted_sparse, copy, fill,
};
use crate::kernels::{Isa, Kernel, Simd};
use crate::likelihood::{Input, LikelihoodConfig, Value, Values};
use crate::weights::{Tensors, WeightsError, check};

/// Streams that go together at most: their buffers stay in the L2.
const TOGETHER: usize = 64;

struct Layer {
    /// W_l of a layer that reads another; the first one reads the table.
    input: Option<Panels>,
    /// U_l.
    recurrent: Panels,
    /// b_l, each part padded; in the first layer it is in the table.
    bias: Aligned,
    /// (0, 0, a_l) of a GRU, each part padded; empty for an LSTM.
    candidate: Aligned,
}

/// Packed weights.
pub struct CharRnn {
    isa: Isa,
    config: Config,
    /// H padded to whole vectors.
    hidden_padded: usize,
    /// W_0 + b_0 [classes × gates · H padded]; W_0 [numbers × gates · H padded] where values enter as numbers.
    table: Aligned,
    /// W_c [F × gates · H padded]; empty without a condition.
    condition: Aligned,
    layers: Vec<Layer>,
    /// W and b.
    head: Panels,
    head_bias: Aligned,
}

/// What changes while a stream runs.
#[derive(Clone)]
pub struct State {
    /// h_l [L × H padded].
    h: Aligned,
    /// c_l [L × H padded]; empty for a GRU.
    c: Aligned,
    /// Buffers of a step.
    work: Aligned,
    /// [P padded].
    logits: Aligned,
    /// The numbers that x_{t−1} enters as; empty where it enters by a table.
    numbers: Vec<f32>,
    /// c_t; empty without a condition.
    condition: Vec<f32>,
}

impl CharRnn {
    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`].
    pub fn new(config: &Config, tensors: &Tensors, isa: Isa) -> Result<Self, WeightsError> {
        check(tensors, &config.table())?;
        let get = |name: &str| &tensors[name].data[..];
        let (h, gates) = (config.hidden, config.cell.gates());
        let padded = h.next_multiple_of(isa.lanes());
        let pad = |x: &[f32]| Aligned::rows(x, h, padded);
        let pack = |name: &str| {
            let stored = &tensors[name].stored.with_columns(|scales| pad(scales).to_vec());
            Panels::pack(isa, Matrix { values: &pad(get(name)), stored }, h, gates * padded)
        };
        let layers: Vec<Layer> = (0..config.layers)
            .map(|l| {
                let mut candidate = Aligned::zeros(0);
                if config.cell == Cell::Gru {
                    candidate = Aligned::zeros(3 * padded);
                    candidate[2 * padded..][..h].copy_from_slice(get(&names::candidate_bias(l)));
                }
                Layer {
                    input: (l > 0).then(|| pack(&names::input(l))),
                    recurrent: pack(&names::recurrent(l)),
                    bias: pad(get(&names::bias(l))),
                    candidate,
                }
            })
            .collect();
        let mut table = pad(get(&names::input(0)));
        if config.likelihood().input().numbers() == 0 {
            for row in table.chunks_exact_mut(gates * padded) {
                for (w, b) in row.iter_mut().zip(layers[0].bias.iter()) {
                    *w += b;
                }
            }
        }
        let condition = config.condition.map_or(Aligned::zeros(0), |_| pad(get(names::CONDITION)));
        let head = Panels::pack(isa, &tensors[names::HEAD], h, config.likelihood().params());
        Ok(Self {
            isa,
            config: config.clone(),
            hidden_padded: padded,
            table,
            condition,
            layers,
            head_bias: head.order(get(names::HEAD_BIAS)),
            head,
        })
    }

    /// Floats of [`Work`] for a stream.
    fn work_len(&self) -> usize {
        let n = self.hidden_padded;
        self.config.cell.gates() * n + self.recurrent_len() + 2 * n
    }

    /// Width of a GRU's recurrent product; 0 for an LSTM.
    fn recurrent_len(&self) -> usize {
        match self.config.cell {
            Cell::Lstm => 0,
            Cell::Gru => 3 * self.hidden_padded,
        }
    }

    /// The first layer's gates of `state`, before its recurrent product, into `gates`.
    #[inline(always)]
    fn enter<S: Simd>(&self, s: S, state: &mut State, x: Value, gates: &mut [f32]) {
        match (self.config.likelihood().input(), x) {
            // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
            (Input::Table { rows }, Value::Symbol(x)) => {
                let width = gates.len();
                copy(s, gates, &self.table[usize::from(x).min(rows - 1) * width..][..width]);
            }
            (input, x) => {
                input.write(x, &mut state.numbers);
                copy(s, gates, &self.layers[0].bias);
                add_weighted(s, gates, &self.table, &state.numbers);
            }
        }
        add_weighted_sparse(s, gates, &self.condition, &state.condition);
    }
}

impl Model for CharRnn {
    type State = State;

    fn likelihood(&self) -> LikelihoodConfig {
        self.config.likelihood()
    }

    fn start(&self) -> Symbol {
        self.config.start
    }

    fn state(&self) -> State {
        let memory = self.config.layers * self.hidden_padded;
        let c = match self.config.cell {
            Cell::Lstm => memory,
            Cell::Gru => 0,
        };
        State {
            h: Aligned::zeros(memory),
            c: Aligned::zeros(c),
            work: Aligned::zeros(self.work_len()),
            logits: Aligned::zeros(self.head.padded_outputs()),
            numbers: vec![0.0; self.config.likelihood().input().numbers()],
            condition: vec![0.0; self.config.features()],
        }
    }

    fn reset(&self, state: &mut State) {
        state.h.fill(0.0);
        state.c.fill(0.0);
        state.condition.fill(0.0);
    }

    fn condition(&self, state: &mut State, condition: &Condition) {
        match condition.frames {
            Some(frames) => state.condition.copy_from_slice(frames.rows),
            None => state.condition.fill(0.0),
        }
    }

    fn step<'s>(&self, state: &'s mut State, x: Value) -> &'s [f32] {
        let (mut work, mut logits) = (std::mem::take(&mut state.work), std::mem::take(&mut state.logits));
        let values = Values::one(&x);
        let states = std::slice::from_mut(&mut *state);
        self.isa.run(Step { net: self, states, values, work: &mut work, logits: &mut logits });
        (state.work, state.logits) = (work, logits);
        &state.logits[..self.config.likelihood().params()]
    }

    fn scratch_len(&self, streams: usize) -> usize {
        streams * self.head.padded_outputs() + streams.min(TOGETHER) * self.work_len()
    }

    fn step_many<'s>(&self, states: &mut [State], values: Values, scratch: &'s mut [f32]) -> &'s [f32] {
        assert_eq!(states.len(), values.len(), "a value for every stream");
        let (logits, work) = scratch.split_at_mut(states.len() * self.head.padded_outputs());
        self.isa.run(Step { net: self, states, values, work, logits });
        logits
    }

    fn weight_bytes(&self) -> usize {
        let row = self.config.cell.gates() * self.hidden_padded;
        let layer = |l: &Layer| {
            let input = l.input.as_ref().map_or(row * 4, |i| i.bytes() + l.bias.len() * 4);
            input + l.recurrent.bytes() + l.candidate.len() * 4
        };
        let condition = self.condition.len() * 4;
        condition
            + self.layers.iter().map(layer).sum::<usize>()
            + self.head.bytes()
            + self.head_bias.len() * 4
    }

    fn state_bytes(&self) -> usize {
        let s = self.state();
        let inputs = s.numbers.len() + s.condition.len();
        4 * (s.h.len() + s.c.len() + s.work.len() + s.logits.len() + inputs)
    }

    fn isa(&self) -> &'static str {
        self.isa.name()
    }
}

/// A step of some streams.
struct Step<'a> {
    net: &'a CharRnn,
    states: &'a mut [State],
    /// One for each.
    values: Values<'a>,
    /// [`Work`] of as many as go together.
    work: &'a mut [f32],
    /// [N, P padded].
    logits: &'a mut [f32],
}

/// The buffers of some streams, a row each.
struct Work<'a> {
    /// The gates of the layer at hand [N, gates · H padded].
    gates: &'a mut [f32],
    /// A GRU's recurrent product [N, 3H padded]; empty for an LSTM.
    recurrent: &'a mut [f32],
    /// h of the layer below [N, H padded].
    below: &'a mut [f32],
    /// h of the layer at hand [N, H padded].
    own: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, states, values, work, logits } = self;
        let (n, width) = (net.hidden_padded, net.head.padded_outputs());
        let mut first = 0;
        for (states, logits) in states.chunks_mut(TOGETHER).zip(logits.chunks_mut(TOGETHER * width)) {
            let count = states.len();
            let (gates, rest) = work.split_at_mut(count * net.config.cell.gates() * n);
            let (recurrent, rest) = rest.split_at_mut(count * net.recurrent_len());
            let (below, own) = rest.split_at_mut(count * n);
            net.together(s, states, (values, first), Work { gates, recurrent, below, own }, logits);
            first += count;
        }
    }
}

impl CharRnn {
    /// A step of streams that go together; theirs are the values from the given one on.
    #[inline(always)]
    fn together<S: Simd>(
        &self,
        s: S,
        states: &mut [State],
        (values, first): (Values, usize),
        work: Work,
        logits: &mut [f32],
    ) {
        let Work { gates, recurrent, below, own } = work;
        let (n, count, width) =
            (self.hidden_padded, states.len(), self.config.cell.gates() * self.hidden_padded);
        let multiply = |w: &Panels, x: &[f32], out: &mut [f32], stride: usize| {
            let (x, out) = (Rows { data: x, stride: n }, Rows { data: out, stride });
            accumulate_many(s, w, count, x, out, Then::Store);
        };
        for (l, layer) in self.layers.iter().enumerate() {
            for (state, own) in states.iter().zip(own.chunks_exact_mut(n)) {
                copy(s, own, &state.h[l * n..][..n]);
            }
            match &layer.input {
                Some(w) => {
                    fill(s, gates, &layer.bias);
                    multiply(w, below, gates, width);
                }
                None => {
                    for (i, (state, row)) in states.iter_mut().zip(gates.chunks_exact_mut(width)).enumerate()
                    {
                        self.enter(s, state, values.get(first + i), row);
                    }
                }
            }
            match self.config.cell {
                Cell::Lstm => multiply(&layer.recurrent, own, gates, width),
                Cell::Gru => {
                    fill(s, recurrent, &layer.candidate);
                    multiply(&layer.recurrent, own, recurrent, 3 * n);
                }
            }
            for (i, state) in states.iter_mut().enumerate() {
                let (gates, h) = (&mut gates[i * width..][..width], &mut state.h[l * n..][..n]);
                match self.config.cell {
                    Cell::Lstm => cell::lstm(s, gates, &mut state.c[l * n..][..n], h),
                    Cell::Gru => cell::gru(s, gates, &recurrent[i * 3 * n..][..3 * n], h),
                }
                copy(s, &mut below[i * n..][..n], h);
            }
        }
        let width = self.head.padded_outputs();
        fill(s, logits, &self.head_bias);
        multiply(&self.head, below, logits, width);
    }
}
