//! The trainer's own forward and backward: the loss and its gradient without a graph library.
//!
//! An image of the batch goes through all layers forward, through the head, and back, in tiles of rows that stay in the
//! cache. What a layer's taps read is brought side by side for a tile, so that a stack's sum over its taps is one product.
//! Some images of a batch are one task, which adds to a gradient of its own; these are summed in the order of the batch.
//! How a batch is split depends on its size alone, which makes the result the same bits at any number of threads.
//!
//! ```text
//! parameter_layout  the padded parameters and their transposes
//! image     one image: pixels, what of the layers is kept, the order of the passes
//! layer     one layer, forward and backward
//! head      the head and its loss, and their backward, in one pass over a tile
//! ```

mod head;
mod image;
mod layer;
mod parameter_layout;

use super::Config;
use super::geometry::Geometry;
use crate::dropout::Dropout;
use crate::fixed_length;
use crate::fused::padded::Weights;
use crate::fused::{Gradients, locked};
use crate::kernels::Isa;
use crate::kernels::aligned::Aligned;
use crate::objective::{Objective, ObjectiveError, Window};
use crate::weights::Layout;
use image::{ImagePass, Scratch};
use parameter_layout::ParameterLayout;
use std::ops::Range;
use std::sync::Mutex;

/// Tasks of a batch at most: enough for many threads, few enough that their gradients are cheap to sum.
const TASKS: usize = 8;

/// The loss by the fused layers.
pub struct Fused {
    config: Config,
    layout: Layout,
    parameters: ParameterLayout,
    geometry: Geometry,
    isa: Isa,
    dropout: Option<Dropout>,
    /// Padded weights of the last call, to be overwritten.
    weights: Mutex<Weights>,
    /// Buffers that no task is using, for the next ones.
    idle: Mutex<Vec<Scratch>>,
    /// One per task of a batch.
    gradients: Gradients,
}

impl Fused {
    /// The loss of `config`, computed with `isa`.
    pub fn new(config: Config, isa: Isa) -> Self {
        let geometry = config.geometry();
        Self {
            layout: Layout::new(config.table()),
            parameters: ParameterLayout::new(&config, &geometry, isa.lanes()),
            geometry,
            config,
            isa,
            dropout: None,
            weights: Mutex::default(),
            idle: Mutex::default(),
            gradients: Gradients::default(),
        }
    }

    /// The same loss with dropout at `rate` over the gated units of the horizontal stack, in windows that have a key for
    /// it.
    pub fn with_dropout(self, rate: f64) -> Self {
        Self { dropout: Dropout::new(rate), ..self }
    }

    /// −ln p of some images, summed over the rows behind their warm-ups; the gradient of it times `scale` goes to
    /// `gradient`.
    fn task(
        &self,
        windows: &[Window],
        weights: &Weights,
        scale: f32,
        mut gradient: Option<&mut Aligned>,
    ) -> f64 {
        let mut scratch = locked(&self.idle).pop().unwrap_or_default();
        let nats = windows.iter().map(|window| {
            self.isa.run(ImagePass {
                config: &self.config,
                geometry: &self.geometry,
                layout: &self.parameters,
                weights,
                masks: self.dropout.zip(window.dropout),
                window,
                scale,
                gradient: gradient.as_deref_mut(),
                scratch: &mut scratch,
            })
        });
        let nats = nats.sum();
        locked(&self.idle).push(scratch);
        nats
    }
}

/// The windows of each task of a batch, as equal as can be.
fn tasks(windows: usize) -> Vec<Range<usize>> {
    let n = windows.min(TASKS);
    (0..n).map(|i| i * windows / n..(i + 1) * windows / n).collect()
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
        check_batch(&self.config, batch)?;
        let total: usize = batch.iter().map(|w| w.rows() - w.warmup).sum();
        let scale = 1.0 / total as f32;
        let mut weights = std::mem::take(&mut *locked(&self.weights));
        let transposed = self.parameters.transposed().filter(|_| grads.is_some());
        weights.load(&self.parameters.table, params, transposed);
        let parts: Vec<_> = tasks(batch.len()).into_iter().map(|r| &batch[r]).collect();
        let nats = self.gradients.sum(parts, &self.parameters.table, grads, |windows, gradient| {
            self.task(windows, &weights, scale, gradient)
        });
        *locked(&self.weights) = weights;
        Ok(nats / total as f64)
    }

    fn peak_bytes(&self, windows: usize, window_len: usize, threads: usize) -> usize {
        let tasks = tasks(windows).len();
        let rows = self.geometry.line(window_len.clamp(1, self.config.grid.len()) - 1).end;
        let active = threads.clamp(1, tasks.max(1));
        let activations = active * Scratch::bytes(&self.config, &self.parameters, rows);
        activations + 4 * self.parameters.table.len() * (tasks + 3)
    }
}

/// Checks that every window fits `config`; the length of the longest.
pub(super) fn check_batch(config: &Config, batch: &[Window]) -> Result<usize, ObjectiveError> {
    let pixels = config.grid.len();
    for (i, w) in batch.iter().enumerate() {
        let err = |what: String| Err(ObjectiveError::Batch(format!("window {i}: {what}")));
        if w.rows() > pixels {
            return err(format!("{} rows, an image has {pixels} pixels", w.rows()));
        }
        if !w.frames.is_empty() || w.speaker.is_some() {
            return err("frames or a speaker, the model takes none".into());
        }
    }
    fixed_length::check_batch(batch, &config.likelihood(), pixels, config.labels, false)
}
