//! A family's parameters: written down once, read by the trainer, the loader and the packer.

use super::{Dtype, Tensor, Tensors};
use crate::ar::Uniforms;

/// Name, shape and first values of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    /// Its name in the checkpoint.
    pub name: String,
    /// Length of each axis; matrices are [in, out].
    pub shape: Vec<usize>,
    /// The values that training starts from.
    pub init: Init,
    /// The smallest type that it can be stored as.
    pub smallest_dtype: Dtype,
    /// Tensors of one group have the same i8 scales: their products are summed before they are scaled.
    pub group: Option<&'static str>,
    /// Whether decoupled weight decay shrinks it.
    pub decays: bool,
    /// Whether it is a product between hidden layers: neither a table of rows nor what gives the logits.
    pub inner: bool,
}

/// First values of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// All zeros.
    Zeros,
    /// All this value.
    Constant(f32),
    /// Independent normal numbers of this standard deviation.
    Normal(f32),
    /// Ones from the first position up to the second, zeros elsewhere: the open gate of a bias.
    Ones(usize, usize),
}

impl Init {
    /// Keeps the variance of a product over `fan_in` inputs, times `gain`².
    pub fn fan_in(fan_in: usize, gain: f32) -> Self {
        Init::Normal(gain / (fan_in.max(1) as f32).sqrt())
    }
}

impl TensorSpec {
    /// A tensor that is always stored as f32. It decays if it has two dimensions or more.
    pub fn new(name: impl Into<String>, shape: &[usize], init: Init) -> Self {
        let (name, shape, decays) = (name.into(), shape.to_vec(), shape.len() > 1);
        Self { name, shape, init, smallest_dtype: Dtype::F32, group: None, decays, inner: false }
    }

    /// With the smallest type that it can be stored as.
    pub fn smallest_dtype(self, smallest_dtype: Dtype) -> Self {
        Self { smallest_dtype, ..self }
    }

    /// With the group that it shares its i8 scales with.
    pub fn scaled_with(self, group: &'static str) -> Self {
        Self { group: Some(group), ..self }
    }

    /// A table that does not decay: a row that is seldom picked would fade.
    pub fn undecayed(self) -> Self {
        Self { decays: false, ..self }
    }

    /// A product between hidden layers.
    pub fn inner(self) -> Self {
        Self { inner: true, ..self }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A table laid out end to end in one flat vector: how the trainer holds parameters, gradients, moments and averages.
#[derive(Debug, Clone)]
pub struct Layout {
    table: Vec<TensorSpec>,
    offsets: Vec<usize>,
    len: usize,
}

impl Layout {
    /// Lays `table` out in its order.
    pub fn new(table: Vec<TensorSpec>) -> Self {
        let mut len = 0;
        let offsets = table
            .iter()
            .map(|s| {
                let at = len;
                len += s.len();
                at
            })
            .collect();
        Self { table, offsets, len }
    }

    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The tensors, in order.
    pub fn table(&self) -> &[TensorSpec] {
        &self.table
    }

    /// Where tensor `name` stands in a flat vector.
    ///
    /// # Panics
    /// When the table has no such tensor: names come from the same `Config::table()`.
    pub fn range(&self, name: &str) -> std::ops::Range<usize> {
        let i = self
            .table
            .iter()
            .position(|s| s.name == name)
            .unwrap_or_else(|| panic!("no tensor {name} in the table"));
        self.range_at(i)
    }

    /// Where the table's tensor `i` stands in a flat vector.
    ///
    /// # Panics
    /// When the table is shorter.
    pub fn range_at(&self, i: usize) -> std::ops::Range<usize> {
        self.offsets[i]..self.offsets[i] + self.table[i].len()
    }

    /// First values, drawn from `seed`.
    pub fn init(&self, seed: u64) -> Vec<f32> {
        let mut flat = Vec::with_capacity(self.len);
        for (i, spec) in self.table.iter().enumerate() {
            let mut uniforms = Uniforms::keyed(seed, i as u64);
            match spec.init {
                Init::Zeros => flat.resize(flat.len() + spec.len(), 0.0),
                Init::Ones(from, to) => {
                    flat.extend((0..spec.len()).map(|i| if (from..to).contains(&i) { 1.0 } else { 0.0 }))
                }
                Init::Constant(value) => flat.resize(flat.len() + spec.len(), value),
                Init::Normal(std) => flat.extend((0..spec.len()).map(|_| uniforms.normal() * std)),
            }
        }
        flat
    }

    /// The tensors of a flat vector.
    pub fn tensors(&self, flat: &[f32]) -> Tensors {
        self.table
            .iter()
            .zip(&self.offsets)
            .map(|(s, &at)| (s.name.clone(), Tensor::new(&s.shape, flat[at..at + s.len()].to_vec())))
            .collect()
    }

    /// The flat vector of tensors that were [checked](super::check) against this table.
    pub fn flatten(&self, tensors: &Tensors) -> Vec<f32> {
        self.table.iter().flat_map(|s| tensors[&s.name].data.iter().copied()).collect()
    }
}
