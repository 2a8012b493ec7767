//! Getting results out: one JSON value on stdout, files that appear whole or not at all.

use anyhow::{Context, Result};
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wavesynth_audio::file::Pending;
use wavesynth_audio::sink::SinkError;

/// One JSON value, on one line.
pub fn json(value: &impl Serialize) -> Result<()> {
    text(&serde_json::to_string(value)?)
}

/// A line or several on stdout. Unlike `println!`, a closed pipe is an error and no panic.
pub fn text(lines: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{lines}")?;
    out.flush()?;
    Ok(())
}

/// A line on standard error. Where that is gone the line is lost, and nothing else.
pub fn message(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Serialises a path that need not be UTF-8, as JSON has to be.
///
/// # Errors
/// The serialiser's.
pub fn path<S: serde::Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::to_string_lossy).serialize(to)
}

/// Whether an error only means that the reader of a pipe has gone.
pub fn is_broken_pipe(e: &anyhow::Error) -> bool {
    e.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
            || matches!(cause.downcast_ref(), Some(SinkError::BrokenPipe))
    })
}

/// Writes `path` through `fill`, beside its place first, so that a failure leaves what was there.
pub fn whole_file(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let name = || format!("cannot write {}", path.display());
    let pending = Pending::create(path).with_context(name)?;
    let mut out = BufWriter::new(pending.handle().with_context(name)?);
    fill(&mut out).with_context(name)?;
    out.flush().with_context(name)?;
    pending.commit().with_context(name)
}

/// A picture of `pixels` [height, width, 3], as a PNG.
///
/// # Errors
/// One too large.
pub fn png(width: usize, height: usize, pixels: &[u8]) -> Result<Vec<u8>> {
    let mut encoded = Vec::new();
    let mut encoder = png::Encoder::new(&mut encoded, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(encoded)
}

/// CPU time of the whole process so far, all threads.
pub fn cpu_time() -> Duration {
    cpu_time::ProcessTime::try_now().map_or(Duration::ZERO, |t| t.as_duration())
}

/// Magnitude in dB below full scale; `None` for silence, which has no logarithm.
pub fn dbfs(peak: f32) -> Option<f64> {
    (peak > 0.0).then(|| 20.0 * f64::from(peak).log10())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        whole_file(&path, |w| Ok(w.write_all(b"old")?)).unwrap();
        whole_file(&path, |w| {
            w.write_all(b"half")?;
            anyhow::bail!("no")
        })
        .unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn full_scale_is_zero_db() {
        assert_eq!(dbfs(1.0), Some(0.0));
        assert_eq!(dbfs(0.0), None);
        assert!((dbfs(0.5).unwrap() + 6.0206).abs() < 1e-3);
    }
}
