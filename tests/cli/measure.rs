//! logits, eval, bench, info.

use super::common::{self, Folder};
#[cfg(feature = "train")]
use super::write_npy;
use super::{number, read_npy, refuses};

#[cfg(feature = "train")]
#[test]
fn logits_agree_between_step_and_graph() {
    let f = Folder::new();
    let symbols: Vec<u8> = (0..500u32).map(|i| (i * i % 251) as u8).collect();
    write_npy(&f, "x.npy", &symbols);
    for model in ["-m voice.safetensors --condition ann.bin --track track.bin", "-m plain.safetensors"] {
        f.ok(&format!("logits {model} --symbols x.npy --path step -o step.npy"));
        f.ok(&format!("logits {model} --symbols x.npy --path graph -o graph.npy"));
        let (shape, step) = read_npy::<f32>(&f, "step.npy");
        assert_eq!(shape, [500, 256]);
        let (shape, graph) = read_npy::<f32>(&f, "graph.npy");
        assert_eq!(shape, [500, 256]);
        let worst = step.iter().zip(&graph).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-3, "{model}: {worst}");
        assert!(step.iter().any(|v| v.abs() > 1.0));
    }
    write_npy(&f, "y.npy", &[5i64, -1]);
    refuses(&f, "logits -m plain.safetensors --symbols y.npy -o z.npy", 1, &["symbol 1 is -1", "0 to 255"]);
    write_npy(&f, "y.npy", &[0i64; 0]);
    refuses(&f, "logits -m plain.safetensors --symbols y.npy -o z.npy", 1, &["no symbols"]);
    refuses(&f, "logits -m plain.safetensors --symbols x.npy --path sideways -o z.npy", 2, &["sideways"]);
}

#[test]
fn eval_counts_every_symbol() {
    let f = Folder::new();
    f.ok("render -m voice.safetensors --condition both.bin -o a.wav");
    f.ok("render -m voice.safetensors --condition bob.bin --seconds 0.5 -o b.wav");
    let one = f.json("eval -m voice.safetensors --condition both.bin a.wav");
    assert_eq!(number(&one, "symbols"), 4000.0);
    let two = f.json("eval -m voice.safetensors --condition bob.bin a.wav b.wav --per-symbol n.npy");
    let inputs = two["inputs"].as_array().unwrap();
    assert_eq!((inputs.len(), number(&two, "symbols")), (2, 12_000.0));
    assert_eq!((inputs[1]["input"].as_str(), number(&inputs[1], "symbols")), (Some("b.wav"), 8000.0));
    let nats = number(&two, "nats_per_symbol");
    assert!((number(&two, "bits_per_symbol") - nats / std::f64::consts::LN_2).abs() < 1e-12);
    let (_, each) = read_npy::<f32>(&f, "n.npy");
    let mean = each.iter().map(|v| f64::from(*v)).sum::<f64>() / 12_000.0;
    assert!((mean - nats).abs() < 1e-9);
    let plain = f.json("eval -m plain.safetensors a.wav");
    assert!(number(&plain, "nats_per_symbol") > 0.0);
    assert!(f.ok("eval -m plain.safetensors a.wav b.wav").ends_with(b"in total\n"));
    std::fs::write(f.path("noise.wav"), b"RIFFnothing").unwrap();
    refuses(&f, "eval -m plain.safetensors noise.wav", 1, &["noise.wav"]);
    refuses(&f, "eval -m plain.safetensors a.wav none.wav", 1, &["none.wav"]);
    refuses(&f, "eval -m voice.safetensors --condition both.bin a.wav b.wav", 2, &["one track", "2 inputs"]);
}

