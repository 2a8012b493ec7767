//! The engine: one symbol in, one distribution out, at most two rows of work whatever was read before.
//!
//! Two windows are kept, each with a cache of keys and values per layer and head. The leading one gives the
//! distributions; from its position ⌈C/2⌉ on the other reads along from position 0, and leads once the first is full.
//! Weights are packed once for one instruction set, the norms' biases inside those of the products. A step of several streams
//! is one of their rows, the leading windows' first: every weight that is read meets all of them. Of images, which are as
//! long as the context, there is one window, which begins anew.

mod group;
mod rows;
mod weights;

pub use weights::Gpt;

use super::Config;
use super::attention::Cache;
use super::classifier::{ClassLogits, Classifier};
use crate::ar::{HiddenShape, Model, Symbol};
use crate::condition::Condition;
use crate::kernels::aligned::Aligned;
use crate::kernels::{Kernel, Simd};
use crate::likelihood::{LikelihoodConfig, Value, Values};
use rows::attention;
use weights::Layer;

/// What changes while a stream runs.
#[derive(Clone)]
pub struct State {
    /// Two for a text, one for an image.
    windows: Vec<Window>,
    /// The window that gives the distributions.
    leading: usize,
    class: Option<usize>,
    /// The order of the image, for a model of any order; else empty.
    sites: Vec<u32>,
    /// Whether the step at hand is the first behind the last of an image.
    anew: bool,
    /// The numbers that x_{t−1} enters as; empty where it enters by a table.
    numbers: Vec<f32>,
    /// [`Work`] of a row for each window.
    work: Aligned,
    /// [P padded].
    logits: Aligned,
}

/// A window of the text: what was read of it.
#[derive(Clone)]
struct Window {
    /// Symbols read.
    filled: usize,
    /// One for each head of each layer.
    caches: Vec<Cache>,
}

impl Gpt {
    fn window(&self) -> Window {
        let caches = vec![Cache::new(self.shape); self.layers.len() * self.config.heads];
        Window { filled: 0, caches }
    }

    /// Windows of a stream.
    fn windows(&self) -> usize {
        if self.config.has_fixed_length() { 1 } else { 2 }
    }
}

impl Gpt {
    /// A step of one stream; `hidden` is empty, or a row for each layer.
    fn step_alone<'s>(&self, state: &'s mut State, x: Value, hidden: &mut [f32]) -> &'s [f32] {
        // Taken out while the stream is one of several, of which there is one.
        let (mut work, mut logits) = (std::mem::take(&mut state.work), std::mem::take(&mut state.logits));
        let values = Values::one(&x);
        let states = std::slice::from_mut(&mut *state);
        self.isa.run(Step { net: self, states, values, work: &mut work, logits: &mut logits, hidden });
        (state.work, state.logits) = (work, logits);
        &state.logits[..self.likelihood.params()]
    }
}

impl State {
    /// Goes on to the next window where this one is full.
    #[inline(always)]
    fn turn(&mut self, config: &Config) {
        self.anew = false;
        if self.windows[self.leading].filled == config.context {
            self.windows[self.leading].filled = 0;
            self.leading = (self.leading + 1) % self.windows.len();
            self.anew = config.has_fixed_length();
        }
    }

    /// Before a group, which may be asked for several times before it is absorbed.
    fn begin_group(&mut self, config: &Config) {
        let filled = &mut self.windows[self.leading].filled;
        if *filled == config.context {
            *filled = 0;
            self.anew = true;
        } else if *filled > 0 {
            self.anew = false;
        }
    }

    /// Whether a second window reads along.
    #[inline(always)]
    fn is_followed(&self, stride: usize) -> bool {
        self.windows.len() > 1 && self.windows[self.leading].filled >= stride
    }

    /// The window that gives the distributions, or the other.
    #[inline(always)]
    fn window(&mut self, follows: bool) -> &mut Window {
        let at = self.leading ^ usize::from(follows);
        &mut self.windows[at]
    }
}

impl Model for Gpt {
    type State = State;

    fn likelihood(&self) -> LikelihoodConfig {
        self.likelihood
    }

    fn start(&self) -> Symbol {
        self.config.start
    }

    fn state(&self) -> State {
        State {
            windows: (0..self.windows()).map(|_| self.window()).collect(),
            leading: 0,
            class: None,
            sites: self.own_order.clone(),
            anew: false,
            numbers: self.start_numbers.clone(),
            work: Aligned::zeros(self.widths.floats(self.windows())),
            logits: self.head.product.bias.clone(),
        }
    }

    /// # Real-time
    /// Touches two counters: what a cache holds beyond them is never read.
    fn reset(&self, state: &mut State) {
        state.leading = 0;
        state.anew = false;
        state.class = None;
        state.sites.copy_from_slice(&self.own_order);
        for window in &mut state.windows {
            window.filled = 0;
        }
    }

