//! A voice that speaks, in a few lines: what a program that embeds one needs first.

use crate::synth::{
    Conditioning, Length, NoSpeaker, Part, SamplingPolicy, Synth, UniformSource, without_denormals,
};
use crate::voice::Voice;

/// A voice speaking: its sound as an iterator of samples, or block by block.
///
/// The samples are those of `wavesynth render` with the same condition and seed. [`Synth`] underneath also layers, pauses
/// and changes condition while it speaks.
pub struct Speech {
    synth: Synth,
}

impl Speech {
    /// Allocates everything that speaking needs. With a track it ends as the track does; without one it never ends. Equal
    /// seeds give equal samples.
    ///
    /// # Errors
    /// A voice that wants a speaker, and a conditioning without one.
    pub fn new(voice: &Voice, conditioning: Conditioning, seed: u64) -> Result<Self, NoSpeaker> {
        conditioning.check_speaker(voice)?;
        let tracked = conditioning.has_track();
        let part = Part {
            conditioning: Box::new(conditioning),
            policy: SamplingPolicy::usual(voice, tracked),
            uniforms: UniformSource::seed(seed),
            length: if tracked { Length::Track } else { Length::Samples(u64::MAX) },
            record: false,
            post_filter: true,
            front: None,
        };
        Ok(Self { synth: Synth::new(voice, part) })
    }

    /// Fills `out` with the next samples, mono PCM in -1..1, and returns how many there were: fewer than `out.len()` only
    /// at the end.
    ///
    /// # Real-time
    /// Yes, as [`Synth::fill`].
    pub fn fill(&mut self, out: &mut [f32]) -> usize {
        without_denormals(|| self.synth.fill(out))
    }

    /// Samples per second.
    pub fn sample_rate(&self) -> u32 {
        self.synth.sample_rate()
    }
}

impl Iterator for Speech {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        let mut sample = [0.0];
        (self.fill(&mut sample) == 1).then_some(sample[0])
    }
}
