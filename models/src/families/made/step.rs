//! The engine: sums that run on from step to step. A unit is computed in the step that knows the last variable of its
//! degree, and an output in its own step.
//!
//! Values of any type are kept as 32-bit floats and multiplied as they are. Units of a degree stand side by side, so what a
//! step adds to is the end of a row; it begins at a whole vector, and the units before it are final and no longer read.

use super::degrees::Degrees;
use super::{Config, names};
use crate::ar::{Model, Symbol};
use crate::condition::Condition;
use crate::fixed_length::Labels;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{add, add_scaled, dot};
use crate::kernels::transpose::transpose;
use crate::kernels::{Isa, Kernel, Simd};
use crate::likelihood::{Input, LikelihoodConfig, Value};
use crate::weights::{Tensors, WeightsError, check};

/// A matrix with rows of whole vectors, and the sums that its products begin with.
struct Layer {
    degrees: Degrees,
    /// H padded.
    width: usize,
    /// W_0 [(N − 1) rows, H padded], or W_1 [H_0, H padded].
    weight: Aligned,
    /// c.
    bias: Aligned,
}

/// Packed weights.
pub struct Made {
    isa: Isa,
    config: Config,
    likelihood: LikelihoodConfig,
    input: Input,
    /// N.
    steps: usize,
    /// P.
    params: usize,
    layers: Vec<Layer>,
    /// Vᵀ [N · P, H padded], zeros where it is masked.
    output: Aligned,
    /// b [N · P padded].
    output_bias: Aligned,
    /// D [(N − 1) rows, N · P padded]; empty without direct connections.
    direct: Aligned,
    labels: Labels,
    output_labels: Labels,
}

/// What changes while a stream runs.
#[derive(Clone)]
pub struct State {
    /// t.
    step: usize,
    class: Option<usize>,
    units: Vec<Units>,
    /// b and the direct connections' sum [N · P padded]; empty without those.
    direct: Aligned,
    /// `[P]`.
    params: Vec<f32>,
    /// The numbers that x_{t−1} enters as; empty where it enters by a table.
    numbers: Vec<f32>,
}

/// A layer's units.
#[derive(Clone)]
struct Units {
    sums: Aligned,
    /// Those that are final, behind the relu.
    values: Aligned,
}

