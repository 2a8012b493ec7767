//! The run files that are shipped, and the page that lists their keys.

use serde_json::{Value, json};
use std::path::Path;
use wavesynth::train::run_file::Run;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_shipped_run_file_is_one() {
    let mut count = 0;
    for folder in ["examples/train", "benches/text"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "toml") {
                Run::read(&path).unwrap_or_else(|e| panic!("{}: {e:#}", path.display()));
                count += 1;
            }
        }
    }
    assert!(count > 15, "{count} run files");
}

/// The rest of a run file that each of the page's sections is tried in.
const VOICE: &str =
    "[model]\nresidual_channels = 8\nskip_channels = 8\ndilations = [1, 2]\n[train]\nsteps = 10\n";
const IMAGES: &str = "[images]\nfile = \"i\"\npixels = \"binary\"\n[train]\nsteps = 10\n";
const TEXT: &str = "[text]\nfile = \"t\"\n[train]\nsteps = 10\n";

/// A least run file that has the section called `heading`, and where that stands in it.
fn example(heading: &str) -> (String, Vec<&str>) {
    let speakers = "[[speaker]]\nname = \"a\"\nfolder = \"f\"\n";
    let voice = format!("{speakers}{VOICE}");
    let text = |model: &str| format!("[model]\n{model}\n{TEXT}");
    let images = |model: &str| format!("[model]\n{model}\n{IMAGES}");
    match heading {
        "[corpus]" => (voice, vec!["corpus"]),
        "[[speaker]]" => (voice, vec!["speaker", "0"]),
        "[audio]" => (voice, vec!["audio"]),
        "[text]" => (text("family = \"ngram\"").replace("steps = 10\n", ""), vec!["text"]),
        "[series]" => {
            let lstm = "[model]\nfamily = \"char_rnn\"\ncell = \"lstm\"\nhidden = 4\nlayers = 1\n";
            (format!("{lstm}[series]\nfile = \"s\"\n[train]\nsteps = 10\n"), vec!["series"])
        }
        "[say]" | "[durations]" => {
            let lstm = "[model]\nfamily = \"char_rnn\"\ncell = \"lstm\"\nhidden = 4\nlayers = 1\n";
            let say = "[say]\nlanguage = \"en\"\nfolders = [\"f\"]\n";
            (format!("{lstm}{say}[train]\nsteps = 10\n"), vec![heading.trim_matches(['[', ']'])])
        }
        "[images]" => {
            let lstm = "family = \"char_rnn\"\ncell = \"lstm\"\nhidden = 4\nlayers = 1";
            (images(lstm), vec!["images"])
        }
        "[vq_vae]" => {
            let images = "[images]\nfile = \"i\"\npixels = \"binary\"\n";
            (format!("{images}[vq_vae]\n[train]\nsteps = 10\n"), vec!["vq_vae"])
        }
        "[model] wavenet" => (voice, vec!["model"]),
        "[model] char_rnn" => {
            (text("family = \"char_rnn\"\ncell = \"gru\"\nhidden = 4\nlayers = 1"), vec!["model"])
        }
        "[model] gpt" => (text("family = \"gpt\"\nlayers = 1\nheads = 1\nwidth = 4"), vec!["model"]),
        "[model] nade" => (images("family = \"nade\"\nhidden = 4"), vec!["model"]),
        "[model] made" => (images("family = \"made\"\nhidden = [4]"), vec!["model"]),
        "[model] pixel_rnn" => {
            (images("family = \"pixel_rnn\"\nkind = \"row\"\nhidden = 4\nlayers = 1"), vec!["model"])
        }
        "[model] pixel_cnn" => (images("family = \"pixel_cnn\"\nchannels = 4\nlayers = 1"), vec!["model"]),
        "[model] ngram" => (text("family = \"ngram\"").replace("steps = 10\n", ""), vec!["model"]),
        "[train]" => (voice, vec!["train"]),
        "[train.perturbation]" => (voice + "perturbation = {}\n", vec!["train", "perturbation"]),
        "[train.others]" => {
            let voice = voice.replace("[train]", "others = 8\n[train]");
            (voice + "others = { folder = \"f\" }\n", vec!["train", "others"])
        }
        "[train.scheduled_sampling]" => {
            (voice + "scheduled_sampling = { rule = \"linear\" }\n", vec!["train", "scheduled_sampling"])
        }
        "[train.curriculum]" => (voice + "curriculum = { from = 100 }\n", vec!["train", "curriculum"]),
        other => panic!("no example of {other}"),
    }
}

fn parsed(text: &str) -> Value {
    let run = Run::parse(text, "run").unwrap_or_else(|e| panic!("{e:#}\n{text}"));
    match run {
        Run::Voice(run) => serde_json::to_value(run),
        Run::Text(run) => serde_json::to_value(run),
        Run::Series(run) => serde_json::to_value(run),
        Run::Say(run) => serde_json::to_value(run),
        Run::Images(run) => serde_json::to_value(run),
        Run::VqVae(run) => serde_json::to_value(run),
    }
    .unwrap()
}

/// A value as JSON and the page both have it; numbers to the 32 bits that some keys have.
fn plain(value: &Value) -> Value {
    value.as_f64().map_or_else(|| value.clone(), |v| json!(v as f32))
}

