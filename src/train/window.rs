//! Training windows: which piece of which recording, and its rows.
//!
//! A window starts at a frame boundary. Where the recording has enough past, its first `warmup` rows fill the receptive
//! field, or as much of it as `train.max_warmup` allows, and stay out of the loss. Nearer to the beginning it starts at
//! the recording's own first sample with the start symbol, as the engine does, and its warm-up is as short as that makes
//! it: so the network also learns how a recording begins.

use super::config::Train;
use super::corpus::SpeechCorpus;
use super::perturbation::Perturbation;
use super::recording::Recording;
use super::slots::{FileWeights, Slots};
use crate::voice::SpeakerSection;
use std::ops::Range;
use wavesynth_audio::features::FEATURES;
use wavesynth_models::ar::{Symbol, Uniforms};
use wavesynth_models::condition::{ConditionSpec, FeatureTrack, FrameTable, TrackSource};
use wavesynth_models::family::Facts;
use wavesynth_models::objective::Window;

/// Cuts recordings into windows of one shape.
#[derive(Debug, Clone)]
pub struct Cutter {
    facts: Facts,
    warmup_frames: usize,
    loss_frames: usize,
}

impl Cutter {
    /// Windows for a network of `facts` with at least `loss` rows in the loss and a warm-up of the receptive field, or of
    /// `max_warmup` rows where that is less; both rounded up to frames.
    pub fn new(facts: &Facts, loss: usize, max_warmup: Option<usize>) -> Self {
        let hop = facts.hop;
        let warmup = (facts.past.unwrap_or(1) - 1).min(max_warmup.unwrap_or(usize::MAX));
        Self {
            facts: facts.clone(),
            warmup_frames: warmup.div_ceil(hop),
            loss_frames: loss.div_ceil(hop).max(1),
        }
    }

    /// Rows of the longest window.
    pub fn max_rows(&self) -> usize {
        (self.warmup_frames + self.loss_frames) * self.facts.hop
    }

    /// The window of `recording` whose loss starts at frame `from`, with `track` for its features. Without one its frames
    /// are all zeros, as when a voice speaks from its speaker vector alone.
    pub fn cut(&self, recording: &Recording, from: usize, track: Option<FeatureTrack>) -> Window {
        let hop = self.facts.hop;
        let codes = &recording.codes;
        let first = from.saturating_sub(self.warmup_frames);
        let begin = (first * hop).min(codes.len());
        let end = ((from + self.loss_frames) * hop).min(codes.len());
        let before = match begin.checked_sub(1) {
            Some(i) => codes.get(i),
            None => self.facts.start,
        };
        let targets: Vec<Symbol> = codes.range(begin..end).collect();
        let mut inputs = Vec::with_capacity(targets.len());
        inputs.push(before);
        inputs.extend(&targets[..targets.len().saturating_sub(1)]);
        let mut frames = FrameTable::default();
        if let Some(spec) = self.facts.condition.as_ref().and_then(|c| c.frames) {
            (0..targets.len().div_ceil(hop)).for_each(|i| frames.push(&spec, track, first + i));
        }
        let embedding = self.facts.condition.as_ref().and_then(|c| c.embedding);
        let speaker = embedding.map(|_| recording.speaker);
        Window { inputs, targets, warmup: (from - first) * hop, frames, speaker, ..Window::default() }
    }

    /// The frames that a window whose loss starts at frame `from` reads, some of them perhaps beyond its recording.
    fn seen(&self, from: usize) -> Range<usize> {
        let context = self.facts.condition.as_ref().map_or(0, ConditionSpec::context);
        from.saturating_sub(self.warmup_frames + context)..from + self.loss_frames + context
    }

    /// The frame at which a window of `recording` begins its loss, any one. Half a window beyond either end, then moved
    /// inside: edges are seen about as often as the middle.
    pub fn place(&self, recording: &Recording, uniforms: &mut Uniforms) -> usize {
        let frames = recording.codes.len().div_ceil(self.facts.hop);
        let from = (uniforms.below(frames as u64) as usize).saturating_sub(self.loss_frames / 2);
        from.min(frames.saturating_sub(self.loss_frames))
    }

