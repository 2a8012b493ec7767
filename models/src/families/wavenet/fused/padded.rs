//! Parameters with rows of whole vectors: padded columns are zero in the weights and ignored in the gradients.

use crate::families::wavenet::{Config, names};
use crate::fused::padded::{Matrix, PaddedTable};
use std::ops::Range;

/// Places of a layer's tensors.
#[derive(Debug, Clone)]
pub struct LayerLayout {
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

/// Places of what one phase of a bunch has of its own.
#[derive(Debug, Clone)]
pub struct PhaseLayout {
    /// W_{0,j} [S, A padded].
    pub weight: Matrix,
    /// b_{0,j}.
    pub bias: Range<usize>,
    /// F_{j,i} [classes, A padded] of each lag.
    pub drawn: Vec<Matrix>,
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
    /// P, parameters of the likelihood.
    pub p: usize,
    /// Length of c.
    pub c: usize,
    /// The widest between the two products of a frame-rate network.
    pub h: usize,
    /// Length of a conditioning frame.
    pub f: usize,
}

/// Where everything stands.
#[derive(Debug)]
pub struct Padded {
    pub table: PaddedTable,
    /// Padded widths.
    pub widths: Widths,
    /// E_i [classes, R] of each lag.
    pub embed: Vec<Matrix>,
    /// [speakers, E], rows padded like a frame's start.
    pub speakers: Option<Matrix>,
    /// Products and biases of the frame-rate networks.
    pub networks: Vec<[(Matrix, Range<usize>); 2]>,
    /// The layers.
    pub layers: Vec<LayerLayout>,
    /// b_s.
    pub skip_bias: Range<usize>,
    /// The head's first product, a phase at a time.
    pub phases: Vec<PhaseLayout>,
    /// W_1 and b_1.
    pub out: (Matrix, Range<usize>),
}

impl Padded {
    /// Lays `config`'s table out for vectors of `lanes`.
    pub fn new(config: &Config, lanes: usize) -> Self {
        let pad = |n: usize| n.next_multiple_of(lanes);
        let table = PaddedTable::new(&config.table(), lanes, names::column_parts);
        let matrix = |name: &str| table.matrix(name);
        let bias = |name: &str| table.range(name);
        let layers = (0..config.dilations.len())
            .map(|l| {
                let all = matrix(&names::gate(l));
                let tap = config.residual_channels * all.columns;
                LayerLayout {
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
        let network = |net| [0, 1].map(|i| (matrix(&names::frame(net, i)), bias(&names::frame_bias(net, i))));
        let networks = condition.iter().flat_map(|c| c.networks()).map(|(net, _)| network(net)).collect();
        let phase = |j| PhaseLayout {
            weight: matrix(&names::phase(j)),
            bias: bias(&names::phase_bias(j)),
            drawn: (0..j).map(|i| matrix(&names::drawn(j, i))).collect(),
        };
        Self {
            widths: Widths {
                r: pad(config.residual_channels),
                d: pad(config.gate_channels),
                s: pad(config.skip_channels),
                a: pad(config.head_channels),
                p: pad(config.likelihood().params()),
                c: pad(condition.map_or(0, |c| c.out_len())),
                h: pad(condition.map_or(0, |c| c.hidden.max(c.others))),
                f: pad(config.cond_len()),
            },
            embed: (0..config.bunch).map(|i| matrix(&names::embed(i))).collect(),
            speakers: condition.filter(|c| c.speaker_dim > 0).map(|_| matrix(names::SPEAKERS)),
            networks,
            layers,
            skip_bias: bias(names::SKIP_BIAS),
            phases: (0..config.bunch).map(phase).collect(),
            out: (matrix(names::OUT), bias(names::OUT_BIAS)),
            table,
        }
    }

    /// Values of a padded buffer.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The matrices whose transposes the backward needs, with the padded width of the transpose's rows.
    pub fn transposed(&self) -> impl Iterator<Item = (&Matrix, usize)> {
        let w = self.widths;
        let layers = self.layers.iter().flat_map(move |l| {
            let gate = l.gate.iter().map(move |m| (m, w.r));
            let cond = l.cond.iter().map(move |m| (m, w.c));
            let residual = l.residual.iter().map(move |(m, _)| (m, w.d));
            gate.chain(cond).chain(residual).chain([(&l.skip, w.d)])
        });
        let networks = self.networks.iter().flat_map(move |[(a, _), (b, _)]| [(a, w.f), (b, a.columns)]);
        let phases = self.phases.iter().map(move |p| (&p.weight, w.s));
        layers.chain(networks).chain(phases).chain([(&self.out.0, w.a)])
    }
}
