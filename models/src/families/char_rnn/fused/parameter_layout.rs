//! Where the parameters stand in the padded buffer.

use crate::families::char_rnn::{Cell, Config, names};
use crate::fused::padded::{Matrix, PaddedTable};
use std::ops::Range;

/// Places of a layer's tensors.
#[derive(Debug)]
pub struct LayerLayout {
    /// W_l [H or classes, gates · H padded].
    pub input: Matrix,
    /// U_l [H, gates · H padded].
    pub recurrent: Matrix,
    /// b_l [gates · H padded].
    pub bias: Range<usize>,
    /// a_l [H padded] of a GRU.
    pub candidate: Option<Range<usize>>,
}

/// Where everything stands.
#[derive(Debug)]
pub struct ParameterLayout {
    /// The padded table.
    pub table: PaddedTable,
    /// H, padded.
    pub h: usize,
    /// The gates of a unit side by side, each padded.
    pub g: usize,
    /// P, parameters of the likelihood, padded.
    pub p: usize,
    /// W_c, of a model with a condition.
    pub condition: Option<Matrix>,
    /// The layers.
    pub layers: Vec<LayerLayout>,
    /// W.
    pub head: Matrix,
    /// b.
    pub head_bias: Range<usize>,
}

impl ParameterLayout {
    /// Lays `config`'s table out for vectors of `lanes`.
    pub fn new(config: &Config, lanes: usize) -> Self {
        let gates = config.cell.gates();
        // The rows of a layer's tensors are gates side by side, but for the one bias that belongs to a single gate.
        let own: Vec<_> = (0..config.layers).map(names::candidate_bias).collect();
        let parts = |name: &str| {
            let layer = name != names::HEAD && name != names::HEAD_BIAS && !own.iter().any(|o| o == name);
            if layer { gates } else { 1 }
        };
        let table = PaddedTable::new(&config.table(), lanes, parts);
        let layers = (0..config.layers)
            .map(|l| LayerLayout {
                input: table.matrix(&names::input(l)),
                recurrent: table.matrix(&names::recurrent(l)),
                bias: table.range(&names::bias(l)),
                candidate: (config.cell == Cell::Gru).then(|| table.range(&own[l])),
            })
            .collect();
        let h = config.hidden.next_multiple_of(lanes);
        Self {
            h,
            g: gates * h,
            p: config.likelihood().params().next_multiple_of(lanes),
            condition: config.condition.map(|_| table.matrix(names::CONDITION)),
            layers,
            head: table.matrix(names::HEAD),
            head_bias: table.range(names::HEAD_BIAS),
            table,
        }
    }

    /// Values of a padded buffer.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The matrices whose transposes the backward reads, with the width of the transpose's rows: the head, U_l, and W_l
    /// above the lowest layer.
    pub fn transposed(&self) -> impl Iterator<Item = (&Matrix, usize)> {
        let inputs = self.layers.iter().skip(1).map(|l| &l.input);
        let all = self.layers.iter().map(|l| &l.recurrent).chain(inputs).chain([&self.head]);
        all.map(|m| (m, self.h))
    }
}
