//! The layers of encoder and decoder: a product over the neighbourhood of every position, and where its values go.
//!
//! Activations are rows of positions, y · width + x, each exactly as many values as the layer has channels. A layer gathers the
//! k × k neighbourhood of each of its positions into one row, zeros outside the image, and multiplies all rows by one matrix.

use crate::kernels::Simd;
use crate::kernels::panel::add;
use crate::kernels::tile::{Strided, multiply};
use crate::memory;
use crate::order::Grid;
use crate::weights::Init;
use std::ops::Range;

/// What a layer's product reads of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    /// A symbol a position, which picks a row of the matrix.
    Symbols,
    /// Numbers as they are.
    Numbers,
    /// max(0, numbers).
    Rectified,
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layer {
    name: String,
    /// Positions of the input.
    pub from: Grid,
    /// Positions of the product.
    pub to: Grid,
    /// Side of the neighbourhood, k.
    kernel: usize,
    /// From one neighbourhood to the next.
    stride: usize,
    /// Rows and columns of zeros around the input.
    padding: usize,
    /// Numbers of a position of the input, or symbols that there are.
    pub inputs: usize,
    /// Columns of the product.
    pub outputs: usize,
    /// What it reads.
    pub reads: Reads,
    /// Whether the input of the layer before is added: the end of a residual block.
    pub adds: bool,
    /// Whether column (2i + j) C + c of position (y, x) becomes channel c of position (2y + i, 2x + j), C being a quarter of the
    /// columns: depth to space.
    pub shuffles: bool,
}

impl Layer {
    /// 4 × 4 with stride 2, from a grid to one of half its sides.
    pub fn strided(name: &str, (from, to): (Grid, Grid), inputs: usize, outputs: usize) -> Self {
        Self { kernel: 4, stride: 2, to, ..Self::spatial(name, from, inputs, outputs) }
    }

    /// 3 × 3.
    pub fn spatial(name: impl Into<String>, grid: Grid, inputs: usize, outputs: usize) -> Self {
        Self {
            name: name.into(),
            from: grid,
            to: grid,
            kernel: 3,
            stride: 1,
            padding: 1,
            inputs,
            outputs,
            reads: Reads::Rectified,
            adds: false,
            shuffles: false,
        }
    }

    /// 1 × 1.
    pub fn pointwise(name: impl Into<String>, grid: Grid, inputs: usize, outputs: usize) -> Self {
        Self { kernel: 1, padding: 0, ..Self::spatial(name, grid, inputs, outputs) }
    }

    /// The same reading other values than rectified ones.
    pub fn reading(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }

    /// The same as the end of a residual block.
    pub fn adding(self) -> Self {
        Self { adds: true, ..self }
    }

    /// The same with depth to space behind it.
    pub fn shuffling(self) -> Self {
        Self { shuffles: true, ..self }
    }

    /// The name of its matrix [k² inputs, outputs], whose row (dy k + dx) inputs + c reads channel c at (dy, dx) of the
    /// neighbourhood.
    pub fn weight(&self) -> String {
        format!("{}.weight", self.name)
    }

    /// The name of its bias `[outputs]`.
    pub fn bias(&self) -> String {
        format!("{}.bias", self.name)
    }

