//! The engine: one symbol in, one distribution out, at most two rows of work whatever was read before.
//!
//! Two windows are kept, each with a cache of keys and values per layer and head. The leading one gives the
//! distributions; from its position ⌈C/2⌉ on the other reads along from position 0, and leads once the first is full.
//! Weights are packed once for one instruction set, the norms' biases inside those of the products; both windows' rows
//! meet every weight that is read.

use super::attention::{Cache, CacheShape};
use super::norm::{self, normalise, scale};
use super::{Config, names};
use crate::ar::{Model, Symbol};
use crate::kernels::affine::Affine;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{Matrix, Panels, Rows, Then, accumulate_many, add};
use crate::kernels::transpose::transposed;
use crate::kernels::{Isa, Kernel, Simd, math};
use crate::likelihood::{LikelihoodConfig, Value};
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
    shape: CacheShape,
    /// E [classes, width padded].
    embed: Aligned,
    /// P [context, width padded].
    position: Aligned,
    layers: Vec<Layer>,
    head: Normed,
}

/// What changes while a stream runs.
#[derive(Clone)]
pub struct State {
    windows: [Window; 2],
    /// The window that gives the distributions.
    leading: usize,
    work: Work,
    /// [classes padded].
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

/// The symbol at hand: of each window a row, that of the leading one first.
#[derive(Clone)]
struct Work {
    /// r [2, width padded].
    x: Aligned,
    /// n(r) but for the bias [2, width padded].
    normed: Aligned,
    /// [q | k | v], heads padded: [2, 3·heads].
    qkv: Aligned,
    /// The heads' outputs side by side [2, width].
    attended: Aligned,
    /// gelu(n(m) W_up) [2, 4·width padded].
    hidden: Aligned,
    /// One head's output, padded.
    head: Aligned,
    /// Scores of one head.
    scores: Aligned,
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
        Ok(Self {
            isa,
            config: config.clone(),
            shape,
            embed: pad_rows(get(names::EMBED), w, isa),
            position: pad_rows(get(names::POSITION), w, isa),
            layers,
            head: Normed { gain, product: pack(&turned, &tensors[head].stored, &bias, w) },
        })
    }

    fn window(&self) -> Window {
        let caches = vec![Cache::new(self.shape); self.layers.len() * self.config.heads];
        Window { filled: 0, caches }
    }

