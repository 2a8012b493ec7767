//! The commands that train and make conditions, run as a user runs them.

use crate::common::{Place, babble, write_wav};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const MODEL: &str =
    "residual_channels = 8\nskip_channels = 8\ndilations = [1, 2, 4]\nspeaker_dim = 4\nhidden = 8";

pub fn wavesynth(place: &Place, args: &[&str]) -> Output {
    let exe = env!("CARGO_BIN_EXE_wavesynth");
    Command::new(exe).args(args).current_dir(place.path("")).stdin(Stdio::null()).output().unwrap()
}

pub fn done(place: &Place, args: &[&str]) -> String {
    let out = wavesynth(place, args);
    let (said, err) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{args:?}: {err}");
    said
}

pub fn refused(place: &Place, args: &[&str]) -> String {
    let out = wavesynth(place, args);
    let err = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success() && err.lines().count() == 1, "{args:?}: {err}");
    err
}

fn info(place: &Place, file: &str) -> Value {
    serde_json::from_str(&done(place, &["condition", "info", file, "--json"])).unwrap()
}

#[test]
fn from_recordings_to_every_kind_of_condition() {
    let place = Place::with_voices();
    place.run_file("out", MODEL, "steps = 20\nwindow = 800\nbatch = 2\neval_seconds = 1");
    let said = wavesynth(&place, &["train", "out.toml"]);
    let said = String::from_utf8(said.stderr).unwrap();
    for part in ["memory: about", "to beat:", "held-out", "step 20 of 20"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let m = "out/voice.safetensors";

    done(&place, &["condition", "export", "-m", m, "--all", "-o", "speakers"]);
    let high = info(&place, "speakers/high.bin");
    assert_eq!(high["speaker"]["values"].as_array().unwrap().len(), 4);
    assert!(
        refused(&place, &["condition", "export", "-m", m, "nobody", "-o", "x.bin"])
            .contains("it knows high, low")
    );

    done(&place, &["condition", "track", "data/low/0.wav", "--like", "low", "-m", m, "-o", "t.bin"]);
    let track = info(&place, "t.bin");
    assert_eq!((&track["track"]["frames"], &track["track"]["features"]), (&150.into(), &18.into()));
    assert_eq!(track["stats"], info(&place, "speakers/low.bin")["stats"]);
    // The same code and statistics as in training, so the same nats from file and from recording.
    let eval = |more: &[&str]| {
        let all = ["eval", "-m", m, "-c", "speakers/low.bin", "--json", "data/low/0.wav"];
        let said = done(&place, &[&all[..], more].concat());
        serde_json::from_str::<Value>(&said).unwrap()["nats_per_symbol"].as_f64().unwrap()
    };
    assert_eq!(eval(&[]), eval(&["--track", "t.bin"]));

    let with = ["condition", "track", "data/low/1.wav", "--speaker-recordings", "data/low"];
    done(&place, &[&with[..], &["-c", "speakers/high.bin", "-o", "both.bin"]].concat());
    let both = info(&place, "both.bin");
    assert_eq!(both["speaker"], high["speaker"]);
    assert!(both["track"].is_object());
    // By the shipped voice's space, for which this recording is too short.
    let said = wavesynth(&place, &["condition", "track", "data/low/1.wav"]);
    assert!(
        said.status.success() && String::from_utf8_lossy(&said.stderr).contains("less than five seconds")
    );
    assert_eq!(info(&place, "1.bin")["stats"]["common"], Value::Null);
    write_wav(&place.path("long.wav"), &babble(150.0, 8.0, 1));
    assert_eq!(String::from_utf8_lossy(&wavesynth(&place, &["condition", "track", "long.wav"]).stderr), "");
    assert!(info(&place, "long.bin")["stats"]["common"].is_object());
    done(&place, &["render", "-m", m, "--condition", "both.bin", "-o", "said.wav"]);

    let parts = ["speakers/high.bin=3", "speakers/low.bin=1", "--name", "between"];
    done(&place, &[&["condition", "mix"][..], &parts, &["-o", "mix.bin"]].concat());
    let value = |c: &Value| c["speaker"]["values"][0].as_f64().unwrap();
    let (mix, low) = (info(&place, "mix.bin"), info(&place, "speakers/low.bin"));
    assert!((value(&mix) - 0.75 * value(&high) - 0.25 * value(&low)).abs() < 1e-6);
    assert_eq!(mix["name"], "between");
    assert!(refused(&place, &["condition", "mix", "t.bin", "-o", "x.bin"]).contains("has no speaker vector"));
    assert!(
        refused(&place, &["condition", "mix", "speakers/low.bin=loud", "-o", "x.bin"])
            .contains("wanted FILE or FILE=WEIGHT")
    );

    write_wav(&place.path("new/a.wav"), &babble(150.0, 2.5, 1));
    let enroll = ["condition", "enroll", "-m", m, "new", "--name", "new", "--steps", "3"];
    done(&place, &[&enroll[..], &["-o", "new.bin"]].concat());
    assert_eq!(info(&place, "new.bin")["source"], "enrolled from a.wav");
    let said = done(&place, &["condition", "info", "new.bin"]);
    assert!(said.contains("name     new") && said.contains("median F0 1"), "{said}");
    assert!(
        refused(&place, &["condition", "enroll", "-m", m, "none", "--name", "n", "-o", "x.bin"])
            .contains("none: no such file or folder")
    );
    assert!(!place.path("x.bin").exists());
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_how_to_go_on_and_does() {
    let place = Place::with_voices();
    place.run_file("out", MODEL, "steps = 100000000\nwindow = 800\nbatch = 2\neval_seconds = 1");
    let run = Command::new(env!("CARGO_BIN_EXE_wavesynth"))
        .args(["train", "out.toml"])
        .current_dir(place.path(""))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = place.path("out/log.csv");
    let rows = |log: &Path| std::fs::read_to_string(log).map_or(0, |t| t.lines().count());
    let patience = Instant::now() + Duration::from_secs(60);
    while rows(&log) < 3 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let out = run.wait_with_output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "{said}");
    assert!(said.contains("continue with: wavesynth train out.toml --resume"), "{said}");
    let before = rows(&log);
    let more = ["train", "out.toml", "--resume", "--stop-after", "10"];
    let said = String::from_utf8(wavesynth(&place, &more).stderr).unwrap();
    assert!(said.contains("continue with"), "{said}");
    assert!(rows(&log) > before);
    assert!(refused(&place, &["train", "out.toml"]).contains("--resume continues it"));
}
