//! Getting results out: one JSON value on stdout, files that appear whole or not at all.

use anyhow::{Context, Result};
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use wavesynth_audio::cond::CondError;
use wavesynth_audio::sink::SinkError;
use wavesynth_models::ar::NotFinite;
use wavesynth_models::in_file::InFile;
use wavesynth_models::weights::CheckpointError;
use wavesynth_output::{Kind, Output, OutputError, Pending, Plan, kind, plan::Why, shown};

/// One JSON value, on one line.
pub fn json(value: &impl Serialize) -> Result<()> {
    raw_text(&shown::json(&serde_json::to_string(value)?))
}

/// A line or several on stdout, without what a terminal would obey.
pub fn text(lines: &str) -> Result<()> {
    raw_text(&shown::lines(lines))
}

/// As [`text`], but all as it is. Unlike `println!`, a closed pipe is an error and no panic.
pub fn raw_text(lines: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{lines}").and_then(|()| out.flush()).context("cannot write -")
}

/// What a row of a table is about: the input at `path`, or all of them, in words.
pub fn input_name(path: Option<&Path>, all: &str) -> String {
    path.map_or_else(|| all.into(), shown::path)
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
    let to_output = |e: &OutputError| matches!(&e.why, Why::Io(e) if is_broken(e));
    e.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(is_broken)
            || matches!(cause.downcast_ref(), Some(SinkError::BrokenPipe))
            || cause.downcast_ref().is_some_and(to_output)
            || matches!(cause.downcast_ref(), Some(CondError::Write(e)) if to_output(e))
            || matches!(
                cause.downcast_ref(),
                Some(InFile { error: CheckpointError::Output(Why::Io(e)), .. }) if is_broken(e)
            )
    })
}

fn is_broken(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::BrokenPipe
}

/// What every command says in its `--help` about the files that it writes.
pub const RULE: &str = "\
Files that are written:
  A file appears whole or not at all: it is written beside its place, then renamed. It keeps the permissions of a file that it
  replaces. Links are followed. Pipes and devices are written into. - is stdout, where one result alone goes there. An input
  is never written to, nor is one file written twice. A file of another kind (a speaker by a track, a text by sound) or one
  that is read-only is replaced with --force only. A name that promises another format (x.mp3) is refused. All of this is
  checked before the work.";

/// Whether more than a file of the same kind may be replaced.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ForceArg {
    /// Replace files of another kind, and those that are read-only, too
    #[arg(long)]
    pub force: bool,
}

impl ForceArg {
    /// A plan that goes by it.
    pub fn plan(self) -> Plan {
        Plan::new(self.force)
    }
}

/// Pictures.
pub const PNG: Kind =
    Kind { name: "a PNG picture", endings: &["png"], is_text: false, is: |p| kind::begins(p, b"\x89PNG") };

/// Plots.
pub const SVG: Kind =
    Kind { name: "an SVG plot", endings: &["svg"], is_text: true, is: |p| kind::begins(p, b"<svg ") };

/// A table in Markdown, told from other texts by a line among its first: the head of the table.
pub const fn table(is: fn(&Path) -> bool) -> Kind {
    Kind { name: "such a table", endings: &["md", "txt"], is_text: true, is }
}

/// Whether one of the first lines of the file at `path` begins with `head`.
pub fn has_head(path: &Path, head: &str) -> bool {
    kind::lines(path).is_some_and(|lines| lines.iter().take(4).any(|line| line.starts_with(head)))
}

/// Writes `output` through `fill`.
pub fn whole_file(
    output: Output,
    fill: impl FnOnce(&mut BufWriter<&mut Pending>) -> Result<()>,
) -> Result<()> {
    let path = shown::path(output.path());
    let name = || format!("cannot write {path}");
    let mut pending = output.create().with_context(name)?;
    let mut out = BufWriter::new(&mut pending);
    // What a model gives is no matter of the file.
    fill(&mut out).map_err(|e| if e.is::<NotFinite>() { e } else { e.context(name()) })?;
    out.flush().with_context(name)?;
    drop(out);
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
        whole_file(Output::at(&path).unwrap(), |w| Ok(w.write_all(b"old")?)).unwrap();
        whole_file(Output::at(&path).unwrap(), |w| {
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
