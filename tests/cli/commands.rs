//! What a person expects of a command line.

use super::common::{self, Folder};
use super::{number, read_npy, refuses, write_npy};
use serde_json::json;

fn text(folder: &Folder, args: &str) -> String {
    String::from_utf8(folder.ok(args)).unwrap()
}

#[test]
fn help_completions_and_man_pages() {
    let f = Folder::new();
    assert!(text(&f, "help").contains("Usage: wavesynth"));
    assert_eq!(text(&f, "help condition mix"), text(&f, "condition mix --help"));
    assert!(text(&f, "--version").starts_with("wavesynth "));
    assert_eq!(f.run("").status.code(), Some(2));
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&f, &format!("completions {shell}"));
        assert!(script.contains("wavesynth") && script.contains("temperature"), "{shell}: {script}");
    }
    f.ok("man pages");
    for page in ["wavesynth.1", "wavesynth-render.1", "wavesynth-condition-mix.1"] {
        assert!(
            std::fs::read_to_string(f.path("pages").join(page)).unwrap().contains(".SH SYNOPSIS"),
            "{page}"
        );
    }
    refuses(&f, "rendr", 2, &["tip: a similar subcommand exists: 'render'"]);
    refuses(&f, "render --sed 1 -o x.wav", 2, &["tip:", "'--seed'", "see `wavesynth render --help`"]);
}

#[test]
fn defaults_are_those_of_the_command() {
    let f = Folder::new();
    let temperature = |command: &str| {
        let help = text(&f, &format!("{command} -h")).split_whitespace().collect::<Vec<_>>().join(" ");
        let (_, rest) = help.split_once("--temperature").unwrap();
        let (_, default) = rest.split_once("[default: ").unwrap();
        default.split_once(']').unwrap().0.to_string()
    };
    assert_eq!(temperature("render"), "0.9; 1 for babble");
    assert_eq!(temperature("copy"), "0.9");
    assert_eq!(temperature("sample"), "1");
    let help = |args: &str| text(&f, args).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help("sample -h").contains("[default: text]"));
    assert!(help("render -h").contains("[default: voice]"));
    assert!(
        help("render -h").contains("[default: i8]") && help("eval -h").contains("[default: the file's own]")
    );
}

#[test]
fn a_model_is_named_by_its_runs_folder() {
    let f = Folder::new();
    std::fs::create_dir(f.path("run")).unwrap();
    std::fs::copy(f.path("voice.safetensors"), f.path("run/voice.safetensors")).unwrap();
    std::fs::write(f.path("run/state.safetensors"), "not a checkpoint").unwrap();
    assert_eq!(f.json("info run"), f.json("info voice.safetensors"));
    let made = f.json("render -m run --condition ann.bin --seconds 0.1 -o a.wav");
    assert_eq!(number(&made, "samples"), 1600.0);
    std::fs::copy(f.path("voice.safetensors"), f.path("run/other.safetensors")).unwrap();
    refuses(&f, "info run", 1, &["several checkpoints", "other.safetensors, voice.safetensors"]);
}

#[test]
fn text_models_have_logits_too() {
    let f = Folder::new();
    common::char_rnn().write(&f.path("rnn.safetensors")).unwrap();
    write_npy(&f, "x.npy", &[3u8, 29, 0, 7, 7, 12]);
    f.ok("logits -m rnn.safetensors --symbols x.npy -o step.npy");
    let (shape, step) = read_npy::<f32>(&f, "step.npy");
    assert_eq!(shape, [6, 30]);
    if cfg!(feature = "train") {
        f.ok("logits -m rnn.safetensors --symbols x.npy --path graph -o graph.npy");
        let (shape, graph) = read_npy::<f32>(&f, "graph.npy");
        assert_eq!(shape, [6, 30]);
        let worst = step.iter().zip(&graph).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-5 && step.iter().any(|v| v.abs() > 1e-3), "{worst}");
    }
    refuses(&f, "logits -m rnn.safetensors --condition ann.bin --symbols x.npy -o y.npy", 2, &["no voice"]);
}

#[test]
fn a_model_of_bytes_writes_bytes() {
    let f = Folder::new();
    let mut model = common::text_model(256);
    model.header.sections.insert("text".into(), json!({ "tokenizer": "bytes" }));
    model.write(&f.path("bytes.safetensors")).unwrap();
    let bytes = f.ok("sample -m bytes.safetensors --length 300 --seed 1");
    assert_eq!(bytes.len(), 300);
    assert!(std::str::from_utf8(&bytes).is_err(), "random bytes are no text");
}

#[cfg(feature = "device")]
#[test]
fn devices_are_listed_without_noise() {
    let f = Folder::new();
    let out = f.run("devices --json");
    assert_eq!(String::from_utf8(out.stderr).unwrap(), "");
}

#[cfg(not(feature = "train"))]
#[test]
fn a_command_that_needs_the_trainer_names_its_feature() {
    let f = Folder::new();
    for command in ["train a.toml --resume", "condition enroll a --name b -o c.bin", "bench train --help"] {
        refuses(&f, command, 2, &["--features train"]);
    }
}

#[cfg(not(feature = "device"))]
#[test]
fn a_command_that_needs_a_device_names_its_feature() {
    let f = Folder::new();
    for command in ["play --condition en_allison", "devices --json"] {
        refuses(&f, command, 2, &["--features device"]);
    }
}
