//! Arrays in numpy's `.npy` format.

use super::output;
use anyhow::Result;
use npyz::WriterBuilder;
pub use wavesynth::npy::{read_symbols, read_uniforms};
use wavesynth_output::{Kind, Output, kind};

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
        let message = format!("{:#}", read_symbols(&path, 255).unwrap_err());
        assert!(message.ends_with("symbol 1 is 255, wanted 0 to 254"), "{message}");
        assert!(format!("{:#}", read_uniforms(&path).unwrap_err()).contains("wanted floats"));
        write::<u8>(Output::at(&path).unwrap(), &[1, 2], |push| Ok([1, 2].into_iter().try_for_each(push)?))
            .unwrap();
        assert!(format!("{:#}", read_symbols(&path, 256).unwrap_err()).contains("one dimension"));
    }

    #[test]
    fn uniforms_never_become_one_by_rounding() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("u.npy");
        let values = [0.25, 1.0 - 1e-12, 1.0];
        write::<f64>(Output::at(&path).unwrap(), &[3], |push| Ok(values.into_iter().try_for_each(push)?))
            .unwrap();
        let below_one = 1.0 - 1.0 / (1u32 << 24) as f32;
        assert_eq!(read_uniforms(&path).unwrap(), [0.25, below_one, 1.0]);
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
        std::fs::write(&path, [&bytes[..], b"\0"].concat()).unwrap();
        let message = format!("{:#}", read_uniforms(&path).unwrap_err());
        assert!(message.ends_with("13 bytes of elements, its head says 12: cut off or damaged"), "{message}");
        let mut long = bytes;
        long[6] = 2;
        assert!(
            format!("{:#}", {
                std::fs::write(&path, long).unwrap();
                read_uniforms(&path).unwrap_err()
            })
            .contains("a head of")
        );
    }
}
