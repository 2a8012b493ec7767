//! render, and play where there is no device.

use super::common::Folder;
use super::{number, read_npy, refuses, write_npy};
use std::io::Read;
use std::process::Stdio;

#[test]
fn render_is_decided_by_its_arguments() {
    let f = Folder::new();
    let render = "render -m voice.safetensors --condition ann.bin --track track.bin";
    let a = f.json(&format!("{render} --seed 1 -o a.wav"));
    assert_eq!((number(&a, "samples"), number(&a, "sample_rate")), (4800.0, 16000.0));
    assert_eq!((number(&a, "seconds"), number(&a, "seed")), (0.3, 1.0));
    assert!(number(&a, "wall_s") > 0.0 && number(&a, "cpu_s") >= 0.0 && number(&a, "times_real_time") > 0.0);
    assert!(number(&a, "peak_dbfs") < 30.0);
    f.ok(&format!("{render} --seed 1 -o b.wav"));
    f.ok(&format!("{render} --seed 2 -o c.wav"));
    f.ok("render -m voice.safetensors --condition bob.bin --track track.bin --seed 1 -o d.wav");
    f.ok(&format!("{render} --seed 1 --seconds 0.1 -o e.wav"));
    let read = |name: &str| -> Vec<i16> {
        let mut wav = hound::WavReader::open(f.path(name)).unwrap();
        assert_eq!(
            (wav.spec().channels, wav.spec().sample_rate, wav.spec().bits_per_sample),
            (1, 16_000, 16)
        );
        wav.samples().map(Result::unwrap).collect()
    };
    let (a, b) = (read("a.wav"), read("b.wav"));
    assert_eq!(a, b);
    assert_ne!(a, read("c.wav"));
    assert_ne!(a, read("d.wav"));
    // All but the fade of what is cut off.
    assert_eq!((read("e.wav").len(), &a[..1280]), (1600, &read("e.wav")[..1280]));
    // A condition with a track of its own, and a track in its place.
    assert_eq!(
        number(&f.json("render -m voice.safetensors --condition both.bin -o f.wav"), "samples"),
        4000.0
    );
    f.ok("render -m voice.safetensors --condition both.bin --track track.bin --seed 1 -o f.wav");
    assert_eq!(read("f.wav"), a);
    // Without track and seconds: ten of them.
    let ten = f.json("render -m plain.safetensors -o g.wav");
    assert_eq!(number(&ten, "seconds"), 10.0);
}

