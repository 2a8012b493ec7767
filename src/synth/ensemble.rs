//! Several streams of one voice in lockstep: every weight that is read serves all of them.

use super::line::Line;
use super::{Conditioning, FrameSource, Part, SamplingPolicy};
use crate::voice::Voice;
use wavesynth_models::ar::{Generators, Sampling, Symbol};

/// A part with all the memory that generating it takes: made on one thread, it can begin on another that may not allocate.
pub struct PreparedPart(Line);

impl PreparedPart {
    /// Allocates what generating `part` takes, but for the model's state.
    ///
    /// # Panics
    /// When the conditioning was made for another voice.
    pub fn new(voice: &Voice, part: Part) -> Self {
        Self(Line::new(voice, part))
    }

    /// Samples that it lasts; `None` where that is not known.
    pub fn samples(&self) -> Option<u64> {
        Some(self.0.end()).filter(|end| *end != u64::MAX)
    }
}

/// Up to a fixed number of streams of one voice, each with its own conditioning, uniforms and length. Each gives the bits
/// that a [`super::Synth`] of its part gives, whatever the others do.
pub struct Ensemble {
    streams: Box<dyn Generators>,
    lines: Vec<Option<Line>>,
    /// By stream: the uniform number and the symbol of the current sample.
    uniforms: Vec<f32>,
    symbols: Vec<Symbol>,
}

impl Ensemble {
    /// Memory for `most` streams of `voice`, none of which runs yet.
    pub fn new(voice: &Voice, most: usize) -> Self {
        Self {
            streams: voice.model.generators(most, Sampling::default()),
            lines: (0..most).map(|_| None).collect(),
            uniforms: vec![0.0; most],
            symbols: vec![0; most],
        }
    }

    /// Starts stream `at` with `part`, in place of its part so far.
    ///
    /// # Panics
    /// When there is no such stream, or the conditioning was made for another voice.
    pub fn start(&mut self, at: usize, voice: &Voice, part: Part) {
        self.set(at, voice, part);
        self.begin(at);
    }

    /// Starts stream `at`, which has no part, with `part`.
    ///
    /// # Panics
    /// When it has one, or there is no such stream.
    ///
    /// # Real-time
    /// As [`Generators::start`].
    pub fn start_prepared(&mut self, at: usize, part: PreparedPart) {
        assert!(self.lines[at].is_none(), "stream {at} has a part");
        self.put(at, part.0);
        self.begin(at);
    }

    /// Ends stream `at`, and gives back its part for another thread to drop.
    ///
    /// # Real-time
    /// Yes.
    pub fn take(&mut self, at: usize) -> Option<PreparedPart> {
        self.streams.end(at);
        // While the part still holds what the stream lets go.
        self.streams.adapt(at, None);
        self.lines[at].take().map(PreparedPart)
    }

    /// Has stream `at` stand still until [`Ensemble::resume`], while the others go on. Its samples stay the same.
    ///
    /// # Real-time
    /// Yes.
    pub fn pause(&mut self, at: usize) {
        self.streams.end(at);
    }

    /// Has stream `at`, which has a part, go on from where it stands.
    ///
    /// # Real-time
    /// Yes.
    pub fn resume(&mut self, at: usize) {
        self.streams.resume(at);
    }

    /// Streams that run, as far as [`Ensemble::fill`] has seen.
    pub fn running(&self) -> usize {
        self.streams.running()
    }

    /// Whether stream `at` runs, as far as [`Ensemble::fill`] has seen.
    pub fn is_running(&self, at: usize) -> bool {
        self.streams.is_running(at)
    }

    /// The next `samples` samples of every stream that runs, into the beginning of its block, which is as long at least;
    /// how many there were into `written`: fewer only where a stream has ended, none where it did not run.
    ///
    /// # Panics
    /// When there are fewer blocks than streams, or a block is too short.
    ///
    /// # Real-time
    /// Yes: O(1) per sample, neither allocates nor frees.
    pub fn fill(&mut self, samples: usize, blocks: &mut [Vec<f32>], written: &mut [usize]) {
        written.fill(0);
        for _ in 0..samples {
            self.advance();
            self.update();
            self.step(|at, sample| {
                blocks[at][written[at]] = sample;
                written[at] += 1;
            });
        }
        self.update();
    }