impl Made {
    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`].
    pub fn new(config: &Config, tensors: &Tensors, isa: Isa) -> Result<Self, WeightsError> {
        check(tensors, &config.table())?;
        let get = |name: &str| &tensors[name].data[..];
        let optional = |name: &str| tensors.get(name).map(|t| &t.data[..]);
        let whole = |n: usize| n.next_multiple_of(isa.lanes());
        let layer = |(l, &units): (usize, &usize)| {
            let width = whole(units);
            Layer {
                degrees: config.degrees(l),
                width,
                weight: Aligned::rows(get(&names::weight(l)), units, width),
                bias: Aligned::rows(get(&names::bias(l)), units, width),
            }
        };
        let layers: Vec<Layer> = config.hidden.iter().enumerate().map(layer).collect();
        let (outputs, likelihood, top) = (config.outputs(), config.likelihood(), whole(config.top()));
        let mut weight = get(names::OUTPUT).to_vec();
        config.output_mask().mask(&mut weight, outputs);
        let mut output = Aligned::zeros(outputs * top);
        transpose(&weight, outputs, &mut output, top);
        let direct = optional(names::DIRECT).unwrap_or(&[]);
        Ok(Self {
            isa,
            likelihood,
            input: likelihood.input(),
            steps: config.steps(),
            params: likelihood.params(),
            output,
            output_bias: Aligned::rows(get(names::OUTPUT_BIAS), outputs, whole(outputs)),
            direct: Aligned::rows(direct, outputs, whole(outputs)),
            labels: Labels::new(optional(names::LABELS), config.hidden[0], layers[0].width),
            output_labels: Labels::new(optional(names::OUTPUT_LABELS), outputs, whole(outputs)),
            layers,
            config: config.clone(),
        })
    }

    /// The sums before the first variable.
    fn begin(&self, state: &mut State) {
        state.step = 0;
        for (units, layer) in state.units.iter_mut().zip(&self.layers) {
            units.sums.copy_from_slice(&layer.bias);
            units.values.fill(0.0);
        }
        if !state.direct.is_empty() {
            state.direct.copy_from_slice(&self.output_bias);
        }
    }
}

impl Model for Made {
    type State = State;

    fn likelihood(&self) -> LikelihoodConfig {
        self.likelihood
    }

    fn start(&self) -> Symbol {
        self.config.start
    }

    fn state(&self) -> State {
        let units = |l: &Layer| Units { sums: l.bias.clone(), values: Aligned::zeros(l.width) };
        State {
            step: 0,
            class: None,
            units: self.layers.iter().map(units).collect(),
            direct: if self.direct.is_empty() { Aligned::zeros(0) } else { self.output_bias.clone() },
            params: vec![0.0; self.params],
            numbers: vec![0.0; self.input.numbers()],
        }
    }

    fn reset(&self, state: &mut State) {
        self.begin(state);
        state.class = None;
    }

    fn condition(&self, state: &mut State, condition: &Condition) {
        state.class = condition.class;
    }

    fn step<'s>(&self, state: &'s mut State, x: Value) -> &'s [f32] {
        self.isa.run(Step { net: self, state, x });
        &state.params
    }

    fn weight_bytes(&self) -> usize {
        let numbers = self.input.numbers().max(1);
        let units = numbers * self.layers[0].width + self.params * self.layers[self.layers.len() - 1].width;
        let between = self.layers[1..].iter().map(|l| l.weight.len() / self.steps).sum::<usize>();
        let direct = if self.direct.is_empty() { 0 } else { numbers * self.output_bias.len() };
        4 * (units + between + direct + self.params)
    }

    fn state_bytes(&self) -> usize {
        let s = self.state();
        let units = s.units.iter().map(|u| u.sums.len() + u.values.len()).sum::<usize>();
        4 * (units + s.direct.len() + s.params.len() + s.numbers.len())
    }

    fn isa(&self) -> &'static str {
        self.isa.name()
    }
}

struct Step<'a> {
    net: &'a Made,
    state: &'a mut State,
    x: Value<'a>,
}

/// Where a row's whole vectors begin that hold `column`.
#[inline(always)]
fn vector<S: Simd>(_s: S, column: usize) -> usize {
    column / S::LANES * S::LANES
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, state, x } = self;
        if state.step == net.steps {
            // What follows the last variable begins anew, and its past is empty.
            net.begin(state);
        }
        let (t, p) = (state.step, net.params);
        let State { class, units, direct, params, numbers, .. } = state;
        if let Some(before) = t.checked_sub(1) {
            net.input.write(x, numbers);
            let first = &net.layers[0];
            let from = vector(s, first.degrees.below(t));
            enter(
                s,
                net.input,
                x,
                numbers,
                (&first.weight[..], first.width),
                before,
                from,
                &mut units[0].sums,
            );
            if !direct.is_empty() {
                let width = direct.len();
                enter(s, net.input, x, numbers, (&net.direct[..], width), before, vector(s, t * p), direct);
            }
        }
        let label = net.labels.row(*class);
        let final_units = |l: usize| {
            let degrees = net.layers[l].degrees;
            degrees.below(t)..degrees.below(t + 1)
        };
        for l in 0..units.len() {
            let (below, here) = units.split_at_mut(l);
            let Units { sums, values } = &mut here[0];
            if let Some(below) = below.last() {
                let layer = &net.layers[l];
                let from = vector(s, layer.degrees.below(t));
                for k in final_units(l - 1) {
                    let row = &layer.weight[k * layer.width..][from..layer.width];
                    add_scaled(s, &mut sums[from..], row, below.values[k]);
                }
            }
            for k in final_units(l) {
                let sum = if l == 0 { sums[k] + label[k] } else { sums[k] };
                values[k] = sum.max(0.0);
            }
        }
        let top = net.layers.len() - 1;
        let (width, values) = (net.layers[top].width, &units[top].values);
        // Whole vectors: what lies behind the final units in the last one meets zeros.
        let seen = final_units(top).end.next_multiple_of(S::LANES);
        let bias = if direct.is_empty() { &net.output_bias } else { &*direct };
        let label = net.output_labels.row(*class);
        for (i, to) in params.iter_mut().enumerate() {
            let output = t * p + i;
            let v = &net.output[output * width..][..seen];
            *to = bias[output] + label[output] + dot(s, &values[..seen], v);
        }
        state.step += 1;
    }
}

/// Adds what the value before a step gives to the columns from `from` on.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a loop's body, cut out")]
fn enter<S: Simd>(
    s: S,
    input: Input,
    x: Value,
    numbers: &[f32],
    (weight, width): (&[f32], usize),
    step: usize,
    from: usize,
    sums: &mut [f32],
) {
    let rows = &weight[step * input.rows() * width..][..input.rows() * width];
    let sums = &mut sums[from..];
    match (input, x) {
        // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
        (Input::Table { rows: symbols }, Value::Symbol(x)) => {
            add(s, sums, &rows[usize::from(x).min(symbols - 1) * width..][from..width]);
        }
        _ => {
            for (row, &v) in rows.chunks_exact(width).zip(numbers) {
                add_scaled(s, sums, &row[from..], v);
            }
        }
    }
}
