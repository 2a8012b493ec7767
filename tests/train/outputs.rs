//! A run's messages and files: nothing that happens to stderr ends it, and it replaces nothing that is not its own.

use crate::commands::{refused, wavesynth};
use crate::common::{TestDir, write_wav};
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MODEL: &str =
    "residual_channels = 8\nskip_channels = 8\ndilations = [1, 2, 4]\nspeaker_dim = 4\nhidden = 8";

#[cfg(target_os = "linux")]
#[test]
fn a_run_whose_messages_nobody_reads_writes_its_checkpoint() {
    let dir = TestDir::with_voices();
    for (out, closed) in [("full", false), ("closed", true)] {
        dir.run_file(
            out,
            MODEL,
            "steps = 100000000\nlog_every = 1\nwindow = 800\nbatch = 2\neval_seconds = 1",
        );
        let (reader, writer) = std::io::pipe().unwrap();
        let stderr = match closed {
            true => Stdio::from(writer),
            false => fs::File::options().write(true).open("/dev/full").unwrap().into(),
        };
        let mut run = Command::new(env!("CARGO_BIN_EXE_wavesynth"))
            .args(["train", &format!("{out}.toml")])
            .current_dir(dir.path(""))
            .stderr(stderr)
            .spawn()
            .unwrap();
        let log = dir.path(out).join("log.csv");
        let patience = Instant::now() + Duration::from_secs(60);
        while fs::read_to_string(&log).map_or(0, |t| t.lines().count()) < 3 && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(20));
        }
        // As `tee` goes at Ctrl-C, before the run has said a word about it.
        drop(reader);
        std::thread::sleep(Duration::from_millis(100));
        let kill = Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
        assert!(kill.success());
        assert_eq!(run.wait().unwrap().code(), Some(0), "{out}");
        let run_file = format!("{out}.toml");
        let more = wavesynth(&dir, &["train", &run_file, "--resume", "--stop-after", "2"]);
        assert!(more.status.success(), "{}", String::from_utf8_lossy(&more.stderr));
    }
}

#[test]
fn what_is_no_file_of_the_run_stays() {
    let dir = TestDir::with_voices();
    let run = |name: &str| {
        dir.run_file(name, MODEL, "steps = 1\nwindow = 800\nbatch = 2");
        format!("{name}.toml")
    };
    fs::create_dir(dir.path("a")).unwrap();
    fs::write(dir.path("a/log.csv"), "what,I,measured\n1,2,3\n").unwrap();
    let message = refused(&dir, &["train", &run("a")]);
    assert!(message.contains("train.out") && message.contains("log.csv"), "{message}");
    assert_eq!(fs::read(dir.path("a/log.csv")).unwrap(), b"what,I,measured\n1,2,3\n");
    assert_eq!(fs::read_dir(dir.path("a")).unwrap().count(), 1);
    // A voice that was copied there.
    fs::create_dir(dir.path("b")).unwrap();
    let shipped = wavesynth::shipped::model("music").unwrap();
    fs::write(dir.path("b/voice.safetensors"), shipped).unwrap();
    let message = refused(&dir, &["train", &run("b")]);
    assert!(message.contains("voice.safetensors is there already"), "{message}");
    // A log of a run that was killed before its first checkpoint, and what else that left.
    fs::create_dir(dir.path("c")).unwrap();
    fs::write(dir.path("c/log.csv"), "step,seconds,samples\n").unwrap();
    fs::write(dir.path("c/.wavesynth-state.safetensors-aB3dE6"), "half").unwrap();
    let out = wavesynth(&dir, &["train", &run("c")]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut names: Vec<_> =
        fs::read_dir(dir.path("c")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["log.csv", "state.safetensors", "voice.safetensors"]);
    // Read-only, a folder, a file for a folder.
    fs::create_dir_all(dir.path("d/state.safetensors")).unwrap();
    assert!(refused(&dir, &["train", &run("d")]).contains("state.safetensors"));
    fs::write(dir.path("e"), "a file").unwrap();
    assert!(refused(&dir, &["train", &run("e")]).contains("train.out"));
    assert_eq!(fs::read(dir.path("e")).unwrap(), b"a file");
}

#[cfg(unix)]
#[test]
fn a_folder_that_can_be_no_speaker_is_told_before_the_work() {
    let dir = TestDir::with_voices();
    write_wav(&dir.path("data/bad\u{1b}[2J/0.wav"), &[0.1; 16_000]);
    dir.run_file("out", MODEL, "steps = 1\nwindow = 800\nbatch = 2");
    let message = refused(&dir, &["train", "out.toml"]);
    assert!(message.contains("control character") && !message.contains('\u{1b}'), "{message:?}");
    assert!(!dir.path("out").exists());
}
