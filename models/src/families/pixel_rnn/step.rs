//! The engine: one pixel in, one distribution out. Of every layer a row of what enters, two rows of outputs and a row of
//! memories are kept. A direction from the right computes a row when the row below begins; all else is a pixel's own.
//!
//! The neighbours of a pixel side by side meet one product. A step of several streams is one of their rows, whatever pixel
//! each is at, so that every weight that is read meets all of them.

mod kernel;

use super::passes::{Pass, taps};
use super::{Config, names};
use crate::ar::{Model, Symbol};
use crate::condition::Condition;
use crate::fixed_length::Labels;
use crate::kernels::Isa;
use crate::kernels::affine::Affine;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{Matrix, Panels};
use crate::likelihood::{Input, LikelihoodConfig, Value, Values};
use crate::weights::{Tensors, WeightsError, check};
use kernel::Step;

/// Sizes, padded to whole vectors where they end in `padded`.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// N.
    steps: usize,
    /// Steps of a row.
    len: usize,
    layers: usize,
    passes: &'static [Pass],
    hidden: usize,
    hidden_padded: usize,
    width: usize,
    width_padded: usize,
    head_padded: usize,
    params: usize,
    params_padded: usize,
    /// Numbers of a value; 0 where it is a symbol.
    numbers: usize,
}

impl Sizes {
    /// Those of `config` for vectors of `lanes`.
    pub(super) fn of(config: &Config, lanes: usize) -> Self {
        let likelihood = config.likelihood();
        Self {
            steps: config.steps(),
            len: config.row_len(),
            layers: config.layers,
            passes: config.kind.passes(),
            hidden: config.hidden,
            hidden_padded: config.hidden.next_multiple_of(lanes),
            width: config.width(),
            width_padded: config.width().next_multiple_of(lanes),
            head_padded: config.head.next_multiple_of(lanes),
            params: likelihood.params(),
            params_padded: likelihood.params().next_multiple_of(lanes),
            numbers: likelihood.input().numbers(),
        }
    }

    /// Values that enter a cell, those of the layer below and its own.
    fn entering(&self) -> (usize, usize) {
        let most = |of: fn(&Pass) -> usize| self.passes.iter().map(of).max().unwrap_or(0);
        (self.width * most(|p| p.inputs.len()), self.hidden * most(|p| p.recurrent.len()))
    }

    /// Floats of a row of [`Work`].
    fn work(&self) -> usize {
        let (inputs, recurrent) = self.entering();
        inputs + recurrent + 5 * self.hidden_padded + 2 * self.width_padded + self.head_padded
    }

    /// Floats of what a layer's direction keeps.
    fn pass(&self) -> usize {
        3 * self.len * self.hidden_padded
    }

    /// Floats of a stream, its pixels among them.
    pub(super) fn stream_floats(&self) -> usize {
        let layer = self.len * self.width_padded + self.passes.len() * self.pass();
        self.layers * layer + self.steps * self.numbers.max(1) + self.work() + self.params_padded + 64
    }
}

/// One direction's cell.
struct PackedPass {
    /// W of all places, one below the other, every gate padded.
    entering: Panels,
    /// U, the same.
    recurrent: Panels,
    /// c, every gate padded.
    bias: Aligned,
}

struct Layer {
    passes: Vec<PackedPass>,
    /// W_o and b_o.
    output: Affine,
}

/// Packed weights.
pub struct PixelRnn {
    isa: Isa,
    config: Config,
    likelihood: LikelihoodConfig,
    input: Input,
    sizes: Sizes,
    /// W_(dy, dx) [24, rows, D padded].
    first: Aligned,
    first_bias: Aligned,
    labels: Labels,
    layers: Vec<Layer>,
    head: [Affine; 2],
}

/// What changes while a stream runs.
#[derive(Clone)]
pub struct State {
    /// t.
    step: usize,
    class: Option<usize>,
    /// The symbols that were read; empty where values are numbers.
    symbols: Vec<Symbol>,
    /// The numbers that were read [N, numbers].
    numbers: Vec<f32>,
    layers: Vec<LayerState>,
    /// [`Work`] of one row.
    work: Aligned,
    /// [P padded].
    params: Aligned,
}

#[derive(Clone)]
struct LayerState {
    /// r_l of the row at hand [row, D padded].
    below: Aligned,
    passes: Vec<PassState>,
}

/// What a direction keeps.
#[derive(Clone)]
struct PassState {
    /// h of two rows, even and odd [2, row, H padded].
    outputs: Aligned,
    /// The memories [row, H padded].
    memories: Aligned,
}

/// A row for each stream at hand.
struct Work<'a> {
    /// What enters a cell from the layer below, place by place.
    entering: &'a mut [f32],
    /// And from its own outputs.
    recurrent: &'a mut [f32],
    gates: &'a mut [f32],
    /// o.
    outputs: &'a mut [f32],
    /// r.
    stream: &'a mut [f32],
    /// relu(r_L).
    relu: &'a mut [f32],
    head: &'a mut [f32],
}

impl Sizes {
    #[inline(always)]
    fn work_of<'a>(&self, buffer: &'a mut [f32], rows: usize) -> Work<'a> {
        let (inputs, recurrent) = self.entering();
        let (entering, rest) = buffer.split_at_mut(rows * inputs);
        let (recurrent, rest) = rest.split_at_mut(rows * recurrent);
        let (gates, rest) = rest.split_at_mut(rows * 4 * self.hidden_padded);
        let (outputs, rest) = rest.split_at_mut(rows * self.hidden_padded);
        let (stream, rest) = rest.split_at_mut(rows * self.width_padded);
        let (relu, rest) = rest.split_at_mut(rows * self.width_padded);
        Work { entering, recurrent, gates, outputs, stream, relu, head: &mut rest[..rows * self.head_padded] }
    }
}

