//! The worker of a session, whatever goes on.

use super::{ONE, adapted, conditioning, part, stats, violations};
use crate::common::{checkpoint, config, voice};
use crossbeam_channel::bounded;
use wavesynth::synth::{Command, Layer, Length, Listener, Outlet, Pace, Part, SamplingPolicy, Synth, Worker};
use wavesynth::voice::Voice;
use wavesynth_audio::features::RunningSpeakerStats;
use wavesynth_audio::ring::ring;
use wavesynth_models::ar::Sampling;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::{Loaded, quantise};
use wavesynth_models::weights::Dtype;

#[test]
fn the_worker_does_not_allocate_whatever_it_is_told() {
    let _one = ONE.lock().unwrap();
    let voice = voice(&config());
    for rate in [16_000, 44_100, 48_000] {
        let synth = Synth::new(&voice, part(&voice, SamplingPolicy::default()));
        // The ring holds all of it, so that one thread can be the worker and the test.
        let (producer, mut consumer) = ring(rate as usize);
        let (commands, inbox) = bounded(8);
        let (outbox, events) = bounded(8);
        let mut worker = Worker::new(synth, rate, producer, inbox, outbox).unwrap();
        let progress = worker.progress();
        for command in [
            Command::Change { conditioning: conditioning(&voice, [3.0; 4]), fade_ms: 100 },
            Command::Policy(SamplingPolicy {
                sampling: Sampling { temperature: 0.7, top_k: 9, top_p: 0.8, min_p: 0.02 },
                sharpen: 0.4,
            }),
            Command::Pause,
            Command::Resume,
            Command::Change { conditioning: conditioning(&voice, [4.0; 4]), fade_ms: 0 },
        ] {
            commands.send(command).unwrap();
        }
        assert_eq!(violations(|| worker.run()), 0, "{rate} Hz");
        assert!(progress.is_done() && worker.synth().position() == 8000);
        assert_eq!(events.try_iter().count(), 2);
        let mut out = vec![0.0; rate as usize];
        assert_eq!(consumer.fill(&mut out), rate as usize / 2);
    }
}

#[test]
fn a_full_ring_and_a_stop_do_not_allocate() {
    let _one = ONE.lock().unwrap();
    let voice = voice(&config());
    let synth = Synth::new(&voice, part(&voice, SamplingPolicy::default()));
    let (producer, mut consumer) = ring(200);
    let (commands, inbox) = bounded(8);
    let (outbox, _events) = bounded(8);
    let mut worker = Worker::new(synth, 48_000, producer, inbox, outbox).unwrap();
    let stats = consumer.stats();
    let other = std::thread::spawn(move || {
        let mut block = [0.0; 61];
        for i in 0.. {
            consumer.fill(&mut block);
            if stats.finished() {
                return stats.played_samples();
            }
            if i == 100 {
                commands.send(Command::Stop { fade_ms: 20 }).unwrap();
            }
            std::thread::sleep(std::time::Duration::from_micros(300));
        }
        0
    });
    assert_eq!(violations(|| worker.run()), 0);
    assert!(other.join().unwrap() < 24_000);
}

/// Everything at once, in every type of weights: live input at another rate, two layers, the post-filter, changes, fades,
/// an adaptation that comes and goes, a pause, another device at another rate, and a stop.
#[test]
fn nothing_allocates_in_any_type_of_weights() {
    let _one = ONE.lock().unwrap();
    for dtype in [Dtype::F32, Dtype::F16, Dtype::I8] {
        let mut file = checkpoint(&config());
        quantise(&mut file, dtype).unwrap();
        let voice = Voice::from_loaded(Loaded::from_checkpoint(file, Isa::detect()).unwrap()).unwrap();
        assert_eq!(voice.model.dtype, dtype);
        let extractor = voice.extractor(RunningSpeakerStats::learning(stats(), None)).unwrap();
        let (mut input, heard) = ring(48_000);
        let listener = Listener::stream(extractor, heard, 48_000, Pace::Live).unwrap();
        let endless = |front| Part {
            front,
            length: Length::Samples(u64::MAX),
            record: false,
            post_filter: true,
            ..part(&voice, SamplingPolicy::default())
        };
        let layers = vec![
            Layer { part: endless(Some(Box::new(listener))), start: 0, gain: 1.0 },
            Layer { part: endless(None), start: 2000, gain: 0.5 },
        ];
        let (producer, mut consumer) = ring(2000);
        let (commands, inbox) = bounded(8);
        let (outbox, events) = bounded(8);
        let synth = Synth::layered(&voice, layers);
        let mut worker = Worker::new(synth, 44_100, producer, inbox, outbox).unwrap();
        worker.outlive_outlet();
        let (first, second) = (adapted(&voice, [3.0; 4]), conditioning(&voice, [-1.0; 4]));
        let other = std::thread::spawn(move || {
            let mut block = vec![0.0; 480];
            let speech: Vec<f32> = (0..480).map(|i| (i as f32 * 0.05).sin()).collect();
            let (mut first, mut second) = (Some(first), Some(second));
            let mut seen = 0;
            // As long as it takes to end, on a busy machine too.
            for round in 0..4000 {
                input.push_slice(&speech);
                consumer.fill(&mut block);
                if round > 100 && consumer.stats().finished() {
                    break;
                }
                let change = |conditioning: &mut Option<_>, fade_ms| Command::Change {
                    conditioning: conditioning.take().unwrap(),
                    fade_ms,
                };
                let sampling = Sampling { temperature: 0.7, top_k: 9, top_p: 0.8, min_p: 0.02 };
                let command = match round {
                    10 => Some(change(&mut first, 200)),
                    20 => Some(Command::Policy(SamplingPolicy { sampling, sharpen: 0.4 })),
                    30 => Some(Command::Pause),
                    40 => Some(Command::Resume),
                    50 => {
                        let (producer, next) = ring(3000);
                        consumer = next;
                        Some(Command::Outlet(Box::new(Outlet::new(16_000, 48_000, producer).unwrap())))
                    }
                    70 => Some(change(&mut second, 0)),
                    90 => Some(Command::Stop { fade_ms: 50 }),
                    _ => None,
                };
                command.into_iter().for_each(|command| commands.send(command).unwrap());
                seen += events.try_iter().count();
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            (seen + events.try_iter().count(), consumer.stats().finished())
        });
        assert_eq!(violations(|| worker.run()), 0, "{dtype}");
        let (seen, finished) = other.join().unwrap();
        assert!(seen == 3 && finished, "{dtype}: {seen} events, finished: {finished}");
    }
}
