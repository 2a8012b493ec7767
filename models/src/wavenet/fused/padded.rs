//! Parameters with rows of whole vectors: padded columns are zero in the weights and ignored in the gradients.

use crate::fused::padded::{Matrix, PaddedTable};
use crate::kernels::aligned::Aligned;
use crate::wavenet::{Config, names};
use std::ops::Range;

/// Places of a layer's tensors.
#[derive(Debug, Clone)]
pub struct LayerPlaces {
    /// [R, 2D padded] for each tap, oldest first.
    pub gate: Vec<Matrix>,
    /// [2D padded].
    pub gate_bias: Range<usize>,
    /// [len of c, 2D padded].
    pub cond: Option<Matrix>,
    /// [D, R padded] and its bias.
    pub residual: Option<(Matrix, Range<usize>)>,
    /// [D, S padded].
    pub skip: Matrix,
}

/// Padded widths of the channels.
#[derive(Debug, Clone, Copy)]
pub struct Widths {
    /// R.
    pub r: usize,
    /// D, one half of the gate.
    pub d: usize,
    /// S.
    pub s: usize,
    /// A.
    pub a: usize,
    /// Classes.
    pub p: usize,
    /// Length of c.
    pub c: usize,
    /// Length of a conditioning frame.
    pub f: usize,
}

/// Where everything stands.
#[derive(Debug)]
pub struct Padded {
    table: PaddedTable,
    /// Padded widths.
    pub widths: Widths,
    /// [classes, R].
    pub embed: Matrix,
    /// [speakers, E], rows padded like a frame's start.
    pub speakers: Option<Matrix>,
    /// The frame-rate network's products and biases.
    pub hidden: Vec<(Matrix, Range<usize>)>,
    /// The layers.
    pub layers: Vec<LayerPlaces>,
    /// b_s.
    pub skip_bias: Range<usize>,
    /// W_0, b_0 and W_1, b_1.
    pub head: [(Matrix, Range<usize>); 2],
}

/// Padded weights and their transposes.
pub struct Weights {
    /// The padded parameters.
    pub forward: Aligned,
    /// At the same place as a matrix: its transpose, rows padded to whole vectors. Empty where no gradient is wanted.
    transposes: Vec<Aligned>,
}

impl Padded {
    /// Lays `config`'s table out for vectors of `lanes`.
    pub fn new(config: &Config, lanes: usize) -> Self {
        let pad = |n: usize| n.next_multiple_of(lanes);
        let table = PaddedTable::new(&config.table(), lanes, |name| if is_gate(name) { 2 } else { 1 });
        let matrix = |name: &str| table.matrix(name);
        let bias = |name: &str| table.range(name);
        let layers = (0..config.dilations.len())
            .map(|l| {
                let all = matrix(&names::gate(l));
                let tap = config.residual_channels * all.columns;
                LayerPlaces {
                    gate: (0..config.kernel_size)
                        .map(|k| Matrix {
                            at: all.at.start + k * tap..all.at.start + (k + 1) * tap,
                            columns: all.columns,
                        })
                        .collect(),
                    gate_bias: bias(&names::gate_bias(l)),
                    cond: config.condition.as_ref().map(|_| matrix(&names::cond(l))),
                    residual: (l + 1 < config.dilations.len())
                        .then(|| (matrix(&names::residual(l)), bias(&names::residual_bias(l)))),
                    skip: matrix(&names::skip(l)),
                }
            })
            .collect();
        let condition = config.condition.as_ref();
        let hidden = match condition {
            Some(c) if c.hidden > 0 => {
                (0..2).map(|i| (matrix(&names::hidden(i)), bias(&names::hidden_bias(i)))).collect()
            }
            _ => Vec::new(),
        };
        let head = |i| (matrix(&names::head(i)), bias(&names::head_bias(i)));
        Self {
            widths: Widths {
                r: pad(config.residual_channels),
                d: pad(config.gate_channels),
                s: pad(config.skip_channels),
                a: pad(config.head_channels),
                p: pad(config.classes),
                c: pad(condition.map_or(0, |c| c.out_len())),
                f: pad(config.cond_len()),
            },
            embed: matrix(names::EMBED),
            speakers: condition.filter(|c| c.speaker_dim > 0).map(|_| matrix(names::SPEAKERS)),
            hidden,
            layers,
            skip_bias: bias(names::SKIP_BIAS),
            head: [head(0), head(1)],
            table,
        }
    }

    /// Values of a padded buffer.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Pads `params`; with `transposes`, for a backward pass too.
    pub fn weights(&self, params: &[f32], transposes: bool) -> Weights {
        let mut forward = Aligned::zeros(self.len());
        self.table.pad(params, &mut forward);
        let transposes = match transposes {
            true => self.transposed().map(|(m, columns)| m.transpose(&forward, columns)).collect(),
            false => Vec::new(),
        };
        Weights { forward, transposes }
    }

    /// The matrices whose transposes the backward needs, with the padded width of the transpose's rows.
    fn transposed(&self) -> impl Iterator<Item = (&Matrix, usize)> {
        let w = self.widths;
        let layers = self.layers.iter().flat_map(move |l| {
            let gate = l.gate.iter().map(move |m| (m, w.r));
            let cond = l.cond.iter().map(move |m| (m, w.c));
            let residual = l.residual.iter().map(move |(m, _)| (m, w.d));
            gate.chain(cond).chain(residual).chain([(&l.skip, w.d)])
        });
        let hidden = self.hidden.iter().enumerate();
        let hidden = hidden.map(move |(i, (m, _))| (m, if i == 0 { w.f } else { w.c }));
        let head = [(&self.head[0].0, w.s), (&self.head[1].0, w.a)];
        layers.chain(hidden).chain(head)
    }

    /// Position of a transpose in [`Weights`].
    fn index_of(&self, m: &Matrix) -> usize {
        let found = self.transposed().position(|(other, _)| other.at == m.at);
        found.expect("only matrices listed in `transposed` are asked for")
    }

    /// Sums padded gradients in their order into flat `grads`.
    pub fn sum_gradients(&self, parts: &[Aligned], grads: &mut [f32]) {
        self.table.sum_gradients(parts, grads);
    }
}

impl Weights {
    /// The padded values of a matrix.
    #[inline(always)]
    pub fn get(&self, m: &Matrix) -> &[f32] {
        &self.forward[m.at.clone()]
    }

    /// The transpose of a matrix.
    #[inline(always)]
    pub fn transpose(&self, padded: &Padded, m: &Matrix) -> &[f32] {
        &self.transposes[padded.index_of(m)]
    }
}

/// Whether the tensor's columns are the two halves of a gate.
fn is_gate(name: &str) -> bool {
    name.contains(".gate.") || name.contains(".cond.")
}
