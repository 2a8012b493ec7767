//! Speakers of condition files: whose statistics count, and what an enrolled one is.

use super::common::{self, Folder};
use super::{recordings, refuses};
use wavesynth_audio::cond::Condition;
use wavesynth_audio::features::SpeakerStats;

/// With `speech.wav`, and `me.bin`, a speaker as `condition enroll` writes one: a vector that is read in another's numbers.
fn folder() -> Folder {
    let f = Folder::new();
    recordings::speech(&f, "speech.wav", 1, |x| vec![x]);
    let mut me = common::speaker([1.0, 0.0, -1.0, 0.5]);
    me.name = "me".into();
    me.stats = Some(SpeakerStats { median_f0_hz: 180.0, ..common::statistics() });
    me.speaker.as_mut().unwrap().reads = Some(SpeakerStats { mean: [-8.0; 16], ..common::statistics() });
    me.write(&f.path("me.bin")).unwrap();
    f
}

/// Speaker and track in one file are what they are in two: with the speaker's own track, and with another's.
#[test]
fn a_speaker_beside_a_track_stays_who_he_is() {
    let f = folder();
    f.ok("condition mix ann.bin=1 bob.bin=1 -o mix.bin");
    let mut other = common::speaker([0.0; 4]);
    other.stats = Some(common::statistics());
    other.write(&f.path("other.bin")).unwrap();
    for (who, like) in [("me", "me"), ("me", "other"), ("other", "me"), ("mix", "me")] {
        f.ok(&format!("condition track speech.wav --like {like}.bin -o t.bin --force"));
        f.ok(&format!("condition track speech.wav --like {like}.bin -c {who}.bin -o both.bin --force"));
        f.ok(&format!("render -m voice.safetensors -c {who}.bin -t t.bin -o two.wav"));
        f.ok("render -m voice.safetensors -c both.bin -o one.wav");
        let wav = |name: &str| std::fs::read(f.path(name)).unwrap();
        assert!(wav("one.wav") == wav("two.wav"), "{who} with a track like {like}");
        // A recording is normalised by its speaker's numbers, and not by those of a track that lies beside him.
        let copied = |c: &str| {
            f.json(&format!("copy -m voice.safetensors -c {c}.bin speech.wav"))["log_mel_db"].clone()
        };
        assert_eq!(copied("both"), copied(who), "{who} with a track like {like}");
        let as_him = |c: &str| {
            f.ok(&format!("condition track speech.wav --like {c}.bin -o l.bin --force"));
            Condition::read(&f.path("l.bin")).unwrap().track
        };
        if who != "mix" {
            assert!(as_him("both") == as_him(who), "{who} with a track like {like}");
        }
    }
    // A file whose speaker can't be known.
    let mut both = Condition::read(&f.path("both.bin")).unwrap();
    both.speaker = Condition::read(&f.path("me.bin")).unwrap().speaker;
    both.write(&f.path("old.bin")).unwrap();
    refuses(&f, "render -m voice.safetensors -c old.bin -o x.wav", 1, &["old.bin", "make the file again"]);
}

#[test]
fn what_names_no_speaker_is_refused() {
    let f = folder();
    refuses(
        &f,
        "copy -m voice.safetensors -c track.bin speech.wav -o copies",
        2,
        &["track.bin: holds no speaker"],
    );
    for args in [
        "render -m voice.safetensors -c ann.bin -t track.bin -o x.wav",
        "render -m voice.safetensors --jobs l.tsv",
    ] {
        refuses(&f, &format!("{args} --like nobody.bin"), 2, &["--like"]);
    }
    refuses(&f, "condition mix me.bin ann.bin -o x.bin", 1, &["\"me\" is an enrolled speaker"]);
    refuses(&f, "say -m voice.safetensors --speech xx hello -o x.wav", 2, &["--speech xx: no such file"]);
    refuses(&f, "say -m plain.safetensors hello -o x.wav", 2, &["takes no track"]);
}

#[test]
fn a_copy_of_stdin_has_a_name() {
    let f = folder();
    let speech = std::fs::File::open(f.path("speech.wav")).unwrap();
    let out = f.command("copy -m voice.safetensors -c me.bin - -o copies").stdin(speech).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(f.path("copies/stdin.wav").exists());
}

#[test]
fn what_a_file_holds_is_shown() {
    let f = folder();
    let text = |args: &str| String::from_utf8(f.ok(args)).unwrap();
    assert!(text("condition info me.bin").contains("played as the nearest speaker"));
    assert!(!text("condition info ann.bin").contains("enrolled"));
    assert_eq!(f.json("condition info me.bin")["speaker"]["adaptation_values"], 0);
}

/// The language is that of the speaker, whatever the file is called.
#[test]
fn a_condition_speaks_its_own_language() {
    let f = Folder::new();
    f.ok("condition export ru_nsh -o nsh.bin");
    f.ok("condition export en_allison -o fr_copy.bin");
    let phones = |c: &str, text: &str| {
        f.command(&format!("say -c {c} --print-phones")).arg(text).output().unwrap().stdout
    };
    assert_eq!(phones("nsh.bin", "Привет"), phones("ru_nsh", "Привет"));
    assert_eq!(phones("fr_copy.bin", "Hello"), phones("en_allison", "Hello"));
    assert_ne!(phones("fr_copy.bin", "Hello"), phones("fr_june", "Hello"));
}

/// A pipe is read once, and the commands to type next can be typed.
#[cfg(all(unix, feature = "train"))]
#[test]
fn enrolling_takes_a_pipe_and_says_what_to_type() {
    let f = folder();
    assert!(std::process::Command::new("mkfifo").arg(f.path("fifo")).status().unwrap().success());
    let (from, fifo) = (f.path("speech.wav"), f.path("fifo"));
    let writer = std::thread::spawn(move || std::fs::write(fifo, std::fs::read(from).unwrap()).unwrap());
    let enroll = "condition enroll -m voice.safetensors --steps 0 --name new";
    for name in ["b.wav", "c.wav"] {
        std::fs::copy(f.path("speech.wav"), f.path(name)).unwrap();
    }
    let out = f.command(&format!("{enroll} fifo b.wav c.wav -o")).arg("my new.bin").output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "{said}");
    writer.join().unwrap();
    assert!(said.contains("--condition 'my new.bin'"), "{said}");
    assert!(said.contains("new is played as") && !said.contains("no adaptation was better"), "{said}");
    f.ok(&format!("{enroll} speech.wav b.wav c.wav -o file.bin"));
    let read = |name: &str| Condition::read(&f.path(name)).unwrap();
    assert_eq!(read("my new.bin").speaker, read("file.bin").speaker);
    assert_eq!(read("my new.bin").stats, read("file.bin").stats);
    refuses(&f, &format!("{enroll} speech.wav --seed -1 -o x.bin"), 2, &["--seed", "whole number"]);
}
