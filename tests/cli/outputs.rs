//! What every command does to what is at the place of its outputs.

use super::common::{self, Folder};
use super::{refuses, write_npy};
use std::fs;
use wavesynth::voice::SECTION;

/// Every command with an output, and the option or the place of it at the end; each could write `name` within its work.
fn writers() -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("render -m voice.safetensors --condition ann.bin --seconds 0.01 -o", "wav"),
        ("render -m voice.safetensors --condition ann.bin --seconds 0.01 --format s16 -o", "raw"),
        ("render -m voice.safetensors --condition ann.bin --seconds 0.01 -o kept.wav --codes", "npy"),
        ("copy -m voice.safetensors --condition ann.bin in.wav --picture", "png"),
        ("convert -m voice.safetensors --dtype i8 -o", "safetensors"),
        ("logits -m plain.safetensors --symbols s.npy -o", "npy"),
        ("eval -m voice.safetensors --condition ann.bin in.wav --per-symbol", "npy"),
        ("condition mix ann.bin bob.bin -o", "bin"),
        ("condition export -m voice.safetensors ann -o", "bin"),
        ("condition track in.wav -m voice.safetensors -o", "bin"),
        ("bench growth --seconds 0.001 --longest 0.01 --plot", "svg"),
        ("bench growth --seconds 0.001 --longest 0.01 --table", "md"),
        ("bench limits -m voice.safetensors --seconds 0.01 --plot", "svg"),
        ("bench limits -m voice.safetensors --seconds 0.01 --table", "md"),
        ("compare text.safetensors --text in.txt --table", "md"),
        ("compare text.safetensors --text in.txt --judge text.safetensors --plot", "svg"),
    ];
    if cfg!(feature = "train") {
        all.push(("condition enroll in.wav --name x -m voice.safetensors -o", "bin"));
    }
    all
}

/// Those that work for less than a second and write without reading `in.wav`.
fn quick_writers() -> Vec<(&'static str, &'static str)> {
    writers().into_iter().filter(|(c, _)| !c.contains("in.wav") && !c.starts_with("bench")).collect()
}

/// The folder of the small voice, with a recording, symbols, a text and a text model.
pub(super) fn folder() -> Folder {
    let f = Folder::new();
    f.ok("render -m voice.safetensors --condition both.bin -o in.wav");
    write_npy(&f, "s.npy", &[1u8, 2, 3]);
    let mut model = common::text_model(256);
    model.header.sections.insert("text".into(), serde_json::json!({ "tokenizer": "bytes" }));
    model.write(&f.path("text.safetensors")).unwrap();
    fs::write(f.path("in.txt"), "abcde\n".repeat(300)).unwrap();
    f
}

#[test]
fn places_that_cannot_be_written_are_refused_before_the_work() {
    let f = folder();
    fs::create_dir(f.path("there")).unwrap();
    for (command, ending) in writers() {
        fs::write(f.path(&format!("fixed.{ending}")), b"").unwrap();
        let mut permissions = fs::metadata(f.path(&format!("fixed.{ending}"))).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(f.path(&format!("fixed.{ending}")), permissions).unwrap();
        refuses(&f, &format!("{command} no/x.{ending}"), 1, &["no/x", "no folder"]);
        refuses(&f, &format!("{command} there"), 1, &["there", "folder"]);
        refuses(&f, &format!("{command} fixed.{ending}"), 1, &["fixed", "read-only", "--force"]);
        refuses(&f, &format!("{command} x.flac"), 2, &["x.flac", "x."]);
    }
    for command in ["copy -m voice.safetensors --condition ann.bin in.wav -o", "man"] {
        refuses(&f, &format!("{command} in.txt"), 1, &["in.txt", "folder"]);
        refuses(&f, &format!("{command} in.txt/in"), 1, &["in.txt/in", "folder"]);
        refuses(&f, &format!("{command} -"), 2, &["stdout", "folder"]);
    }
}

