//! Several streams of one model in lockstep: each with its own condition, sampler and life.

use super::{Generators, Model, Sampler, Sampling, Symbol};
use crate::adaptation::Adaptation;
use crate::condition::Condition;
use crate::kernels::aligned::Aligned;
use crate::likelihood::{LikelihoodConfig, Value, Values};
use std::sync::Arc;

/// Up to a fixed number of streams, stepped together, so that every weight that is read serves all that run. Each says
/// what a lone [`super::Stream`] of the same condition and uniforms would, to the bit, whatever its company does.
pub struct Streams<M: Model> {
    model: Arc<M>,
    /// The first `running` run; the others wait to be started.
    states: Vec<M::State>,
    /// x_{t−1} of each, not yet absorbed.
    last: Vec<Symbol>,
    /// The same over vectors, row by row; empty over symbols.
    last_vectors: Vec<f32>,
    samplers: Vec<Sampler>,
    /// Stream at each place of the three above.
    stream_at: Vec<usize>,
    /// Place of each stream.
    place_of: Vec<usize>,
    running: usize,
    scratch: Aligned,
    likelihood: LikelihoodConfig,
}

impl<M: Model> Streams<M> {
    /// Memory for `most` streams, none of which runs yet.
    pub fn new(model: Arc<M>, most: usize, sampling: Sampling) -> Self {
        let likelihood = model.likelihood();
        Self {
            states: (0..most).map(|_| model.state()).collect(),
            last: vec![model.start(); most],
            last_vectors: vec![0.0; most * likelihood.dims()],
            samplers: vec![likelihood.sampler(sampling); most],
            stream_at: (0..most).collect(),
            place_of: (0..most).collect(),
            running: 0,
            scratch: Aligned::zeros(model.scratch_len(most)),
            likelihood,
            model,
        }
    }

    /// Absorbs the last value of every stream that runs; `each` takes the stream, its parameters, the places of its next value as
    /// a symbol and as a vector, and its sampler.
    #[inline]
    fn step(&mut self, mut each: impl FnMut(usize, &[f32], &mut Symbol, &mut [f32], &mut Sampler)) {
        let n = self.running;
        if n == 0 {
            return;
        }
        let Self { model, states, last, last_vectors, samplers, stream_at, scratch, likelihood, .. } = self;
        let dims = likelihood.dims();
        let values = match dims {
            0 => Values::Symbols(&last[..n]),
            _ => Values::Vectors { dims, rows: &last_vectors[..n * dims] },
        };
        let rows = model.step_many(&mut states[..n], values, scratch);
        let params = likelihood.params();
        let stride = rows.len() / n;
        for (at, row) in rows.chunks_exact(stride).enumerate() {
            let vector = &mut last_vectors[at * dims..][..dims];
            each(stream_at[at], &row[..params], &mut last[at], vector, &mut samplers[at]);
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.states.swap(a, b);
        self.last.swap(a, b);
        let dims = self.likelihood.dims();
        (0..dims).for_each(|i| self.last_vectors.swap(a * dims + i, b * dims + i));
        self.samplers.swap(a, b);
        self.stream_at.swap(a, b);
        self.place_of[self.stream_at[a]] = a;
        self.place_of[self.stream_at[b]] = b;
    }
}

impl<M: Model> Generators for Streams<M> {
    fn likelihood(&self) -> LikelihoodConfig {
        self.likelihood
    }

    fn len(&self) -> usize {
        self.states.len()
    }

    fn running(&self) -> usize {
        self.running
    }

    fn is_running(&self, stream: usize) -> bool {
        self.place_of[stream] < self.running
    }

    fn start(&mut self, stream: usize) {
        let at = self.place_of[stream];
        self.model.reset(&mut self.states[at]);
        self.samplers[at].reset();
        self.last[at] = self.model.start();
        let dims = self.likelihood.dims();
        self.last_vectors[at * dims..][..dims].fill(0.0);
        self.resume(stream);
    }

    fn end(&mut self, stream: usize) {
        let at = self.place_of[stream];
        if at < self.running {
            self.running -= 1;
            self.swap(at, self.running);
        }
    }

    fn resume(&mut self, stream: usize) {
        let at = self.place_of[stream];
        if at >= self.running {
            self.swap(at, self.running);
            self.running += 1;
        }
    }

    fn condition(&mut self, stream: usize, condition: &Condition) {
        self.model.condition(&mut self.states[self.place_of[stream]], condition);
    }

    fn announce(&mut self, stream: usize, condition: &Condition) {
        self.model.announce(&mut self.states[self.place_of[stream]], condition);
    }

    fn adapt(&mut self, stream: usize, adaptation: Option<&Adaptation>) {
        self.model.adapt(&mut self.states[self.place_of[stream]], adaptation);
    }

    fn set_sampling(&mut self, stream: usize, sampling: Sampling) {
        self.samplers[self.place_of[stream]].set(sampling);
    }

    fn is_finite(&self, stream: usize) -> bool {
        self.samplers[self.place_of[stream]].is_finite()
    }

    fn next(&mut self, uniforms: &[f32], symbols: &mut [Symbol]) {
        let likelihood = self.likelihood;
        assert!(likelihood.dims() == 0, "a likelihood over vectors");
        self.step(|stream, params, last, _, sampler| {
            likelihood.watch(params, sampler);
            *last = likelihood.get().draw(params, sampler, &uniforms[stream..=stream], &mut []).symbol();
            symbols[stream] = *last;
        });
    }

    fn next_vectors(&mut self, uniforms: &[f32], vectors: &mut [f32]) {
        let likelihood = self.likelihood;
        let (dims, n) = (likelihood.dims(), likelihood.get().uniforms());
        assert!(dims > 0, "a likelihood over symbols");
        self.step(|stream, params, _, last, sampler| {
            likelihood.watch(params, sampler);
            likelihood.get().draw(params, sampler, &uniforms[stream * n..][..n], last);
            vectors[stream * dims..][..dims].copy_from_slice(last);
        });
    }

    fn score(&mut self, values: Values, nats: &mut [f32]) {
        let likelihood = self.likelihood;
        self.step(|stream, params, symbol, vector, _| {
            let x = values.get(stream);
            nats[stream] = likelihood.get().nll(params, x);
            match x {
                Value::Symbol(x) => *symbol = x,
                Value::Vector(x) => vector.copy_from_slice(x),
            }
        });
    }

    fn replace(&mut self, stream: usize, x: Value) {
        let (at, dims) = (self.place_of[stream], self.likelihood.dims());
        match x {
            Value::Symbol(x) => self.last[at] = x,
            Value::Vector(x) => self.last_vectors[at * dims..][..dims].copy_from_slice(x),
        }
    }

    fn weight_bytes(&self) -> usize {
        self.model.weight_bytes()
    }

    fn state_bytes(&self) -> usize {
        self.model.state_bytes()
    }

    fn isa(&self) -> &'static str {
        self.model.isa()
    }
}
