//! Where a run computes its losses.

use crate::common::TestDir;
use crate::text::{dir, run_file};
use std::path::Path;
use std::process::Command;
use wavesynth::ranks::Ranks;
use wavesynth::train::device::Device;

use wavesynth::train::{Stop, TrainOptions, train};
use wavesynth_models::kernels::Isa;

#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_that_was_not_built_in_is_one_line() {
    let dir = TestDir::with_voices();
    dir.run_file("out", "residual_channels = 8\nskip_channels = 8\ndilations = [1, 2]", "steps = 4");
    let run = |device: &str| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_wavesynth"));
        program.args(["train", "out.toml", "--device", device]).current_dir(dir.path(""));
        let out = program.output().unwrap();
        assert!(!out.status.success());
        String::from_utf8(out.stderr).unwrap()
    };
    let message = run("cuda:1");
    assert_eq!(
        message,
        "error: --device cuda:1: this program was built without GPUs; build it with --features cuda\n"
    );
    assert_eq!(run("gpu").lines().count(), 1);
    assert!(!dir.path("out").exists());
}

/// Layers wide enough for products in bfloat16.
const GPT: &str = "family = \"gpt\"\nlayers = 1\nheads = 2\nwidth = 32";
const TRAIN: &str =
    "steps = 30\nwindow = 64\nbatch = 8\nlearning_rate = 1e-2\nwarmup_steps = 5\neval_every = 30";

fn held_out(run: &Path, device: Device) -> anyhow::Result<f64> {
    let options = TrainOptions { device, ..TrainOptions::default() };
    Ok(train(run, &options, &Stop::default(), &Ranks::solo())?.held_out.unwrap())
}

/// A run whose trainer would not read held-out nats as the engine does would stop.
#[test]
fn products_in_bfloat16_learn_as_those_of_f32_do_or_are_refused() {
    let dir = dir();
    let run = |out: &str, model: &str| run_file(&dir, out, "", model, TRAIN);
    let exact = held_out(&run("exact", GPT), Device::Cpu).unwrap();
    let rounded = held_out(&run("rounded", GPT), Device::CpuBf16);
    if Isa::with_bfloat16().is_none() {
        let message = format!("{:#}", rounded.unwrap_err());
        assert_eq!(message, "--device cpu-bf16: wants AMX, on Linux; --device cpu trains in 32 bits");
        return;
    }
    let rounded = rounded.unwrap();
    assert!(rounded != exact && (rounded - exact).abs() < 0.05 * exact, "{rounded}, in f32 {exact}");
    let again = held_out(&run("again", GPT), Device::CpuBf16).unwrap();
    assert_eq!(again.to_bits(), rounded.to_bits());
    let graph = run_file(&dir, "graph", "", GPT, &format!("{TRAIN}\nengine = \"graph\""));
    let message = format!("{:#}", held_out(&graph, Device::CpuBf16).unwrap_err());
    assert!(message.starts_with("--device cpu-bf16: found train.engine"), "{message}");
}
