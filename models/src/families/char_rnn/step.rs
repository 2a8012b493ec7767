//! The engine: one symbol in, one distribution out. The first layer's input is a row of a table with the bias in it;
//! every other product reads its weights once, packed for one instruction set. A unit's gates stand a whole number of
//! vectors apart.

use super::{Cell, Config, cell, names};
use crate::ar::{Model, Symbol};
use crate::condition::Condition;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{Matrix, Panels, Then, accumulate, add_weighted, add_weighted_sparse, product};
use crate::kernels::{Isa, Kernel, Simd};
use crate::likelihood::{Input, LikelihoodConfig, Value};
use crate::weights::{Tensors, WeightsError, check};

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
    /// The gates of the layer at hand [gates · H padded].
    gates: Aligned,
    /// A GRU's recurrent product [3H padded]; empty for an LSTM.
    recurrent: Aligned,
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
        let (cell, n) = (self.config.cell, self.hidden_padded);
        let memory = self.config.layers * n;
        let (c, recurrent) = match cell {
            Cell::Lstm => (memory, 0),
            Cell::Gru => (0, 3 * n),
        };
        State {
            h: Aligned::zeros(memory),
            c: Aligned::zeros(c),
            gates: Aligned::zeros(cell.gates() * n),
            recurrent: Aligned::zeros(recurrent),
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
        let likelihood = self.config.likelihood();
        let x = match (likelihood.input(), x) {
            // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
            (Input::Table { rows }, Value::Symbol(x)) => usize::from(x).min(rows - 1),
            (input, x) => {
                input.write(x, &mut state.numbers);
                0
            }
        };
        self.isa.run(Step { net: self, state, x });
        &state.logits[..likelihood.params()]
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
        4 * (s.h.len() + s.c.len() + s.gates.len() + s.recurrent.len() + s.logits.len() + inputs)
    }

    fn isa(&self) -> &'static str {
        self.isa.name()
    }
}

struct Step<'a> {
    net: &'a CharRnn,
    state: &'a mut State,
    /// Row of the table.
    x: usize,
}

impl Kernel for Step<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, state, x } = self;
        let State { h, c, gates, recurrent, logits, numbers, condition } = state;
        let (units, n) = (net.config.hidden, net.hidden_padded);
        for (l, layer) in net.layers.iter().enumerate() {
            let (below, here) = h.split_at_mut(l * n);
            let h = &mut here[..n];
            match &layer.input {
                Some(w) => product(s, w, &below[(l - 1) * n..][..units], &layer.bias, gates, Then::Store),
                None if numbers.is_empty() => {
                    let width = gates.len();
                    gates.copy_from_slice(&net.table[x * width..][..width]);
                }
                None => {
                    gates.copy_from_slice(&layer.bias);
                    add_weighted(s, gates, &net.table, numbers);
                }
            }
            if l == 0 {
                add_weighted_sparse(s, gates, &net.condition, condition);
            }
            match net.config.cell {
                Cell::Lstm => {
                    accumulate(s, &layer.recurrent, &h[..units], gates, Then::Store);
                    cell::lstm(s, gates, &mut c[l * n..][..n], h);
                }
                Cell::Gru => {
                    product(s, &layer.recurrent, &h[..units], &layer.candidate, recurrent, Then::Store);
                    cell::gru(s, gates, recurrent, h);
                }
            }
        }
        let top = &h[(net.layers.len() - 1) * n..][..units];
        product(s, &net.head, top, &net.head_bias, logits, Then::Store);
    }
}