    /// Prepares stream `at` for `part`, which it generates once it begins.
    pub(super) fn set(&mut self, at: usize, voice: &Voice, part: Part) {
        self.put(at, Line::new(voice, part));
    }

    fn put(&mut self, at: usize, mut line: Line) {
        self.streams.end(at);
        line.set_policy(line.policy(), self.streams.as_mut(), at);
        line.adapt(self.streams.as_mut(), at);
        self.lines[at] = Some(line);
    }

    /// Starts stream `at`, which was prepared.
    ///
    /// # Real-time
    /// As [`Generators::start`].
    pub(super) fn begin(&mut self, at: usize) {
        self.streams.start(at);
    }

    /// Ends the streams whose lines are over.
    ///
    /// # Real-time
    /// Yes.
    pub(super) fn update(&mut self) {
        for (at, line) in self.lines.iter().enumerate() {
            if line.as_ref().is_some_and(Line::is_over) {
                self.streams.end(at);
            }
        }
    }

    /// One sample of every stream that runs, none of which is over; `emit` takes the stream and its sample, in the
    /// order of the streams.
    ///
    /// # Real-time
    /// Yes.
    #[inline]
    pub(super) fn step(&mut self, mut emit: impl FnMut(usize, f32)) {
        let Self { streams, lines, uniforms, symbols } = self;
        for (at, line) in lines.iter_mut().enumerate() {
            if let Some(line) = line.as_mut().filter(|_| streams.is_running(at)) {
                uniforms[at] = line.condition(streams.as_mut(), at);
            }
        }
        streams.next(uniforms, symbols);
        for (at, line) in lines.iter_mut().enumerate() {
            if let Some(line) = line.as_mut().filter(|_| streams.is_running(at))
                && let Some(sample) = line.decode(symbols[at])
            {
                emit(at, sample);
            }
        }
    }

    /// See [`super::Synth::change`]. A conditioning for a stream that has ended comes back unused.
    pub(super) fn change(
        &mut self,
        at: usize,
        conditioning: Box<Conditioning>,
        fade_ms: u32,
        sample_rate: u32,
    ) -> Box<Conditioning> {
        match &mut self.lines[at] {
            Some(line) if self.streams.is_running(at) || !line.is_over() => {
                line.change(conditioning, fade_ms, sample_rate, self.streams.as_mut(), at)
            }
            _ => conditioning,
        }
    }

    /// Whether all samples of stream `at`, and the frames that it was made under, came from finite numbers.
    ///
    /// # Real-time
    /// Yes.
    pub fn is_finite(&self, at: usize) -> bool {
        self.streams.is_finite(at) && self.lines[at].as_ref().is_none_or(Line::is_finite)
    }

    /// What brings the frames of stream `at` in place of its conditioning's track.
    pub(super) fn front(&mut self, at: usize) -> Option<&mut (dyn FrameSource + 'static)> {
        self.lines[at].as_mut()?.front()
    }

    /// Samples of `wanted` that stream `at` can generate from the input so far.
    ///
    /// # Real-time
    /// Yes.
    pub fn ready(&mut self, at: usize, wanted: usize) -> usize {
        self.lines[at].as_mut().map_or(wanted, |line| line.ready(wanted))
    }

    /// Has the streams that run go on to the frame of the sample at hand. Whether one has ended by that.
    ///
    /// # Real-time
    /// Yes.
    pub(super) fn advance(&mut self) -> bool {
        let Self { streams, lines, .. } = self;
        let running = lines.iter_mut().enumerate().filter(|(at, _)| streams.is_running(*at));
        let mut ended = false;
        running.filter_map(|(_, line)| line.as_mut()).for_each(|line| ended |= line.advance());
        ended
    }

    pub(super) fn set_policy(&mut self, policy: SamplingPolicy) {
        for (at, line) in self.lines.iter_mut().enumerate() {
            if let Some(line) = line {
                line.set_policy(policy, self.streams.as_mut(), at);
            }
        }
    }

    pub(super) fn line(&self, at: usize) -> Option<&Line> {
        self.lines.get(at)?.as_ref()
    }
}
