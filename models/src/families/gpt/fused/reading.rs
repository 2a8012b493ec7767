//! One reading: forward through the blocks, the head and its loss, and back.

use super::attention::{self, Attention};
use super::classifier::ClassTape;
use super::products::{DOWN, OUT, PER_LAYER, Product, QKV, Sizes, UP};
use crate::dropout::Dropout;
use crate::families::gpt::classifier::Classifier;
use crate::families::gpt::norm::{normalise, normed_backward};
use crate::families::gpt::{Config, sites};
use crate::fused::rows::broadcast;
use crate::kernels::panel::add;
use crate::kernels::tile::{Strided, multiply};
use crate::kernels::{Kernel, Simd, math};
use crate::likelihood::Input;
use crate::objective::Window;
use std::ops::Range;

/// Rows that a product takes at a time: their inputs stay in the L2.
const TILE: usize = 128;

/// What one layer keeps of a reading of T rows. Where a gradient takes a buffer over, the forward's values are no longer
/// needed.
#[derive(Default)]
struct LayerTape {
    /// n(r) before gain and bias [T, width], and what it was scaled by `[T]`.
    normed: Vec<f32>,
    scales: Vec<f32>,
    /// q, k and v [T, 3·heads]; then their gradient.
    qkv: Vec<f32>,
    /// ln Σ exp of each row of scores [heads, T].
    log_sums: Vec<f32>,
    /// The heads' outputs [T, heads].
    attended: Vec<f32>,
    /// Gradient of the residual stream behind the attention [T, width].
    d_middle: Vec<f32>,
    /// n(m) and its scale.
    middle_normed: Vec<f32>,
    middle_scales: Vec<f32>,
    /// n(m) W_up + b_up, then gelu' of it, then its gradient [T, 4·width].
    up: Vec<f32>,
    /// gelu of the same [T, 4·width].
    hidden: Vec<f32>,
    /// Gradient of the residual stream behind the layer [T, width].
    d_output: Vec<f32>,
}

/// What a reading keeps: for the backward, and for the gradients of the products.
#[derive(Default)]
pub struct Tape {
    rows: usize,
    layers: Vec<LayerTape>,
    /// n(r_L) before gain and bias [T, width], and its scale.
    normed: Vec<f32>,
    scales: Vec<f32>,
    /// Gradient of the parameters [T, P].
    d_logits: Vec<f32>,
    /// Gradient of r_0 [T, width].
    pub d_input: Vec<f32>,
    /// What the classification head keeps.
    pub class: ClassTape,
}

impl Tape {
    /// Values that a row of one reading keeps, the attention's sums apart.
    pub fn row_len(layers: usize, sizes: Sizes) -> usize {
        let Sizes { width, heads, mlp, params, .. } = sizes;
        layers * (4 * width + 4 * heads + 2 * mlp + 3) + 2 * width + params
    }

    fn size(&mut self, config: &Config, sizes: Sizes, t: usize) {
        let Sizes { width, heads, mlp, params, .. } = sizes;
        self.rows = t;
        self.layers.resize_with(config.layers, LayerTape::default);
        for l in &mut self.layers {
            for v in [&mut l.normed, &mut l.d_middle, &mut l.middle_normed, &mut l.d_output] {
                v.resize(t * width, 0.0);
            }
            l.scales.resize(t, 0.0);
            l.middle_scales.resize(t, 0.0);
            l.qkv.resize(t * 3 * heads, 0.0);
            l.attended.resize(t * heads, 0.0);
            l.log_sums.resize(t * config.heads, 0.0);
            l.up.resize(t * mlp, 0.0);
            l.hidden.resize(t * mlp, 0.0);
        }
        self.normed.resize(t * width, 0.0);
        self.d_input.resize(t * width, 0.0);
        self.scales.resize(t, 0.0);
        self.d_logits.resize(t * params, 0.0);
    }

