//! `play` through a real sound server, its output recorded: a private PulseAudio with a null sink. Skipped, saying so,
//! where PulseAudio or ALSA's plugin for it is not installed.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/rig.rs"]
mod rig;

use rig::{Rig, at, floats, result};
use serde_json::Value;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `recorded` from its first sound on, as long as `want` from its first sound on.
fn aligned<'a>(recorded: &'a [f32], want: &'a [f32]) -> (&'a [f32], &'a [f32]) {
    let first = |x: &[f32]| x.iter().position(|v| *v != 0.0).expect("nothing but silence");
    let (recorded, want) = (&recorded[first(recorded)..], &want[first(want)..]);
    (&recorded[..want.len().min(recorded.len())], want)
}

#[test]
fn what_is_played_is_what_is_rendered() {
    let Some(rig) = Rig::start(16_000) else { return };
    let voice = "-m voice.safetensors --condition ann.bin --seconds 3 --seed 8";
    let start = Instant::now();
    let mut child = rig.play(&format!("{voice} --latency 200"));
    // The end of stdin must not be the end of the sound.
    drop(child.stdin.take());
    let (played, message) = result(child);
    let took = start.elapsed().as_secs_f64();
    assert!((3.0..4.5).contains(&took), "three seconds took {took}");
    assert_eq!(played["underruns"], 0, "{message}");
    assert_eq!((&played["samples"], &played["device_rate"]), (&48_000.into(), &16_000.into()));
    let want = floats(&rig.folder.ok(&format!("render {voice} -o - --format f32")));
    let recorded = rig.recorded();
    let (got, want) = aligned(&recorded, &want);
    assert_eq!(got.len(), want.len());
    let differ = got.iter().zip(want).filter(|(g, w)| (*g - w.clamp(-1.0, 1.0)).abs() > 1e-6).count();
    assert_eq!(differ, 0, "samples of {}", want.len());
}

#[test]
fn lines_steer_and_an_interrupt_fades() {
    let Some(rig) = Rig::start(48_000) else { return };
    let mut child = rig.play("-m voice.safetensors --condition ann.bin --seconds 60 --latency 200");
    let mut stdin = child.stdin.take().unwrap();
    for line in [
        "condition bob.bin 0.2",
        "condition nobody",
        "temperature 0.7",
        "temperature -3",
        "louder",
        "pause",
        "resume",
        "condition track.bin",
    ] {
        std::thread::sleep(Duration::from_millis(150));
        writeln!(stdin, "{line}").unwrap();
    }
    std::thread::sleep(Duration::from_millis(400));
    drop(stdin);
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it ended with its stdin");
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let start = Instant::now();
    let (played, message) = result(child);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(played["underruns"], 0, "{message}");
    let seconds = played["seconds"].as_f64().unwrap();
    assert!((1.0..6.0).contains(&seconds), "{seconds}");
    for words in [
        "condition bob.bin",
        "nobody: no such file",
        "temperature 0.70",
        "temperature is -3",
        "louder: no such command",
        "condition track.bin",
    ] {
        assert!(message.contains(words), "`{words}` is not in: {message}");
    }
    assert!(!message.contains("panicked"));
    // Faded out: the last sound is far below the loudest.
    let recorded = rig.recorded();
    let last = recorded.iter().rposition(|v| *v != 0.0).unwrap();
    let peak = |x: &[f32]| x.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(peak(&recorded[last - 96..=last]) < 0.1 * peak(&recorded), "no fade");
}

#[test]
fn devices_are_listed_with_rates_and_formats() {
    let Some(rig) = Rig::start(48_000) else { return };
    let exe = env!("CARGO_BIN_EXE_wavesynth");
    let out = at(&rig.folder, exe).args(["devices", "--json"]).output().unwrap();
    let v: Value = serde_json::from_slice(&out.stdout).unwrap();
    let default = v["devices"].as_array().unwrap().iter().find(|d| d["default"] == true).unwrap();
    assert!(default["rates"].is_array() && !default["formats"].as_array().unwrap().is_empty());
    let mut text = String::new();
    let mut child = at(&rig.folder, exe).arg("devices").stdout(Stdio::piped()).spawn().unwrap();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    assert!(text.starts_with('*') && text.contains("Hz"), "{text}");
}

/// Speech from a recording, converted while it plays, gives what is rendered.
#[test]
fn an_input_is_played_as_it_is_rendered() {
    let Some(rig) = Rig::start(16_000) else { return };
    rig.speech("speech.wav");
    let voice = "-m voice.safetensors --condition ann.bin --like source.bin --input speech.wav --seed 8";
    let (played, message) = result(rig.play(&format!("{voice} --latency 200")));
    assert_eq!((&played["underruns"], &played["frames_held"]), (&0.into(), &0.into()), "{message}");
    assert_eq!(played["live"], Value::Null);
    let want = floats(&rig.folder.ok(&format!("render {voice} -o - --format f32")));
    let recorded = rig.recorded();
    let (got, want) = aligned(&recorded, &want);
    assert_eq!((got.len(), played["samples"].as_u64()), (want.len(), Some(24_000)));
    let differ = got.iter().zip(want).filter(|(g, w)| (*g - w.clamp(-1.0, 1.0)).abs() > 1e-6).count();
    assert_eq!(differ, 0, "samples of {}", want.len());
}

/// A microphone: frames come in real time, and the parts of the latency add up.
#[test]
fn a_microphone_is_converted_in_real_time() {
    let Some(rig) = Rig::start(48_000) else { return };
    rig.speech("speech.wav");
    // The machine records what it plays, so the input is the voice's own output and the recording.
    let mut other = at(&rig.folder, "paplay").arg(rig.folder.path("speech.wav")).spawn().unwrap();
    let voice = "-m voice.safetensors --condition ann.bin --like source.bin --input mic --seconds 4";
    let (played, message) = result(rig.play(voice));
    other.wait().unwrap();
    let ms = |key: &str| played["live"][key].as_f64().unwrap_or_else(|| panic!("{key} in {played}"));
    let parts = ["capture_ms", "resampling_ms", "window_ms", "context_ms", "ring_ms", "device_ms"];
    let sum: f64 = parts.iter().map(|part| ms(part)).sum();
    assert!((ms("total_ms") - sum).abs() < 1e-3 && ms("capture_ms") > 0.0, "{played}");
    assert_eq!((ms("window_ms"), ms("context_ms")), (17.5, 10.0));
    assert!(message.contains("latency") && message.contains("context 10.0"), "{message}");
    let held = played["frames_held"].as_u64().unwrap();
    assert!(held < 100, "{held} of 400 frames held: nothing is recorded");
}