#[test]
fn a_file_of_another_kind_stays() {
    let f = folder();
    fs::write(f.path("mine"), "Dear diary\n").unwrap();
    for (command, ending) in writers() {
        let name = format!("mine.{ending}");
        fs::write(f.path(&name), "Dear diary\n").unwrap();
        refuses(&f, &format!("{command} {name}"), 1, &[&name, "--force"]);
        refuses(&f, &format!("{command} mine"), 1, &["mine", "--force"]);
        assert_eq!(fs::read(f.path(&name)).unwrap(), b"Dear diary\n", "{command}");
        fs::remove_file(f.path(&name)).unwrap();
    }
    // Binary files of the program's own.
    let before = |name: &str| fs::read(f.path(name)).unwrap();
    for (command, victim) in [
        ("condition track in.wav -m voice.safetensors -o", "ann.bin"),
        ("condition mix ann.bin bob.bin -o", "track.bin"),
        ("condition mix ann.bin bob.bin -o", "both.bin"),
        ("convert -m text.safetensors --dtype f16 -o", "voice.safetensors"),
        ("render -m plain.safetensors --seconds 0.01 --format s16 -o", "s.npy"),
    ] {
        let whole = before(victim);
        let status = if victim == "s.npy" { 2 } else { 1 };
        refuses(&f, &format!("{command} {victim}"), status, &[victim]);
        assert_eq!(before(victim), whole, "{command}");
    }
    f.ok("convert -m text.safetensors --dtype f16 -o voice.safetensors --force");
    // The same kind is replaced, time and again.
    for _ in 0..2 {
        for (command, ending) in quick_writers().into_iter().filter(|(c, _)| !c.contains("voice")) {
            f.ok(&format!("{command} again.{ending}"));
        }
        f.ok("bench growth --seconds 0.001 --longest 0.01 --plot bench.svg --table bench.md");
    }
}

#[cfg(unix)]
#[test]
fn inputs_stay_whatever_way_they_are_named() {
    use std::os::unix::fs::symlink;
    let f = folder();
    fs::create_dir(f.path("in")).unwrap();
    for name in ["in.wav", "s.npy", "voice.safetensors", "ann.bin", "both.bin"] {
        fs::hard_link(f.path(name), f.path(&format!("hard-{name}"))).unwrap();
        symlink(name, f.path(&format!("soft-{name}"))).unwrap();
    }
    let here = f.path("").canonicalize().unwrap();
    for (command, input) in [
        ("render --condition ann.bin -m voice.safetensors --input in.wav -o", "in.wav"),
        ("render --condition ann.bin -m voice.safetensors --uniforms s.npy -o x.wav --codes", "s.npy"),
        ("convert -m voice.safetensors --dtype i8 --force -o", "voice.safetensors"),
        ("logits -m voice.safetensors --condition ann.bin --symbols s.npy -o", "s.npy"),
        ("condition mix ann.bin both.bin=2 --force -o", "ann.bin"),
        ("condition mix ann.bin both.bin=2 --force -o", "both.bin"),
        ("condition track in.wav --like both.bin -m voice.safetensors --force -o", "both.bin"),
    ] {
        let whole = fs::read(f.path(input)).unwrap();
        let absolute = here.join(input).display().to_string();
        for way in [
            input,
            &format!("./{input}"),
            &format!("in/../{input}"),
            &absolute,
            &format!("hard-{input}"),
            &format!("soft-{input}"),
        ] {
            refuses(&f, &format!("{command} {way}"), 2, &[way, "read by the same command"]);
        }
        assert_eq!(fs::read(f.path(input)).unwrap(), whole, "{command}");
    }
    let copy = "copy -m voice.safetensors --condition ann.bin";
    refuses(&f, &format!("{copy} in.wav -o ."), 2, &["in.wav", "read by"]);
    fs::copy(f.path("in.wav"), f.path("in/in.wav")).unwrap();
    refuses(&f, &format!("{copy} in.wav in/in.wav -o out"), 2, &["out/in.wav", "in/in.wav"]);
    refuses(&f, &format!("{copy} in.wav -o out --picture out/in.wav"), 2, &["out/in.wav"]);
    refuses(&f, &format!("{copy} in.wav -o in --picture in.wav"), 2, &["in.wav"]);
    // In a list, too.
    fs::write(f.path("list.tsv"), "both.bin\t-\t1\tboth.bin\n").unwrap();
    refuses(&f, "render -m voice.safetensors --jobs list.tsv --force", 1, &["line 1", "both.bin"]);
}

