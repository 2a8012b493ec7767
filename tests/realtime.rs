//! The engine thread neither allocates nor frees. `make rtsan` runs the same under RealtimeSanitizer, which also knows locks
//! and system calls.

mod common;

use assert_no_alloc::{AllocDisabler, assert_no_alloc, violation_count};
use common::{checkpoint, common as space, config, say, speaker, track, voice};
use crossbeam_channel::bounded;
use std::hint::black_box;
use std::io::Write;
use std::sync::Mutex;
use wavesynth::synth::{
    Command, Conditioning, Ensemble, Forced, FrameSource, Layer, Length, Listener, Outlet, Pace, Part,
    PreparedPart, SamplingPolicy, Synth, UniformSource, Worker,
};
use wavesynth::tts::{Prepared, Prosody, SayModel, SpokenFront, phones};
use wavesynth::voice::Voice;
use wavesynth_audio::cond::{AdaptationTensor, Condition};
use wavesynth_audio::features::{Extractor, RunningSpeakerStats, SpeakerStats};
use wavesynth_audio::ring::ring;
use wavesynth_models::ar::Sampling;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::{Loaded, quantise};
use wavesynth_models::weights::Dtype;

/// Counts what happens inside `assert_no_alloc`.
#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

/// The count belongs to the process: one test at a time.
static ONE: Mutex<()> = Mutex::new(());

fn violations(f: impl FnOnce()) -> u32 {
    allocations(|| in_real_time(f))
}

fn allocations(f: impl FnOnce()) -> u32 {
    let before = violation_count();
    assert_no_alloc(f);
    violation_count() - before
}

/// `f`, in which RealtimeSanitizer, where it is linked, ends the process at the first call that may block.
#[rtsan_standalone::nonblocking]
fn in_real_time(f: impl FnOnce()) {
    f();
}

fn conditioning(voice: &Voice, values: [f32; 4]) -> Box<Conditioning> {
    let mut condition = speaker(values);
    condition.track = track(20).track;
    Box::new(Conditioning::new(voice, &condition).unwrap())
}

/// The same with changes of the network of its own.
fn adapted(voice: &Voice, values: [f32; 4]) -> Box<Conditioning> {
    let mut condition = speaker(values);
    let table = voice.model.config.adaptation_table(2);
    assert!(!table.is_empty());
    condition.speaker.as_mut().unwrap().adaptation = table
        .into_iter()
        .map(|s| {
            let values = vec![0.01; s.shape.iter().product()];
            (s.name, AdaptationTensor { shape: s.shape, values })
        })
        .collect();
    Box::new(Conditioning::new(voice, &condition).unwrap())
}

fn part(voice: &Voice, policy: SamplingPolicy) -> Part {
    Part {
        conditioning: conditioning(voice, [1.0; 4]),
        front: None,
        policy,
        uniforms: UniformSource::seed(1),
        length: Length::Samples(8000),
        record: true,
        post_filter: false,
    }
}

fn stats() -> SpeakerStats {
    SpeakerStats { mean: [0.0; 16], std: [1.0; 16], median_f0_hz: 150.0, common: None }
}

#[test]
fn the_counter_counts() {
    let _one = ONE.lock().unwrap();
    let kept = vec![1u8; 100];
    assert!(allocations(|| drop(black_box(vec![0u8; 100]))) >= 2);
    assert!(allocations(|| drop(black_box(kept))) >= 1);
    assert_eq!(allocations(|| _ = black_box([0u8; 100])), 0);
}

