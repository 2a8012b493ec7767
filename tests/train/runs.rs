//! Runs that go wrong, and their errors.

use crate::common::{TestDir, babble, failure, go, write_wav};
use std::path::Path;
use wavesynth::ranks::Ranks;
use wavesynth::train::config::RunFile;
use wavesynth::voice::Voice;
use wavesynth_models::families::wavenet::names;
use wavesynth_models::weights::Checkpoint;

const MODEL: &str =
    "residual_channels = 8\nskip_channels = 8\ndilations = [1, 2, 4]\nspeaker_dim = 4\nhidden = 8";
const TRAIN: &str = "steps = 40\nwindow = 480\nbatch = 2\neval_seconds = 1\nlog_every = 10";

fn parse(model: &str, train: &str) -> String {
    let text = format!("[corpus]\nroot = \"x\"\n[model]\n{model}\n[train]\n{train}\n");
    format!("{:#}", RunFile::parse(&text, "run.toml").unwrap_err())
}

#[test]
fn a_bad_run_file_is_told_with_key_and_line() {
    let message = parse(MODEL, "steps = 5\nbatches = 3");
    assert!(message.starts_with("run.toml: line 11 `batches = 3`: unknown field `batches`"), "{message}");
    let message = parse(MODEL, "steps = \"many\"");
    assert!(message.starts_with("run.toml: line 10 `steps = \"many\"`: invalid type"), "{message}");
    assert_eq!(parse(MODEL, "steps = 5\nbatch = 0"), "run.toml: train.batch is 0, wanted 1 to 4096");
    assert_eq!(parse(MODEL, ""), "run.toml: train: wanted either steps or hours");
    assert_eq!(parse(MODEL, "steps = 1\nhours = 1"), "run.toml: train: wanted either steps or hours");
    let message = parse(&MODEL.replace("[1, 2, 4]", "7"), "steps = 5");
    assert!(message.contains("wanted a list of numbers, or { cycle = 10, layers = 16 }"), "{message}");
    let message = parse(&MODEL.replace("skip_channels = 8\n", ""), "steps = 5");
    assert!(message.contains("missing field `skip_channels`"), "{message}");
    let message = parse(&MODEL.replace("skip_channels = 8", "skip_channels = 0"), "steps = 5");
    assert!(message.starts_with("run.toml: model.skip_channels is 0"), "{message}");
    let message = parse(&MODEL.replace("[1, 2, 4]", "{ cycle = 70, layers = 70 }"), "steps = 5");
    assert!(message.contains("dilations is"), "{message}");
    let none = RunFile::parse(&format!("[model]\n{MODEL}\n[train]\nsteps = 5\n"), "run.toml");
    assert!(format!("{:#}", none.unwrap_err()).contains("wanted corpus.root, or [[speaker]]"));
}

/// `disguise` is the key of older run files.
#[test]
fn a_renamed_key_is_read_by_its_old_name_too() {
    let run = |key: &str| {
        let text = format!(
            "[corpus]\nroot = \"x\"\n[model]\n{MODEL}\n[train]\nsteps = 5\n{key} = {{ warp = 0.25, own = 0.2 }}\n"
        );
        RunFile::parse(&text, "run.toml").unwrap()
    };
    assert_eq!(run("disguise"), run("perturbation"));
    assert_eq!(run("disguise").train.perturbation.unwrap().warp, 0.25);
}

#[test]
fn a_missing_or_empty_corpus_is_named() {
    let dir = TestDir::new();
    let run = dir.run_file("out", MODEL, TRAIN);
    let message = failure(&run, false);
    assert!(message.contains("corpus.root") && message.contains("data"), "{message}");
    std::fs::create_dir_all(dir.path("data/someone")).unwrap();
    assert!(failure(&run, false).contains("no sub-folder with recordings"));
    std::fs::write(dir.path("data/someone/a.wav"), b"RIFF no").unwrap();
    let message = failure(&run, false);
    assert!(message.contains("a.wav is no usable WAV file"), "{message}");
    assert!(!dir.path("out/voice.safetensors").exists());
}

