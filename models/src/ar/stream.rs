//! A model, its state and a sampler: one stream of symbols.

use super::{Generator, Likelihood, Model, Sampler, Sampling, Symbol};
use crate::condition::Condition;
use std::sync::Arc;

/// One stream of a model.
pub struct Stream<M: Model> {
    model: Arc<M>,
    state: M::State,
    sampler: Sampler,
    likelihood: Likelihood,
    /// x_{t−1}, not yet absorbed.
    last: Symbol,
}

impl<M: Model> Stream<M> {
    /// A fresh stream of `model`.
    pub fn new(model: Arc<M>, sampling: Sampling) -> Self {
        let likelihood = model.likelihood();
        Self {
            state: model.state(),
            sampler: Sampler::new(sampling, likelihood),
            likelihood,
            last: model.start(),
            model,
        }
    }
}

impl<M: Model> Clone for Stream<M> {
    fn clone(&self) -> Self {
        Self {
            model: self.model.clone(),
            state: self.state.clone(),
            sampler: self.sampler.clone(),
            likelihood: self.likelihood,
            last: self.last,
        }
    }
}

impl<M: Model + 'static> Generator for Stream<M> {
    fn likelihood(&self) -> Likelihood {
        self.likelihood
    }

    fn reset(&mut self) {
        self.model.reset(&mut self.state);
        self.last = self.model.start();
    }

    fn reset_after(&mut self, x: Symbol) {
        self.model.reset(&mut self.state);
        self.last = x;
    }

    fn condition(&mut self, condition: &Condition) {
        self.model.condition(&mut self.state, condition);
    }

    fn announce(&mut self, condition: &Condition) {
        self.model.announce(&mut self.state, condition);
    }

    fn set_sampling(&mut self, sampling: Sampling) {
        self.sampler.set(sampling);
    }

    fn next(&mut self, uniform: f32) -> Symbol {
        let params = self.model.step(&mut self.state, self.last);
        self.last = self.sampler.pick(params, uniform);
        self.last
    }

    fn score(&mut self, x: Symbol) -> f32 {
        let params = self.model.step(&mut self.state, self.last);
        self.last = x;
        self.likelihood.nll(params, x)
    }

    fn logits(&mut self, x: Symbol, out: &mut [f32]) {
        out.copy_from_slice(self.model.step(&mut self.state, self.last));
        self.last = x;
    }

    fn fork(&self) -> Box<dyn Generator> {
        Box::new(self.clone())
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