/// As `make rtsan` runs it: each of these ends a process.
#[test]
#[ignore = "wants RealtimeSanitizer: make rtsan"]
fn the_sanitizer_sees_what_may_block() {
    const WHAT: &str = "WAVESYNTH_RTSAN_TEST";
    let lock = Mutex::new(0);
    match std::env::var(WHAT).as_deref() {
        Ok("allocation") => in_real_time(|| drop(black_box(vec![0u8; 100]))),
        Ok("write") => in_real_time(|| _ = std::io::stderr().write_all(b"written")),
        Ok("lock") => {
            let held = lock.lock().unwrap();
            std::thread::scope(|threads| {
                threads.spawn(|| in_real_time(|| drop(black_box(lock.lock()))));
                std::thread::sleep(std::time::Duration::from_millis(200));
                drop(held);
            });
        }
        _ => {
            in_real_time(|| _ = black_box([0u8; 100]));
            for what in ["allocation", "write", "lock"] {
                let out = std::process::Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "the_sanitizer_sees_what_may_block", "--include-ignored"])
                    .env(WHAT, what)
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&out.stderr);
                assert!(!out.status.success() && said.contains("RealtimeSanitizer"), "{what}: {said}");
            }
        }
    }
}

#[test]
fn the_synth_does_not_allocate() {
    let _one = ONE.lock().unwrap();
    let voice = voice(&config());
    let every = Sampling { temperature: 0.8, top_k: 50, top_p: 0.9, min_p: 0.01 };
    let mut synth = Synth::new(&voice, part(&voice, every.into()));
    let mut forced = Forced::new(&voice, Conditioning::default());
    let next = conditioning(&voice, [2.0; 4]);
    let mut old = None;
    let mut block = [0.0; 333];
    let mut row = [0.0; 256];
    let n = violations(|| {
        synth.fill(&mut block);
        old = Some(synth.change(next, 50));
        synth.fill(&mut block);
        synth.set_policy(SamplingPolicy::default());
        synth.pause();
        synth.fill(&mut block);
        synth.resume();
        while synth.fill(&mut block) == block.len() {}
        forced.score(7);
        forced.parameters(9, &mut row);
    });
    assert_eq!((n, synth.position()), (0, 8000));
}

/// The shipped voice, whose speakers' statistics the filter knows.
#[test]
fn the_post_filter_does_not_allocate() {
    let _one = ONE.lock().unwrap();
    let voice = Voice::open("voice").unwrap();
    let conditioning = |name| Box::new(Conditioning::read(&voice, Some(name), Some("en_greeting")).unwrap());
    let (first, next) = (conditioning("en_allison"), conditioning("it_carlo"));
    let part = Part {
        conditioning: first,
        front: None,
        policy: SamplingPolicy::default(),
        uniforms: UniformSource::seed(1),
        length: Length::Samples(6000),
        record: true,
        post_filter: true,
    };
    let mut synth = Synth::new(&voice, part);
    let mut block = [0.0; 333];
    let mut old = None;
    let n = violations(|| {
        synth.fill(&mut block);
        old = Some(synth.change(next, 50));
        while synth.fill(&mut block) == block.len() {}
    });
    assert_eq!((n, synth.position()), (0, 6000));
}

/// Utterances that come in while others are said, and go back when they were.
#[test]
fn speech_of_utterances_does_not_allocate() {
    let _one = ONE.lock().unwrap();
    let voice = voice(&config());
    let model = SayModel::from_loaded(Loaded::from_checkpoint(say(), Isa::detect()).unwrap()).unwrap();
    let spec = voice.model.config.facts().condition.as_ref().unwrap().frames.unwrap();
    let (front, ends) = SpokenFront::new(&model, &spec, Prosody::default(), 1);
    for (number, utterance) in (0..).zip(phones::read("A1 B | S . B A0 , S A1 ?")) {
        ends.next.send(Box::new(Prepared::new(&model, utterance, number).unwrap())).unwrap();
    }
    drop(ends.next);
    let mut synth = Synth::new(
        &voice,
        Part {
            front: Some(Box::new(front)),
            length: Length::Track,
            record: false,
            ..part(&voice, SamplingPolicy::default())
        },
    );
    let mut block = [0.0; 333];
    let n = violations(|| while synth.fill(&mut block) == block.len() {});
    let said: Vec<_> = ends.said.try_iter().collect();
    assert_eq!((n, said.len()), (0, 2));
    assert_eq!(synth.position(), said[1].starts.last().unwrap() * 160);
}

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

