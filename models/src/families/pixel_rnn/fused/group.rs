//! One group of windows: the first layer, the layers of cells, the head, and back.

use super::layer::{LayerPass, PassTape, Slopes};
use super::places::Places;
use crate::families::pixel_rnn::passes::{neighbour, taps};
use crate::fused::padded::Weights;
use crate::fused::rows::{add_rows, broadcast, pass_where_positive};
use crate::fused::size;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{add, add_outer, add_weighted, rectify};
use crate::kernels::tile::{Strided, multiply};
use crate::kernels::{Kernel, Simd};
use crate::likelihood::{Input, LikelihoodConfig, Value};
use crate::objective::Window;
use std::ops::Range;

/// Rows of the head at a time.
const CHUNK: usize = 128;

/// Buffers of one group; every value is written before it is read.
#[derive(Default)]
pub struct Scratch {
    /// r_0 … r_L [T·G, D].
    streams: Vec<Vec<f32>>,
    /// Of every layer, what its directions keep.
    tapes: Vec<Vec<PassTape>>,
    slopes: Slopes,
    /// Of a chunk of rows: relu(r_L), the channels, their gradient, the parameters.
    relu: Vec<f32>,
    channels: Vec<f32>,
    d_channels: Vec<f32>,
    params: Vec<f32>,
    /// A value as numbers.
    numbers: Vec<f32>,
}

impl Scratch {
    /// Bytes that a group of `windows` windows of `t` rows takes.
    pub fn bytes(places: &Places, windows: usize, t: usize) -> usize {
        let Places { h, d, a, p, len, .. } = *places;
        let passes = places.layers.first().map_or(0, |l| l.passes.len());
        let row = places.layers.len() * (d + 6 * passes * h) + 3 * d + 2 * h;
        4 * (windows * t.next_multiple_of(len) * row + CHUNK * (d + 2 * a + p))
    }
}

/// A group's loss and gradient.
pub struct GroupPass<'a> {
    /// What the outputs mean.
    pub likelihood: LikelihoodConfig,
    /// Where things stand.
    pub places: &'a Places,
    /// The weights.
    pub weights: &'a Weights,
    /// The data.
    pub windows: &'a [Window],
    /// Weight of one row in the loss's mean.
    pub scale: f32,
    /// The padded gradient to add to; none for the loss alone.
    pub gradient: Option<&'a mut Aligned>,
    /// Buffers.
    pub scratch: &'a mut Scratch,
}

impl Kernel for GroupPass<'_> {
    type Output = f64;

    /// The sum of −ln p over the rows that count.
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) -> f64 {
        let (layers, len) = (self.places.layers.len(), self.places.len);
        let longest = self.windows.iter().map(Window::rows).max().unwrap_or(0);
        let pixels = longest.next_multiple_of(len);
        let rows = pixels * self.windows.len();
        let scratch = &mut *self.scratch;
        scratch.numbers.resize(self.likelihood.input().numbers(), 0.0);
        scratch.streams.resize(layers + 1, Vec::new());
        scratch.streams.iter_mut().for_each(|r| size(r, rows * self.places.d));
        scratch.tapes.resize(layers, Vec::new());
        let passes = self.places.layers.iter().zip(&mut scratch.tapes);
        passes.for_each(|(layer, tapes)| tapes.resize(layer.passes.len(), PassTape::default()));
        self.first(s, pixels);
        for l in 0..layers {
            let layer = self.layer(l, pixels);
            let (below, above) = self.scratch.streams.split_at_mut(l + 1);
            layer.forward(s, &below[l], &mut self.scratch.tapes[l], &mut above[0]);
        }
        let mut gradient = self.gradient.take();
        let nats = self.head(s, rows, gradient.as_deref_mut());
        if let Some(gradient) = gradient {
            for l in (0..layers).rev() {
                let layer = self.layer(l, pixels);
                let Scratch { streams, tapes, slopes, .. } = &mut *self.scratch;
                layer.backward(s, &streams[l], &mut tapes[l], slopes, gradient);
            }
            self.first_backward(s, pixels, gradient);
        }
        nats
    }
}

/// The row of the labels' table that window `w` reads.
#[inline(always)]
fn label(places: &Places, w: &Window) -> Option<Range<usize>> {
    let from = places.labels.as_ref()?.start + w.class? * places.d;
    Some(from..from + places.d)
}

