//! Where the parameters stand in the padded buffer.

use crate::families::pixel_rnn::passes::{Pass, taps};
use crate::families::pixel_rnn::{Config, names};
use crate::fused::padded::{Matrix, PaddedTable};
use std::ops::Range;

/// One direction of a layer.
pub struct PassPlaces {
    /// What it reads.
    pub pass: Pass,
    /// W of each place [D, 4H padded].
    pub entering: Vec<Matrix>,
    /// U of each place [H, 4H padded].
    pub recurrent: Vec<Matrix>,
    /// c.
    pub bias: Range<usize>,
}

/// One layer.
pub struct LayerPlaces {
    /// Its directions.
    pub passes: Vec<PassPlaces>,
    /// W_o [H, D padded] and b_o.
    pub output: (Matrix, Range<usize>),
}

/// Where everything stands.
pub struct Places {
    /// The padded table.
    pub table: PaddedTable,
    /// Steps of a row of pixels.
    pub len: usize,
    /// H.
    pub hidden: usize,
    /// H, padded.
    pub h: usize,
    /// D.
    pub width: usize,
    /// D, padded.
    pub d: usize,
    /// A.
    pub channels: usize,
    /// A, padded.
    pub a: usize,
    /// P, padded.
    pub p: usize,
    /// W of each place of the mask.
    pub first: Vec<Range<usize>>,
    /// b.
    pub first_bias: Range<usize>,
    /// e.
    pub labels: Option<Range<usize>>,
    /// The layers.
    pub layers: Vec<LayerPlaces>,
    /// V_i and b_i.
    pub head: [(Matrix, Range<usize>); 2],
}

/// `count` equal parts of a matrix, one below the other.
fn parts(m: &Matrix, count: usize) -> Vec<Matrix> {
    let len = m.at.len() / count;
    let part = |i| Matrix { at: m.at.start + i * len..m.at.start + (i + 1) * len, columns: m.columns };
    (0..count).map(part).collect()
}

impl Places {
    /// Lays `config`'s table out for vectors of `lanes`.
    pub fn new(config: &Config, lanes: usize) -> Self {
        // The rows of a cell's tensors are gates side by side.
        let gates = |name: &str| if name.starts_with("layer.") && !name.contains(".output.") { 4 } else { 1 };
        let table = PaddedTable::new(&config.table(), lanes, gates);
        let pass = |l: usize, pass: &Pass| {
            let name = |what| names::pass(l, pass.name, what);
            PassPlaces {
                pass: *pass,
                entering: parts(&table.matrix(&name(names::ENTERING)), pass.inputs.len()),
                recurrent: parts(&table.matrix(&name(names::RECURRENT)), pass.recurrent.len()),
                bias: table.range(&name(names::BIAS)),
            }
        };
        let layer = |l: usize| LayerPlaces {
            passes: config.kind.passes().iter().map(|p| pass(l, p)).collect(),
            output: (table.matrix(&names::output(l)), table.range(&names::output_bias(l))),
        };
        let padded = |n: usize| n.next_multiple_of(lanes);
        let first = parts(&table.matrix(names::INPUT), taps().count());
        Self {
            len: config.row_len(),
            hidden: config.hidden,
            h: padded(config.hidden),
            width: config.width(),
            d: padded(config.width()),
            channels: config.head,
            a: padded(config.head),
            p: padded(config.likelihood().params()),
            first: first.into_iter().map(|m| m.at).collect(),
            first_bias: table.range(names::INPUT_BIAS),
            labels: (config.labels > 0).then(|| table.range(names::LABELS)),
            layers: (0..config.layers).map(layer).collect(),
            head: [0, 1].map(|i| (table.matrix(&names::head(i)), table.range(&names::head_bias(i)))),
            table,
        }
    }

    /// The matrices whose transposes the backward reads, with the width of the transpose's rows.
    pub fn transposed(&self) -> impl Iterator<Item = (&Matrix, usize)> {
        let mut all = Vec::new();
        for layer in &self.layers {
            for pass in &layer.passes {
                all.extend(pass.entering.iter().map(|m| (m, self.d)));
                all.extend(pass.recurrent.iter().map(|m| (m, self.h)));
            }
            all.push((&layer.output.0, self.h));
        }
        all.into_iter().chain([(&self.head[0].0, self.d), (&self.head[1].0, self.a)])
    }
}
