//! A model, its state and a sampler: one stream of values.

use super::{Generator, Model, Sampler, Sampling};
use crate::adaptation::Adaptation;
use crate::condition::Condition;
use crate::likelihood::{LikelihoodConfig, Value};
use std::sync::Arc;

/// One stream of a model.
pub struct Stream<M: Model> {
    model: Arc<M>,
    state: M::State,
    sampler: Sampler,
    likelihood: LikelihoodConfig,
    last: Last,
}

/// x_{t−1}, not yet absorbed.
#[derive(Clone)]
struct Last {
    symbol: u16,
    /// Empty for a likelihood over symbols.
    vector: Vec<f32>,
}

impl Last {
    fn get(&self) -> Value<'_> {
        match &self.vector[..] {
            [] => Value::Symbol(self.symbol),
            vector => Value::Vector(vector),
        }
    }

    fn set(&mut self, x: Value) {
        match x {
            Value::Symbol(x) => self.symbol = x,
            Value::Vector(x) => self.vector.copy_from_slice(x),
        }
    }
}

impl<M: Model> Stream<M> {
    /// A fresh stream of `model`.
    pub fn new(model: Arc<M>, sampling: Sampling) -> Self {
        let likelihood = model.likelihood();
        Self {
            state: model.state(),
            sampler: likelihood.sampler(sampling),
            likelihood,
            last: Last { symbol: model.start(), vector: vec![0.0; likelihood.dims()] },
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
            last: self.last.clone(),
        }
    }
}

impl<M: Model + 'static> Generator for Stream<M> {
    fn likelihood(&self) -> LikelihoodConfig {
        self.likelihood
    }

    fn reset(&mut self) {
        self.model.reset(&mut self.state);
        self.sampler.reset();
        self.last.symbol = self.model.start();
        self.last.vector.fill(0.0);
    }

    fn reset_after(&mut self, x: Value) {
        self.model.reset(&mut self.state);
        self.sampler.reset();
        self.last.set(x);
    }

    fn condition(&mut self, condition: &Condition) {
        self.model.condition(&mut self.state, condition);
    }

    fn announce(&mut self, condition: &Condition) {
        self.model.announce(&mut self.state, condition);
    }

    fn adapt(&mut self, adaptation: Option<&Adaptation>) {
        self.model.adapt(&mut self.state, adaptation);
    }

    fn set_sampling(&mut self, sampling: Sampling) {
        self.sampler.set(sampling);
    }

    fn draw(&mut self, uniforms: &[f32]) -> Value<'_> {
        let params = self.model.step(&mut self.state, self.last.get());
        self.likelihood.watch(params, &mut self.sampler);
        let drawn = self.likelihood.get().draw(params, &mut self.sampler, uniforms, &mut self.last.vector);
        if let Value::Symbol(x) = drawn {
            self.last.symbol = x;
        }
        drawn
    }

    fn score(&mut self, x: Value) -> f32 {
        let params = self.model.step(&mut self.state, self.last.get());
        let nats = self.likelihood.get().nll(params, x);
        self.last.set(x);
        nats
    }

    fn parameters(&mut self, x: Value, out: &mut [f32]) {
        out.copy_from_slice(self.model.step(&mut self.state, self.last.get()));
        self.last.set(x);
    }

    fn is_finite(&self) -> bool {
        self.sampler.is_finite()
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