#[test]
fn a_learning_rate_of_a_million_stops_and_keeps_the_last_good_checkpoint() {
    let dir = TestDir::with_voices();
    // The rate rises from nothing, so that some steps are good and checkpointed, each at once.
    let run = dir.run_file(
        "out",
        MODEL,
        &format!("{TRAIN}\nlearning_rate = 1e6\nwarmup_steps = 1000000000\ncheckpoint_every_minutes = 0"),
    );
    go(&run, false, Some(3)).unwrap();
    let text = std::fs::read_to_string(&run).unwrap();
    // The same run with the rate at once, as if the schedule had got there.
    let hot = text.replace("warmup_steps = 1000000000", "warmup_steps = 1").replace("out\"", "hot\"");
    let hot_run = dir.path("hot.toml");
    std::fs::write(&hot_run, hot).unwrap();
    let message = failure(&hot_run, false);
    assert!(message.contains("diverged"), "{message}");
    assert!(message.contains("the last good checkpoint is kept in"), "{message}");
    // Written before the first step, while the loss was sane, and never since.
    let kept = Voice::open(dir.path("hot/voice.safetensors")).unwrap();
    assert_eq!(kept.model.header.sections["training"]["steps"], 0);
}

#[test]
fn the_log_and_the_header_record_the_run() {
    let dir = TestDir::with_voices();
    let run = dir.run_file("out", MODEL, TRAIN);
    let outcome = go(&run, false, None).unwrap();
    let voice = Voice::open(&outcome.voice).unwrap();
    let training = &voice.model.header.sections["training"];
    assert_eq!(training["steps"], 40);
    assert_eq!(training["held_out_nats"].as_f64(), outcome.held_out);
    assert_eq!(training["run"], std::fs::read_to_string(&run).unwrap());
    let names: Vec<_> = voice.section.speakers.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["high", "low"]);
    let pitch = |i: usize| voice.section.speakers[i].stats.as_ref().unwrap().median_f0_hz;
    assert!((190.0..230.0).contains(&pitch(0)), "{}", pitch(0));
    assert!((95.0..115.0).contains(&pitch(1)), "{}", pitch(1));
    let log = std::fs::read_to_string(dir.path("out/log.csv")).unwrap();
    assert_eq!(log.lines().count(), 5);
    assert_eq!(log.lines().last().unwrap().split(',').count(), 9);
}

#[test]
fn transcripts_decide_the_split_where_they_are() {
    let dir = TestDir::with_voices();
    let table = "utt\tseconds\tsplit\ttext\n0\t1\ttest\t.\n1\t1\ttest\t.\n2\t1\ttrain\t.\n";
    std::fs::write(dir.path("data/low/transcripts.tsv"), table).unwrap();
    let run = dir.run_file("out", MODEL, TRAIN);
    let corpus =
        wavesynth::train::corpus::SpeechCorpus::load(&RunFile::read(&run).unwrap().0, &Ranks::solo())
            .unwrap();
    let held: Vec<_> = corpus.part(true).map(|r| r.name.as_str()).filter(|n| n.starts_with("low")).collect();
    assert_eq!(held[..2], ["low/0", "low/1"]);
    assert!(!held.contains(&"low/2"));
    assert_eq!(corpus.part(true).filter(|r| r.speaker == 0).count(), 1);
}

#[test]
fn transcripts_that_cannot_be_read_are_no_absent_ones() {
    let dir = TestDir::with_voices();
    let file = dir.path("data/low/transcripts.tsv");
    std::fs::write(&file, b"utt\tsplit\n0\ttest\xff\n").unwrap();
    let run = dir.run_file("out", MODEL, TRAIN);
    let message = failure(&run, false);
    assert!(message.contains("transcripts.tsv: can't be read as text"), "{message}");
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(failure(&run, false).contains("transcripts.tsv: can't be read as text"));
}

