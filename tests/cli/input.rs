//! `--input`: live speech as conditioning.

use super::common::{Folder, speaker};
use super::{number, refuses};
use std::f64::consts::TAU;
use std::process::Stdio;
use wavesynth_audio::cond::Condition;
use wavesynth_audio::features::SpeakerStats;

/// Half a second with a pitch, a pause in it.
fn speech(folder: &Folder, name: &str, rate: u32) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(folder.path(name), spec).unwrap();
    for i in 0..rate / 2 + 3 {
        let t = f64::from(i) / f64::from(rate);
        let vowel: f64 = (1..20).map(|h| (TAU * 130.0 * t * f64::from(h)).sin() / f64::from(h)).sum();
        let loud = if (0.2..0.3).contains(&t) { 0.0 } else { 6_000.0 };
        wav.write_sample((loud * vowel) as i16).unwrap();
    }
    wav.finalize().unwrap();
}

fn folder() -> Folder {
    let f = Folder::new();
    speech(&f, "speech.wav", 16_000);
    speech(&f, "wide.wav", 44_100);
    let mut speaker_stats = speaker([1.0; 4]);
    speaker_stats.stats =
        Some(SpeakerStats { mean: [-10.0; 16], std: [6.0; 16], median_f0_hz: 130.0, common: None });
    speaker_stats.write(&f.path("source.bin")).unwrap();
    f
}

fn piped(f: &Folder, args: &str, file: &str) -> std::process::Output {
    let stdin = std::fs::File::open(f.path(file)).unwrap();
    f.command(args).stdin(stdin).stderr(Stdio::piped()).output().unwrap()
}

const RENDER: &str = "render -m voice.safetensors --condition bob.bin --like source.bin --seed 5";

#[test]
fn a_recording_and_a_pipe_sound_alike() {
    let f = folder();
    let all = f.json(&format!("{RENDER} --input speech.wav -o a.wav --codes a.npy"));
    assert_eq!(number(&all, "samples"), 51.0 * 160.0);
    assert_eq!(super::read_npy::<u16>(&f, "a.npy").0, [51 * 160]);
    assert!(piped(&f, &format!("{RENDER} --input - -o b.wav"), "speech.wav").status.success());
    let read = |name| std::fs::read(f.path(name)).unwrap();
    assert_eq!(read("a.wav"), read("b.wav"));
    // A track in the condition has no effect beside the input; a length cuts it short.
    let both = RENDER.replace("bob.bin", "both.bin");
    f.ok(&format!("{both} --input speech.wav --seconds 0.1 -o c.wav"));
    f.ok("render -m voice.safetensors --condition ann.bin --like source.bin --seed 5 --input speech.wav -o d.wav");
    // All but the fade of what is cut off.
    assert_eq!(read("c.wav").len(), 44 + 3_200);
    assert_eq!(read("c.wav")[44..44 + 2_560], read("d.wav")[44..44 + 2_560]);
    assert_ne!(read("a.wav"), read("d.wav"));
    f.ok(&format!("{RENDER} --input wide.wav -o e.wav"));
    assert!(piped(&f, &format!("{RENDER} --input - -o g.wav"), "wide.wav").status.success());
    assert_eq!(read("e.wav").len(), read("g.wav").len());
}

/// A track can be normalised by another file's statistics: its speaker need not be one of the model's.
#[test]
fn a_track_takes_its_statistics_from_a_condition_file() {
    let f = folder();
    let track = "condition track speech.wav -m voice.safetensors";
    f.ok(&format!("{track} --like source.bin -o t.bin"));
    f.ok("condition track speech.wav -o own.bin");
    let read = |name| Condition::read(&f.path(name)).unwrap();
    assert_eq!(read("t.bin").stats, read("source.bin").stats);
    assert_ne!(read("t.bin").track, read("own.bin").track);
    refuses(&f, &format!("{track} --like ann.bin"), 1, &["ann.bin", "statistics"]);
    refuses(
        &f,
        &format!("{track} --like nobody"),
        1,
        &["--like nobody", "no such file", "the voice's speakers"],
    );
}

