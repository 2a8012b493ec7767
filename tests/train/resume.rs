//! Stopping and going on gives the bits of not stopping.

use crate::common::{TestDir, failure, go};
use std::collections::BTreeMap;
use std::path::Path;
use wavesynth_models::weights::{Checkpoint, Tensors};

const MODEL: &str = "residual_channels = 8\nskip_channels = 8\nkernel_size = 3\n\
    dilations = [1, 3, 9]\nspeaker_dim = 4\nhidden = 8";

fn train(steps: u64, threads: usize) -> String {
    format!(
        "steps = {steps}\nwindow = 480\nbatch = 3\nlearning_rate = 5e-3\nwarmup_steps = 20\n\
         threads = {threads}\neval_every = 70\neval_seconds = 1\nlog_every = 10"
    )
}

fn tensors(file: &Path) -> Tensors {
    Checkpoint::read(file).unwrap().tensors
}

/// Step numbers of a log, and its columns but those of the clock, by step.
fn log(file: &Path) -> (Vec<u64>, BTreeMap<u64, Vec<String>>) {
    let text = std::fs::read_to_string(file).unwrap();
    let rows: Vec<Vec<String>> =
        text.lines().skip(1).map(|l| l.split(',').map(String::from).collect()).collect();
    let steps = rows.iter().map(|r| r[0].parse().unwrap()).collect();
    let timeless = |r: &Vec<String>| [&r[2..7]].concat();
    (steps, rows.iter().map(|r| (r[0].parse().unwrap(), timeless(r))).collect())
}

#[test]
fn a_hundred_and_a_hundred_are_two_hundred() {
    halves_are_the_whole("");
}

#[test]
fn a_hundred_and_a_hundred_by_muon_are_two_hundred() {
    halves_are_the_whole("\noptimizer = \"muon\"");
}

fn halves_are_the_whole(more: &str) {
    let train = |steps, threads| train(steps, threads) + more;
    let dir = TestDir::with_voices();
    let whole = dir.run_file("whole", MODEL, &train(200, 1));
    go(&whole, false, None).unwrap();
    for (out, threads) in [("one", 1), ("two", 2)] {
        let run = dir.run_file(out, MODEL, &train(200, threads));
        let first = go(&run, false, Some(100)).unwrap();
        assert_eq!((first.step, first.steps), (100, 200));
        assert_eq!(go(&run, true, None).unwrap().step, 200);
        for file in ["state.safetensors", "voice.safetensors"] {
            let (a, b) = (dir.path("whole").join(file), dir.path(out).join(file));
            assert!(tensors(&a) == tensors(&b), "{file} differs with {threads} threads");
        }
        let (steps, rows) = log(&dir.path(out).join("log.csv"));
        assert!(steps.is_sorted_by(|a, b| a < b), "{steps:?}");
        let (_, want) = log(&dir.path("whole").join("log.csv"));
        for (step, row) in want {
            assert_eq!(rows[&step], row, "step {step} with {threads} threads");
        }
    }
}

#[test]
fn a_resumed_log_loses_what_came_after_the_checkpoint() {
    let dir = TestDir::with_voices();
    let run = dir.run_file("out", MODEL, &train(40, 1));
    go(&run, false, Some(20)).unwrap();
    let file = dir.path("out/log.csv");
    let written = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{written}30,1,1,1,1,1,1,,1\n")).unwrap();
    go(&run, true, None).unwrap();
    let (steps, _) = log(&file);
    assert_eq!(steps, [10, 20, 30, 40]);
    assert!(std::fs::read_to_string(&file).unwrap().starts_with(&written));
}

#[test]
fn another_run_can_not_be_resumed() {
    let dir = TestDir::with_voices();
    let run = dir.run_file("out", MODEL, &train(30, 1));
    assert!(failure(&run, true).contains("no state to resume from; run without --resume"));
    go(&run, false, Some(5)).unwrap();
    let message = failure(&run, false);
    assert!(message.contains("holds a run already: --resume continues it"), "{message}");

    let other = train(30, 1).replace("batch = 3", "batch = 4");
    let message = failure(&dir.run_file("out", MODEL, &other), true);
    assert!(
        message.contains("was trained with 3 windows a step (train.batch times ranks), this is 4"),
        "{message}"
    );
    let wider = MODEL.replace("skip_channels = 8", "skip_channels = 9");
    let message = failure(&dir.run_file("out", &wider, &train(30, 1)), true);
    assert!(message.contains("model.skip_channels = 8, the run file says 9"), "{message}");

    // Threads and how often things are logged move no weight.
    let free = train(30, 2).replace("log_every = 10", "log_every = 7");
    go(&dir.run_file("out", MODEL, &free), true, Some(1)).unwrap();

    std::fs::remove_file(dir.path("data/low/0.wav")).unwrap();
    let message = failure(&dir.run_file("out", MODEL, &train(30, 1)), true);
    assert!(message.contains("was trained on other recordings"), "{message}");
}

#[test]
fn a_voice_is_no_state_and_a_cut_state_is_an_error() {
    let dir = TestDir::with_voices();
    let run = dir.run_file("out", MODEL, &train(30, 1));
    let outcome = go(&run, false, Some(5)).unwrap();
    let state = dir.path("out/state.safetensors");
    let bytes = std::fs::read(&state).unwrap();
    std::fs::write(&state, &bytes[..bytes.len() / 2]).unwrap();
    assert!(failure(&run, true).contains("damaged"));
    std::fs::copy(outcome.voice, &state).unwrap();
    assert!(failure(&run, true).contains("not a training state"));
}
