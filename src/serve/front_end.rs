//! Text as a front end: the one place where the server meets text to speech.

use crate::synth::{Conditioning, FrameSource, Length, Part, SamplingPolicy, UniformSource};
use crate::voice::Voice;
use std::sync::mpsc::Receiver;

/// How an input is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delivery {
    /// How many times as fast as usual, [`SPEEDS`].
    pub speed: f32,
    /// Seed of all that is drawn: equal seeds give equal bytes.
    pub seed: u64,
}

/// Speeds that can be asked for.
pub const SPEEDS: std::ops::RangeInclusive<f32> = 0.25..=4.0;

/// What is to be said.
#[derive(Debug)]
pub enum Input {
    /// A text.
    Whole(String),
    /// A text while it is written; it ends when its sender is dropped.
    Pieces(Receiver<String>),
}

/// Turns inputs into frames. It runs on a thread that may wait.
pub trait FrontEnd: Send + Sync {
    /// The languages of its inputs, as `en`; the first one is meant where nothing tells another.
    fn languages(&self) -> Vec<&str>;

    /// A sentence of `language`.
    fn example(&self, language: &str) -> &str;

    /// What brings the frames of `input`, in one of the languages, for `voice`, whoever speaks them.
    ///
    /// # Errors
    /// An input that it can't say, in one line for whoever sent it.
    fn frames(
        &self,
        voice: &Voice,
        language: &str,
        input: Input,
        delivery: Delivery,
    ) -> Result<Box<dyn FrameSource>, String>;
}

/// The frames of `front` as `speaker` says them: what `wavesynth say` makes of the same input and seed.
pub fn part(voice: &Voice, speaker: &Conditioning, front: Box<dyn FrameSource>, seed: u64) -> Part {
    Part {
        conditioning: Box::new(speaker.clone()),
        front: Some(front),
        policy: SamplingPolicy::usual(voice, true),
        uniforms: UniformSource::seed(seed),
        length: Length::Track,
        record: false,
        post_filter: true,
    }
}
