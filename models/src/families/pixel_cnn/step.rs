//! The engine: one pixel in, one distribution out.
//!
//! At the first step of a line the vertical stack of the whole line is computed at once, and what it gives the horizontal one
//! is kept: products of all rows of the line. Each step then takes one row through the horizontal stack, which reads the
//! rows of its line from a cache. Streams at the same step go together, a row each, and read every weight once.

use super::gather::{SLACK, gather};
use super::geometry::{Geometry, Stack};
use super::{Config, names};
use crate::ar::{Model, Symbol};
use crate::condition::Condition;
use crate::kernels::affine::Affine;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{Matrix, Panels, Rows, Then, accumulate_many, add, copy};
use crate::kernels::{Isa, Kernel, Simd, math};
use crate::likelihood::{Input, LikelihoodConfig, Value, Values};
use crate::weights::{Tensors, WeightsError, check};
use std::ops::Range;

/// Rows, about, that the streams of a group have together: their buffers stay in the L2.
const ROWS: usize = 64;

/// The taps of one stack in a layer, each half of the outputs padded.
struct Taps {
    /// W_l or U_l; `None` where no step reads anything.
    weight: Option<Panels>,
    /// [labels + 1, 2C padded] the bias, and with each class's row added to it.
    bias: Aligned,
}

struct Layer {
    vertical: Taps,
    horizontal: Taps,
    /// V_l.
    between: Panels,
    /// R_l, r_l.
    residual: Affine,
}

/// Packed weights.
pub struct PixelCnn {
    isa: Isa,
    config: Config,
    geometry: Geometry,
    /// E [rows, embedding].
    embed: Vec<f32>,
    /// b, where values enter as numbers; else empty.
    embed_bias: Vec<f32>,
    layers: Vec<Layer>,
    head: [Affine; 2],
    sizes: Sizes,
}

/// Widths of rows and lengths of caches.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// C padded to whole vectors.
    channels: usize,
    /// The widest row of taps.
    taps: usize,
    /// A, padded.
    head: usize,
    /// Steps of the longest line.
    line: usize,
    /// Steps whose vertical features are kept.
    reach: usize,
}

impl Sizes {
    fn new(config: &Config, geometry: &Geometry, padded: impl Fn(usize) -> usize) -> Self {
        let taps = |l: usize| {
            Stack::BOTH.map(|stack| geometry.taps(stack, l).len() * config.inputs(l)).into_iter().max()
        };
        Self {
            channels: padded(config.channels),
            taps: (0..config.layers.min(2)).filter_map(taps).max().unwrap_or(0),
            head: padded(config.head_channels),
            line: geometry.longest_line(),
            reach: geometry.reach(),
        }
    }

    /// Floats of the buffers for `rows` rows.
    fn work(self, config: &Config, rows: usize) -> usize {
        rows * (self.taps + 2 * config.channels + 4 * self.channels + self.head) + SLACK
    }

    /// Rows that `streams` streams are taken in at most.
    fn rows(self, streams: usize) -> usize {
        self.line.max(streams.min(ROWS))
    }

    /// Floats of the pixels.
    fn pixels(config: &Config) -> usize {
        config.grid.len() * config.embedding + SLACK
    }

    /// Floats of the vertical features, the horizontal features and what the vertical stack gives the horizontal one.
    fn caches(self, config: &Config) -> [usize; 3] {
        let (inner, c) = (config.layers - 1, self.channels);
        [inner * self.reach * c, inner * self.line * c, config.layers * self.line * 2 * c]
    }
}

/// Floats of a stream's state, but for the outputs and the numbers of a pixel.
pub(super) fn state_floats(config: &Config, geometry: &Geometry, padded: impl Fn(usize) -> u64) -> u64 {
    let sizes = Sizes::new(config, geometry, |n| padded(n) as usize);
    let caches: usize = sizes.caches(config).iter().sum();
    (Sizes::pixels(config) + caches + sizes.work(config, sizes.rows(1))) as u64
}

