//! The condition file: a speaker vector (`speaker.bin`), a feature track (`track.bin`), or both.
//!
//! One safetensors file. Its metadata has one entry, [`KEY`], with this JSON text:
//!
//! ```json
//! { "version": 1, "name": "Ada", "space": "...", "recipe": "cep16-f0-v1", "sample_rate": 16000,
//!   "hop": 160, "stats": { "mean": [16 numbers], "std": [16 numbers], "median_f0_hz": 203.5 },
//!   "source": "ada.wav, 61 s" }
//! ```
//!
//! and one or both of these tensors, little-endian f32, every value finite:
//!
//! | tensor | shape | meaning |
//! |---|---|---|
//! | `speaker` | `[E]`, 1..=4096 | a point in the model's speaker space, which `space` names |
//! | `track` | `[N, F]`, N in 1..=2^20, F in 1..=128 | normalised local features, one row per `hop` samples at `sample_rate` |
//! | `adaptation.*` | any, 2^22 values in all | beside `speaker`: what adapts the model to the speaker, by the name of the model's tensor |
//!
//! `space` is empty without `speaker`; `recipe` is empty and `sample_rate` and `hop` are 0 without
//! `track`; `stats`, the statistics the track was normalised with or, without a track, the speaker's, may be null, and hold a
//! [`common`](SpeakerStats::common), too. With `speaker` there may be `reads`: statistics in whose numbers the model reads
//! this speaker's tracks; and beside a track `speaker_stats`, the speaker's own statistics. Unknown JSON fields are ignored,
//! unknown tensors are an error.

mod file;
mod mix;

pub use mix::{mix, weighted};

use crate::features::SpeakerStats;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use wavesynth_output::{Kind, OutputError, kind};

/// Name of the metadata entry.
pub const KEY: &str = "wavesynth.condition";
/// Version of the file format.
pub const VERSION: u32 = 1;
/// Most values of a speaker vector.
pub const MAX_SPEAKER: usize = 4_096;
/// Most frames of a track: almost three hours.
pub const MAX_FRAMES: usize = 1 << 20;
/// Most values of an adaptation.
pub const MAX_ADAPTATION: usize = 1 << 22;
/// Most features per frame.
pub const MAX_FEATURES: usize = 128;

const ENDINGS: &[&str] = &["bin", "safetensors"];

/// Files with a speaker vector alone.
pub const SPEAKER: Kind = Kind {
    name: "a speaker alone",
    endings: ENDINGS,
    is_text: false,
    is: |p| parts(p) == Some((true, false)),
};
/// Files with a track alone.
pub const TRACK: Kind =
    Kind { name: "a track alone", endings: ENDINGS, is_text: false, is: |p| parts(p) == Some((false, true)) };
/// Files with both.
pub const BOTH: Kind = Kind {
    name: "a track with its speaker",
    endings: ENDINGS,
    is_text: false,
    is: |p| parts(p) == Some((true, true)),
};

/// Whether there is a speaker and a track in the condition file at `path`, by its header alone.
fn parts(path: &Path) -> Option<(bool, bool)> {
    let json = kind::metadata(path)?.remove(KEY)?;
    let header: serde_json::Value = serde_json::from_str(&json).ok()?;
    let has = |key: &str| header[key].as_str().is_some_and(|text| !text.is_empty());
    Some((has("space"), has("recipe")))
}

/// What a model is conditioned on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Condition {
    /// The speaker's or the track's name, for people.
    pub name: String,
    /// Where it came from, for people.
    pub source: String,
    /// The speaker vector.
    pub speaker: Option<SpeakerVector>,
    /// Statistics that the track was normalised with; without a track, those of the speaker's recordings.
    pub stats: Option<SpeakerStats>,
    /// The feature track.
    pub track: Option<TrackInfo>,
}

/// A speaker vector and its space.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeakerVector {
    /// Id of the speaker space; a model takes vectors of its own space only.
    pub space: String,
    /// `[E]`
    pub values: Vec<f32>,
    /// What adapts the model to this speaker: small tensors by the names of the model's.
    pub adaptation: BTreeMap<String, AdaptationTensor>,
    /// The statistics in whose numbers the model reads this speaker's tracks; the speaker's own without.
    pub reads: Option<SpeakerStats>,
    /// Statistics of the speaker's recordings, where they stand beside a track; see [`Condition::speaker_stats`].
    pub stats: Option<SpeakerStats>,
}

