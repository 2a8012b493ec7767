//! One image: forward through the layers, the head, and back.
//!
//! Rows are steps. The vertical stack goes to the end of the last line that the window reaches into, the horizontal one to
//! the window's end.

use super::head::{HeadScratch, HeadTile};
use super::parameter_layout::ParameterLayout;
use crate::dropout::Dropout;
use crate::families::pixel_cnn::Config;
use crate::families::pixel_cnn::gather::SLACK;
use crate::families::pixel_cnn::geometry::Geometry;
use crate::fused::padded::Weights;
use crate::kernels::aligned::Aligned;
use crate::kernels::panel::{add, add_outer, add_weighted};
use crate::kernels::{Kernel, Simd};
use crate::objective::Window;
use std::ops::Range;

/// Rows of a tile at most: what their taps read stays in the L2 beside the layer's weights.
pub const TILE: usize = 112;

/// Tiles of the rows `rows`.
#[inline(always)]
pub fn tiles(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(TILE).map(move |t| t..end.min(t + TILE))
}

/// Rows `r` of a buffer whose rows have `width` values.
#[inline(always)]
pub fn span(r: &Range<usize>, width: usize) -> Range<usize> {
    r.start * width..r.end * width
}

/// What a layer keeps for its backward.
#[derive(Default)]
pub struct Tape {
    /// v_l [V, C], of the first layer the pixels e [V, E].
    pub vertical: Vec<f32>,
    /// h_l [T, C]; empty in the first layer, which reads the pixels.
    pub horizontal: Vec<f32>,
    /// a_l [V, 2C].
    pub before: Vec<f32>,
    /// tanh and σ of a_l [V, 2C].
    pub vertical_halves: Vec<f32>,
    /// tanh and σ of z_l [T, 2C].
    pub horizontal_halves: Vec<f32>,
}

/// Buffers of one image; every value is written before it is read.
#[derive(Default)]
pub struct Scratch {
    /// One for each layer, and one whose features the head reads.
    pub tapes: Vec<Tape>,
    /// The gradients of v_{l+1} and of v_l [V, C].
    pub d_vertical: [Vec<f32>; 2],
    /// The gradients of h_{l+1} and of h_l [T, C].
    pub d_horizontal: [Vec<f32>; 2],
    /// The gradient of the pixels e [V, E].
    pub d_pixels: Vec<f32>,
    pub tile: TileScratch,
    head: HeadScratch,
}

/// Buffers of one tile.
#[derive(Default)]
pub struct TileScratch {
    /// What the taps read, and the gradient of it.
    pub taps: Vec<f32>,
    pub d_taps: Vec<f32>,
    /// z_l, then its gradient [TILE, 2C].
    pub sums: Vec<f32>,
    /// The gradient of a_l [TILE, 2C].
    pub d_before: Vec<f32>,
    /// Gated units and their gradient [TILE, C].
    pub gated: Vec<f32>,
    pub d_gated: Vec<f32>,
    /// Of each stack the bias with the class's row, then the sum of its gradient [2C].
    pub bias: [Vec<f32>; 2],
}

impl Scratch {
    /// Bytes that an image of `rows` rows takes.
    pub fn bytes(config: &Config, layout: &ParameterLayout, rows: usize) -> usize {
        let (c, layers) = (layout.c, config.layers);
        let taps = layout.layers.iter().flat_map(|l| &l.stacks).map(|s| s.taps + s.taps_padded).max();
        let row = layers * 8 * c + 6 * c + 2 * layout.e;
        let tile = taps.unwrap_or(0) + 6 * c + layout.c + 2 * layout.a + layout.p;
        4 * (rows * row + TILE * tile + 2 * SLACK)
    }
}

/// One image's loss and gradient.
pub struct ImagePass<'a> {
    /// Sizes.
    pub config: &'a Config,
    /// What each step reads.
    pub geometry: &'a Geometry,
    /// Where the parameters stand.
    pub layout: &'a ParameterLayout,
    /// The weights.
    pub weights: &'a Weights,
    /// Dropout and the window's key for it.
    pub masks: Option<(Dropout, u64)>,
    /// The data.
    pub window: &'a Window,
    /// Weight of one row in the loss's mean.
    pub scale: f32,
    /// The padded gradient to add to; none for the loss alone.
    pub gradient: Option<&'a mut Aligned>,
    /// Buffers.
    pub scratch: &'a mut Scratch,
}

/// Makes `v` hold at least `len` values, of any content.
#[inline(always)]
fn size(v: &mut Vec<f32>, len: usize) {
    if v.len() < len {
        // What was in it need not be moved, and growth by doubling would take more than was announced.
        *v = Vec::new();
        v.reserve_exact(len);
        v.resize(len, 0.0);
    }
}

