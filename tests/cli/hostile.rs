//! Files that mean harm, or that a disk has damaged: one line, a status, little time and little memory.

use super::common::{self, Folder};
use super::refuses;
use serde_json::{Value, json};
use std::io::Write;
use std::time::{Duration, Instant};
use wavesynth::shipped;
use wavesynth_audio::cond::Condition;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::memory::Memory;
use wavesynth_models::weights::{Checkpoint, Tensor};

/// A sparse file of so many bytes that begins with `head`.
fn sparse(f: &Folder, name: &str, head: &[u8], len: u64) {
    std::fs::write(f.path(name), head).unwrap();
    std::fs::File::options().write(true).open(f.path(name)).unwrap().set_len(len).unwrap();
}

/// As [`refuses`], within a few seconds and, where the shell can bound it, within 1 GB of memory.
#[cfg(unix)]
fn refuses_cheaply(f: &Folder, args: &str, words: &[&str]) {
    let began = Instant::now();
    let program = f.command("").get_program().to_owned();
    let limited = format!("ulimit -v 1500000; exec {} {args}", program.to_string_lossy());
    let out = std::process::Command::new("sh")
        .args(["-c", &limited])
        .current_dir(f.path("."))
        .env("RAYON_NUM_THREADS", "2")
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(matches!(out.status.code(), Some(1 | 2)), "{args}: {:?} {message}", out.status);
    assert!(message.starts_with("error: ") && message.trim_end().lines().count() == 1, "{args}: {message}");
    words.iter().for_each(|w| assert!(message.contains(w), "{args}: `{w}` is not in: {message}"));
    assert!(began.elapsed() < Duration::from_secs(20), "{args} took {:?}", began.elapsed());
}

#[test]
fn a_shipped_name_always_means_the_shipped_thing() {
    let f = Folder::new();
    let info = |f: &Folder, name: &str| f.json(&format!("info {name}"));
    let before: Vec<Value> = shipped::models().map(|name| info(&f, name)).collect();
    let conditions = shipped::speakers().chain(shipped::tracks());
    let conditions: Vec<(&str, Vec<u8>)> =
        conditions.map(|name| (name, f.ok(&format!("condition info {name}")))).collect();
    for (i, name) in shipped::models().enumerate() {
        // A run's folder, and a file.
        match i % 2 {
            0 => {
                std::fs::create_dir(f.path(name)).unwrap();
                std::fs::copy(f.path("plain.safetensors"), f.path(&format!("{name}/text.safetensors")))
                    .unwrap();
            }
            _ => {
                std::fs::copy(f.path("plain.safetensors"), f.path(name)).unwrap();
            }
        }
    }
    for (name, _) in &conditions {
        std::fs::copy(f.path("ann.bin"), f.path(name)).unwrap();
    }
    for (name, before) in shipped::models().zip(before) {
        assert_eq!(info(&f, name), before, "{name}");
        assert_ne!(info(&f, &format!("./{name}")), before, "./{name}");
    }
    for (name, before) in &conditions {
        assert_eq!(&f.ok(&format!("condition info {name}")), before, "{name}");
        assert_ne!(&f.ok(&format!("condition info ./{name}")), before, "./{name}");
    }
    let rule = "a shipped name always means the shipped one, a file of that name is ./NAME";
    refuses(&f, "info nothing", 1, &["nothing: no such file", rule]);
    refuses(&f, "condition info nothing", 1, &["nothing: no such file", rule]);
    for help in ["render --help", "eval --help"] {
        assert!(String::from_utf8(f.ok(help)).unwrap().contains("means the shipped one"), "{help}");
    }
}

