//! The autoregressive contract: p(x) = Π p(x_t | x_<t, c_≤t).
//!
//! A [`Model`] is immutable weights; its [`Model::State`] is everything that changes while a stream runs. A
//! [`Generator`] is the two together with a sampler, the type of the network forgotten: what the program holds.
//! [`Generators`] are several states of one model that step together.
//!
//! `reset`, `condition`, `step`, `next` and `score` may run on the engine thread: they never allocate, lock, log or
//! touch a file, and they cannot fail.

mod generators;
mod sampler;
mod stream;
mod streams;
mod uniforms;

pub use generators::Generators;
pub use sampler::{Sampler, Sampling, SamplingError};
pub use stream::Stream;
pub use streams::Streams;
pub use uniforms::Uniforms;

use crate::adaptation::Adaptation;
use crate::condition::Condition;
use crate::likelihood::{LikelihoodConfig, Value, Values};
use crate::weights::Tensors;

/// A mu-law code, a byte, a token id or a pixel level.
pub type Symbol = u16;

/// Numbers that are none, where a model should give logits or other parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the model's outputs are infinite or no numbers: its weights are damaged, or its training diverged")]
pub struct NotFinite;

/// The hidden values of a step: the features that a linear probe reads (Chen et al. 2020, "Generative Pretraining from Pixels",
/// section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HiddenShape {
    /// What enters, and what each layer hands on.
    pub layers: usize,
    /// Values of a layer.
    pub width: usize,
}

impl HiddenShape {
    /// Values of a step.
    pub fn values(self) -> usize {
        self.layers * self.width
    }
}

/// Weights: packed, immutable, shared by any number of streams through an `Arc`.
pub trait Model: Send + Sync {
    /// All that changes while a stream runs. Allocated by [`Model::state`], never grown afterwards. A clone is a fork:
    /// two futures of one past.
    type State: Clone + Send;

    /// What the parameters returned by [`Model::step`] mean.
    fn likelihood(&self) -> LikelihoodConfig;

    /// The symbol that stands for x_{−1}, before the first one.
    fn start(&self) -> Symbol;

    /// A fresh state: no symbol absorbed yet, condition all zeros.
    fn state(&self) -> Self::State;

    /// Makes `state` equal to a fresh one.
    ///
    /// # Real-time
    /// Writes the whole state once: a few milliseconds for a long receptive field.
    fn reset(&self, state: &mut Self::State);

    /// Holds `condition`, whose parts are as long as the model's [`crate::condition::ConditionSpec`] says, for the steps that
    /// follow: the frame clock.
    ///
    /// # Real-time
    /// Yes.
    fn condition(&self, _state: &mut Self::State, _condition: &Condition) {}

    /// Says that `condition` will be the next that [`Model::condition`] is given: the steps until then
    /// may do its work in small parts. It changes no number, and it need not come true.
    ///
    /// # Real-time
    /// Yes.
    fn announce(&self, _state: &mut Self::State, _condition: &Condition) {}

    /// Packs an adaptation, whose tensors are those of the family's table. `None` where the family knows none.
    fn adaptation(&self, _tensors: &Tensors) -> Option<Adaptation> {
        None
    }

    /// Has `state` turn conditions into numbers as `adaptation` says from the next [`Model::condition`] on; `None` as the
    /// model itself does. One that was packed for another model changes nothing. The condition announced last has to be
    /// announced again.
    ///
    /// # Real-time
    /// Yes, where the adaptation before is still held elsewhere.
    fn adapt(&self, _state: &mut Self::State, _adaptation: Option<&Adaptation>) {}