impl<'a> GroupPass<'a> {
    fn layer(&self, l: usize, pixels: usize) -> LayerPass<'a> {
        LayerPass {
            places: self.places,
            layer: &self.places.layers[l],
            weights: self.weights,
            pixels,
            windows: self.windows.len(),
        }
    }

    /// r_0.
    #[inline(always)]
    fn first<S: Simd>(&mut self, s: S, pixels: usize) {
        let (places, input, weights) = (self.places, self.likelihood.input(), &self.weights.forward);
        let (d, g) = (places.d, self.windows.len());
        let rows = self.scratch.streams[0][..pixels * g * d].chunks_exact_mut(d);
        for (i, r) in rows.enumerate() {
            let (t, w) = (i / g, &self.windows[i % g]);
            r.copy_from_slice(&weights[places.first_bias.clone()]);
            if let Some(at) = label(places, w) {
                add(s, r, &weights[at]);
            }
            for (place, at) in taps().zip(&places.first) {
                // Row t of a window is the value of step t − 1.
                let value = neighbour(t, places.len, place).filter(|at| at + 1 < w.rows());
                let Some(value) = value else { continue };
                let weight = &weights[at.clone()];
                match (input, w.input(value + 1)) {
                    (Input::Table { .. }, Value::Symbol(x)) => add(s, r, &weight[usize::from(x) * d..][..d]),
                    (input, x) => {
                        input.write(x, &mut self.scratch.numbers);
                        add_weighted(s, r, weight, &self.scratch.numbers);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn first_backward<S: Simd>(&mut self, s: S, pixels: usize, gradient: &mut Aligned) {
        let (places, input) = (self.places, self.likelihood.input());
        let (d, g) = (places.d, self.windows.len());
        for (i, slope) in self.scratch.slopes.stream[..pixels * g * d].chunks_exact(d).enumerate() {
            let (t, w) = (i / g, &self.windows[i % g]);
            add(s, &mut gradient[places.first_bias.clone()], slope);
            if let Some(at) = label(places, w) {
                add(s, &mut gradient[at], slope);
            }
            for (place, at) in taps().zip(&places.first) {
                let value = neighbour(t, places.len, place).filter(|at| at + 1 < w.rows());
                let Some(value) = value else { continue };
                let to = &mut gradient[at.clone()];
                match (input, w.input(value + 1)) {
                    (Input::Table { .. }, Value::Symbol(x)) => {
                        add(s, &mut to[usize::from(x) * d..][..d], slope);
                    }
                    (input, x) => {
                        input.write(x, &mut self.scratch.numbers);
                        add_outer(s, to, &self.scratch.numbers, slope);
                    }
                }
            }
        }
    }

    /// The loss; with `gradient`, its gradient to the head's and to that of r_L.
    #[inline(always)]
    fn head<S: Simd>(&mut self, s: S, rows: usize, mut gradient: Option<&mut Aligned>) -> f64 {
        let Places { width, d, channels, a, p, .. } = *self.places;
        let [(v0, b0), (v1, b1)] = &self.places.head;
        let (weights, g) = (self.weights, self.windows.len());
        let Scratch { streams, slopes, relu, channels: hidden, d_channels, params, .. } = &mut *self.scratch;
        size(&mut slopes.stream, rows * d);
        let top = &streams[streams.len() - 1];
        let mut nats = 0.0;
        for first in (0..rows).step_by(CHUNK) {
            let count = CHUNK.min(rows - first);
            relu.clear();
            relu.extend_from_slice(&top[first * d..(first + count) * d]);
            rectify(s, relu);
            broadcast(hidden, &weights.forward[b0.clone()], count);
            multiply(s, (count, a, width), hidden, Strided::rows(relu, d), weights.get(v0));
            rectify(s, hidden);
            broadcast(params, &weights.forward[b1.clone()], count);
            multiply(s, (count, p, channels), params, Strided::rows(hidden, a), weights.get(v1));
            for (i, row) in params.chunks_exact_mut(p).enumerate() {
                let (t, w) = ((first + i) / g, &self.windows[(first + i) % g]);
                match t >= w.warmup && t < w.rows() {
                    true => nats += self.likelihood.loss_row(s, row, w.target(t), self.scale),
                    false => row.fill(0.0),
                }
            }
            let Some(gradient) = gradient.as_deref_mut() else { continue };
            add_rows(s, &mut gradient[b1.clone()], params);
            let x = Strided::transposed(hidden, a);
            multiply(s, (channels, p, count), &mut gradient[v1.at.clone()], x, params);
            d_channels.clear();
            d_channels.resize(count * a, 0.0);
            multiply(s, (count, a, p), d_channels, Strided::rows(params, p), weights.transpose(v1));
            pass_where_positive(s, d_channels, hidden);
            add_rows(s, &mut gradient[b0.clone()], d_channels);
            let x = Strided::transposed(relu, d);
            multiply(s, (width, a, count), &mut gradient[v0.at.clone()], x, d_channels);
            let d_stream = &mut slopes.stream[first * d..(first + count) * d];
            d_stream.fill(0.0);
            multiply(s, (count, d, a), d_stream, Strided::rows(d_channels, a), weights.transpose(v0));
            pass_where_positive(s, d_stream, relu);
        }
        nats
    }
}
