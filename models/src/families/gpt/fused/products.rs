//! The model's products as the trainer computes them: padded to whole vectors, the norms folded in, each with its
//! transpose for the way back; and from the gradients of those to the gradients of the parameters.

use crate::families::gpt::{Config, names, norm};
use crate::kernels::transpose::{transpose, transposed};
use crate::weights::Layout;
use rayon::prelude::*;

/// An axis of a matrix: groups of columns (heads), each padded to whole vectors.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    groups: usize,
    width: usize,
    padded: usize,
}

impl Axis {
    fn new(groups: usize, width: usize, lanes: usize) -> Self {
        Self { groups, width, padded: width.next_multiple_of(lanes) }
    }

    /// Length with the padding.
    pub fn len(self) -> usize {
        self.groups * self.padded
    }

    /// Padded position of every real index.
    fn places(self) -> impl Iterator<Item = usize> {
        (0..self.groups).flat_map(move |g| (0..self.width).map(move |i| g * self.padded + i))
    }
}

/// Which tensors a product is made of, by their position in the table.
#[derive(Debug)]
struct Source {
    weight: usize,
    bias: Option<usize>,
    gain: Option<usize>,
    shift: Option<usize>,
    /// The weight is stored [outputs, inputs].
    transposed: bool,
    inputs: Axis,
    outputs: Axis,
}

/// Padded sizes of the rows that a reading keeps.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Width of the model.
    pub width: usize,
    /// All heads of one of q, k and v.
    pub heads: usize,
    /// The perceptron.
    pub mlp: usize,
    /// Parameters of the likelihood.
    pub params: usize,
    /// One head.
    pub head: usize,
}

/// Where the products come from.
#[derive(Debug)]
pub struct Products {
    layout: Layout,
    sources: Vec<Source>,
    /// Padded sizes.
    pub sizes: Sizes,
}

/// One product ready for use, and the gradient of it.
#[derive(Default)]
pub struct Product {
    /// [inputs, outputs].
    pub forward: Vec<f32>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
    /// [outputs, inputs].
    pub back: Vec<f32>,
}

/// The gradient of a product.
#[derive(Default)]
pub struct Gradient {
    /// [inputs, outputs].
    pub matrix: Vec<f32>,
    /// `[outputs]`: the sum over rows of the outputs' gradient.
    pub bias: Vec<f32>,
}

/// Position of a layer's products among all.
pub const QKV: usize = 0;
/// The attention's second.
pub const OUT: usize = 1;
/// The perceptron's first.
pub const UP: usize = 2;
/// The perceptron's second.
pub const DOWN: usize = 3;
/// Products of a layer.
pub const PER_LAYER: usize = 4;

impl Products {
    /// The products of `config` for vectors of `lanes`; the head comes last.
    pub fn new(config: &Config, layout: Layout, lanes: usize) -> Self {
        let find = |name: String| layout.table().iter().position(|s| s.name == name);
        let always = |name: String| find(name).expect("the table has every weight of its config");
        let heads = |n| Axis::new(n * config.heads, config.head_width(), lanes);
        let (width, mlp) = (Axis::new(1, config.width, lanes), Axis::new(1, config.mlp_width(), lanes));
        let params = Axis::new(1, config.likelihood().params(), lanes);
        let mut sources = Vec::new();
        for l in 0..config.layers {
            let (attention, perceptron) = (names::attention(l), names::mlp(l));
            for (at, what, normed, inputs, outputs) in [
                (&attention, "qkv", true, width, heads(3)),
                (&attention, "out", false, heads(1), width),
                (&perceptron, "up", true, width, mlp),
                (&perceptron, "down", false, mlp, width),
            ] {
                sources.push(Source {
                    weight: always(names::weight(at, what)),
                    bias: find(names::bias(at, what)),
                    gain: find(names::weight(at, "norm")).filter(|_| normed),
                    shift: find(names::bias(at, "norm")).filter(|_| normed),
                    transposed: false,
                    inputs,
                    outputs,
                });
            }
        }
        sources.push(Source {
            weight: always(if config.tied_head { names::EMBED } else { names::HEAD }.into()),
            bias: None,
            gain: find(names::weight(names::OUTPUT, "norm")),
            shift: find(names::bias(names::OUTPUT, "norm")),
            transposed: config.tied_head,
            inputs: width,
            outputs: params,
        });
        let sizes = Sizes {
            width: width.len(),
            heads: heads(1).len(),
            mlp: mlp.len(),
            params: params.len(),
            head: heads(1).padded,
        };
        Self { layout, sources, sizes }
    }

    /// Where each tensor stands in the flat vector.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Values of all matrices together.
    pub fn len(&self) -> usize {
        self.sources.iter().map(|s| s.inputs.len() * s.outputs.len()).sum()
    }