#[test]
fn damaged_weights_are_noticed() {
    let f = Folder::new();
    let whole = std::fs::read(f.path("plain.safetensors")).unwrap();
    let n = whole.len();
    let mut flipped = whole.clone();
    flipped[n - 100] ^= 1;
    std::fs::write(f.path("flipped.safetensors"), &flipped).unwrap();
    std::fs::write(f.path("cut.safetensors"), &whole[..n - 7]).unwrap();
    for command in ["info", "render -o x.wav -m", "convert --dtype f16 -o y.safetensors -m"] {
        let said = "flipped.safetensors: damaged: its content does not match the checksum in its head";
        refuses(&f, &format!("{command} flipped.safetensors"), 1, &[said]);
        let said =
            format!("cut.safetensors: a file of {} bytes, its head says {n}: cut off or damaged", n - 7);
        refuses(&f, &format!("{command} cut.safetensors"), 1, &[&said]);
    }
}

/// A text model of 256 tokens, after `change` has changed its vocabulary.
#[cfg(all(unix, feature = "bpe"))]
fn with_tokenizer(f: &Folder, name: &str, change: impl FnOnce(&mut Value)) {
    let mut file = common::text_model(256);
    let letters: serde_json::Map<String, Value> = (0u32..0x144)
        .filter_map(char::from_u32)
        .filter(|c| matches!(*c as u32, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF | 0x100..0x144))
        .enumerate()
        .map(|(i, c)| (c.to_string(), i.into()))
        .collect();
    let byte_level =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true });
    let mut vocabulary = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": byte_level, "post_processor": null, "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": letters, "merges": [],
        },
    });
    change(&mut vocabulary);
    let section = json!({ "tokenizer": "bpe", "vocabulary": vocabulary });
    file.header.sections.insert("text".into(), section);
    file.write(&f.path(name)).unwrap();
}

#[cfg(all(unix, feature = "bpe"))]
#[test]
fn a_tokeniser_is_what_the_trainer_writes_or_refused() {
    let f = Folder::new();
    std::fs::write(f.path("a.txt"), "to be or not to be\n").unwrap();
    with_tokenizer(&f, "good.safetensors", |_| ());
    assert_eq!(f.json("eval -m good.safetensors a.txt")["symbols"], 19);
    let fixed = json!({ "strategy": { "Fixed": 5000 }, "direction": "Right", "pad_to_multiple_of": 0,
                        "pad_id": 60000, "pad_type_id": 0, "pad_token": "x" });
    let cut = json!({ "direction": "Left", "max_length": 2, "strategy": "LongestFirst", "stride": 50 });
    type Change = Box<dyn Fn(&mut Value)>;
    let set = |at: &'static str, to: Value| -> Change {
        Box::new(move |v| *v.pointer_mut(at).unwrap() = to.clone())
    };
    let cases: [(&str, Change); 9] = [
        ("`padding` is", set("/padding", fixed)),
        ("`truncation` is", set("/truncation", cut)),
        ("`normalizer` is", set("/normalizer", json!({ "type": "Precompiled", "precompiled_charsmap": "" }))),
        ("`added_tokens` is", set("/added_tokens", json!([{ "id": 7, "content": "a" }]))),
        ("`model.dropout` is", set("/model/dropout", json!(0.9))),
        ("has the number 4294967295", set("/model/vocab/a", json!(u32::MAX))),
        ("`model.vocab` has 1 tokens", set("/model/vocab", json!({ "a": 0 }))),
        ("merge 0: makes no token", set("/model/merges", json!([["a", "b"]]))),
        ("merge 0: wanted a list", set("/model/merges", json!(["a b"]))),
    ];
    for (words, change) in cases {
        with_tokenizer(&f, "bad.safetensors", change);
        for command in ["eval -m bad.safetensors a.txt", "sample -m bad.safetensors --prompt a"] {
            refuses_cheaply(&f, command, &["bad.safetensors", "header section `text`", words]);
        }
    }
}

