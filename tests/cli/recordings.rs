//! Recordings as people have them: every format, from files and pipes, and what is said about them.

use super::common::{Folder, speaker};
use super::{number, refuses};
use std::f64::consts::TAU;
use std::path::Path;
use std::process::Stdio;
use wavesynth_audio::cond::Condition;

/// Copies of the recordings of one tone in many formats, and its samples.
fn folder() -> Folder {
    let f = Folder::new();
    for entry in
        std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("audio/tests/recordings")).unwrap()
    {
        let path = entry.unwrap().path();
        std::fs::copy(&path, f.path(path.file_name().unwrap().to_str().unwrap())).unwrap();
    }
    speech(&f, "speech.wav", 1, |x| vec![x]);
    f.ok("condition track speech.wav -o like.bin");
    f
}

/// A second of a voice-like sound, its channels made from it by `frame`, in floats.
pub fn speech(f: &Folder, name: &str, channels: u16, frame: impl Fn(f64) -> Vec<f64>) {
    let spec = hound::WavSpec {
        channels,
        sample_rate: 16_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut wav = hound::WavWriter::create(f.path(name), spec).unwrap();
    for i in 0..16_000 {
        let t = f64::from(i) / 16_000.0;
        let vowel: f64 =
            (1..20).map(|h| (TAU * 130.0 * t * f64::from(h) + f64::from(h * h)).sin() / f64::from(h)).sum();
        let loud = 0.3 * (0.6 + 0.4 * (TAU * 3.0 * t).sin());
        frame(loud * vowel).iter().for_each(|x| wav.write_sample(*x as f32).unwrap());
    }
    wav.finalize().unwrap();
}

/// What the program says on stderr, one line each.
fn said(f: &Folder, args: &str) -> Vec<String> {
    let out = f.run(args);
    let message = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "{args}: {message}");
    // That a second of speech is not aligned is no matter of the recording.
    message.lines().filter(|l| !l.starts_with("less than five seconds")).map(str::to_owned).collect()
}

#[test]
fn every_command_reads_every_format() {
    let f = folder();
    // The same samples in all of these.
    let score = |name: &str| {
        let mut v = f.json(&format!("eval -m plain.safetensors {name}"));
        v["inputs"][0]["input"].take();
        v
    };
    let wanted = score("rf64.wav");
    assert_eq!(number(&wanted, "symbols"), 3_200.0);
    for name in ["tone.flac", "tone.aiff", "tone.caf"] {
        assert_eq!(score(name), wanted, "{name}");
    }
    f.ok("condition track rf64.wav --like like.bin -o want.bin");
    let track = |name: &str| {
        f.ok(&format!("condition track {name} --like like.bin -o t.bin"));
        Condition::read(&f.path("t.bin")).unwrap().track
    };
    let wanted = Condition::read(&f.path("want.bin")).unwrap().track;
    assert!(track("tone.flac") == wanted);
    for name in
        ["tone.ogg", "tone.mp3", "tone.m4a", "tone.aac", "lossless.m4a", "alaw.wav", "mulaw.wav", "adpcm.wav"]
    {
        assert!(track(name).unwrap().len() >= 20, "{name}");
    }
    let stats = Condition::read(&f.path("like.bin")).unwrap().stats;
    Condition { stats, ..speaker([1.0; 4]) }.write(&f.path("own.bin")).unwrap();
    f.ok("copy -m voice.safetensors --condition own.bin tone.mp3 -o copies");
    assert!(f.path("copies/tone.wav").exists());
    let render = "render -m voice.safetensors --condition bob.bin --like like.bin --input";
    f.ok(&format!("{render} rf64.wav -o a.wav"));
    f.ok(&format!("{render} tone.flac -o b.wav"));
    let read = |name: &str| std::fs::read(f.path(name)).unwrap();
    assert!(read("a.wav") == read("b.wav"));
}

