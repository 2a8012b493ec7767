//! The commands that train and make conditions, run as a user runs them.

use crate::common::{TestDir, babble, write_wav};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const MODEL: &str =
    "residual_channels = 8\nskip_channels = 8\ndilations = [1, 2, 4]\nspeaker_dim = 4\nhidden = 8";

pub fn wavesynth(dir: &TestDir, args: &[&str]) -> Output {
    let exe = env!("CARGO_BIN_EXE_wavesynth");
    Command::new(exe).args(args).current_dir(dir.path("")).stdin(Stdio::null()).output().unwrap()
}

pub fn done(dir: &TestDir, args: &[&str]) -> String {
    let out = wavesynth(dir, args);
    let (message, err) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{args:?}: {err}");
    message
}

pub fn refused(dir: &TestDir, args: &[&str]) -> String {
    let out = wavesynth(dir, args);
    let err = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success() && err.lines().count() == 1, "{args:?}: {err}");
    err
}

fn info(dir: &TestDir, file: &str) -> Value {
    serde_json::from_str(&done(dir, &["condition", "info", file, "--json"])).unwrap()
}

#[test]
fn from_recordings_to_every_kind_of_condition() {
    let dir = TestDir::with_voices();
    dir.run_file("out", MODEL, "steps = 20\nwindow = 800\nbatch = 2\neval_seconds = 1");
    let message = wavesynth(&dir, &["train", "out.toml"]);
    let message = String::from_utf8(message.stderr).unwrap();
    for part in ["memory: about", "to beat:", "held-out", "step 20 of 20"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let m = "out/voice.safetensors";

    done(&dir, &["condition", "export", "-m", m, "--all", "-o", "speakers"]);
    let high = info(&dir, "speakers/high.bin");
    assert_eq!(high["speaker"]["values"].as_array().unwrap().len(), 4);
    assert!(
        refused(&dir, &["condition", "export", "-m", m, "nobody", "-o", "x.bin"])
            .contains("it knows high, low")
    );

    done(&dir, &["condition", "track", "data/low/0.wav", "--like", "low", "-m", m, "-o", "t.bin"]);
    let track = info(&dir, "t.bin");
    assert_eq!((&track["track"]["frames"], &track["track"]["features"]), (&150.into(), &18.into()));
    assert_eq!(track["stats"], info(&dir, "speakers/low.bin")["stats"]);
    // The same code and statistics as in training, so the same nats from file and from recording.
    let eval = |more: &[&str]| {
        let all = ["eval", "-m", m, "-c", "speakers/low.bin", "--json", "data/low/0.wav"];
        let message = done(&dir, &[&all[..], more].concat());
        serde_json::from_str::<Value>(&message).unwrap()["nats_per_symbol"].as_f64().unwrap()
    };
    assert_eq!(eval(&[]), eval(&["--track", "t.bin"]));

    let with = ["condition", "track", "data/low/1.wav", "--speaker-recordings", "data/low"];
    done(&dir, &[&with[..], &["-c", "speakers/high.bin", "-o", "both.bin"]].concat());
    let both = info(&dir, "both.bin");
    assert_eq!(both["speaker"], high["speaker"]);
    assert!(both["track"].is_object());
    // By the shipped voice's space, for which this recording is too short.
    let message = wavesynth(&dir, &["condition", "track", "data/low/1.wav"]);
    assert!(
        message.status.success()
            && String::from_utf8_lossy(&message.stderr).contains("less than five seconds")
    );
    assert_eq!(info(&dir, "1.bin")["stats"]["common"], Value::Null);
    write_wav(&dir.path("long.wav"), &babble(150.0, 8.0, 1));
    // What else is said is about the sound.
    let message = wavesynth(&dir, &["condition", "track", "long.wav"]).stderr;
    assert!(!String::from_utf8_lossy(&message).contains("less than five seconds"));
    assert!(info(&dir, "long.bin")["stats"]["common"].is_object());
    done(&dir, &["render", "-m", m, "--condition", "both.bin", "-o", "speech.wav"]);

    let parts = ["speakers/high.bin=3", "speakers/low.bin=1", "--name", "between"];
    done(&dir, &[&["condition", "mix"][..], &parts, &["-o", "mix.bin"]].concat());
    let value = |c: &Value| c["speaker"]["values"][0].as_f64().unwrap();
    let (mix, low) = (info(&dir, "mix.bin"), info(&dir, "speakers/low.bin"));
    assert!((value(&mix) - 0.75 * value(&high) - 0.25 * value(&low)).abs() < 1e-6);
    assert_eq!(mix["name"], "between");
    assert!(refused(&dir, &["condition", "mix", "t.bin", "-o", "x.bin"]).contains("has no speaker vector"));
    assert!(
        refused(&dir, &["condition", "mix", "speakers/low.bin=loud", "-o", "x.bin"])
            .contains("wanted FILE or FILE=WEIGHT")
    );

    write_wav(&dir.path("new/a.wav"), &babble(150.0, 2.5, 1));
    let enroll = ["condition", "enroll", "-m", m, "new", "--name", "new", "--steps", "3"];
    done(&dir, &[&enroll[..], &["-o", "new.bin"]].concat());
    assert_eq!(info(&dir, "new.bin")["source"], "enrolled from a.wav");
    let twice = ["condition", "enroll", "-m", m, "new/a.wav", "./new/a.wav", "--name", "n", "-o", "x.bin"];
    assert!(refused(&dir, &twice).contains("./new/a.wav: the same recording is given twice"));
    let message = done(&dir, &["condition", "info", "new.bin"]);
    assert!(message.contains("name     new") && message.contains("median F0 1"), "{message}");
    assert!(
        refused(&dir, &["condition", "enroll", "-m", m, "none", "--name", "n", "-o", "x.bin"])
            .contains("none: no such file or folder")
    );
    assert!(!dir.path("x.bin").exists());
}

/// One bad recording in a folder: an error that names it, or left out and named; never left out in silence.
#[test]
fn a_bad_recording_can_be_left_out_of_a_speaker() {
    let dir = TestDir::with_voices();
    dir.run_file("out", MODEL, "steps = 2\nwindow = 800\nbatch = 2\neval_seconds = 1");
    let m = "out/voice.safetensors";
    assert!(wavesynth(&dir, &["train", "out.toml"]).status.success());
    write_wav(&dir.path("new/a.wav"), &babble(150.0, 2.5, 1));
    let good = std::fs::read(dir.path("new/a.wav")).unwrap();
    std::fs::write(dir.path("new/b.wav"), &good[..good.len() / 2]).unwrap();
    let enroll = ["condition", "enroll", "-m", m, "new", "--name", "new", "--steps", "0", "-o", "new.bin"];
    let track = ["condition", "track", "-m", m, "new/a.wav", "--speaker-recordings", "new", "-o", "t.bin"];
    for command in [&enroll[..], &track] {
        let e = refused(&dir, command);
        assert!(e.contains("b.wav is cut off"), "{e}");
        let out = wavesynth(&dir, &[command, &["--skip-bad"]].concat());
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "{said}");
        assert!(said.contains("1 recordings left out that can't be read:"), "{said}");
        assert!(said.contains("b.wav is cut off"), "{said}");
    }
    assert_eq!(info(&dir, "new.bin")["source"], "enrolled from a.wav");
    std::fs::remove_file(dir.path("new/a.wav")).unwrap();
    let e = refused(&dir, &[&enroll[..], &["--skip-bad", "--force"]].concat());
    assert!(e.contains("none of 1 recordings can be read") && e.contains("b.wav is cut off"), "{e}");
    assert!(
        refused(&dir, &["condition", "track", "new/b.wav", "--skip-bad"]).contains("--speaker-recordings")
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on_and_does() {
    let dir = TestDir::with_voices();
    dir.run_file("out", MODEL, "steps = 100000000\nwindow = 800\nbatch = 2\neval_seconds = 1");
    let run = Command::new(env!("CARGO_BIN_EXE_wavesynth"))
        .args(["train", "out.toml"])
        .current_dir(dir.path(""))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = dir.path("out/log.csv");
    let rows = |log: &Path| std::fs::read_to_string(log).map_or(0, |t| t.lines().count());
    let patience = Instant::now() + Duration::from_secs(60);
    while rows(&log) < 3 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let out = run.wait_with_output().unwrap();
    let message = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "{message}");
    assert!(message.contains("continue with: wavesynth train out.toml --resume"), "{message}");
    let before = rows(&log);
    let more = ["train", "out.toml", "--resume", "--stop-after", "10"];
    let message = String::from_utf8(wavesynth(&dir, &more).stderr).unwrap();
    assert!(message.contains("continue with"), "{message}");
    assert!(rows(&log) > before);
    assert!(refused(&dir, &["train", "out.toml"]).contains("--resume continues it"));
}