/// What changes while a stream runs.
#[derive(Clone)]
pub struct State {
    /// Steps done in the image at hand.
    done: usize,
    /// Row of the biases for the next image: 0 without a class, else the class and one.
    class: usize,
    /// The same of the image at hand.
    class_now: usize,
    /// e_t [N, embedding].
    pixels: Vec<f32>,
    /// v_l of the last steps [L − 1, reach, C padded]: step t in row t % reach.
    vertical: Aligned,
    /// h_l of the line at hand [L − 1, line, C padded].
    horizontal: Aligned,
    /// a_l V_l + d_l + B_l[c] of the line at hand [L, line, 2C padded].
    between: Aligned,
    /// The numbers that a pixel enters as; empty where it enters by a table.
    numbers: Vec<f32>,
    /// Buffers of a step.
    work: Aligned,
    /// [P padded].
    params: Aligned,
}

impl PixelCnn {
    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`].
    pub fn new(config: &Config, tensors: &Tensors, isa: Isa) -> Result<Self, WeightsError> {
        check(tensors, &config.table())?;
        let get = |name: &str| &tensors[name].data[..];
        let (c, geometry) = (config.channels, config.geometry());
        let sizes = Sizes::new(config, &geometry, |n| n.next_multiple_of(isa.lanes()));
        let pad = |x: &[f32]| Aligned::rows(x, c, sizes.channels);
        let halves = |name: &str| {
            let stored = &tensors[name].stored.with_columns(|scales| pad(scales).to_vec());
            let inputs = tensors[name].data.len() / (2 * c);
            Panels::pack(isa, Matrix { values: &pad(get(name)), stored }, inputs, 2 * sizes.channels)
        };
        let taps = |l: usize, stack| {
            let weight = names::weight(l, stack);
            let mut bias = pad(get(&names::bias(l, stack))).to_vec();
            if let Some(classes) = tensors.get(&names::class(l, stack)) {
                let alone = bias.clone();
                bias.extend(pad(&classes.data).iter().zip(alone.iter().cycle()).map(|(class, b)| b + class));
            }
            Taps {
                weight: tensors.contains_key(&weight).then(|| halves(&weight)),
                bias: Aligned::from(&bias[..]),
            }
        };
        let affine = |weight: &str, bias: &str| {
            let w = &tensors[weight];
            Affine::pack(isa, w.into(), get(bias), w.shape[0])
        };
        let layers = (0..config.layers)
            .map(|l| Layer {
                vertical: taps(l, Stack::Vertical),
                horizontal: taps(l, Stack::Horizontal),
                between: halves(&names::between(l)),
                residual: affine(&names::residual(l), &names::residual_bias(l)),
            })
            .collect();
        let embed_bias = tensors.get(names::EMBED_BIAS).map_or(Vec::new(), |t| t.data.clone());
        Ok(Self {
            isa,
            embed: get(names::EMBED).to_vec(),
            embed_bias,
            layers,
            head: [0, 1].map(|i| affine(&names::head(i), &names::head_bias(i))),
            config: config.clone(),
            geometry,
            sizes,
        })
    }

    /// Width of a row of parameters.
    fn params(&self) -> usize {
        self.head[1].bias.len()
    }

    /// Keeps pixel x, which the step before filled, and makes ready for the next.
    #[inline]
    fn absorb(&self, state: &mut State, x: Value) {
        if state.done == self.config.grid.len() {
            state.done = 0;
        }
        let Some(t) = state.done.checked_sub(1) else {
            state.class_now = state.class;
            return;
        };
        let width = self.config.embedding;
        let to = &mut state.pixels[t * width..][..width];
        match (self.config.likelihood().input(), x) {
            // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
            (Input::Table { rows }, Value::Symbol(x)) => {
                to.copy_from_slice(&self.embed[usize::from(x).min(rows - 1) * width..][..width]);
            }
            (input, x) => {
                input.write(x, &mut state.numbers);
                to.copy_from_slice(&self.embed_bias);
                for (row, &v) in self.embed.chunks_exact(width).zip(&state.numbers) {
                    to.iter_mut().zip(row).for_each(|(to, e)| *to += v * e);
                }
            }
        }
    }
}

impl Model for PixelCnn {
    type State = State;

    fn likelihood(&self) -> LikelihoodConfig {
        self.config.likelihood()
    }

    fn start(&self) -> Symbol {
        self.config.start
    }

    fn state(&self) -> State {
        let [vertical, horizontal, between] = self.sizes.caches(&self.config).map(Aligned::zeros);
        State {
            done: 0,
            class: 0,
            class_now: 0,
            pixels: vec![0.0; Sizes::pixels(&self.config)],
            vertical,
            horizontal,
            between,
            numbers: vec![0.0; self.config.likelihood().input().numbers()],
            work: Aligned::zeros(self.sizes.work(&self.config, self.sizes.rows(1))),
            params: Aligned::zeros(self.params()),
        }
    }

    /// # Real-time
    /// Touches two numbers: what a cache holds of an image before is never read.
    fn reset(&self, state: &mut State) {
        state.done = 0;
        state.class = 0;
    }

    /// Holds the class for the images that begin after it.
    fn condition(&self, state: &mut State, condition: &Condition) {
        state.class = condition.class.filter(|&c| c < self.config.labels).map_or(0, |c| c + 1);
    }

    fn step<'s>(&self, state: &'s mut State, x: Value) -> &'s [f32] {
        self.absorb(state, x);
        let (mut work, mut params) = (std::mem::take(&mut state.work), std::mem::take(&mut state.params));
        self.isa.run(Step {
            net: self,
            states: std::slice::from_mut(state),
            work: &mut work,
            params: &mut params,
        });
        (state.work, state.params) = (work, params);
        &state.params[..self.config.likelihood().params()]
    }

    fn scratch_len(&self, streams: usize) -> usize {
        streams * self.params() + self.sizes.work(&self.config, self.sizes.rows(streams))
    }

    fn step_many<'s>(&self, states: &mut [State], values: Values, scratch: &'s mut [f32]) -> &'s [f32] {
        assert_eq!(states.len(), values.len(), "a value for every stream");
        let (params, work) = scratch.split_at_mut(states.len() * self.params());
        let mut rest = &mut *params;
        for (i, state) in states.iter_mut().enumerate() {
            self.absorb(state, values.get(i));
        }
        for states in states.chunk_by_mut(|a, b| a.done == b.done) {
            let (here, later) = rest.split_at_mut(states.len() * self.params());
            rest = later;
            self.isa.run(Step { net: self, states, work: &mut *work, params: here });
        }
        params
    }

    fn weight_bytes(&self) -> usize {
        let width = 2 * self.sizes.channels * size_of::<f32>();
        let taps = |t: &Taps| t.weight.as_ref().map_or(0, Panels::bytes) + width;
        let layer =
            |l: &Layer| taps(&l.vertical) + taps(&l.horizontal) + l.between.bytes() + l.residual.bytes();
        let head = self.head.iter().map(Affine::bytes).sum::<usize>();
        self.layers.iter().map(layer).sum::<usize>() + head + self.config.embedding * size_of::<f32>()
    }

    fn state_bytes(&self) -> usize {
        let s = self.state();
        let rows = [&s.vertical, &s.horizontal, &s.between, &s.work, &s.params];
        4 * (rows.iter().map(|r| r.len()).sum::<usize>() + s.pixels.len() + s.numbers.len())
    }

    fn isa(&self) -> &'static str {
        self.isa.name()
    }
}

/// Steps of streams that have done the same number of them.
struct Step<'a> {
    net: &'a PixelCnn,
    states: &'a mut [State],
    /// Buffers for some rows.
    work: &'a mut [f32],
    /// A row for each stream.
    params: &'a mut [f32],
}

/// The buffers of some rows.
struct Work<'a> {
    /// What the taps read, side by side; then a_l without its padding.
    taps: &'a mut [f32],
    /// Sums before a gate [rows, 2C padded].
    sums: &'a mut [f32],
    /// Gated [rows, C padded].
    gated: &'a mut [f32],
    /// h_l [rows, C padded].
    features: &'a mut [f32],
    /// a_l [rows, 2C].
    before: &'a mut [f32],
    /// Inside the head [rows, A padded].
    head: &'a mut [f32],
}

impl Kernel for Step<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, states, work, params } = self;
        let (sizes, c) = (net.sizes, net.config.channels);
        let rows = sizes.rows(states.len());
        let (taps, rest) = work.split_at_mut(rows * sizes.taps + SLACK);
        let (sums, rest) = rest.split_at_mut(rows * 2 * sizes.channels);
        let (gated, rest) = rest.split_at_mut(rows * sizes.channels);
        let (features, rest) = rest.split_at_mut(rows * sizes.channels);
        let (before, rest) = rest.split_at_mut(rows * 2 * c);
        let head = &mut rest[..rows * sizes.head];
        let mut work = Work { taps, sums, gated, features, before, head };
        let t = states[0].done;
        let line = net.geometry.line(t);
        if t == line.start {
            for states in states.chunks_mut(rows / line.len()) {
                net.vertical(s, states, &line, &mut work);
            }
        }
        for (states, params) in states.chunks_mut(rows).zip(params.chunks_mut(rows * net.params())) {
            net.horizontal(s, states, t, &line, &mut work, params);
        }
        for state in states {
            state.done = t + 1;
        }
    }
}

impl PixelCnn {
    /// The vertical stack of `line`, and what it gives the horizontal one, for some streams.
    #[inline(always)]
    fn vertical<S: Simd>(&self, s: S, states: &mut [State], line: &Range<usize>, work: &mut Work) {
        let (c, Sizes { channels, line: longest, reach, .. }) = (self.config.channels, self.sizes);
        let (n, rows) = (line.len(), states.len() * line.len());
        for (l, layer) in self.layers.iter().enumerate() {
            let taps = self.geometry.taps(Stack::Vertical, l);
            let width = taps.len() * self.config.inputs(l);
            let mut at = 0;
            for state in states.iter() {
                for t in line.clone() {
                    let (taps, each, to) = (taps.of(t), self.config.inputs(l), &mut work.taps[at..]);
                    match l.checked_sub(1) {
                        None => gather(s, taps, each, (&state.pixels, each), |u| u, to),
                        Some(below) => {
                            let from = &state.vertical[below * reach * channels..][..reach * channels];
                            gather(s, taps, each, (from, channels), |u| u % reach, to);
                        }
                    }
                    at += width;
                }
            }
            let sums = &mut work.sums[..rows * 2 * channels];
            for (state, sums) in states.iter().zip(sums.chunks_exact_mut(n * 2 * channels)) {
                fill(s, sums, &layer.vertical.bias[state.class_now * 2 * channels..][..2 * channels]);
            }
            multiply(s, layer.vertical.weight.as_ref(), rows, (&*work.taps, width), sums, Then::Store);
            for (to, from) in work.before.chunks_exact_mut(2 * c).zip(sums.chunks_exact(2 * channels)) {
                copy(s, &mut to[..c], &from[..c]);
                copy(s, &mut to[c..], &from[channels..][..c]);
            }
            if l + 1 < self.layers.len() {
                for (state, sums) in states.iter_mut().zip(sums.chunks_exact(n * 2 * channels)) {
                    for (t, sums) in line.clone().zip(sums.chunks_exact(2 * channels)) {
                        let (below, here) = state.vertical.split_at_mut(l * reach * channels);
                        let row = t % reach * channels;
                        let to = &mut here[row..][..channels];
                        gate(s, sums, to);
                        if l > 0 {
                            add(s, to, &below[(l - 1) * reach * channels + row..][..channels]);
                        }
                    }
                }
            }
            for (state, sums) in states.iter().zip(sums.chunks_exact_mut(n * 2 * channels)) {
                fill(s, sums, &layer.horizontal.bias[state.class_now * 2 * channels..][..2 * channels]);
            }
            multiply(s, Some(&layer.between), rows, (&*work.before, 2 * c), sums, Then::Store);
            for (state, sums) in states.iter_mut().zip(sums.chunks_exact(n * 2 * channels)) {
                copy(s, &mut state.between[l * longest * 2 * channels..][..sums.len()], sums);
            }
        }
    }

    /// The horizontal stack and the head of step `t` in `line`, for some streams.
    #[inline(always)]
    fn horizontal<S: Simd>(
        &self,
        s: S,
        states: &mut [State],
        t: usize,
        line: &Range<usize>,
        work: &mut Work,
        params: &mut [f32],
    ) {
        let Sizes { channels, line: longest, head, .. } = self.sizes;
        let (n, at) = (states.len(), t - line.start);
        for (l, layer) in self.layers.iter().enumerate() {
            let taps = self.geometry.taps(Stack::Horizontal, l);
            let width = taps.len() * self.config.inputs(l);
            let mut first = 0;
            for state in states.iter() {
                let (taps, each, to) = (taps.of(t), self.config.inputs(l), &mut work.taps[first..]);
                match l.checked_sub(1) {
                    None => gather(s, taps, each, (&state.pixels, each), |u| u, to),
                    Some(below) => {
                        let from = &state.horizontal[below * longest * channels..][..longest * channels];
                        gather(s, taps, each, (from, channels), |u| u - line.start, to);
                    }
                }
                first += width;
            }
            for (state, sums) in states.iter().zip(work.sums.chunks_exact_mut(2 * channels)) {
                copy(s, sums, &state.between[(l * longest + at) * 2 * channels..][..2 * channels]);
            }
            multiply(s, layer.horizontal.weight.as_ref(), n, (&*work.taps, width), work.sums, Then::Store);
            for (sums, to) in
                work.sums.chunks_exact(2 * channels).zip(work.gated.chunks_exact_mut(channels)).take(n)
            {
                gate(s, sums, to);
            }
            let features = &mut work.features[..n * channels];
            for h in features.chunks_exact_mut(channels) {
                match l {
                    0 => copy(s, h, &layer.residual.bias),
                    _ => add(s, h, &layer.residual.bias),
                }
            }
            let (w, inputs) = (&layer.residual.weight, (&*work.gated, channels));
            multiply(s, Some(w), n, inputs, features, Then::Store);
            if l + 1 < self.layers.len() {
                for (state, h) in states.iter_mut().zip(features.chunks_exact(channels)) {
                    copy(s, &mut state.horizontal[(l * longest + at) * channels..][..channels], h);
                }
            }
        }
        let features = &mut work.features[..n * channels];
        for h in features.chunks_exact_mut(S::LANES) {
            s.store(h, s.max(s.load(h), s.splat(0.0)));
        }
        let x = Rows { data: &*features, stride: channels };
        self.head[0].run(s, n, x, Rows { data: &mut work.head[..n * head], stride: head }, Then::Relu);
        let x = Rows { data: &*work.head, stride: head };
        self.head[1].run(s, n, x, Rows { data: params, stride: self.params() }, Then::Store);
    }
}

/// `row` in every row.
#[inline(always)]
fn fill<S: Simd>(s: S, rows: &mut [f32], row: &[f32]) {
    for to in rows.chunks_exact_mut(row.len()) {
        copy(s, to, row);
    }
}

/// tanh(a)·σ(b) of the two halves of `sums`.
#[inline(always)]
fn gate<S: Simd>(s: S, sums: &[f32], to: &mut [f32]) {
    let (a, b) = sums.split_at(to.len());
    for ((a, b), to) in
        a.chunks_exact(S::LANES).zip(b.chunks_exact(S::LANES)).zip(to.chunks_exact_mut(S::LANES))
    {
        s.store(to, math::gate(s, s.load(a), s.load(b)));
    }
}

/// out = then(out + x W) for the first `rows` rows of x, whose width comes with it.
#[inline(always)]
fn multiply<S: Simd>(
    s: S,
    w: Option<&Panels>,
    rows: usize,
    (x, width): (&[f32], usize),
    out: &mut [f32],
    then: Then,
) {
    let Some(w) = w else { return };
    let stride = w.padded_outputs();
    accumulate_many(s, w, rows, Rows { data: x, stride: width }, Rows { data: out, stride }, then);
}
