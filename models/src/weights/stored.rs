//! How the values of a tensor are stored, in a file and in the engine's memory.
//!
//! A tensor's `data` are always the values that are meant, as f32. What it is stored as says that each of them is a
//! value of a smaller type, so that writing and packing lose nothing. [`quantise`] is the one place where values change.

use super::{Tensor, TensorSpec, Tensors, WeightsError, check};
use half::f16;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A type of weights, the smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dtype {
    /// Codes −127 … 127, with one f32 scale per output channel.
    I8,
    /// 16-bit floats, IEEE 754 binary16.
    F16,
    /// 32-bit floats.
    F32,
}

impl Dtype {
    /// Every type, the largest first.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::I8];

    /// Its name: i8, f16 or f32.
    pub fn name(self) -> &'static str {
        match self {
            Self::I8 => "i8",
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dtype {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|d| d.name() == s).ok_or_else(|| "there are f32, f16 and i8".into())
    }
}

/// What a tensor's values are.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// Any.
    F32,
    /// Values of [`Dtype::F16`].
    F16,
    /// code · scale, rounded to f32.
    I8 {
        /// One per output channel, which is the tensor's last axis. Above 0.
        scales: Vec<f32>,
    },
}

impl Stored {
    /// Its type.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::I8 { .. } => Dtype::I8,
        }
    }

    /// How a tensor is stored whose columns are those of `columns`, which may put columns of zeros between them.
    pub fn with_columns(&self, columns: impl FnOnce(&[f32]) -> Vec<f32>) -> Self {
        match self {
            Self::I8 { scales } => {
                let scales = columns(scales).into_iter().map(|s| if s > 0.0 { s } else { 1.0 }).collect();
                Self::I8 { scales }
            }
            other => other.clone(),
        }
    }
}

/// The smallest type among `tensors`: what a model is called.
pub fn dtype(tensors: &Tensors) -> Dtype {
    tensors.values().map(|t| t.stored.dtype()).min().unwrap_or(Dtype::F32)
}

/// Stores `tensors` as `dtype`, or as the smallest type that `table` allows each if that is wider. Those of the type
/// already stay as they are, so doing it twice is doing it once. To f32 no value changes; to f16 each goes to
/// the nearest, halves to even; to i8 to the nearest multiple of its output channel's largest magnitude / 127.
///
/// # Errors
/// Tensors that are not the table's, or a value beyond the range of f16.
pub fn quantise(tensors: &mut Tensors, table: &[TensorSpec], dtype: Dtype) -> Result<(), WeightsError> {
    check(tensors, table)?;
    let mut groups: BTreeMap<&str, Vec<&TensorSpec>> = BTreeMap::new();
    for spec in table {
        groups.entry(spec.group.unwrap_or(&spec.name)).or_default().push(spec);
    }
    for group in groups.values() {
        let to = group[0].smallest_dtype.max(dtype);
        if tensors[&group[0].name].stored.dtype() == to {
            continue;
        }
        let stored = match to {
            Dtype::F32 => Stored::F32,
            Dtype::F16 => Stored::F16,
            Dtype::I8 => Stored::I8 { scales: scales(group.iter().map(|s| &tensors[&s.name])) },
        };
        for spec in group {
            if let Some(t) = tensors.get_mut(&spec.name) {
                round(&spec.name, t, &stored)?;
                t.stored = stored.clone();
            }
        }
    }
    Ok(())
}

/// Largest magnitude of each column / 127; 1 for a column of zeros.
fn scales<'a>(group: impl Iterator<Item = &'a Tensor>) -> Vec<f32> {
    let mut largest = Vec::new();
    for t in group {
        let columns = t.columns();
        largest.resize(columns, 0f32);
        for row in t.data.chunks_exact(columns) {
            for (largest, v) in largest.iter_mut().zip(row) {
                *largest = largest.max(v.abs());
            }
        }
    }
    // So small a number that its quotient is none is a zero.
    largest.iter().map(|&m| if m / 127.0 >= f32::MIN_POSITIVE { m / 127.0 } else { 1.0 }).collect()
}