#[cfg(target_os = "linux")]
#[test]
fn links_pipes_and_devices_stay_what_they_are() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let f = folder();
    symlink("/proc/self/fd/1", f.path("out")).unwrap();
    symlink("/dev/null", f.path("null")).unwrap();
    for (command, ending) in quick_writers() {
        f.ok(&format!("{command} null"));
        assert!(f.path("null").is_symlink(), "{command}");
        // A pipe gets what a file gets, but for the header of sound, which does not know its length.
        f.ok(&format!("{command} file.{ending}"));
        let file = fs::read(f.path(&format!("file.{ending}"))).unwrap();
        fs::remove_file(f.path(&format!("file.{ending}"))).unwrap();
        let fifo = f.path("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let reader = std::thread::spawn({
            let fifo = fifo.clone();
            move || fs::read(fifo).unwrap()
        });
        f.ok(&format!("{command} fifo"));
        assert!(fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo(), "{command}");
        let piped = reader.join().unwrap();
        if !command.starts_with("bench") && !command.starts_with("compare") {
            let head = if ending == "wav" { 44 } else { 0 };
            assert!(piped.len() == file.len() && piped[head..] == file[head..], "{command}");
        }
        assert!(!piped.is_empty(), "{command}");
        fs::remove_file(&fifo).unwrap();
        // What prints a table as well has no stdout left.
        let prints = ["bench", "compare", "eval"].iter().any(|c| command.starts_with(c));
        for name in ["-", "out"] {
            match prints {
                true => refuses(&f, &format!("{command} {name}"), 2, &["stdout"]),
                false => assert!(
                    f.ok(&format!("{command} {name}"))[head_of(ending)..] == file[head_of(ending)..],
                    "{command}"
                ),
            }
            assert!(f.path("out").is_symlink(), "{command}");
        }
    }
    for command in ["render -m plain.safetensors --seconds 0.1 -o", "convert --dtype i8 -o"] {
        refuses(&f, &format!("{command} /dev/full"), 1, &["/dev/full"]);
    }
    refuses(&f, "render -m plain.safetensors --seconds 0.1 -o - --codes -", 2, &["-o", "--codes", "stdout"]);
    refuses(&f, "logits -m plain.safetensors --symbols s.npy -o - --json", 2, &["--json", "stdout"]);
}

fn head_of(ending: &str) -> usize {
    if ending == "wav" { 44 } else { 0 }
}

