//! The trainer's own forward and backward: algorithm 1 of the paper for many windows at once.
//!
//! Some windows of the batch are one task: a thread takes the group through all steps forward and back. At a step every
//! window of the group meets the same outputs V_t, and adds one row to its running sum. The hidden units of all steps would
//! not fit the cache, so the backward computes those of some steps at a time again, from the sums that the forward kept
//! every so many steps. How a batch is split depends on its size alone, each group adds to a gradient of its own, and
//! these are summed in order, which makes the result the same bits at any number of threads.

mod group;

use super::{Config, names};
use crate::fixed_length::check_batch;
use crate::fused::padded::{Matrix, PaddedTable, Weights};
use crate::fused::{Gradients, groups, locked};
use crate::kernels::Isa;
use crate::objective::{Objective, ObjectiveError, Window};
use crate::weights::Layout;
use group::{GroupPass, Scratch};
use std::ops::Range;
use std::sync::Mutex;

/// Windows of a group at most: their sums stay in the cache, and each row of outputs that is read meets all of them.
const GROUP: usize = 32;

/// The loss by the fused layers.
pub struct Fused {
    config: Config,
    layout: Layout,
    places: Places,
    isa: Isa,
    /// Padded weights of the last call, to be overwritten.
    weights: Mutex<Weights>,
    /// Buffers that no group is using, for the next ones.
    idle: Mutex<Vec<Scratch>>,
    /// One per group of a batch.
    gradients: Gradients,
}

/// Where the parameters stand in the padded buffer.
struct Places {
    table: PaddedTable,
    bias: Range<usize>,
    labels: Option<Range<usize>>,
    weight: Matrix,
    output: Matrix,
    output_bias: Matrix,
}

impl Fused {
    /// The loss of `config`, computed with `isa`.
    pub fn new(config: Config, isa: Isa) -> Self {
        let table = PaddedTable::new(&config.table(), isa.lanes(), |_| 1);
        let places = Places {
            bias: table.range(names::BIAS),
            labels: (config.labels > 0).then(|| table.range(names::LABELS)),
            weight: table.matrix(names::WEIGHT),
            output: table.matrix(names::OUTPUT),
            output_bias: table.matrix(names::OUTPUT_BIAS),
            table,
        };
        Self {
            layout: Layout::new(config.table()),
            places,
            config,
            isa,
            weights: Mutex::default(),
            idle: Mutex::default(),
            gradients: Gradients::default(),
        }
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
        _carry: &mut [Vec<f32>],
        grads: Option<&mut [f32]>,
    ) -> Result<f64, ObjectiveError> {
        let likelihood = self.config.likelihood();
        check_batch(batch, &likelihood, self.config.steps(), self.config.labels, false)?;
        let total: usize = batch.iter().map(|w| w.rows() - w.warmup).sum();
        let mut weights = std::mem::take(&mut *locked(&self.weights));
        weights.load(&self.places.table, params, []);
        let parts: Vec<&[Window]> = groups(batch.len(), GROUP).into_iter().map(|r| &batch[r]).collect();
        let nats = self.gradients.sum(parts, &self.places.table, grads, |windows, gradient| {
            let mut scratch = locked(&self.idle).pop().unwrap_or_default();
            let nats = self.isa.run(GroupPass {
                likelihood,
                places: &self.places,
                weights: &weights.forward,
                windows,
                scale: 1.0 / total as f32,
                gradient,
                scratch: &mut scratch,
            });
            locked(&self.idle).push(scratch);
            nats
        });
        *locked(&self.weights) = weights;
        Ok(nats / total as f64)
    }

    fn peak_bytes(&self, windows: usize, window_len: usize, threads: usize) -> usize {
        let groups = groups(windows, GROUP);
        let active = threads.clamp(1, groups.len().max(1));
        let widest = groups.iter().map(Range::len).max().unwrap_or(0);
        active * Scratch::bytes(&self.places, widest, window_len)
            + 4 * self.places.table.len() * (groups.len() + 1)
    }
}
