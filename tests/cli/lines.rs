//! Lines that help, and names of every kind.

use crate::common::Folder;
use crate::refuses;

#[test]
fn what_is_wrong_keeps_its_cause_and_its_name() {
    let f = Folder::new();
    std::fs::write(f.path("junk.bin"), "junk").unwrap();
    std::fs::create_dir(f.path("two  blanks")).unwrap();
    let cause = String::from_utf8(f.run("condition info junk.bin").stderr).unwrap();
    let cause = cause.trim().rsplit("junk.bin").next().unwrap().trim_start_matches(':').trim().to_string();
    assert!(cause.len() > 10, "{cause}");
    let render = "render -m voice.safetensors -c ann.bin -o x.wav";
    std::fs::copy(f.path("junk.bin"), f.path("speech.wav")).unwrap();
    refuses(&f, &format!("{render} --input speech.wav --like junk.bin"), 1, &["--like junk.bin", &cause]);
    refuses(&f, "condition track ..", 1, &["..: ", "folder"]);
    refuses(&f, "condition track .", 1, &[".: ", "folder"]);
    let out = f.command("info").arg("no two  blanks").output().unwrap();
    let message = String::from_utf8(out.stderr).unwrap();
    assert!(message.contains("no two  blanks"), "{message}");
}

#[test]
fn a_voices_own_speakers_are_offered_and_taken() {
    let f = Folder::new();
    let render = "render -m voice.safetensors --seconds 0.1 -o x.wav";
    refuses(&f, render, 2, &["--condition", "ann, bob", "wavesynth render --help"]);
    for (name, other) in [("ann", "bob"), ("bob", "ann")] {
        f.ok(&format!("{render} -c {name}"));
        let sound = std::fs::read(f.path("x.wav")).unwrap();
        f.ok(&format!("condition export -m voice.safetensors {name} -o {name}.out"));
        f.ok(&format!("{render} -c {name}.out"));
        assert_eq!(sound, std::fs::read(f.path("x.wav")).unwrap(), "{name}");
        f.ok(&format!("{render} -c {other}"));
        assert_ne!(sound, std::fs::read(f.path("x.wav")).unwrap(), "{name}");
    }
    refuses(&f, "render -m voice.safetensors -o y.wav -c nobody", 1, &["nobody"]);
}

/// Paths are bytes: those that are no UTF-8 are read, written, and told in JSON.
#[cfg(target_os = "linux")]
#[test]
fn paths_that_are_no_utf_8_are_paths() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let f = Folder::new();
    let name = |end: &[u8]| OsStr::from_bytes(&[b"\xff\xfe", end].concat()).to_owned();
    let run = |args: &str, more: &[&OsStr]| {
        let out = f.command(args).args(more).output().unwrap();
        assert!(out.status.success(), "{args} {more:?}: {}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    };
    let (wav, bin, npy) = (name(b".wav"), name(b".bin"), name(b".npy"));
    std::fs::copy(f.path("ann.bin"), f.path(".").join(&bin)).unwrap();
    run("render -m voice.safetensors --seconds 0.5 --json -c", &[&bin, OsStr::new("-o"), &wav]);
    let mut stats = crate::common::speaker([1.0; 4]);
    stats.stats = Some(crate::common::statistics());
    stats.write(&f.path("source.bin")).unwrap();
    run("render -m voice.safetensors -c ann.bin --like source.bin -o b.wav --input", &[&wav]);
    let said = run("eval -m plain.safetensors --json", &[&wav, OsStr::new("--per-symbol"), &npy]);
    assert!(String::from_utf8(said).unwrap().contains("\u{fffd}"));
    run("logits -m plain.safetensors --json -o", &[&npy, OsStr::new("--symbols"), &symbols(&f)]);
    // What can't be a name of anything is named.
    let out = f.command("render -o x.wav --isa").arg(&wav).output().unwrap();
    let message = String::from_utf8(out.stderr).unwrap();
    assert!(message.contains("\\xFF\\xFE.wav") && message.contains("render --help"), "{message}");
}

#[cfg(target_os = "linux")]
fn symbols(f: &Folder) -> std::ffi::OsString {
    f.ok("render -m plain.safetensors --seconds 0.01 -o s.wav --codes s.npy");
    "s.npy".into()
}
