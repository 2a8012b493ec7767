//! say: phones and text to speech.

use super::common::{Folder, say};
use super::{number, refuses};

const SAY: &str = "say -m voice.safetensors --speech say.safetensors --condition ann.bin";

fn folder() -> Folder {
    let f = Folder::new();
    say().write(&f.path("say.safetensors")).unwrap();
    f
}

/// `say` with phones, which hold blanks.
fn phones(f: &Folder, phones: &str, more: &str) -> std::process::Output {
    f.command(&format!("{SAY} {more}")).args(["--phones", phones]).output().unwrap()
}

#[test]
fn phones_are_said_the_same_for_the_same_seed() {
    let f = folder();
    let wav = |name: &str, seed: u32, more: &str| {
        let out = phones(&f, "A1 B | S A0 , B", &format!("--seed {seed} -o {name} {more}"));
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        std::fs::read(f.path(name)).unwrap()
    };
    let a = wav("a.wav", 1, "--timing a.tsv");
    assert_eq!(a, wav("b.wav", 1, "--timing b.json"));
    assert_ne!(a, wav("c.wav", 2, ""));
    let table = std::fs::read_to_string(f.path("a.tsv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|l| l.split('\t').collect()).collect();
    assert_eq!(rows[0], ["start", "end", "kind", "name"]);
    let kinds: Vec<&str> = rows[1..].iter().map(|r| r[2]).collect();
    let of = |kind| kinds.iter().filter(|k| **k == kind).count();
    assert_eq!((of("word"), of("phone"), of("pause")), (3, 5, 3), "{table}");
    let samples = (a.len() - 44) / 2;
    let end: f64 = rows.last().unwrap()[1].parse().unwrap();
    assert!((end - samples as f64 / 16_000.0).abs() < 1e-3, "{end} s, {samples} samples");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(f.path("b.json")).unwrap()).unwrap();
    let rows_of_json = json.as_array().unwrap();
    assert_eq!(rows_of_json.len(), rows.len() - 1);
    assert_eq!(number(rows_of_json.last().unwrap(), "end"), end);
    let out = phones(&f, "A1 B", "--json -o d.wav");
    let report: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((number(&report, "sentences"), number(&report, "words")), (1.0, 1.0));
    assert!(number(&report, "first_sound_ms") >= 0.0);
}

#[test]
fn printed_phones_say_the_text() {
    let f = Folder::new();
    let lines = String::from_utf8(f.ok("say Good-bye. --print-phones")).unwrap();
    let printed = f.command("say --print-phones").arg("Yes, two words. No?").output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert_eq!(printed, "Y EH1 S , T UW1 | W ER1 D Z .\nN OW1 ?\n");
    for (text, phones) in [("Good-bye.", &lines), ("Yes, two words. No?", &printed)] {
        let said = |args: [&str; 2], name: &str| {
            let out = f.command(&format!("say -o {name}")).args(args).output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            std::fs::read(f.path(name)).unwrap()
        };
        let (a, b) = (said(["--", text], "text.wav"), said(["--phones", phones], "phones.wav"));
        assert!(a == b, "{text}");
        std::fs::remove_file(f.path("text.wav")).unwrap();
        std::fs::remove_file(f.path("phones.wav")).unwrap();
    }
    refuses(&f, "say Hello. --print-phones -o a.wav", 2, &["--print-phones"]);
}

#[test]
fn a_pipe_gets_what_a_file_gets() {
    let f = folder();
    let file = phones(&f, "A1 B . S A0 ?", "-o a.wav --format s16");
    assert_eq!(file.status.code(), Some(2), "a name that promises another format");
    assert!(phones(&f, "A1 B . S A0 ?", "-o a.wav").status.success());
    let piped = phones(&f, "A1 B . S A0 ?", "-o - --format s16");
    assert_eq!(piped.stdout, std::fs::read(f.path("a.wav")).unwrap()[44..]);
}

#[test]
fn what_can_not_be_said_is_refused_in_one_line() {
    let f = folder();
    for (args, status, words) in [
        ("say -o x.wav", 2, &["TEXT"][..]),
        (&format!("{SAY} --phones Q -o x.wav"), 2, &["phone `Q`", "A B S"]),
        (&format!("{SAY} --phones , -o x.wav"), 2, &["nothing to say"]),
        (&format!("{SAY} --file nowhere.txt -o x.wav"), 1, &["nowhere.txt"]),
        (&format!("{SAY} --phones A --rate 0 -o x.wav"), 2, &["--rate 0", "0.25 to 4"]),
        (&format!("{SAY} --phones A --pitch 99 -o x.wav"), 2, &["--pitch 99"]),
        (&format!("{SAY} --phones A --temperature -1 -o x.wav"), 2, &["--temperature -1"]),
        (&format!("{SAY} --phones A -o x.mp3"), 2, &["x.mp3"]),
        (&format!("{SAY} --phones A --timing voice.safetensors -o x.wav"), 2, &["voice.safetensors"]),
        (
            "say -m plain.safetensors --speech say.safetensors --condition ann.bin --phones A -o x.wav",
            2,
            &["takes no track"],
        ),
        (
            "say -m voice.safetensors --speech voice.safetensors --condition ann.bin --phones A -o x.wav",
            1,
            &["say"],
        ),
        (
            "say -m voice.safetensors --language xx --condition ann.bin --phones A -o x.wav",
            2,
            &["--language xx"],
        ),
    ] {
        refuses(&f, args, status, words);
    }
    let empty = f.command(SAY).args(["", "-o", "x.wav"]).output().unwrap();
    let message = String::from_utf8(empty.stderr).unwrap();
    assert_eq!(empty.status.code(), Some(2), "{message}");
    assert!(message.contains("nothing to say") && message.lines().count() == 1, "{message}");
}

/// What a checkpoint's section may not say: names that could not be written, or that a terminal or a path would obey, and scales that
/// no speech has.
#[test]
fn a_section_is_checked_when_it_is_read() {
    use serde_json::json;
    let f = folder();
    let whole = say();
    let n = whole.header.sections["say"]["mean"].as_array().unwrap().len();
    let far = |x: f64| json!(vec![x; n]);
    let phones = |name: &str| json!(["pau", name, "B", "S"]);
    for (key, value, words) in [
        ("language", json!("../evil"), "language is \"../evil\", wanted a language's code"),
        ("language", json!("\u{1b}[31m"), "language is \"\\u{1b}[31m\""),
        ("language", json!(""), "language is \"\""),
        ("phones", phones("A\n"), "holds the control character U+000A"),
        ("phones", phones("\u{1b}[31mI"), "holds the control character U+001B"),
        ("phones", phones("A B"), "holds a blank"),
        ("phones", phones("|"), "is a mark"),
        ("phones", phones("."), "is a mark"),
        ("phones", phones("B"), "is there twice"),
        ("mean", far(3e38), "mean 0 is 3e38"),
        ("std", far(3e38), "std 0 is 3e38"),
        ("std", far(0.0), "bad scale"),
    ] {
        let mut file = whole.clone();
        file.header.sections["say"][key] = value;
        file.write(&f.path("bad.safetensors")).unwrap();
        let bad = SAY.replace("say.safetensors", "bad.safetensors");
        refuses(&f, &format!("{bad} --phones B -o x.wav"), 1, &["bad.safetensors", "`say`", words]);
    }
}

/// Weights that are numbers, and what they give is none of a frame.
#[test]
fn frames_that_are_none_end_it_in_one_line() {
    let f = folder();
    let mut file = say();
    file.tensors.get_mut("head.bias").unwrap().data.fill(3e38);
    file.write(&f.path("loud.safetensors")).unwrap();
    let loud = SAY.replace("say.safetensors", "loud.safetensors");
    let said = ["the model's outputs are infinite or no numbers"];
    for more in ["", "--temperature 0", "--variation 0"] {
        refuses(&f, &format!("{loud} --phones A -o x.wav {more}"), 1, &said);
    }
}