fn round(name: &str, t: &mut Tensor, stored: &Stored) -> Result<(), WeightsError> {
    match stored {
        Stored::F32 => {}
        Stored::F16 => {
            for (at, v) in t.data.iter_mut().enumerate() {
                let half = f16::from_f32(*v);
                if half.is_infinite() {
                    return Err(WeightsError::BeyondF16 { name: name.into(), at, value: *v });
                }
                *v = half.to_f32();
            }
        }
        Stored::I8 { scales } => {
            for row in t.data.chunks_exact_mut(scales.len()) {
                for (v, scale) in row.iter_mut().zip(scales) {
                    *v = nearest_i8(*v, *scale) as f32 * scale;
                }
            }
        }
    }
    Ok(())
}

/// The code nearest to `value`.
pub fn nearest_i8(value: f32, scale: f32) -> i8 {
    (value / scale).round_ties_even().clamp(-127.0, 127.0) as i8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ar::Uniforms;
    use crate::weights::Init;

    fn table() -> Vec<TensorSpec> {
        let spec = |name, shape: &[usize]| TensorSpec::new(name, shape, Init::Zeros);
        vec![
            spec("a", &[5, 3]).smallest_dtype(Dtype::I8).scaled_with("ab"),
            spec("b", &[7, 3]).smallest_dtype(Dtype::I8).scaled_with("ab"),
            spec("c", &[4, 2]).smallest_dtype(Dtype::F16),
            spec("d", &[3]),
        ]
    }

    fn tensors() -> Tensors {
        let mut uniforms = Uniforms::new(3);
        let mut random = |n| (0..n).map(|_| uniforms.normal()).collect();
        table().iter().map(|s| (s.name.clone(), Tensor::new(&s.shape, random(s.len())))).collect()
    }

    #[test]
    fn every_tensor_gets_the_smallest_type_it_may_have() {
        let types = |dtype| {
            let mut t = tensors();
            quantise(&mut t, &table(), dtype).unwrap();
            t.values().map(|t| t.stored.dtype()).collect::<Vec<_>>()
        };
        use Dtype::{F16, F32, I8};
        assert_eq!(types(F32), [F32, F32, F32, F32]);
        assert_eq!(types(F16), [F16, F16, F16, F32]);
        assert_eq!(types(I8), [I8, I8, F16, F32]);
    }

    #[test]
    fn quantising_is_near_and_twice_is_once() {
        for (dtype, step) in [(Dtype::F16, 2f32.powi(-9)), (Dtype::I8, 4.0 / 127.0)] {
            let (before, mut after) = (tensors(), tensors());
            quantise(&mut after, &table(), dtype).unwrap();
            for (name, t) in &after {
                for (a, b) in t.data.iter().zip(&before[name].data) {
                    assert!((a - b).abs() <= step / 2.0, "{dtype} {name}: {b} became {a}");
                }
            }
            let mut again = after.clone();
            quantise(&mut again, &table(), dtype).unwrap();
            assert_eq!(again, after);
            quantise(&mut again, &table(), Dtype::F32).unwrap();
            assert!(again.iter().all(|(name, t)| t.data == after[name].data), "widening changes no value");
            assert_eq!(super::dtype(&again), Dtype::F32);
        }
    }

    #[test]
    fn one_group_has_one_scale_and_every_code_comes_back() {
        let mut t = tensors();
        t.get_mut("b").unwrap().data[1] = 40.0;
        t.get_mut("a").unwrap().data.iter_mut().step_by(3).for_each(|v| *v = 0.0);
        t.get_mut("b").unwrap().data.iter_mut().step_by(3).for_each(|v| *v = 0.0);
        quantise(&mut t, &table(), Dtype::I8).unwrap();
        assert_eq!(t["a"].stored, t["b"].stored);
        let Stored::I8 { scales } = &t["a"].stored else { panic!("i8") };
        assert_eq!((scales[0], scales[1]), (1.0, 40.0 / 127.0));
        for scale in [1e-30, 0.1, 1.0 / 3.0, 7.7e20] {
            for c in -127..=127i8 {
                assert_eq!(nearest_i8(f32::from(c) * scale, scale), c);
            }
        }
    }

    #[test]
    fn a_value_beyond_f16_is_refused() {
        let mut t = tensors();
        t.get_mut("c").unwrap().data[5] = -7e4;
        let message = quantise(&mut t, &table(), Dtype::F16).unwrap_err().to_string();
        assert_eq!(message, "tensor c holds -70000 at position 5, beyond the range of f16: keep it in f32");
    }
}