impl PixelRnn {
    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`].
    pub fn new(config: &Config, tensors: &Tensors, isa: Isa) -> Result<Self, WeightsError> {
        check(tensors, &config.table())?;
        let sizes = Sizes::of(config, isa.lanes());
        let get = |name: &str| &tensors[name].data[..];
        let (h, d) = (config.hidden, config.width());
        let gates = |x: &[f32]| Aligned::rows(x, h, sizes.hidden_padded);
        let pack = |name: &str, inputs: usize| {
            let stored = tensors[name].stored.with_columns(|scales| gates(scales).to_vec());
            let matrix = Matrix { values: &gates(get(name)), stored: &stored };
            Panels::pack(isa, matrix, inputs, 4 * sizes.hidden_padded)
        };
        let affine = |name: &str, bias: &str, inputs: usize| {
            let matrix = Matrix { values: get(name), stored: &tensors[name].stored };
            Affine::pack(isa, matrix, get(bias), inputs)
        };
        let layer = |l: usize| {
            let pass = |pass: &Pass| {
                let name = |what| names::pass(l, pass.name, what);
                PackedPass {
                    entering: pack(&name(names::ENTERING), pass.inputs.len() * d),
                    recurrent: pack(&name(names::RECURRENT), pass.recurrent.len() * h),
                    bias: gates(get(&name(names::BIAS))),
                }
            };
            Layer {
                passes: sizes.passes.iter().map(pass).collect(),
                output: affine(&names::output(l), &names::output_bias(l), h),
            }
        };
        let likelihood = config.likelihood();
        let labels = tensors.get(names::LABELS).map(|t| &t.data[..]);
        Ok(Self {
            isa,
            likelihood,
            input: likelihood.input(),
            sizes,
            first: Aligned::rows(get(names::INPUT), d, sizes.width_padded),
            first_bias: Aligned::rows(get(names::INPUT_BIAS), d, sizes.width_padded),
            labels: Labels::new(labels, d, sizes.width_padded),
            layers: (0..config.layers).map(layer).collect(),
            head: [(0, d), (1, config.head)]
                .map(|(i, inputs)| affine(&names::head(i), &names::head_bias(i), inputs)),
            config: config.clone(),
        })
    }
}

impl Model for PixelRnn {
    type State = State;

    fn likelihood(&self) -> LikelihoodConfig {
        self.likelihood
    }

    fn start(&self) -> Symbol {
        self.config.start
    }

    fn state(&self) -> State {
        let sizes = self.sizes;
        let pass = PassState {
            outputs: Aligned::zeros(2 * sizes.len * sizes.hidden_padded),
            memories: Aligned::zeros(sizes.len * sizes.hidden_padded),
        };
        let layer = LayerState {
            below: Aligned::zeros(sizes.len * sizes.width_padded),
            passes: vec![pass; sizes.passes.len()],
        };
        State {
            step: 0,
            class: None,
            symbols: vec![0; if sizes.numbers == 0 { sizes.steps } else { 0 }],
            numbers: vec![0.0; sizes.steps * sizes.numbers],
            layers: vec![layer; sizes.layers],
            work: Aligned::zeros(sizes.work()),
            params: Aligned::zeros(sizes.params_padded),
        }
    }

    /// # Real-time
    /// Touches one counter: what is kept of pixels that were not read is never used.
    fn reset(&self, state: &mut State) {
        state.step = 0;
        state.class = None;
    }

    fn condition(&self, state: &mut State, condition: &Condition) {
        state.class = condition.class;
    }

    fn step<'s>(&self, state: &'s mut State, x: Value) -> &'s [f32] {
        // Taken out while the stream is one of several, of which there is one.
        let (mut work, mut params) = (std::mem::take(&mut state.work), std::mem::take(&mut state.params));
        let values = Values::one(&x);
        let states = std::slice::from_mut(&mut *state);
        self.isa.run(Step { net: self, states, values, work: &mut work, params: &mut params });
        (state.work, state.params) = (work, params);
        &state.params[..self.sizes.params]
    }

    fn scratch_len(&self, streams: usize) -> usize {
        streams * (self.sizes.params_padded + self.sizes.work())
    }

    fn step_many<'s>(&self, states: &mut [State], values: Values, scratch: &'s mut [f32]) -> &'s [f32] {
        assert_eq!(states.len(), values.len(), "a value for every stream");
        let (params, work) = scratch.split_at_mut(states.len() * self.sizes.params_padded);
        self.isa.run(Step { net: self, states, values, work, params });
        params
    }

    fn weight_bytes(&self) -> usize {
        let pass = |p: &PackedPass| p.entering.bytes() + p.recurrent.bytes() + 4 * p.bias.len();
        let layer = |l: &Layer| l.passes.iter().map(pass).sum::<usize>() + l.output.bytes();
        let first = 4 * taps().count() * self.sizes.numbers.max(1) * self.sizes.width_padded;
        first
            + self.layers.iter().map(layer).sum::<usize>()
            + self.head.iter().map(Affine::bytes).sum::<usize>()
    }

    fn state_bytes(&self) -> usize {
        let s = self.state();
        let layer = |l: &LayerState| {
            l.below.len() + l.passes.iter().map(|p| p.outputs.len() + p.memories.len()).sum::<usize>()
        };
        let floats = s.layers.iter().map(layer).sum::<usize>() + s.work.len() + s.params.len();
        4 * (floats + s.numbers.len()) + 2 * s.symbols.len()
    }

    fn isa(&self) -> &'static str {
        self.isa.name()
    }
}