#[test]
fn pipes_give_what_files_give() {
    let f = folder();
    f.ok("condition track rf64.wav --like like.bin -o want.bin");
    let wanted = Condition::read(&f.path("want.bin")).unwrap().track;
    for name in ["rf64.wav", "tone.flac", "lossless.m4a"] {
        f.ok(&format!("condition track {name} --like like.bin -o file.bin"));
        let stdin = std::fs::File::open(f.path(name)).unwrap();
        // A pipe, and not the file that stdin is.
        let mut cat = std::process::Command::new("cat").stdin(stdin).stdout(Stdio::piped()).spawn().unwrap();
        let pipe = cat.stdout.take().unwrap();
        let out = f.command("condition track - --like like.bin -o t.bin").stdin(pipe).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        cat.wait().unwrap();
        let read = |name: &str| Condition::read(&f.path(name)).unwrap().track;
        assert!(read("t.bin") == read("file.bin"), "{name}");
    }
    assert!(wanted.is_some());
    refuses(&f, "condition track -", 2, &["stdin", "-o"]);
    if cfg!(unix) {
        let made = std::process::Command::new("mkfifo").arg(f.path("fifo")).status().unwrap();
        assert!(made.success());
        let render = "render -m voice.safetensors --condition bob.bin --like like.bin --input";
        f.ok(&format!("{render} tone.flac -o a.wav"));
        for (args, with) in [
            ("eval -m plain.safetensors fifo", "tone.flac"),
            ("condition track fifo --like like.bin -o t.bin", "tone.m4a"),
            (
                "render -m voice.safetensors --condition bob.bin --like like.bin --input fifo -o b.wav",
                "tone.flac",
            ),
        ] {
            let (from, fifo) = (f.path(with), f.path("fifo"));
            let writer =
                std::thread::spawn(move || std::fs::write(fifo, std::fs::read(from).unwrap()).unwrap());
            f.ok(args);
            writer.join().unwrap();
        }
        assert!(std::fs::read(f.path("a.wav")).unwrap() == std::fs::read(f.path("b.wav")).unwrap());
    }
}

#[test]
fn what_is_no_recording_is_called_what_it_is() {
    let f = folder();
    std::fs::write(f.path("picture.wav"), b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").unwrap();
    std::fs::write(f.path("page.mp3"), b"<!DOCTYPE html><html><body>404").unwrap();
    refuses(&f, "condition track picture.wav", 1, &["picture.wav", "a PNG picture", "FLAC"]);
    refuses(&f, "eval -m plain.safetensors page.mp3", 1, &["page.mp3", "an HTML page"]);
    refuses(&f, "eval -m plain.safetensors tone.opus", 1, &["tone.opus", "Opus", "ffmpeg"]);
    refuses(&f, "eval -m plain.safetensors .", 1, &["folder"]);
}

#[test]
fn what_is_wrong_is_said_once_with_its_name() {
    let f = Folder::new();
    speech(&f, "good.wav", 1, |x| vec![x]);
    speech(&f, "hot.wav", 1, |x| vec![4.0 * x]);
    speech(&f, "offset.wav", 1, |x| vec![x + 0.05]);
    speech(&f, "cancel.wav", 2, |x| vec![x, -x]);
    speech(&f, "clip.wav", 1, |x| vec![(4.0 * x).clamp(-1.0, 1.0)]);
    speech(&f, "silent.wav", 1, |_| vec![0.0]);
    let track = |name: &str| said(&f, &format!("condition track {name}.wav --like both.bin -o {name}.bin"));
    // Only to have statistics to normalise all of them with.
    f.ok("condition track good.wav -o both.bin --force");
    assert_eq!(track("good"), Vec::<String>::new());
    for (name, words) in [
        ("hot", "above full scale: scaled down by 12.0 dB"),
        ("offset", "an offset of 5.0 % of full scale: removed"),
        ("cancel", "its 2 channels cancel"),
        ("clip", "of its samples are clipped"),
        ("silent", "nothing but silence"),
    ] {
        let lines = track(name);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with(&format!("{name}.wav: ")) && lines[0].contains(words), "{lines:?}");
    }
    // Mended, they are the good one.
    let read = |name: &str| Condition::read(&f.path(&format!("{name}.bin"))).unwrap().track.unwrap().frames;
    assert!(read("hot") == read("good") && read("cancel") == read("good"));
    let worst = read("offset").iter().zip(read("good")).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 0.02, "{worst}");
    assert_eq!(said(&f, "eval -m plain.safetensors good.wav offset.wav").len(), 1);
}

