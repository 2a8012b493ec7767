//! Where the parameters stand in the padded buffer, and the transposes that the backward pass reads.

use crate::families::char_rnn::{Cell, Config, names};
use crate::fused::padded::{Matrix, PaddedTable};
use rayon::prelude::*;
use std::ops::Range;

/// ParameterLayout of a layer's tensors.
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
    /// The layers.
    pub layers: Vec<LayerLayout>,
    /// W.
    pub head: Matrix,
    /// b.
    pub head_bias: Range<usize>,
}

/// Padded weights and their transposes.
#[derive(Default)]
pub struct Weights {
    /// The padded parameters.
    pub forward: Vec<f32>,
    /// The transposes of [`ParameterLayout::transposed`], in its order; of an older call where no gradient is wanted.
    transposes: Vec<Vec<f32>>,
}

/// A matrix whose transpose the backward reads.
#[derive(Clone, Copy)]
pub enum Of {
    /// U_l.
    Recurrent(usize),
    /// W_l, l > 0.
    Input(usize),
    /// W.
    Head,
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

    /// The matrices whose transposes the backward reads: the head, then U_l and W_l by layers.
    fn transposed(&self) -> Vec<&Matrix> {
        let mut all = vec![&self.head];
        for (l, layer) in self.layers.iter().enumerate() {
            all.push(&layer.recurrent);
            if l > 0 {
                all.push(&layer.input);
            }
        }
        all
    }

    /// Pads `params` into `to`; with `transposes`, for a backward pass too.
    pub fn load(&self, params: &[f32], transposes: bool, to: &mut Weights) {
        to.forward.resize(self.len(), 0.0);
        self.table.pad(params, &mut to.forward);
        if transposes {
            let all = self.transposed();
            to.transposes.resize(all.len(), Vec::new());
            let forward = &to.forward;
            all.into_par_iter().zip(&mut to.transposes).for_each(|(m, out)| {
                out.resize(m.columns * self.h, 0.0);
                m.transpose_into(forward, self.h, out);
            });
        }
    }
}

impl Weights {
    /// The padded values of a matrix.
    pub fn get(&self, m: &Matrix) -> &[f32] {
        &self.forward[m.at.clone()]
    }

    /// A transpose, rows of H padded.
    pub fn transpose(&self, of: Of) -> &[f32] {
        // The order of `ParameterLayout::transposed`.
        let i = match of {
            Of::Head => 0,
            Of::Recurrent(0) => 1,
            Of::Recurrent(l) => 2 * l,
            Of::Input(l) => 2 * l + 1,
        };
        &self.transposes[i]
    }
}
