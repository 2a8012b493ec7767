//! The engine: one symbol in, one distribution out, at most two rows of work whatever was read before.
//!
//! Two windows are kept, each with a cache of keys and values per layer and head. The leading one gives the
//! distributions; from its position ⌈C/2⌉ on the other reads along from position 0, and leads once the first is full.
//! Weights are packed once for one instruction set, the norms' biases inside those of the products. A step of several streams
//! is one of their rows, the leading windows' first: every weight that is read meets all of them. Of images, which are as
//! long as the context, there is one window, which begins anew.

use super::attention::{Cache, CacheShape};
use super::norm::{self, normalise, scale};
use super::positions::grid_rows;
use super::{Config, Positions, names};
use crate::ar::{Model, Symbol};
use crate::condition::Condition;
use crate::fixed_length::Labels;
use crate::kernels::affine::Affine;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{Matrix, Panels, Rows, Then, accumulate_many, add, add_weighted};
use crate::kernels::transpose::transposed;
use crate::kernels::{Isa, Kernel, Simd, math};
use crate::likelihood::{Input, LikelihoodConfig, Value, Values};
use crate::weights::{Stored, Tensors, WeightsError, check};

/// A product behind a norm, whose bias is in the product's.
struct Normed {
    /// g [width padded].
    gain: Aligned,
    product: Affine,
}

impl Normed {
    fn bytes(&self) -> usize {
        4 * self.gain.len() + self.product.bytes()
    }
}

struct Layer {
    /// W_qkv, every head padded to whole vectors.
    qkv: Normed,
    out: Affine,
    up: Normed,
    down: Affine,
}

/// Packed weights.
pub struct Gpt {
    isa: Isa,
    config: Config,
    likelihood: LikelihoodConfig,
    input: Input,
    shape: CacheShape,
    /// Widths of the rows that a step works on.
    widths: Widths,
    /// E [rows, width padded].
    embed: Aligned,
    /// P [context, width padded]; empty for a model of any order.
    position: Aligned,
    /// The tables of positions, rows of the width padded, for a model of any order; else empty.
    tables: Vec<Aligned>,
    /// The model's own order, for a model of any order; else empty.
    own_order: Vec<u32>,
    labels: Labels,
    /// The numbers that the value before the first enters as.
    start_numbers: Vec<f32>,
    layers: Vec<Layer>,
    head: Normed,
}

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

/// Widths of the rows of [`Work`], padded.
#[derive(Clone, Copy)]
struct Widths {
    width: usize,
    /// [q | k | v], heads padded.
    qkv: usize,
    mlp: usize,
    /// One head's output.
    head: usize,
    /// Scores of one head.
    scores: usize,
}

impl Widths {
    /// Floats of the work on `rows` rows.
    fn floats(self, rows: usize) -> usize {
        rows * (3 * self.width + self.qkv + self.mlp) + self.head + self.scores
    }

    /// The parts of `buffer`, for `rows` rows.
    #[inline(always)]
    fn work(self, buffer: &mut [f32], rows: usize) -> Work<'_> {
        let (x, rest) = buffer.split_at_mut(rows * self.width);
        let (normed, rest) = rest.split_at_mut(rows * self.width);
        let (attended, rest) = rest.split_at_mut(rows * self.width);
        let (qkv, rest) = rest.split_at_mut(rows * self.qkv);
        let (hidden, rest) = rest.split_at_mut(rows * self.mlp);
        let (head, rest) = rest.split_at_mut(self.head);
        Work { widths: self, x, normed, attended, qkv, hidden, head, scores: &mut rest[..self.scores] }
    }
}

/// The symbols at hand, a row for each window that reads one: the leading windows of all streams, then those that follow.
struct Work<'a> {
    widths: Widths,
    /// r.
    x: &'a mut [f32],
    /// n(r) but for the bias.
    normed: &'a mut [f32],
    /// The heads' outputs side by side.
    attended: &'a mut [f32],
    /// [q | k | v].
    qkv: &'a mut [f32],
    /// gelu(n(m) W_up).
    hidden: &'a mut [f32],
    /// One head's output.
    head: &'a mut [f32],
    /// Scores of one head.
    scores: &'a mut [f32],
}

