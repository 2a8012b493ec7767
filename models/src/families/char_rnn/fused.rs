//! The trainer's own forward and backward: truncated back-propagation through time (Williams & Peng 1990) without a
//! graph library.
//!
//! Some windows of the batch are one task: a thread takes the group through all layers forward, through the head, and
//! back. Rows stand time-major, so that a time step's recurrent product is one small matrix product for the group, and
//! what does not wait for the step before (the products from the layer below, the weights' gradients) is one product for
//! many rows. How a batch is split depends on its size alone, each group adds to a gradient of its own, and these are
//! summed in order, which makes the result the same bits at any number of threads.
//!
//! ```text
//! parameter_layout  the padded parameters and their transposes
//! group     one group of windows: layers, head, and their backward
//! ```

mod group;
mod parameter_layout;

use super::Config;
use crate::dropout::Dropout;
use crate::fused::padded::Weights;
use crate::fused::{Gradients, groups, locked};
use crate::kernels::Isa;
use crate::kernels::aligned::Aligned;
use crate::objective::{Objective, ObjectiveError, Window, check_unconditioned, check_windows};
use crate::weights::Layout;
use group::{GroupPass, Scratch};
use parameter_layout::ParameterLayout;
use std::ops::Range;
use std::sync::Mutex;

/// Windows of a group at most: enough rows for each reading of the recurrent weights, few enough for several threads.
const GROUP: usize = 16;

/// The loss by the fused layers.
pub struct Fused {
    config: Config,
    layout: Layout,
    parameters: ParameterLayout,
    isa: Isa,
    dropout: Option<Dropout>,
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
            parameters: ParameterLayout::new(&config, isa.lanes()),
            config,
            isa,
            dropout: None,
            weights: Mutex::default(),
            idle: Mutex::default(),
            gradients: Gradients::default(),
        }
    }

    /// The same loss with dropout at `rate` over the output of every layer, in windows that have a key for it.
    pub fn with_dropout(self, rate: f64) -> Self {
        Self { dropout: Dropout::new(rate), ..self }
    }

    /// −ln p of a group, summed over the rows behind its warm-ups; the gradient of it times `scale` goes to `gradient`.
    fn group(
        &self,
        windows: &[Window],
        carry: &mut [Vec<f32>],
        weights: &Weights,
        scale: f32,
        gradient: Option<&mut Aligned>,
    ) -> f64 {
        let mut scratch = locked(&self.idle).pop().unwrap_or_default();
        let nats = self.isa.run(GroupPass {
            isa: self.isa,
            config: &self.config,
            layout: &self.parameters,
            dropout: self.dropout,
            weights,
            windows,
            carry,
            scale,
            gradient,
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

    fn carry_len(&self) -> usize {
        self.config.state_len()
    }

    fn loss_carried(
        &self,
        params: &[f32],
        batch: &[Window],
        carry: &mut [Vec<f32>],
        grads: Option<&mut [f32]>,
    ) -> Result<f64, ObjectiveError> {
        check_batch(&self.config, batch, carry)?;
        let total: usize = batch.iter().map(|w| w.rows() - w.warmup).sum();
        let scale = 1.0 / total as f32;
        let mut weights = std::mem::take(&mut *locked(&self.weights));
        let transposed = self.parameters.transposed().filter(|_| grads.is_some());
        weights.load(&self.parameters.table, params, transposed);
        let mut rest = carry;
        let parts: Vec<_> = groups(batch.len(), GROUP)
            .into_iter()
            .map(|r| {
                let (here, later) = std::mem::take(&mut rest).split_at_mut(r.len());
                rest = later;
                (&batch[r], here)
            })
            .collect();
        let nats = self.gradients.sum(parts, &self.parameters.table, grads, |(windows, carry), gradient| {
            self.group(windows, carry, &weights, scale, gradient)
        });
        *locked(&self.weights) = weights;
        Ok(nats / total as f64)
    }

    fn peak_bytes(&self, windows: usize, window_len: usize, threads: usize) -> usize {
        let groups = groups(windows, GROUP);
        let active = threads.clamp(1, groups.len().max(1));
        let widest = groups.iter().map(Range::len).max().unwrap_or(0);
        let activations = active
            * Scratch::bytes(&self.config, &self.parameters, widest, window_len, self.dropout.is_some());
        activations + 4 * self.parameters.len() * (groups.len() + 2)
    }
}

/// Checks that every window and its carry fit `config`; the length of the longest.
pub(super) fn check_batch(
    config: &Config,
    batch: &[Window],
    carry: &[Vec<f32>],
) -> Result<usize, ObjectiveError> {
    let want = config.state_len();
    if carry.len() != batch.len() {
        let (n, m) = (carry.len(), batch.len());
        return Err(ObjectiveError::Batch(format!("{n} carried states for {m} windows")));
    }
    if let Some((i, c)) = carry.iter().enumerate().find(|(_, c)| !c.is_empty() && c.len() != want) {
        let n = c.len();
        return Err(ObjectiveError::Batch(format!("window {i}: {n} values carried, the model has {want}")));
    }
    let Some(c) = &config.condition else {
        return check_unconditioned(batch, &config.likelihood());
    };
    let longest = check_windows(batch, &config.likelihood())?;
    let fits = |w: &Window| {
        let other = w.speaker.is_some() || w.class.is_some() || !w.sites.is_empty();
        w.frames.len() == w.rows() && w.frames.rows.len() == w.rows() * c.features && !other
    };
    match batch.iter().position(|w| !fits(w)) {
        Some(i) => Err(ObjectiveError::Batch(format!(
            "window {i}: another condition than {} numbers for each of its rows",
            c.features
        ))),
        None => Ok(longest),
    }
}