impl Kernel for ImagePass<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) -> f64 {
        self.size_scratch();
        self.embed(s);
        for l in 0..self.config.layers {
            self.layer_forward(s, l);
        }
        let (t, c) = (self.window.rows(), self.layout.c);
        let mut gradient = self.gradient.take();
        let Scratch { tapes, d_horizontal: [d_top, _], head, .. } = &mut *self.scratch;
        let top = &tapes[self.config.layers].horizontal;
        d_top[..self.window.warmup * c].fill(0.0);
        let mut nats = 0.0;
        for rows in tiles(self.window.warmup..t) {
            nats += HeadTile {
                config: self.config,
                layout: self.layout,
                weights: self.weights,
                window: self.window,
                scale: self.scale,
                features: &top[span(&rows, c)],
                d_features: &mut d_top[span(&rows, c)],
                rows,
                gradient: gradient.as_deref_mut(),
                scratch: head,
            }
            .run(s);
        }
        if let Some(gradient) = gradient {
            for l in (0..self.config.layers).rev() {
                self.layer_backward(s, l, gradient);
            }
            self.embed_backward(s, gradient);
        }
        nats
    }
}

impl ImagePass<'_> {
    /// V: rows of the vertical stack.
    #[inline(always)]
    pub fn vertical_rows(&self) -> usize {
        self.geometry.line(self.window.rows() - 1).end
    }

    #[inline(always)]
    fn size_scratch(&mut self) {
        let (v, t, layers) = (self.vertical_rows(), self.window.rows(), self.config.layers);
        let (c, e, layout) = (self.layout.c, self.layout.e, self.layout);
        let Scratch { tapes, d_vertical, d_horizontal, d_pixels, tile, .. } = &mut *self.scratch;
        tapes.resize_with(layers + 1, Tape::default);
        for (l, tape) in tapes.iter_mut().enumerate() {
            if l < layers {
                size(&mut tape.vertical, v * if l == 0 { e } else { c });
                size(&mut tape.before, v * 2 * c);
                size(&mut tape.horizontal_halves, t * 2 * c);
            }
            if l + 1 < layers {
                size(&mut tape.vertical_halves, v * 2 * c);
            }
            if l > 0 {
                size(&mut tape.horizontal, t * c);
            }
        }
        d_vertical.iter_mut().for_each(|d| size(d, v * c));
        d_horizontal.iter_mut().for_each(|d| size(d, t * c));
        size(d_pixels, v * e);
        for stack in layout.layers.iter().take(2).flat_map(|l| &l.stacks) {
            size(&mut tile.taps, TILE * stack.taps + SLACK);
            size(&mut tile.d_taps, TILE * stack.taps_padded + SLACK);
        }
        size(&mut tile.sums, TILE * 2 * c);
        size(&mut tile.d_before, TILE * 2 * c);
        size(&mut tile.gated, TILE * c);
        size(&mut tile.d_gated, TILE * c);
        tile.bias.iter_mut().for_each(|b| size(b, 2 * c));
    }

    /// Pixels that are given: row t of the window is x_{t−1}.
    #[inline(always)]
    fn pixels(&self) -> usize {
        self.window.rows() - 1
    }

    #[inline(always)]
    fn embed<S: Simd>(&mut self, s: S) {
        let (e, pixels, input) = (self.layout.e, self.pixels(), self.config.likelihood().input());
        let table = self.weights.get(&self.layout.embed);
        let rows = &mut self.scratch.tapes[0].vertical[..];
        let mut numbers = vec![0.0; input.numbers()];
        for (t, to) in rows.chunks_exact_mut(e).enumerate().take(pixels) {
            match &self.layout.embed_bias {
                None => to.copy_from_slice(&table[usize::from(self.window.inputs[t + 1]) * e..][..e]),
                Some(bias) => {
                    input.write(self.window.input(t + 1), &mut numbers);
                    to.copy_from_slice(&self.weights.forward[bias.clone()]);
                    add_weighted(s, to, table, &numbers);
                }
            }
        }
    }

    #[inline(always)]
    fn embed_backward<S: Simd>(&mut self, s: S, gradient: &mut Aligned) {
        let (e, pixels, input) = (self.layout.e, self.pixels(), self.config.likelihood().input());
        let mut numbers = vec![0.0; input.numbers()];
        for (t, d) in self.scratch.d_pixels.chunks_exact(e).enumerate().take(pixels) {
            match &self.layout.embed_bias {
                None => {
                    let row = self.layout.embed.at.start + usize::from(self.window.inputs[t + 1]) * e;
                    add(s, &mut gradient[row..][..e], d);
                }
                Some(bias) => {
                    input.write(self.window.input(t + 1), &mut numbers);
                    add(s, &mut gradient[bias.clone()], d);
                    add_outer(s, &mut gradient[self.layout.embed.at.clone()], &numbers, d);
                }
            }
        }
    }
}