#[test]
fn another_rate_is_resampled_and_short_files_are_counted() {
    let dir = TestDir::with_voices();
    write_wav(&dir.path("data/low/short.wav"), &babble(100.0, 0.1, 1));
    let run = dir.run_file("out", MODEL, TRAIN);
    let text = std::fs::read_to_string(&run).unwrap();
    let text = text.replace("[audio]", "[audio]\nsample_rate = 24000").replace("min_seconds = 0.02", "");
    std::fs::write(&run, text).unwrap();
    let corpus =
        wavesynth::train::corpus::SpeechCorpus::load(&RunFile::read(&run).unwrap().0, &Ranks::solo())
            .unwrap();
    assert_eq!((corpus.skipped, corpus.recordings.len()), (1, 8));
    // 1.5 s: 24,000 codes a second and 100 frames a second.
    let first = &corpus.recordings[0];
    assert_eq!((first.codes.len(), first.track.len() / 18), (36_000, 150));
    let outcome = go(&run, false, Some(2)).unwrap();
    let voice = Voice::open(&outcome.voice).unwrap();
    assert_eq!((voice.section.sample_rate, voice.config.hop()), (24_000, 240));
}

#[test]
fn without_anything_held_out_a_run_goes_on_unjudged() {
    let dir = TestDir::with_voices();
    let run = dir.run_file("out", MODEL, TRAIN);
    let text = std::fs::read_to_string(&run).unwrap().replace("[audio]", "held_out = 0\n[audio]");
    std::fs::write(&run, &text).unwrap();
    assert_eq!(go(&run, false, Some(2)).unwrap().held_out, None);
    for name in ["high", "low"] {
        for i in 1..4 {
            std::fs::remove_file(dir.path(&format!("data/{name}/{i}.wav"))).unwrap();
        }
    }
    std::fs::write(&run, text.replace("held_out = 0", "").replace("out\"", "new\"")).unwrap();
    let message = failure(&run, false);
    assert!(message.contains("each speaker has only one; cut one into several files"), "{message}");
}

#[test]
fn a_run_can_start_from_another_ones_weights() {
    let dir = TestDir::with_voices();
    let voice = go(&dir.run_file("out", MODEL, TRAIN), false, None).unwrap().voice;
    let from = format!("{TRAIN}\nstart_from = {voice:?}");
    let run = dir.run_file("next", MODEL, &from);
    let first = go(&run, false, Some(1)).unwrap();
    let nats =
        |v| Voice::open(v).unwrap().model.header.sections["training"]["held_out_nats"].as_f64().unwrap();
    assert!((nats(&first.voice) - nats(&voice)).abs() < 0.05);
    let narrower = MODEL.replace("skip_channels = 8", "skip_channels = 7");
    let message = failure(&dir.run_file("other", &narrower, &from), false);
    assert!(message.contains("train.start_from") && message.contains("has shape"), "{message}");
    // A wider network begins with the narrow one's outputs, so a step that changes nothing reads the same.
    let wider = MODEL.replace("= 8\n", "= 12\n");
    let still = format!("{from}\nlearning_rate = 0.0");
    let same = go(&dir.run_file("same", MODEL, &still), false, Some(1)).unwrap();
    let wide = go(&dir.run_file("wide", &wider, &still), false, Some(1)).unwrap();
    assert_eq!(Voice::open(&wide.voice).unwrap().config.residual_channels, 12);
    assert!((nats(&wide.voice) - nats(&same.voice)).abs() < 1e-5);
}

