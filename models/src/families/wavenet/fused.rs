//! The trainer's own forward and backward: the loss and its gradient without a graph library.
//!
//! One window of the batch is one task: a thread takes it through all layers forward, through the head, and back, in
//! tiles of rows that stay in the cache. Nothing is shared while it runs but the weights, so there is no barrier inside
//! a step; each window adds to a gradient of its own, and these are summed in the order of the batch, which makes the
//! result the same bits at any number of threads.
//!
//! Kept from the forward for the backward, per layer and row: the residual stream r_l and the two halves tanh(z), σ(z).
//! A row of a layer is computed only where a loss behind the warm-up depends on it.
//!
//! ```text
//! padded    the flat parameters with rows of whole vectors, their transposes, and the way back for gradients
//! window    one window: embedding, frame network, what of it is kept, the order of the passes
//! layer     one gated layer, forward and backward
//! head      the head, its softmax and loss, and their backward, in one pass over a tile
//! timer      where the time of it all goes
//! ```

mod head;
mod layer;
mod padded;
mod phase_timer;
mod tiles;
mod window;

use super::{Config, names};
use crate::fused::padded::Weights;
use crate::fused::{Gradients, locked};
use crate::kernels::Isa;
use crate::kernels::aligned::Aligned;
use crate::objective::{Objective, ObjectiveError, Window, check_windows};
use crate::weights::Layout;
use padded::Padded;
use phase_timer::Phase;
use std::sync::Mutex;
use window::{Scratch, WindowPass};

/// The loss by the fused layers.
pub struct Fused {
    config: Config,
    layout: Layout,
    padded: Padded,
    isa: Isa,
    /// Buffers that no window is using, for the next ones.
    idle: Mutex<Vec<Scratch>>,
    /// One per window of a batch.
    gradients: Gradients,
    /// Whether anything behind the conditioning frames learns.
    trunk: bool,
}

impl Fused {
    /// The loss of `config`, computed with `isa`.
    pub fn new(config: Config, isa: Isa) -> Self {
        Self {
            layout: Layout::new(config.table()),
            padded: Padded::new(&config, isa.lanes()),
            config,
            isa,
            idle: Mutex::default(),
            gradients: Gradients::default(),
            trunk: true,
        }
    }

    /// The same, whose gradients need be right only for the tensors that `learns` names: where those are the speakers'
    /// vectors and the frame-rate networks, a third of the work is left out.
    pub fn learning(mut self, learns: impl Fn(&str) -> bool) -> Self {
        let before = |name: &str| name == names::SPEAKERS || names::is_of_frames(name);
        self.trunk = self.layout.table().iter().any(|s| learns(&s.name) && !before(&s.name));
        self
    }

    /// −ln p of a window, summed over the rows behind its warm-up; the gradient of it times `scale` goes to `gradient`.
    fn window(&self, window: &Window, weights: &Weights, scale: f32, gradient: Option<&mut Aligned>) -> f64 {
        let mut scratch = locked(&self.idle).pop().unwrap_or_default();
        let nats = self.isa.run(WindowPass {
            config: &self.config,
            padded: &self.padded,
            weights,
            window,
            scale,
            gradient,
            trunk: self.trunk,
            scratch: &mut scratch,
        });
        locked(&self.idle).push(scratch);
        nats
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
        check_batch(&self.config, batch)?;
        let total: usize = batch.iter().map(|w| w.rows() - w.warmup).sum();
        let scale = 1.0 / total as f32;
        let mut weights = Weights::default();
        let transposed = self.padded.transposed().filter(|_| grads.is_some());
        weights.load(&self.padded.table, params, transposed);
        let nats =
            self.gradients.sum(batch.iter().collect(), &self.padded.table, grads, |window, gradient| {
                self.window(window, &weights, scale, gradient)
            });
        Ok(nats / total as f64)
    }

    fn peak_bytes(&self, windows: usize, window_len: usize, threads: usize) -> usize {
        let active = threads.clamp(1, windows.max(1));
        let activations = active * Scratch::bytes(&self.config, &self.padded, window_len);
        activations + 4 * self.padded.len() * (windows + 2)
    }

    fn phases(&self) -> Vec<(&'static str, f64)> {
        let mut seconds = [0.0; Phase::NAMES.len()];
        for scratch in locked(&self.idle).iter_mut() {
            scratch.timer.take().iter().zip(&mut seconds).for_each(|(own, all)| *all += own);
        }
        Phase::NAMES.into_iter().zip(seconds).collect()
    }
}

/// Checks that every window fits `config`; the length of the longest.
pub(super) fn check_batch(config: &Config, batch: &[Window]) -> Result<usize, ObjectiveError> {
    let longest = check_windows(batch, &config.likelihood())?;
    let Some(c) = &config.condition else { return Ok(longest) };
    for (i, w) in batch.iter().enumerate() {
        let err = |what: String| Err(ObjectiveError::Batch(format!("window {i}: {what}")));
        let frames = if c.features > 0 { w.rows().div_ceil(c.hop) } else { 0 };
        let want = frames * c.local_len().saturating_sub(1);
        if w.frames.len() != frames || w.frames.rows.len() != want {
            let (n, values) = (w.frames.len(), w.frames.rows.len());
            return err(format!("{n} frames of {values} values, wanted {frames} of {want}"));
        }
        if c.speaker_dim > 0 && w.speaker.is_none_or(|s| s >= c.speakers) {
            let found = w.speaker;
            return err(format!("speaker {found:?}, the model has {}", c.speakers));
        }
    }
    Ok(longest)
}