    fn tensor<'a>(&self, params: &'a [f32], i: usize) -> &'a [f32] {
        &params[self.layout.range_at(i)]
    }

    /// Reads `params` into `products`.
    pub fn pack(&self, params: &[f32], products: &mut Vec<Product>) {
        products.resize_with(self.sources.len(), Product::default);
        products.par_iter_mut().zip(&self.sources).for_each(|(to, source)| {
            let (rows, columns) = (source.inputs.len(), source.outputs.len());
            to.forward.resize(rows * columns, 0.0);
            to.back.resize(rows * columns, 0.0);
            to.bias.clear();
            to.bias.resize(columns, 0.0);
            let optional = |i: Option<usize>| i.map(|i| self.tensor(params, i));
            let stored = self.tensor(params, source.weight);
            let width = source.inputs.groups * source.inputs.width;
            let outputs = stored.len() / width;
            let turned;
            let mut weight = stored;
            if source.transposed {
                turned = transposed(stored, width);
                weight = &turned;
            }
            let mut bias = optional(source.bias).unwrap_or(&[]);
            let folded;
            if let Some(gain) = optional(source.gain) {
                folded = norm::NormParameters { gain, bias: optional(source.shift) }.fold(weight, bias);
                (weight, bias) = (&folded.0, &folded.1);
            }
            for (row, i) in weight.chunks_exact(outputs).zip(source.inputs.places()) {
                scatter(row, source.outputs, &mut to.forward[i * columns..][..columns]);
            }
            if !bias.is_empty() {
                scatter(bias, source.outputs, &mut to.bias);
            }
            transpose(&to.forward, columns, &mut to.back, rows);
        });
    }

    /// Makes `gradients` zero.
    pub fn zero(&self, gradients: &mut Vec<Gradient>) {
        gradients.resize_with(self.sources.len(), Gradient::default);
        gradients.par_iter_mut().zip(&self.sources).for_each(|(g, source)| {
            g.matrix.clear();
            g.matrix.resize(source.inputs.len() * source.outputs.len(), 0.0);
            g.bias.clear();
            g.bias.resize(source.outputs.len(), 0.0);
        });
    }

    /// From the gradients of the folded products to those of their parameters; what no product holds becomes zero.
    pub fn unpack(&self, params: &[f32], gradients: &[Gradient], grads: &mut [f32]) {
        let mut rest = grads;
        let mut pieces = Vec::new();
        for i in 0..self.layout.table().len() {
            let (here, later) = rest.split_at_mut(self.layout.range_at(i).len());
            pieces.push(Some(here));
            rest = later;
        }
        let mut work: Vec<_> = self
            .sources
            .iter()
            .zip(gradients)
            .map(|(source, from)| {
                let mut take = |i: Option<usize>| i.and_then(|i| pieces[i].take()).unwrap_or_default();
                let (weight, bias) = (take(Some(source.weight)), take(source.bias));
                (source, from, weight, bias, take(source.gain), take(source.shift))
            })
            .collect();
        for piece in pieces.into_iter().flatten() {
            piece.fill(0.0);
        }
        work.par_iter_mut().with_max_len(1).for_each(|(source, from, weight, bias, gain, shift)| {
            let (columns, inputs) = (source.outputs.len(), source.inputs.groups * source.inputs.width);
            let outputs = weight.len() / inputs;
            let gather = |row: &[f32], to: &mut [f32]| {
                let parts = row.chunks_exact(source.outputs.padded);
                for (to, from) in to.chunks_exact_mut(source.outputs.width).zip(parts) {
                    to.copy_from_slice(&from[..to.len()]);
                }
            };
            let (mut row, mut sums) = (vec![0.0; outputs], vec![0.0; outputs]);
            gather(&from.bias, &mut sums);
            if !bias.is_empty() {
                bias.copy_from_slice(&sums);
            }
            let old = self.tensor(params, source.weight);
            for (i, at) in source.inputs.places().enumerate() {
                gather(&from.matrix[at * columns..][..columns], &mut row);
                let (start, step) = if source.transposed { (i, inputs) } else { (i * outputs, 1) };
                if let Some(g) = source.gain {
                    let (g, b) =
                        (self.tensor(params, g)[i], source.shift.map_or(0.0, |b| self.tensor(params, b)[i]));
                    let (mut d_gain, mut d_shift) = (0.0, 0.0);
                    let old = old[start..].iter().step_by(step);
                    for ((v, d), w) in row.iter_mut().zip(&sums).zip(old) {
                        d_gain += *v * w;
                        d_shift += d * w;
                        *v = g * *v + b * d;
                    }
                    gain[i] = d_gain;
                    if let Some(to) = shift.get_mut(i) {
                        *to = d_shift;
                    }
                }
                for (to, v) in weight[start..].iter_mut().step_by(step).zip(&row) {
                    *to = *v;
                }
            }
        });
    }
}

/// Brings `row` into the padded places of `axis`.
fn scatter(row: &[f32], axis: Axis, to: &mut [f32]) {
    for (to, from) in to.chunks_exact_mut(axis.padded).zip(row.chunks_exact(axis.width)) {
        to[..axis.width].copy_from_slice(from);
    }
}
