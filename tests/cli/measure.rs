//! logits, eval, bench, info.

use super::common::{self, Folder};
use super::{number, read_npy, refuses, write_npy};

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
    refuses(&f, "bench latency --shape huge", 1, &["huge", "nv-wavenet"]);
    refuses(&f, "bench latency --shape ibab --dtype f7", 2, &["f7", "f32"]);
    refuses(&f, "bench latency --shape ibab -m voice.safetensors", 2, &["--shape"]);
    refuses(&f, "bench latency --shape ibab --seconds -1", 2, &["-1"]);
    refuses(&f, "bench latency --shape ibab --isa z80", 2, &["z80", "plain"]);
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
