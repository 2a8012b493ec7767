//! The engine: one symbol in, one distribution out, at most two rows of work whatever was read before.
//!
//! Two windows are kept, each with a cache of keys and values per layer and head. The leading one gives the
//! distributions; from its position ⌈C/2⌉ on the other reads along from position 0, and leads once the first is full.
//! Weights are packed once for one instruction set, the norms' gains and biases inside them; both rows meet a matrix
//! while it is in the cache.

use super::attention::{Cache, Shape};
use super::norm::{self, normalise};
use super::{Config, names};
use crate::ar::{Likelihood, Model, Symbol};
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{Panels, Then, accumulate, product};
use crate::kernels::{Isa, Kernel, Simd, math};
use crate::weights::{Tensors, WeightsError, check};

/// A product with its bias.
struct Affine {
    weight: Panels,
    /// [out], packed order.
    bias: Aligned,
}

impl Affine {
    fn bytes(&self) -> usize {
        self.weight.bytes() + 4 * self.bias.len()
    }
}

struct Layer {
    /// diag(g) W_qkv, every head padded to whole vectors.
    qkv: Affine,
    out: Affine,
    /// diag(g) W_up.
    up: Affine,
    down: Affine,
}

/// Packed weights.
pub struct Gpt {
    isa: Isa,
    config: Config,
    shape: Shape,
    /// E [classes, width padded].
    embed: Aligned,
    /// P [context, width padded].
    position: Aligned,
    layers: Vec<Layer>,
    /// diag(g) W_head.
    head: Affine,
}

/// What changes while a stream runs.
#[derive(Clone)]
pub struct State {
    windows: [Window; 2],
    /// The window that gives the distributions.
    leading: usize,
    /// Scores of one head.
    scores: Aligned,
    /// [classes padded].
    logits: Aligned,
}

/// A window of the text: what was read of it, and the row at hand.
#[derive(Clone)]
struct Window {
    /// Symbols read.
    filled: usize,
    /// One for each head of each layer.
    caches: Vec<Cache>,
    /// r [width padded].
    x: Aligned,
    /// n(r) [width padded].
    normed: Aligned,
    /// [q | k | v], heads padded.
    qkv: Aligned,
    /// One head's output, padded.
    head: Aligned,
    /// The heads' outputs side by side [width].
    attended: Aligned,
    /// gelu(n(m) W_up) [4·width padded].
    hidden: Aligned,
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
        let shape = Shape { context: config.context, head: config.head_width(), lanes: isa.lanes() };
        let pack = |weight: &[f32], bias: &[f32], inputs: usize| {
            let weight = Panels::pack(isa, weight, inputs, bias.len());
            Affine { bias: weight.order(bias), weight }
        };
        let normed = |at: &str, weight: &[f32], bias: Option<&[f32]>| {
            let gain = get(&names::weight(at, "norm"));
            let affine = norm::Affine { gain, bias: optional(&names::bias(at, "norm")) };
            affine.fold(weight, bias.unwrap_or(&[]))
        };
        let plain = |at: &str, what: &str, inputs: usize| {
            let bias = optional(&names::bias(at, what)).map_or(vec![0.0; w], <[f32]>::to_vec);
            pack(get(&names::weight(at, what)), &bias, inputs)
        };
        let layers = (0..config.layers)
            .map(|l| {
                let (attention, perceptron) = (names::attention(l), names::mlp(l));
                let first = |at: &str, what: &str| {
                    normed(at, get(&names::weight(at, what)), optional(&names::bias(at, what)))
                };
                let (qkv, qkv_bias) = first(&attention, "qkv");
                let (up, up_bias) = first(&perceptron, "up");
                Layer {
                    qkv: pack(&pad_heads(&qkv, shape), &pad_heads(&qkv_bias, shape), w),
                    out: plain(&attention, "out", w),
                    up: pack(&up, &up_bias, w),
                    down: plain(&perceptron, "down", mlp),
                }
            })
            .collect();
        let head = if config.tied_head { transpose(get(names::EMBED), w) } else { get(names::HEAD).to_vec() };
        let (head, head_bias) = normed(names::OUTPUT, &head, None);
        Ok(Self {
            isa,
            config: config.clone(),
            shape,
            embed: pad_rows(get(names::EMBED), w, isa),
            position: pad_rows(get(names::POSITION), w, isa),
            layers,
            head: pack(&head, &head_bias, w),
        })
    }

    fn window(&self) -> Window {
        let (lanes, head) = (self.isa.lanes(), self.shape.head_padded());
        let width = self.config.width.next_multiple_of(lanes);
        Window {
            filled: 0,
            caches: vec![Cache::new(self.shape); self.layers.len() * self.config.heads],
            x: Aligned::zeros(width),
            normed: Aligned::zeros(width),
            qkv: Aligned::zeros(3 * self.config.heads * head),
            head: Aligned::zeros(head),
            attended: Aligned::zeros(self.config.width),
            hidden: Aligned::zeros(self.config.mlp_width().next_multiple_of(lanes)),
        }
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
fn pad_heads(x: &[f32], shape: Shape) -> Vec<f32> {
    let padding = shape.head_padded() - shape.head;
    x.chunks_exact(shape.head)
        .flat_map(|h| h.iter().copied().chain(std::iter::repeat_n(0.0, padding)))
        .collect()
}

/// [width, rows] of rows of `width` values.
fn transpose(x: &[f32], width: usize) -> Vec<f32> {
    (0..width).flat_map(|i| x.iter().skip(i).step_by(width).copied()).collect()
}

impl Model for Gpt {
    type State = State;

    fn likelihood(&self) -> Likelihood {
        Likelihood::Categorical { classes: self.config.classes }
    }

    fn start(&self) -> Symbol {
        self.config.start
    }

    fn state(&self) -> State {
        State {
            windows: [self.window(), self.window()],
            leading: 0,
            scores: Aligned::zeros(self.shape.scores()),
            logits: self.head.bias.clone(),
        }
    }

    /// # Real-time
    /// Touches two counters: what a cache holds beyond them is never read.
    fn reset(&self, state: &mut State) {
        state.leading = 0;
        for window in &mut state.windows {
            window.filled = 0;
        }
    }

    fn step<'s>(&self, state: &'s mut State, x: Symbol) -> &'s [f32] {
        self.isa.run(Step { net: self, state, x });
        &state.logits[..self.config.classes]
    }

    fn weight_bytes(&self) -> usize {
        let layer = |l: &Layer| [&l.qkv, &l.out, &l.up, &l.down].map(Affine::bytes).iter().sum::<usize>();
        self.layers.iter().map(layer).sum::<usize>() + self.head.bytes()
    }

    fn state_bytes(&self) -> usize {
        let w = self.window();
        let rows = [&w.x, &w.normed, &w.qkv, &w.head, &w.attended, &w.hidden];
        let window = w.caches.iter().map(Cache::bytes).sum::<usize>()
            + 4 * rows.iter().map(|r| r.len()).sum::<usize>();
        2 * window + 4 * (self.shape.scores() + self.head.bias.len())
    }

    fn isa(&self) -> &'static str {
        self.isa.name()
    }
}