#[cfg(unix)]
#[test]
fn permissions_and_links_survive() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let f = folder();
    for (command, ending) in quick_writers() {
        let (file, link) = (format!("file.{ending}"), format!("link.{ending}"));
        f.ok(&format!("{command} {file}"));
        fs::set_permissions(f.path(&file), fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&file, f.path(&link)).unwrap();
        f.ok(&format!("{command} {link}"));
        assert!(f.path(&link).is_symlink(), "{command}");
        assert_eq!(fs::metadata(f.path(&file)).unwrap().permissions().mode() & 0o777, 0o600, "{command}");
        fs::remove_file(f.path(&file)).unwrap();
        fs::remove_file(f.path(&link)).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn the_next_run_clears_what_a_killed_one_left() {
    let f = Folder::new();
    let hidden = || f.files().into_iter().filter(|n| n.starts_with('.')).collect::<Vec<_>>();
    let start = |name: &str| {
        let render = format!("render -m plain.safetensors --seconds 80000 -o {name}");
        let child = f.command(&render).stderr(std::process::Stdio::null()).spawn().unwrap();
        let began = std::time::Instant::now();
        while !hidden().iter().any(|n| n.contains(name)) && began.elapsed().as_secs() < 20 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        child
    };
    let mut running = start("b.wav");
    let mut killed = start("a.wav");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(hidden().len(), 2);
    f.ok("render -m plain.safetensors --seconds 0.01 -o a.wav");
    assert_eq!(hidden().len(), 1, "{:?}", hidden());
    // Another run of the same output does not take away what a living one writes.
    f.ok("render -m plain.safetensors --seconds 0.01 -o b.wav");
    assert_eq!(hidden().len(), 1, "{:?}", hidden());
    running.kill().unwrap();
    running.wait().unwrap();
    f.ok("render -m plain.safetensors --seconds 0.01 -o b.wav");
    assert_eq!(hidden(), [""; 0]);
}

#[test]
fn a_name_says_what_is_in_the_file() {
    let f = Folder::new();
    let render = "render -m plain.safetensors --seconds 0.01 -o";
    for ending in ["flac", "mp3", "ogg", "opus", "m4a", "aiff", "MP3"] {
        refuses(
            &f,
            &format!("{render} x.{ending}"),
            2,
            &[&format!(".{}", ending.to_lowercase()), "x.wav", "ffmpeg"],
        );
        refuses(&f, &format!("{render} x.{ending} --force"), 2, &["x.wav"]);
    }
    refuses(&f, &format!("{render} x.raw"), 2, &["--format s16"]);
    refuses(&f, &format!("{render} x.wav --format s16"), 2, &["x.raw"]);
    for good in ["x.wav", "x.WAV", "x", "x.take2", "x.raw --format s16", "x.pcm --format s16"] {
        f.ok(&format!("{render} {good}"));
    }
}

/// The small voice whose speakers have other names.
fn named(f: &Folder, file: &str, names: [&str; 2]) {
    let mut model = common::checkpoint(&common::config());
    for (i, name) in names.into_iter().enumerate() {
        model.header.sections[SECTION]["speakers"][i]["name"] = name.into();
    }
    model.write(&f.path(file)).unwrap();
}

#[test]
fn names_from_files_stay_in_their_folder_and_line() {
    let f = Folder::new();
    let absolute = f.path("evil").display().to_string();
    let long = "x".repeat(300);
    for name in ["../evil", &absolute, "a/b", "a\\b", "..", "", "a\nb", "\x1b[2J", "\u{202e}a", &long] {
        named(&f, "evil.safetensors", ["bob", name]);
        let export = "condition export -m evil.safetensors";
        for command in
            [&format!("{export} --all -o ex"), "info evil.safetensors", &format!("{export} bob -o x.bin")]
        {
            refuses(&f, command, 1, &["evil.safetensors", "name of speaker 1"]);
        }
        if !name.is_empty() {
            let mut condition = common::speaker([0.0; 4]);
            condition.name = name.into();
            assert!(condition.write(&f.path("evil.bin")).is_err(), "{name:?}");
        }
        let out = f.command("condition mix ann.bin bob.bin -o x.bin --name").arg(name).output().unwrap();
        let message = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.code() == Some(2) && message.lines().count() == 1, "{message}");
        assert!(!message.contains(['\x1b', '\u{202e}']), "{message:?}");
    }
    for (names, words) in [(["ann", "ANN"], "one file"), (["ann", "ann"], "two speakers")] {
        named(&f, "twins.safetensors", names);
        refuses(&f, "condition export -m twins.safetensors --all -o ex", 1, &["twins.safetensors", words]);
    }
    // A condition file that was made with a bad name, by exchanging bytes.
    let mut bytes = fs::read(f.path("ann.bin")).unwrap();
    let at = bytes.windows(7).position(|w| w == b"speaker").unwrap();
    bytes[at..at + 7].copy_from_slice(b"../evil");
    fs::write(f.path("evil.bin"), bytes).unwrap();
    refuses(&f, "condition info evil.bin", 1, &["evil.bin", "separator"]);
}
