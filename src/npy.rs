//! Arrays in numpy's `.npy` format, read. They are read whole, so that what stands behind them is seen.

use anyhow::{Context, Result, bail, ensure};
use npyz::{DType, NpyFile, TypeChar};
use std::path::Path;
use wavesynth_models::ar::Symbol;
use wavesynth_models::in_file;

/// Bytes of the longest array that is read, 512 MiB; from a pipe at most [`MOST_OF_PIPE`](in_file::MOST_OF_PIPE).
pub const MOST_ARRAY: u64 = 1 << 29;

/// Bytes of the longest head that is read; numpy's have 128.
const MOST_HEAD: usize = 1024;

/// Largest uniform number below 1 in f32: f64 numbers closer to 1 are rounded down to it.
const LARGEST_UNIFORM: f32 = 1.0 - 1.0 / (1u32 << 24) as f32;

/// A one-dimensional array of integers from 0 to below `classes`.
///
/// # Errors
/// A file that can't be read, is no such array or goes on behind it; it names the file.
pub fn read_symbols(path: &Path, classes: usize) -> Result<Vec<Symbol>> {
    read(path, |bytes| symbols(bytes, classes))
}

/// A one-dimensional array of floats, f64 rounded to f32, but never up to 1.
///
/// # Errors
/// As [`read_symbols`].
pub fn read_uniforms(path: &Path) -> Result<Vec<f32>> {
    read(path, uniforms)
}

fn read<T>(path: &Path, parse: impl FnOnce(&[u8]) -> Result<T>) -> Result<T> {
    let name = || path.display().to_string();
    let bytes = in_file::read(path, MOST_ARRAY).with_context(name)?;
    parse(&bytes).with_context(name)
}

/// [`read_symbols`] of a file's bytes.
///
/// # Errors
/// As there, without the name.
pub fn symbols(bytes: &[u8], classes: usize) -> Result<Vec<Symbol>> {
    let array = Array::open(bytes)?;
    let values = match array.kind {
        Some((TypeChar::Int, 1)) => array.elements::<i8, _>(f64::from)?,
        Some((TypeChar::Int, 2)) => array.elements::<i16, _>(f64::from)?,
        Some((TypeChar::Int, 4)) => array.elements::<i32, _>(f64::from)?,
        Some((TypeChar::Int, 8)) => array.elements::<i64, _>(|v| v as f64)?,
        Some((TypeChar::Uint, 1)) => array.elements::<u8, _>(f64::from)?,
        Some((TypeChar::Uint, 2)) => array.elements::<u16, _>(f64::from)?,
        Some((TypeChar::Uint, 4)) => array.elements::<u32, _>(f64::from)?,
        Some((TypeChar::Uint, 8)) => array.elements::<u64, _>(|v| v as f64)?,
        _ => bail!("elements of type {}, wanted integers", array.npy.dtype().descr()),
    };
    ensure!(!values.is_empty(), "no symbols");
    if let Some(at) = values.iter().position(|v| !(0.0..classes as f64).contains(v)) {
        bail!("symbol {at} is {}, wanted 0 to {}", values[at], classes - 1);
    }
    Ok(values.into_iter().map(|v| v as Symbol).collect())
}

/// [`read_uniforms`] of a file's bytes.
///
/// # Errors
/// As there, without the name.
pub fn uniforms(bytes: &[u8]) -> Result<Vec<f32>> {
    let array = Array::open(bytes)?;
    let round = |v: f64| if v < 1.0 { (v as f32).min(LARGEST_UNIFORM) } else { v as f32 };
    match array.kind {
        Some((TypeChar::Float, 4)) => array.elements::<f32, _>(|v| round(f64::from(v))),
        Some((TypeChar::Float, 8)) => array.elements::<f64, _>(round),
        _ => bail!("elements of type {}, wanted floats", array.npy.dtype().descr()),
    }
}

/// Whether no bracket of a head stands inside two others. The library's parser takes twice the time for each one more.
fn is_flat(head: &[u8]) -> bool {
    let mut depth = 0usize;
    head.iter().all(|b| {
        match b {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth <= 2
    })
}

/// A one-dimensional array of plain elements.
struct Array<'a> {
    npy: NpyFile<&'a [u8]>,
    kind: Option<(TypeChar, u64)>,
}

impl<'a> Array<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self> {
        const UNUSABLE: &str = "no usable .npy file";
        let head = match *bytes {
            [_, _, _, _, _, _, 1, _, a, b, ..] => usize::from(u16::from_le_bytes([a, b])) + 10,
            [_, _, _, _, _, _, _, _, a, b, c, d, ..] => {
                (u32::from_le_bytes([a, b, c, d]) as usize).saturating_add(12)
            }
            _ => bail!("{UNUSABLE}: {} bytes", bytes.len()),
        };
        ensure!(bytes.starts_with(b"\x93NUMPY"), "{UNUSABLE}: it does not begin as one");
        ensure!(head <= MOST_HEAD, "{UNUSABLE}: a head of {head} bytes, at most {MOST_HEAD} are read");
        ensure!(head <= bytes.len(), "{UNUSABLE}: cut off in its head");
        ensure!(
            is_flat(&bytes[..head]),
            "{UNUSABLE}: its head nests brackets, wanted a dictionary with a shape"
        );
        let npy = NpyFile::new(bytes).context(UNUSABLE)?;
        let &[n] = npy.shape() else { bail!("shape {:?}, wanted one dimension", npy.shape()) };
        let kind = match npy.dtype() {
            DType::Plain(t) => Some((t.type_char(), t.size_field())),
            _ => None,
        };
        if let Some((_, size)) = kind {
            let (found, wanted) = ((bytes.len() - head) as u64, n.saturating_mul(size));
            ensure!(found == wanted, "{found} bytes of elements, its head says {wanted}: cut off or damaged");
        }
        Ok(Self { npy, kind })
    }

    /// All elements; as `f64` they hold every integer that can be a symbol.
    fn elements<T: npyz::Deserialize, U>(self, to: impl Fn(T) -> U) -> Result<Vec<U>> {
        let elements = self.npy.data::<T>().map_err(anyhow::Error::from)?;
        elements.map(|v| Ok(to(v?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An array of one byte with this head.
    fn array(head: &str) -> Vec<u8> {
        [b"\x93NUMPY\x01\0", &(head.len() as u16).to_le_bytes()[..], head.as_bytes(), &[7]].concat()
    }

    #[test]
    fn nested_brackets_take_no_time() {
        let head = |shape: &str| format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
        assert_eq!(symbols(&array(&head("(1,)")), 256).unwrap(), [7]);
        let start = std::time::Instant::now();
        for nested in ["[".repeat(60), "(".repeat(60), format!("(0, {}", "[{(".repeat(20))] {
            let e = symbols(&array(&head(&nested)), 256).unwrap_err().to_string();
            assert!(e.contains("brackets"), "{e}");
        }
        assert!(start.elapsed().as_secs() < 5);
    }
}
