//! The trainer's own forward and backward.
//!
//! Some windows of the batch are one task: a thread takes the group through all layers forward, through the head, and back.
//! Rows stand pixel by pixel, the windows of a pixel beside one another, so that the neighbours of a row of pixels are rows
//! that follow one another: what does not wait for the pixel before is one product for a whole row of pixels, and of a
//! diagonal layer only the recurrence along the row goes pixel by pixel. How a batch is split depends on its size alone, each
//! group adds to a gradient of its own, and these are summed in order, which makes the result the same bits at any number of
//! threads.
//!
//! ```text
//! places   the padded parameters and their transposes
//! group    one group of windows: the first layer, the head, and their backward
//! layer    a layer of cells, forward and back
//! ```

mod group;
mod layer;
mod places;

use super::Config;
use crate::fixed_length::check_batch;
use crate::fused::padded::Weights;
use crate::fused::{Gradients, groups, locked};
use crate::kernels::Isa;
use crate::objective::{Objective, ObjectiveError, Window};
use crate::weights::Layout;
use group::{GroupPass, Scratch};
use places::Places;
use std::ops::Range;
use std::sync::Mutex;

/// Windows of a group at most: enough rows for each reading of the recurrent weights, few enough for the cache.
const GROUP: usize = 16;

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

impl Fused {
    /// The loss of `config`, computed with `isa`.
    pub fn new(config: Config, isa: Isa) -> Self {
        Self {
            layout: Layout::new(config.table()),
            places: Places::new(&config, isa.lanes()),
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
        let transposed = self.places.transposed().filter(|_| grads.is_some());
        weights.load(&self.places.table, params, transposed);
        let parts: Vec<&[Window]> = groups(batch.len(), GROUP).into_iter().map(|r| &batch[r]).collect();
        let nats = self.gradients.sum(parts, &self.places.table, grads, |windows, gradient| {
            let mut scratch = locked(&self.idle).pop().unwrap_or_default();
            let nats = self.isa.run(GroupPass {
                likelihood,
                places: &self.places,
                weights: &weights,
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
            + 4 * self.places.table.len() * (groups.len() + 2)
    }
}
