//! The trainer's own forward and backward.
//!
//! Some images of the batch are one task, one after another through encoder, codes and decoder, and back. How a batch is split
//! depends on its size alone, each task adds to a gradient of its own, and these are summed in order: the same bits at any number
//! of threads.

use super::engine::write_pixels;
use super::layers::{Chain, Layer, LayerWeights, Reads, nearest};
use super::{CODES, Learner, check_images};
use crate::fused::padded::{Matrix, PaddedTable, Weights};
use crate::fused::rows::add_rows;
use crate::fused::{Gradients, locked};
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::add;
use crate::kernels::tile::{Strided, multiply};
use crate::kernels::{Isa, Kernel, Simd};
use crate::memory::LANES;
use crate::objective::{Objective, ObjectiveError, Window};
use crate::weights::Layout;
use std::ops::Range;
use std::sync::Mutex;

/// Images of a task, at most.
const GROUP: usize = 8;

/// Layers, and where their parameters stand.
struct Stack {
    layers: Vec<Layer>,
    places: Vec<(Matrix, Range<usize>)>,
}

impl Stack {
    fn new(layers: Vec<Layer>, table: &PaddedTable) -> Self {
        let places = layers.iter().map(|l| (table.matrix(&l.weight()), table.range(&l.bias()))).collect();
        Self { layers, places }
    }

    /// Columns of the transpose of layer `i`'s matrix.
    fn turned(&self, i: usize, lanes: usize) -> usize {
        self.layers[i].rows().next_multiple_of(lanes)
    }

    #[inline(always)]
    fn forward<S: Simd>(&self, s: S, weights: &Weights, chain: &mut Chain) {
        chain.forward(s, &self.layers, |i| {
            let (matrix, bias) = &self.places[i];
            LayerWeights { weight: weights.get(matrix), bias: &weights.forward[bias.clone()] }
        });
    }

    /// Adds to `gradient` what follows from the last of `d`, the gradients of the values of `chain`, and fills the others; the first one
    /// where the layers read numbers.
    #[inline(always)]
    fn backward<S: Simd>(
        &self,
        s: S,
        weights: &Weights,
        chain: &mut Chain,
        way: &mut Way,
        gradient: &mut [f32],
    ) {
        for (d, values) in way.d.iter_mut().zip(&chain.values).take(self.layers.len()) {
            d.clear();
            d.resize(values.len(), 0.0);
        }
        for (i, layer) in self.layers.iter().enumerate().rev() {
            let (before, after) = way.d.split_at_mut(i + 1);
            let (matrix, bias) = &self.places[i];
            let (n, rows, columns) = (layer.to.len(), layer.rows(), matrix.columns);
            let lifted = &mut way.lifted;
            layer.lift(&after[0], columns, lifted);
            add_rows(s, &mut gradient[bias.clone()], lifted);
            let d_weight = &mut gradient[matrix.at.clone()];
            if layer.adds {
                before[i - 1].iter_mut().zip(&after[0]).for_each(|(to, d)| *to += d);
            }
            let input = &chain.values[i];
            if layer.reads == Reads::Symbols {
                layer.neighbours(|position, tap, from| {
                    let row = tap * layer.inputs + input[from] as usize;
                    add(
                        s,
                        &mut d_weight[row * columns..][..columns],
                        &lifted[position * columns..][..columns],
                    );
                });
                continue;
            }
            layer.gather(input, &mut chain.gathered);
            multiply(s, (rows, columns, n), d_weight, Strided::transposed(&chain.gathered, rows), lifted);
            let width = self.turned(i, S::LANES);
            let d_gathered = &mut way.gathered;
            d_gathered.clear();
            d_gathered.resize(n * width, 0.0);
            let dims = (n, width, layer.outputs);
            multiply(s, dims, d_gathered, Strided::rows(lifted, columns), weights.transpose(matrix));
            let (to, c) = (&mut before[i], layer.inputs);
            layer.neighbours(|position, tap, from| {
                let d = &d_gathered[position * width + tap * c..][..c];
                let to = &mut to[from * c..][..c];
                match layer.reads {
                    Reads::Rectified => {
                        for ((to, d), x) in to.iter_mut().zip(d).zip(&input[from * c..][..c]) {
                            *to += if *x > 0.0 { *d } else { 0.0 };
                        }
                    }
                    _ => add_values(to, d),
                }
            });
        }
    }
}

