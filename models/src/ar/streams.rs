//! Several streams of one model in lockstep: each with its own condition, sampler and life.

use super::{Generators, Model, Sampler, Sampling, Symbol};
use crate::adaptation::Adaptation;
use crate::condition::Condition;
use crate::kernels::aligned::Aligned;
use crate::likelihood::{LikelihoodConfig, Values};
use std::sync::Arc;

/// Up to a fixed number of streams, stepped together, so that every weight that is read serves all that run. Each says
/// what a lone [`super::Stream`] of the same condition and uniforms would, to the bit, whatever its company does.
pub struct Streams<M: Model> {
    model: Arc<M>,
    /// The first `running` run; the others wait to be started.
    states: Vec<M::State>,
    /// x_{t−1} of each, not yet absorbed.
    last: Vec<Symbol>,
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
    ///
    /// # Panics
    /// For a likelihood over vectors.
    pub fn new(model: Arc<M>, most: usize, sampling: Sampling) -> Self {
        let likelihood = model.likelihood();
        assert!(likelihood.dims() == 0, "streams in lockstep are of symbols");
        Self {
            states: (0..most).map(|_| model.state()).collect(),
            last: vec![model.start(); most],
            samplers: vec![likelihood.sampler(sampling); most],
            stream_at: (0..most).collect(),
            place_of: (0..most).collect(),
            running: 0,
            scratch: Aligned::zeros(model.scratch_len(most)),
            likelihood,
            model,
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.states.swap(a, b);
        self.last.swap(a, b);
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
        if at >= self.running {
            self.swap(at, self.running);
            self.running += 1;
        }
    }

    fn end(&mut self, stream: usize) {
        let at = self.place_of[stream];
        if at < self.running {
            self.running -= 1;
            self.swap(at, self.running);
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
        let n = self.running;
        if n == 0 {
            return;
        }
        let Self { model, states, last, samplers, stream_at, scratch, .. } = self;
        let rows = model.step_many(&mut states[..n], Values::Symbols(&last[..n]), scratch);
        let params = self.likelihood.params();
        let rows = rows.chunks_exact(rows.len() / n);
        for (((row, last), sampler), &stream) in rows.zip(last).zip(samplers).zip(&*stream_at) {
            let uniform = &uniforms[stream..=stream];
            self.likelihood.watch(&row[..params], sampler);
            *last = self.likelihood.get().draw(&row[..params], sampler, uniform, &mut []).symbol();
            symbols[stream] = *last;
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