#[test]
fn bench_measures_shapes_and_checkpoints() {
    let f = Folder::new();
    for what in ["latency --latency 20", "throughput"] {
        let rows = f.json(&format!("bench {what} -m voice.safetensors --seconds 0.2"));
        let row = &rows.as_array().unwrap()[0];
        assert_eq!((row["shape"].as_str(), row["dtype"].as_str()), (Some("voice"), Some("f32")));
        assert!(row["isa"].is_string());
        let ns = &row["ns_per_symbol"];
        assert!(number(ns, "p50") > 0.0 && number(ns, "p50") <= number(ns, "p99"));
        assert!(number(ns, "p99") <= number(ns, "p999") && number(ns, "p999") <= number(ns, "max"));
        assert_eq!(row["clock_floor_ns"].is_object(), what != "throughput");
        assert!(number(row, "times_real_time") > 0.0);
        assert!(number(row, "weight_bytes") > 1000.0 && number(row, "state_bytes") > 100.0);
        assert_eq!(row["change_to_sound_ms"].is_object(), what != "throughput");
    }
    let rows = f.json("bench throughput --shape deepvoice-small --seconds 0.1 --isa plain");
    assert_eq!(
        (rows[0]["shape"].as_str(), rows[0]["isa"].as_str()),
        (Some("deepvoice-small"), Some("plain"))
    );
    assert!(f.ok("bench latency -m plain.safetensors --seconds 0.1").starts_with(b"shape"));
    common::char_rnn().write(&f.path("text.safetensors")).unwrap();
    let rows = f.json("bench latency -m text.safetensors --seconds 0.01");
    assert!(number(&rows[0]["ns_per_symbol"], "p50") > 0.0 && rows[0]["change_to_sound_ms"].is_null());
    for model in ["voice", "text"] {
        let rows = f.json(&format!("bench throughput -m {model}.safetensors --seconds 0.05 --streams 3"));
        let symbols = 3.0 * (0.05 * number(&rows[0], "sample_rate"));
        assert_eq!((number(&rows[0], "streams"), number(&rows[0], "symbols")), (3.0, symbols));
        let times = 1e9 / (number(&rows[0], "ns_per_symbol_mean") * number(&rows[0], "sample_rate"));
        assert!((number(&rows[0], "times_real_time") / times - 1.0).abs() < 1e-9);
    }
    refuses(&f, "bench throughput --shape ibab --streams 0", 2, &["--streams 0", "1 to 256"]);
    refuses(&f, "bench latency --shape huge", 1, &["huge", "nv-wavenet"]);
    refuses(&f, "bench latency --shape ibab --dtype f7", 2, &["f7", "f32"]);
    refuses(&f, "bench latency --shape ibab -m voice.safetensors", 2, &["--shape"]);
    refuses(&f, "bench latency --shape ibab --seconds -1", 2, &["-1"]);
    refuses(&f, "bench latency --shape ibab --isa z80", 2, &["z80", "plain"]);
}

#[test]
fn bench_say_measures_from_text_to_sound() {
    let f = Folder::new();
    std::fs::write(f.path("two.txt"), "No. Yes, two words.").unwrap();
    let rows = f.json("bench say Hello. --file two.txt --rounds 2");
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.iter().map(|r| number(r, "words")).collect::<Vec<_>>(), [1.0, 4.0]);
    for row in rows {
        let first = &row["first_sound_ms"];
        assert!(number(first, "p50") > 0.0 && number(first, "p50") <= number(first, "max"));
        assert!(number(row, "times_real_time") > 0.0 && number(row, "seconds") > 0.1);
        // It can't be further ahead than the whole of it lasts.
        assert!(number(row, "least_lead_ms") < 1e3 * number(row, "seconds"));
    }
    assert!(f.ok("bench say Hello. --rounds 1").starts_with(b"words"));
    refuses(&f, "bench say Hello. --rounds 0", 2, &["--rounds 0", "1 to 10000"]);
    refuses(&f, "bench say ... --rounds 1", 1, &["no word"]);
    refuses(&f, "bench say Hello. --language xx", 2, &["xx", "en"]);
}

