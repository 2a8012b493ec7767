//! Copy-synthesis: a recording's own track, said again.

use crate::synth::{Conditioning, Length, Part, SamplingPolicy, Synth, UniformSource};
use crate::voice::Voice;
use wavesynth_audio::features::SAMPLE_RATE;
use wavesynth_audio::resample::{self, ResampleError};
use wavesynth_models::ar::NotFinite;

/// How a copy is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawing {
    /// Temperature and what is cut away.
    pub policy: SamplingPolicy,
    /// Where the random numbers come from.
    pub seed: u64,
    /// Whether the sound is filtered towards the track.
    pub post_filter: bool,
}

/// What `voice` makes of `conditioning`, a speaker with a track, at the voice's rate: as long as the track.
///
/// # Errors
/// As [`Synth::check_finite`].
pub fn copy(voice: &Voice, conditioning: Conditioning, drawing: &Drawing) -> Result<Vec<f32>, NotFinite> {
    let part = Part {
        conditioning: Box::new(conditioning),
        front: None,
        policy: drawing.policy,
        uniforms: UniformSource::seed(drawing.seed),
        length: Length::Track,
        record: false,
        post_filter: drawing.post_filter,
    };
    let mut synth = Synth::new(voice, part);
    let mut copy = vec![0.0; synth.end() as usize];
    let n = synth.fill(&mut copy);
    synth.check_finite()?;
    copy.truncate(n);
    Ok(copy)
}

/// `copy`, a sound of `voice`, at the rate at which sounds are [compared](crate::quality::compare).
///
/// # Errors
/// A rate that can't be resampled from.
pub fn comparable(voice: &Voice, copy: &[f32]) -> Result<Vec<f32>, ResampleError> {
    resample::resample(copy, voice.section.sample_rate, SAMPLE_RATE)
}
