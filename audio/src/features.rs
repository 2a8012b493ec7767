//! The local conditioning track: what is said and how, normalised by speaker.
//!
//! One recipe, [`RECIPE`]. At 16 kHz, frame i is centred at sample 160 i + 80; n samples have
//! ceil(n / 160) frames; outside the signal there is silence. A frame holds [`FEATURES`] values:
//!
//! | columns | raw | normalised by [`normalise`] |
//! |---|---|---|
//! | 0..16 | cepstra c0..c15 of 24 mel bands, see [`spectrum`] | minus the speaker's mean, over the speaker's standard deviation |
//! | 16 | F0 in Hz, 0 when unvoiced, see [`f0`] | [`PITCH_SCALE`] x log2(F0 / the speaker's median F0); straight lines across unvoiced stretches, held at the edges, 0 if nothing is voiced |
//! | 17 | voicing strength 0..1, 0 when unvoiced | as it is |
//!
//! Everything is clamped to -[`CLAMP`]..[`CLAMP`]. The track is coarse and speaker-normalised on purpose:
//! fine local features contain the speaker already, and a speaker vector beside them changes nothing.
//!
//! [`Extractor`] reads a whole recording. [`CausalExtractor`] makes the same frames from a signal that is still coming in.
//!
//! A change of any number in here is a new recipe with a new id.

pub mod causal;
pub mod common;
pub(crate) mod dct;
pub mod f0;
mod frame_map;
mod running_stats;
pub mod spectrum;
mod stats;
pub mod warp;

pub use causal::CausalExtractor;
pub use frame_map::FrameMap;
pub use running_stats::RunningSpeakerStats;
pub use stats::{FeatureError, SPEECH_RANGE_DB, SpeakerStats};

use dct::Dct;
use spectrum::{Filterbank, Spectrum};

/// The recipe's id, kept in every condition file and checkpoint.
pub const RECIPE: &str = "cep16-f0-v1";

/// Rate of the signal the features are taken from, Hz.
pub const SAMPLE_RATE: u32 = 16_000;

/// Samples from one frame to the next: 10 ms.
pub const HOP: usize = 160;

/// Cepstral coefficients per frame.
pub const CEPSTRA: usize = 16;

/// Column of the relative pitch.
pub const PITCH: usize = CEPSTRA;

/// Column of the voicing strength.
pub const VOICING: usize = CEPSTRA + 1;

/// Values per frame of a [`Track`].
pub const FEATURES: usize = CEPSTRA + 2;

/// Mel bands behind the cepstra.
pub const BANDS: usize = 24;

/// Half an octave from the speaker's median pitch becomes 1.
pub const PITCH_SCALE: f32 = 2.0;

/// Bound of every normalised value.
pub const CLAMP: f32 = 4.0;

/// Frames of a signal of `samples` samples: one for each hop begun.
pub const fn frame_count(samples: usize) -> usize {
    samples.div_ceil(HOP)
}

/// Features with the speaker still in them. The three tables have equal lengths.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawFeatures {
    /// `[N x 16]` cepstra.
    pub cepstra: Vec<[f32; CEPSTRA]>,
    /// `[N]` F0 in Hz, 0 when unvoiced.
    pub f0_hz: Vec<f32>,
    /// `[N]` normalised correlation at the pitch period, 0..1, 0 when unvoiced.
    pub voicing: Vec<f32>,
}

impl RawFeatures {
    /// Number of frames.
    pub fn len(&self) -> usize {
        self.cepstra.len()
    }

    /// Appends the frames of another recording.
    pub fn append(&mut self, other: &RawFeatures) {
        self.cepstra.extend(&other.cepstra);
        self.f0_hz.extend(&other.f0_hz);
        self.voicing.extend(&other.voicing);
    }

    /// Cuts off the frames from `at` on.
    pub fn split_off(&mut self, at: usize) -> Self {
        let at = at.min(self.len());
        Self {
            cepstra: self.cepstra.split_off(at),
            f0_hz: self.f0_hz.split_off(at),
            voicing: self.voicing.split_off(at),
        }
    }

    /// True without a frame.
    pub fn is_empty(&self) -> bool {
        self.cepstra.is_empty()
    }
}

/// From a signal to its cepstra, a frame at a time.
struct Cepstrum {
    spectrum: Spectrum,
    bank: Filterbank,
    dct: Dct,
}

impl Cepstrum {
    fn new() -> Self {
        Self { spectrum: Spectrum::new(), bank: Filterbank::new(BANDS), dct: Dct::new(BANDS, CEPSTRA) }
    }

