//! Durations and frames, drawn one after another.

use super::context::{WITHIN, write_within};
use super::model::SayModel;
use crate::columns::Columns;
use wavesynth_audio::features::{CEPSTRA, CLAMP, FEATURES, HOP, PITCH, PITCH_SCALE, SAMPLE_RATE, VOICING};
use wavesynth_models::ar::{Generator, Sampling, Uniforms};
use wavesynth_models::condition::{Condition, FrameWindow, TrackSource};

/// Share of a duration's distribution, around its median, that it is drawn from: rare lengths sound like slips.
const DURATION_SPREAD: f32 = 0.4;

/// Voicing below this is noise of the model: none.
const LEAST_VOICING: f32 = 0.2;

/// A number of a frame, which lies within ±[`CLAMP`], is none of speech from here on: the network's outputs have no sense.
const FARTHEST: f32 = 1e6;

/// Frames of a phone at most, however slow.
const LONGEST: usize = 1000;

/// How something is said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prosody {
    /// Speed: 2 is twice as fast.
    pub rate: f32,
    /// Semitones that the voice is higher.
    pub semitones: f32,
    /// Length of pauses beside the usual one.
    pub pauses: f32,
    /// Temperature of the frames: 0 for the most likely ones.
    pub temperature: f32,
    /// Factor of the spectrum's deviations from the speaker's mean: what is drawn varies less than speech does (global variance: Toda
    /// and Tokuda 2007, "A speech parameter generation algorithm considering global variance").
    pub variation: f32,
}

impl Default for Prosody {
    fn default() -> Self {
        Self { rate: 1.0, semitones: 0.0, pauses: 1.0, temperature: 0.2, variation: 1.15 }
    }
}

/// The streams of a model's two networks.
pub struct FrameStream {
    durations: Box<dyn Generator>,
    frames: Box<dyn Generator>,
    prosody: Prosody,
    /// Those of durations and those of frames: either stays as it is where the other changes.
    uniforms: [Uniforms; 2],
    seed: u64,
    /// Numbers that one draw of a frame takes.
    numbers: Vec<f32>,
    /// What a frame is given.
    told: Vec<f32>,
    mean: [f32; FEATURES],
    std: [f32; FEATURES],
    /// Part of a frame by which the phones so far are too short.
    owed: f32,
    /// Whether all that was drawn came from numbers.
    finite: bool,
}

impl FrameStream {
    /// A stream of `model` that draws by `seed`.
    pub fn new(model: &SayModel, prosody: Prosody, seed: u64) -> Self {
        let at = |temperature| Sampling { temperature, ..Sampling::default() };
        let frames = model.frames.generator(at(prosody.temperature));
        let column = |of: &[f32]| std::array::from_fn(|k| of[k]);
        Self {
            durations: model.durations.generator(at(1.0)),
            numbers: vec![0.0; frames.likelihood().get().uniforms()],
            told: vec![0.0; super::context::frame_features(model.phones.len())],
            frames,
            prosody,
            uniforms: [0, 1].map(|i| Uniforms::keyed(seed, i)),
            seed,
            mean: column(&model.section.mean),
            std: column(&model.section.std),
            owed: 0.0,
            finite: true,
        }
    }

    /// Begins utterance `number`: what is drawn of it depends on the seed and its number alone.
    ///
    /// # Real-time
    /// This and what follows: yes.
    pub fn begin(&mut self, number: u64) {
        self.durations.reset();
        self.frames.reset();
        self.uniforms = [0, 1].map(|i| Uniforms::keyed(self.seed, 2 * number + i));
        self.owed = 0.0;
    }

    /// Draws the frames of the next phone, of which `row` tells; at least one.
    pub fn duration(&mut self, row: &[f32], is_pause: bool) -> usize {
        self.durations.condition(&given(row));
        let u = 0.5 + DURATION_SPREAD * (self.uniforms[0].next_uniform() - 0.5);
        let drawn = f32::from(self.durations.next(u)) + 1.0;
        self.finite &= self.durations.is_finite();
        let factor = if is_pause { self.prosody.pauses } else { 1.0 };
        let wanted = drawn * factor / self.prosody.rate + self.owed;
        let frames = wanted.round().clamp(1.0, LONGEST as f32);
        // What a frame can't be cut into goes to the next phone; a pause has no part in it.
        self.owed = if is_pause { 0.0 } else { (wanted - frames).clamp(-1.0, 1.0) };
        frames as usize
    }

    /// Draws frame `i` of the `of` of the phone of which `row` tells, into `to`.
    pub fn frame(&mut self, row: &[f32], i: usize, of: usize, to: &mut [f32; FEATURES]) {
        let Self { frames, told, numbers, uniforms: [_, uniforms], .. } = self;
        let (phone, within) = told.split_at_mut(row.len());
        phone.copy_from_slice(row);
        write_within(i, of, &mut within[..WITHIN]);
        frames.condition(&given(told));
        numbers.fill_with(|| uniforms.next_uniform());
        let drawn = frames.draw(numbers).vector();
        let scale = Columns { mean: &self.mean, std: &self.std };
        to.iter_mut().zip(scale.restored(drawn)).for_each(|(to, x)| *to = x);
        self.finite &= frames.is_finite() && to.iter().all(|x| x.abs() < FARTHEST);
        for (to, mean) in to[1..CEPSTRA].iter_mut().zip(&self.mean[1..]) {
            *to = mean + self.prosody.variation * (*to - mean);
        }
        to.iter_mut().for_each(|x| *x = x.clamp(-CLAMP, CLAMP));
        to[PITCH] = (to[PITCH] + PITCH_SCALE * self.prosody.semitones / 12.0).clamp(-CLAMP, CLAMP);
        to[VOICING] = if to[VOICING] < LEAST_VOICING { 0.0 } else { to[VOICING].min(1.0) };
    }

    /// Whether all that was drawn so far, in all utterances, came from numbers, and is near what frames are.
    pub fn is_finite(&self) -> bool {
        self.finite
    }
}

/// The condition of numbers for one step.
pub fn given(row: &[f32]) -> Condition<'_> {
    Condition { frames: Some(FrameWindow { rows: row, source: TrackSource::Own }), ..Condition::default() }
}

/// Seconds of so many frames.
pub fn seconds(frames: u64) -> f64 {
    frames as f64 * HOP as f64 / f64::from(SAMPLE_RATE)
}