#[inline(always)]
fn add_values(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, x)| *to += x);
}

/// The way back through a chain.
#[derive(Default)]
struct Way {
    /// The gradient of each of a chain's values.
    d: Vec<Vec<f32>>,
    lifted: Vec<f32>,
    gathered: Vec<f32>,
}

impl Way {
    /// Where the gradient of the last output of `layers` is to be written.
    fn output(&mut self, layers: &[Layer]) -> &mut Vec<f32> {
        self.d.resize_with(layers.len() + 1, Vec::new);
        &mut self.d[layers.len()]
    }
}

/// Buffers of a task.
#[derive(Default)]
struct Scratch {
    encoder: Chain,
    decoder: Chain,
    back_encoder: Way,
    back_decoder: Way,
    codes: Vec<usize>,
    distances: Vec<f32>,
    row: Vec<f32>,
}

/// The loss by the fused layers.
pub struct Fused {
    learner: Learner,
    layout: Layout,
    table: PaddedTable,
    encoder: Stack,
    decoder: Stack,
    codes: Matrix,
    isa: Isa,
    /// Padded weights of the last call, to be overwritten.
    weights: Mutex<Weights>,
    /// Buffers that no task is using, for the next ones.
    idle: Mutex<Vec<Scratch>>,
    /// One for each task of a batch.
    gradients: Gradients,
}

impl Fused {
    /// The loss of `learner`, computed with `isa`.
    pub fn new(learner: Learner, isa: Isa) -> Self {
        let layout = learner.config.layout();
        let table = PaddedTable::new(layout.table(), isa.lanes(), |_| 1);
        Self {
            encoder: Stack::new(learner.config.encoder(), &table),
            decoder: Stack::new(learner.config.decoder(), &table),
            codes: table.matrix(CODES),
            learner,
            layout,
            table,
            isa,
            weights: Mutex::default(),
            idle: Mutex::default(),
            gradients: Gradients::default(),
        }
    }

    /// K in whole vectors.
    fn code_columns(&self) -> usize {
        self.learner.config.codes.next_multiple_of(self.isa.lanes())
    }

    /// Pads `params` into `weights`, with the transposes that a pass reads.
    fn load(&self, weights: &mut Weights, params: &[f32], back: bool) {
        let lanes = self.isa.lanes();
        let stacks = [&self.encoder, &self.decoder].into_iter().filter(|_| back);
        let layers = stacks.flat_map(|s| (0..s.layers.len()).map(|i| (&s.places[i].0, s.turned(i, lanes))));
        weights.load(&self.table, params, layers.chain([(&self.codes, self.code_columns())]));
    }
}

impl Objective for Fused {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn loss_carried(
        &self,
        params: &[f32],
        batch: &[Window],
        _: &mut [Vec<f32>],
        grads: Option<&mut [f32]>,
    ) -> Result<f64, ObjectiveError> {
        check_images(&self.learner.config, batch)?;
        let pixels = batch.len() * self.learner.config.grid().len();
        let mut weights = std::mem::take(&mut *locked(&self.weights));
        self.load(&mut weights, params, grads.is_some());
        let parts = batch.chunks(GROUP).collect();
        let nats = self.gradients.sum(parts, &self.table, grads, |windows, gradient| {
            let mut scratch = locked(&self.idle).pop().unwrap_or_default();
            let pass = Pass {
                fused: self,
                weights: &weights,
                windows,
                scale: 1.0 / pixels as f32,
                gradient,
                scratch: &mut scratch,
            };
            let nats = self.isa.run(pass);
            locked(&self.idle).push(scratch);
            nats
        });
        *locked(&self.weights) = weights;
        Ok(nats / pixels as f64)
    }

