//! What the families' own forward and backward passes share: parameters padded to whole vectors, and work on rows.

pub mod padded;
pub mod rows;

use crate::kernels::aligned::Aligned;
use padded::PaddedTable;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The buffers behind `mutex`. They are overwritten before they are read, so a panic elsewhere leaves nothing to fear.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The windows of each group of a batch: a power of two of groups as equal as can be, none above `most`.
pub fn groups(windows: usize, most: usize) -> Vec<Range<usize>> {
    let n = windows.div_ceil(most).next_power_of_two();
    (0..n).map(|g| g * windows / n..(g + 1) * windows / n).filter(|r| !r.is_empty()).collect()
}

/// Makes `v` hold at least `len` values, of any content.
#[inline(always)]
pub fn size(v: &mut Vec<f32>, len: usize) {
    if v.len() < len {
        v.resize(len, 0.0);
    }
}

/// One padded gradient for each part of a batch, kept from call to call.
#[derive(Default)]
pub struct Gradients(Mutex<Vec<Aligned>>);

impl Gradients {
    /// The sum of `run` over `parts`, each a task of its own. Where `grads` is given every part adds to zeros of its own,
    /// laid out as `table`, and their sum is written to it. All is summed in the order of the parts: the same bits at any
    /// number of threads.
    pub fn sum<P: Send>(
        &self,
        parts: Vec<P>,
        table: &PaddedTable,
        grads: Option<&mut [f32]>,
        run: impl Fn(P, Option<&mut Aligned>) -> f64 + Sync,
    ) -> f64 {
        let Some(grads) = grads else {
            let all: Vec<f64> = parts.into_par_iter().with_max_len(1).map(|p| run(p, None)).collect();
            return all.iter().sum();
        };
        let mut gradients = std::mem::take(&mut *locked(&self.0));
        gradients.resize_with(parts.len(), || Aligned::zeros(table.len()));
        let all: Vec<f64> = parts
            .into_par_iter()
            .zip(&mut gradients)
            .with_max_len(1)
            .map(|(part, gradient)| {
                gradient.fill(0.0);
                run(part, Some(gradient))
            })
            .collect();
        table.sum_gradients(&gradients, grads);
        *locked(&self.0) = gradients;
        all.iter().sum()
    }
}