    /// Fraction of the frames behind `from` that are no pause; 1 for a recording without a track.
    fn speech(&self, recording: &Recording, from: usize) -> f64 {
        let width = self.facts.condition.as_ref().map_or(0, ConditionSpec::features);
        if width == 0 || recording.track.is_empty() {
            return 1.0;
        }
        let frames = recording.track.chunks_exact(width).skip(from).take(self.loss_frames);
        let (speech, all) = frames.fold((0, 0), |(s, n), f| (s + usize::from(f[0] > PAUSE), n + 1));
        f64::from(speech as u32) / f64::from(all.max(1))
    }

    /// Windows whose losses cover a recording once, without a gap, with `track` for its features.
    pub fn tile<'a>(
        &'a self,
        recording: &'a Recording,
        track: FeatureTrack<'a>,
    ) -> impl Iterator<Item = Window> + 'a {
        let frames = recording.codes.len().div_ceil(self.facts.hop);
        (0..frames).step_by(self.loss_frames).map(move |from| self.cut(recording, from, Some(track)))
    }
}

/// Recordings to draw from, each sample as likely as any other.
#[derive(Debug, Clone, Default)]
pub struct Pool<'a> {
    recordings: Vec<&'a Recording>,
    /// Samples in all recordings up to and with each.
    sums: Vec<u64>,
}

impl<'a> Pool<'a> {
    /// Adds a recording.
    pub fn push(&mut self, recording: &'a Recording) {
        self.sums.push(self.samples() + recording.codes.len() as u64);
        self.recordings.push(recording);
    }

    /// Samples of all recordings.
    pub fn samples(&self) -> u64 {
        self.sums.last().copied().unwrap_or(0)
    }

    /// A recording, in proportion to its length. The pool must not be empty.
    pub fn pick(&self, uniforms: &mut Uniforms) -> &'a Recording {
        let at = uniforms.below(self.samples());
        self.recordings[self.sums.partition_point(|s| *s <= at)]
    }
}

impl<'a> FromIterator<&'a Recording> for Pool<'a> {
    fn from_iter<I: IntoIterator<Item = &'a Recording>>(recordings: I) -> Self {
        let mut pool = Self::default();
        recordings.into_iter().for_each(|r| pool.push(r));
        pool
    }
}

/// Draws this rank's part of the batches of a run. Window `slot` of step `step` is a function of the seed, these two
/// numbers and the windows that all ranks draw in a step: see [`FileWeights`].
pub struct SpeechWindows<'a> {
    cutter: &'a Cutter,
    file_weights: &'a FileWeights,
    /// This rank's training files, the first of them the `first` of all.
    recordings: Vec<&'a Recording>,
    first: usize,
    slots: Slots,
    speakers: &'a [SpeakerSection],
    noise: f64,
    perturbation: Option<Perturbation>,
    /// Fraction of the windows that read a cross-speaker track.
    others: f64,
    dropout: f64,
    dropout_speech: f64,
    seed: u64,
    steps: u64,
}

/// Draws of a trackless window before any position in a recording is taken.
const TRIES: usize = 50;

/// c0 of a normalised track, in the speaker's standard deviations, below which a frame is a pause.
const PAUSE: f32 = -1.5;

impl<'a> SpeechWindows<'a> {
    /// Batches of a run of `steps` steps over the training part of `corpus`, of which this rank draws `slots`.
    pub fn new(
        train: &Train,
        corpus: &'a SpeechCorpus,
        cutter: &'a Cutter,
        slots: Slots,
        steps: u64,
    ) -> Self {
        Self {
            cutter,
            file_weights: &corpus.file_weights,
            recordings: corpus.part(false).collect(),
            first: corpus.own.start,
            slots,
            speakers: &corpus.speakers,
            noise: train.input_noise,
            perturbation: train.perturbation,
            others: train.others.as_ref().map_or(0.0, |o| o.share),
            dropout: train.feature_dropout,
            dropout_speech: train.dropout_speech,
            seed: train.seed,
            steps,
        }
    }

    /// This rank's windows of step `step`.
    pub fn batch(&self, step: u64) -> Vec<Window> {
        let ramp = (3.0 * step as f64 / self.steps as f64).min(1.0);
        self.slots.own.clone().map(|slot| self.draw(step, slot, self.noise * ramp)).collect()
    }