/// Layers that begin and end while others run, and streams that stay apart.
#[test]
fn several_streams_do_not_allocate() {
    let _one = ONE.lock().unwrap();
    let voice = voice(&config());
    let short = |length| Part { length, ..part(&voice, SamplingPolicy::default()) };
    let layers = [(0, 8000), (100, 900), (3000, 10), (2000, 0), (5000, 1500)].map(|(start, samples)| Layer {
        part: short(Length::Samples(samples)),
        start,
        gain: 0.5,
    });
    let synth = Synth::layered(&voice, layers.into());
    let (producer, _consumer) = ring(16_000);
    let (commands, inbox) = bounded(8);
    let (outbox, events) = bounded(8);
    let mut worker = Worker::new(synth, 16_000, producer, inbox, outbox).unwrap();
    commands.send(Command::Change { conditioning: conditioning(&voice, [3.0; 4]), fade_ms: 100 }).unwrap();
    commands
        .send(Command::Policy(SamplingPolicy {
            sampling: Sampling { temperature: 0.7, top_k: 9, top_p: 0.8, min_p: 0.02 },
            sharpen: 0.4,
        }))
        .unwrap();
    commands.send(Command::Pause).unwrap();
    commands.send(Command::Resume).unwrap();
    assert_eq!(violations(|| worker.run()), 0);
    assert_eq!((worker.synth().position(), events.try_iter().count()), (8000, 1));

    let mut ensemble = Ensemble::new(&voice, 3);
    for (at, samples) in [(0, 500), (1, 2000), (2, 1)] {
        ensemble.start(at, &voice, short(Length::Samples(samples)));
    }
    let (mut blocks, mut written) = (vec![vec![0.0; 1000]; 3], [0; 3]);
    assert_eq!(violations(|| ensemble.fill(1000, &mut blocks, &mut written)), 0);
    assert_eq!((written, ensemble.running()), ([500, 1000, 1], 1));
}

/// Parts that were prepared elsewhere begin, stand still, go on and leave, as in a server.
#[test]
fn parts_come_and_go_without_allocating() {
    let _one = ONE.lock().unwrap();
    let voice = voice(&config());
    let mut prepared = (0..3).map(|i| {
        let values = [i as f32, 1.0, 0.5, -1.0];
        let conditioning = if i == 1 { conditioning(&voice, values) } else { adapted(&voice, values) };
        PreparedPart::new(&voice, Part { conditioning, ..part(&voice, SamplingPolicy::default()) })
    });
    let [a, b, c] = std::array::from_fn(|_| prepared.next().unwrap());
    assert_eq!(a.samples(), Some(8000));
    let mut ensemble = Ensemble::new(&voice, 2);
    let (mut blocks, mut written) = (vec![vec![0.0; 160]; 2], [0; 2]);
    let mut left = [None, None, None];
    let mut counts = [[0; 2]; 4];
    let done = violations(|| {
        ensemble.start_prepared(0, a);
        ensemble.fill(160, &mut blocks, &mut written);
        counts[0] = written;
        ensemble.start_prepared(1, b);
        ensemble.pause(0);
        ensemble.fill(160, &mut blocks, &mut written);
        counts[1] = written;
        ensemble.resume(0);
        ensemble.fill(160, &mut blocks, &mut written);
        counts[2] = written;
        left[0] = ensemble.take(0);
        ensemble.start_prepared(0, c);
        ensemble.pause(1);
        left[1] = ensemble.take(1);
        ensemble.fill(160, &mut blocks, &mut written);
        counts[3] = written;
        left[2] = ensemble.take(0);
    });
    assert_eq!((done, counts), (0, [[160, 0], [0, 160], [160, 160], [160, 0]]));
    assert!(left.iter().all(Option::is_some) && ensemble.take(0).is_none());
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
