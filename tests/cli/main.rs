//! The built program, as scripts and people use it, with a small voice of random weights.

mod commands;
#[path = "../common/mod.rs"]
mod common;
#[cfg(unix)]
mod espeak;
mod hostile;
mod input;
mod jobs;
mod lines;
mod measure;
mod messages;
mod outputs;
mod recordings;
mod refusals;
mod say;
mod sound;
mod speakers;
mod stopping;

use common::Folder;
use serde_json::Value;

/// Wants a refusal in one line: `error: …` with each of `words`, no panic, `status`, and no new file.
pub fn refuses(folder: &Folder, args: &str, status: i32, words: &[&str]) {
    let before = folder.files();
    let out = folder.run(args);
    let message = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(status), "{args}: {message}");
    assert!(message.starts_with("error: "), "{args}: {message}");
    assert_eq!(message.trim_end().lines().count(), 1, "{args}: {message}");
    assert!(!message.contains("panicked"), "{args}: {message}");
    for word in words {
        assert!(message.contains(word), "{args}: `{word}` is not in: {message}");
    }
    assert!(out.stdout.is_empty(), "{args}: it wrote to stdout");
    assert_eq!(folder.files(), before, "{args}: it left a file");
}

/// The number under `key`.
pub fn number(v: &Value, key: &str) -> f64 {
    v[key].as_f64().unwrap_or_else(|| panic!("{key} in {v}"))
}

/// An array in the folder.
pub fn write_npy<T: npyz::AutoSerialize>(folder: &Folder, name: &str, values: &[T]) {
    use npyz::WriterBuilder;
    let file = std::fs::File::create(folder.path(name)).unwrap();
    let shape = [values.len() as u64];
    let mut npy = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd().unwrap();
    values.iter().for_each(|v| npy.push(v).unwrap());
    npy.finish().unwrap();
}

/// Shape and elements of an array in the folder.
pub fn read_npy<T: npyz::Deserialize>(folder: &Folder, name: &str) -> (Vec<u64>, Vec<T>) {
    let bytes = std::fs::read(folder.path(name)).unwrap();
    let npy = npyz::NpyFile::new(&bytes[..]).unwrap();
    (npy.shape().to_vec(), npy.into_vec().unwrap())
}

#[test]
fn the_shipped_music_plays_without_a_condition() {
    let f = Folder::new();
    let message = f.json("render -m music --seconds 2 --seed 3 -o a.wav");
    assert_eq!(number(&message, "seconds"), 2.0);
    assert!(number(&message, "peak_dbfs") > -40.0, "it is silent: {message}");
    // At a temperature of 1 it is mostly noise.
    f.ok("render -m music --seconds 2 --seed 3 --temperature 0.9 -o b.wav");
    let read = |name| std::fs::read(f.path(name)).unwrap();
    assert_eq!(read("a.wav"), read("b.wav"));
    refuses(&f, "render -m music --condition en_allison --seconds 0.1 -o x.wav", 2, &["takes no condition"]);
}

#[test]
fn the_shipped_voice_speaks_by_name() {
    use wavesynth::shipped;
    let f = Folder::new();
    let voice =
        shipped::model(shipped::VOICE).expect("models/pretrained/voice.safetensors is part of the program");
    assert!(voice.len() <= 4_000_000, "{} bytes", voice.len());
    assert!(shipped::speakers().count() >= 4 && shipped::tracks().count() >= 4);
    f.ok("info");
    f.ok("condition list");
    let track = shipped::tracks().next().unwrap();
    for speaker in shipped::speakers() {
        f.ok(&format!("render --condition {speaker} --seconds 0.1 -o a.wav"));
    }
    // Recordings of a speaker often lie in a folder of the same name.
    std::fs::create_dir(f.path(shipped::speakers().next().unwrap())).unwrap();
    for track in shipped::tracks() {
        let speaker = shipped::speakers().next().unwrap();
        f.ok(&format!("render --condition {speaker} --track {track} --seconds 0.1 -o a.wav"));
    }
    refuses(&f, "render -o x.wav", 2, &["--condition", shipped::speakers().next().unwrap()]);
    refuses(&f, "render --condition nobody -o x.wav", 1, &["nobody", track]);
}
