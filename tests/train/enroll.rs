//! Enrolling a speaker that the voice was not trained on.

use crate::common::{TestDir, babble, go, write_wav};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use wavesynth::recordings::{self, Notes};
use wavesynth::train::enroll::{EnrollOptions, enroll};
use wavesynth::voice::VoiceSection;
use wavesynth_audio::features::common::Alignment;
use wavesynth_audio::features::{Extractor, SpeakerStats};
use wavesynth_models::weights::Checkpoint;

#[test]
fn a_new_speaker_gets_a_vector_of_the_voices_own_space() {
    let dir = TestDir::with_voices();
    let run = dir.run_file(
        "out",
        "residual_channels = 16\nskip_channels = 16\ndilations = { cycle = 5, layers = 5 }\nspeaker_dim = 4\n\
         hidden = 16",
        "steps = 150\nwindow = 1600\nbatch = 4\nlearning_rate = 5e-3\nwarmup_steps = 20\neval_seconds = 1\n\
         log_every = 50",
    );
    let voice = go(&run, false, None).unwrap().voice;
    let checkpoint = Checkpoint::read(&voice).unwrap();
    let files: Vec<_> = (0..3)
        .map(|i| {
            let path = dir.path(&format!("new/{i}.wav"));
            write_wav(&path, &babble(150.0, 0.9, 100 + i));
            path
        })
        .collect();
    let options = EnrollOptions { name: "new".into(), steps: 12, seed: 1 };
    let enroll = |files: &[PathBuf], options: &EnrollOptions, stop: bool| {
        enroll(&checkpoint, &voice, files, options, &AtomicBool::new(stop))
    };
    let done = enroll(&files, &options, false).unwrap();
    // What it reports is what is played: nats by the file itself, and never more than the nearest speaker's.
    let after = done.after.unwrap();
    assert!(after.nats < done.before.nats, "{after:?} {:?}", done.before);
    let vector = done.condition.speaker.as_ref().unwrap();
    assert_eq!(vector.values.len(), 4);
    assert!(!vector.adaptation.is_empty());
    // The vector is the nearest speaker's, and so are the numbers in which the tracks are read.
    let section = VoiceSection::from_header(&checkpoint.header).unwrap();
    let i = section.speakers.iter().position(|s| s.name == done.nearest).unwrap();
    assert_eq!(vector.values, checkpoint.tensors["cond.speakers"].data[4 * i..][..4]);
    assert_eq!(vector.reads, section.speakers[i].stats);
    // Stopped at once, there is nothing to keep.
    let stopped = enroll(&files, &options, true).unwrap_err().to_string();
    assert!(stopped.contains("nothing is written"), "{stopped}");
    // Without steps it is the nearest speaker as he is played.
    let none = EnrollOptions { steps: 0, ..options.clone() };
    let plain = enroll(&files, &none, false).unwrap();
    assert!(plain.after.is_none() && plain.condition.speaker.unwrap().adaptation.is_empty());
    assert_eq!(vector.space, checkpoint.header.sections["voice"]["space"]);
    let pitch = done.condition.stats.as_ref().unwrap().median_f0_hz;
    assert!((135.0..165.0).contains(&pitch), "{pitch}");
    let again = enroll(&files, &options, false).unwrap();
    assert_eq!(again.condition, done.condition);

    // One recording is split by time; a crumb of sound is refused.
    let one = enroll(&[dir.path("data/low/0.wav")], &options, false);
    assert!(format!("{:#}", one.unwrap_err()).contains("wanted at least 2 s"));
    write_wav(&dir.path("long.wav"), &babble(150.0, 2.2, 9));
    enroll(&[dir.path("long.wav")], &none, false).unwrap();
}

/// Speakers with five seconds of speech get maps to a common space, and so does one enrolled later.
#[test]
fn speakers_with_enough_speech_are_aligned() {
    let dir = TestDir::with_voices();
    let long = |folder: &str, pitch: f32| {
        let path = dir.path(&format!("{folder}/long.wav"));
        write_wav(&path, &babble(pitch, 6.5, 50));
        path
    };
    let train = "steps = 2\nwindow = 400\nbatch = 2\neval_seconds = 1";
    let model = "residual_channels = 8\nskip_channels = 8\ndilations = { cycle = 3, layers = 3 }\nspeaker_dim = 2\nhidden = 0";
    let section = |out: &str| {
        let voice = go(&dir.run_file(out, model, train), false, None).unwrap().voice;
        let checkpoint = Checkpoint::read(&voice).unwrap();
        (VoiceSection::from_header(&checkpoint.header).unwrap(), checkpoint, voice)
    };
    let common = |stats: &Option<SpeakerStats>| stats.as_ref().unwrap().common.clone();
    long("data/high", 210.0);
    let (short, ..) = section("short");
    assert!(short.common.is_none() && short.speakers.iter().all(|s| common(&s.stats).is_none()));

    long("data/low", 105.0);
    let (section, checkpoint, voice) = section("out");
    let ways: Vec<_> = section.speakers.iter().map(|s| common(&s.stats).unwrap()).collect();
    assert_ne!(ways[0], ways[1]);
    let options = EnrollOptions { name: "new".into(), steps: 0, seed: 1 };
    let stop = AtomicBool::new(false);
    let enrolled =
        |files: &[PathBuf]| enroll(&checkpoint, &voice, files, &options, &stop).unwrap().condition.stats;
    let new = long("new", 150.0);
    let way = common(&enrolled(std::slice::from_ref(&new))).unwrap();
    assert!(!ways.contains(&way) && section.common.is_some());
    write_wav(&dir.path("crumb.wav"), &babble(150.0, 3.0, 9));
    assert_eq!(common(&enrolled(&[dir.path("crumb.wav")])), None);

    // A track of an unknown speaker is made with a map of its own.
    let raw = recordings::raw_features(&new, &mut Extractor::new(), &Notes::default()).unwrap();
    let stats = recordings::statistics([&raw].into_iter(), section.common.as_ref()).unwrap();
    // An enrolled speaker's is held half-way to the identity.
    let held = Alignment::mixed(&[(&stats.common.unwrap(), 0.5), (&Alignment::identity(), 0.5)]);
    assert_eq!(held, way);
}