    fn peak_bytes(&self, windows: usize, _: usize, threads: usize) -> usize {
        let groups = windows.div_ceil(GROUP);
        let layers = || self.encoder.layers.iter().chain(&self.decoder.layers);
        let values: u64 = layers().map(Layer::values).sum();
        let scratch: u64 = layers().map(Layer::scratch).max().unwrap_or(0);
        let task = 4 * (2 * values + 2 * scratch + 2 * self.code_columns() as u64);
        threads.clamp(1, groups.max(1)) * task as usize + 4 * self.table.len() * (groups + 2)
    }
}

/// Some images of a batch.
struct Pass<'a> {
    fused: &'a Fused,
    weights: &'a Weights,
    windows: &'a [Window],
    /// The weight of a pixel in the mean.
    scale: f32,
    gradient: Option<&'a mut Aligned>,
    scratch: &'a mut Scratch,
}

impl Kernel for Pass<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) -> f64 {
        let mut nats = 0.0;
        for window in self.windows {
            nats += self.image(s, window);
        }
        nats
    }
}

impl Pass<'_> {
    /// −ln p of an image's pixels given its codes, in nats.
    #[inline(always)]
    fn image<S: Simd>(&mut self, s: S, window: &Window) -> f64 {
        let Self { fused, weights, scale, scratch, .. } = self;
        let Fused { learner, encoder, decoder, codes: place, .. } = fused;
        let (config, dim) = (&learner.config, learner.config.code_dim);
        let Scratch { encoder: latents, decoder: drawn, back_encoder, back_decoder, codes, distances, row } =
            &mut **scratch;
        write_pixels(config, window.input_values(), latents.input(&encoder.layers));
        encoder.forward(s, weights, latents);
        distances.resize(fused.code_columns(), 0.0);
        let turned = weights.transpose(place);
        codes.clear();
        codes.extend(latents.output().chunks_exact(dim).map(|z| nearest(z, turned, config.codes, distances)));
        let table = weights.get(place);
        let vector = |k: usize| &table[k * place.columns..][..dim];
        let input = drawn.input(&decoder.layers);
        input.clear();
        codes.iter().for_each(|&k| input.extend_from_slice(vector(k)));
        decoder.forward(s, weights, drawn);
        let (parameters, p) = (drawn.output(), config.likelihood.params());
        row.resize(p.next_multiple_of(LANES), 0.0);
        let d_parameters = back_decoder.output(&decoder.layers);
        d_parameters.clear();
        let mut nats = 0.0;
        for (n, parameters) in parameters.chunks_exact(p).enumerate() {
            row[..p].copy_from_slice(parameters);
            nats += config.likelihood.loss_row(s, row, window.target(n), *scale);
            d_parameters.extend_from_slice(&row[..p]);
        }
        let Some(gradient) = self.gradient.as_deref_mut() else { return nats };
        decoder.backward(s, weights, drawn, back_decoder, gradient);
        // Straight through: the gradient of a code vector, as the decoder reads it, is that of the encoder's vector.
        let d_latents = back_encoder.output(&encoder.layers);
        d_latents.clear();
        d_latents.extend_from_slice(&back_decoder.d[0]);
        let (pull, held) = (2.0 * *scale, 2.0 * *scale * learner.commitment as f32);
        let d_codes = &mut gradient[place.at.clone()];
        let rows = latents.output().chunks_exact(dim).zip(d_latents.chunks_exact_mut(dim));
        for ((z, d_z), &k) in rows.zip(codes.iter()) {
            let d_code = &mut d_codes[k * place.columns..][..dim];
            for (((z, d_z), d_code), e) in z.iter().zip(d_z).zip(d_code).zip(vector(k)) {
                *d_z += held * (z - e);
                *d_code += pull * (e - z);
            }
        }
        encoder.backward(s, weights, latents, back_encoder, gradient);
        nats
    }
}