impl Gpt {
    /// Packs `tensors` for `isa`.
    ///
    /// # Errors
    /// Tensors that are not those of [`Config::table`].
    pub fn new(config: &Config, tensors: &Tensors, isa: Isa) -> Result<Self, WeightsError> {
        check(tensors, &config.table())?;
        let get = |name: &str| &tensors[name].data[..];
        let optional = |name: &str| tensors.get(name).map(|t| &t.data[..]);
        let (w, mlp) = (config.width, config.mlp_width());
        let shape = CacheShape { context: config.context, head: config.head_width(), lanes: isa.lanes() };
        let pack = |values: &[f32], stored: &Stored, bias: &[f32], inputs: usize| {
            Affine::pack(isa, Matrix { values, stored }, bias, inputs)
        };
        // The norm at `at`, and b W + c of the product behind it.
        let norm = |at: &str, weight: &[f32], bias: Option<&[f32]>| {
            let gain = get(&names::weight(at, "norm"));
            let affine = norm::NormParameters { gain, bias: optional(&names::bias(at, "norm")) };
            (pad_rows(gain, w, isa), affine.shift(weight, bias.unwrap_or(&[])))
        };
        let plain = |at: &str, what: &str, inputs: usize| {
            let bias = optional(&names::bias(at, what)).map_or(vec![0.0; w], <[f32]>::to_vec);
            let name = names::weight(at, what);
            pack(get(&name), &tensors[&name].stored, &bias, inputs)
        };
        let layers = (0..config.layers)
            .map(|l| {
                let (attention, perceptron) = (names::attention(l), names::mlp(l));
                let first = |at: &str, what: &str, pad: &dyn Fn(&[f32]) -> Vec<f32>| {
                    let name = names::weight(at, what);
                    let (gain, bias) = norm(at, get(&name), optional(&names::bias(at, what)));
                    let stored = tensors[&name].stored.with_columns(pad);
                    Normed { gain, product: pack(&pad(get(&name)), &stored, &pad(&bias), w) }
                };
                Layer {
                    qkv: first(&attention, "qkv", &|x| pad_heads(x, shape)),
                    out: plain(&attention, "out", w),
                    up: first(&perceptron, "up", &<[f32]>::to_vec),
                    down: plain(&perceptron, "down", mlp),
                }
            })
            .collect();
        let (head, turned) = match config.tied_head {
            true => (names::EMBED, transposed(get(names::EMBED), w)),
            false => (names::HEAD, Aligned::from(get(names::HEAD))),
        };
        let (gain, bias) = norm(names::OUTPUT, &turned, None);
        let (likelihood, whole) = (config.likelihood(), |n: usize| n.next_multiple_of(isa.lanes()));
        let widths = Widths {
            width: whole(w),
            qkv: 3 * config.heads * shape.head_padded(),
            mlp: whole(mlp),
            head: shape.head_padded(),
            scores: shape.scores(),
        };
        Ok(Self {
            isa,
            likelihood,
            input: likelihood.input(),
            shape,
            widths,
            embed: pad_rows(get(names::EMBED), w, isa),
            position: match config.any_order {
                true => Aligned::zeros(0),
                false => pad_rows(&config.position_table(get), w, isa),
            },
            tables: match config.any_order {
                true => {
                    config.position_tables().iter().map(|(name, _)| pad_rows(get(name), w, isa)).collect()
                }
                false => Vec::new(),
            },
            own_order: match config.any_order {
                true => (0..config.context).map(|t| config.order.site(t) as u32).collect(),
                false => Vec::new(),
            },
            labels: Labels::new(optional(names::LABELS), w, whole(w)),
            start_numbers: likelihood.start_numbers(config.start),
            layers,
            head: Normed { gain, product: pack(&turned, &tensors[head].stored, &bias, w) },
            config: config.clone(),
        })
    }

    fn window(&self) -> Window {
        let caches = vec![Cache::new(self.shape); self.layers.len() * self.config.heads];
        Window { filled: 0, caches }
    }

    /// Windows of a stream.
    fn windows(&self) -> usize {
        if self.config.has_fixed_length() { 1 } else { 2 }
    }
}

/// Rows of whole vectors.
fn pad_rows(x: &[f32], width: usize, isa: Isa) -> Aligned {
    let padded = width.next_multiple_of(isa.lanes());
    let mut out = Aligned::zeros(x.len() / width * padded);
    for (to, from) in out.chunks_exact_mut(padded).zip(x.chunks_exact(width)) {
        to[..width].copy_from_slice(from);
    }
    out
}

