//! What the teacher-forced graphs share: tensors on a candle device, batches of windows padded to one length, the loss
//! and its gradient by candle.

use crate::likelihood::{Input, LikelihoodConfig};
use crate::objective::{ObjectiveError, Window};
use crate::weights::{Layout, TensorSpec, Tensors, WeightsError, check};
use candle_core::{DType, Device, Result, Tensor, Var};
use std::collections::HashMap;

mod objective;

pub use objective::{Batch, GraphFamily, GraphObjective, GraphReading};

/// Tensors on a candle device, by name.
pub type DeviceTensors = HashMap<String, Tensor>;

/// Why a graph can't be built.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// Tensors that are not those of the config.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The library failed.
    #[error("graph: {0}")]
    Candle(#[from] candle_core::Error),
}

/// Puts `tensors` on `device`.
///
/// # Errors
/// Tensors that are not those of `table`, or a device out of memory.
pub fn on_device(
    tensors: &Tensors,
    table: &[TensorSpec],
    device: &Device,
) -> std::result::Result<DeviceTensors, GraphError> {
    check(tensors, table)?;
    let put = |(name, t): (&String, &crate::weights::Tensor)| {
        Ok((name.clone(), Tensor::from_slice(&t.data, &t.shape[..], device)?))
    };
    Ok(tensors.iter().map(put).collect::<Result<_>>()?)
}

/// x [.., in] times w [in, out], as one product of two contiguous matrices.
///
/// # Errors
/// Shapes that do not fit.
pub fn product(x: &Tensor, w: &Tensor) -> Result<Tensor> {
    let mut shape = x.dims().to_vec();
    let inputs = shape.pop().unwrap_or(0);
    let rows: usize = shape.iter().product();
    shape.push(w.dim(1)?);
    x.contiguous()?.reshape((rows, inputs))?.matmul(w)?.reshape(shape)
}

/// Parameters that candle differentiates by.
pub struct Variables(Vec<(String, Var)>);

impl Variables {
    /// The tensors of flat `params`.
    ///
    /// # Errors
    /// A device out of memory.
    pub fn new(layout: &Layout, params: &[f32], device: &Device) -> Result<Self> {
        let var = |(name, t): (String, crate::weights::Tensor)| {
            Ok((name, Var::from_slice(&t.data, &t.shape[..], device)?))
        };
        Ok(Self(layout.tensors(params).into_iter().map(var).collect::<Result<_>>()?))
    }

    /// The tensors, for a graph.
    pub fn tensors(&self) -> DeviceTensors {
        self.0.iter().map(|(n, v)| (n.clone(), v.as_tensor().clone())).collect()
    }

    /// Writes the gradient of `loss` into flat `grads`.
    ///
    /// # Errors
    /// What candle says.
    pub fn gradient(&self, loss: &Tensor, layout: &Layout, grads: &mut [f32]) -> Result<()> {
        let store = loss.backward()?;
        for (name, var) in &self.0 {
            let to = &mut grads[layout.range(name)];
            match store.get(var.as_tensor()) {
                Some(g) => to.copy_from_slice(&g.flatten_all()?.to_vec1::<f32>()?),
                None => to.fill(0.0),
            }
        }
        Ok(())
    }
}

/// Windows of several lengths, padded to the longest; what is padded has no weight in the loss.
pub struct PaddedBatch {
    /// Symbols u32 [B, T], or the numbers that values enter as, f32 [B, T, numbers]: see [`Input`].
    pub inputs: Tensor,
    /// Symbols u32 [B, T], or vectors f32 [B, T, dims].
    targets: Tensor,
    /// [B, T] 1 where a row counts, else 0.
    weight: Tensor,
    /// Rows that count.
    total: f64,
}

impl PaddedBatch {
    /// Pads windows that were [checked](crate::objective::check_windows) to `t` rows.
    ///
    /// # Errors
    /// A device out of memory.
    pub fn new(batch: &[Window], t: usize, likelihood: &LikelihoodConfig, device: &Device) -> Result<Self> {
        let symbols = |of: fn(&Window) -> &[u16]| -> Vec<u32> {
            let row = |w| (0..t).map(move |i| of(w).get(i).map_or(0, |&s| u32::from(s)));
            batch.iter().flat_map(row).collect()
        };
        let (b, dims) = (batch.len(), likelihood.dims());
        let inputs = match likelihood.input() {
            Input::Table { .. } => Tensor::from_vec(symbols(|w| &w.inputs), (b, t), device)?,
            input => {
                let n = input.numbers();
                let mut all = vec![0.0; b * t * n];
                for (w, rows) in batch.iter().zip(all.chunks_exact_mut(t * n)) {
                    for (i, row) in rows.chunks_exact_mut(n).enumerate().take(w.rows()) {
                        input.write(w.input(i), row);
                    }
                }
                Tensor::from_vec(all, (b, t, n), device)?
            }
        };
        let targets = match dims {
            0 => Tensor::from_vec(symbols(|w| &w.targets), (b, t), device)?,
            _ => {
                let mut all = vec![0.0; b * t * dims];
                for (w, rows) in batch.iter().zip(all.chunks_exact_mut(t * dims)) {
                    rows[..w.vectors.targets.len()].copy_from_slice(&w.vectors.targets);
                }
                Tensor::from_vec(all, (b, t, dims), device)?
            }
        };
        let counts = |w: &Window, i| i >= w.warmup && i < w.rows();
        let weight: Vec<f32> =
            batch.iter().flat_map(|w| (0..t).map(move |i| if counts(w, i) { 1.0 } else { 0.0 })).collect();
        Ok(Self {
            inputs,
            targets,
            total: weight.iter().map(|&w| f64::from(w)).sum(),
            weight: Tensor::from_vec(weight, (b, t), device)?,
        })
    }

    /// Mean negative log-likelihood by `params` [B, T, P] of `likelihood`, a scalar.
    ///
    /// # Errors
    /// What candle says.
    pub fn loss(&self, params: &Tensor, likelihood: &LikelihoodConfig) -> Result<Tensor> {
        let nats = likelihood.get().graph_loss(params, &self.targets)?;
        (nats * &self.weight)?.sum_all()? * (1.0 / self.total)
    }
}

/// x [B, T, width] of `inputs`, as [`PaddedBatch::inputs`] has them, by the matrix E [rows, width].
///
/// # Errors
/// What candle says.
pub fn embed(e: &Tensor, inputs: &Tensor) -> Result<Tensor> {
    match inputs.dims() {
        [b, t] => e.embedding(&inputs.flatten_all()?)?.reshape((*b, *t, e.dim(1)?)),
        _ => product(inputs, e),
    }
}

/// The value of a scalar.
///
/// # Errors
/// What candle says.
pub fn scalar(x: &Tensor) -> std::result::Result<f64, ObjectiveError> {
    Ok(f64::from(x.to_dtype(DType::F32)?.to_scalar::<f32>()?))
}