    fn condition(&self, state: &mut State, condition: &Condition) {
        state.class = condition.class;
        let n = self.own_order.len();
        // A permutation is the caller's affair; what is none must not reach outside the grid all the same.
        let given = condition.order.filter(|o| o.len() == n && o.iter().all(|&site| (site as usize) < n));
        state.sites.copy_from_slice(given.unwrap_or(&self.own_order));
    }

    fn peek(&self, state: &mut State, x: Value, sites: &[u32], params: &mut [f32]) -> bool {
        self.peek_sites(state, x, sites, params)
    }

    fn absorb(&self, state: &mut State, x: Value, sites: &[u32], values: Values) {
        self.absorb_sites(state, x, sites, values);
    }

    fn step<'s>(&self, state: &'s mut State, x: Value) -> &'s [f32] {
        self.step_alone(state, x, &mut [])
    }

    fn hidden(&self) -> Option<HiddenShape> {
        Some(HiddenShape { layers: self.layers.len() + 1, width: self.config.width })
    }

    /// The residual stream: the embedding, then what it is behind each layer.
    fn step_hidden<'s>(&self, state: &'s mut State, x: Value, hidden: &mut [f32]) -> Option<&'s [f32]> {
        let wanted = (self.layers.len() + 1) * self.config.width;
        assert_eq!(hidden.len(), wanted, "a row for every layer");
        Some(self.step_alone(state, x, hidden))
    }

    fn classifier(&self) -> usize {
        self.config.classifier
    }

    fn class_logits(&self, mean: &[f32]) -> Vec<f32> {
        let (weight, bias) = &self.classifier;
        if bias.is_empty() {
            return Vec::new();
        }
        assert_eq!(mean.len(), self.config.width, "a row of the residual stream");
        let mut row = Aligned::rows(mean, mean.len(), self.widths.width);
        self.isa.run(ClassLogits { head: Classifier { weight, bias }, mean: &mut row })
    }

    fn scratch_len(&self, streams: usize) -> usize {
        streams * self.head.product.bias.len() + self.widths.floats(self.windows() * streams)
    }

    fn step_many<'s>(&self, states: &mut [State], values: Values, scratch: &'s mut [f32]) -> &'s [f32] {
        assert_eq!(states.len(), values.len(), "a value for every stream");
        let (logits, work) = scratch.split_at_mut(states.len() * self.head.product.bias.len());
        self.isa.run(Step { net: self, states, values, work, logits, hidden: &mut [] });
        logits
    }

    fn weight_bytes(&self) -> usize {
        let layer = |l: &Layer| l.qkv.bytes() + l.out.bytes() + l.up.bytes() + l.down.bytes();
        self.layers.iter().map(layer).sum::<usize>() + self.head.bytes()
    }

    fn state_bytes(&self) -> usize {
        let window = self.window().caches.iter().map(Cache::bytes).sum::<usize>();
        let work = self.widths.floats(self.windows()) + self.head.product.bias.len() + self.input.numbers();
        self.windows() * window + 4 * (work + self.own_order.len())
    }

    fn isa(&self) -> &'static str {
        self.isa.name()
    }
}

/// A step of some streams.
struct Step<'a> {
    net: &'a Gpt,
    states: &'a mut [State],
    /// One for each.
    values: Values<'a>,
    /// [`Work`] of all their rows.
    work: &'a mut [f32],
    /// [N, P padded].
    logits: &'a mut [f32],
    /// Empty, or the residual stream of the first state: what enters, and what it is behind each layer.
    hidden: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, states, values, work, logits, hidden } = self;
        let (config, count) = (&net.config, states.len());
        let (stride, mut reading) = (config.stride(), count);
        for state in states.iter_mut() {
            state.turn(config);
            reading += usize::from(state.is_followed(stride));
        }
        let mut work = net.widths.work(work, reading);
        net.enter(s, states, values, &mut work);
        let mut hidden = hidden.chunks_exact_mut(config.width);
        let mut show = |x: &[f32]| {
            if let Some(row) = hidden.next() {
                row.copy_from_slice(&x[..row.len()]);
            }
        };
        show(work.x);
        for (l, layer) in net.layers.iter().enumerate() {
            // Of the last layer the following windows need nothing but keys and values.
            let rows = if l + 1 == net.layers.len() { count } else { reading };
            net.block(s, layer, &mut work, (reading, rows), |s, work| {
                let mut follower = count;
                for (i, state) in states.iter_mut().enumerate() {
                    let followed = state.is_followed(stride);
                    let window = state.window(false);
                    attention(s, net, (window.filled, window, l), work, i, i < rows);
                    if followed {
                        let window = state.window(true);
                        attention(s, net, (window.filled, window, l), work, follower, follower < rows);
                        follower += 1;
                    }
                }
            });
            show(work.x);
        }
        for state in states.iter_mut() {
            if state.is_followed(stride) {
                state.window(true).filled += 1;
            }
            state.window(false).filled += 1;
        }
        net.outputs(s, &mut work, count, logits);
    }
}
