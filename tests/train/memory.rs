//! Memory: the forecast is right, and `max_memory` is kept.

use crate::common::{TestDir, failure, go};
use serde_json::Value;
use std::process::Command;
use wavesynth::train::config::RunFile;
use wavesynth_models::weights::Checkpoint;

const MODEL: &str = "residual_channels = 32\nskip_channels = 32\ndilations = { cycle = 8, layers = 8 }\n\
    speaker_dim = 4\nhidden = 8";
const TRAIN: &str = "steps = 4\nwindow = 4000\neval_seconds = 1\nthreads = 2";

/// A process of its own for each, as the most that one has held is never forgotten.
#[cfg(target_os = "linux")]
#[test]
fn the_forecast_is_right_within_a_fifth() {
    for shape in [
        "--shape wavenet-30 --batch 2 --window 6000 --threads 2",
        "--shape wavenet-30 --batch 1 --window 12000 --warmup 0 --threads 2",
        "--shape wavenet-30 --batch 12 --window 500 --threads 2",
        "--shape deepvoice --batch 1 --window 4000 --threads 1",
        "--shape deepvoice-small --batch 1 --window 600 --warmup 0 --engine graph --threads 2",
        "--shape lstm --batch 100 --window 200 --threads 2",
        "--shape gru --batch 20 --window 25 --engine graph --threads 2",
        "--shape gpt --batch 48 --threads 2",
        "--shape gpt --batch 12 --engine graph --threads 2",
    ] {
        let args = format!("bench train --json --steps 1 {shape}");
        let out = Command::new(env!("CARGO_BIN_EXE_wavesynth")).args(args.split(' ')).output().unwrap();
        assert!(out.status.success(), "{args}: {}", String::from_utf8_lossy(&out.stderr));
        let rows: Value = serde_json::from_slice(&out.stdout).unwrap();
        let number = |key: &str| rows[0][key].as_f64().unwrap();
        let ratio = number("predicted_bytes") / number("peak_bytes");
        assert!((0.8..1.2).contains(&ratio), "{args}: {ratio} of {} bytes", number("peak_bytes"));
        let shares = rows[0]["phases"].as_array().unwrap().iter().map(|p| p["share"].as_f64().unwrap());
        assert!((shares.sum::<f64>() - 1.0).abs() < 1e-6);
        assert!(number("rows_per_s") >= number("samples_per_s"));
    }
}

/// A run of many parameters holds most while its state is written.
#[cfg(target_os = "linux")]
#[test]
fn the_forecast_counts_what_is_written() {
    let dir = TestDir::new();
    crate::images::with_stripes(&dir);
    let lstm = "family = \"char_rnn\"\ncell = \"lstm\"\nhidden = 1300\nlayers = 1";
    let run = crate::images::run_file(&dir, "out", "held_out = 0.0", lstm, "steps = 1\nthreads = 1");
    // One window a step and nothing held out: the step is small beside the parameters.
    let text = std::fs::read_to_string(&run).unwrap().replace("batch = 16", "batch = 1");
    let text: String =
        text.lines().filter(|l| !l.starts_with("validation")).map(|l| format!("{l}\n")).collect();
    std::fs::write(&run, text).unwrap();
    let said = std::fs::File::create(dir.path("said")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wavesynth"))
        .args(["train", run.to_str().unwrap()])
        .stderr(said)
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0.0f64;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let now = line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
        peak = peak.max(now.unwrap_or(0.0) * 1024.0 / 1e6);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let said = std::fs::read_to_string(dir.path("said")).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    let expected = said.split("memory: about ").nth(1).and_then(|s| s.split(" MB expected").next());
    let expected: f64 = expected.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
    assert!((0.85..1.2).contains(&(expected / peak)), "{expected} MB expected, {peak} MB held");
}

fn windows_of_state(dir: &TestDir) -> u64 {
    let state = Checkpoint::read(&dir.path("out/state.safetensors")).unwrap();
    state.header.sections["state"]["windows"].as_u64().unwrap()
}

#[test]
fn max_memory_chooses_the_batch_and_a_resumed_run_keeps_it() {
    let dir = TestDir::with_voices();
    let with = |more: &str| dir.run_file("out", MODEL, &format!("{TRAIN}\n{more}"));
    let run = with("max_memory = \"50 MB\"");
    go(&run, false, Some(1)).unwrap();
    let windows = windows_of_state(&dir);
    assert!((2..64).contains(&windows), "{windows}");
    // On one thread less memory is needed and more windows would fit; the run goes on as it began.
    let text = std::fs::read_to_string(&run).unwrap().replace("threads = 2", "threads = 1");
    std::fs::write(&run, text).unwrap();
    go(&run, true, Some(1)).unwrap();
    assert_eq!(windows_of_state(&dir), windows);

    std::fs::remove_dir_all(dir.path("out")).unwrap();
    go(&with("max_memory = \"50 MB\"\nbatch = 2"), false, Some(1)).unwrap();
    assert_eq!(windows_of_state(&dir), 2);

    std::fs::remove_dir_all(dir.path("out")).unwrap();
    let message = failure(&with("max_memory = \"14 MB\""), false);
    assert!(message.contains("train.max_memory is 14 MB, but steps of one window take"), "{message}");
    let text = std::fs::read_to_string(&run).unwrap().replace("14 MB", "14 apples");
    let message = RunFile::parse(&text, "run.toml").unwrap_err().to_string();
    assert!(message.contains("`14 apples` is no amount of memory"), "{message}");
}

#[test]
fn a_bounded_warm_up_trains_and_is_judged_with_all_of_it() {
    let dir = TestDir::with_voices();
    // The held-out reading by the trainer must equal the engine's, which reads the whole past: a run would stop else.
    let run = dir.run_file("out", MODEL, &format!("{TRAIN}\nbatch = 2\nmax_warmup = 0"));
    assert!(go(&run, false, None).unwrap().held_out.is_some());
}
