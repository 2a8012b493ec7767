//! Live input.

use super::{ONE, part, stats, violations};
use crate::common::{common as space, config, speaker, voice};
use crossbeam_channel::bounded;
use wavesynth::synth::{
    Conditioning, FrameSource, Length, Listener, Pace, Part, SamplingPolicy, Synth, UniformSource, Worker,
};
use wavesynth_audio::cond::Condition;
use wavesynth_audio::features::{Extractor, RunningSpeakerStats, SpeakerStats};
use wavesynth_audio::ring::ring;

/// Learning an unknown speaker's map to the common space, and converting with it.
#[test]
fn learning_a_speaker_does_not_allocate() {
    let _one = ONE.lock().unwrap();
    let mut voice = voice(&config());
    voice.section.common = Some(space());
    let condition = Condition { stats: Some(stats()), ..speaker([1.0; 4]) };
    let conditioning = Box::new(Conditioning::new(&voice, &condition).unwrap());
    let mut uniforms = UniformSource::seed(5);
    let speech: Vec<f32> = (0..64_000).map(|_| 0.2 * uniforms.next_uniform() - 0.1).collect();
    let prior = SpeakerStats::pool([&Extractor::new().extract(&speech)]).unwrap();
    let speaker_stats = RunningSpeakerStats::learning(prior, voice.section.common.as_ref());
    let extractor = voice.extractor(speaker_stats).unwrap();
    let length = Length::Samples(64_000);
    let front: Option<Box<dyn FrameSource>> = Some(Box::new(Listener::recording(extractor, speech)));
    let part = Part { conditioning, front, length, ..part(&voice, SamplingPolicy::default()) };
    let mut synth = Synth::new(&voice, part);
    let mut block = [0.0; 333];
    assert_eq!(violations(|| while synth.fill(&mut block) == block.len() {}), 0);
    assert_eq!(synth.front().unwrap().speaker_stats().unwrap().alignments(), 1);
}

/// A listener at work, without input, catching up and at the end, with the engine around it.
#[test]
fn a_worker_that_listens_does_not_allocate() {
    let _one = ONE.lock().unwrap();
    let voice = voice(&config());
    for (rate, pace) in [(16_000, Pace::Live), (48_000, Pace::Live), (44_100, Pace::Patient)] {
        let speaker_stats = RunningSpeakerStats::learning(stats(), None);
        let extractor = voice.extractor(speaker_stats).unwrap();
        let (mut input, output) = ring(rate as usize);
        let listener = Listener::stream(extractor, output, rate, pace).unwrap();
        let counters = listener.counters();
        let mut part = part(&voice, SamplingPolicy::default());
        part.length = Length::Track;
        part.front = Some(Box::new(listener));
        let synth = Synth::new(&voice, part);
        let (producer, mut consumer) = ring(900);
        let (_commands, inbox) = bounded(8);
        let (outbox, _events) = bounded(8);
        let mut worker = Worker::new(synth, 48_000, producer, inbox, outbox).unwrap();
        let stats = consumer.stats();
        let other = std::thread::spawn(move || {
            let pcm: Vec<f32> = (0..rate).map(|i| (i as f32 * 0.05).sin()).collect();
            let mut block = [0.0; 240];
            for i in 0.. {
                // A hundredth of a second each time; a gap, and all of it at once behind the gap; then the end.
                match i {
                    0..30 => _ = input.push_slice(&pcm[..rate as usize / 100]),
                    45 => _ = input.push_slice(&pcm[..rate as usize / 4]),
                    50 => input.close(),
                    _ => {}
                }
                for _ in 0..2 {
                    consumer.fill(&mut block);
                    std::thread::sleep(std::time::Duration::from_micros(5_000));
                }
                if stats.finished() {
                    return;
                }
            }
        });
        assert_eq!(violations(|| worker.run()), 0, "{rate} Hz");
        other.join().unwrap();
        assert!(counters.frames() > 30, "{} frames", counters.frames());
        if pace == Pace::Live {
            assert!(
                counters.held() > 0 && counters.skipped() > 0,
                "{} {}",
                counters.held(),
                counters.skipped()
            );
        }
    }
}