    /// Rows of the reading, and of them the inputs of product `i` and the gradient of its outputs.
    pub fn operands(&self, i: usize) -> (usize, &[f32], &[f32]) {
        let (x, d) = match self.layers.get(i / PER_LAYER) {
            None => (&self.normed, &self.d_logits),
            Some(l) => match i % PER_LAYER {
                QKV => (&l.normed, &l.qkv),
                OUT => (&l.attended, &l.d_middle),
                UP => (&l.middle_normed, &l.up),
                _ => (&l.hidden, &l.d_output),
            },
        };
        (self.rows, x, d)
    }
}

/// Buffers that a reading overwrites before it reads them.
#[derive(Default)]
pub struct Scratch {
    /// The residual stream [T, width], then its gradient.
    x: Vec<f32>,
    /// Gradient of a product's input, where it is the width and where it is the perceptron's.
    d_narrow: Vec<f32>,
    d_wide: Vec<f32>,
    attention: attention::Scratch,
}

/// The rows that what enters is a sum of, of the model's width.
#[derive(Clone, Copy)]
pub struct InputRows<'a> {
    /// E.
    pub embed: &'a [f32],
    /// P, a row for each position, in the model's own order.
    pub position: &'a [f32],
    /// The tables of positions, for a window with an order of its own.
    pub tables: &'a [&'a [f32]],
    /// The rows of the class labels, where there are any.
    pub labels: &'a [f32],
}

/// One reading's loss and gradient.
pub struct ReadingPass<'a> {
    /// Sizes.
    pub config: &'a Config,
    /// Padded sizes.
    pub sizes: Sizes,
    /// The products, packed.
    pub products: &'a [Product],
    /// What enters.
    pub input: InputRows<'a>,
    /// Dropout and the window's key for it.
    pub masks: Option<(Dropout, u64)>,
    /// The window that is read.
    pub window: &'a Window,
    /// Which rows of it.
    pub rows: Range<usize>,
    /// The first row that counts in the loss.
    pub from: usize,
    /// Weight of one row in the loss's mean.
    pub scale: f32,
    /// The classification head, and the weight of one image in the mean of its loss.
    pub classifier: Option<(Classifier<'a>, f32)>,
    /// Whether a gradient is wanted.
    pub backward: bool,
    /// What it keeps.
    pub tape: &'a mut Tape,
    /// Buffers.
    pub scratch: &'a mut Scratch,
}

impl Kernel for ReadingPass<'_> {
    type Output = f64;

    /// The sum of −ln p over the rows that count, in nats.
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) -> f64 {
        self.tape.size(self.config, self.sizes, self.rows.len());
        self.embed(s);
        for l in 0..self.config.layers {
            self.layer_forward(s, l);
        }
        let nats = self.head(s);
        if self.backward {
            for l in (0..self.config.layers).rev() {
                self.layer_backward(s, l);
            }
            self.tape.d_input.copy_from_slice(&self.scratch.x);
            self.masks().lay(sites::INPUT, &mut self.tape.d_input);
        }
        nats
    }
}