    fn work(&self) -> Work {
        let (lanes, head) = (self.isa.lanes(), self.shape.head_padded());
        let width = self.config.width.next_multiple_of(lanes);
        Work {
            x: Aligned::zeros(2 * width),
            normed: Aligned::zeros(2 * width),
            qkv: Aligned::zeros(2 * 3 * self.config.heads * head),
            attended: Aligned::zeros(2 * self.config.width),
            hidden: Aligned::zeros(2 * self.config.mlp_width().next_multiple_of(lanes)),
            head: Aligned::zeros(head),
            scores: Aligned::zeros(self.shape.scores()),
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
fn pad_heads(x: &[f32], shape: CacheShape) -> Vec<f32> {
    let padding = shape.head_padded() - shape.head;
    x.chunks_exact(shape.head)
        .flat_map(|h| h.iter().copied().chain(std::iter::repeat_n(0.0, padding)))
        .collect()
}

impl Model for Gpt {
    type State = State;

    fn likelihood(&self) -> LikelihoodConfig {
        LikelihoodConfig::of(None, self.config.classes)
    }

    fn start(&self) -> Symbol {
        self.config.start
    }

    fn state(&self) -> State {
        State {
            windows: [self.window(), self.window()],
            leading: 0,
            work: self.work(),
            logits: self.head.product.bias.clone(),
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

    fn step<'s>(&self, state: &'s mut State, x: Value) -> &'s [f32] {
        let x = x.symbol();
        self.isa.run(Step { net: self, state, x });
        &state.logits[..self.config.classes]
    }

    fn weight_bytes(&self) -> usize {
        let layer = |l: &Layer| l.qkv.bytes() + l.out.bytes() + l.up.bytes() + l.down.bytes();
        self.layers.iter().map(layer).sum::<usize>() + self.head.bytes()
    }

    fn state_bytes(&self) -> usize {
        let window = self.window().caches.iter().map(Cache::bytes).sum::<usize>();
        let w = self.work();
        let rows =
            [&w.x, &w.normed, &w.qkv, &w.attended, &w.hidden, &w.head, &w.scores, &self.head.product.bias];
        2 * window + 4 * rows.iter().map(|r| r.len()).sum::<usize>()
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
    const INTEGER: bool = true;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { net, state, x } = self;
        let config = &net.config;
        if state.windows[state.leading].filled == config.context {
            state.windows[state.leading].filled = 0;
            state.leading ^= 1;
        }
        let State { windows: [a, b], leading, work, logits } = state;
        let (lead, follow) = if *leading == 0 { (a, b) } else { (b, a) };
        let mut windows = [lead, follow];
        let reading = if windows[0].filled >= config.stride() { 2 } else { 1 };
        let windows = &mut windows[..reading];
        // A symbol beyond the classes can come from a caller's mistake only; it is read as the last one.
        let symbol = (x as usize).min(config.classes - 1);
        let width = work.x.len() / 2;
        for (x, w) in work.x.chunks_exact_mut(width).zip(windows.iter()) {
            x.copy_from_slice(&net.embed[symbol * width..][..width]);
            add(s, x, &net.position[w.filled * width..][..width]);
        }
        for (l, layer) in net.layers.iter().enumerate() {
            normalised(s, config, &layer.qkv.gain, work, reading);
            biased(&layer.qkv.product, &mut work.qkv, reading);
            multiply(s, &layer.qkv.product.weight, reading, &work.normed, &mut work.qkv);
            // Of the last layer the following window needs nothing but keys and values.
            let rows = if l + 1 == net.layers.len() { 1 } else { reading };
            for (i, w) in windows.iter_mut().enumerate() {
                attention(s, net, (w, l), work, i, i < rows);
            }
            for x in work.x.chunks_exact_mut(width).take(rows) {
                add(s, x, &layer.out.bias);
            }
            multiply(s, &layer.out.weight, rows, &work.attended, &mut work.x);
            normalised(s, config, &layer.up.gain, work, rows);
            biased(&layer.up.product, &mut work.hidden, rows);
            multiply(s, &layer.up.product.weight, rows, &work.normed, &mut work.hidden);
            let read = work.hidden.len() / 2 * rows;
            for v in work.hidden[..read].chunks_exact_mut(S::LANES) {
                s.store(v, math::gelu(s, s.load(v)).0);
            }
            for x in work.x.chunks_exact_mut(width).take(rows) {
                add(s, x, &layer.down.bias);
            }
            multiply(s, &layer.down.weight, rows, &work.hidden, &mut work.x);
        }
        for w in windows.iter_mut() {
            w.filled += 1;
        }
        normalised(s, config, &net.head.gain, work, 1);
        logits.copy_from_slice(&net.head.product.bias);
        multiply(s, &net.head.product.weight, 1, &work.normed, logits);
    }
}

/// to += x W for the first `rows` rows; `x` holds two, and `to` two or as many as `rows`.
#[inline(always)]
fn multiply<S: Simd>(s: S, weight: &Panels, rows: usize, x: &[f32], to: &mut [f32]) {
    let x = Rows { data: x, stride: x.len() / 2 };
    let to = Rows { data: to, stride: weight.padded_outputs() };
    accumulate_many(s, weight, rows, x, to, Then::Store);
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
    let width = work.x.len() / 2;
    let both = work.normed.chunks_exact_mut(width).zip(work.x.chunks_exact(width));
    for (normed, x) in both.take(rows) {
        normed.copy_from_slice(x);
        normalise(s, normed, config.width);
        scale(s, normed, gain);
    }
}

/// Keeps the keys and values of row `i` in layer `l`'s caches, and attends where the output is `wanted`.
#[inline(always)]
fn attention<S: Simd>(
    s: S,
    net: &Gpt,
    (window, l): (&mut Window, usize),
    work: &mut Work,
    i: usize,
    wanted: bool,
) {
    let (shape, heads) = (net.shape, net.config.heads);
    let width = shape.head_padded();
    let Work { qkv, attended, head, scores, .. } = work;
    let qkv = &qkv[i * 3 * heads * width..][..3 * heads * width];
    let attended = &mut attended[i * heads * shape.head..][..heads * shape.head];
    for (h, cache) in window.caches[l * heads..(l + 1) * heads].iter_mut().enumerate() {
        let part = |i: usize| (i * heads + h) * width..(i * heads + h + 1) * width;
        cache.put(s, shape, window.filled, &qkv[part(1)], &qkv[part(2)]);
        if wanted {
            let query = &qkv[part(0)][..shape.head];
            cache.attend(s, shape, window.filled, query, scores, head);
            attended[h * shape.head..(h + 1) * shape.head].copy_from_slice(&head[..shape.head]);
        }
    }
}