#[cfg(unix)]
#[test]
fn small_files_take_little_memory() {
    let f = Folder::new();
    // Queues of 1 GB in a file of some kB.
    let mut config = common::unconditional();
    config.kernel_size = 16;
    config.dilations = vec![1 << 19; 2];
    common::checkpoint(&config).write(&f.path("long.safetensors")).unwrap();
    let would = "of memory, at most 2.0 GB are allowed; --max-memory raises the limit";
    config.residual_channels = 32;
    common::checkpoint(&config).write(&f.path("longer.safetensors")).unwrap();
    refuses_cheaply(
        &f,
        "render -m longer.safetensors -o x.wav",
        &["longer.safetensors", "streams (1 of 2", would],
    );
    let small = "at most 100 MB are allowed";
    refuses_cheaply(
        &f,
        "--max-memory 100MB render -m long.safetensors -o x.wav",
        &["long.safetensors", small],
    );
    refuses_cheaply(&f, "render --max-memory 100kB -m voice -o x.wav", &["at most 100 kB are allowed"]);
    refuses_cheaply(&f, "render --max-memory 7 -m voice -o x.wav", &["no amount of memory"]);
    // Devices, and files without data.
    sparse(&f, "zeros", b"", 1 << 42);
    sparse(&f, "head.safetensors", &(1u64 << 41).to_le_bytes(), 1 << 42);
    for file in ["/dev/zero", "zeros", "head.safetensors"] {
        for command in [
            format!("info {file}"),
            format!("render -m {file} -o x.wav"),
            format!("render --condition {file} -o x.wav"),
            format!("render --condition en_allison --track {file} -o x.wav"),
            format!("render --condition en_allison --uniforms {file} -o x.wav"),
            format!("render --jobs {file}"),
            format!("condition info {file}"),
            format!("eval -m text {file}"),
            format!("compare --text {file} text"),
            format!("logits -m text --symbols {file} -o l.npy"),
        ] {
            refuses_cheaply(&f, &command, &[file]);
        }
    }
    #[cfg(feature = "train")]
    for file in ["/dev/zero", "zeros"] {
        refuses_cheaply(&f, &format!("train {file}"), &[file]);
    }
}