/// The shipped voice has its speakers' statistics, so that the input's speaker can be one of them, or be learned.
#[test]
fn a_speaker_is_known_by_name_or_learned() {
    use wavesynth::shipped;
    let f = folder();
    let speaker = shipped::speakers().next().unwrap();
    let render = format!("render --condition {speaker} --input speech.wav --seconds 0.2");
    f.ok(&format!("{render} -o a.wav"));
    f.ok(&format!("{render} --like {speaker} -o b.wav"));
    let read = |name| std::fs::read(f.path(name)).unwrap();
    assert_ne!(read("a.wav"), read("b.wav"));
}

#[cfg(all(target_os = "linux", feature = "device"))]
#[test]
fn play_without_a_device_makes_of_an_input_what_render_makes() {
    let f = folder();
    f.ok(&format!("{RENDER} --input speech.wav -o a.wav"));
    let play = RENDER.replace("render", "play");
    let out = f.without_device(&format!("{play} --input speech.wav -o b.wav")).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let stdin = std::fs::File::open(f.path("speech.wav")).unwrap();
    let out = f.without_device(&format!("{play} --input - -o c.wav")).stdin(stdin).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let read = |name| std::fs::read(f.path(name)).unwrap();
    assert_eq!(read("a.wav"), read("b.wav"));
    assert_eq!(read("a.wav"), read("c.wav"));
    // No microphone either: that is no reason to write silence to a file.
    let out = f.without_device(&format!("{play} --input mic -o x.wav")).output().unwrap();
    let message = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{message}");
    assert!(message.starts_with("error: no sound input device was found"), "{message}");
    assert!(message.trim_end().lines().count() == 1 && !f.path("x.wav").exists(), "{message}");
}

#[test]
fn wrong_inputs_are_refused() {
    let f = folder();
    let render = format!("{RENDER} -o x.wav --input");
    let wav = std::fs::read(f.path("speech.wav")).unwrap();
    std::fs::write(f.path("empty.wav"), "").unwrap();
    std::fs::write(f.path("cut.wav"), &wav[..wav.len() - 100]).unwrap();
    std::fs::write(f.path("head.wav"), &wav[..44]).unwrap();
    let mut fast = wav.clone();
    fast[24..28].copy_from_slice(&1_000_000u32.to_le_bytes());
    std::fs::write(f.path("fast.wav"), fast).unwrap();
    refuses(&f, &format!("{render} none.wav"), 1, &["none.wav"]);
    refuses(&f, &format!("{render} ann.bin"), 1, &["ann.bin", "safetensors", "WAV"]);
    refuses(&f, &format!("{render} empty.wav"), 1, &["empty.wav", "empty file"]);
    refuses(&f, &format!("{render} cut.wav"), 1, &["cut.wav", "cut off"]);
    refuses(&f, &format!("{render} fast.wav"), 1, &["fast.wav", "1000000 Hz", "384000"]);
    refuses(&f, &format!("{render} mic"), 2, &["--input mic"]);
    refuses(&f, &format!("{render} speech.wav --track track.bin"), 2, &["--track"]);
    refuses(&f, &format!("{render} - --codes x.npy"), 2, &["--codes"]);
    let render = "render -m voice.safetensors --condition bob.bin -o x.wav";
    refuses(&f, &format!("{render} --like source.bin"), 2, &["--input"]);
    refuses(&f, &format!("{render} --input speech.wav"), 1, &["--like"]);
    refuses(&f, &format!("{render} --input speech.wav --like ann.bin"), 1, &["ann.bin", "statistics"]);
    refuses(&f, &format!("{render} --input speech.wav --like nobody"), 1, &["nobody"]);
    refuses(
        &f,
        "render -m plain.safetensors -o x.wav --input speech.wav --like source.bin",
        1,
        &["plain", "takes no track"],
    );
    if cfg!(feature = "device") {
        let play = "play -m voice.safetensors --condition bob.bin --like source.bin";
        refuses(&f, &format!("{play} --input mic:nosuch"), 1, &["nosuch"]);
    }
    let before = f.files();
    for (file, words) in [
        ("empty.wav", "stdin"),
        ("head.wav", "stdin"),
        ("ann.bin", "safetensors"),
        ("fast.wav", "1000000 Hz"),
        ("cut.wav", "cut off"),
    ] {
        let out = piped(&f, &format!("{RENDER} -o x.wav --input -"), file);
        let message = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(1), "{file}: {message}");
        assert!(message.starts_with("error: ") && message.contains(words), "{file}: {message}");
        assert_eq!(message.trim_end().lines().count(), 1, "{file}: {message}");
        assert_eq!(f.files(), before, "{file}");
    }
}
