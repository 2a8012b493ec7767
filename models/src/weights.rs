//! Tensors by name: the table that a family writes down once, the values, what they are stored as, and the file that
//! holds them.

mod checkpoint;
mod container;
mod stored;
mod table;
mod unique_keys;

pub use checkpoint::{Checkpoint, CheckpointError, HEADER_KEY, Header, VERSION, header_of};
pub use container::{CHECKSUM_KEY, MOST_HEAD};
pub use stored::{Dtype, Stored, dtype, nearest_i8, quantise};
pub use table::{Init, Layout, TensorSpec};

use std::collections::BTreeMap;

/// One tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// `shape.iter().product()` values.
    pub data: Vec<f32>,
    /// What the values are.
    pub stored: Stored,
}

impl Tensor {
    /// A tensor of any values.
    pub fn new(shape: &[usize], data: Vec<f32>) -> Self {
        Self { shape: shape.to_vec(), data, stored: Stored::F32 }
    }

    /// Length of the last axis: the output channels of a matrix.
    pub fn columns(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }
}

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// How tensors differ from the table that they must match.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum WeightsError {
    /// In the table and not among the tensors.
    #[error("tensor {name} is missing, wanted {want:?}")]
    Missing {
        /// Its name.
        name: String,
        /// The table's shape.
        want: Vec<usize>,
    },
    /// Another shape than the table's.
    #[error("tensor {name} has shape {found:?}, wanted {want:?}")]
    Shape {
        /// Its name.
        name: String,
        /// The shape given.
        found: Vec<usize>,
        /// The table's shape.
        want: Vec<usize>,
    },
    /// Among the tensors and not in the table.
    #[error("tensor {name} is not one of this model's")]
    Unexpected {
        /// Its name.
        name: String,
    },
    /// A value that no trained model has.
    #[error("tensor {name} holds {value} at position {at}: the model diverged or the file is damaged")]
    NotFinite {
        /// Its name.
        name: String,
        /// Index into the row-major values.
        at: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A value that f16 does not have.
    #[error("tensor {name} holds {value} at position {at}, beyond the range of f16: keep it in f32")]
    BeyondF16 {
        /// Its name.
        name: String,
        /// Index into the row-major values.
        at: usize,
        /// The value.
        value: f32,
    },
    /// A smaller type than the table allows.
    #[error("tensor {name} is stored as {found}, {want} is the smallest type that it can have")]
    Dtype {
        /// Its name.
        name: String,
        /// Its type.
        found: Dtype,
        /// The table's.
        want: Dtype,
    },
    /// Tensors of one group that are stored in different ways.
    #[error("tensors {first} and {name} must have one type and, as i8, the same scales")]
    Group {
        /// The group's first tensor.
        first: String,
        /// The one that differs.
        name: String,
    },
}

/// Checks `tensors` against `table`: every name present once with its shape, nothing else, every value finite, stored as
/// the table allows.
///
/// # Errors
/// The first difference.
pub fn check(tensors: &Tensors, table: &[TensorSpec]) -> Result<(), WeightsError> {
    let mut firsts = BTreeMap::new();
    for spec in table {
        let name = || spec.name.clone();
        let Some(t) = tensors.get(&spec.name) else {
            return Err(WeightsError::Missing { name: name(), want: spec.shape.clone() });
        };
        if t.shape != spec.shape || t.data.len() != spec.len() {
            return Err(WeightsError::Shape {
                name: name(),
                found: t.shape.clone(),
                want: spec.shape.clone(),
            });
        }
        if let Some(at) = t.data.iter().position(|v| !v.is_finite()) {
            return Err(WeightsError::NotFinite { name: name(), at, value: t.data[at] });
        }
        let found = t.stored.dtype();
        if found < spec.smallest_dtype {
            return Err(WeightsError::Dtype { name: name(), found, want: spec.smallest_dtype });
        }
        if let Some(group) = spec.group
            && let Some(first) = firsts.insert(group, spec)
        {
            if tensors[&first.name].stored != t.stored {
                return Err(WeightsError::Group { first: first.name.clone(), name: name() });
            }
            firsts.insert(group, first);
        }
    }
    match tensors.keys().find(|k| !table.iter().any(|s| s.name == **k)) {
        Some(name) => Err(WeightsError::Unexpected { name: name.clone() }),
        None => Ok(()),
    }
}