/// Columns of heads, each padded to whole vectors.
fn pad_heads(x: &[f32], shape: CacheShape) -> Vec<f32> {
    let padding = shape.head_padded() - shape.head;
    x.chunks_exact(shape.head)
        .flat_map(|h| h.iter().copied().chain(std::iter::repeat_n(0.0, padding)))
        .collect()
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
        // Taken out while the stream is one of several, of which there is one.
        let (mut work, mut logits) = (std::mem::take(&mut state.work), std::mem::take(&mut state.logits));
        let values = match &x {
            Value::Symbol(x) => Values::Symbols(std::slice::from_ref(x)),
            Value::Vector(x) => Values::Vectors { dims: x.len(), rows: x },
        };
        let states = std::slice::from_mut(&mut *state);
        self.isa.run(Step { net: self, states, values, work: &mut work, logits: &mut logits });
        (state.work, state.logits) = (work, logits);
        &state.logits[..self.likelihood.params()]
    }

    fn scratch_len(&self, streams: usize) -> usize {
        streams * self.head.product.bias.len() + self.widths.floats(self.windows() * streams)
    }

    fn step_many<'s>(&self, states: &mut [State], values: Values, scratch: &'s mut [f32]) -> &'s [f32] {
        assert_eq!(states.len(), values.len(), "a value for every stream");
        let (logits, work) = scratch.split_at_mut(states.len() * self.head.product.bias.len());
        self.isa.run(Step { net: self, states, values, work, logits });
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

mod group;

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
}

impl Kernel for Step<'_> {
    type Output = ();
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, states, values, work, logits } = self;
        let (config, count) = (&net.config, states.len());
        let (stride, mut reading) = (config.stride(), count);
        for state in states.iter_mut() {
            state.turn(config);
            reading += usize::from(state.is_followed(stride));
        }
        let mut work = net.widths.work(work, reading);
        net.enter(s, states, values, &mut work);
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

impl Gpt {
    /// A layer over the first `reading` rows, of which the perceptron takes the first `rows`; `attend` keeps keys and values and
    /// attends.
    #[inline(always)]
    fn block<S: Simd>(
        &self,
        s: S,
        layer: &Layer,
        work: &mut Work,
        (reading, rows): (usize, usize),
        attend: impl FnOnce(S, &mut Work),
    ) {
        let width = work.widths.width;
        normalised(s, &self.config, &layer.qkv.gain, work, reading);
        biased(&layer.qkv.product, work.qkv, reading);
        multiply(s, &layer.qkv.product.weight, reading, (&*work.normed, width), work.qkv);
        attend(s, work);
        for x in work.x.chunks_exact_mut(width).take(rows) {
            add(s, x, &layer.out.bias);
        }
        multiply(s, &layer.out.weight, rows, (&*work.attended, width), work.x);
        normalised(s, &self.config, &layer.up.gain, work, rows);
        biased(&layer.up.product, work.hidden, rows);
        multiply(s, &layer.up.product.weight, rows, (&*work.normed, width), work.hidden);
        for v in work.hidden[..work.widths.mlp * rows].chunks_exact_mut(S::LANES) {
            s.store(v, math::gelu(s, s.load(v)).0);
        }
        for x in work.x.chunks_exact_mut(width).take(rows) {
            add(s, x, &layer.down.bias);
        }
        multiply(s, &layer.down.weight, rows, (&*work.hidden, work.widths.mlp), work.x);
    }

    /// Parameters of the first `rows` rows.
    #[inline(always)]
    fn outputs<S: Simd>(&self, s: S, work: &mut Work, rows: usize, logits: &mut [f32]) {
        normalised(s, &self.config, &self.head.gain, work, rows);
        biased(&self.head.product, logits, rows);
        multiply(s, &self.head.product.weight, rows, (&*work.normed, work.widths.width), logits);
    }

    /// The rows that what enters gives: its embedding, position and label.
    #[inline(always)]
    fn enter<S: Simd>(&self, s: S, states: &mut [State], values: Values, work: &mut Work) {
        let (width, stride) = (work.widths.width, self.config.stride());
        let mut follower = states.len();
        for (i, state) in states.iter_mut().enumerate() {
            let row = &mut work.x[i * width..][..width];
            self.embed(s, values.get(i), state.anew, &mut state.numbers, row);
            let followed = state.is_followed(stride);
            if followed {
                work.x.copy_within(i * width..(i + 1) * width, follower * width);
                let at = state.window(true).filled;
                self.place(s, (at, &state.sites), state.class, &mut work.x[follower * width..][..width]);
                follower += 1;
            }
            let at = state.window(false).filled;
            self.place(s, (at, &state.sites), state.class, &mut work.x[i * width..][..width]);
        }
    }

