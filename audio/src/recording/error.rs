//! What can be wrong with a recording.

use crate::resample::ResampleError;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a recording could not be read. Every text begins with its name.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Something that holds no sound, or sound of a kind that is not known.
    #[error("{} is {found}: wanted a recording ({kinds}){advice}", path.display(), kinds = super::KINDS)]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it is, by its first bytes.
        found: String,
        /// What to do, if there is more to say.
        advice: &'static str,
    },
    /// A broken file.
    #[error("{} is no usable {kind} file: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its kind.
        kind: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The file ends before its data does.
    #[error(
        "{} is cut off: its header promises {wanted}, {found} are there; record or copy it again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// How much sound there is.
        found: String,
        /// How much was promised.
        wanted: String,
    },
    /// No samples.
    #[error("{} holds no sound: 0 samples", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// More than [`super::MAX_SECONDS`] or [`super::MAX_SAMPLES`].
    #[error(
        "{} is longer than {seconds:.0} s ({:.1} hours), the most that a recording of its rate may have: cut it into pieces",
        path.display(), seconds / 3600.0
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Most seconds.
        seconds: f64,
    },
    /// NaN or infinity.
    #[error("{}: sample {index} is {value}: wanted a finite number", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Index of the sample, counted over one channel.
        index: u64,
        /// What it is.
        value: f64,
    },
    /// The rate could not be changed.
    #[error("{}: {source}", path.display())]
    Resample {
        /// The file.
        path: PathBuf,
        /// The resampler's error.
        source: ResampleError,
    },
}
