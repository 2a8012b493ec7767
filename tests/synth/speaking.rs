//! Utterances as a front end: the same frames however they come in, the same for the same seed.

use super::common::{config, say, speaker, voice};
use crossbeam_channel::TryRecvError;
use wavesynth::synth::{Conditioning, FrameSource, Length, Part, SamplingPolicy, Synth, UniformSource};
use wavesynth::tts::draw::{FrameStream, seconds};
use wavesynth::tts::{Prepared, Prosody, SayModel, SpokenFront, phones};
use wavesynth_audio::features::FEATURES;
use wavesynth_models::condition::FrameSpec;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;

const TEXT: &str = "A1 B S | B A0 , S A1 . B B A1 ? A1 S";

fn model() -> SayModel {
    SayModel::from_loaded(Loaded::from_checkpoint(say(), Isa::detect()).unwrap()).unwrap()
}

fn spec(context: usize) -> FrameSpec {
    FrameSpec { features: FEATURES, context, tells_source: false }
}

fn prepared(model: &SayModel, text: &str) -> Vec<Prepared> {
    let numbered = (0..).zip(phones::read(text));
    numbered.map(|(n, u)| Prepared::new(model, u, n).unwrap()).collect()
}

/// All windows of a front end whose utterances come in when `comes` says so, by the number of frames given so far.
fn windows(
    model: &SayModel,
    context: usize,
    prosody: Prosody,
    seed: u64,
    comes: impl Fn(usize, usize) -> bool,
) -> (Vec<Vec<f32>>, Vec<Prepared>) {
    let (mut front, ends) = SpokenFront::new(model, &spec(context), prosody, seed);
    let mut waiting = prepared(model, TEXT).into_iter().enumerate().peekable();
    let (mut next, mut all, mut said) = (Some(ends.next), Vec::new(), Vec::new());
    loop {
        while waiting.next_if(|(n, _)| comes(*n, all.len())).is_some_and(|(_, u)| {
            assert!(next.as_ref().unwrap().try_send(Box::new(u)).is_ok());
            true
        }) {}
        if waiting.peek().is_none() {
            next = None;
        }
        if !front.is_ready() {
            // Late: what comes next comes now.
            let (_, u) = waiting.next().unwrap();
            next.as_ref().unwrap().send(Box::new(u)).unwrap();
            continue;
        }
        let more = front.advance();
        said.extend(std::iter::from_fn(|| ends.said.try_recv().ok().map(|said| *said)));
        if !more {
            assert!(!front.advance(), "it has ended");
            drop(front);
            assert_eq!(ends.said.try_recv().err(), Some(TryRecvError::Disconnected));
            return (all, said);
        }
        let mut rows = vec![0.0; (2 * context + 1) * FEATURES];
        assert!(front.write(0, &mut rows));
        all.push(rows);
    }
}

#[test]
fn what_comes_in_bit_by_bit_is_said_as_what_is_there_at_once() {
    let model = model();
    let whole = windows(&model, 0, Prosody::default(), 5, |_, _| true);
    let late = windows(&model, 0, Prosody::default(), 5, |_, _| false);
    assert_eq!(whole.0, late.0);
    assert_ne!(whole.0, windows(&model, 0, Prosody::default(), 6, |_, _| true).0, "another seed");
    let starts: Vec<Vec<u64>> = whole.1.iter().map(|p| p.starts.clone()).collect();
    assert_eq!(starts, late.1.iter().map(|p| p.starts.clone()).collect::<Vec<_>>());
    // Every phone has a beginning, each utterance begins where the one before ends, and the last one ends with the frames.
    assert!(whole.1.iter().all(|p| p.starts.len() == p.slots.len() + 1 && p.names.len() == p.slots.len()));
    assert!(starts.iter().flatten().is_sorted());
    assert!(starts.windows(2).all(|pair| pair[0].last() == pair[1].first()));
    assert_eq!((starts[0][0], starts[2].last().copied()), (0, Some(whole.0.len() as u64)));
    assert_eq!(seconds(100), 1.0);
    // A window has the frames around its own; the ends are held.
    let seen = windows(&model, 2, Prosody::default(), 5, |n, frames| frames >= 7 * n).0;
    assert_eq!(seen.len(), whole.0.len());
    for (t, window) in seen.iter().enumerate() {
        for (k, row) in window.chunks_exact(FEATURES).enumerate() {
            let at = (t + k).saturating_sub(2).min(whole.0.len() - 1);
            assert_eq!(row, whole.0[at], "frame {t}, row {k}");
        }
    }
}

#[test]
fn prosody_does_what_it_says() {
    let model = model();
    let frames = |prosody| windows(&model, 0, prosody, 5, |_, _| true).0;
    let usual = frames(Prosody::default());
    let slow = frames(Prosody { rate: 0.5, ..Prosody::default() }).len() as f64;
    assert!((slow / usual.len() as f64 - 2.0).abs() < 0.1, "{slow} frames, {} before", usual.len());
    assert!(frames(Prosody { pauses: 2.0, ..Prosody::default() }).len() > usual.len() + 50);
    let calm = Prosody { temperature: 0.0, ..Prosody::default() };
    let high = frames(Prosody { semitones: 6.0, ..calm });
    for (a, b) in high.iter().zip(frames(calm)) {
        assert!((a[16] - b[16] - 1.0).abs() < 1e-5 && a[..16] == b[..16], "half an octave is 1");
        assert!((0.0..=1.0).contains(&a[17]));
    }
}

#[test]
fn frames_are_their_speakers_own() {
    let (voice, model) = (voice(&config()), model());
    let spec = voice.model.config.facts().condition.as_ref().unwrap().frames.unwrap();
    let (front, ends) = SpokenFront::new(&model, &spec, Prosody::default(), 1);
    for utterance in prepared(&model, TEXT) {
        ends.next.send(Box::new(utterance)).unwrap();
    }
    drop(ends.next);
    let part = Part {
        conditioning: Box::new(Conditioning::new(&voice, &speaker([1.0; 4])).unwrap()),
        front: Some(Box::new(front)),
        policy: SamplingPolicy::default(),
        uniforms: UniformSource::seed(1),
        length: Length::Track,
        record: false,
        post_filter: true,
    };
    let mut synth = Synth::new(&voice, part);
    let (mut block, mut samples) = ([0.0; 160], 0);
    loop {
        let n = synth.fill(&mut block);
        samples += n;
        if n < block.len() {
            break;
        }
    }
    let said: Vec<_> = ends.said.iter().take(3).collect();
    assert_eq!(samples as u64, said[2].starts.last().unwrap() * 160);
    let mut stream = FrameStream::new(&model, Prosody::default(), 1);
    stream.begin(0);
    assert!(stream.is_finite());
}