impl ReadingPass<'_> {
    #[inline(always)]
    fn embed<S: Simd>(&mut self, _s: S) {
        let (width, padded) = (self.config.width, self.sizes.width);
        let enters = self.config.likelihood().input();
        let InputRows { embed, position, tables, labels } = self.input;
        let mut numbers = vec![0.0; enters.numbers()];
        let x = &mut self.scratch.x;
        x.clear();
        x.resize(self.rows.len() * padded, 0.0);
        let ordered;
        let position = match self.window.sites.is_empty() {
            true => position,
            false => {
                ordered = self.config.position_sums(self.rows.len(), tables, &self.window.sites);
                &ordered
            }
        };
        let rows = x.chunks_exact_mut(padded).zip(position.chunks_exact(width));
        for ((x, position), t) in rows.zip(self.rows.clone()) {
            match (enters, self.window.input(t)) {
                (Input::Table { .. }, value) => {
                    let embed = &embed[usize::from(value.symbol()) * width..][..width];
                    for ((x, e), p) in x.iter_mut().zip(embed).zip(position) {
                        *x = e + p;
                    }
                }
                (enters, value) => {
                    enters.write(value, &mut numbers);
                    x[..width].copy_from_slice(position);
                    for (v, embed) in numbers.iter().zip(embed.chunks_exact(width)) {
                        x.iter_mut().zip(embed).for_each(|(x, e)| *x += v * e);
                    }
                }
            }
            if let Some(class) = self.window.class.filter(|_| !labels.is_empty()) {
                let label = &labels[class * width..][..width];
                x.iter_mut().zip(label).for_each(|(x, l)| *x += l);
            }
        }
        self.masks().lay(sites::INPUT, &mut self.scratch.x);
    }

    #[inline(always)]
    fn masks(&self) -> Masks {
        Masks { of: self.masks, first: self.rows.start, width: self.sizes.width }
    }

    #[inline(always)]
    fn attention(&self) -> Attention {
        Attention { t: self.rows.len(), width: self.config.head_width(), sizes: self.sizes }
    }

    #[inline(always)]
    fn layer_forward<S: Simd>(&mut self, s: S, l: usize) {
        let (width, attention, masks) = (self.config.width, self.attention(), self.masks());
        let products = &self.products[l * PER_LAYER..][..PER_LAYER];
        let tape = &mut self.tape.layers[l];
        let Scratch { x, d_narrow: added, attention: scratch, .. } = &mut *self.scratch;
        normed_rows(s, x, width, self.sizes.width, &mut tape.normed, &mut tape.scales);
        broadcast(&mut tape.qkv, &products[QKV].bias, attention.t);
        apply(s, &tape.normed, &products[QKV].forward, self.sizes.width, &mut tape.qkv, 3 * self.sizes.heads);
        attention.forward(s, &tape.qkv, &mut tape.attended, &mut tape.log_sums, scratch);
        masks.add(s, sites::attention(l), &tape.attended, &products[OUT], self.sizes.heads, x, added);
        normed_rows(s, x, width, self.sizes.width, &mut tape.middle_normed, &mut tape.middle_scales);
        broadcast(&mut tape.up, &products[UP].bias, attention.t);
        apply(s, &tape.middle_normed, &products[UP].forward, self.sizes.width, &mut tape.up, self.sizes.mlp);
        let pairs = tape.up.chunks_exact_mut(S::LANES).zip(tape.hidden.chunks_exact_mut(S::LANES));
        for (up, hidden) in pairs {
            let (y, slope) = math::gelu(s, s.load(up));
            s.store(hidden, y);
            s.store(up, slope);
        }
        masks.add(s, sites::mlp(l), &tape.hidden, &products[DOWN], self.sizes.mlp, x, added);
    }

    /// The loss; the residual stream becomes its gradient.
    #[inline(always)]
    fn head<S: Simd>(&mut self, s: S) -> f64 {
        let (width, params) = (self.sizes.width, self.sizes.params);
        let head = &self.products[self.config.layers * PER_LAYER];
        let x = &mut self.scratch.x;
        let tape = &mut *self.tape;
        tape.class.read(s, self.classifier, self.window.class, x, width);
        normed_rows(s, x, self.config.width, width, &mut tape.normed, &mut tape.scales);
        let silent = self.from - self.rows.start;
        tape.d_logits[..silent * params].fill(0.0);
        let logits = &mut tape.d_logits[silent * params..];
        for row in logits.chunks_exact_mut(params) {
            row.copy_from_slice(&head.bias);
        }
        apply(s, &tape.normed[silent * width..], &head.forward, width, logits, params);
        let mut nats = 0.0;
        let likelihood = self.config.likelihood();
        for (row, t) in logits.chunks_exact_mut(params).zip(self.from..self.rows.end) {
            nats += likelihood.loss_row(s, row, self.window.target(t), self.scale);
        }
        if self.backward {
            let d = &mut self.scratch.d_narrow;
            d.clear();
            d.resize(x.len(), 0.0);
            apply(s, logits, &head.back, params, &mut d[silent * width..], width);
            x.fill(0.0);
            normed_backward(s, self.config.width, width, d, &tape.normed, &tape.scales, x);
            tape.class.add_gradient(s, x);
        }
        nats
    }

    #[inline(always)]
    fn layer_backward<S: Simd>(&mut self, s: S, l: usize) {
        let (width, padded, attention) = (self.config.width, self.sizes.width, self.attention());
        let masks = self.masks();
        let products = &self.products[l * PER_LAYER..][..PER_LAYER];
        let tape = &mut self.tape.layers[l];
        let Scratch { x: d_x, d_narrow, d_wide, attention: scratch } = &mut *self.scratch;
        tape.d_output.copy_from_slice(d_x);
        masks.lay(sites::mlp(l), &mut tape.d_output);
        zeros(d_wide, tape.up.len());
        apply(s, &tape.d_output, &products[DOWN].back, padded, d_wide, self.sizes.mlp);
        for (up, d) in tape.up.chunks_exact_mut(S::LANES).zip(d_wide.chunks_exact(S::LANES)) {
            s.store(up, s.mul(s.load(up), s.load(d)));
        }
        zeros(d_narrow, d_x.len());
        apply(s, &tape.up, &products[UP].back, self.sizes.mlp, d_narrow, padded);
        normed_backward(s, width, padded, d_narrow, &tape.middle_normed, &tape.middle_scales, d_x);
        tape.d_middle.copy_from_slice(d_x);
        masks.lay(sites::attention(l), &mut tape.d_middle);
        zeros(d_wide, tape.attended.len());
        apply(s, &tape.d_middle, &products[OUT].back, padded, d_wide, self.sizes.heads);
        attention.backward(s, &mut tape.qkv, &tape.attended, d_wide, &tape.log_sums, scratch);
        zeros(d_narrow, d_x.len());
        apply(s, &tape.qkv, &products[QKV].back, 3 * self.sizes.heads, d_narrow, padded);
        normed_backward(s, width, padded, d_narrow, &tape.normed, &tape.scales, d_x);
    }
}