/// A tensor of an adaptation.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptationTensor {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// As many values as the shape says.
    pub values: Vec<f32>,
}

impl SpeakerVector {
    /// A vector alone.
    pub fn new(space: String, values: Vec<f32>) -> Self {
        Self { space, values, adaptation: BTreeMap::new(), reads: None, stats: None }
    }

    /// Whether the vector alone brings the speaker; an enrolled one has more, and the nearest speaker's vector.
    pub fn is_plain(&self) -> bool {
        self.adaptation.is_empty() && self.reads.is_none()
    }

    /// Values of all tensors of the adaptation.
    pub fn adaptation_len(&self) -> usize {
        self.adaptation.values().map(|t| t.values.len()).sum()
    }
}

impl Condition {
    /// The statistics of the vector's speaker, where they are known: those of a track are not his.
    pub fn speaker_stats(&self) -> Option<&SpeakerStats> {
        let own = self.speaker.as_ref()?.stats.as_ref();
        own.or(self.stats.as_ref().filter(|_| self.track.is_none()))
    }

    /// The speaker alone, as another condition with a track takes it.
    pub fn into_speaker(self) -> Option<SpeakerVector> {
        let stats = self.speaker_stats().cloned();
        self.speaker.map(|speaker| SpeakerVector { stats, ..speaker })
    }
}

/// A local feature track and what it is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackInfo {
    /// Id of the feature recipe.
    pub recipe: String,
    /// Rate of the signal the hop counts in, Hz.
    pub sample_rate: u32,
    /// Samples per frame.
    pub hop: u32,
    /// Values per frame.
    pub features: usize,
    /// `[N x features]`, row by row.
    pub frames: Vec<f32>,
}

impl TrackInfo {
    /// Number of frames.
    pub fn len(&self) -> usize {
        self.frames.len().checked_div(self.features).unwrap_or(0)
    }

    /// True without a frame.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frame i, or the last one past the end; empty if there is none.
    ///
    /// # Real-time
    /// A slice.
    pub fn frame(&self, i: usize) -> &[f32] {
        match self.len() {
            0 => &[],
            n => &self.frames[i.min(n - 1) * self.features..][..self.features],
        }
    }

    /// Makes sure that a model which wants `wanted` can take this track.
    pub fn check(&self, wanted: TrackShape<'_>) -> Result<(), CondError> {
        let found = TrackShape {
            recipe: &self.recipe,
            sample_rate: self.sample_rate,
            hop: self.hop,
            features: self.features,
        };
        if found == wanted {
            return Ok(());
        }
        Err(CondError::Track { found: found.to_string(), wanted: wanted.to_string() })
    }
}

/// What a track is made of; see [`TrackInfo::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackShape<'a> {
    /// Id of the feature recipe.
    pub recipe: &'a str,
    /// Hz.
    pub sample_rate: u32,
    /// Samples per frame.
    pub hop: u32,
    /// Values per frame.
    pub features: usize,
}

impl std::fmt::Display for TrackShape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "recipe {:?} with {} features every {} samples at {} Hz",
            self.recipe, self.features, self.hop, self.sample_rate
        )
    }
}

/// Why a condition could not be read, written, mixed or used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CondError {
    /// The file can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file can't be written. The file that was there before, if any, is as it was.
    #[error(transparent)]
    Write(#[from] OutputError),
    /// Not a condition file, or a broken one.
    #[error("{} is no usable condition file: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found and what was wanted.
        what: String,
    },
    /// A condition that the format cannot hold.
    #[error("condition {name:?} cannot be written: {what}")]
    Content {
        /// Its name.
        name: String,
        /// What was found and what was wanted.
        what: String,
    },
    /// Vectors that cannot be mixed.
    #[error("cannot mix: {0}")]
    Mix(String),
    /// A track for another kind of model.
    #[error("the track has {found}, the model wants {wanted}: make the track again with this program")]
    Track {
        /// What the track is.
        found: String,
        /// What the model wants.
        wanted: String,
    },
}

#[cfg(test)]
mod tests;
