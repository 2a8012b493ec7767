//! Several streams of one model in lockstep: each with its own condition, sampler and life.

use super::{Likelihood, Model, Sampler, Sampling, Symbol};
use std::sync::Arc;

/// Up to a fixed number of streams, stepped together, so that every weight that is read serves all that run. Each says
/// what a lone [`super::Stream`] of the same condition and coins would, to the bit, whatever its company does.
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
    scratch: Vec<f32>,
    likelihood: Likelihood,
}

impl<M: Model> Streams<M> {
    /// Memory for `most` streams, none of which runs yet.
    pub fn new(model: Arc<M>, most: usize, sampling: Sampling) -> Self {
        let likelihood = model.likelihood();
        Self {
            states: (0..most).map(|_| model.state()).collect(),
            last: vec![model.start(); most],
            samplers: vec![Sampler::new(sampling, likelihood); most],
            stream_at: (0..most).collect(),
            place_of: (0..most).collect(),
            running: 0,
            scratch: vec![0.0; model.scratch_len(most)],
            likelihood,
            model,
        }
    }

    /// Number of streams, running or not.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there are none at all.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Streams that run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Whether `stream` runs.
    pub fn is_running(&self, stream: usize) -> bool {
        self.place_of[stream] < self.running
    }

    /// Starts `stream` from before its first symbol, the condition all zeros; one that runs starts again.
    ///
    /// # Panics
    /// When there is no such stream; so do all methods that take one.
    ///
    /// # Real-time
    /// As [`Model::reset`].
    pub fn start(&mut self, stream: usize) {
        let at = self.place_of[stream];
        self.model.reset(&mut self.states[at]);
        self.last[at] = self.model.start();
        if at >= self.running {
            self.swap(at, self.running);
            self.running += 1;
        }
    }

    /// Ends `stream`; the others go on.
    ///
    /// # Real-time
    /// Yes.
    pub fn end(&mut self, stream: usize) {
        let at = self.place_of[stream];
        if at < self.running {
            self.running -= 1;
            self.swap(at, self.running);
        }
    }

    /// See [`Model::condition`].
    ///
    /// # Real-time
    /// Yes.
    pub fn condition(&mut self, stream: usize, frame: &[f32]) {
        self.model.condition(&mut self.states[self.place_of[stream]], frame);
    }

    /// See [`Model::announce`].
    ///
    /// # Real-time
    /// Yes.
    pub fn announce(&mut self, stream: usize, frame: &[f32]) {
        self.model.announce(&mut self.states[self.place_of[stream]], frame);
    }

    /// Changes how `stream`'s symbols are drawn from the next one on.
    ///
    /// # Real-time
    /// Yes.
    pub fn set_sampling(&mut self, stream: usize, sampling: Sampling) {
        self.samplers[self.place_of[stream]].set(sampling);
    }

    /// Draws the next symbol of every stream that runs: stream i takes `coins\[i\]`, uniform in [0, 1), and leaves its
    /// symbol in `symbols\[i\]`. What belongs to the others stays as it is.
    ///
    /// # Panics
    /// When either is shorter than [`Streams::len`].
    ///
    /// # Real-time
    /// Yes.
    pub fn next(&mut self, coins: &[f32], symbols: &mut [Symbol]) {
        let n = self.running;
        if n == 0 {
            return;
        }
        let Self { model, states, last, samplers, stream_at, scratch, .. } = self;
        let rows = model.step_many(&mut states[..n], &last[..n], scratch);
        let params = self.likelihood.params();
        let rows = rows.chunks_exact(rows.len() / n);
        for (((row, last), sampler), &stream) in rows.zip(last).zip(samplers).zip(&*stream_at) {
            *last = sampler.pick(&row[..params], coins[stream]);
            symbols[stream] = *last;
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
