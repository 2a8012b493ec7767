//! Recordings on disk, and their features: the one way from a WAV file to features, for training, enrolling, evaluating
//! and making tracks.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use wavesynth_audio::cond::TrackInfo;
use wavesynth_audio::features::common::Codebook;
use wavesynth_audio::features::{self, Extractor, FeatureError, RawFeatures, SpeakerStats};
use wavesynth_audio::wav;

/// The WAV files of a folder, sorted by name; none at all is no error.
///
/// # Errors
/// A folder that can't be read.
pub fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let at = || format!("folder {}", folder.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(at)? {
        let path = entry.with_context(at)?.path();
        if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("wav")) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The files that a command line names: files themselves, and each folder's WAV files.
///
/// # Errors
/// A path that does not exist, a folder without a WAV file.
pub fn named(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let own = in_folder(path)?;
            ensure!(!own.is_empty(), "{}: no WAV file in this folder", path.display());
            files.extend(own);
        } else {
            ensure!(path.exists(), "{}: no such file or folder", path.display());
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Features of a recording, not normalised yet.
///
/// # Errors
/// A WAV file that can't be read.
pub fn raw_features(path: &Path, extractor: &mut Extractor) -> Result<RawFeatures> {
    Ok(extractor.extract(&wav::read_at(path, features::SAMPLE_RATE)?))
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
