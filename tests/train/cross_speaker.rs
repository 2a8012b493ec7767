//! Cross-speaker tracks stand beside the speaker's own samples, converted as the engine would.

use crate::common::{TestDir, babble, failure, go, write_wav};
use std::collections::HashSet;
use wavesynth::ranks::Ranks;
use wavesynth::recordings::{Notes, raw_features};
use wavesynth::train::config::{RunFile, Train};
use wavesynth::train::corpus::SpeechCorpus;
use wavesynth::train::held_out::HeldOutSpeech;
use wavesynth::train::slots::Slots;
use wavesynth::train::window::{Cutter, SpeechWindows};
use wavesynth::voice::Voice;
use wavesynth_audio::features::{self, CEPSTRA, Extractor, FEATURES};
use wavesynth_models::condition::TrackSource;
use wavesynth_models::families::wavenet::fused::Fused;
use wavesynth_models::families::wavenet::names;
use wavesynth_models::kernels::Isa;
use wavesynth_models::objective::Objective;
use wavesynth_models::weights::Checkpoint;

const SECONDS: f32 = 3.0;
const MODEL: &str = "residual_channels = 8\nskip_channels = 8\ndilations = [1, 2, 4]\nspeaker_dim = 4\nhidden = 8\nothers = 12";
const TRAIN: &str = "steps = 4\nwindow = 480\nbatch = 2\neval_seconds = 1";

/// Two speakers with enough speech for maps to a common space, and a run file that expects `low`'s version of `high/1`.
fn dir() -> (TestDir, std::path::PathBuf) {
    let dir = TestDir::new();
    for (name, pitch) in [("high", 210.0), ("low", 105.0)] {
        (0..4)
            .for_each(|i| write_wav(&dir.path(&format!("data/{name}/{i}.wav")), &babble(pitch, SECONDS, i)));
    }
    let table = "utt\tsplit\n0\ttest\n1\ttrain\n2\ttrain\n3\ttrain\n";
    std::fs::write(dir.path("data/high/transcripts.tsv"), table).unwrap();
    let others = format!("others = {{ folder = {:?}, share = 0.9 }}", dir.path("others"));
    let run = dir.run_file("out", MODEL, &format!("{TRAIN}\n{others}"));
    (dir, run)
}

#[test]
fn a_cross_speaker_track_is_converted_as_in_the_engine_and_keeps_the_pitch() {
    let (dir, run) = dir();
    let made = dir.path("others/high/low/1.wav");
    write_wav(&made, &babble(105.0, SECONDS, 1));
    let corpus = SpeechCorpus::load(&RunFile::read(&run).unwrap().0, &Ranks::solo()).unwrap();
    let stats = |i: usize| corpus.speakers[i].stats.as_ref().unwrap();
    let [high, low] = [stats(0), stats(1)];
    let way = low.common.as_ref().unwrap().then(&high.common.as_ref().unwrap().inverse().unwrap());
    let raw = raw_features(&made, &mut Extractor::new(), &Notes::default()).unwrap();
    let mut wanted = features::normalise(&raw, low).frames;
    wanted.chunks_exact_mut(FEATURES).for_each(|frame| way.apply(frame));
    for recording in &corpus.recordings {
        if recording.name != "high/1" {
            assert!(recording.cross_tracks.is_empty(), "{}", recording.name);
            continue;
        }
        let [other] = &recording.cross_tracks[..] else { panic!("{} tracks", recording.cross_tracks.len()) };
        let frames = other.chunks_exact(FEATURES).zip(wanted.chunks_exact(FEATURES));
        for ((got, wanted), own) in frames.zip(recording.track.chunks_exact(FEATURES)) {
            assert_eq!(got[..CEPSTRA], wanted[..CEPSTRA]);
            assert_eq!(got[CEPSTRA..], own[CEPSTRA..]);
        }
        assert_ne!(other, &recording.track);
    }
    windows_read_it(&run, &corpus);
    go(&run, false, None).unwrap();
}