/// The masks of one reading, if there are any.
#[derive(Clone, Copy)]
struct Masks {
    of: Option<(Dropout, u64)>,
    /// The window's row that is the reading's first.
    first: usize,
    /// Width of a row.
    width: usize,
}

impl Masks {
    /// Lays those of `site` over all rows.
    #[inline(always)]
    fn lay(self, site: usize, rows: &mut [f32]) {
        let Some((dropout, key)) = self.of else { return };
        for (i, row) in rows.chunks_exact_mut(self.width).enumerate() {
            dropout.apply(key, site, self.first + i, row);
        }
    }

    /// x += m ∘ (y W + b), for `product` W and b and y of rows of `inputs` values; `added` is overwritten.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "a loop's body, cut out")]
    fn add<S: Simd>(
        self,
        s: S,
        site: usize,
        y: &[f32],
        product: &Product,
        inputs: usize,
        x: &mut [f32],
        added: &mut Vec<f32>,
    ) {
        if self.of.is_none() {
            add_bias(s, x, &product.bias);
            return apply(s, y, &product.forward, inputs, x, self.width);
        }
        broadcast(added, &product.bias, x.len() / self.width);
        apply(s, y, &product.forward, inputs, added, self.width);
        self.lay(site, added);
        add(s, x, added);
    }
}

/// Makes `v` hold `len` zeros.
#[inline(always)]
fn zeros(v: &mut Vec<f32>, len: usize) {
    v.clear();
    v.resize(len, 0.0);
}

/// y += x W, for W [inputs, outputs], in tiles of rows.
#[inline(always)]
fn apply<S: Simd>(s: S, x: &[f32], w: &[f32], inputs: usize, y: &mut [f32], outputs: usize) {
    for (x, y) in x.chunks(TILE * inputs).zip(y.chunks_mut(TILE * outputs)) {
        multiply(s, (y.len() / outputs, outputs, inputs), y, Strided::rows(x, inputs), w);
    }
}

#[inline(always)]
fn add_bias<S: Simd>(s: S, x: &mut [f32], bias: &[f32]) {
    for x in x.chunks_exact_mut(bias.len()) {
        add(s, x, bias);
    }
}

#[inline(always)]
fn normed_rows<S: Simd>(s: S, x: &[f32], width: usize, padded: usize, to: &mut [f32], scales: &mut [f32]) {
    to.copy_from_slice(x);
    for (row, scale) in to.chunks_exact_mut(padded).zip(scales) {
        *scale = normalise(s, row, width);
    }
}
