//! Arrays in numpy's `.npy` format.

use super::output;
use anyhow::{Context, Result, bail, ensure};
use npyz::{DType, NpyFile, TypeChar, WriterBuilder};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use wavesynth_models::ar::Symbol;
use wavesynth_output::{Kind, Output, kind};

/// Largest uniform number below 1 in f32: f64 numbers closer to 1 are rounded down to it.
const LARGEST_UNIFORM: f32 = 1.0 - 1.0 / (1u32 << 24) as f32;

type Source = NpyFile<BufReader<File>>;

fn open(path: &Path) -> Result<Source> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let npy = NpyFile::new(BufReader::new(file))
        .with_context(|| format!("{} is no usable .npy file", path.display()))?;
    ensure!(npy.shape().len() == 1, "{}: shape {:?}, wanted one dimension", path.display(), npy.shape());
    Ok(npy)
}

fn kind(npy: &Source) -> Option<(TypeChar, u64)> {
    match npy.dtype() {
        DType::Plain(t) => Some((t.type_char(), t.size_field())),
        _ => None,
    }
}

/// All elements as `f64`, which holds every integer that can be a symbol.
fn elements<T: npyz::Deserialize>(npy: Source, path: &Path, to: fn(T) -> f64) -> Result<Vec<f64>> {
    let damaged = || format!("{} is no usable .npy file", path.display());
    let mut values = Vec::new();
    for value in npy.data::<T>().map_err(anyhow::Error::from).with_context(damaged)? {
        values.push(to(value.with_context(damaged)?));
    }
    Ok(values)
}

/// A one-dimensional array of integers from 0 to below `classes`.
pub fn read_symbols(path: &Path, classes: usize) -> Result<Vec<Symbol>> {
    let npy = open(path)?;
    let values = match kind(&npy) {
        Some((TypeChar::Int, 1)) => elements::<i8>(npy, path, f64::from)?,
        Some((TypeChar::Int, 2)) => elements::<i16>(npy, path, f64::from)?,
        Some((TypeChar::Int, 4)) => elements::<i32>(npy, path, f64::from)?,
        Some((TypeChar::Int, 8)) => elements::<i64>(npy, path, |v| v as f64)?,
        Some((TypeChar::Uint, 1)) => elements::<u8>(npy, path, f64::from)?,
        Some((TypeChar::Uint, 2)) => elements::<u16>(npy, path, f64::from)?,
        Some((TypeChar::Uint, 4)) => elements::<u32>(npy, path, f64::from)?,
        Some((TypeChar::Uint, 8)) => elements::<u64>(npy, path, |v| v as f64)?,
        _ => bail!("{}: elements of type {}, wanted integers", path.display(), npy.dtype().descr()),
    };
    ensure!(!values.is_empty(), "{}: no symbols", path.display());
    if let Some(at) = values.iter().position(|v| !(0.0..classes as f64).contains(v)) {
        bail!("{}: symbol {at} is {}, wanted 0 to {}", path.display(), values[at], classes - 1);
    }
    Ok(values.into_iter().map(|v| v as Symbol).collect())
}

/// A one-dimensional array of floats, f64 rounded to f32, but never up to 1.
pub fn read_uniforms(path: &Path) -> Result<Vec<f32>> {
    let npy = open(path)?;
    let values = match kind(&npy) {
        Some((TypeChar::Float, 4)) => elements::<f32>(npy, path, f64::from)?,
        Some((TypeChar::Float, 8)) => elements::<f64>(npy, path, |v| v)?,
        _ => bail!("{}: elements of type {}, wanted floats", path.display(), npy.dtype().descr()),
    };
    let round = |v: f64| if v < 1.0 { (v as f32).min(LARGEST_UNIFORM) } else { v as f32 };
    Ok(values.into_iter().map(round).collect())
}

/// Arrays in this format.
pub const NPY: Kind =
    Kind { name: "a .npy array", endings: &["npy"], is_text: false, is: |p| kind::begins(p, b"\x93NUMPY") };

/// Writes an array of `shape` in C order, element by element through `fill`.
pub fn write<T: npyz::AutoSerialize>(
    output: Output,
    shape: &[u64],
    fill: impl FnOnce(&mut dyn FnMut(T) -> std::io::Result<()>) -> Result<()>,
) -> Result<()> {
    output::whole_file(output, |file| {
        let mut npy = npyz::WriteOptions::new().default_dtype().shape(shape).writer(file).begin_nd()?;
        fill(&mut |value| npy.push(&value))?;
        npy.finish()?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_of_any_integer_type() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        write::<i64>(Output::at(&path).unwrap(), &[3], |push| {
            Ok([0, 255, 7].into_iter().try_for_each(push)?)
        })
        .unwrap();
        assert_eq!(read_symbols(&path, 256).unwrap(), [0, 255, 7]);
        let message = read_symbols(&path, 255).unwrap_err().to_string();
        assert!(message.ends_with("symbol 1 is 255, wanted 0 to 254"), "{message}");
        assert!(read_uniforms(&path).unwrap_err().to_string().contains("wanted floats"));
        write::<u8>(Output::at(&path).unwrap(), &[1, 2], |push| Ok([1, 2].into_iter().try_for_each(push)?))
            .unwrap();
        assert!(read_symbols(&path, 256).unwrap_err().to_string().contains("one dimension"));
    }

    #[test]
    fn uniforms_never_become_one_by_rounding() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("u.npy");
        let values = [0.25, 1.0 - 1e-12, 1.0];
        write::<f64>(Output::at(&path).unwrap(), &[3], |push| Ok(values.into_iter().try_for_each(push)?))
            .unwrap();
        assert_eq!(read_uniforms(&path).unwrap(), [0.25, LARGEST_UNIFORM, 1.0]);
    }

    #[test]
    fn a_cut_off_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("u.npy");
        write::<f32>(Output::at(&path).unwrap(), &[3], |push| Ok([0.5; 3].into_iter().try_for_each(push)?))
            .unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for n in [0, 5, 20, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..n]).unwrap();
            assert!(read_uniforms(&path).is_err(), "{n} bytes");
        }
    }
}
