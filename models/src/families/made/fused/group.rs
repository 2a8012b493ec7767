//! One group of windows: forward through the layers, the loss, and back.

use super::Places;
use super::masked::{NONE, Values};
use crate::dropout::{Dropout, Masks};
use crate::families::made::Config;
use crate::fused::padded::Weights;
use crate::fused::rows::pass_where_positive;
use crate::fused::size;
use crate::kernels::panel::{add, rectify};
use crate::kernels::{Kernel, Simd};
use crate::likelihood::{Input, Value};
use crate::objective::Window;
use std::ops::Range;

/// Symbols of a table up to which they are multiplied as ones and zeros: a product costs less than so many rows that are
/// looked up one by one.
const FEW: usize = 4;

/// What a group of B windows keeps for the gradients of the matrices.
#[derive(Default)]
pub struct Tape {
    /// The values that enter, as numbers or ones and zeros [B, (N − 1) rows]; empty where they are symbols.
    numbers: Vec<f32>,
    /// The symbols that enter [B, N − 1].
    symbols: Vec<u32>,
    /// Rows of a step.
    rows: usize,
    /// h_l [B, H_l], without what dropout takes.
    hidden: Vec<Vec<f32>>,
    /// Gradient of the sums before each relu, and of the parameters [B, N · P].
    slopes: Vec<Vec<f32>>,
    /// Widths of these.
    widths: Vec<usize>,
    /// Values that enter.
    inputs: usize,
}

impl Tape {
    /// Values that a window keeps.
    pub fn row_len(config: &Config, places: &Places) -> usize {
        let units: usize = places.layers.iter().map(|(m, _)| 2 * m.matrix.columns).sum();
        let rows = config.likelihood().input().rows();
        units + places.output.0.matrix.columns + config.steps() * rows.min(FEW)
    }

    fn size(&mut self, config: &Config, places: &Places, count: usize) {
        let input = config.likelihood().input();
        let widths = places.layers.iter().map(|(m, _)| m.matrix.columns);
        self.widths = widths.chain([places.output.0.matrix.columns]).collect();
        self.hidden.resize(config.hidden.len(), Vec::new());
        self.slopes.resize(self.widths.len(), Vec::new());
        for (h, width) in self.hidden.iter_mut().zip(&self.widths) {
            size(h, count * width);
        }
        for (d, width) in self.slopes.iter_mut().zip(&self.widths) {
            size(d, count * width);
        }
        self.rows = input.rows();
        let steps = config.steps() - 1;
        match input {
            Input::Table { rows } if rows > FEW => {
                self.inputs = steps;
                self.symbols.clear();
                self.symbols.resize(count * steps, NONE);
            }
            _ => {
                self.inputs = steps * self.rows;
                self.numbers.clear();
                self.numbers.resize(count * self.inputs, 0.0);
            }
        }
    }

    /// What layer `l` reads, or what the outputs read for l = the number of layers.
    #[inline(always)]
    pub fn values(&self, l: usize) -> Values<'_> {
        match l.checked_sub(1) {
            Some(below) => Values::Dense { rows: &self.hidden[below], width: self.widths[below] },
            None if self.symbols.is_empty() => Values::Dense { rows: &self.numbers, width: self.inputs },
            None => Values::Symbols { rows: &self.symbols, steps: self.inputs, of: self.rows },
        }
    }

    /// The gradient of the sums of layer `l`, or of the parameters.
    #[inline(always)]
    pub fn slope(&self, l: usize) -> &[f32] {
        &self.slopes[l]
    }

    /// Width of its rows.
    #[inline(always)]
    pub fn slope_width(&self, l: usize) -> usize {
        self.widths[l]
    }
}

/// A group's loss, and what the gradients of the matrices need.
pub struct GroupPass<'a> {
    /// Sizes.
    pub config: &'a Config,
    /// Where things stand.
    pub places: &'a Places,
    /// The padded parameters, zeros where they are masked, and their transposes.
    pub weights: &'a Weights,
    /// The data.
    pub windows: &'a [Window],
    /// Weight of one row in the loss's mean.
    pub scale: f32,
    /// Whether a gradient is wanted.
    pub backward: bool,
    /// Over the hidden units of windows that have a key for it.
    pub dropout: Option<Dropout>,
    /// What it keeps.
    pub tape: &'a mut Tape,
}

impl Kernel for GroupPass<'_> {
    type Output = f64;

    /// The sum of −ln p over the rows that count.
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) -> f64 {
        self.tape.size(self.config, self.places, self.windows.len());
        self.read();
        for l in 0..self.places.layers.len() {
            self.layer(s, l);
        }
        let nats = self.outputs(s);
        if self.backward {
            for l in (0..self.places.layers.len()).rev() {
                self.layer_back(s, l);
            }
        }
        nats
    }
}