#[test]
fn formats_say_the_same() {
    let f = Folder::new();
    let render = "render -m voice.safetensors --condition both.bin --seconds 0.2";
    f.ok(&format!("{render} -o a.wav"));
    f.ok(&format!("{render} -o b.wav --format f32"));
    f.ok(&format!("{render} -o c.raw --format s16"));
    let piped = f.ok(&format!("{render} -o -"));
    let raw = f.ok(&format!("{render} -o - --format s16"));
    let floats = f.ok(&format!("{render} -o - --format f32"));
    let file = std::fs::read(f.path("a.wav")).unwrap();
    assert_eq!(&piped[..4], b"RIFF");
    assert_eq!(piped[44..], file[44..]);
    assert_eq!(raw, file[44..]);
    assert_eq!(raw, std::fs::read(f.path("c.raw")).unwrap());
    let float_file: Vec<f32> =
        hound::WavReader::open(f.path("b.wav")).unwrap().samples().map(Result::unwrap).collect();
    let floats: Vec<f32> =
        floats.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!(floats, float_file);
    assert_eq!(floats.len(), 3200);
    for (x, s) in floats.iter().zip(raw.chunks_exact(2)) {
        let s = f32::from(i16::from_le_bytes(s.try_into().unwrap()));
        assert!((x.clamp(-1.0, 1.0) * 32767.0 - s).abs() <= 0.5);
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let f = Folder::new();
    let mut child = f
        .command("render -m plain.safetensors --seconds 600 -o -")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut head = [0; 1000];
    child.stdout.take().unwrap().read_exact(&mut head).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    assert!(out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_track_leaves_less_to_chance() {
    let f = Folder::new();
    let sound = |how: &str| {
        f.ok(&format!("render -m voice.safetensors --seconds 0.1 --format f32 {how} -o x.wav"));
        std::fs::read(f.path("x.wav")).unwrap()
    };
    let same =
        |how: &str, temperature: f32| sound(how) == sound(&format!("{how} --temperature {temperature}"));
    assert!(same("--condition both.bin", 0.9) && !same("--condition both.bin", 1.0));
    assert!(same("--condition ann.bin", 1.0) && !same("--condition ann.bin", 0.9));
}

#[test]
fn uniforms_and_codes_replay_a_render() {
    let f = Folder::new();
    let render = "render -m voice.safetensors --condition both.bin --seconds 0.1";
    f.ok(&format!("{render} --seed 3 -o a.wav --codes a.npy"));
    let mut uniforms = wavesynth_models::ar::Uniforms::new(3);
    let uniforms: Vec<f32> = (0..1600).map(|_| uniforms.next_uniform()).collect();
    write_npy(&f, "u.npy", &uniforms);
    f.ok(&format!("{render} --coins u.npy -o b.wav --codes b.npy"));
    assert_eq!(std::fs::read(f.path("a.wav")).unwrap(), std::fs::read(f.path("b.wav")).unwrap());
    let (shape, codes) = read_npy::<u16>(&f, "a.npy");
    assert_eq!((shape, codes.len()), (vec![1600], 1600));
    assert_eq!(codes, read_npy::<u16>(&f, "b.npy").1);
    // Without --seconds and track, the number of uniforms gives the length.
    write_npy(&f, "d.npy", &uniforms.iter().map(|c| f64::from(*c)).collect::<Vec<_>>());
    let all = f.json("render -m plain.safetensors --coins d.npy -o c.wav");
    assert_eq!(number(&all, "samples"), 1600.0);

    write_npy(&f, "nan.npy", &[0.5f32, f32::NAN]);
    write_npy(&f, "one.npy", &[0.5f32, 1.0]);
    write_npy(&f, "none.npy", &[0f32; 0]);
    write_npy(&f, "int.npy", &[1i32]);
    let plain = "render -m plain.safetensors -o x.wav --coins";
    refuses(&f, &format!("{render} -o x.wav --codes no/x.npy"), 1, &["no/x.npy"]);
    refuses(&f, &format!("{plain} nan.npy"), 1, &["nan.npy", "number 1 is NaN"]);
    refuses(&f, &format!("{plain} one.npy"), 1, &["one.npy", "number 1 is 1"]);
    refuses(&f, &format!("{plain} none.npy"), 1, &["no numbers"]);
    refuses(&f, &format!("{plain} int.npy"), 1, &["wanted floats"]);
    refuses(&f, &format!("{plain} u.npy --seconds 1"), 1, &["1600 numbers", "16000 samples"]);
    refuses(&f, &format!("{plain} ann.bin"), 1, &["ann.bin", ".npy"]);
}

/// How alike `a` is to what `b` has `shift` samples later: a correlation.
fn correlation(a: &[f32], b: &[f32], shift: usize) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let (a, b) = (&a[..a.len() - shift], &b[shift..]);
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn the_post_filter_follows_the_track_and_keeps_time() {
    let f = Folder::new();
    let render = "render --condition it_carlo --track it_goodbye --seed 3";
    let sound = |name: &str| -> Vec<f32> {
        let reader = hound::WavReader::open(f.path(name)).unwrap();
        reader.into_samples::<i16>().map(|s| f32::from(s.unwrap())).collect()
    };
    f.ok(&format!("{render} --no-post-filter --codes a.npy -o a.wav"));
    f.ok(&format!("{render} --codes b.npy -o b.wav"));
    let (plain, filtered) = (sound("a.wav"), sound("b.wav"));
    assert_eq!(plain.len(), filtered.len());
    // It comes after the draw: the symbols are the same, and the sound is nearly so, at the same time.
    assert_eq!(read_npy::<u16>(&f, "a.npy"), read_npy::<u16>(&f, "b.npy"));
    let at = |shift| correlation(&plain, &filtered, shift);
    assert!((0.8..0.999).contains(&at(0)) && at(0) > at(2) && at(0) > correlation(&filtered, &plain, 2));
    // As one of many, and as one of two layers.
    std::fs::write(f.path("jobs.tsv"), "it_carlo\tit_goodbye\t3\tc.wav\n").unwrap();
    f.ok("render --jobs jobs.tsv");
    assert_eq!(sound("b.wav"), sound("c.wav"));
    // A voice without a track stays as it is.
    f.ok("render -m music --seconds 0.1 -o m.wav");
    f.ok("render -m music --no-post-filter --seconds 0.1 -o n.wav");
    assert_eq!(sound("m.wav"), sound("n.wav"));
}

#[cfg(all(target_os = "linux", feature = "device"))]
#[test]
fn play_without_a_device_writes_the_same_seconds() {
    let f = Folder::new();
    let out =
        f.without_device("play -m voice.safetensors --condition both.bin --seed 4 --json").output().unwrap();
    let message = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success(), "{message}");
    assert!(message.starts_with("no output device") && message.contains("wavesynth-play.wav"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    let v: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((number(&v, "samples"), number(&v, "underruns")), (4000.0, 0.0));
    f.ok("render -m voice.safetensors --condition both.bin --seed 4 -o want.wav");
    let read = |name| std::fs::read(f.path(name)).unwrap();
    assert_eq!(read("wavesynth-play.wav"), read("want.wav"));

    // Layers: the sum of their renders, each by its share of all gains.
    let layers =
        "--layer bob.bin,track=track.bin,seed=9,start=0.1,gain=2.5 --layer ann.bin,seconds=0.05,gain=0.5";
    let out = f.without_device(&format!("play -m voice.safetensors --condition both.bin --seed 4 {layers}"));
    assert!({ out }.output().unwrap().status.success());
    let mut want = vec![0.0; 1600 + 4800];
    for (what, start, share) in [
        ("--condition both.bin --seed 4", 0, 0.25),
        ("--condition bob.bin --track track.bin --seed 9", 1600, 0.625),
        ("--condition ann.bin --seconds 0.05 --seed 6", 0, 0.125),
    ] {
        f.ok(&format!("render -m voice.safetensors {what} --format f32 -o one.wav"));
        let alone = hound::WavReader::open(f.path("one.wav")).unwrap().into_samples::<f32>();
        for (sum, x) in want[start..].iter_mut().zip(alone) {
            *sum += share * x.unwrap();
        }
    }
    let sum = hound::WavReader::open(f.path("wavesynth-play.wav")).unwrap().into_samples::<i16>();
    let sum: Vec<_> = sum.map(|s| f32::from(s.unwrap())).collect();
    assert_eq!(sum.len(), want.len());
    assert!(sum.iter().zip(&want).all(|(s, x)| (x.clamp(-1.0, 1.0) * 32767.0 - s).abs() <= 0.51));
    let play = "play -m voice.safetensors --condition both.bin --layer";
    refuses(&f, &format!("{play} ann.bin,pan=1"), 2, &["ann.bin,pan=1", "pan", "gain"]);
    refuses(&f, &format!("{play} ann.bin,gain=0"), 2, &["gain `0`", "0.001 to 1000"]);
    refuses(&f, &format!("{play} gone.bin"), 1, &["--layer 1", "gone.bin"]);
    refuses(&f, &format!("{play} track=track.bin"), 2, &["--layer 1", "--condition"]);
    let devices = f.without_device("devices").output().unwrap();
    assert!(devices.status.success());
    assert_eq!(devices.stdout, b"no output device\n");
}

#[cfg(unix)]
#[test]
fn an_interrupted_render_leaves_nothing() {
    let f = Folder::new();
    let before = f.files();
    let mut child = f
        .command("render -m plain.safetensors --seconds 80000 -o x.wav")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.unwrap().success());
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{message}");
    assert!(message.starts_with("error: interrupted"), "{message}");
    assert_eq!(f.files(), before);
}
