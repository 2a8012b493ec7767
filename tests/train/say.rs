//! Text to speech: a made-up language of two vowels that differ by their pitch of resonance.

use crate::common::{RATE, TestDir, failure, go, write_wav};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use wavesynth::ranks::Ranks;
use wavesynth::train::run_file::Run;
use wavesynth::train::tts::corpus::SayCorpus;
use wavesynth::train::{Stop, TrainOptions, train};
use wavesynth::tts::SayModel;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::Checkpoint;

/// Frames of a vowel and of a pause.
const FRAMES: usize = 12;

/// A pulse train of 120 Hz through a resonance at `hertz`, or silence.
fn sound(hertz: f32, frames: usize, u: &mut Uniforms) -> Vec<f32> {
    let (mut a, mut b) = (0.0f32, 0.0f32);
    (0..frames * RATE as usize / 100)
        .map(|t| {
            let pulse = if hertz > 0.0 && t % 133 == 0 { 0.2 } else { 0.0 };
            let (r, w) = (0.95f32, std::f32::consts::TAU * hertz / RATE as f32);
            let y = pulse + 2.0 * r * w.cos() * a - r * r * b + 0.0003 * u.normal();
            (b, a) = (a, y);
            y.clamp(-0.9, 0.9)
        })
        .collect()
}

/// Twelve recordings of three words each; the last two are held out.
fn corpus(dir: &TestDir) {
    corpus_in(dir, "speech", ["A1", "I"]);
}

/// The same in `folder`, with these names of the two phones.
fn corpus_in(dir: &TestDir, folder: &str, [a, i]: [&str; 2]) {
    let mut table = String::from("utt\tsplit\tphones\n");
    let mut u = Uniforms::new(3);
    for n in 0..12 {
        let mut samples = sound(0.0, FRAMES, &mut u);
        let mut said = Vec::new();
        for _ in 0..3 {
            let high = u.below(2) == 1;
            for (phone, hertz) in
                [(a, 500.0), (i, 2200.0)].into_iter().cycle().skip(usize::from(high)).take(2)
            {
                samples.extend(sound(hertz, FRAMES, &mut u));
                said.push(phone);
            }
            said.push("|");
        }
        samples.extend(sound(0.0, FRAMES, &mut u));
        write_wav(&dir.path(&format!("{folder}/r{n}.wav")), &samples);
        let split = if n < 10 { "train" } else { "test" };
        writeln!(table, "r{n}\t{split}\t{} .", said.join(" ")).unwrap();
    }
    std::fs::write(dir.path(&format!("{folder}/transcripts.tsv")), table).unwrap();
}

