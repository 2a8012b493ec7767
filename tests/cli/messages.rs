//! What is printed: names and texts of files as they are shown, and an end that nobody reads.

use super::common::{self, Folder};
use super::outputs::folder;
use std::fs;

#[test]
fn what_files_and_arguments_say_is_shown_and_not_obeyed() {
    let f = Folder::new();
    let mut model = common::checkpoint(&common::config());
    let sections = &mut model.header.sections;
    let note = "\x1b[31mred\nspeakers         99: none\u{202e}";
    sections
        .insert("training".into(), serde_json::json!({ "note": note, "a\nb": 1, "run": "a = 1\nb = 2\n" }));
    sections.insert("\x1b[2J".into(), serde_json::json!("x"));
    model.write(&f.path("evil.safetensors")).unwrap();
    let harmless = |out: Vec<u8>| {
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains(['\x1b', '\u{202e}', '\x07']), "{text:?}");
        text
    };
    let page = harmless(f.ok("info evil.safetensors"));
    assert_eq!(page.lines().filter(|l| l.starts_with("speakers")).count(), 1, "{page}");
    assert!(page.contains("\\u{1b}[31mred") && page.contains(" | b = 2"), "{page}");
    harmless(f.ok("info evil.safetensors --json"));
    let json = f.json("info evil.safetensors");
    assert_eq!(json["sections"]["training"]["note"], note);
    for args in [
        vec!["info", "\x1b[2J\x07"],
        vec!["\x1b[2J"],
        vec!["render", "-o", "x\x07\u{202e}.mp3", "-m", "plain.safetensors"],
    ] {
        let out = f.command("").args(&args).output().unwrap();
        assert!(!out.status.success());
        assert_eq!(harmless(out.stderr).lines().count(), 1, "{args:?}");
    }
}

/// A table has a row for a file, whatever the file is called.
#[cfg(unix)]
#[test]
fn a_line_break_in_a_name_begins_no_row() {
    let f = Folder::new();
    let name = "a\nforged   1.0000.wav";
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(f.path(name), spec).unwrap();
    // Too short for training, and with a high offset: something to say of it.
    (0..8_000).for_each(|i| wav.write_sample(9_000 + (i % 64) as i16 * 100).unwrap());
    wav.finalize().unwrap();
    for args in [
        vec!["eval", "-m", "plain.safetensors", name],
        vec!["copy", "-m", "voice.safetensors", "-c", "ann.bin", "-o", "copies", name],
        vec!["condition", "check", name],
    ] {
        let out = f.command("").args(&args).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        let table = String::from_utf8(out.stdout).unwrap();
        assert!(
            table.contains(r"a\nforged") && !table.lines().any(|l| l.starts_with("forged")),
            "{args:?}: {table}"
        );
    }
}

/// Where a result can't be written, the place is said.
#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_named() {
    let f = Folder::new();
    for command in
        ["info voice.safetensors", "info voice.safetensors --json", "condition list", "completions bash"]
    {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let out = f.command(command).stdout(full).output().unwrap();
        let message = String::from_utf8(out.stderr).unwrap();
        assert!(
            message.starts_with("error: cannot write -: ") && message.lines().count() == 1,
            "{command}: {message}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn no_message_ends_the_work() {
    let f = folder();
    let commands = [
        ("nonsense", Some(2)),
        ("", Some(2)),
        ("render -m none.safetensors -o x.wav", Some(1)),
        ("render -m plain.safetensors --seconds 0.01 -o x.wav", Some(0)),
        ("condition mix ann.bin bob.bin -o -", Some(0)),
        ("info", Some(0)),
    ];
    for (command, status) in commands {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        assert_eq!(f.command(command).stderr(full).output().unwrap().status.code(), status, "{command}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(f.command(command).stderr(writer).output().unwrap().status.code(), status, "{command}");
        let closed = format!("exec '{}' {command} 2>&-", env!("CARGO_BIN_EXE_wavesynth"));
        let mut shell = std::process::Command::new("sh");
        let out = shell.arg("-c").arg(closed).current_dir(f.path("")).output().unwrap();
        assert_eq!(out.status.code(), status, "{command}");
    }
    // A full stdout is a failure, a closed one is the reader's decision.
    for command in
        ["info", "help", "render -m plain.safetensors --seconds 0.01 -o -", "convert --dtype i8 -o -"]
    {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        assert_eq!(f.command(command).stdout(full).output().unwrap().status.code(), Some(1), "{command}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let out = f.command(command).stdout(writer).output().unwrap();
        assert!(out.status.success() && out.stderr.is_empty(), "{command}");
    }
}

/// All messages go through one writer, which can't fail.
#[test]
fn no_source_file_prints_past_the_writer_of_messages() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = ["src", "audio/src", "models/src", "output/src"].map(|f| root.join(f)).to_vec();
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let tests = match path.ends_with("tests.rs") {
                true => 0,
                false => text.lines().position(|l| l.contains("#[cfg(test)]")).unwrap_or(usize::MAX),
            };
            for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
                for word in
                    ["eprintln!", "eprint!", "println!", "print!", "dbg!", "File::create(", "fs::write("]
                {
                    let found = line
                        .match_indices(word)
                        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
                    assert!(!found || i > tests, "{}:{}: {word}", path.display(), i + 1);
                }
            }
            files += 1;
        }
    }
    assert!(files > 150, "{files}");
}
