//! Where the parameters stand in the padded buffer.

use crate::families::pixel_cnn::geometry::{Geometry, Stack};
use crate::families::pixel_cnn::{Config, names};
use crate::fused::padded::{Matrix, PaddedTable};
use std::ops::Range;

/// Places of one stack's tensors in a layer.
#[derive(Debug)]
pub struct StackLayout {
    /// The taps [taps · inputs, 2C padded], where there are any.
    pub weight: Option<Matrix>,
    /// taps · inputs.
    pub taps: usize,
    /// The same padded: width of the transpose's rows.
    pub taps_padded: usize,
    /// `[2C padded]`.
    pub bias: Range<usize>,
    /// [labels, 2C padded].
    pub class: Option<Matrix>,
}

/// Places of a layer's tensors.
#[derive(Debug)]
pub struct LayerLayout {
    /// Vertical and horizontal.
    pub stacks: [StackLayout; 2],
    /// V_l in parts whose inputs stand side by side: one where C is whole vectors, else one for each half.
    pub between: Vec<Matrix>,
    /// R_l [C, C padded].
    pub residual: Matrix,
    /// r_l `[C padded]`.
    pub residual_bias: Range<usize>,
}

/// Where everything stands.
#[derive(Debug)]
pub struct ParameterLayout {
    /// The padded table.
    pub table: PaddedTable,
    /// Width of an embedded pixel, padded.
    pub e: usize,
    /// C, padded.
    pub c: usize,
    /// A, padded.
    pub a: usize,
    /// P, parameters of the likelihood, padded.
    pub p: usize,
    /// E.
    pub embed: Matrix,
    /// b, where values enter as numbers.
    pub embed_bias: Option<Range<usize>>,
    /// The layers.
    pub layers: Vec<LayerLayout>,
    /// P and Q.
    pub head: [Matrix; 2],
    /// p and q.
    pub head_bias: [Range<usize>; 2],
}

impl ParameterLayout {
    /// Lays `config`'s table out for vectors of `lanes`.
    pub fn new(config: &Config, geometry: &Geometry, lanes: usize) -> Self {
        let padded = |n: usize| n.next_multiple_of(lanes);
        let (specs, channels) = (config.table(), config.channels);
        let has = |name: &str| specs.iter().any(|s| s.name == name);
        let table = PaddedTable::new(&specs, lanes, |name| if names::is_gated(name) { 2 } else { 1 });
        let stack = |l: usize, stack: Stack| {
            let (weight, class) = (names::weight(l, stack), names::class(l, stack));
            let taps = geometry.taps(stack, l).len() * config.inputs(l);
            StackLayout {
                weight: has(&weight).then(|| table.matrix(&weight)),
                taps,
                taps_padded: padded(taps),
                bias: table.range(&names::bias(l, stack)),
                class: has(&class).then(|| table.matrix(&class)),
            }
        };
        let layers = (0..config.layers)
            .map(|l| LayerLayout {
                stacks: Stack::BOTH.map(|s| stack(l, s)),
                between: parts(table.matrix(&names::between(l)), channels, padded(channels)),
                residual: table.matrix(&names::residual(l)),
                residual_bias: table.range(&names::residual_bias(l)),
            })
            .collect();
        Self {
            e: padded(config.embedding),
            c: padded(channels),
            a: padded(config.head_channels),
            p: padded(config.likelihood().params()),
            embed: table.matrix(names::EMBED),
            embed_bias: has(names::EMBED_BIAS).then(|| table.range(names::EMBED_BIAS)),
            layers,
            head: [0, 1].map(|i| table.matrix(&names::head(i))),
            head_bias: [0, 1].map(|i| table.range(&names::head_bias(i))),
            table,
        }
    }

    /// The matrices whose transposes the backward reads, with the width of the transpose's rows.
    pub fn transposed(&self) -> impl Iterator<Item = (&Matrix, usize)> {
        let layers = self.layers.iter().flat_map(|l| {
            let taps = l.stacks.iter().filter_map(|s| s.weight.as_ref().map(|w| (w, s.taps_padded)));
            let between = l.between.iter().map(|m| (m, 2 * self.c / l.between.len()));
            taps.chain(between).chain([(&l.residual, self.c)])
        });
        layers.chain([(&self.head[0], self.c), (&self.head[1], self.a)])
    }
}

/// V_l, whose inputs are two halves of `c` values, each padded to `padded`.
fn parts(whole: Matrix, c: usize, padded: usize) -> Vec<Matrix> {
    if c == padded {
        return vec![whole];
    }
    let (Range { start, end }, columns) = (whole.at, whole.columns);
    let middle = start + c * columns;
    [start..middle, middle..end].map(|at| Matrix { at, columns }).into()
}