/// A voice that gets a network for cross-speaker tracks: at first its outputs are the same, and where that network alone
/// is trained, its outputs under own tracks stay the same.
#[test]
fn a_network_for_cross_speaker_tracks_can_be_trained_alone() {
    let dir = TestDir::with_voices();
    let (before, nats) = {
        let train = TRAIN.replace("steps = 40", "steps = 100\nlearning_rate = 1e-2");
        let outcome = go(&dir.run_file("out", MODEL, &train), false, None).unwrap();
        (outcome.voice, outcome.held_out.unwrap())
    };
    let model = format!("{MODEL}\nothers = 12");
    let run = |out: &str, more: &str| {
        let train = format!("{TRAIN}\n{more}\nonly = [\"cond.others\"]\nstart_from = {before:?}");
        let outcome = go(&dir.run_file(out, &model, &train), false, None).unwrap();
        assert!(
            (outcome.held_out.unwrap() - nats).abs() < 1e-6,
            "{out}: {:?}, {nats} before",
            outcome.held_out
        );
        Checkpoint::read(&outcome.voice).unwrap().tensors
    };
    let old = Checkpoint::read(&before).unwrap().tensors;
    // Perturbed tracks are not the speaker's own.
    let (still, learned) = (run("still", ""), run("learned", "perturbation = { own = 0.2 }"));
    for (name, tensor) in &learned {
        let cross_speaker_tensor = name.starts_with(names::OTHERS);
        assert_eq!(old.get(name).is_some_and(|old| old.data == tensor.data), !cross_speaker_tensor, "{name}");
        // Nothing but cross-speaker tracks moves it; decay does, and only the products.
        let moved = tensor.data != still[name].data;
        assert_eq!(moved, cross_speaker_tensor, "{name}");
    }
    // A run without such a network goes on from a voice with one: under own tracks its outputs are the same.
    let left_out = format!(
        "{TRAIN}\nonly = [\"head\"]\nlearning_rate = 0.0\nstart_from = {:?}",
        dir.path("learned/voice.safetensors")
    );
    let outcome = go(&dir.run_file("left-out", MODEL, &left_out), false, None).unwrap();
    assert_eq!(
        Checkpoint::read(&outcome.voice).unwrap().tensors.keys().collect::<Vec<_>>(),
        old.keys().collect::<Vec<_>>()
    );
    assert!((outcome.held_out.unwrap() - nats).abs() < 1e-6);
    let message =
        failure(&dir.run_file("none", &model, &format!("{TRAIN}\nonly = [\"cond.theirs\"]")), false);
    assert!(message.contains("train.only") && message.contains("cond.theirs"), "{message}");
}

#[test]
fn a_run_can_start_from_a_voice_of_other_speakers() {
    let dir = TestDir::with_voices();
    let speakers = |voice: &Path| Checkpoint::read(voice).unwrap().tensors[names::SPEAKERS].clone();
    let voice = go(&dir.run_file("out", MODEL, TRAIN), false, None).unwrap().voice;
    let known = speakers(&voice);
    std::fs::rename(dir.path("data/high"), dir.path("data/new")).unwrap();
    // Nothing moves, so what the run begins with is what it ends with.
    let still = format!("{TRAIN}\nlearning_rate = 0.0\nstart_from = {voice:?}");
    let run = dir.run_file("next", MODEL, &still);
    let begun = speakers(&go(&run, false, None).unwrap().voice);
    assert_eq!(begun.shape, known.shape);
    let dim = known.shape[1];
    // In the order of their names: high, low; then low, new.
    assert_eq!(begun.data[..dim], known.data[dim..]);
    for (i, v) in begun.data[dim..].iter().enumerate() {
        assert!((v - (known.data[i] + known.data[dim + i]) / 2.0).abs() < 1e-6);
    }
}

/// What a run takes of `data`, with `corpus` in its section of the run file.
fn load(dir: &TestDir, corpus: &str) -> anyhow::Result<wavesynth::train::corpus::SpeechCorpus> {
    let run = dir.run_file("out", MODEL, TRAIN);
    let text = std::fs::read_to_string(&run).unwrap().replace("[corpus]", &format!("[corpus]\n{corpus}"));
    wavesynth::train::corpus::SpeechCorpus::load(&RunFile::parse(&text, "run.toml").unwrap(), &Ranks::solo())
}