    /// Positions of a neighbourhood, k².
    pub fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.taps() * self.inputs
    }

    /// First values of the matrix: a residual block begins as nearly nothing.
    pub fn init(&self) -> Init {
        let gain = match (self.reads, self.adds) {
            (_, true) => 0.1,
            (Reads::Rectified, _) => std::f32::consts::SQRT_2,
            _ => 1.0,
        };
        let read = if self.reads == Reads::Symbols { self.taps() } else { self.rows() };
        Init::fan_in(read, gain)
    }

    /// Positions of the output, depth to space done.
    fn out(&self) -> usize {
        self.to.len() * if self.shuffles { 4 } else { 1 }
    }

    /// Values of a position of the output.
    pub fn channels(&self) -> usize {
        self.outputs / if self.shuffles { 4 } else { 1 }
    }

    /// Values of the output.
    pub fn values(&self) -> u64 {
        self.to.len() as u64 * self.outputs as u64
    }

    /// Values that exist while the layer is computed.
    pub fn scratch(&self) -> u64 {
        let gathered = if self.reads == Reads::Symbols { 0 } else { self.rows() as u64 };
        self.to.len() as u64 * (gathered + memory::padded(self.outputs))
    }

    /// Calls `each` with position, place in the neighbourhood and position of the input, for all that lie in the image.
    #[inline(always)]
    pub fn neighbours(&self, mut each: impl FnMut(usize, usize, usize)) {
        let inside = |at: usize, d: usize, end: usize| {
            (at * self.stride + d).checked_sub(self.padding).filter(|&i| i < end)
        };
        for position in 0..self.to.len() {
            let (y, x) = self.to.place(position);
            for dy in 0..self.kernel {
                let Some(from_y) = inside(y, dy, self.from.height) else { continue };
                for dx in 0..self.kernel {
                    let Some(from_x) = inside(x, dx, self.from.width) else { continue };
                    each(position, dy * self.kernel + dx, from_y * self.from.width + from_x);
                }
            }
        }
    }

    /// Every position's neighbourhood in `input` as one row [to, k² inputs].
    #[inline(always)]
    pub fn gather(&self, input: &[f32], to: &mut Vec<f32>) {
        let (rows, n) = (self.rows(), self.inputs);
        to.clear();
        to.resize(self.to.len() * rows, 0.0);
        self.neighbours(|position, tap, from| {
            let to = &mut to[position * rows + tap * n..][..n];
            let from = &input[from * n..][..n];
            match self.reads {
                Reads::Rectified => to.iter_mut().zip(from).for_each(|(to, &x)| *to = x.max(0.0)),
                _ => to.copy_from_slice(from),
            }
        });
    }

    /// The part of a product's row [outputs] that goes to value `range` of the output.
    #[inline(always)]
    fn pieces(&self, mut each: impl FnMut(usize, Range<usize>, Range<usize>)) {
        let (parts, c) = (if self.shuffles { 4 } else { 1 }, self.channels());
        for position in 0..self.to.len() {
            let (y, x) = self.to.place(position);
            for part in 0..parts {
                let to = match self.shuffles {
                    true => (2 * y + part / 2) * 2 * self.to.width + 2 * x + part % 2,
                    false => position,
                };
                each(position, part * c..(part + 1) * c, to * c..(to + 1) * c);
            }
        }
    }

    /// The output of product rows of `columns` values.
    fn place(&self, product: &[f32], columns: usize, to: &mut Vec<f32>) {
        to.resize(self.out() * self.channels(), 0.0);
        self.pieces(|position, part, at| {
            to[at].copy_from_slice(&product[position * columns..][part]);
        });
    }

    /// The way back: product rows of `columns` values, zeros in the padding, of the output's gradient.
    #[cfg(feature = "train")]
    pub fn lift(&self, out: &[f32], columns: usize, product: &mut Vec<f32>) {
        product.clear();
        product.resize(self.to.len() * columns, 0.0);
        self.pieces(|position, part, at| product[position * columns..][part].copy_from_slice(&out[at]));
    }
}

/// A layer's weights, in rows of whole vectors.
#[derive(Clone, Copy)]
pub(super) struct LayerWeights<'a> {
    /// [k² inputs, columns].
    pub weight: &'a [f32],
    /// `[columns]`.
    pub bias: &'a [f32],
}

/// The activations of layers behind one another, and what computes them.
#[derive(Default)]
pub(super) struct Chain {
    /// The input, and the output of each layer.
    pub values: Vec<Vec<f32>>,
    /// Neighbourhoods.
    pub gathered: Vec<f32>,
    product: Vec<f32>,
}

impl Chain {
    /// Where the input of `layers` is to be written.
    pub fn input(&mut self, layers: &[Layer]) -> &mut Vec<f32> {
        self.values.resize_with(layers.len() + 1, Vec::new);
        &mut self.values[0]
    }

    /// The last output.
    pub fn output(&self) -> &[f32] {
        self.values.last().map_or(&[], |v| v)
    }

    /// Computes all layers from [`Chain::input`].
    #[inline(always)]
    pub fn forward<'w, S: Simd>(
        &mut self,
        s: S,
        layers: &[Layer],
        weights: impl Fn(usize) -> LayerWeights<'w>,
    ) {
        for (i, layer) in layers.iter().enumerate() {
            let (before, after) = self.values.split_at_mut(i + 1);
            let (LayerWeights { weight, bias }, input) = (weights(i), &before[i]);
            let (columns, product) = (bias.len(), &mut self.product);
            product.resize(layer.to.len() * columns, 0.0);
            product.chunks_exact_mut(columns).for_each(|row| row.copy_from_slice(bias));
            match layer.reads {
                Reads::Symbols => layer.neighbours(|position, tap, from| {
                    let row = tap * layer.inputs + input[from] as usize;
                    add(
                        s,
                        &mut product[position * columns..][..columns],
                        &weight[row * columns..][..columns],
                    );
                }),
                _ => {
                    let rows = layer.rows();
                    layer.gather(input, &mut self.gathered);
                    let gathered = Strided::rows(&self.gathered, rows);
                    multiply(s, (layer.to.len(), columns, rows), product, gathered, weight);
                }
            }
            layer.place(product, columns, &mut after[0]);
            if layer.adds {
                after[0].iter_mut().zip(&before[i - 1]).for_each(|(to, x)| *to += x);
            }
        }
    }
}

/// The first of K code vectors that is nearest to `z` by the sum of squares. `turned` are the code vectors [D, columns], columns
/// behind the K-th being padding; `distances` are as many.
#[inline(always)]
pub(super) fn nearest(z: &[f32], turned: &[f32], codes: usize, distances: &mut [f32]) -> usize {
    distances.fill(0.0);
    for (&z, row) in z.iter().zip(turned.chunks_exact(distances.len())) {
        for (sum, &e) in distances.iter_mut().zip(row) {
            *sum += (z - e) * (z - e);
        }
    }
    let first = (0, f32::INFINITY);
    distances[..codes]
        .iter()
        .enumerate()
        .fold(first, |best, (k, &d)| if d < best.1 { (k, d) } else { best })
        .0
}