#[test]
fn check_lists_what_would_be_said_of_a_folder() {
    let f = Folder::new();
    std::fs::create_dir_all(f.path("speech/ada/more")).unwrap();
    speech(&f, "speech/ada/good.wav", 1, |x| vec![x]);
    speech(&f, "speech/ada/more/offset.wav", 1, |x| vec![x + 0.05]);
    std::fs::write(f.path("speech/ada/._good.wav"), b"\0\x05\x16\x07").unwrap();
    std::fs::write(f.path("speech/ada/voice.opus"), b"OggS").unwrap();
    let out = String::from_utf8(f.ok("condition check speech")).unwrap();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(lines[0].contains("1 left out") && lines[0].contains("ada/voice.opus"), "{out}");
    assert!(lines[1].starts_with("speech/ada/more/offset.wav: an offset of 5.0 %"), "{out}");
    assert_eq!(lines[2], "2 recordings, 0.03 minutes: 1 as they should be, 1 with findings, 0 refused");
    let v = f.json("condition check speech --rate 22050");
    assert_eq!((number(&v, "usable"), number(&v, "with_findings")), (2.0, 2.0));
    assert!(v["recordings"][0]["findings"][0].as_str().unwrap().contains("16000 Hz where 22050 Hz"), "{v}");

    std::fs::write(f.path("speech/ada/bad.wav"), b"RIFF no").unwrap();
    let out = f.run("condition check speech");
    assert_eq!(out.status.code(), Some(1));
    let lines = String::from_utf8(out.stdout).unwrap();
    assert!(lines.contains("refused: speech/ada/bad.wav is no usable WAV file"), "{lines}");
    assert_eq!(String::from_utf8(out.stderr).unwrap(), "error: 1 of 3 recordings can't be read\n");
    std::fs::create_dir(f.path("none")).unwrap();
    refuses(&f, "condition check none", 1, &["none", "no recording"]);
    refuses(&f, "condition check gone", 1, &["gone", "no such file"]);
}

#[test]
fn a_pipe_of_known_length_says_it_and_nothing_clips() {
    let f = Folder::new();
    let header = |args: &str| {
        let out = f.ok(&format!("render -m voice.safetensors {args} -o -"));
        let at = |i: usize| u32::from_le_bytes(out[i..i + 4].try_into().unwrap()) as usize;
        (at(4) + 8, at(40) + 44, out.len())
    };
    for args in ["--condition both.bin", "--condition ann.bin --seconds 0.3"] {
        let (riff, data, len) = header(args);
        assert_eq!((riff, data), (len, len), "{args}");
    }
    // The head of the small voice draws loud symbols, which de-emphasis makes louder; the limiter keeps them below full scale.
    let v = f.json("render -m voice.safetensors --condition both.bin -o a.wav");
    let lines = said(&f, "render -m voice.safetensors --condition both.bin -o a.wav");
    assert!((-1.0..0.0).contains(&number(&v, "peak_dbfs")) && number(&v, "clipped") == 0.0, "{v}");
    assert_eq!(lines.len(), 1, "{lines:?}");
    let v = f.json("render -m voice.safetensors --condition both.bin --format f32 -o a.wav");
    assert_eq!(number(&v, "clipped"), 0.0);
}