struct Step<'a> {
    net: &'a Gpt,
    state: &'a mut State,
    x: Symbol,
}

impl Kernel for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, state, x } = self;
        let config = &net.config;
        if state.windows[state.leading].filled == config.context {
            state.windows[state.leading].filled = 0;
            state.leading ^= 1;
        }
        let State { windows: [a, b], leading, scores, logits } = state;
        let (lead, follow) = if *leading == 0 { (a, b) } else { (b, a) };
        let mut windows = [lead, follow];
        let reading = if windows[0].filled >= config.stride() { 2 } else { 1 };
        let windows = &mut windows[..reading];
        // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
        let symbol = (x as usize).min(config.classes - 1);
        for w in windows.iter_mut() {
            let n = w.x.len();
            w.x.copy_from_slice(&net.embed[symbol * n..][..n]);
            add(s, &mut w.x, &net.position[w.filled * n..][..n]);
        }
        let heads = config.heads;
        for (l, layer) in net.layers.iter().enumerate() {
            for (i, w) in windows.iter_mut().enumerate() {
                normalised(s, config, w);
                let inputs = &w.normed[..config.width];
                product(s, &layer.qkv.weight, inputs, &layer.qkv.bias, &mut w.qkv, Then::Store);
                // Of the last layer the following window needs nothing but keys and values.
                let alone = i > 0 && l + 1 == net.layers.len();
                attention(s, net, w, l * heads, scores, !alone);
            }
            let rows = if l + 1 == net.layers.len() { 1 } else { windows.len() };
            for w in &mut windows[..rows] {
                add(s, &mut w.x, &layer.out.bias);
                accumulate(s, &layer.out.weight, &w.attended, &mut w.x, Then::Store);
            }
            for w in &mut windows[..rows] {
                normalised(s, config, w);
                let inputs = &w.normed[..config.width];
                product(s, &layer.up.weight, inputs, &layer.up.bias, &mut w.hidden, Then::Store);
                for v in w.hidden.chunks_exact_mut(S::LANES) {
                    s.store(v, math::gelu(s, s.load(v)).0);
                }
            }
            for w in &mut windows[..rows] {
                add(s, &mut w.x, &layer.down.bias);
                let hidden = &w.hidden[..layer.down.weight.inputs()];
                accumulate(s, &layer.down.weight, hidden, &mut w.x, Then::Store);
            }
        }
        for w in windows.iter_mut() {
            w.filled += 1;
        }
        let lead = &mut *windows[0];
        normalised(s, config, lead);
        let inputs = &lead.normed[..config.width];
        product(s, &net.head.weight, inputs, &net.head.bias, logits, Then::Store);
    }
}

/// x += y.
#[inline(always)]
fn add<S: Simd>(s: S, x: &mut [f32], y: &[f32]) {
    for (x, y) in x.chunks_exact_mut(S::LANES).zip(y.chunks_exact(S::LANES)) {
        s.store(x, s.add(s.load(x), s.load(y)));
    }
}

#[inline(always)]
fn normalised<S: Simd>(s: S, config: &Config, w: &mut Window) {
    w.normed.copy_from_slice(&w.x);
    normalise(s, &mut w.normed, config.width);
}

/// Keeps the row's keys and values in the caches from `first` on, and attends where the output is `wanted`.
#[inline(always)]
fn attention<S: Simd>(s: S, net: &Gpt, w: &mut Window, first: usize, scores: &mut [f32], wanted: bool) {
    let (shape, heads) = (net.shape, net.config.heads);
    let width = shape.head_padded();
    for (h, cache) in w.caches[first..first + heads].iter_mut().enumerate() {
        let part = |i: usize| (i * heads + h) * width..(i * heads + h + 1) * width;
        cache.put(s, shape, w.filled, &w.qkv[part(1)], &w.qkv[part(2)]);
        if wanted {
            let query = &w.qkv[part(0)][..shape.head];
            cache.attend(s, shape, w.filled, query, scores, &mut w.head);
            w.attended[h * shape.head..(h + 1) * shape.head].copy_from_slice(&w.head[..shape.head]);
        }
    }
}
