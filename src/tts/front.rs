//! Speech of utterances as a front end: their frames are drawn on the engine's thread, each when it is needed.
//!
//! ```text
//! main: utterances -> Prepared --(bounded channel)--> SpokenFront -> window of frames -> voice
//!       timing     <- Prepared <-(bounded channel)-------+
//! ```
//!
//! What is told of an utterance's phones is written on the main thread; the engine's thread neither allocates nor frees.

use super::context::{Slot, phone_features};
use super::draw::{FrameStream, Prosody};
use super::model::SayModel;
use super::phones::{PAUSE, UnknownPhone};
use super::utterance::Utterance;
use crate::synth::{Conditioning, FrameSource, Length, Part, SamplingPolicy, UniformSource};
use crate::voice::Voice;
use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use wavesynth_audio::features::{FEATURES, SpeakerStats};
use wavesynth_models::condition::FrameSpec;

/// Utterances that wait at most; as many may be on their way back.
const QUEUE: usize = 4;

/// Frames of the pause that the first utterance begins with that are heard, at most: whoever listens has waited already. The others
/// are drawn all the same: the network needs the pause that it knows from training.
const FIRST_PAUSE: usize = 3;

/// An utterance that is ready to be said.
pub struct Prepared {
    /// Its number among those of the front end.
    pub number: u64,
    /// What is said.
    pub utterance: Utterance,
    /// Its phones and pauses.
    pub slots: Vec<Slot>,
    /// Their names, with stress.
    pub names: Vec<String>,
    /// What is told of them, row by row.
    table: Vec<f32>,
    /// The frames at which they begin, as far as they are said, counted from the beginning of the front end; behind the last one its
    /// end.
    pub starts: Vec<u64>,
}

impl Prepared {
    /// Utterance `number`.
    ///
    /// # Errors
    /// A phone that the model's language does not have.
    pub fn new(model: &SayModel, utterance: Utterance, number: u64) -> Result<Self, UnknownPhone> {
        let sequence = model.sequence(&utterance)?;
        let slots = sequence.slots().to_vec();
        let starts = Vec::with_capacity(slots.len() + 1);
        let mut said = utterance.words.iter().flat_map(|w| &w.phones);
        let name = |slot: &Slot| match slot.phone {
            0 => PAUSE.to_string(),
            _ => said.next().cloned().unwrap_or_default(),
        };
        let names = slots.iter().map(name).collect();
        Ok(Self { number, table: sequence.table(), names, slots, starts, utterance })
    }
}

/// Where utterances go in and come out again when they were said.
pub struct Utterances {
    /// Takes the next one; waits while there are too many. Dropped, it ends the speech behind the last one.
    pub next: Sender<Box<Prepared>>,
    /// Gives those that were said.
    pub said: Receiver<Box<Prepared>>,
}

/// What gives the frames.
pub struct SpokenFront {
    stream: FrameStream,
    /// Numbers of a row of a table.
    width: usize,
    next: Receiver<Box<Prepared>>,
    said: Sender<Box<Prepared>>,
    now: Option<Box<Prepared>>,
    /// The phone at hand, its next frame and its frames.
    phone: usize,
    frame: (usize, usize),
    /// Frames drawn so far.
    made: u64,
    /// Frames before the one at hand that may be seen, and behind it.
    context: usize,
    /// [2C + 1, F].
    window: Vec<f32>,
    /// Frames that are given, those drawn ahead left out; frames in all once that is known.
    given: u64,
    end: Option<u64>,
    /// Whether the next frame may be a pause that no utterance has.
    hold: bool,
    /// Statistics of the speakers that the model is known to have learned from.
    learned_from: Vec<SpeakerStats>,
    /// What such a pause is: the last frame of the last utterance.
    last: [f32; FEATURES],
}

impl SpokenFront {
    /// For a voice that is shown frames as `spec` says.
    pub fn new(model: &SayModel, spec: &FrameSpec, prosody: Prosody, seed: u64) -> (Self, Utterances) {
        let ((next, inbox), (outbox, said)) = (bounded(QUEUE), bounded(2 * QUEUE));
        let mut silence = [0.0; FEATURES];
        silence[0] = -3.0;
        let front = Self {
            stream: FrameStream::new(model, prosody, seed),
            width: phone_features(model.phones.len()),
            next: inbox,
            said: outbox,
            now: None,
            phone: 0,
            frame: (0, 0),
            made: 0,
            context: spec.context,
            window: vec![0.0; (2 * spec.context + 1) * FEATURES],
            given: 0,
            end: None,
            hold: false,
            learned_from: Vec::new(),
            last: silence,
        };
        (front, Utterances { next, said })
    }

