//! What makes frames of an input: the one place where the server meets a text front end.

use crate::shipped;
use crate::synth::{Conditioning, FrameSource, Part, PreparedPart, SamplingPolicy, UniformSource};
use crate::voice::Voice;
use wavesynth_audio::cond::{Condition, TrackInfo};

/// How an input is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Manner {
    /// How many times as fast as usual, [`SPEEDS`].
    pub speed: f32,
    /// Seed of all that is drawn: equal seeds give equal bytes.
    pub seed: u64,
}

/// Speeds that can be asked for.
pub const SPEEDS: std::ops::RangeInclusive<f32> = 0.25..=4.0;

/// Frames for a voice.
pub enum Content {
    /// All of them.
    Track(Box<Conditioning>),
    /// One after another, while the sound is made.
    Source(Box<dyn FrameSource>),
}

/// Turns inputs into frames. It runs on a thread that may wait.
pub trait FrontEnd: Send + Sync {
    /// The languages of its inputs, as `en`.
    fn languages(&self) -> Vec<String>;

    /// An input that it can say, for a page to begin with.
    fn example(&self) -> String;

    /// The frames of `input` for `voice`, whoever speaks them.
    ///
    /// # Errors
    /// An input that it can't say, in one line for whoever sent it.
    fn content(&self, voice: &Voice, input: &str, manner: Manner) -> Result<Content, String>;
}

/// `content` as `speaker` of `voice` says it: what `wavesynth render` makes of the same frames and seed.
pub fn prepare(voice: &Voice, speaker: &Conditioning, content: Content, seed: u64) -> PreparedPart {
    let (conditioning, front) = match content {
        Content::Track(track) => (speaker.clone().overlaid(*track), None),
        Content::Source(source) => (speaker.clone(), Some(source)),
    };
    let part = Part {
        conditioning: Box::new(conditioning),
        front,
        policy: SamplingPolicy::usual(voice, true),
        uniforms: UniformSource::seed(seed),
        length: crate::synth::Length::Track,
        record: false,
        post_filter: true,
    };
    PreparedPart::new(voice, part)
}

/// Inputs that are names of the shipped tracks.
pub struct Tracks;

impl FrontEnd for Tracks {
    fn languages(&self) -> Vec<String> {
        let mut languages: Vec<String> =
            shipped::tracks().filter_map(|name| Some(name.split_once('_')?.0.to_string())).collect();
        languages.dedup();
        languages
    }

    fn example(&self) -> String {
        shipped::tracks().next().unwrap_or_default().into()
    }

    fn content(&self, voice: &Voice, input: &str, manner: Manner) -> Result<Content, String> {
        let name = input.trim();
        let bytes = shipped::tracks().find(|n| *n == name).and_then(shipped::track).ok_or_else(|| {
            let names: Vec<_> = shipped::tracks().collect();
            format!("{name:?} is no track; wanted one of {}", names.join(", "))
        })?;
        let mut condition = Condition::from_bytes(bytes)?;
        if let Some(track) = &mut condition.track {
            stretch(track, manner.speed);
        }
        let track = Conditioning::new(voice, &condition).map_err(|e| e.to_string())?;
        Ok(Content::Track(Box::new(track.without_speaker())))
    }
}

/// `track` at `speed` times its speed, by straight lines between its frames.
fn stretch(track: &mut TrackInfo, speed: f32) {
    if speed == 1.0 || track.is_empty() {
        return;
    }
    let frames = ((track.len() as f32 / speed).round() as usize).max(1);
    let at = |i: usize| {
        let place = i as f32 * speed;
        let (before, share) = (place as usize, place.fract());
        let (a, b) = (track.frame(before), track.frame(before + 1));
        a.iter().zip(b).map(move |(a, b)| a + (b - a) * share).collect::<Vec<_>>()
    };
    track.frames = (0..frames).flat_map(at).collect();
}
