//! A series model: a loaded model over vectors, with the scale of the rows that it was trained on.

use crate::columns::Columns;
use crate::kinds;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;
use wavesynth_models::ar::{Generator, NotFinite, Sampling, Uniforms};
use wavesynth_models::in_file;
use wavesynth_models::likelihood::Value;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::Header;

/// The key of [`SeriesSection`] in a checkpoint's header.
pub const SECTION: &str = "series";

/// Bytes of the longest file of rows that is read, 256 MiB.
pub const MOST_ROWS: u64 = 1 << 28;

/// The checkpoint section `series`: what a model's vectors mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesSection {
    /// Rows of the longest sequence that it was trained on.
    pub rows: usize,
    /// `[D]` mean of each column.
    pub mean: Vec<f32>,
    /// `[D]` standard deviation of each column, above 0.
    pub std: Vec<f32>,
}

impl SeriesSection {
    /// The scale of the rows.
    pub fn columns(&self) -> Columns<'_> {
        Columns { mean: &self.mean, std: &self.std }
    }
}

/// Sequences of rows, as a text file holds them: a row of numbers a line with commas between them, and an empty line
/// behind each sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequences {
    /// Each [T, D], T > 0, row by row.
    pub all: Vec<Vec<f32>>,
    /// D.
    pub dims: usize,
}

impl Sequences {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// A file that can't be read, a line that is no row of numbers or has another count of them, or no row at all.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = in_file::read_text(path, MOST_ROWS).with_context(|| name.clone())?;
        let (mut all, mut dims) = (vec![Vec::new()], 0);
        for (number, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                all.push(Vec::new());
                continue;
            }
            let at = || format!("{name}: line {} `{}`", number + 1, line.trim());
            let row: Vec<f32> = line
                .split(',')
                .map(|x| x.trim().parse::<f32>().ok().filter(|x| x.is_finite()))
                .collect::<Option<_>>()
                .with_context(|| format!("{}: wanted numbers with commas between them", at()))?;
            ensure!(
                dims == 0 || row.len() == dims,
                "{}: {} numbers, the lines before it have {dims}",
                at(),
                row.len()
            );
            dims = row.len();
            if let Some(last) = all.last_mut() {
                last.extend(row);
            }
        }
        all.retain(|rows| !rows.is_empty());
        ensure!(!all.is_empty(), "{name}: no row of numbers in it");
        Ok(Self { all, dims })
    }
}

/// A model that draws sequences of vectors.
pub struct SeriesModel {
    /// The model, packed.
    pub model: Loaded,
    /// The scale of its rows.
    pub section: SeriesSection,
}

/// Whether a checkpoint says that it is a series model.
pub fn is_series(header: &Header) -> bool {
    header.sections.contains_key(SECTION)
}

impl SeriesModel {
    /// Takes a model that was loaded already as a series model.
    ///
    /// # Errors
    /// No such section, or one that does not fit the model.
    pub fn from_loaded(model: Loaded) -> Result<Self> {
        kinds::check(&model.header)?;
        let section = model.header.sections.get(SECTION);
        let section = section.with_context(|| format!("its header has no `{SECTION}` section"))?;
        let section: SeriesSection =
            serde_json::from_value(section.clone()).with_context(|| format!("header section `{SECTION}`"))?;
        let dims = model.config.facts().likelihood.dims();
        ensure!(dims > 0, "its likelihood is over symbols, wanted one over vectors");
        section.columns().check(dims, SECTION)?;
        ensure!((1..=1 << 24).contains(&section.rows), "`{SECTION}` has {} rows", section.rows);
        Ok(Self { model, section })
    }

    /// D.
    pub fn dims(&self) -> usize {
        self.section.mean.len()
    }

    /// −ln p of every normalised row [T, D], in nats.
    pub fn score(&self, rows: &[f32]) -> Vec<f32> {
        let mut stream = self.model.generator(Sampling::default());
        rows.chunks_exact(self.dims()).map(|row| stream.score(Value::Vector(row))).collect()
    }

    /// A new sequence, row by row.
    pub fn sequence(&self, sampling: Sampling) -> SequenceStream<'_> {
        let stream = self.model.generator(sampling);
        let uniforms = vec![0.0; stream.likelihood().get().uniforms()];
        SequenceStream { stream, uniforms, scale: self.section.columns(), row: vec![0.0; self.dims()] }
    }

    /// A sequence of `rows` rows [rows, D], in the scale of the data.
    ///
    /// # Errors
    /// Numbers that are none.
    pub fn draw(
        &self,
        rows: usize,
        sampling: Sampling,
        uniforms: &mut Uniforms,
    ) -> Result<Vec<f32>, NotFinite> {
        let (mut stream, mut drawn) = (self.sequence(sampling), Vec::new());
        for _ in 0..rows {
            drawn.extend_from_slice(stream.draw(uniforms)?);
        }
        Ok(drawn)
    }
}

/// A sequence that is drawn row by row.
pub struct SequenceStream<'a> {
    stream: Box<dyn Generator>,
    scale: Columns<'a>,
    /// Those of the row at hand.
    uniforms: Vec<f32>,
    row: Vec<f32>,
}

impl SequenceStream<'_> {
    /// The next row `[D]`, in the scale of the data.
    ///
    /// # Errors
    /// Numbers that are none.
    pub fn draw(&mut self, uniforms: &mut Uniforms) -> Result<&[f32], NotFinite> {
        self.uniforms.fill_with(|| uniforms.next_uniform());
        let drawn = self.scale.restored(self.stream.draw(&self.uniforms).vector());
        self.row.iter_mut().zip(drawn).for_each(|(to, x)| *to = x);
        let finite = self.stream.is_finite() && self.row.iter().all(|x| x.is_finite());
        if finite { Ok(&self.row) } else { Err(NotFinite) }
    }
}
