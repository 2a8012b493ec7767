//! Several streams of one model, its type forgotten.

use super::{Sampling, Symbol};
use crate::adaptation::Adaptation;
use crate::condition::Condition;
use crate::likelihood::{LikelihoodConfig, Value, Values};

/// Several streams of one model in lockstep, the model's type forgotten: each with its own condition, sampler and life.
/// A stream is a number below [`Generators::len`].
///
/// # Panics
/// All methods that take a stream, when there is no such one.
pub trait Generators: Send {
    /// What is predicted.
    fn likelihood(&self) -> LikelihoodConfig;

    /// Number of streams, running or not.
    fn len(&self) -> usize;

    /// Whether there are none at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Streams that run.
    fn running(&self) -> usize;

    /// Whether `stream` runs.
    fn is_running(&self, stream: usize) -> bool;

    /// Starts `stream` from before its first symbol, the condition all zeros; one that runs starts again.
    ///
    /// # Real-time
    /// As [`Model::reset`](super::Model::reset).
    fn start(&mut self, stream: usize);

    /// Ends `stream`; the others go on.
    ///
    /// # Real-time
    /// Yes.
    fn end(&mut self, stream: usize);

    /// Has `stream` go on from where it was ended, as if it had not been. One that runs goes on anyway.
    ///
    /// # Real-time
    /// Yes.
    fn resume(&mut self, stream: usize);

    /// Holds `condition` for the symbols of `stream` that follow.
    ///
    /// # Real-time
    /// Yes.
    fn condition(&mut self, stream: usize, condition: &Condition);

    /// Says that `condition` will be the next of `stream`: see [`Model::announce`](super::Model::announce).
    ///
    /// # Real-time
    /// Yes.
    fn announce(&mut self, stream: usize, condition: &Condition);

    /// Adapts `stream` from its next condition on: see [`Model::adapt`](super::Model::adapt).
    ///
    /// # Real-time
    /// As [`Model::adapt`](super::Model::adapt).
    fn adapt(&mut self, stream: usize, adaptation: Option<&Adaptation>);

    /// Changes how `stream`'s symbols are drawn from the next one on.
    ///
    /// # Real-time
    /// Yes.
    fn set_sampling(&mut self, stream: usize, sampling: Sampling);

    /// Whether everything that `stream` drew since it started came from finite parameters.
    ///
    /// # Real-time
    /// Yes.
    fn is_finite(&self, stream: usize) -> bool;

    /// Draws the next symbol of every stream that runs: stream i takes `uniforms\[i\]`, uniform in [0, 1), and leaves its
    /// symbol in `symbols\[i\]`. What belongs to the others stays as it is.
    ///
    /// # Panics
    /// When either is shorter than [`Generators::len`], and for a likelihood over vectors.
    ///
    /// # Real-time
    /// Yes.
    fn next(&mut self, uniforms: &[f32], symbols: &mut [Symbol]);

    /// [`Generators::next`] for a likelihood over vectors: stream i takes row i of `uniforms` \[len, U\], U numbers that one draw
    /// takes, and leaves its vector in row i of `vectors` \[len, dims\].
    ///
    /// # Panics
    /// When either is shorter than that, and for a likelihood over symbols.
    ///
    /// # Real-time
    /// Yes.
    fn next_vectors(&mut self, uniforms: &[f32], vectors: &mut [f32]);

    /// Teacher forcing of every stream that runs: −ln p of its value of `values`, in nats at temperature 1, goes to its place of `nats`,
    /// and the value is absorbed. What belongs to the others stays as it is.
    ///
    /// # Panics
    /// When either is shorter than [`Generators::len`], or a value is not of the likelihood's domain.
    ///
    /// # Real-time
    /// Yes.
    fn score(&mut self, values: Values, nats: &mut [f32]);

    /// Puts `x` in the place of what `stream` drew last, which is then as if it had never been drawn.
    ///
    /// # Panics
    /// When x is not of the likelihood's domain.
    ///
    /// # Real-time
    /// Yes.
    fn replace(&mut self, stream: usize, x: Value);

    /// Bytes read from the weights in one step of one stream, as packed.
    fn weight_bytes(&self) -> usize;

    /// Bytes of one stream's state.
    fn state_bytes(&self) -> usize;

    /// The instruction set in use.
    fn isa(&self) -> &'static str;
}
