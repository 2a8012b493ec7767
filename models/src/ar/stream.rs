//! A model, its state and a sampler: one stream of values.

use super::{Generator, HiddenShape, Model, Sampler, Sampling};
use crate::adaptation::Adaptation;
use crate::condition::Condition;
use crate::likelihood::{LikelihoodConfig, Value, Values};
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

    fn hidden(&self) -> Option<HiddenShape> {
        self.model.hidden()
    }

    fn read_hidden(&mut self, x: Value, hidden: &mut [f32]) -> Option<f32> {
        let params = self.model.step_hidden(&mut self.state, self.last.get(), hidden)?;
        let nats = self.likelihood.get().nll(params, x);
        self.last.set(x);
        Some(nats)
    }

    fn replace(&mut self, x: Value) {
        self.last.set(x);
    }

    fn group(
        &mut self,
        sites: &[u32],
        uniforms: Option<&[f32]>,
        values: &mut [f32],
        nats: &mut [f32],
    ) -> bool {
        let likelihood = self.likelihood;
        let (p, u, dims) = (likelihood.params(), likelihood.get().uniforms(), likelihood.dims());
        let mut params = vec![0.0; sites.len() * p];
        if sites.is_empty() || !self.model.peek(&mut self.state, self.last.get(), sites, &mut params) {
            return false;
        }
        let mut vector = vec![0.0; dims];
        let mut symbols: Vec<u16> = Vec::new();
        let width = dims.max(1);
        for (i, params) in params.chunks_exact(p).enumerate() {
            let value = &mut values[i * width..][..width];
            likelihood.watch(params, &mut self.sampler);
            if let Some(uniforms) = uniforms {
                let uniforms = &uniforms[i * u..][..u];
                match likelihood.get().draw(params, &mut self.sampler, uniforms, &mut vector) {
                    Value::Symbol(x) => value[0] = f32::from(x),
                    Value::Vector(x) => value.copy_from_slice(x),
                }
            }
            nats[i] = match dims {
                0 => {
                    symbols.push(value[0] as u16);
                    likelihood.get().nll(params, Value::Symbol(symbols[i]))
                }
                _ => likelihood.get().nll(params, Value::Vector(value)),
            };
        }
        let all = match dims {
            0 => Values::Symbols(&symbols),
            _ => Values::Vectors { dims, rows: values },
        };
        self.model.absorb(&mut self.state, self.last.get(), sites, all);
        self.last.set(all.get(sites.len() - 1));
        true
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
