//! Bad input gets one clear line, a status, and no file.

use super::common::{self, Folder};
use super::refuses;

#[test]
fn what_would_break_a_later_command_is_refused() {
    let f = Folder::new();
    std::fs::create_dir(f.path("run")).unwrap();
    std::fs::copy(f.path("voice.safetensors"), f.path("run/voice.safetensors")).unwrap();
    refuses(
        &f,
        "convert -m run --dtype f16 -o run/small.safetensors",
        2,
        &["run/small.safetensors", "several checkpoints"],
    );
    f.ok("convert -m run/voice.safetensors --dtype f16 -o small.safetensors");
    refuses(&f, "condition check --rate 0 .", 2, &["--rate 0"]);
    refuses(&f, "condition check --min-seconds nan .", 2, &["--min-seconds NaN"]);
}

/// The hint names the command that was meant.
#[test]
fn an_option_in_front_of_the_command_hides_it_from_no_hint() {
    let f = Folder::new();
    let out = f.command("").args(["--max-memory", "1 GB", "say", "--seed", "-1", "hi"]).output().unwrap();
    let message = String::from_utf8(out.stderr).unwrap();
    assert!(message.contains("`wavesynth say --help`"), "{message}");
}

#[test]
fn wrong_models_are_refused() {
    let f = Folder::new();
    let mut state = common::checkpoint(&common::config());
    state.header.sections.insert("state".into(), serde_json::json!({}));
    state.write(&f.path("state.safetensors")).unwrap();
    refuses(&f, "info state.safetensors", 1, &["state.safetensors: the state of a training run", "--resume"]);
    std::fs::write(f.path("x.txt"), "to be").unwrap();
    common::say().write(&f.path("say.safetensors")).unwrap();
    refuses(&f, "sample -m voice.safetensors -o x.png", 1, &["not a text model, but a voice"]);
    refuses(&f, "compare say.safetensors --text x.txt", 1, &["not a text model, but a text-to-speech model"]);
    common::track(3).write(&f.path("alone.bin")).unwrap();
    refuses(
        &f,
        "render -m voice.safetensors -c alone.bin -o x.wav",
        2,
        &["--condition alone.bin: holds no speaker"],
    );
    let good = std::fs::read(f.path("voice.safetensors")).unwrap();
    for (name, bytes) in [
        ("half.safetensors", &good[..good.len() / 2]),
        ("head.safetensors", &good[..20]),
        ("empty.safetensors", &good[..0]),
        ("text.safetensors", b"This is no checkpoint at all."),
    ] {
        std::fs::write(f.path(name), bytes).unwrap();
        refuses(&f, &format!("render -m {name} --condition ann.bin -o x.wav"), 1, &[name]);
        refuses(&f, &format!("info {name}"), 1, &[name]);
    }
    let mut model = common::checkpoint(&common::config());
    model.header.family = "organ".into();
    model.write(&f.path("organ.safetensors")).unwrap();
    refuses(&f, "info organ.safetensors", 1, &["organ.safetensors", "family `organ`"]);
    let message = "text.safetensors: family `char_rnn`, wanted a voice (wavenet)";
    common::char_rnn().write(&f.path("text.safetensors")).unwrap();
    refuses(&f, "render -m text.safetensors --condition ann.bin -o x.wav", 1, &[message]);
    refuses(&f, "eval -m text.safetensors --condition ann.bin x.wav", 1, &[message]);
    let mut model = common::checkpoint(&common::config());
    model.header.version = 99;
    model.write(&f.path("v99.safetensors")).unwrap();
    refuses(&f, "info v99.safetensors", 1, &["version 99"]);
    let mut model = common::checkpoint(&common::config());
    model.tensors.get_mut("head.0.bias").unwrap().data[3] = f32::NAN;
    model.write(&f.path("nan.safetensors")).unwrap();
    refuses(&f, "render -m nan.safetensors --condition ann.bin -o x.wav", 1, &["head.0.bias", "NaN"]);
    let mut model = common::checkpoint(&common::config());
    model.tensors.remove("skip.bias");
    model.write(&f.path("less.safetensors")).unwrap();
    refuses(&f, "eval -m less.safetensors --condition ann.bin x.wav", 1, &["skip.bias", "missing"]);
    let mut model = common::checkpoint(&common::config());
    model.header.sections.clear();
    model.write(&f.path("text-model.safetensors")).unwrap();
    refuses(&f, "render -m text-model.safetensors -o x.wav", 1, &["text-model.safetensors", "voice"]);
    refuses(&f, "render -m none.safetensors -o x.wav", 1, &["none.safetensors"]);
    refuses(&f, "render -m . -o x.wav", 1, &["."]);
}