    /// Known to speak as these speakers do: for any other one the voice converts it, as it does the track of the first of them.
    pub fn learned_from(self, speakers: Vec<SpeakerStats>) -> Self {
        Self { learned_from: speakers, ..self }
    }

    /// What says all that comes, by a voice with this speaker.
    pub fn part(self, voice: &Voice, speaker: Conditioning, seed: u64) -> Part {
        Part {
            conditioning: Box::new(speaker.without_track()),
            front: Some(Box::new(self)),
            policy: SamplingPolicy::usual(voice, true),
            uniforms: UniformSource::seed(seed),
            length: Length::Track,
            record: false,
            post_filter: true,
        }
    }

    /// Takes the next utterance if none is at hand. Whether there is one, or none will come.
    fn take(&mut self) -> bool {
        if self.now.is_some() || self.end.is_some() {
            return true;
        }
        // Room for it when it was said.
        if self.said.is_full() {
            return false;
        }
        match self.next.try_recv() {
            Ok(utterance) => {
                self.stream.begin(utterance.number);
                (self.phone, self.frame) = (0, (0, 0));
                self.now = Some(utterance);
                self.begin_phone();
                true
            }
            Err(TryRecvError::Empty) => false,
            Err(TryRecvError::Disconnected) => {
                self.end = Some(self.made);
                true
            }
        }
    }

    /// Draws how long the phone at hand lasts, or ends the utterance behind its last one.
    fn begin_phone(&mut self) {
        let Some(now) = &mut self.now else { return };
        now.starts.push(self.made);
        if let Some(slot) = now.slots.get(self.phone) {
            let row = &now.table[self.phone * self.width..][..self.width];
            let frames = self.stream.duration(row, slot.phone == 0);
            let first = self.made == 0 && slot.phone == 0;
            let unheard = if first { frames.saturating_sub(FIRST_PAUSE) } else { 0 };
            for i in 0..unheard {
                self.stream.frame(row, i, frames, &mut self.last);
            }
            self.frame = (unheard, frames);
        } else if let Some(now) = self.now.take() {
            // There is room: see `take`. Where nobody takes it any more, all ends.
            let _ = self.said.try_send(now);
        }
    }

    /// Draws one more frame. False where there is none.
    fn make(&mut self) -> bool {
        if !self.take() || self.end.is_some() {
            if self.end.is_some() {
                return false;
            }
            // A pause that no utterance has.
            self.made += 1;
            self.push();
            return true;
        }
        let Some(now) = &self.now else { return false };
        let row = &now.table[self.phone * self.width..][..self.width];
        let (i, of) = self.frame;
        self.stream.frame(row, i, of, &mut self.last);
        self.made += 1;
        self.push();
        self.frame.0 += 1;
        if self.frame.0 == of {
            self.phone += 1;
            self.begin_phone();
        }
        true
    }

    /// The last frame into the window.
    fn push(&mut self) {
        let at = self.window.len() - FEATURES;
        self.window.copy_within(FEATURES.., 0);
        self.window[at..].copy_from_slice(&self.last);
    }
}

impl FrameSource for SpokenFront {
    fn frames(&self) -> Option<usize> {
        None
    }

    fn is_ready(&mut self) -> bool {
        self.hold || self.take()
    }

    fn advance(&mut self) -> bool {
        // At first the frames that are seen ahead, too.
        let wanted = self.given + 1 + self.context as u64;
        let first = self.made == 0;
        while self.made < wanted && self.make() {
            if first && self.made == 1 {
                // Before the beginning its first frame is seen.
                let at = self.window.len() - FEATURES;
                let (before, first) = self.window.split_at_mut(at);
                before.chunks_exact_mut(FEATURES).for_each(|row| row.copy_from_slice(first));
            }
        }
        self.hold = false;
        let more = self.end.is_none_or(|end| self.given < end);
        // Behind the last frame it is seen on.
        if self.made < wanted && more {
            self.push();
        }
        self.given += u64::from(more);
        more
    }

    fn write(&self, ahead: usize, rows: &mut [f32]) -> bool {
        let shown = ahead == 0 && self.given > 0;
        if shown {
            rows.copy_from_slice(&self.window);
        }
        shown
    }

    fn learned_from(&self) -> &[SpeakerStats] {
        &self.learned_from
    }

    fn is_own(&self) -> bool {
        true
    }

    fn is_finite(&self) -> bool {
        self.stream.is_finite()
    }

    /// A pause is made without an utterance.
    fn hold(&mut self) {
        self.hold = true;
    }
}