#[test]
fn the_page_lists_every_key_and_its_default() {
    let page = std::fs::read_to_string(root().join("docs/run-files.md")).unwrap();
    let mut sections = 0;
    for section in page.split("\n## ").skip(1) {
        let (heading, body) = section.split_once('\n').unwrap();
        let (text, place) = example(heading);
        let mut found = &parsed(&text);
        for step in place {
            found = step.parse::<usize>().map_or_else(|_| &found[step], |i| &found[i]);
        }
        let mut keys = found.as_object().unwrap_or_else(|| panic!("{heading}: {found}")).clone();
        keys.remove("family");
        for row in body.lines().filter(|l| l.starts_with("| ")).skip(1) {
            let cells: Vec<&str> = row.split(" | ").map(|c| c.trim_matches(['|', ' '])).collect();
            let (key, default) = (cells[0], cells[1]);
            let value = keys.remove(key).unwrap_or_else(|| panic!("{heading}: there is no key {key}"));
            match default {
                "required" => assert!(text.contains(&format!("{key} = ")), "{heading} {key} is not required"),
                // Every example says how many.
                "–" if key == "steps" => {}
                "–" => assert!(value.is_null(), "{heading} {key}: {value} when left out"),
                _ => {
                    let listed = toml_value(default.trim_matches('`'));
                    // What a network's keys mean when they are left out is the family's to say.
                    if value.is_null() && heading == "[model] wavenet" {
                        let said = text
                            .replace("[train]", &format!("{key} = {}\n[train]", default.trim_matches('`')));
                        assert_eq!(network(&said), network(&text), "{key}");
                    } else {
                        assert_eq!(plain(&value), plain(&listed), "{heading} {key}");
                    }
                }
            }
        }
        assert!(keys.is_empty(), "{heading}: not on the page: {keys:?}");
        sections += 1;
    }
    assert_eq!(sections, 22);
}

/// Each key of `[durations]` has the page's default, whichever of the others are given; another family has its own.
#[test]
fn keys_of_durations_are_left_out_one_by_one() {
    let (text, _) = example("[durations]");
    let durations = |keys: &str| parsed(&format!("{text}[durations]\n{keys}\n"))["durations"].clone();
    let whole = parsed(&text)["durations"].clone();
    assert_eq!((&whole["family"], &whole["hidden"]), (&json!("char_rnn"), &json!(64)));
    assert_eq!(durations(""), whole);
    for (key, value) in [("family", json!("char_rnn")), ("cell", json!("gru")), ("hidden", json!(32))] {
        let mut wanted = whole.clone();
        wanted[key] = value.clone();
        assert_eq!(durations(&format!("{key} = {value}")), wanted, "{key}");
    }
    for (keys, words) in [
        ("hiden = 32", "unknown field `hiden`"),
        ("family = \"gpt\"", "missing field"),
        ("family = \"gpt\"\nlayers = 1\nheads = 1\nwidth = 4", "durations.family"),
    ] {
        let e = Run::parse(&format!("{text}[durations]\n{keys}\n"), "run").unwrap_err();
        let message = format!("{e:#}");
        assert!(message.contains(words) && !message.contains('\n'), "{keys}: {message}");
    }
}

fn toml_value(text: &str) -> Value {
    // Numbers, strings, booleans and empty lists are written alike.
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The network of a voice's run file.
fn network(text: &str) -> Value {
    let Run::Voice(run) = Run::parse(text, "run").unwrap() else { panic!("no voice") };
    run.network(1).unwrap().to_json().unwrap()
}

#[test]
fn a_run_starts_from_a_runs_folder_and_what_is_missing_is_said_before_the_data_is_read() {
    use crate::common::{failure, go};
    use crate::text::{dir, run_file};
    let dir = dir();
    let cnn = "residual_channels = 4\nskip_channels = 4\ndilations = [1, 2]";
    let train = |more: &str| format!("window = 32\nbatch = 2\n{more}");
    go(&run_file(&dir, "a", "", cnn, &train("steps = 2")), false, None).unwrap();
    let from = train(&format!("steps = 1\nlearning_rate = 0.0\nstart_from = {:?}", dir.path("a")));
    go(&run_file(&dir, "b", "", cnn, &from), false, None).unwrap();
    let weights = |out: &str| {
        let path = dir.path(out).join("text.safetensors");
        wavesynth_models::weights::Checkpoint::read(&path).unwrap().tensors
    };
    assert_eq!(weights("a"), weights("b"));
    // Once begun, it needs that no more.
    let from = train(&format!("steps = 3\nstart_from = {:?}", dir.path("a")));
    let stopped = run_file(&dir, "f", "", cnn, &from);
    go(&stopped, false, Some(1)).unwrap();
    std::fs::remove_dir_all(dir.path("a")).unwrap();
    go(&stopped, true, None).unwrap();

    let message = failure(&run_file(&dir, "c", "", cnn, &train("steps = 1\nstart_from = \"nobody\"")), false);
    assert!(message.contains("train.start_from") && message.contains("shipped models"), "{message}");
    let run = run_file(&dir, "d", "", cnn, &train("steps = 1"));
    std::fs::write(dir.path("e"), "a file").unwrap();
    let text =
        std::fs::read_to_string(&run).unwrap().replace("/d\"", "/e/f\"").replace("slice.txt", "none.txt");
    std::fs::write(&run, text).unwrap();
    let message = failure(&run, false);
    assert!(message.contains("train.out") && message.contains("nothing can be written"), "{message}");
}
