//! Parameters with rows of whole vectors: padded columns are zero in the weights and ignored in the gradients.

use crate::kernels::aligned::Aligned;
use crate::wavenet::{Config, names};
use rayon::prelude::*;
use std::ops::Range;

/// One tensor of the table inside the padded buffer.
#[derive(Debug, Clone)]
struct Slot {
    /// Where it stands in the flat vector.
    flat: usize,
    /// Where it stands in the padded buffer.
    at: usize,
    rows: usize,
    /// Parts of a row that are padded each on its own: two for the gate's halves.
    parts: usize,
    /// Columns of a part.
    width: usize,
    /// Columns of a padded part.
    padded: usize,
}

impl Slot {
    fn row_len(&self) -> usize {
        self.parts * self.padded
    }

    /// Flat and padded position of every part of every row.
    fn runs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let part = |i| (self.flat + i * self.width, self.at + i * self.padded);
        (0..self.rows * self.parts).map(part)
    }
}

/// A matrix in the padded buffer: `rows` rows of `columns` values.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// Where it stands.
    pub at: Range<usize>,
    /// Width of a row, padded.
    pub columns: usize,
}

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
    slots: Vec<Slot>,
    len: usize,
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
        let d = config.gate_channels;
        let (mut slots, mut flat, mut at) = (Vec::new(), 0, 0);
        let mut places: std::collections::HashMap<String, (Range<usize>, usize)> = Default::default();
        for spec in config.table() {
            let columns = *spec.shape.last().unwrap_or(&1);
            let (parts, width) = if is_gate(&spec.name) { (2, d) } else { (1, columns) };
            let slot = Slot { flat, at, rows: spec.len() / columns, parts, width, padded: pad(width) };
            let len = slot.rows * slot.row_len();
            places.insert(spec.name.clone(), (at..at + len, slot.row_len()));
            flat += spec.len();
            at += len;
            slots.push(slot);
        }
        let matrix = |name: &str| {
            let (at, columns) = places[name].clone();
            Matrix { at, columns }
        };
        let bias = |name: &str| places[name].0.clone();
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
                d: pad(d),
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
            slots,
            len: at,
        }
    }

    /// Values of a padded buffer.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Pads `params`; with `transposes`, for a backward pass too.
    pub fn weights(&self, params: &[f32], transposes: bool) -> Weights {
        let mut forward = Aligned::zeros(self.len);
        for slot in &self.slots {
            for (flat, at) in slot.runs() {
                forward[at..at + slot.width].copy_from_slice(&params[flat..flat + slot.width]);
            }
        }
        let transposes = match transposes {
            true => self.transposed().map(|(m, columns)| transpose(&forward, m, columns)).collect(),
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
        let mut rest = grads;
        let mut pieces = Vec::new();
        for slot in &self.slots {
            let (here, later) = rest.split_at_mut(slot.rows * slot.parts * slot.width);
            pieces.push((slot, here));
            rest = later;
        }
        pieces.into_par_iter().for_each(|(slot, flat)| {
            for (run, (_, at)) in flat.chunks_exact_mut(slot.width).zip(slot.runs()) {
                run.fill(0.0);
                for part in parts {
                    for (g, p) in run.iter_mut().zip(&part[at..at + slot.width]) {
                        *g += p;
                    }
                }
            }
        });
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

/// [columns of m, `width`] with the rows of m as columns, zeros in the padding.
fn transpose(weights: &[f32], m: &Matrix, width: usize) -> Aligned {
    let rows = m.at.len() / m.columns;
    let mut out = Aligned::zeros(m.columns * width);
    for (i, row) in weights[m.at.clone()].chunks_exact(m.columns).enumerate().take(rows) {
        for (j, &v) in row.iter().enumerate() {
            out[j * width + i] = v;
        }
    }
    out
}