    fn frame(&mut self, pcm16k: &[f32], frame: usize) -> [f32; CEPSTRA] {
        let power = self.spectrum.power(pcm16k, frame);
        let mut bands = [0.0; BANDS];
        self.bank.log_energies(power, &mut bands);
        self.of_bands(&bands)
    }

    fn of_bands(&self, bands: &[f32; BANDS]) -> [f32; CEPSTRA] {
        let mut c = [0.0; CEPSTRA];
        self.dct.transform(bands, &mut c);
        c
    }
}

/// Extracts [`RawFeatures`]; owns the transforms and the scratch memory, so keep it.
pub struct Extractor {
    cepstrum: Cepstrum,
    tracker: f0::Tracker,
}

impl Extractor {
    /// Plans the transforms.
    pub fn new() -> Self {
        Self { cepstrum: Cepstrum::new(), tracker: f0::Tracker::new() }
    }

    /// Features of a whole signal at 16 kHz, `ceil(n / 160)` frames. NaN and infinite samples count as 0.
    pub fn extract(&mut self, pcm16k: &[f32]) -> RawFeatures {
        let cepstra = (0..frame_count(pcm16k.len())).map(|i| self.cepstrum.frame(pcm16k, i)).collect();
        let (f0_hz, voicing) = self.tracker.track(pcm16k);
        RawFeatures { cepstra, f0_hz, voicing }
    }
}

impl Default for Extractor {
    fn default() -> Self {
        Self::new()
    }
}

/// The normalised track.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// `[N x FEATURES]`, row by row.
    pub frames: Vec<f32>,
}

impl Track {
    /// Number of frames.
    pub fn len(&self) -> usize {
        self.frames.len() / FEATURES
    }

    /// True without a frame.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Frame i, or the last one past the end, or zeros when there is none at all: sound that goes on
    /// behind the end of the track holds its last frame.
    ///
    /// # Real-time
    /// A slice.
    pub fn frame(&self, i: usize) -> &[f32] {
        const NONE: [f32; FEATURES] = [0.0; FEATURES];
        match self.len() {
            0 => &NONE,
            n => &self.frames[i.min(n - 1) * FEATURES..][..FEATURES],
        }
    }
}

/// Normalises by the speaker's statistics: see the table at the module's head.
pub fn normalise(raw: &RawFeatures, stats: &SpeakerStats) -> Track {
    let pitch = relative_pitch(&raw.f0_hz, stats.median_f0_hz);
    let mut frames = vec![0.0; raw.len() * FEATURES];
    for (i, (row, c)) in frames.chunks_exact_mut(FEATURES).zip(&raw.cepstra).enumerate() {
        write_cepstra(c, stats, row);
        write_pitch(pitch.get(i).copied().unwrap_or(0.0), raw.voicing.get(i).copied().unwrap_or(0.0), row);
    }
    Track { frames }
}

/// Columns 0..16 of a row.
fn write_cepstra(c: &[f32; CEPSTRA], stats: &SpeakerStats, row: &mut [f32]) {
    for (k, (out, &v)) in row.iter_mut().zip(c).enumerate() {
        *out = bounded((v - stats.mean[k]) / stats.std[k]);
    }
}

/// Columns 16 and 17 of a row: octaves above the median, and voicing strength.
fn write_pitch(octaves: f32, voicing: f32, row: &mut [f32]) {
    row[PITCH] = bounded(PITCH_SCALE * octaves);
    row[VOICING] = bounded(voicing);
}

/// Octaves of a voiced frame above the median; `None` for an unvoiced one, or without a median.
fn octaves(f0_hz: f32, median: f32) -> Option<f32> {
    let voiced = |f: f32| f.is_finite() && f > 0.0;
    (voiced(f0_hz) && voiced(median)).then(|| (f0_hz / median).log2())
}

fn bounded(v: f32) -> f32 {
    if v.is_nan() { 0.0 } else { v.clamp(-CLAMP, CLAMP) }
}

/// Octaves above the median, interpolated across unvoiced frames.
fn relative_pitch(f0_hz: &[f32], median: f32) -> Vec<f32> {
    let mut out = vec![0.0; f0_hz.len()];
    let mut last: Option<(usize, f32)> = None;
    for (i, &f) in f0_hz.iter().enumerate() {
        let Some(v) = octaves(f, median) else { continue };
        out[i] = v;
        match last {
            None => out[..i].fill(v),
            Some((at, from)) => {
                let step = (v - from) / (i - at) as f32;
                for (k, o) in out[at + 1..i].iter_mut().enumerate() {
                    *o = from + step * (k + 1) as f32;
                }
            }
        }
        last = Some((i, v));
    }
    if let Some((at, v)) = last {
        out[at + 1..].fill(v);
    }
    out
}

#[cfg(test)]
mod tests;
