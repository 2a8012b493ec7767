//! Recordings on disk, and their features: the one way from a file to features, for training, enrolling, evaluating
//! and making tracks.

mod folder;
mod notes;

pub use folder::{Folder, in_folder, is_hidden, left_out, names};
pub use notes::{Notes, say};

use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use wavesynth_audio::cond::TrackInfo;
use wavesynth_audio::features::common::Codebook;
use wavesynth_audio::features::{self, Extractor, FeatureError, RawFeatures, SpeakerStats};
use wavesynth_audio::recording::{self, Recording, RecordingError, STDIN};

/// The recordings that a command line names: files themselves, and all of each folder. What is left out of folders is
/// noted.
///
/// # Errors
/// A path that does not exist, a folder without a recording.
pub fn named(paths: &[PathBuf], notes: &Notes) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let folder = in_folder(path)?;
            folder.left_out(path).into_iter().for_each(|line| notes.line(line));
            ensure!(
                !folder.recordings.is_empty(),
                "{}: no recording in this folder ({}){}",
                path.display(),
                recording::KINDS,
                folder.reason()
            );
            files.extend(folder.recordings);
        } else {
            ensure!(path.as_os_str() == STDIN || path.exists(), "{}: no such file or folder", path.display());
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Reads and mends a recording that is wanted at `rate` Hz, and notes what is wrong with it.
///
/// # Errors
/// A file that can't be read.
pub fn read(path: &Path, rate: u32, notes: &Notes) -> Result<Recording, RecordingError> {
    let recording = recording::read(path)?;
    notes.add(path, recording.findings.iter().cloned().chain(recording.low_rate(rate)));
    Ok(recording)
}

/// The samples of a recording at `rate` Hz; what is wrong with it is noted.
///
/// # Errors
/// A file that can't be read.
pub fn read_at(path: &Path, rate: u32, notes: &Notes) -> Result<Vec<f32>, RecordingError> {
    read(path, rate, notes)?.at(rate)
}

/// Features of a recording, not normalised yet; what is wrong with it is noted.
///
/// # Errors
/// A file that can't be read.
pub fn raw_features(path: &Path, extractor: &mut Extractor, notes: &Notes) -> Result<RawFeatures> {
    Ok(extractor.extract(&read_at(path, features::SAMPLE_RATE, notes)?))
}

/// The statistics of a speaker over several recordings and, with five seconds of speech, the map to the space `common`.
///
/// # Errors
/// Too little speech.
pub fn statistics<'a>(
    recordings: impl Iterator<Item = &'a RawFeatures> + Clone,
    common: Option<&Codebook>,
) -> Result<SpeakerStats, FeatureError> {
    let mut stats = SpeakerStats::pool(recordings.clone())?;
    if let Some(common) = common {
        stats.common = Codebook::of(recordings, &stats).and_then(|book| common.align(&book));
    }
    Ok(stats)
}

/// Normalised features, as a condition file holds them.
pub fn track(raw: &RawFeatures, stats: &SpeakerStats) -> TrackInfo {
    TrackInfo {
        recipe: features::RECIPE.into(),
        sample_rate: features::SAMPLE_RATE,
        hop: features::HOP as u32,
        features: features::FEATURES,
        frames: features::normalise(raw, stats).frames,
    }
}
