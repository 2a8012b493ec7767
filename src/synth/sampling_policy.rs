//! The sampling policy of a voice.

use crate::voice::Voice;
use wavesynth_models::ar::Sampling;

/// How a voice draws its samples: as any model does, at a lower temperature where the sound is voiced.
///
/// The noise of 8 bits and of sampling is most audible between the harmonics of a voiced sound; in a breath or a hiss it
/// belongs to the sound. (A lower temperature where the speech is voiced: Jin et al. 2018,
/// "FFTNet", section 3.2; Valin and Skoglund 2019, "LPCNet", section 3.5.)
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SamplingPolicy {
    /// Under frames without voicing, or without a track.
    pub sampling: Sampling,
    /// The temperature under a frame of voicing v is that of `sampling` times 1 − `sharpen` · v.
    pub sharpen: f32,
}

/// Default temperature, unless a voice that wants a track has none: see docs/voice.md and the music model's card.
const CALM: f32 = 0.9;

impl SamplingPolicy {
    /// The default policy of `voice`, which begins with a track or without.
    pub fn usual(voice: &Voice, tracked: bool) -> Self {
        let babbles = voice.track_shape().is_some() && !tracked;
        let temperature = if babbles { Sampling::default().temperature } else { CALM };
        Sampling { temperature, ..Sampling::default() }.into()
    }

    /// The sampling under a frame of `voicing`, 0 to 1.
    ///
    /// # Real-time
    /// Yes.
    pub fn at(&self, voicing: f32) -> Sampling {
        let temperature = self.sampling.temperature * (1.0 - self.sharpen * voicing.clamp(0.0, 1.0));
        Sampling { temperature, ..self.sampling }
    }
}

impl From<Sampling> for SamplingPolicy {
    fn from(sampling: Sampling) -> Self {
        Self { sampling, sharpen: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_temperature_falls_with_voicing_and_never_below_zero() {
        let sampling = Sampling { temperature: 0.8, ..Sampling::default() };
        let policy = SamplingPolicy { sampling, sharpen: 0.5 };
        assert_eq!(policy.at(0.0), sampling);
        assert!((policy.at(1.0).temperature - 0.4).abs() < 1e-6 && policy.at(7.0) == policy.at(1.0));
        assert!(SamplingPolicy { sharpen: 1.0, ..policy }.at(1.0).temperature >= 0.0);
        assert_eq!(SamplingPolicy::from(sampling).at(0.9), sampling);
    }
}
