//! Cross-speaker tracks: tracks of another speaker's rendering of the same sentence, as a voice reads them in speaker
//! conversion.
//!
//! A voice that reads only its speakers' own tracks learns the speaker from them, and in conversion it sounds like the
//! source speaker. Training against that needs the same sentence by two speakers, sample by sample. No corpus has that,
//! but a voice can render each recording's track with another speaker's vector. The cepstra of that render, converted
//! to the speaker as the engine does it, are read beside the speaker's own samples, and only the vector tells the
//! speaker. The idea is that of back-translation (R. Sennrich, B. Haddow, A. Birch, "Improving Neural Machine
//! Translation Models with Monolingual Data", ACL 2016): the inputs are synthetic, the targets real.

use super::config::check::range;
use super::recording::Recording;
use crate::ranks::Ranks;
use crate::recordings::{self, Notes};
use crate::voice::SpeakerSection;
use anyhow::{Context, Result, ensure};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use wavesynth_audio::features::common::Alignment;
use wavesynth_audio::features::{self, CEPSTRA, Extractor, FEATURES, SpeakerStats};

/// Key `train.others`, of a model with several speakers and features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossSpeaker {
    /// `FOLDER/SPEAKER/OTHER/FILE.wav` is the speaker's recording FILE, rendered with another speaker of the run: as
    /// long, to the frame, and in step with it. Recordings may be missing there.
    pub folder: PathBuf,
    /// Fraction of the windows with a track that read a cross-speaker track, where there is one.
    #[serde(default = "half")]
    pub share: f64,
}

fn half() -> f64 {
    0.5
}

impl CrossSpeaker {
    /// Checks the values.
    ///
    /// # Errors
    /// A share out of range.
    pub fn validate(&self) -> Result<()> {
        range("train.others.share", self.share, 0.0, 1.0)
    }

    /// Gives each of this rank's `recordings` its cross-speaker tracks. All `ranks` together.
    ///
    /// # Errors
    /// Speakers without maps to a common space, no file for any recording, or one that is not in step with its recording.
    pub fn read(
        &self,
        speakers: &[SpeakerSection],
        recordings: &mut [Recording],
        ranks: &Ranks,
    ) -> Result<()> {
        let known: Option<Vec<Known>> = speakers.iter().map(Known::of).collect();
        let known = known.context(
            "train.others: wanted features and at least two speakers with five seconds of speech each, so that they \
             have maps to a common space",
        )?;
        let found: Result<Vec<usize>> = recordings
            .par_iter_mut()
            .map_init(Extractor::new, |extractor, recording| {
                recording.cross_tracks = self.tracks(recording, &known, extractor)?;
                Ok(recording.cross_tracks.len())
            })
            .collect();
        ensure!(
            ranks.any(found?.iter().any(|n| *n > 0)),
            "train.others.folder {}: holds none of the recordings; wanted SPEAKER/OTHER/FILE.wav in it",
            self.folder.display()
        );
        Ok(())
    }

    fn tracks(&self, own: &Recording, known: &[Known], extractor: &mut Extractor) -> Result<Vec<Vec<f32>>> {
        let speaker = &known[own.speaker];
        let file = own.name.strip_prefix(speaker.name).unwrap_or(&own.name).trim_start_matches('/');
        let others = known.iter().enumerate().filter(|(i, _)| *i != own.speaker);
        let paths =
            others.map(|(_, k)| (k, self.folder.join(speaker.name).join(k.name).join(format!("{file}.wav"))));
        let found = paths.filter(|(_, path)| path.exists());
        found.map(|(other, path)| track(own, speaker, other, &path, extractor)).collect()
    }
}

/// A speaker with statistics and a map to the common space.
struct Known<'a> {
    name: &'a str,
    stats: &'a SpeakerStats,
    to_common: &'a Alignment,
    from_common: Alignment,
}

impl<'a> Known<'a> {
    fn of(speaker: &'a SpeakerSection) -> Option<Self> {
        let stats = speaker.stats.as_ref()?;
        let to_common = stats.common.as_ref()?;
        Some(Self { name: &speaker.name, stats, to_common, from_common: to_common.inverse()? })
    }
}

/// The track of `other`'s rendering of the recording `own`, converted to its speaker as the engine would.
///
/// Pitch and voicing are the recording's: relative to the speaker they carry nothing of the speaker, and errors of pitch
/// in the render should not be learned.
fn track(
    own: &Recording,
    speaker: &Known,
    other: &Known,
    path: &Path,
    extractor: &mut Extractor,
) -> Result<Vec<f32>> {
    // What a voice rendered has nothing to note.
    let raw = recordings::raw_features(path, extractor, &Notes::default())?;
    let mut frames = features::normalise(&raw, other.stats).frames;
    ensure!(
        frames.len() == own.track.len(),
        "{}: {} frames of 10 ms, but the recording of {} that it renders has {}",
        path.display(),
        frames.len() / FEATURES,
        own.name,
        own.track.len() / FEATURES
    );
    let way = other.to_common.then(&speaker.from_common);
    for (frame, own) in frames.chunks_exact_mut(FEATURES).zip(own.track.chunks_exact(FEATURES)) {
        way.apply(frame);
        frame[CEPSTRA..].copy_from_slice(&own[CEPSTRA..]);
    }
    Ok(frames)
}