#[cfg(feature = "train")]
#[test]
fn bench_train_times_the_phases_of_a_step() {
    let f = Folder::new();
    let run = "[corpus]\nroot = \"none\"\n[model]\nresidual_channels = 8\nskip_channels = 8\n\
        dilations = [1, 2, 4]\n[train]\nsteps = 1\nwindow = 320\nbatch = 3\n";
    std::fs::write(f.path("small.toml"), run).unwrap();
    let rows = f.json("bench train --shape small.toml --steps 3");
    let row = &rows.as_array().unwrap()[0];
    assert_eq!((row["shape"].as_str(), row["engine"].as_str()), (Some("small"), Some("fused")));
    assert_eq!((number(row, "windows"), number(row, "rows"), number(row, "warmup")), (3.0, 480.0, 160.0));
    assert_eq!(row["step_seconds_all"].as_array().unwrap().len(), 3);
    let names: Vec<_> =
        row["phases"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    for phase in ["batch", "gate products", "head and softmax", "weight gradients", "optimizer", "average"] {
        assert!(names.contains(&phase), "{names:?}");
    }
    let rows =
        f.json("bench train --shape small.toml --steps 1 --warmup 0 --batch 1 --window 640 --engine graph");
    assert_eq!((number(&rows[0], "windows"), number(&rows[0], "rows")), (1.0, 640.0));
    assert_eq!(number(&rows[0], "samples_per_s"), number(&rows[0], "rows_per_s"));
    refuses(&f, "bench train --shape huge", 1, &["huge", "wavenet-30", "shipped"]);
    refuses(&f, "bench train --shape none.toml", 1, &["none.toml"]);
    refuses(&f, "bench train --batch 0", 2, &["--batch 0", "1 to 4096"]);
    refuses(&f, "bench train --engine steam", 2, &["steam", "fused, graph"]);
}

#[test]
fn bench_limits_divides_what_was_reached_by_the_bound() {
    let f = Folder::new();
    let v = f.json("bench limits -m plain.safetensors --seconds 0.05 --plot l.svg --table l.md");
    let machine = &v["machine"];
    assert!(number(machine, "mul_adds_per_s") > 1e8);
    let levels = machine["levels"].as_array().unwrap();
    assert!(levels.len() >= 2 && levels.iter().all(|l| number(l, "bytes_per_s") > 1e7));
    let rates: Vec<_> = v["read_rates"].as_array().unwrap().iter().map(|r| r[1].as_f64().unwrap()).collect();
    assert!(rates.windows(2).all(|w| w[0] >= w[1]), "{rates:?}");
    let row = &v["rows"][0];
    assert_eq!((row["shape"].as_str(), row["dtype"].as_str()), (Some("plain"), Some("f32")));
    let bound = number(row, "compute_ns").max(number(row, "read_ns"));
    assert_eq!(number(row, "bound_ns"), bound);
    let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-9;
    assert!(near(number(row, "fraction"), bound / number(row, "ns_per_symbol")));
    let reached = number(row, "times_real_time");
    assert!(near(number(row, "fraction"), reached / number(row, "bound_times_real_time")));
    let svg = std::fs::read_to_string(f.path("l.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("plain"), "{svg}");
    assert!(std::fs::read_to_string(f.path("l.md")).unwrap().contains("| plain | f32 |"));
    refuses(&f, "bench limits --shape huge", 1, &["huge", "nv-wavenet"]);
    refuses(&f, "bench limits --shape ibab --seconds 0", 2, &["--seconds"]);
    refuses(&f, "bench limits -m plain.safetensors --seconds 0.05 --plot no/x.svg", 1, &["no/x.svg"]);
}

#[test]
fn bench_growth_varies_one_size_at_a_time() {
    let f = Folder::new();
    let v = f.json("bench growth --seconds 0.01 --longest 2 --plot g.svg");
    let rows = v.as_array().unwrap();
    let of = |vary: &str| rows.iter().filter(|r| r["vary"] == vary).collect::<Vec<_>>();
    assert!(rows.iter().all(|r| number(r, "ns_per_symbol") > 0.0));
    for vary in ["layers", "channels"] {
        assert!(
            of(vary).windows(2).all(|w| number(w[0], "macs_per_symbol") < number(w[1], "macs_per_symbol"))
        );
    }
    let dilation = of("dilation");
    assert_eq!((number(dilation[0], "value"), dilation.len()), (1.0, 10));
    assert!(dilation.windows(2).all(|w| w[0]["macs_per_symbol"] == w[1]["macs_per_symbol"]));
    assert_eq!(of("length").iter().map(|r| number(r, "value")).collect::<Vec<_>>(), [1.0, 2.0]);
    let streams = of("streams");
    assert_eq!((number(streams[0], "value"), streams.len()), (1.0, 8));
    assert!(streams.windows(2).all(|w| w[0]["state_bytes"] == w[1]["state_bytes"]));
    let svg = std::fs::read_to_string(f.path("g.svg")).unwrap();
    assert!(svg.contains("largest dilation") && svg.contains("all streams"));
    refuses(&f, "bench growth --longest -1", 2, &["--longest"]);
}

#[test]
fn bench_shapes_are_those_that_are_measured() {
    let f = Folder::new();
    let v = f.json("bench shapes");
    let names: Vec<_> = v.as_array().unwrap().iter().map(|s| s["shape"].as_str().unwrap()).collect();
    assert!(names.contains(&"nv-wavenet") && names.contains(&"shipped"), "{names:?}");
    assert_eq!(v[0]["config"]["dilations"].as_array().unwrap().len(), 20);
}

#[test]
fn info_shows_a_checkpoint() {
    let f = Folder::new();
    let v = f.json("info voice.safetensors");
    assert_eq!((v["family"].as_str(), number(&v, "receptive_field")), (Some("wavenet"), 15.0));
    assert_eq!(v["sections"]["voice"]["speakers"][1]["name"].as_str(), Some("bob"));
    assert!(number(&v, "parameters") > 1000.0);
    let text = String::from_utf8(f.ok("info voice.safetensors")).unwrap();
    for word in ["ann, bob", "15 samples, 0.9 ms", "2 x (1 2 4)", "16000 Hz", "cep16-f0-v1"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    common::char_rnn().write(&f.path("text.safetensors")).unwrap();
    let v = f.json("info text.safetensors");
    assert_eq!((v["family"].as_str(), v["config"]["cell"].as_str()), (Some("char_rnn"), Some("lstm")));
    assert_eq!(number(&v, "state_bytes"), 4.0 * 2.0 * 2.0 * 12.0);
    assert_eq!(number(&v, "macs_per_symbol"), 3.0 * 12.0 * 48.0 + 12.0 * 30.0);
    let text = String::from_utf8(f.ok("info text.safetensors")).unwrap();
    assert!(text.contains("2 of 12 LSTM units") && text.contains("192 bytes"), "{text}");
    refuses(&f, "info ann.bin", 1, &["ann.bin", "header"]);
}

#[test]
fn a_converted_voice_is_the_same_voice_with_smaller_weights() {
    let f = Folder::new();
    let size = |name: &str| std::fs::metadata(f.path(name)).unwrap().len();
    for dtype in ["f16", "i8"] {
        let name = format!("{dtype}.safetensors");
        f.ok(&format!("convert -m voice.safetensors --dtype {dtype} -o {name}"));
        assert!(size(&name) < size("voice.safetensors"));
        assert_eq!(f.json(&format!("info {name}"))["dtype"].as_str(), Some(dtype));
        let render = |args: &str| {
            f.ok(&format!("render {args} --condition ann.bin --seconds 0.2 -o a.wav"));
            std::fs::read(f.path("a.wav")).unwrap()
        };
        let own = render(&format!("-m {name} --dtype {dtype}"));
        assert!(own == render(&format!("-m voice.safetensors --dtype {dtype}")), "{dtype}");
        let rows = f.json(&format!("bench throughput -m {name} --seconds 0.1"));
        assert_eq!(rows[0]["dtype"].as_str(), Some(dtype));
        refuses(&f, "convert -m ann.bin --dtype i8 -o x.safetensors", 1, &["ann.bin"]);
    }
    assert!(size("i8.safetensors") < size("f16.safetensors"));
    let rows = f.json("bench throughput --shape deepvoice-small --dtype i8 --seconds 0.1");
    assert_eq!(rows[0]["dtype"].as_str(), Some("i8"));
    refuses(&f, "convert -m voice.safetensors --dtype i4 -o x.safetensors", 2, &["i4", "i8"]);
}

/// Of the shipped voice, which has the network.
#[test]
fn half_way_changes_cross_speaker_tracks_alone() {
    let f = Folder::new();
    f.ok("convert -m voice --half-way -o half.safetensors");
    let render = |args: &str| {
        f.ok(&format!("render {args} --track en_greeting --seconds 0.1 -o a.wav"));
        std::fs::read(f.path("a.wav")).unwrap()
    };
    let same = |who: &str| {
        render(&format!("-m half.safetensors --condition {who}")) == render(&format!("--condition {who}"))
    };
    assert!(same("en_allison") && !same("it_carlo"));
    refuses(
        &f,
        "convert -m voice.safetensors --half-way -o x.safetensors",
        1,
        &["voice.safetensors", "`others` is 0"],
    );
    refuses(&f, "convert -m text --half-way -o x.safetensors", 1, &["the shipped text", "voice"]);
    refuses(&f, "convert -m voice.safetensors -o x.safetensors", 2, &["--dtype", "--half-way"]);
}
