//! A run file of any kind, told apart by its section `[text]`, `[series]`, `[say]` or `[images]`, with `[vq_vae]` or without;
//! without any it is of recordings.

use super::config::check::{conflict, read_text};
use super::config::{RunFile, Train};
use super::images::config::ImageRun;
use super::images::start;
use super::images::vq_vae::VqVaeRun;
use super::series::SeriesRun;
use super::text::config::TextRun;
use super::tts::config::SayRun;
use crate::kinds;
use anyhow::{Result, ensure};
use std::path::Path;
use wavesynth_models::vq_vae;
use wavesynth_models::weights::Header;
use wavesynth_output::Kind;

/// A run file of any kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Run {
    /// Recordings in, a voice out.
    Voice(Box<RunFile>),
    /// A text in, a text model out.
    Text(Box<TextRun>),
    /// Sequences of vectors in, a series model out.
    Series(Box<SeriesRun>),
    /// Recordings with transcripts in, a text-to-speech model out.
    Say(Box<SayRun>),
    /// Images in, an image model out.
    Images(Box<ImageRun>),
    /// Images in, a VQ-VAE out.
    VqVae(Box<VqVaeRun>),
}

impl Run {
    /// Reads and checks the run file at `path`; also gives its text.
    ///
    /// # Errors
    /// An unreadable file, an unknown or missing key, a value out of range: file, key and what was wanted.
    pub fn read(path: &Path) -> Result<(Self, String)> {
        let text = read_text(path)?;
        let run = Self::parse(&text, &path.display().to_string())?;
        Ok((run, text))
    }

    /// Reads a run file's text; `name` is used in errors only.
    ///
    /// # Errors
    /// As [`Run::read`].
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        // A text that is no TOML is an error of either reader.
        match toml::from_str::<toml::Table>(text) {
            Ok(table) if table.contains_key("text") => {
                Ok(Self::Text(Box::new(TextRun::parse(text, &table, name)?)))
            }
            Ok(table) if table.contains_key("series") => {
                Ok(Self::Series(Box::new(SeriesRun::parse(text, name)?)))
            }
            Ok(table) if table.contains_key("say") => Ok(Self::Say(Box::new(SayRun::parse(text, name)?))),
            Ok(table) if table.contains_key("images") && table.contains_key("vq_vae") => {
                Ok(Self::VqVae(Box::new(VqVaeRun::parse(text, &table, name)?)))
            }
            Ok(table) if table.contains_key("images") => {
                Ok(Self::Images(Box::new(ImageRun::parse(text, &table, name)?)))
            }
            _ => Ok(Self::Voice(Box::new(RunFile::parse(text, name)?))),
        }
    }

    /// The section `[train]`.
    pub fn train(&self) -> &Train {
        match self {
            Self::Voice(run) => &run.train,
            Self::Text(run) => &run.train,
            Self::Series(run) => &run.train,
            Self::Say(run) => &run.train,
            Self::Images(run) => &run.train,
            Self::VqVae(run) => &run.train,
        }
    }

    /// Rate of dropout; a voice and a VQ-VAE have none.
    pub fn dropout(&self) -> f64 {
        match self {
            Self::Voice(_) | Self::VqVae(_) => 0.0,
            Self::Text(run) => run.model.dropout(),
            Self::Series(run) => run.model.dropout(),
            Self::Say(run) => run.model.dropout(),
            Self::Images(run) => run.model.dropout(),
        }
    }

    /// The first key in which two run files differ so much that one can't continue the other, with both values.
    pub fn conflict(&self, other: &Self) -> Option<(String, String, String)> {
        match (self, other) {
            (Self::Voice(a), Self::Voice(b)) => conflict(a, b),
            (Self::Text(a), Self::Text(b)) => conflict(a, b),
            (Self::Series(a), Self::Series(b)) => conflict(a, b),
            (Self::Say(a), Self::Say(b)) => conflict(a, b),
            (Self::Images(a), Self::Images(b)) => conflict(a, b),
            (Self::VqVae(a), Self::VqVae(b)) => conflict(a, b),
            (a, b) => Some(("the corpus".into(), a.corpus().into(), b.corpus().into())),
        }
    }

    /// What comes out.
    pub fn kind(&self) -> &'static Kind {
        match self {
            Self::Voice(_) => &kinds::VOICE,
            Self::Text(_) => &kinds::TEXT,
            Self::Series(_) => &kinds::SERIES,
            Self::Say(_) => &kinds::SAY,
            Self::Images(_) => &kinds::IMAGES,
            Self::VqVae(_) => &kinds::VQ_VAE,
        }
    }

    fn family(&self) -> &'static str {
        match self {
            Self::Voice(run) => run.model.family(),
            Self::Text(run) => run.model.family(),
            Self::Series(run) => run.model.family(),
            Self::Say(run) => run.model.family(),
            Self::Images(run) => run.model.family(),
            Self::VqVae(_) => vq_vae::NAME,
        }
    }

    /// Checks that the run can start from weights under `header`, as far as that is known before its data is read. Weights that say
    /// nothing of their use are those of any run that asks for nothing but weights.
    ///
    /// # Errors
    /// A model of another kind or family, or of other pixels.
    pub fn check_start(&self, header: &Header) -> Result<()> {
        let (found, wanted) = (kinds::of(header).name, self.kind().name);
        let is_bare = found == kinds::OTHER.name && !matches!(self, Self::Voice(_) | Self::Say(_));
        ensure!(
            (found == wanted || is_bare) && header.family == self.family(),
            "it is {found} of the family {}, wanted {wanted} of the family {}",
            header.family,
            self.family()
        );
        match self {
            Self::Images(run) => start::check(header, &run.images),
            Self::VqVae(run) => start::check(header, &run.images),
            _ => Ok(()),
        }
    }

    fn corpus(&self) -> &'static str {
        match self {
            Self::Voice(_) => "recordings",
            Self::Text(_) => "text",
            Self::Series(_) => "series",
            Self::Say(_) => "recordings with transcripts",
            Self::Images(_) => "images",
            Self::VqVae(_) => "images for a VQ-VAE",
        }
    }
}
