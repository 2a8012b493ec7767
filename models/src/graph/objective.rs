//! The loss by a family's plain graph, differentiated by candle.

use super::{DeviceTensors, PaddedBatch, Variables, scalar};
use crate::dropout::Dropout;
use crate::family::Family;
use crate::objective::{Objective, ObjectiveError, Window};
use crate::weights::Layout;
use candle_core::{Device, IndexOp, Result, Tensor};
use std::ops::Range;

/// A family with a graph.
pub trait GraphFamily: Family {
    /// Checks that windows, and the states that they begin from, fit; the length of the longest.
    ///
    /// # Errors
    /// The first that does not.
    fn check(&self, batch: &[Window], carry: &[Vec<f32>]) -> std::result::Result<usize, ObjectiveError>;

    /// As [`Objective::carry_len`].
    fn carry_len(&self) -> usize {
        0
    }

    /// What a graph of `tensors` gives for `batch`.
    ///
    /// # Errors
    /// A device out of memory.
    fn read(&self, tensors: DeviceTensors, batch: &Batch) -> Result<GraphReading>;

    /// As [`Objective::peak_bytes`].
    fn peak_bytes(&self, windows: usize, window_len: usize) -> usize;
}

/// What a graph gives for a batch.
pub struct GraphReading {
    /// Parameters [B, T, P] of the likelihood.
    pub parameters: Tensor,
    /// The state behind every row [B, T, carry_len], where [`GraphFamily::carry_len`] is not 0.
    pub states: Option<Tensor>,
    /// A loss that is added to that of the likelihood.
    pub added: Option<Tensor>,
}

impl From<Tensor> for GraphReading {
    fn from(parameters: Tensor) -> Self {
        Self { parameters, states: None, added: None }
    }
}

/// A batch as a graph reads it.
pub struct Batch<'a> {
    /// B of them.
    pub windows: &'a [Window],
    /// What is read, padded to the longest window: see [`PaddedBatch::inputs`].
    pub inputs: &'a Tensor,
    /// The states that they begin from [B, carry_len], where there are any.
    pub start: Option<Tensor>,
    dropout: Option<Dropout>,
    /// Where all this lies.
    pub device: &'a Device,
}

impl Batch<'_> {
    /// T.
    ///
    /// # Errors
    /// None that the shape of [`Batch::inputs`] allows.
    pub fn rows(&self) -> Result<usize> {
        self.inputs.dim(1)
    }

    /// What dropout lays over `rows` of each window's output of layer `layer`: [B, rows, `width`].
    ///
    /// # Errors
    /// A device out of memory.
    pub fn masks(&self, layer: usize, rows: Range<usize>, width: usize) -> Result<Option<Tensor>> {
        let Some(dropout) = self.dropout else { return Ok(None) };
        let mask = |w: &Window| dropout.mask(w.dropout, layer, rows.start, rows.len(), width);
        let all: Vec<f32> = self.windows.iter().flat_map(mask).collect();
        Tensor::from_vec(all, (self.windows.len(), rows.len(), width), self.device).map(Some)
    }
}

/// The loss by the plain graph.
pub struct GraphObjective<F> {
    family: F,
    layout: Layout,
    device: Device,
    dropout: Option<Dropout>,
}

impl<F: GraphFamily> GraphObjective<F> {
    /// The loss of `family` on `device`.
    pub fn new(family: F, device: Device) -> Self {
        let layout = Layout::new(family.table());
        Self { family, layout, device, dropout: None }
    }

    /// With dropout, for a family whose graph asks for [`Batch::masks`].
    pub(crate) fn dropping(self, rate: f64) -> Self {
        Self { dropout: Dropout::new(rate), ..self }
    }

    fn start(&self, carry: &[Vec<f32>]) -> Result<Option<Tensor>> {
        let n = self.family.carry_len();
        if n == 0 {
            return Ok(None);
        }
        let mut start = vec![0.0; carry.len() * n];
        for (to, from) in start.chunks_exact_mut(n).zip(carry) {
            to[..from.len()].copy_from_slice(from);
        }
        Tensor::from_vec(start, (carry.len(), n), &self.device).map(Some)
    }
}

impl<F: GraphFamily> Objective for GraphObjective<F> {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn carry_len(&self) -> usize {
        self.family.carry_len()
    }

    fn loss_carried(
        &self,
        params: &[f32],
        batch: &[Window],
        carry: &mut [Vec<f32>],
        grads: Option<&mut [f32]>,
    ) -> std::result::Result<f64, ObjectiveError> {
        let t = self.family.check(batch, carry)?;
        let vars = Variables::new(&self.layout, params, &self.device)?;
        let padded = PaddedBatch::new(batch, t, &self.family.facts().likelihood, &self.device)?;
        let (start, dropout, device) = (self.start(carry)?, self.dropout, &self.device);
        let read = Batch { windows: batch, inputs: &padded.inputs, start, dropout, device };
        let GraphReading { parameters, states, added } = self.family.read(vars.tensors(), &read)?;
        let mut loss = padded.loss(&parameters, &self.family.facts().likelihood)?;
        if let Some(added) = added {
            loss = (loss + added)?;
        }
        if let Some(grads) = grads {
            vars.gradient(&loss, &self.layout, grads)?;
        }
        if let Some(states) = states {
            for (i, (carry, w)) in carry.iter_mut().zip(batch).enumerate() {
                *carry = states.i((i, w.rows() - 1))?.to_vec1()?;
            }
        }
        scalar(&loss)
    }

    fn parameters(
        &self,
        params: &[f32],
        window: &Window,
    ) -> std::result::Result<Option<Vec<f32>>, ObjectiveError> {
        let windows = std::slice::from_ref(window);
        let t = self.family.check(windows, &[Vec::new()])?;
        let vars = Variables::new(&self.layout, params, &self.device)?;
        let padded = PaddedBatch::new(windows, t, &self.family.facts().likelihood, &self.device)?;
        let (start, device) = (self.start(&[Vec::new()])?, &self.device);
        let read = Batch { windows, inputs: &padded.inputs, start, dropout: None, device };
        let read = self.family.read(vars.tensors(), &read)?;
        Ok(Some(read.parameters.flatten_all()?.to_vec1()?))
    }

    fn peak_bytes(&self, windows: usize, window_len: usize, _threads: usize) -> usize {
        self.family.peak_bytes(windows, window_len)
    }
}