    /// Absorbs x_t and returns the parameters of p(x_{t+1} | x_≤t, c), `likelihood().params()` of them: the symbol
    /// clock.
    ///
    /// # Real-time
    /// Yes.
    fn step<'s>(&self, state: &'s mut Self::State, x: Value) -> &'s [f32];

    /// Floats of scratch that [`Model::step_many`] wants for so many streams.
    fn scratch_len(&self, streams: usize) -> usize {
        streams * self.likelihood().params()
    }

    /// One [`Model::step`] for each of N streams: `values` \[N\] are absorbed, and the parameters come back as N rows of
    /// equal length, the first `likelihood().params()` values of each. The same bits as N single steps; faster where
    /// weights that were read serve all streams. `scratch` is `scratch_len(N)` floats whose contents don't matter.
    ///
    /// # Panics
    /// When the lengths disagree.
    ///
    /// # Real-time
    /// Yes.
    fn step_many<'s>(&self, states: &mut [Self::State], values: Values, scratch: &'s mut [f32]) -> &'s [f32] {
        assert_eq!(states.len(), values.len(), "a value for every stream");
        let params = self.likelihood().params();
        for (i, (state, out)) in states.iter_mut().zip(scratch.chunks_exact_mut(params)).enumerate() {
            out.copy_from_slice(self.step(state, values.get(i)));
        }
        &scratch[..values.len() * params]
    }

    /// For a model of [any order](crate::condition::ConditionSpec::any_order): absorbs `x` and writes the parameters of each variable
    /// of `sites`, given all before and none of the others, into `params` [G, P]; then `state` is as it was. False, and nothing
    /// done, for other models.
    ///
    /// # Panics
    /// When fewer variables are left, or lengths disagree. It allocates.
    fn peek(&self, _state: &mut Self::State, _x: Value, _sites: &[u32], _params: &mut [f32]) -> bool {
        false
    }

    /// For such a model: absorbs `x`, then makes `sites` the variables of the next steps and absorbs their `values` but for the
    /// last, which the next step absorbs. The same as steps one by one, in one pass.
    ///
    /// # Panics
    /// As [`Model::peek`], and for other models.
    fn absorb(&self, _state: &mut Self::State, _x: Value, _sites: &[u32], _values: Values) {
        unreachable!("a model with an order of its own")
    }

    /// Shape of what [`Model::step_hidden`] shows; `None` where the family shows nothing.
    fn hidden(&self) -> Option<HiddenShape> {
        None
    }

    /// [`Model::step`], which also writes what each layer hands on to the next one, [layers, width], into `hidden`. The parameters
    /// are the same bits. `None`, and nothing done, for a family that shows nothing.
    ///
    /// # Panics
    /// When `hidden` is not of the shape [`Model::hidden`].
    ///
    /// # Real-time
    /// Yes.
    fn step_hidden<'s>(
        &self,
        _state: &'s mut Self::State,
        _x: Value,
        _hidden: &mut [f32],
    ) -> Option<&'s [f32]> {
        None
    }

    /// The classes that the classification head tells; 0 for a model without one.
    fn classifier(&self) -> usize {
        0
    }

    /// The logits of those classes for a sequence whose mean over the steps of the last row of [`Model::hidden`] is `mean`; nothing
    /// without a head.
    ///
    /// # Panics
    /// When `mean` is not as wide as such a row.
    fn class_logits(&self, _mean: &[f32]) -> Vec<f32> {
        Vec::new()
    }

    /// The embedding table of the condition, row by row; empty without one.
    fn embeddings(&self) -> &[f32] {
        &[]
    }

    /// Bytes read from the weights in one step, as packed.
    fn weight_bytes(&self) -> usize;

    /// Bytes of one stream's state.
    fn state_bytes(&self) -> usize;

    /// The instruction set that [`Model::step`] was packed for.
    fn isa(&self) -> &'static str;
}

/// A stream of symbols with the model's type forgotten.
///
/// Each of `draw`, `next`, `score` and `parameters` moves the stream by exactly one symbol; they can be mixed freely (score a
/// prompt, then draw).
pub trait Generator: Send {
    /// What is predicted.
    fn likelihood(&self) -> LikelihoodConfig;

    /// Back to before the first symbol; the condition becomes all zeros.
    ///
    /// # Real-time
    /// Yes.
    fn reset(&mut self);

    /// As [`Generator::reset`], with `x` for what stands before the first value in place of the start: a stream that begins
    /// in the middle.
    ///
    /// # Real-time
    /// Yes.
    fn reset_after(&mut self, x: Value);

    /// Holds `condition` for the symbols that follow.
    ///
    /// # Real-time
    /// Yes.
    fn condition(&mut self, condition: &Condition);

    /// Says that `condition` will be the next: see [`Model::announce`].
    ///
    /// # Real-time
    /// Yes.
    fn announce(&mut self, condition: &Condition);

