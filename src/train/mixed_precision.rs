//! Training with `--device cpu-bf16`: gradients by operands of products rounded to bfloat16, readings in f32. Weights and sums
//! stay in f32, and bfloat16 has the exponents of f32, so no loss is scaled
//! ([Kalamkar et al. 2019](https://arxiv.org/abs/1905.12322)).

use wavesynth_models::objective::{Objective, ObjectiveError, Window};
use wavesynth_models::weights::Layout;

/// One loss, computed in two ways.
pub struct MixedPrecision {
    /// Computes losses with their gradients.
    pub rounded: Box<dyn Objective>,
    /// Computes losses alone: a held-out reading has to be the engine's.
    pub exact: Box<dyn Objective>,
}

impl MixedPrecision {
    fn by(&self, gradients: bool) -> &dyn Objective {
        if gradients { self.rounded.as_ref() } else { self.exact.as_ref() }
    }
}

impl Objective for MixedPrecision {
    fn layout(&self) -> &Layout {
        self.exact.layout()
    }

    fn carry_len(&self) -> usize {
        self.exact.carry_len()
    }

    fn loss_carried(
        &self,
        params: &[f32],
        batch: &[Window],
        carry: &mut [Vec<f32>],
        grads: Option<&mut [f32]>,
    ) -> Result<f64, ObjectiveError> {
        self.by(grads.is_some()).loss_carried(params, batch, carry, grads)
    }

    fn parameters(&self, params: &[f32], window: &Window) -> Result<Option<Vec<f32>>, ObjectiveError> {
        self.exact.parameters(params, window)
    }

    fn peak_bytes(&self, windows: usize, window_len: usize, threads: usize) -> usize {
        self.rounded.peak_bytes(windows, window_len, threads)
    }

    fn phases(&self) -> Vec<(&'static str, f64)> {
        self.rounded.phases()
    }
}
