//! Teacher forcing through the engine: given symbols in, their likelihood or logits out.

use super::Conditioning;
use super::frames::Frames;
use crate::voice::Voice;
use wavesynth_models::ar::{Generator, Sampling, Symbol};

/// A voice under teacher forcing.
pub struct Forced {
    generator: Box<dyn Generator>,
    frames: Frames,
    position: u64,
}

impl Forced {
    /// `voice`, before the first symbol, under `conditioning`.
    pub fn new(voice: &Voice, conditioning: Conditioning) -> Self {
        let mut generator = voice.model.generator(Sampling::default());
        let frames = Frames::new(voice.model.config.facts(), Box::new(conditioning), None);
        generator.adapt(frames.adaptation());
        Self { generator, frames, position: 0 }
    }

    fn advance(&mut self) {
        self.frames.condition(self.position, &mut self.generator);
        self.position += 1;
    }

    /// −ln p(x | past) in nats, then absorbs `x`.
    pub fn score(&mut self, x: Symbol) -> f32 {
        self.advance();
        self.generator.score(x.into())
    }

    /// The likelihood's parameters of the next symbol, `[P]`, then absorbs `x`.
    pub fn parameters(&mut self, x: Symbol, out: &mut [f32]) {
        self.advance();
        self.generator.parameters(x.into(), out);
    }
}

/// The conditioning frames of `samples` samples under `conditioning` [⌈samples / hop⌉, cond_len], row by row: the
/// frames that the engine takes one at a time. Empty for an unconditional voice.
pub fn frame_table(voice: &Voice, conditioning: Conditioning, samples: usize) -> Vec<f32> {
    let mut frames = Frames::new(voice.model.config.facts(), Box::new(conditioning), None);
    let Some(config) = &voice.config.condition else { return Vec::new() };
    let mut table = vec![0.0; samples.div_ceil(config.hop) * config.len()];
    for (i, row) in table.chunks_exact_mut(config.len()).enumerate() {
        if let Some(condition) = frames.due((i * config.hop) as u64) {
            config.write(&condition, row);
        }
    }
    table
}