    /// Adapts the stream from its next condition on: see [`Model::adapt`].
    ///
    /// # Real-time
    /// As [`Model::adapt`].
    fn adapt(&mut self, adaptation: Option<&Adaptation>);

    /// Changes how symbols are drawn from the next one on.
    ///
    /// # Real-time
    /// Yes.
    fn set_sampling(&mut self, sampling: Sampling);

    /// Draws the next value. `uniforms` are as many numbers in [0, 1) as the likelihood takes: randomness is an argument, so
    /// that a run can be replayed.
    ///
    /// # Panics
    /// When they are too few.
    ///
    /// # Real-time
    /// Yes.
    fn draw(&mut self, uniforms: &[f32]) -> Value<'_>;

    /// [`Generator::draw`] for a likelihood over symbols, which takes one uniform number.
    ///
    /// # Panics
    /// For a likelihood over vectors.
    ///
    /// # Real-time
    /// Yes.
    fn next(&mut self, uniform: f32) -> Symbol {
        self.draw(&[uniform]).symbol()
    }

    /// Teacher forcing: −ln p(x | past) in nats at temperature 1, then absorbs `x`.
    ///
    /// # Real-time
    /// Yes.
    fn score(&mut self, x: Value) -> f32;

    /// Writes the parameters of the next value's distribution into `out`, then absorbs `x`.
    ///
    /// # Real-time
    /// Yes.
    fn parameters(&mut self, x: Value, out: &mut [f32]);

    /// Shape of what [`Generator::read_hidden`] writes; `None` where the family shows nothing.
    fn hidden(&self) -> Option<HiddenShape>;

    /// Writes the hidden values [layers, width] of the step that predicts `x`, then absorbs `x`. Gives −ln p(x), as
    /// [`Generator::score`]; `None`, and nothing done, for a family that shows nothing.
    ///
    /// # Panics
    /// When `hidden` is not of the shape [`Generator::hidden`].
    ///
    /// # Real-time
    /// Yes.
    fn read_hidden(&mut self, x: Value, hidden: &mut [f32]) -> Option<f32>;

    /// Puts `x` in the place of the last value, which is then as if it had never been: the parameters can be looked at before
    /// the value is chosen.
    ///
    /// # Panics
    /// When x is not of the likelihood's domain.
    ///
    /// # Real-time
    /// Yes.
    fn replace(&mut self, x: Value);

    /// For a model of [any order](crate::condition::ConditionSpec::any_order): the variables of `sites` become the next ones, all given
    /// what was before and none of the others. With `uniforms` [G, U] they are drawn into `values` [G, dims], a symbol as its
    /// number; without, `values` are those given. −ln p of each at temperature 1 goes to `nats`. False, and nothing done, for
    /// other models. It allocates.
    ///
    /// # Panics
    /// When fewer variables are left, or lengths disagree.
    fn group(
        &mut self,
        sites: &[u32],
        uniforms: Option<&[f32]>,
        values: &mut [f32],
        nats: &mut [f32],
    ) -> bool;

    /// Whether everything that was drawn since the stream began came from finite parameters. What was not means nothing.
    ///
    /// # Real-time
    /// Yes.
    fn is_finite(&self) -> bool;

    /// Another stream with the same past.
    fn fork(&self) -> Box<dyn Generator>;

    /// Bytes read from the weights in one step, as packed.
    fn weight_bytes(&self) -> usize;

    /// Bytes of the stream's state.
    fn state_bytes(&self) -> usize;

    /// The instruction set in use.
    fn isa(&self) -> &'static str;
}

/// The teacher-forced reading of the same function.
#[cfg(feature = "train")]
pub trait Graph {
    /// `inputs` (symbols [B, T] u32, or f32 [B, T, numbers] where values enter as numbers: see
    /// [`Input`](crate::likelihood::Input)) and `cond` [B, N, cond_len] (one row per frame of the condition, symbol t uses row t / hop)
    /// give parameters [B, T, P]; row t is p(x_{t+1} | x_≤t).
    fn forward(
        &self,
        inputs: &candle_core::Tensor,
        cond: Option<&candle_core::Tensor>,
    ) -> candle_core::Result<candle_core::Tensor>;
}