/// Held-out recordings are read beside cross-speaker tracks too, by engine and trainer alike, or the run would have
/// failed.
#[test]
fn cross_speaker_tracks_of_held_out_recordings_are_read() {
    let (dir, run) = dir();
    for i in 0..2 {
        write_wav(&dir.path(&format!("others/high/low/{i}.wav")), &babble(105.0, SECONDS, i));
    }
    go(&run, false, None).unwrap();
    let (run, _) = RunFile::read(&run).unwrap();
    let corpus = SpeechCorpus::load(&run, &Ranks::solo()).unwrap();
    let all = HeldOutSpeech::select(&corpus, 10.0).unwrap();
    let others = all.cross_speaker().unwrap();
    assert!(others.samples() > 0 && others.samples() < all.samples());
    let voice = Voice::open(dir.path("out/voice.safetensors")).unwrap();
    let objective = Fused::new(voice.config.clone(), Isa::detect());
    let tensors = Checkpoint::read(&dir.path("out/voice.safetensors")).unwrap().tensors;
    let params = objective.layout().flatten(&tensors);
    let vectors = tensors[names::SPEAKERS].data.clone();
    let cutter = Cutter::new(voice.model.config.facts(), run.train.window, None);
    let read = |held_out: &HeldOutSpeech| {
        let (engine, trainer) = ((&voice, &vectors[..]), (&objective as &dyn Objective, &params[..]));
        held_out.read(engine, trainer, &cutter, 2, &Ranks::solo()).unwrap().check().unwrap().engine
    };
    assert_ne!(read(&others), read(&all));
}

/// In nine of ten windows of `high/1`, by `share`, and in no other's.
fn windows_read_it(run: &std::path::Path, corpus: &SpeechCorpus) {
    let run = RunFile::read(run).unwrap().0;
    let network = run.network(2).unwrap();
    let cutter = Cutter::new(network.facts(), run.train.window, None);
    let train = Train { feature_dropout: 0.0, input_noise: 0.0, ..run.train };
    let sampler = SpeechWindows::new(&train, corpus, &cutter, Slots::of(&Ranks::solo(), 2000), 1);
    let (mut read, mut all) = (0, 0);
    let recording = corpus.recordings.iter().find(|r| r.name == "high/1").unwrap();
    let levels = |track: &[f32]| track.chunks_exact(FEATURES).map(|f| f[0].to_bits()).collect::<HashSet<_>>();
    let (own, other) = (levels(&recording.track), levels(&recording.cross_tracks[0]));
    for window in sampler.batch(0) {
        // Five frames, the present one in their middle.
        let shown = window.frames.window(0).unwrap();
        let c0 = shown.rows[2 * FEATURES].to_bits();
        let cross = shown.source == TrackSource::CrossSpeaker;
        assert!(!cross || other.contains(&c0));
        all += usize::from(own.contains(&c0) || other.contains(&c0));
        read += usize::from(cross);
    }
    let share = f64::from(read as u32) / f64::from(all as u32);
    assert!((0.85..0.95).contains(&share), "{read} of {all}");
}

/// The script that has a voice say them takes what the trainer takes: all formats, and sub-folders.
#[cfg(unix)]
#[test]
fn the_script_renders_what_the_trainer_reads() {
    let (dir, run) = dir();
    let flac = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("audio/tests/recordings/tone.flac");
    std::fs::copy(flac, dir.path("data/high/tone.flac")).unwrap();
    write_wav(&dir.path("data/low/deep/4.wav"), &babble(105.0, 1.0, 4));
    let voice =
        go(&dir.run_file("first", &MODEL.replace("\nothers = 12", ""), TRAIN), false, None).unwrap().voice;
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/train/say-by-others.sh");
    let said = std::process::Command::new(script)
        .args([dir.path("data"), dir.path("others")])
        .env("WAVESYNTH", env!("CARGO_BIN_EXE_wavesynth"))
        .env("MODEL", voice)
        .output()
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let corpus = SpeechCorpus::load(&RunFile::read(&run).unwrap().0, &Ranks::solo()).unwrap();
    let names: Vec<&str> = corpus.recordings.iter().map(|r| r.name.as_str()).collect();
    assert!(names.contains(&"high/tone") && names.contains(&"low/deep/4"), "{names:?}");
    for recording in &corpus.recordings {
        assert_eq!(recording.cross_tracks.len(), 1, "{}", recording.name);
    }
}

#[test]
fn a_folder_that_does_not_fit_is_refused() {
    let (dir, run) = dir();
    let message = failure(&run, false);
    assert!(message.contains("holds none of the recordings"), "{message}");
    let one = std::fs::read_to_string(&run).unwrap().replace("others = 12\n", "");
    let message = format!("{:#}", RunFile::parse(&one, "run").unwrap_err());
    assert!(message.contains("train.others: wanted model.others"), "{message}");
    write_wav(&dir.path("others/high/low/1.wav"), &babble(105.0, 1.0, 1));
    let message = failure(&run, false);
    assert!(message.contains("others/high/low/1.wav") && message.contains("high/1"), "{message}");
}
