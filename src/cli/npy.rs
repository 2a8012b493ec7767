//! Arrays in numpy's `.npy` format.

use super::output;
use anyhow::{Context, Result, bail, ensure};
use std::io::Write;
use std::path::Path;
use wavesynth_models::ar::Symbol;

/// Largest uniform: f64 numbers closer to 1 than f32 can say are rounded down to it.
const LARGEST_UNIFORM: f32 = 1.0 - 1.0 / (1u32 << 24) as f32;

/// What a file begins with.
const MAGIC: &[u8] = b"\x93NUMPY";

/// A one-dimensional array, as it lies in a file.
struct Array {
    /// As numpy writes it: byte order, kind and bytes of an element.
    dtype: String,
    data: Vec<u8>,
}

impl Array {
    fn read(path: &Path) -> Result<Self> {
        let file = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let damaged = || format!("{} is no usable .npy file", path.display());
        let (dtype, shape, data) = parse(&file).with_context(damaged)?;
        ensure!(shape.len() == 1, "{}: shape {shape:?}, wanted one dimension", path.display());
        let size: usize = dtype.get(2..).and_then(|s| s.parse().ok()).unwrap_or(0);
        let len = shape[0].checked_mul(size).with_context(damaged)?;
        let data = data.get(..len).with_context(damaged)?;
        Ok(Self { dtype, data: data.into() })
    }

    /// All elements as `f64`, which holds every integer that can be a symbol; `None` where they are not of `kinds`.
    fn elements(&self, kinds: &[&str]) -> Option<Vec<f64>> {
        let (order, kind) = self.dtype.split_at_checked(1)?;
        if !kinds.contains(&kind) || !["<", ">", "|", "="].contains(&order) {
            return None;
        }
        let size: usize = kind[1..].parse().ok()?;
        let value = |bytes: &[u8]| {
            let bits = match order {
                ">" => bytes.iter().fold(0, |bits, &b| bits << 8 | u64::from(b)),
                _ => bytes.iter().rev().fold(0, |bits, &b| bits << 8 | u64::from(b)),
            };
            match kind {
                "f4" => f64::from(f32::from_bits(bits as u32)),
                "f8" => f64::from_bits(bits),
                _ if kind.starts_with('u') => bits as f64,
                // The sign is that of the highest byte.
                _ => ((bits << (64 - 8 * size)) as i64 >> (64 - 8 * size)) as f64,
            }
        };
        Some(self.data.chunks_exact(size).map(value).collect())
    }
}

/// Type, shape and elements of a file; `None` where it is damaged.
fn parse(file: &[u8]) -> Option<(String, Vec<usize>, &[u8])> {
    let ([major, _], rest) = file.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (len, rest) = match major {
        1 => rest.split_first_chunk().map(|(n, rest)| (u16::from_le_bytes(*n).into(), rest))?,
        2 | 3 => rest.split_first_chunk().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest))?,
        _ => return None,
    };
    let (header, data) = rest.split_at_checked(len)?;
    let header = std::str::from_utf8(header).ok()?;
    let field = |name: &str| header.split_once(&format!("'{name}':")).map(|(_, value)| value.trim_start());
    let dtype = field("descr")?;
    let dtype = match dtype.strip_prefix('\'') {
        Some(plain) => plain.split_once('\'')?.0,
        // Records, in a list.
        None => dtype.split_once("'fortran_order'")?.0.trim_end_matches([' ', ',']),
    };
    let shape = field("shape")?.strip_prefix('(')?.split_once(')')?.0;
    let sizes = shape.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::parse);
    Some((dtype.into(), sizes.collect::<Result<_, _>>().ok()?, data))
}

