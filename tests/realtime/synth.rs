//! Synths and ensembles, as their caller fills blocks.

use super::{ONE, adapted, conditioning, part, violations};
use crate::common::{config, say, voice};
use crossbeam_channel::bounded;
use wavesynth::synth::{
    Command, Conditioning, Ensemble, Forced, FrameSource, Layer, Length, Part, PreparedPart, SamplingPolicy,
    Synth, UniformSource, Worker,
};
use wavesynth::tts::context::phone_features;
use wavesynth::tts::draw::FrameStream;
use wavesynth::tts::{Prepared, Prosody, SayModel, SpokenFront, phones};
use wavesynth::voice::Voice;
use wavesynth_audio::features::FEATURES;
use wavesynth_audio::ring::ring;
use wavesynth_models::ar::Sampling;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;

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

/// What comes first is drawn as training knows it, behind a pause, of which little is heard: without it the network loses its way.
#[test]
fn the_first_utterance_is_drawn_behind_its_whole_pause() {
    let voice = voice(&config());
    let model = SayModel::from_loaded(Loaded::from_checkpoint(say(), Isa::detect()).unwrap()).unwrap();
    let spec = voice.model.config.facts().condition.as_ref().unwrap().frames.unwrap();
    let utterance = phones::read("A1 B | S A0").remove(0);
    let sequence = model.sequence(&utterance).unwrap();
    let mut stream = FrameStream::new(&model, Prosody::default(), 1);
    stream.begin(0);
    let (mut drawn, mut unheard) = (Vec::new(), 0);
    let table = sequence.table();
    for (row, slot) in table.chunks_exact(phone_features(model.phones.len())).zip(sequence.slots()) {
        let frames = stream.duration(row, slot.phone == 0);
        if drawn.is_empty() {
            unheard = frames - 3;
        }
        for i in 0..frames {
            let mut frame = [0.0; FEATURES];
            stream.frame(row, i, frames, &mut frame);
            drawn.push(frame);
        }
    }
    assert!(unheard > 3, "a pause that is worth leaving out: {unheard}");
    let (mut front, ends) = SpokenFront::new(&model, &spec, Prosody::default(), 1);
    ends.next.send(Box::new(Prepared::new(&model, utterance, 0).unwrap())).unwrap();
    drop(ends.next);
    let mut rows = vec![0.0; spec.window_len()];
    for (i, wanted) in drawn[unheard..].iter().enumerate() {
        assert!(front.advance() && front.write(0, &mut rows), "frame {i}");
        assert_eq!(spec.centre(&rows), wanted, "frame {i}");
    }
    assert!(!front.advance());
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