/// What is enough for one stream is not for two, in every command that runs two.
#[cfg(unix)]
#[test]
fn streams_are_counted_wherever_several_run_at_once() {
    let f = Folder::new();
    let mut config = common::config();
    config.dilations = vec![1 << 15; 2];
    common::checkpoint(&config).write(&f.path("long.safetensors")).unwrap();
    let memory = Memory::of(&FamilyConfig::from(config));
    let own = Condition { stats: Some(common::statistics()), ..common::speaker([1.0; 4]) };
    own.write(&f.path("own.bin")).unwrap();
    for name in ["a.wav", "b.wav"] {
        f.ok(&format!("render -m voice.safetensors --condition ann.bin --seconds 0.2 -o {name}"));
    }
    std::fs::write(f.path("jobs.tsv"), "own.bin\t-\t1\tx.wav\t0.1\nown.bin\t-\t2\ty.wav\t0.1\n").unwrap();
    let voice = "-m long.safetensors --condition own.bin";
    let mut commands = vec![
        format!("copy {voice} a.wav b.wav"),
        format!("eval {voice} a.wav b.wav"),
        "render -m long.safetensors --jobs jobs.tsv".to_string(),
    ];
    if cfg!(feature = "device") {
        commands.push(format!("play {voice} --seconds 0.1 --layer own.bin -o z.wav"));
    }
    for command in commands {
        let with = |bytes: u64| format!("--max-memory {}kB {command}", bytes as f64 / 1e3);
        refuses_cheaply(&f, &with(memory.total(2) - 2000), &["streams (2 of", "--max-memory raises"]);
        let out = f.without_device(&with(memory.total(2) + 2000)).env("RAYON_NUM_THREADS", "2").output();
        let out = out.unwrap();
        assert!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

#[cfg(feature = "train")]
#[test]
fn run_files_of_any_size_are_refused_before_memory_is_taken() {
    let f = Folder::new();
    let run = |text: &str| std::fs::write(f.path("run.toml"), text).unwrap();
    let text = "To be, or not to be.\n".repeat(200);
    std::fs::write(f.path("a.txt"), &text).unwrap();
    std::fs::create_dir_all(f.path("root/ada")).unwrap();
    let voice = |model: &str| format!("[corpus]\nroot = \"root\"\n[model]\n{model}\n[train]\nsteps = 2\n");
    run(&voice("residual_channels = 4\nskip_channels = 4\ndilations = { cycle = 3, layers = 4294967295 }"));
    refuses_cheaply(&f, "train run.toml", &["dilations is 4294967295, wanted 1 to 1024 layers"]);
    run(&voice("residual_channels = 4294967295\nskip_channels = 4\ndilations = [1]"));
    refuses_cheaply(&f, "train run.toml", &["residual_channels is 4294967295"]);
    let of_text = |model: &str, train: &str| {
        format!("[text]\nfile = \"a.txt\"\n[model]\n{model}\n[train]\nsteps = 2\nwindow = 16\n{train}\n")
    };
    run(&of_text("family = \"char_rnn\"\ncell = \"lstm\"\nhidden = 4096\nlayers = 64", "batch = 2"));
    refuses_cheaply(&f, "train run.toml", &["parameters would take", "--max-memory raises the limit"]);
    run(&of_text("family = \"char_rnn\"\ncell = \"lstm\"\nhidden = 4294967295\nlayers = 1", "batch = 2"));
    refuses_cheaply(&f, "train run.toml", &["hidden is 4294967295"]);
}

#[test]
fn numbers_that_are_none_stop_a_command() {
    let f = Folder::new();
    let infinite = |mut file: Checkpoint, names: [&str; 2], to: &str| {
        for name in names {
            file.tensors.get_mut(name).unwrap().data.iter_mut().for_each(|v| *v = 1e30);
        }
        file.write(&f.path(to)).unwrap();
    };
    let voice = common::checkpoint(&common::unconditional());
    infinite(voice, ["head.0.bias", "head.1.weight"], "loud.safetensors");
    let said = "the model's outputs are infinite or no numbers";
    f.ok("render -m plain.safetensors --seconds 0.1 -o a.wav");
    refuses(&f, "render -m loud.safetensors --seconds 1 -o x.wav", 1, &[said]);
    refuses(&f, "render -m loud.safetensors --seconds 1 --temperature 0 -o x.wav", 1, &[said]);
    refuses(&f, "eval -m loud.safetensors a.wav", 1, &["a.wav", said]);
    std::fs::write(f.path("jobs.tsv"), "-\t-\t1\tx.wav\t0.1\n").unwrap();
    refuses(&f, "render -m loud.safetensors --jobs jobs.tsv", 1, &[said]);
    let mut text = common::text_model(256);
    text.header.sections.insert("text".into(), json!({ "tokenizer": "bytes" }));
    infinite(text.clone(), ["head.weight", "head.bias"], "text.safetensors");
    text.tensors.get_mut("head.bias").unwrap().data[7] = f32::MAX;
    text.tensors.insert("head.weight".into(), Tensor::new(&[12, 256], vec![f32::MAX; 12 * 256]));
    text.write(&f.path("text.safetensors")).unwrap();
    // Finite outputs, and rows that are no numbers in the scale of the data.
    let mut series = common::series();
    series.tensors.get_mut("head.bias").unwrap().data.fill(3e38);
    series.write(&f.path("series.safetensors")).unwrap();
    for more in ["", "-o x.csv", "-o x.png"] {
        let sample = format!("sample -m series.safetensors --temperature 0 {more}");
        refuses(&f, &sample, 1, &["error: series.safetensors: ", said]);
    }
    refuses(&f, "eval -m text.safetensors jobs.tsv", 1, &["jobs.tsv", said]);
    let out = f.run("sample -m text.safetensors --length 50");
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains(said));
}

/// A sequence without end is written while it is drawn; a picture of all of it is refused before.
#[cfg(unix)]
#[test]
fn rows_of_a_series_are_written_as_they_are_drawn() {
    use std::io::{BufRead, BufReader};
    let f = Folder::new();
    common::series().write(&f.path("series.safetensors")).unwrap();
    let sample = "sample -m series.safetensors --seed 3";
    let few = String::from_utf8(f.ok(&format!("{sample} -l 50 -n 2"))).unwrap();
    let lines: Vec<&str> = few.lines().collect();
    assert_eq!((lines.len(), lines[50]), (101, ""));
    assert!(lines[0].split(',').count() == 2 && lines[0] != lines[51], "{few}");
    f.ok(&format!("{sample} -l 50 -n 2 -o rows.csv"));
    assert_eq!(std::fs::read_to_string(f.path("rows.csv")).unwrap(), few);
    assert_eq!(f.ok(sample).iter().filter(|b| **b == b'\n').count(), 7);
    let mut endless = f.command(&format!("--max-memory 100MB {sample} -l 1099511627776"));
    let mut endless = endless.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let read = BufReader::new(endless.stdout.take().unwrap()).lines().take(50).collect::<Result<Vec<_>, _>>();
    let _ = endless.kill();
    endless.wait().unwrap();
    assert_eq!(read.unwrap(), lines[..50]);
    let picture = format!("{sample} -l 1099511627776 -n 10000 -o x.png");
    refuses_cheaply(
        &f,
        &picture,
        &["the 1099511627776 rows of 10000 sequences", "of memory, at most 2.0 GB"],
    );
    f.ok(&format!("{sample} -l 50 -o y.png"));
    refuses(&f, &format!("{sample} --no-echo"), 2, &["--no-echo: series.safetensors reads no text"]);
    refuses(&f, &format!("{sample} -l 1099511627777"), 2, &["--length 1099511627777", "1 to 1099511627776"]);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let f = Folder::new();
    let mut both = common::checkpoint(&common::unconditional());
    both.header.sections.insert("text".into(), json!({ "tokenizer": "bytes" }));
    both.write(&f.path("both.safetensors")).unwrap();
    for command in ["info", "render -o x.wav -m", "eval ann.bin -m", "sample -m"] {
        let said =
            ["both.safetensors: its header has the sections `voice` and `text`, a model is of one kind"];
        refuses(&f, &format!("{command} both.safetensors"), 1, &said);
    }
    for preemphasis in [0.995, 1.0, -0.1] {
        let mut file = common::checkpoint(&common::unconditional());
        file.header.sections["voice"]["preemphasis"] = json!(preemphasis);
        file.write(&f.path("tilted.safetensors")).unwrap();
        refuses(&f, "render -m tilted.safetensors -o x.wav", 1, &["preemphasis is", "wanted 0 to 0.99"]);
    }
    let whole = std::fs::read(f.path("track.bin")).unwrap();
    let at = whole.windows(14).position(|w| w == br#"\"space\":\"\""#).unwrap();
    let head = u64::from_le_bytes(whole[..8].try_into().unwrap());
    let mut spaced = [&whole[8..at], br#"\"space\":\"x\""#, &whole[at + 14..]].concat();
    // One of the blanks that pad the head gives way, or eight more come.
    let end = (head + 1) as usize;
    let to = end.next_multiple_of(8);
    spaced.splice(end..end, std::iter::repeat_n(b' ', to - end));
    let mut file = (to as u64).to_le_bytes().to_vec();
    file.extend(&spaced);
    std::fs::write(f.path("spaced.bin"), file).unwrap();
    refuses(
        &f,
        "condition info spaced.bin",
        1,
        &["spaced.bin", "\"space\" names the space of a tensor speaker"],
    );
}

#[test]
fn a_byte_order_mark_is_no_symbol() {
    let f = Folder::new();
    std::fs::write(f.path("plain.txt"), "ROMEO:\n").unwrap();
    std::fs::write(f.path("marked.txt"), "\u{feff}ROMEO:\n").unwrap();
    let nats = |name: &str| f.json(&format!("eval -m text {name}"))["inputs"][0]["nats_per_symbol"].clone();
    assert_eq!(nats("marked.txt"), nats("plain.txt"));
    let mut tsv = std::fs::File::create(f.path("jobs.tsv")).unwrap();
    write!(tsv, "\u{feff}condition\ttrack\tseed\toutput\tseconds\n-\t-\t1\tx.wav\t0.1\n").unwrap();
    f.ok("render -m plain.safetensors --jobs jobs.tsv");
    assert!(f.path("x.wav").exists());
}

/// Lists of jobs that chance has changed, for so long.
/// A checkpoint may say any size of its images: no order is made of it.
#[cfg(unix)]
#[test]
fn info_makes_nothing_of_the_size_of_images() {
    let f = Folder::new();
    let mut model = Checkpoint::from_bytes(shipped::model("digits").unwrap()).unwrap();
    for (height, width) in
        [(1u64 << 40, 1), (1 << 33, 1 << 33), (u64::MAX, u64::MAX), (0, 0), (30_000, 30_000)]
    {
        let image = model.header.sections.get_mut("image").unwrap();
        (image["height"], image["width"]) = (json!(height), json!(width));
        model.write(&f.path("sized.safetensors")).unwrap();
        for command in ["info", "info --json"] {
            let program = f.command("").get_program().to_string_lossy().into_owned();
            let limited = format!("ulimit -v 1500000; exec {program} {command} sized.safetensors");
            let out = std::process::Command::new("sh")
                .args(["-c", &limited])
                .current_dir(f.path("."))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&out.stderr);
            assert!(out.status.success(), "{command}, {width} by {height}: {said}");
            let page = String::from_utf8_lossy(&out.stdout);
            assert!(command != "info" || page.contains("an order of its own"), "{page}");
        }
    }
}

fn mutated_lists(seconds: f64) {
    let f = Folder::new();
    let seed = "condition\ttrack\tseed\toutput\tseconds\nann.bin\ttrack.bin\t1\ta.wav\t0.01\n# no job\nboth.bin\t-\t2\tb.wav\n";
    let pieces: [&[u8]; 12] = [
        b"\t",
        b"\n",
        b"-",
        b"1e9",
        b"-1",
        b"\xff",
        b"\r",
        b"nan",
        b"../",
        b"\0",
        b"voice.safetensors",
        b"18446744073709551616",
    ];
    let (began, mut uniforms) = (Instant::now(), Uniforms::new(1));
    while began.elapsed().as_secs_f64() < seconds {
        let mut list = seed.as_bytes().to_vec();
        for _ in 0..1 + uniforms.below(4) {
            let at = uniforms.below(list.len() as u64) as usize;
            let to = (at + uniforms.below(6) as usize).min(list.len());
            list.splice(at..to, pieces[uniforms.below(pieces.len() as u64) as usize].iter().copied());
        }
        std::fs::write(f.path("jobs.tsv"), &list).unwrap();
        let out = f.run("render -m voice.safetensors --seconds 0.01 --jobs jobs.tsv");
        let message = String::from_utf8_lossy(&out.stderr);
        assert!(matches!(out.status.code(), Some(0..=2)), "{:?}: {message}", String::from_utf8_lossy(&list));
        assert_eq!(message.trim_end().lines().count(), 1, "{:?}: {message}", String::from_utf8_lossy(&list));
    }
}

#[test]
fn a_list_of_jobs_is_refused_in_one_line_or_rendered() {
    mutated_lists(2.0);
}

#[test]
#[ignore = "takes ten minutes"]
fn a_list_of_jobs_is_refused_or_rendered_for_ten_minutes() {
    mutated_lists(600.0);
}