/// A one-dimensional array of integers from 0 to below `classes`.
pub fn read_symbols(path: &Path, classes: usize) -> Result<Vec<Symbol>> {
    let array = Array::read(path)?;
    let Some(values) = array.elements(&["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]) else {
        bail!("{}: elements of type {}, wanted integers", path.display(), array.dtype)
    };
    ensure!(!values.is_empty(), "{}: no symbols", path.display());
    if let Some(at) = values.iter().position(|v| !(0.0..classes as f64).contains(v)) {
        bail!("{}: symbol {at} is {}, wanted 0 to {}", path.display(), values[at], classes - 1);
    }
    Ok(values.into_iter().map(|v| v as Symbol).collect())
}

/// A one-dimensional array of floats, f64 rounded to f32, but never up to 1.
pub fn read_uniforms(path: &Path) -> Result<Vec<f32>> {
    let array = Array::read(path)?;
    let Some(values) = array.elements(&["f4", "f8"]) else {
        bail!("{}: elements of type {}, wanted floats", path.display(), array.dtype)
    };
    let round = |v: f64| if v < 1.0 { (v as f32).min(LARGEST_UNIFORM) } else { v as f32 };
    Ok(values.into_iter().map(round).collect())
}

/// What an array can be written of.
pub trait Element {
    /// As numpy calls it.
    const DTYPE: &str;
    /// Its bytes, the lowest first.
    fn bytes(&self) -> impl AsRef<[u8]>;
}

macro_rules! element {
    ($($t:ty = $dtype:literal),*) => {
        $(impl Element for $t {
            const DTYPE: &str = $dtype;
            fn bytes(&self) -> impl AsRef<[u8]> {
                self.to_le_bytes()
            }
        })*
    };
}
element!(f32 = "<f4", u16 = "<u2");

/// Writes an array of `shape` in C order, element by element through `fill`, whole or not at all.
pub fn write<T: Element>(
    path: &Path,
    shape: &[u64],
    fill: impl FnOnce(&mut dyn FnMut(T) -> std::io::Result<()>) -> Result<()>,
) -> Result<()> {
    output::whole_file(path, |file| {
        let sizes: String = shape.iter().map(|n| format!("{n}, ")).collect();
        let header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({sizes}), }}", T::DTYPE);
        // Spaces and a line break, so that the elements begin at a multiple of 64.
        let len = (header.len() + 11).next_multiple_of(64) - 10;
        file.write_all(MAGIC)?;
        file.write_all(&[1, 0])?;
        file.write_all(&(len as u16).to_le_bytes())?;
        writeln!(file, "{header:<width$}", width = len - 1)?;
        let mut count = 0;
        fill(&mut |value| {
            count += 1;
            file.write_all(value.bytes().as_ref())
        })?;
        ensure!(count == shape.iter().product::<u64>(), "{count} elements for the shape {shape:?}");
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    element!(i64 = "<i8", f64 = "<f8", u8 = "|u1");

    #[test]
    fn symbols_of_any_integer_type() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        write::<i64>(&path, &[3], |push| Ok([0, 255, 7].into_iter().try_for_each(push)?)).unwrap();
        assert_eq!(read_symbols(&path, 256).unwrap(), [0, 255, 7]);
        let message = read_symbols(&path, 255).unwrap_err().to_string();
        assert!(message.ends_with("symbol 1 is 255, wanted 0 to 254"), "{message}");
        assert!(read_uniforms(&path).unwrap_err().to_string().contains("wanted floats"));
        write::<u8>(&path, &[1, 2], |push| Ok([1, 2].into_iter().try_for_each(push)?)).unwrap();
        assert!(read_symbols(&path, 256).unwrap_err().to_string().contains("one dimension"));
    }

    /// Another program writes the same bytes, and what it writes is read in either order of bytes.
    #[test]
    fn arrays_are_those_of_npyz() {
        use npyz::{DType, WriterBuilder};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        write::<f32>(&path, &[2, 3], |push| Ok([0.5; 6].into_iter().try_for_each(push)?)).unwrap();
        let mut theirs = Vec::new();
        let mut writer =
            npyz::WriteOptions::new().default_dtype().shape(&[2, 3]).writer(&mut theirs).begin_nd().unwrap();
        writer.extend([0.5f32; 6]).unwrap();
        writer.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), theirs);
        for dtype in ["<i2", ">i2"] {
            let dtype = DType::Plain(dtype.parse().unwrap());
            let mut theirs = Vec::new();
            let mut writer =
                npyz::WriteOptions::new().dtype(dtype).shape(&[3]).writer(&mut theirs).begin_nd().unwrap();
            writer.extend([3i16, 258, -2]).unwrap();
            writer.finish().unwrap();
            std::fs::write(&path, &theirs).unwrap();
            let array = Array::read(&path).unwrap();
            assert_eq!(array.elements(&["i2"]).unwrap(), [3.0, 258.0, -2.0]);
        }
    }

    #[test]
    fn uniforms_never_become_one_by_rounding() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("u.npy");
        let values = [0.25, 1.0 - 1e-12, 1.0];
        write::<f64>(&path, &[3], |push| Ok(values.into_iter().try_for_each(push)?)).unwrap();
        assert_eq!(read_uniforms(&path).unwrap(), [0.25, LARGEST_UNIFORM, 1.0]);
    }

    #[test]
    fn a_cut_off_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("u.npy");
        write::<f32>(&path, &[3], |push| Ok([0.5; 3].into_iter().try_for_each(push)?)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for n in [0, 5, 20, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..n]).unwrap();
            assert!(read_uniforms(&path).is_err(), "{n} bytes");
        }
    }
}