#[test]
fn wrong_conditions_are_refused() {
    let f = Folder::new();
    let render = "render -m voice.safetensors -o x.wav";
    let mut other = common::speaker([0.0; 4]);
    other.speaker.as_mut().unwrap().space = "elsewhere".into();
    other.write(&f.path("other.bin")).unwrap();
    let mut long = common::speaker([0.0; 4]);
    long.speaker.as_mut().unwrap().values.push(1.0);
    long.write(&f.path("long.bin")).unwrap();
    let mut slow = common::track(5);
    slow.track.as_mut().unwrap().hop = 320;
    slow.write(&f.path("slow.bin")).unwrap();
    let good = std::fs::read(f.path("ann.bin")).unwrap();
    std::fs::write(f.path("cut.bin"), &good[..good.len() - 3]).unwrap();
    refuses(&f, render, 2, &["--condition"]);
    refuses(&f, &format!("{render} --condition nobody"), 1, &["nobody", "shipped"]);
    refuses(&f, &format!("{render} --condition other.bin"), 1, &["other.bin", "elsewhere", "test"]);
    refuses(&f, &format!("{render} --condition long.bin"), 1, &["long.bin", "5", "4"]);
    refuses(&f, &format!("{render} --condition cut.bin"), 1, &["cut.bin"]);
    refuses(&f, &format!("{render} --condition voice.safetensors"), 1, &["voice.safetensors", "condition"]);
    refuses(&f, &format!("{render} --condition ann.bin --track slow.bin"), 1, &["slow.bin", "320", "160"]);
    refuses(&f, &format!("{render} --condition ann.bin --track bob.bin"), 1, &["bob.bin", "no track"]);
    refuses(&f, &format!("{render} --condition track.bin"), 2, &["who speaks"]);
    refuses(&f, "render -m plain.safetensors -o x.wav --track track.bin", 1, &["takes no track"]);
}

#[test]
fn wrong_numbers_and_places_are_refused() {
    let f = Folder::new();
    let render = "render -m plain.safetensors -o x.wav";
    for bad in [
        "--top-p 0",
        "--top-p 1.5",
        "--top-p nan",
        "--min-p -0.1",
        "--min-p 2",
        "--temperature -1",
        "--temperature inf",
        "--top-k -3",
        "--seed x",
        "--seconds 0",
        "--seconds -2",
        "--seconds nan",
        "--seconds 1e9",
        "--format mp3",
        "--isa z80",
        "--loud",
    ] {
        refuses(&f, &format!("{render} {bad}"), 2, &[bad.split(' ').next().unwrap()]);
    }
    refuses(&f, "render -m plain.safetensors", 2, &["--output"]);
    refuses(&f, "render -m plain.safetensors -o - --json", 2, &["--json"]);
    refuses(&f, "render -m plain.safetensors --seconds 1 -o no/such/x.wav", 1, &["no/such/x.wav"]);
    refuses(&f, "render -m plain.safetensors --seconds 1 -o .", 1, &["."]);
    refuses(&f, "sing", 2, &["sing"]);
    if cfg!(feature = "device") {
        refuses(&f, "play -m plain.safetensors --latency 0", 2, &["--latency"]);
        refuses(&f, "play -m plain.safetensors --device no-such-device --seconds 1", 1, &["no-such-device"]);
    }
}