impl GroupPass<'_> {
    /// The values that enter: row t of a window reads that of step t − 1.
    #[inline(always)]
    fn read(&mut self) {
        let input = self.config.likelihood().input();
        let (tape, rows) = (&mut *self.tape, input.rows());
        for (i, w) in self.windows.iter().enumerate() {
            for t in 1..w.rows() {
                match (input, w.input(t)) {
                    (Input::Table { .. }, Value::Symbol(x)) if tape.symbols.is_empty() => {
                        tape.numbers[i * tape.inputs + (t - 1) * rows + usize::from(x)] = 1.0;
                    }
                    (Input::Table { .. }, Value::Symbol(x)) => {
                        tape.symbols[i * tape.inputs + t - 1] = u32::from(x);
                    }
                    (input, x) => {
                        let at = i * tape.inputs + (t - 1) * rows;
                        input.write(x, &mut tape.numbers[at..at + rows]);
                    }
                }
            }
        }
    }

    /// The bias, and the labels' rows, to every row of `to`.
    #[inline(always)]
    fn begin<S: Simd>(&self, s: S, bias: &Range<usize>, labels: Option<&Range<usize>>, to: &mut [f32]) {
        let (weights, width) = (&self.weights.forward, bias.len());
        for (w, to) in self.windows.iter().zip(to.chunks_exact_mut(width)) {
            to.copy_from_slice(&weights[bias.clone()]);
            if let (Some(class), Some(labels)) = (w.class, labels) {
                add(s, to, &weights[labels.clone()][class * width..][..width]);
            }
        }
    }

    #[inline(always)]
    fn layer<S: Simd>(&mut self, s: S, l: usize) {
        let (matrix, bias) = &self.places.layers[l];
        let mut to = std::mem::take(&mut self.tape.hidden[l]);
        let labels = self.places.labels.as_ref().filter(|_| l == 0).map(|labels| &labels[0]);
        self.begin(s, bias, labels, &mut to);
        let m = self.weights.get(&matrix.matrix);
        matrix.forward(s, m, self.windows.len(), self.tape.values(l), &mut to);
        rectify(s, &mut to);
        self.drop(l, &mut to);
        self.tape.hidden[l] = to;
    }

    /// Lays the masks of layer `l` over its rows, one a window.
    #[inline(always)]
    fn drop(&self, l: usize, rows: &mut [f32]) {
        let masks = Masks { dropout: self.dropout, windows: self.windows, width: self.tape.widths[l] };
        masks.lay(l, 0, rows);
    }

    #[inline(always)]
    fn outputs<S: Simd>(&mut self, s: S) -> f64 {
        let (top, count) = (self.places.layers.len(), self.windows.len());
        let (matrix, bias) = &self.places.output;
        let likelihood = self.config.likelihood();
        let (p, width) = (likelihood.params(), matrix.matrix.columns);
        let mut to = std::mem::take(&mut self.tape.slopes[top]);
        self.begin(s, bias, self.places.labels.as_ref().map(|labels| &labels[1]), &mut to);
        matrix.forward(s, self.weights.get(&matrix.matrix), count, self.tape.values(top), &mut to);
        if let Some(direct) = &self.places.direct {
            direct.forward(s, self.weights.get(&direct.matrix), count, self.tape.values(0), &mut to);
        }
        let (mut nats, mut row) = (0.0, vec![0.0; p.next_multiple_of(S::LANES)]);
        for (w, to) in self.windows.iter().zip(to.chunks_exact_mut(width)) {
            to[..w.warmup * p].fill(0.0);
            to[w.rows() * p..].fill(0.0);
            for t in w.warmup..w.rows() {
                let here = &mut to[t * p..][..p];
                row[..p].copy_from_slice(here);
                nats += likelihood.loss_row(s, &mut row, w.target(t), self.scale);
                here.copy_from_slice(&row[..p]);
            }
        }
        self.tape.slopes[top] = to;
        nats
    }

    /// The gradient of the sums of layer `l`, from that of what reads it.
    #[inline(always)]
    fn layer_back<S: Simd>(&mut self, s: S, l: usize) {
        let above = self.places.layers.get(l + 1).unwrap_or(&self.places.output);
        let mut to = std::mem::take(&mut self.tape.slopes[l]);
        to.fill(0.0);
        let transpose = self.weights.transpose(&above.0.matrix);
        above.0.back(s, transpose, self.windows.len(), self.tape.slope(l + 1), &mut to);
        pass_where_positive(s, &mut to, &self.tape.hidden[l]);
        self.drop(l, &mut to);
        self.tape.slopes[l] = to;
    }
}
