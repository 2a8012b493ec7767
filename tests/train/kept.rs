//! No work is lost: not by signals, a second run in the same folder or a full disk; and a run can be made longer.

use crate::commands::{done, refused, wavesynth};
use crate::common::{TestDir, failure, go};
use crate::text;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use wavesynth::ranks::Ranks;
use wavesynth::train::{Stop, TrainOptions, train};
use wavesynth_models::weights::Checkpoint;

const CNN: &str = "residual_channels = 4\nskip_channels = 4\ndilations = [1, 2]";
const TRAIN: &str = "window = 32\nbatch = 2\nlog_every = 1\nlearning_rate = 1e-2\nwarmup_steps = 4";

fn start(dir: &TestDir, args: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavesynth"));
    command.args(args).current_dir(dir.path("")).stderr(Stdio::piped()).spawn().unwrap()
}

fn until(what: &str, is: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < patience, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn send(signal: &str, run: &Child) {
    let kill = Command::new("kill").args([signal, &run.id().to_string()]).status().unwrap();
    assert!(kill.success());
}

fn rows(dir: &TestDir, out: &str) -> usize {
    fs::read_to_string(dir.path(out).join("log.csv")).map_or(0, |t| t.lines().count().max(1) - 1)
}

fn step(dir: &TestDir, out: &str) -> u64 {
    let state = Checkpoint::read(dir.path(out).join("state.safetensors").as_path()).unwrap();
    state.header.sections["state"]["step"].as_u64().unwrap()
}

fn message(out: Output) -> String {
    String::from_utf8(out.stderr).unwrap()
}

/// Tensors of state and checkpoint.
fn same(dir: &TestDir, a: &str, b: &str) {
    for file in ["state.safetensors", "text.safetensors"] {
        let tensors = |out: &str| Checkpoint::read(&dir.path(out).join(file)).unwrap().tensors;
        assert!(tensors(a) == tensors(b), "{file} of {a} and {b}");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_has_one_run_at_a_time() {
    let dir = text::dir();
    let endless = format!("{TRAIN}\nsteps = 100000000\ncheckpoint_every_minutes = 0");
    text::run_file(&dir, "out", "", CNN, &endless);
    let mut first = start(&dir, &["train", "out.toml"]);
    until("a checkpoint", || dir.path("out/state.safetensors").exists());
    for signal in ["-CONT", "-STOP"] {
        send(signal, &first);
        for args in [&["train", "out.toml"][..], &["train", "out.toml", "--resume"]] {
            let said = refused(&dir, args);
            assert!(said.contains("another run is at work in it, or suspended"), "{said}");
        }
    }
    // The lock is gone with its process.
    send("-KILL", &first);
    first.wait().unwrap();
    let reached = step(&dir, "out");
    let more = wavesynth(&dir, &["train", "out.toml", "--resume", "--stop-after", "1"]);
    assert!(more.status.success(), "{}", message(more));
    assert_eq!(step(&dir, "out"), reached + 1);
}

#[cfg(unix)]
#[test]
fn signals_within_a_second_count_once() {
    let dir = text::dir();
    text::run_file(&dir, "out", "", CNN, &format!("{TRAIN}\nsteps = 100000000\neval_every = 1000000000"));
    let run = start(&dir, &["train", "out.toml"]);
    until("some steps", || rows(&dir, "out") > 3);
    for signal in ["-INT", "-INT", "-TERM", "-INT"] {
        send(signal, &run);
    }
    let out = run.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(0));
    let said = message(out);
    assert!(said.contains("held-out") && said.contains("continue with"), "{said}");
    assert_eq!(step(&dir, "out"), rows(&dir, "out") as u64);
}

#[cfg(unix)]
#[test]
fn a_second_signal_skips_the_evaluation_and_not_the_checkpoint() {
    let dir = text::dir();
    fs::write(dir.path("slice.txt"), "all the king's horses\n".repeat(200_000)).unwrap();
    let lstm = "family = \"char_rnn\"\ncell = \"lstm\"\nhidden = 256\nlayers = 2";
    let held = "held_out = 0.5\neval_symbols = 2000000";
    let train = format!("{TRAIN}\nsteps = 100000000\neval_every = 1000000000");
    text::run_file(&dir, "out", held, lstm, &train);
    let run = start(&dir, &["train", "out.toml"]);
    until("some steps", || rows(&dir, "out") > 3);
    send("-INT", &run);
    // Before the evaluation, which takes minutes.
    until("the checkpoint", || dir.path("out/text.safetensors").exists());
    assert!(step(&dir, "out") >= rows(&dir, "out") as u64);
    std::thread::sleep(Duration::from_millis(1200));
    send("-INT", &run);
    let began = Instant::now();
    assert_eq!(run.wait_with_output().unwrap().status.code(), Some(130));
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_hurried_run_writes_its_checkpoint_and_goes_on_as_if_nothing_had_been() {
    let dir = text::dir();
    let run = |out: &str| text::run_file(&dir, out, "", CNN, &format!("{TRAIN}\nsteps = 20\neval_every = 5"));
    go(&run("whole"), false, None).unwrap();
    let stop = Stop::default();
    stop.hurry(|| {});
    let cut = train(&run("cut"), &TrainOptions::default(), &stop, &Ranks::solo()).unwrap();
    assert_eq!((cut.step, cut.is_evaluated, cut.held_out), (1, false, None));
    assert!(cut.voice.exists());
    let rest = go(&dir.path("cut.toml"), true, None).unwrap();
    assert!(rest.is_evaluated && rest.held_out.is_some());
    same(&dir, "whole", "cut");
}

#[test]
fn a_finished_run_can_be_made_longer() {
    let dir = text::dir();
    let run = |out: &str, steps: u64| {
        text::run_file(&dir, out, "", CNN, &format!("{TRAIN}\nsteps = {steps}\neval_every = 5"))
    };
    let log = |out: &str| fs::read_to_string(dir.path(out).join("log.csv")).unwrap();
    let rates = |out: &str, from: usize| -> Vec<String> {
        log(out).lines().skip(1 + from).map(|l| l.split(',').nth(6).unwrap().to_string()).collect()
    };
    for out in ["done", "file", "option", "parts"] {
        go(&run(out, 10), false, None).unwrap();
    }
    let past = log("file");
    let longer = |out: &str, steps, stop_after| {
        let options = TrainOptions { resume: true, steps, stop_after, ..TrainOptions::default() };
        train(&dir.path(&format!("{out}.toml")), &options, &Stop::default(), &Ranks::solo())
    };
    // It begins with the state that the run ended with.
    run("file", 16);
    let outcome = longer("file", None, Some(0)).unwrap();
    assert_eq!((outcome.step, outcome.steps, outcome.taken), (10, 16, 0));
    same(&dir, "done", "file");
    assert_eq!(longer("file", None, None).unwrap().step, 16);
    assert!(log("file").starts_with(&past));
    // By either way, and in parts, it is the same run.
    assert_eq!(longer("option", Some(16), None).unwrap().step, 16);
    longer("parts", Some(16), Some(3)).unwrap();
    assert_eq!(longer("parts", None, None).unwrap().step, 16);
    same(&dir, "file", "option");
    same(&dir, "file", "parts");
    // From there on the rates are those of a run of that many steps.
    go(&run("long", 16), false, None).unwrap();
    assert_eq!(rates("file", 10), rates("long", 10));
    assert_ne!(rates("file", 0)[9], rates("long", 0)[9]);
    // Longer only, and still the same run.
    run("file", 15);
    assert!(failure(&dir.path("file.toml"), true).contains("train.steps = 16, the run file says 15"));
    let said = longer("option", Some(12), None).unwrap_err().to_string();
    assert!(said.contains("a run of 16 steps, 12 are asked for"), "{said}");
    let other = fs::read_to_string(run("file", 20)).unwrap().replace("1e-2", "2e-2");
    fs::write(dir.path("file.toml"), other).unwrap();
    assert!(failure(&dir.path("file.toml"), true).contains("train.learning_rate"));
    assert!(refused(&dir, &["train", "done.toml", "--steps", "20"]).contains("--resume"));
    assert!(wavesynth(&dir, &["train", "done.toml", "--steps", "20", "--resume"]).status.success());
    assert_eq!(step(&dir, "done"), 20);
}

#[test]
fn a_longer_curriculum_goes_on_too() {
    let dir = text::dir();
    let lstm = "family = \"char_rnn\"\ncell = \"gru\"\nhidden = 8\nlayers = 1";
    let train = |steps| format!("{TRAIN}\ncurriculum = {{ from = 8 }}\nsteps = {steps}");
    go(&text::run_file(&dir, "out", "", lstm, &train(10)), false, None).unwrap();
    let run = text::run_file(&dir, "out", "", lstm, &train(20));
    assert_eq!(go(&run, true, None).unwrap().step, 20);
}

/// Runs a command while no file may grow beyond `blocks` of 512 bytes.
#[cfg(unix)]
fn limited(dir: &TestDir, blocks: u64, args: &str) -> Output {
    let exe = env!("CARGO_BIN_EXE_wavesynth");
    let script = format!("ulimit -f {blocks}; exec {exe} {args}");
    Command::new("sh").args(["-c", &script]).current_dir(dir.path("")).output().unwrap()
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_last_checkpoint_and_says_which_file() {
    let dir = text::dir();
    let run =
        |out: &str| text::run_file(&dir, out, "", CNN, &format!("{TRAIN}\nsteps = 30\neval_every = 10"));
    go(&run("whole"), false, None).unwrap();
    go(&run("out"), false, Some(5)).unwrap();
    let file = |name: &str| dir.path("out").join(name);
    let kept = |name: &str| fs::read(file(name)).unwrap();
    let (state, model) = (kept("state.safetensors"), kept("text.safetensors"));
    for (blocks, name) in [(0, "log.csv"), (2, "state.safetensors")] {
        let out = limited(&dir, blocks, "train out.toml --resume");
        assert_eq!(out.status.code(), Some(1), "{blocks}");
        let said = message(out);
        let last = said.lines().last().unwrap();
        assert!(last.starts_with("error: ") && last.contains(name), "{said}");
        assert!(last.contains("the last good checkpoint is kept"), "{said}");
        assert!(kept("state.safetensors") == state && kept("text.safetensors") == model, "{name}");
    }
    // The checkpoint alone can't be written; the state has all.
    fs::remove_file(file("text.safetensors")).unwrap();
    #[cfg(target_os = "linux")]
    {
        std::os::unix::fs::symlink(Path::new("/dev/full"), file("text.safetensors")).unwrap();
        let out = wavesynth(&dir, &["train", "out.toml", "--resume", "--stop-after", "3"]);
        let said = message(out);
        assert!(said.lines().last().unwrap().contains("text.safetensors"), "{said}");
        assert_eq!(step(&dir, "out"), 8);
        fs::remove_file(file("text.safetensors")).unwrap();
    }
    done(&dir, &["train", "out.toml", "--resume"]);
    same(&dir, "whole", "out");
}
