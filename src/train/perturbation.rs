//! Speaker perturbation of feature tracks, by vocal tract length perturbation (N. Jaitly and G. Hinton, "Vocal tract
//! length perturbation (VTLP) improves speech recognition", ICML workshop, 2013), offsets, gains and noise.
//!
//! Where the track tells the speaker, the network needs no speaker vector, and another vector beside the track changes
//! nothing. So each window's track is perturbed, while the samples to predict stay those of the speaker: only the vector
//! tells the speaker.

use super::config::check::range;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use wavesynth_audio::features::{CEPSTRA, CLAMP, FEATURES, PITCH, SpeakerStats, warp};
use wavesynth_models::ar::Uniforms;

/// Key `train.perturbation`, of a model with speakers and features. Every window draws its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Perturbation {
    /// The spectrum is stretched by e^u, u uniform within ± this.
    pub warp: f64,
    /// Standard deviation of the offset added to each cepstrum of a whole window, in its own standard deviations: like
    /// another microphone or room.
    pub offset: f64,
    /// Standard deviation of the logarithm of each cepstrum's gain over a whole window.
    pub gain: f64,
    /// Standard deviation of the noise on each cepstrum of each frame.
    pub noise: f64,
    /// Standard deviation of the logarithm of the gain of the relative pitch: livelier or flatter speech.
    pub pitch_gain: f64,
    /// Fraction of the windows that keep their track. With `model.others` the other windows' tracks are read as
    /// cross-speaker tracks.
    pub own: f64,
}

impl Default for Perturbation {
    fn default() -> Self {
        Self { warp: 0.2, offset: 0.25, gain: 0.15, noise: 0.1, pitch_gain: 0.0, own: 0.0 }
    }
}

impl Perturbation {
    /// Checks the values.
    ///
    /// # Errors
    /// The first that is out of range.
    pub fn validate(&self) -> Result<()> {
        range("train.perturbation.warp", self.warp, 0.0, 0.5)?;
        range("train.perturbation.offset", self.offset, 0.0, 4.0)?;
        range("train.perturbation.gain", self.gain, 0.0, 1.0)?;
        range("train.perturbation.noise", self.noise, 0.0, 4.0)?;
        range("train.perturbation.pitch_gain", self.pitch_gain, 0.0, 1.0)?;
        range("train.perturbation.own", self.own, 0.0, 1.0)
    }

    /// Perturbs whole frames of the speaker with `stats`, [N x FEATURES].
    pub fn apply(&self, frames: &mut [f32], stats: &SpeakerStats, uniforms: &mut Uniforms) {
        let factor = (self.warp * f64::from(2.0 * uniforms.next_uniform() - 1.0)).exp() as f32;
        let mut map = warp::warp(factor, stats);
        let mut offset = [0.0; CEPSTRA];
        for (row, offset) in map.iter_mut().zip(&mut offset) {
            let gain = (self.gain as f32 * uniforms.normal()).exp();
            row.iter_mut().for_each(|v| *v *= gain);
            *offset = self.offset as f32 * uniforms.normal();
        }
        let pitch_gain = (self.pitch_gain as f32 * uniforms.normal()).exp();
        for frame in frames.chunks_exact_mut(FEATURES) {
            let cepstra: [f32; CEPSTRA] = std::array::from_fn(|k| frame[k]);
            for ((out, row), offset) in frame.iter_mut().zip(&map).zip(offset) {
                let moved: f32 = row.iter().zip(&cepstra).map(|(w, c)| w * c).sum();
                let noise = if self.noise > 0.0 { self.noise as f32 * uniforms.normal() } else { 0.0 };
                *out = (moved + offset + noise).clamp(-CLAMP, CLAMP);
            }
            frame[PITCH] = (pitch_gain * frame[PITCH]).clamp(-CLAMP, CLAMP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_changes_when_all_is_zero_and_voicing_never_does() {
        let stats =
            SpeakerStats { mean: [0.0; CEPSTRA], std: [1.5; CEPSTRA], median_f0_hz: 120.0, common: None };
        let track: Vec<f32> = (0..20 * FEATURES).map(|i| ((i * 37) % 23) as f32 / 12.0 - 1.0).collect();
        let none = Perturbation { warp: 0.0, offset: 0.0, gain: 0.0, noise: 0.0, pitch_gain: 0.0, own: 0.0 };
        let mut same = track.clone();
        none.apply(&mut same, &stats, &mut Uniforms::new(1));
        assert!(same.iter().zip(&track).all(|(a, b)| (a - b).abs() < 1e-3));
        let mut other = track.clone();
        Perturbation::default().apply(&mut other, &stats, &mut Uniforms::new(1));
        for (a, b) in other.chunks_exact(FEATURES).zip(track.chunks_exact(FEATURES)) {
            assert_eq!(a[PITCH..], b[PITCH..]);
            assert!(
                a[..CEPSTRA].iter().zip(b).filter(|(a, b)| (**a - **b).abs() > 1e-2).count() > CEPSTRA / 2
            );
        }
        let mut again = track;
        Perturbation::default().apply(&mut again, &stats, &mut Uniforms::new(1));
        assert_eq!(again, other);
    }
}
