//! Adaptations: small tensors beside a model's own that make it another speaker's, as a condition file may carry them.

#[cfg(feature = "train")]
use crate::weights::Layout;
use crate::weights::{Tensor, Tensors};
use std::any::Any;
use std::sync::Arc;

/// Highest rank of a change.
pub const MAX_RANK: usize = 32;

/// The first factor D [inputs, rank] of the change of the product `weight`.
pub fn down(weight: &str) -> String {
    format!("{weight}.down")
}

/// The second factor U [rank, outputs].
pub fn up(weight: &str) -> String {
    format!("{weight}.up")
}

/// An adaptation, packed for the model that [`crate::loaded::Loaded::adaptation`] made it for. Clones share it.
#[derive(Clone)]
pub struct Adaptation(Arc<dyn Any + Send + Sync>);

impl Adaptation {
    pub(crate) fn new<C: Send + Sync + 'static>(changes: C) -> Self {
        Self(Arc::new(changes))
    }

    /// What it holds, if that is a `C`.
    ///
    /// # Real-time
    /// Yes.
    pub(crate) fn get<C: Send + Sync + 'static>(&self) -> Option<Arc<C>> {
        self.0.clone().downcast().ok()
    }
}

/// Equal where both are the same.
impl PartialEq for Adaptation {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl std::fmt::Debug for Adaptation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Adaptation")
    }
}

/// The rank of `adaptation`'s changes: that of the first; `None` where there is none.
pub fn rank(adaptation: &Tensors) -> Option<usize> {
    adaptation.iter().find(|(name, _)| name.ends_with(".down")).and_then(|(_, t)| t.shape.get(1).copied())
}

/// Changes `tensors`, a model's own, as `adaptation` says: W + D U for every product, b + δ for every bias. The
/// arithmetic of a model that was [adapted](crate::loaded::Loaded::adaptation), up to rounding.
///
/// # Panics
/// Where the shapes do not fit: check both first.
pub fn merge(tensors: &mut Tensors, adaptation: &Tensors) {
    for (name, change) in adaptation {
        if let Some(weight) = name.strip_suffix(".down") {
            let (down, up) = (change, &adaptation[&up(weight)]);
            let w = float(tensors, weight);
            let (rank, columns) = (up.shape[0], up.shape[1]);
            for (row, down) in w.data.chunks_exact_mut(columns).zip(down.data.chunks_exact(rank)) {
                for (d, up) in down.iter().zip(up.data.chunks_exact(columns)) {
                    row.iter_mut().zip(up).for_each(|(w, u)| *w += d * u);
                }
            }
        } else if !name.ends_with(".up") {
            float(tensors, name).data.iter_mut().zip(&change.data).for_each(|(b, d)| *b += d);
        }
    }
}

/// `adaptation` with `part` of its changes.
pub fn scaled(mut adaptation: Tensors, part: f32) -> Tensors {
    let changes = adaptation.iter_mut().filter(|(name, _)| !name.ends_with(".down"));
    changes.for_each(|(_, t)| t.data.iter_mut().for_each(|v| *v *= part));
    adaptation
}

/// The gradient of an adaptation's tensors `factors`, from `grads`, the gradient of the model's own, flat as `layout` lays
/// them out, at the weights that [`merge`] gives: ∂D = G Uᵀ, ∂U = Dᵀ G, ∂δ that of the bias.
///
/// # Panics
/// As [`merge`].
#[cfg(feature = "train")]
pub fn gradient(layout: &Layout, grads: &[f32], factors: &Tensors) -> Tensors {
    let mut out = Tensors::new();
    for (name, factor) in factors {
        if let Some(weight) = name.strip_suffix(".down") {
            let up = &factors[&up(weight)];
            let (rank, columns) = (up.shape[0], up.shape[1]);
            let mut of_down = vec![0.0; factor.data.len()];
            let mut of_up = vec![0.0; up.data.len()];
            let rows = grads[layout.range(weight)].chunks_exact(columns);
            let downs = factor.data.chunks_exact(rank).zip(of_down.chunks_exact_mut(rank));
            for (g, (down, of_down)) in rows.zip(downs) {
                for (r, (d, of_d)) in down.iter().zip(of_down).enumerate() {
                    let span = r * columns..(r + 1) * columns;
                    *of_d = g.iter().zip(&up.data[span.clone()]).map(|(g, u)| g * u).sum();
                    of_up[span].iter_mut().zip(g).for_each(|(of_u, g)| *of_u += d * g);
                }
            }
            out.insert(name.clone(), Tensor::new(&factor.shape, of_down));
            out.insert(self::up(weight), Tensor::new(&up.shape, of_up));
        } else if !name.ends_with(".up") {
            out.insert(name.clone(), Tensor::new(&factor.shape, grads[layout.range(name)].to_vec()));
        }
    }
    out
}

/// Tensor `name`, as f32.
fn float<'a>(tensors: &'a mut Tensors, name: &str) -> &'a mut Tensor {
    let Some(tensor) = tensors.get_mut(name) else {
        panic!("no tensor {name}, which the adaptation changes")
    };
    *tensor = Tensor::new(&tensor.shape, std::mem::take(&mut tensor.data));
    tensor
}
