//! A text model: a loaded model with the tokeniser that it was trained with.

#[cfg(feature = "bpe")]
mod bpe;
#[cfg(feature = "cli")]
pub mod compare;
mod stream;
mod tokenizer;

pub use stream::Utf8Stream;
pub use tokenizer::{SECTION, Tokenizer, TokenizerKind, without_mark};

use crate::kinds;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use wavesynth_models::ar::{Sampling, Symbol};
use wavesynth_models::in_file;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::Header;

/// Bytes of the longest text that is read, 1 GiB; from a pipe at most [`MOST_OF_PIPE`](in_file::MOST_OF_PIPE).
pub const MOST_TEXT: u64 = 1 << 30;

/// The bytes of the text at `path`, without a byte order mark.
///
/// # Errors
/// A file that can't be read, is empty or too long; it names the file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let name = || path.display().to_string();
    let mut text = in_file::read(path, MOST_TEXT).with_context(name)?;
    text.drain(..text.len() - without_mark(&text).len());
    ensure!(!text.is_empty(), "{}: the file is empty", name());
    Ok(text)
}

/// A text model.
pub struct TextModel {
    /// The model, packed.
    pub model: Loaded,
    /// Its tokeniser.
    pub tokenizer: Tokenizer,
}

/// Whether a checkpoint says that it is a text model.
pub fn is_text(header: &Header) -> bool {
    header.sections.contains_key(SECTION)
}

impl TextModel {
    /// Opens the checkpoint at `path` as a text model.
    ///
    /// # Errors
    /// As [`Loaded::open`], or a model that is no text model.
    pub fn open(path: &Path, isa: Isa) -> Result<Self> {
        Self::from_loaded(Loaded::open(path, isa)?).with_context(|| path.display().to_string())
    }

    /// Takes a model that was loaded already as a text model.
    ///
    /// # Errors
    /// As [`TextModel::open`].
    pub fn from_loaded(model: Loaded) -> Result<Self> {
        kinds::check(&model.header)?;
        let tokenizer = Tokenizer::from_header(&model.header)?;
        let (classes, known) = (model.config.facts().likelihood.classes(), tokenizer.classes());
        ensure!(classes == known, "{classes} classes, its tokeniser has {known} symbols");
        ensure!(model.config.facts().condition.is_none(), "wants a condition, which no text has");
        Ok(Self { model, tokenizer })
    }

    /// −ln p of every symbol in nats, read in one go from the first on.
    pub fn score(&self, symbols: &[Symbol]) -> Vec<f32> {
        self.score_after(self.model.config.facts().start, symbols)
    }

    /// The same where `before`, and nothing else, stands before the first symbol.
    pub fn score_after(&self, before: Symbol, symbols: &[Symbol]) -> Vec<f32> {
        let mut stream = self.model.generator(Sampling::default());
        stream.reset_after(before.into());
        symbols.iter().map(|&x| stream.score(x.into())).collect()
    }
}