#[test]
fn recordings_of_all_formats_and_sub_folders_count_and_the_rest_is_named() {
    let dir = TestDir::with_voices();
    let flac = Path::new(env!("CARGO_MANIFEST_DIR")).join("audio/tests/recordings/tone.flac");
    for name in [
        "low/tone.flac",
        "low/0.flac",
        "low/deep/er/tone.flac",
        "flacs/tone.flac",
        "flacs/two.flac",
        "loose.flac",
    ] {
        let to = dir.path(&format!("data/{name}"));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&flac, to).unwrap();
    }
    // Enough speech for statistics.
    write_wav(&dir.path("data/flacs/said.wav"), &babble(120.0, 1.0, 3));
    // What systems leave on sticks, what can't be read, and what holds nothing.
    std::fs::write(dir.path("data/low/._0.wav"), b"\0\x05\x16\x07").unwrap();
    std::fs::create_dir_all(dir.path("data/empty")).unwrap();
    std::fs::create_dir_all(dir.path("data/.git")).unwrap();
    std::fs::create_dir_all(dir.path("data/chat")).unwrap();
    std::fs::write(dir.path("data/chat/voice.opus"), b"OggS").unwrap();
    let corpus = load(&dir, "").unwrap();
    let names: Vec<&str> = corpus.speakers.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["flacs", "high", "low"]);
    let low: Vec<&str> =
        corpus.files.iter().map(|f| f.name.as_str()).filter(|n| n.starts_with("low")).collect();
    assert_eq!(low, ["low/0", "low/1", "low/2", "low/3", "low/deep/er/tone", "low/tone"]);
    for words in [
        "2 folders hold no recording: chat; 1 are of formats",
        "1 recordings left out that are in no speaker's folder: loose.flac",
        "1 left out (named like another recording but for the ending): 0.flac",
    ] {
        assert!(corpus.notes.iter().any(|l| l.contains(words)), "{words}: {:?}", corpus.notes);
    }
}

#[test]
fn a_bad_recording_is_an_error_or_is_left_out_by_name() {
    let dir = TestDir::with_voices();
    let whole = load(&dir, "").unwrap();
    write_wav(&dir.path("data/low/9.wav"), &babble(100.0, 1.0, 1));
    let good = std::fs::read(dir.path("data/low/9.wav")).unwrap();
    std::fs::write(dir.path("data/low/9.wav"), &good[..good.len() / 2]).unwrap();
    let flac = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("audio/tests/recordings/tone.flac"))
        .unwrap();
    // Its header is whole.
    std::fs::write(dir.path("data/low/8.flac"), &flac[..flac.len() - 500]).unwrap();
    let e = format!("{:#}", load(&dir, "").unwrap_err());
    assert!(e.contains("low") && (e.contains("9.wav is cut off") || e.contains("8.flac")), "{e}");
    let corpus = load(&dir, "skip_bad = true").unwrap();
    assert_eq!(corpus.id, whole.id);
    for words in ["2 recordings left out that can't be read", "9.wav is cut off", "8.flac"] {
        assert!(corpus.notes.iter().any(|l| l.contains(words)), "{words}: {:?}", corpus.notes);
    }
}

#[test]
fn words_of_the_split_are_understood_or_refused() {
    let dir = TestDir::with_voices();
    let table = |text: &str| std::fs::write(dir.path("data/low/transcripts.tsv"), text).unwrap();
    table("\u{feff}utt\tsplit\r\n0\tDev\r\n1.wav\tvalidation\r\n2\ttrain\r\ngone\ttest\r\n");
    let corpus = load(&dir, "").unwrap();
    let held = |name: &str| corpus.files.iter().find(|f| f.name == name).unwrap().held_out;
    assert!(held("low/0") && held("low/1") && !held("low/2"));
    for words in ["1 rows name no recording: gone", "1 recordings have no row", ": 3"] {
        assert!(corpus.notes.iter().any(|l| l.contains(words)), "{words}: {:?}", corpus.notes);
    }
    table("utt\tsplit\n0\ttraining set\n");
    let e = format!("{:#}", load(&dir, "").unwrap_err());
    assert!(e.contains("transcripts.tsv line 2: split `training set`") && e.contains("eval"), "{e}");
}
