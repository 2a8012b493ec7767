//! Parameters with rows of whole vectors: padded columns are zero in the weights and ignored in the gradients.

use crate::kernels::aligned::Aligned;
use crate::kernels::transpose::transpose;
use crate::weights::TensorSpec;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// One tensor of the table inside the padded buffer.
#[derive(Debug, Clone)]
struct Slot {
    /// Where it stands in the flat vector.
    flat: usize,
    /// Where it stands in the padded buffer.
    at: usize,
    rows: usize,
    /// Parts of a row that are padded each on its own.
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

/// A matrix in the padded buffer.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// Where it stands.
    pub at: Range<usize>,
    /// Width of a row, padded.
    pub columns: usize,
}

/// Where each tensor of a table stands in a buffer whose rows are whole vectors.
#[derive(Debug)]
pub struct PaddedTable {
    slots: Vec<Slot>,
    matrices: HashMap<String, Matrix>,
    len: usize,
}

impl PaddedTable {
    /// Lays `table` out for vectors of `lanes`. A row of tensor `name` is `parts(name)` equal parts (the gates of a
    /// unit), each padded on its own.
    pub fn new(table: &[TensorSpec], lanes: usize, parts: impl Fn(&str) -> usize) -> Self {
        let (mut slots, mut flat, mut at) = (Vec::new(), 0, 0);
        let mut matrices = HashMap::new();
        for spec in table {
            let columns = *spec.shape.last().unwrap_or(&1);
            let parts = parts(&spec.name);
            let width = columns / parts;
            let padded = width.next_multiple_of(lanes);
            let slot = Slot { flat, at, rows: spec.len() / columns, parts, width, padded };
            let len = slot.rows * slot.row_len();
            matrices.insert(spec.name.clone(), Matrix { at: at..at + len, columns: slot.row_len() });
            flat += spec.len();
            at += len;
            slots.push(slot);
        }
        Self { slots, matrices, len: at }
    }

    /// Values of a padded buffer.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The place of tensor `name`.
    ///
    /// # Panics
    /// When the table has no such tensor: names come from the same `Config::table()`.
    pub fn matrix(&self, name: &str) -> Matrix {
        self.matrices[name].clone()
    }

    /// As [`PaddedTable::matrix`] for a vector.
    pub fn range(&self, name: &str) -> Range<usize> {
        self.matrices[name].at.clone()
    }

    /// Writes flat `params` into a padded buffer whose padding is zero already.
    pub fn pad(&self, params: &[f32], to: &mut [f32]) {
        for slot in &self.slots {
            for (flat, at) in slot.runs() {
                to[at..at + slot.width].copy_from_slice(&params[flat..flat + slot.width]);
            }
        }
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

/// Padded weights, and the transposes that a backward pass reads.
#[derive(Default)]
pub struct Weights {
    /// The padded parameters.
    pub forward: Aligned,
    /// By where a matrix begins. Those of an older call where no gradient is wanted.
    transposes: BTreeMap<usize, Aligned>,
}

impl Weights {
    /// Pads `params`, and transposes each matrix of `transposed` into rows of the width beside it.
    pub fn load<'a>(
        &mut self,
        table: &PaddedTable,
        params: &[f32],
        transposed: impl IntoIterator<Item = (&'a Matrix, usize)>,
    ) {
        self.load_edited(table, params, |_| {}, transposed);
    }

    /// As [`Weights::load`], with `edit` of the padded parameters before anything is transposed.
    pub fn load_edited<'a>(
        &mut self,
        table: &PaddedTable,
        params: &[f32],
        edit: impl FnOnce(&mut [f32]),
        transposed: impl IntoIterator<Item = (&'a Matrix, usize)>,
    ) {
        if self.forward.len() != table.len() {
            self.forward = Aligned::zeros(table.len());
        }
        table.pad(params, &mut self.forward);
        edit(&mut self.forward);
        let (forward, transposes) = (&self.forward, &mut self.transposes);
        let mut pieces = Vec::new();
        for (m, width) in transposed {
            let out = transposes.remove(&m.at.start).unwrap_or_else(|| Aligned::zeros(m.columns * width));
            pieces.push((m, width, out));
        }
        pieces
            .par_iter_mut()
            .for_each(|(m, width, out)| transpose(&forward[m.at.clone()], m.columns, out, *width));
        transposes.extend(pieces.into_iter().map(|(m, _, out)| (m.at.start, out)));
    }

    /// The padded values of a matrix.
    #[inline(always)]
    pub fn get(&self, m: &Matrix) -> &[f32] {
        &self.forward[m.at.clone()]
    }

    /// The transpose of a matrix.
    ///
    /// # Panics
    /// When it was not among those of [`Weights::load`].
    pub fn transpose(&self, m: &Matrix) -> &[f32] {
        &self.transposes[&m.at.start]
    }
}
