//! The engine: the hidden units' sum of inputs runs on from step to step, so that a step adds one row to it and multiplies
//! with its own outputs alone.
//!
//! Values of any type are kept as 32-bit floats and multiplied as they are.

use super::{Config, names};
use crate::ar::{Model, Symbol};
use crate::condition::Condition;
use crate::fixed_length::Labels;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{add, add_weighted, dot};
use crate::kernels::{Isa, Kernel, Simd, math};
use crate::likelihood::{Input, LikelihoodConfig, Value};
use crate::weights::{Tensors, WeightsError, check};

/// Packed weights.
pub struct Nade {
    isa: Isa,
    config: Config,
    likelihood: LikelihoodConfig,
    input: Input,
    /// N.
    steps: usize,
    /// P.
    params: usize,
    /// H padded to whole vectors.
    hidden: usize,
    /// c.
    bias: Aligned,
    /// W [N − 1, rows, H padded].
    weight: Aligned,
    /// V [N, P, H padded].
    output: Aligned,
    /// b [N, P].
    output_bias: Vec<f32>,
    labels: Labels,
}

/// What changes while a stream runs.
#[derive(Clone)]
pub struct State {
    /// t.
    step: usize,
    class: Option<usize>,
    /// a_t.
    sum: Aligned,
    /// h_t.
    hidden: Aligned,
    /// [P].
    params: Vec<f32>,
    /// The numbers that x_{t−1} enters as; empty where it enters by a table.
    numbers: Vec<f32>,
}

impl Nade {
    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`].
    pub fn new(config: &Config, tensors: &Tensors, isa: Isa) -> Result<Self, WeightsError> {
        check(tensors, &config.table())?;
        let get = |name: &str| &tensors[name].data[..];
        let h = config.hidden;
        let hidden = h.next_multiple_of(isa.lanes());
        let pad = |x: &[f32]| Aligned::rows(x, h, hidden);
        let (likelihood, labels) = (config.likelihood(), tensors.get(names::LABELS));
        Ok(Self {
            isa,
            likelihood,
            input: likelihood.input(),
            steps: config.steps(),
            params: likelihood.params(),
            hidden,
            bias: pad(get(names::BIAS)),
            weight: pad(get(names::WEIGHT)),
            output: pad(get(names::OUTPUT)),
            output_bias: get(names::OUTPUT_BIAS).to_vec(),
            labels: Labels::new(labels.map(|t| &t.data[..]), h, hidden),
            config: config.clone(),
        })
    }
}

impl Model for Nade {
    type State = State;

    fn likelihood(&self) -> LikelihoodConfig {
        self.likelihood
    }

    fn start(&self) -> Symbol {
        self.config.start
    }

    fn state(&self) -> State {
        State {
            step: 0,
            class: None,
            sum: self.bias.clone(),
            hidden: Aligned::zeros(self.hidden),
            params: vec![0.0; self.params],
            numbers: vec![0.0; self.input.numbers()],
        }
    }

    fn reset(&self, state: &mut State) {
        state.step = 0;
        state.class = None;
        state.sum.copy_from_slice(&self.bias);
    }

    fn condition(&self, state: &mut State, condition: &Condition) {
        state.class = condition.class;
    }

    fn step<'s>(&self, state: &'s mut State, x: Value) -> &'s [f32] {
        self.isa.run(Step { net: self, state, x });
        &state.params
    }

    fn weight_bytes(&self) -> usize {
        let row = 4 * self.hidden;
        row * (self.input.numbers().max(1) + self.params) + 4 * self.params + self.labels.row_bytes()
    }

    fn state_bytes(&self) -> usize {
        4 * (2 * self.hidden + self.params + self.input.numbers())
    }

    fn isa(&self) -> &'static str {
        self.isa.name()
    }
}

struct Step<'a> {
    net: &'a Nade,
    state: &'a mut State,
    x: Value<'a>,
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, state, x } = self;
        let State { step, class, sum, hidden, params, numbers } = state;
        let h = net.hidden;
        if *step == net.steps {
            // What follows the last variable begins anew, and its past is empty.
            *step = 0;
            sum.copy_from_slice(&net.bias);
        }
        let t = *step;
        if let Some(before) = t.checked_sub(1) {
            let rows = net.input.rows();
            let weight = &net.weight[before * rows * h..][..rows * h];
            match (net.input, x) {
                // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
                (Input::Table { rows }, Value::Symbol(x)) => {
                    add(s, sum, &weight[usize::from(x).min(rows - 1) * h..][..h]);
                }
                (input, x) => {
                    input.write(x, numbers);
                    add_weighted(s, sum, weight, numbers);
                }
            }
        }
        let label = net.labels.row(*class);
        let sums = sum.chunks_exact(S::LANES).zip(label.chunks_exact(S::LANES));
        for (h, (a, e)) in hidden.chunks_exact_mut(S::LANES).zip(sums) {
            s.store(h, math::sigmoid(s, s.add(s.load(a), s.load(e))));
        }
        let output = net.output[t * net.params * h..].chunks_exact(h);
        let bias = &net.output_bias[t * net.params..];
        for ((to, v), b) in params.iter_mut().zip(output).zip(bias) {
            *to = b + dot(s, hidden, v);
        }
        *step += 1;
    }
}