    /// A training file of the part of the corpus that belongs to `slot`.
    fn pick(&self, slot: usize, uniforms: &mut Uniforms) -> &'a Recording {
        let place = (slot as f64 + f64::from(uniforms.next_uniform())) / self.slots.all as f64;
        self.recordings[self.file_weights.at(place) - self.first]
    }

    fn draw(&self, step: u64, slot: usize, noise: f64) -> Window {
        let uniforms = &mut Uniforms::keyed(self.seed, self.slots.number(step, slot));
        let recording = self.pick(slot, uniforms);
        let from = self.cutter.place(recording, uniforms);
        let features = f64::from(uniforms.next_uniform()) >= self.dropout;
        let mut window = if features {
            self.tracked(recording, from, uniforms)
        } else if self.dropout_speech == 0.0 {
            self.cutter.cut(recording, from, None)
        } else {
            self.trackless(slot, uniforms)
        };
        if noise > 0.0 {
            // The start symbol is no sample, so nothing disturbs it.
            let skip = usize::from(window.inputs.first() == Some(&self.cutter.facts.start));
            for x in window.inputs.iter_mut().skip(skip) {
                let moved = f64::from(*x) + (f64::from(uniforms.normal()) * noise).round();
                *x = moved.clamp(1.0, (self.cutter.facts.likelihood.classes() - 1) as f64) as Symbol;
            }
        }
        window
    }

    /// A window with its own track, perturbed if the run asks for it, or with a cross-speaker track.
    fn tracked(&self, recording: &Recording, from: usize, uniforms: &mut Uniforms) -> Window {
        // Without cross-speaker tracks no number is drawn.
        if !recording.cross_tracks.is_empty() && f64::from(uniforms.next_uniform()) < self.others {
            let other = &recording.cross_tracks[uniforms.below(recording.cross_tracks.len() as u64) as usize];
            return self.cutter.cut(
                recording,
                from,
                Some(FeatureTrack { features: other, source: TrackSource::CrossSpeaker }),
            );
        }
        let stats = self.speakers[recording.speaker].stats.as_ref();
        let perturbed = self.perturbation.as_ref().zip(stats).filter(|(d, _)| {
            // Where all tracks are perturbed no number is drawn.
            d.own == 0.0 || f64::from(uniforms.next_uniform()) >= d.own
        });
        let Some((perturbation, stats)) = perturbed else {
            return self.cutter.cut(recording, from, Some(recording.own_track()));
        };
        let mut track = recording.track.clone();
        let seen = self.cutter.seen(from);
        let n = track.len();
        let frames = (seen.start * FEATURES).min(n)..(seen.end * FEATURES).min(n);
        perturbation.apply(&mut track[frames], stats, uniforms);
        self.cutter.cut(
            recording,
            from,
            Some(FeatureTrack { features: &track, source: TrackSource::CrossSpeaker }),
        )
    }

    /// A window of speech without its track. Half of them begin without a past, as a voice does with a speaker vector
    /// alone: it should begin with speech. It should not learn silence from the pauses of recordings: nothing in its
    /// receptive field tells how long a pause has lasted, so it would never end.
    fn trackless(&self, slot: usize, uniforms: &mut Uniforms) -> Window {
        let mut tries = 0;
        let (recording, from) = loop {
            let recording = self.pick(slot, uniforms);
            let from = self.cutter.place(recording, uniforms);
            tries += 1;
            if tries == TRIES || self.cutter.speech(recording, from) >= self.dropout_speech {
                break (recording, from);
            }
        };
        if uniforms.next_uniform() < 0.5 {
            return self.cutter.cut(recording, from, None);
        }
        let codes = recording.codes.from_on(from * self.cutter.facts.hop);
        let speaker = recording.speaker;
        let (track, cross_tracks) = (Vec::new(), Vec::new());
        let rest = Recording { name: String::new(), speaker, codes, track, cross_tracks, held_out: false };
        self.cutter.cut(&rest, 0, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavesynth_audio::pcm::Codes;
    use wavesynth_models::families::wavenet;
    use wavesynth_models::family::Family;

    fn config(hop: usize) -> wavenet::Config {
        wavenet::Config {
            dilations: vec![1, 2, 4],
            condition: Some(wavenet::ConditionConfig {
                speakers: 2,
                speaker_dim: 3,
                features: 2,
                context: 1,
                hidden: 0,
                others: 0,
                hop,
            }),
            ..wavenet::Config::named("deepvoice-small").unwrap()
        }
    }

    fn recording(samples: usize, hop: usize) -> Recording {
        Recording {
            name: "a/b".into(),
            speaker: 1,
            codes: Codes::Bytes((0..samples).map(|i| (i % 200) as u8 + 20).collect()),
            track: (0..2 * samples.div_ceil(hop)).map(|i| i as f32).collect(),
            cross_tracks: Vec::new(),
            held_out: false,
        }
    }

    #[test]
    fn rows_are_shifted_by_one_and_frames_aligned() {
        // Receptive field 8, so 7 past rows: 2 frames of 4.
        let cutter = Cutter::new(&config(4).facts(), 10, None);
        let r = recording(61, 4);
        let w = cutter.cut(&r, 5, Some(r.own_track()));
        assert_eq!((w.warmup, w.targets.len(), w.speaker), (8, 20, Some(1)));
        assert_eq!(w.targets[0], 12 + 20);
        assert_eq!(w.inputs[0], 11 + 20);
        assert_eq!(w.inputs[1..], w.targets[..19]);
        assert_eq!(w.frames.window(0).unwrap().rows, [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert_eq!((w.frames.len(), w.frames.rows.len()), (5, 5 * 6));
        let none = cutter.cut(&r, 5, None).frames;
        assert!(none.len() == 5 && (0..5).all(|i| none.window(i).is_none()));
        assert!(none.rows.iter().all(|v| *v == 0.0));
    }

    #[test]
    fn windows_begin_with_a_bunch_and_warm_all_that_it_reads() {
        // Receptive field 2·8 + 1 = 17, so 16 past rows: 4 frames of 4, or 8 bunches where nothing is conditioned.
        let bunched = wavenet::Config { bunch: 2, ..config(4) };
        let plain = wavenet::Config { condition: None, ..bunched.clone() };
        let r = recording(61, 4);
        for (config, from) in [(bunched, 5), (plain, 10)] {
            let cutter = Cutter::new(&config.facts(), 11, None);
            let w = cutter.cut(&r, from, Some(r.own_track()));
            assert_eq!((w.warmup, w.targets.len(), w.targets[0]), (16, 28, 4 + 20));
        }
    }

    #[test]
    fn a_beginning_is_the_engines_beginning() {
        let cutter = Cutter::new(&config(4).facts(), 10, None);
        let r = recording(61, 4);
        let w = cutter.cut(&r, 0, Some(r.own_track()));
        assert_eq!((w.warmup, w.targets.len(), w.inputs[0]), (0, 12, 128));
        let w = cutter.cut(&r, 1, Some(r.own_track()));
        assert_eq!((w.warmup, w.targets.len(), w.inputs[0]), (4, 16, 128));
    }

    #[test]
    fn a_bounded_warm_up_still_reads_the_true_past() {
        let cutter = Cutter::new(&config(4).facts(), 10, Some(3));
        let r = recording(61, 4);
        let w = cutter.cut(&r, 5, Some(r.own_track()));
        assert_eq!((w.warmup, w.targets.len(), cutter.max_rows()), (4, 16, 16));
        assert_eq!((w.inputs[0], w.targets[0]), (15 + 20, 16 + 20));
        let none = Cutter::new(&config(4).facts(), 10, Some(0)).cut(&r, 5, Some(r.own_track()));
        assert_eq!((none.warmup, none.inputs[0]), (0, 19 + 20));
        assert_eq!(Cutter::new(&config(4).facts(), 10, Some(1000)).max_rows(), 20);
    }

    #[test]
    fn frames_know_whose_they_are() {
        let r = recording(61, 4);
        let cutter = Cutter::new(&config(4).facts(), 10, None);
        let source = |track: Option<FeatureTrack>| cutter.cut(&r, 5, track).frames.sources[0];
        assert_eq!(source(Some(r.own_track())), Some(TrackSource::Own));
        let cross = FeatureTrack { source: TrackSource::CrossSpeaker, ..r.own_track() };
        assert_eq!((source(Some(cross)), source(None)), (Some(TrackSource::CrossSpeaker), None));
    }

    #[test]
    fn tiles_cover_every_sample_once() {
        let cutter = Cutter::new(&config(4).facts(), 10, None);
        for samples in [1, 3, 4, 12, 13, 61, 64] {
            let r = recording(samples, 4);
            let seen: Vec<u8> = cutter
                .tile(&r, r.own_track())
                .flat_map(|w| w.targets[w.warmup..].iter().map(|c| *c as u8).collect::<Vec<_>>())
                .collect();
            assert_eq!(Codes::Bytes(seen), r.codes);
        }
    }
}