    /// The row of x, or where `anew` that of the start: what follows the last variable begins anew, and its past is empty.
    #[inline(always)]
    fn embed<S: Simd>(&self, s: S, x: Value, anew: bool, numbers: &mut [f32], row: &mut [f32]) {
        match self.input {
            Input::Table { rows } => {
                let symbol = if anew { self.config.start } else { x.symbol() };
                // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
                let symbol = usize::from(symbol).min(rows - 1);
                row.copy_from_slice(&self.embed[symbol * row.len()..][..row.len()]);
            }
            input => {
                match anew {
                    true => numbers.copy_from_slice(&self.start_numbers),
                    false => input.write(x, numbers),
                }
                row.fill(0.0);
                add_weighted(s, row, &self.embed, numbers);
            }
        }
    }

    /// Adds the rows of the pixel that is wanted and of the one that enters.
    #[inline(always)]
    fn place_on_grid<S: Simd>(&self, s: S, wanted: u32, entering: Option<u32>, row: &mut [f32]) {
        let Positions::Grid(grid) = self.config.positions else { return };
        let rows = grid_rows(grid, wanted as usize, entering.map(|site| site as usize));
        for (table, at) in self.tables.iter().zip(rows) {
            if let Some(at) = at {
                add(s, row, &table[at * row.len()..][..row.len()]);
            }
        }
    }

    /// Adds the position `at` of an order and the label to a row.
    #[inline(always)]
    fn place<S: Simd>(&self, s: S, (at, sites): (usize, &[u32]), class: Option<usize>, row: &mut [f32]) {
        match sites {
            [] => add(s, row, &self.position[at * row.len()..][..row.len()]),
            sites => self.place_on_grid(s, sites[at], at.checked_sub(1).map(|t| sites[t]), row),
        }
        if self.config.labels > 0 {
            add(s, row, self.labels.row(class));
        }
    }
}

/// to += x W for the first `rows` rows; those of `x` come with their width.
#[inline(always)]
fn multiply<S: Simd>(s: S, weight: &Panels, rows: usize, (x, stride): (&[f32], usize), to: &mut [f32]) {
    let to = Rows { data: to, stride: weight.padded_outputs() };
    accumulate_many(s, weight, rows, Rows { data: x, stride }, to, Then::Store);
}

/// The product's bias to the first `rows` rows.
#[inline(always)]
fn biased(product: &Affine, to: &mut [f32], rows: usize) {
    for to in to.chunks_exact_mut(product.bias.len()).take(rows) {
        to.copy_from_slice(&product.bias);
    }
}

/// n(r) of the first `rows` rows, but for the norm's bias.
#[inline(always)]
fn normalised<S: Simd>(s: S, config: &Config, gain: &[f32], work: &mut Work, rows: usize) {
    let width = work.widths.width;
    let both = work.normed.chunks_exact_mut(width).zip(work.x.chunks_exact(width));
    for (normed, x) in both.take(rows) {
        normed.copy_from_slice(x);
        normalise(s, normed, config.width);
        scale(s, normed, gain);
    }
}

/// Keeps the keys and values of row `i` in layer `l`'s caches at position `at`, and attends where the output is `wanted`.
#[inline(always)]
fn attention<S: Simd>(
    s: S,
    net: &Gpt,
    (at, window, l): (usize, &mut Window, usize),
    work: &mut Work,
    i: usize,
    wanted: bool,
) {
    let (shape, heads) = (net.shape, net.config.heads);
    let width = shape.head_padded();
    let Work { widths, qkv, attended, head, scores, .. } = work;
    let qkv = &qkv[i * widths.qkv..][..widths.qkv];
    let attended = &mut attended[i * widths.width..][..widths.width];
    for (h, cache) in window.caches[l * heads..(l + 1) * heads].iter_mut().enumerate() {
        let part = |i: usize| (i * heads + h) * width..(i * heads + h + 1) * width;
        cache.put(s, shape, at, &qkv[part(1)], &qkv[part(2)]);
        if wanted {
            let query = &qkv[part(0)][..shape.head];
            cache.attend(s, shape, at, query, scores, head);
            attended[h * shape.head..(h + 1) * shape.head].copy_from_slice(&head[..shape.head]);
        }
    }
}
