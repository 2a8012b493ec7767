//! One recording, as the trainer holds it.

use crate::recordings::{self, Notes};
use anyhow::Result;
use sha2::{Digest, Sha256};
use std::path::Path;
use wavesynth_audio::features::{self, Extractor, RawFeatures, SpeakerStats};
use wavesynth_audio::pcm::{self, Codes, Encoding};
use wavesynth_models::condition::FeatureTrack;

/// One recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// `SPEAKER/FILE` without the ending.
    pub name: String,
    /// Row of the speaker table.
    pub speaker: usize,
    /// Its symbols at the model's rate.
    pub codes: Codes,
    /// [N, FEATURES] normalised features; empty for a model without local conditioning.
    pub track: Vec<f32>,
    /// Its cross-speaker tracks, as long; see [`super::cross_speaker`].
    pub cross_tracks: Vec<Vec<f32>>,
    /// Kept away from training.
    pub held_out: bool,
}

impl Recording {
    /// What its speaker said.
    pub fn own_track(&self) -> FeatureTrack<'_> {
        FeatureTrack::from(&self.track[..])
    }
}

/// The front end between a recording and the network.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrontEnd {
    /// Samples per second of the model.
    pub sample_rate: u32,
    /// a of the pre-emphasis.
    pub preemphasis: f32,
    /// How samples become symbols.
    pub encoding: Encoding,
    /// Whether the network reads a feature track.
    pub features: bool,
}

/// A recording whose speaker's statistics are not known yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Extracted {
    /// Its symbols.
    pub codes: Codes,
    /// Features, not normalised yet; empty if the network reads none.
    pub raw: RawFeatures,
}

impl FrontEnd {
    /// Reads, resamples and encodes the recording at `path`; what is wrong with it is noted.
    ///
    /// # Errors
    /// A file that can't be read.
    pub fn extract(&self, path: &Path, extractor: &mut Extractor, notes: &Notes) -> Result<Extracted> {
        self.of(&recordings::read(path, self.sample_rate, notes)?, extractor)
    }

    /// The same of a recording that is read already.
    ///
    /// # Errors
    /// A rate that can't be converted.
    pub fn of(
        &self,
        recording: &wavesynth_audio::recording::Recording,
        extractor: &mut Extractor,
    ) -> Result<Extracted> {
        let signal = recording.at(self.sample_rate)?;
        let codes = pcm::encode_signal(&signal, self.preemphasis, self.encoding);
        let raw = match (self.features, self.sample_rate == features::SAMPLE_RATE) {
            (false, _) => RawFeatures::default(),
            (true, true) => extractor.extract(&signal),
            (true, false) => extractor.extract(&recording.at(features::SAMPLE_RATE)?),
        };
        Ok(Extracted { codes: Codes::new(codes, self.encoding), raw })
    }
}

impl Extracted {
    /// The recording, its features normalised; without `stats` it has none.
    pub fn recording(
        self,
        name: String,
        speaker: usize,
        stats: Option<&SpeakerStats>,
        held_out: bool,
    ) -> Recording {
        let track = stats.map_or(Vec::new(), |s| features::normalise(&self.raw, s).frames);
        Recording { name, speaker, codes: self.codes, track, cross_tracks: Vec::new(), held_out }
    }
}

/// A number in [0, 1) that only the text decides.
pub fn unit_hash(text: &str) -> f64 {
    let digest = Sha256::digest(text.as_bytes());
    let head = digest.iter().take(8).fold(0u64, |n, &b| n << 8 | u64::from(b));
    (head >> 11) as f64 / (1u64 << 53) as f64
}

/// The first 8 bytes of a digest as text: enough to tell two apart by accident, not against intent.
pub fn short_hex(digest: &[u8]) -> String {
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_spread_and_fixed() {
        // SHA-256 of "a" begins with ca978112ca1bbdca.
        assert!((unit_hash("a") - f64::from(0xca97_8112u32) / 4_294_967_296.0).abs() < 1e-9);
        assert_eq!(short_hex(&Sha256::digest(b"a")), "ca978112ca1bbdca");
        let below = (0..1000).filter(|i| unit_hash(&i.to_string()) < 0.1).count();
        assert!((60..140).contains(&below), "{below}");
    }
}