fn run_file(dir: &TestDir, out: &str, train: &str) -> PathBuf {
    let path = dir.path(&format!("{out}.toml"));
    let text = format!(
        "[say]\nlanguage = \"xx\"\nfolders = [{:?}]\ncomponents = 2\n[model]\nfamily = \"char_rnn\"\ncell = \"lstm\"\nhidden = 16\n\
         layers = 1\ndropout = 0.1\n[durations]\nfamily = \"char_rnn\"\ncell = \"gru\"\nhidden = 8\nlayers = 1\n[train]\nout = {:?}\n\
         window = 40\nbatch = 6\nlearning_rate = 1e-2\nwarmup_steps = 5\nema = 0.9\neval_every = 100\n{train}\n",
        dir.path("speech"),
        dir.path(out)
    );
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_made_up_language_is_aligned_and_learned_and_a_stopped_run_goes_on_as_if_it_had_not_stopped() {
    let dir = TestDir::new();
    corpus(&dir);
    let file = run_file(&dir, "whole", "steps = 60");
    let (Run::Say(run), _) = Run::read(&file).unwrap() else { panic!("another kind of run") };
    let found = SayCorpus::load(&run.say, &Ranks::open().unwrap()).unwrap();
    assert_eq!((found.phones.names().join(" "), found.aligned.len()), ("pau A I".into(), 12));
    let (mut near, mut all) = (0, 0);
    for recording in &found.aligned {
        let starts: Vec<usize> = recording.segments.iter().filter(|s| s.phone > 0).map(|s| s.start).collect();
        assert_eq!(starts.len(), 6);
        near += starts.iter().enumerate().filter(|(i, s)| s.abs_diff((i + 1) * FRAMES) <= 2).count();
        all += 6;
    }
    assert!(near * 10 >= all * 9, "{near} of {all} within 20 ms");
    let whole = go(&file, false, None).unwrap();
    assert!(whole.held_out.is_some_and(|nats| nats < 23.0), "{:?}", whole.held_out);
    let halves = run_file(&dir, "halves", "steps = 60");
    go(&halves, false, Some(23)).unwrap();
    let halves = go(&halves, true, None).unwrap();
    let tensors = |path: &Path| Checkpoint::read(path).unwrap().tensors;
    assert!(tensors(&whole.voice) == tensors(&halves.voice));
    let model = SayModel::from_loaded(Loaded::open(&whole.voice, Isa::detect()).unwrap()).unwrap();
    assert_eq!((model.section.language.as_str(), model.phones.len()), ("xx", 3));
}

/// Two languages learn with the same phones; a third one begins with them, whatever they are called in it.
#[test]
fn a_language_begins_where_others_ended() {
    let dir = TestDir::new();
    for (folder, names) in [("es", ["a1", "i0"]), ("it", ["a1", "i0"]), ("speech", ["AA1", "IY0"])] {
        corpus_in(&dir, folder, names);
    }
    let edited = |out: &str, train: &str, language: &str, more: &str, folders: &str| {
        let path = run_file(&dir, out, train);
        let text = std::fs::read_to_string(&path).unwrap();
        let own = format!("language = \"xx\"\nfolders = [{:?}]", dir.path("speech"));
        assert!(text.contains(&own));
        let text = text.replace(&own, &format!("language = {language:?}\n{more}folders = [{folders}]"));
        std::fs::write(&path, text).unwrap();
        path
    };
    let both = format!("{:?}, {:?}", dir.path("es"), dir.path("it"));
    let file = edited("mul", "steps = 60", "mul", "languages = [\"es\", \"it\"]\n", &both);
    let base = go(&file, false, None).unwrap();
    let model = SayModel::from_loaded(Loaded::open(&base.voice, Isa::detect()).unwrap()).unwrap();
    assert_eq!(model.phones.names().join(" "), "pau a i");
    let train = format!("steps = 1\nstart_from = {:?}", base.voice);
    let own = format!("{:?}", dir.path("speech"));
    let file = edited("en", &train, "en", "", &own);
    let text =
        std::fs::read_to_string(&file).unwrap().replace("learning_rate = 1e-2", "learning_rate = 1e-9");
    std::fs::write(&file, text).unwrap();
    let begun = go(&file, false, None).unwrap();
    let (base, begun) = (base.held_out.unwrap(), begun.held_out.unwrap());
    assert!((base - begun).abs() < 0.1, "{base} {begun}");
    let scratch = go(&edited("scratch", "steps = 1", "en", "", &own), false, None).unwrap();
    assert!(scratch.held_out.unwrap() > base + 1.0, "{:?}", scratch.held_out);
    let message = |more: &str, language| failure(&edited("bad", "steps = 1", language, more, &both), false);
    for (more, language, words) in [
        (
            "languages = [\"es\"]\n",
            "mul",
            "say.languages has 1 languages, wanted one for each of the 2 folders",
        ),
        ("languages = [\"es\", \"xx\"]\n", "mul", "\"xx\""),
        ("languages = [\"es\", \"it\"]\n", "es", "\"mul\""),
    ] {
        let message = message(more, language);
        assert!(message.contains(words) && !message.contains('\n'), "{message}");
    }
}

#[test]
fn bad_transcripts_are_told_in_one_line() {
    let dir = TestDir::new();
    corpus(&dir);
    let run = run_file(&dir, "out", "steps = 3");
    for (table, words) in [
        ("utt\tphones\nr0\tA1\n", "no column `split`"),
        ("utt\tsplit\ttext\nr0\ttrain\tbla\n", "reads no text in the language xx"),
        ("utt\tsplit\tphones\nnobody\ttrain\tA1\n", "no recording with a transcript"),
        ("utt\tsplit\tphones\nr0\ttest\tA1 I\n", "nothing to train on"),
        (
            "utt\tsplit\tphones\nr0\ttrain\tA1 \u{1b}[31mI\n",
            "`r0`: the phone \"\\u{1b}[31mI\" holds the control character U+001B",
        ),
    ] {
        std::fs::write(dir.path("speech/transcripts.tsv"), table).unwrap();
        let message = failure(&run, false);
        assert!(message.contains(words) && !message.contains('\n'), "{message}");
    }
}

#[test]
fn a_start_of_another_kind_is_refused_before_the_recordings_are_read() {
    let dir = TestDir::new();
    let run = run_file(&dir, "out", "steps = 3\nstart_from = \"voice\"");
    assert_eq!(
        failure(&run, false),
        "train.start_from voice: it is a voice of the family wavenet, wanted a text-to-speech model of the family char_rnn"
    );
}

fn load(run: &Path, skip_bad: bool) -> anyhow::Result<SayCorpus> {
    let (Run::Say(mut run), _) = Run::read(run)? else { panic!("another kind of run") };
    run.say.skip_bad |= skip_bad;
    SayCorpus::load(&run.say, &Ranks::solo())
}

#[test]
fn rows_and_recordings_that_do_not_meet_are_named() {
    let dir = TestDir::new();
    corpus(&dir);
    let run = run_file(&dir, "out", "steps = 3");
    let whole = std::fs::read_to_string(dir.path("speech/transcripts.tsv")).unwrap();
    let table = |text: &str| std::fs::write(dir.path("speech/transcripts.tsv"), text).unwrap();
    let notes = load(&run, false).unwrap().notes;
    assert!(!notes.iter().any(|l| l.contains("row") || l.contains("left out")), "{notes:?}");
    let without = whole.lines().filter(|l| !l.starts_with("r3\t")).collect::<Vec<_>>().join("\n");
    table(&format!("{without}\ngone\ttest\tA1 I .\n"));
    let corpus = load(&run, false).unwrap();
    assert_eq!(corpus.aligned.len(), 11);
    for words in ["1 rows name no recording: gone", "1 recordings have no row, so they are left out: r3"] {
        assert!(corpus.notes.iter().any(|l| l.contains(words)), "{words}: {:?}", corpus.notes);
    }
    // The same row again is none too many.
    let row = whole.lines().find(|l| l.starts_with("r0\t")).unwrap();
    table(&format!("{whole}{row}\n"));
    assert!(load(&run, false).is_ok());
    table(&format!("{whole}r0\ttrain\tI\n"));
    let message = failure(&run, false);
    assert!(message.contains("transcripts.tsv line 14: `r0` has a row before it"), "{message}");
    table(&whole);
    let text = std::fs::read_to_string(&run).unwrap();
    let (one, again) = (format!("[{:?}]", dir.path("speech")), dir.path("speech/../speech"));
    assert!(text.contains(&one));
    std::fs::write(&run, text.replace(&one, &format!("[{:?}, {again:?}]", dir.path("speech")))).unwrap();
    let message = failure(&run, false);
    let words = format!("say.folders {}: the folder is there twice", again.display());
    assert!(message.contains(&words) && !message.contains('\n'), "{message}");
}

#[test]
fn a_bad_recording_is_an_error_or_is_left_out_by_name() {
    let dir = TestDir::new();
    corpus(&dir);
    let run = run_file(&dir, "out", "steps = 1");
    let good = std::fs::read(dir.path("speech/r4.wav")).unwrap();
    std::fs::write(dir.path("speech/r4.wav"), &good[..good.len() / 2]).unwrap();
    std::fs::write(dir.path("speech/r5.wav"), "this is no sound").unwrap();
    let message = failure(&run, false);
    assert!(message.contains("r4.wav") || message.contains("r5.wav"), "{message}");
    let corpus = load(&run, true).unwrap();
    assert_eq!(corpus.aligned.len(), 10);
    for words in ["2 recordings left out that can't be read:", "r4.wav is cut off", "r5.wav"] {
        assert!(corpus.notes.iter().any(|l| l.contains(words)), "{words}: {:?}", corpus.notes);
    }
    // By the option, and by the key.
    let options = TrainOptions { skip_bad: true, ..TrainOptions::default() };
    train(&run, &options, &Stop::default(), &Ranks::solo()).unwrap();
    let keyed = run_file(&dir, "keyed", "steps = 1");
    let text = std::fs::read_to_string(&keyed).unwrap().replace("[say]", "[say]\nskip_bad = true");
    std::fs::write(&keyed, text).unwrap();
    go(&keyed, false, None).unwrap();
    for n in 0..12 {
        std::fs::write(dir.path(&format!("speech/r{n}.wav")), "this is no sound").unwrap();
    }
    let message = load(&run, true).unwrap_err();
    assert!(format!("{message:#}").contains("none of its 12 recordings can be read"), "{message:#}");
}
