//! Text through the same trainer and the same program: characters of Shakespeare, a slice of tiny Shakespeare (public
//! domain).

use crate::commands::{done, refused, wavesynth};
use crate::common::{TestDir, failure, go};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use wavesynth::ranks::Ranks;
use wavesynth::text::TextModel;
use wavesynth::train::run_file::Run;
use wavesynth::train::state::TrainingState;
use wavesynth::train::text::TextSource;
use wavesynth_models::families::gpt;
use wavesynth_models::kernels::Isa;
use wavesynth_models::weights::Checkpoint;

const SLICE: &str = include_str!("text/slice.txt");
const CNN: &str = "residual_channels = 24\nskip_channels = 32\ndilations = [1, 2, 4, 1, 2, 4]";
const TRAIN: &str =
    "window = 64\nbatch = 8\nlearning_rate = 1e-2\nwarmup_steps = 20\nema = 0.95\neval_every = 100";

/// A folder with the slice in `slice.txt` and its held-out tenth in `end.txt`.
pub fn dir() -> TestDir {
    let dir = TestDir::new();
    std::fs::write(dir.path("slice.txt"), SLICE).unwrap();
    let cut = (SLICE.len() as f64 * 0.9) as usize;
    std::fs::write(dir.path("end.txt"), &SLICE[cut..]).unwrap();
    dir
}

pub fn run_file(dir: &TestDir, out: &str, text: &str, model: &str, train: &str) -> PathBuf {
    let path = dir.path(&format!("{out}.toml"));
    let (file, to) = (dir.path("slice.txt"), dir.path(out));
    let run = format!("[text]\nfile = {file:?}\n{text}\n[model]\n{model}\n[train]\nout = {to:?}\n{train}\n");
    std::fs::write(&path, run).unwrap();
    path
}

pub fn eval(dir: &TestDir, more: &[&str]) -> Value {
    serde_json::from_str(&done(dir, &[&["eval", "--json"][..], more].concat())).unwrap()
}

#[test]
fn a_network_beats_the_table_of_frequencies_and_the_program_agrees_with_the_trainer() {
    let dir = dir();
    let counted = run_file(&dir, "one", "", "family = \"ngram\"\norder = 1", "");
    let frequencies = go(&counted, false, None).unwrap().held_out.unwrap();
    let run = run_file(&dir, "cnn", "", CNN, &format!("{TRAIN}\nsteps = 200"));
    let outcome = go(&run, false, None).unwrap();
    let held_out = outcome.held_out.unwrap();
    assert!(held_out < frequencies - 0.5, "{held_out}, frequencies {frequencies}");
    assert!(outcome.verdict.contains("nats/character") && outcome.verdict.contains("perplexity"));
    let log = std::fs::read_to_string(dir.path("cnn/log.csv")).unwrap();
    assert!(log.starts_with("step,seconds,characters,"), "{log}");

    let m = "cnn/text.safetensors";
    let all = eval(&dir, &["-m", m, "end.txt", "--per-symbol", "n.npy"]);
    let number = |key: &str| all[key].as_f64().unwrap();
    assert!((number("nats_per_symbol") - held_out).abs() < 1e-9, "{all} {held_out}");
    assert!((number("perplexity").ln() - held_out).abs() < 1e-9);
    assert!((number("bits_per_byte") - number("bits_per_symbol")).abs() < 1e-9);
    let npy = std::fs::read(dir.path("n.npy")).unwrap();
    let nats: Vec<f32> = npyz::NpyFile::new(&npy[..]).unwrap().into_vec().unwrap();
    let sum: f64 = nats.iter().map(|&n| f64::from(n)).sum();
    assert!((sum / nats.len() as f64 - held_out).abs() < 1e-9 && nats.len() == number("symbols") as usize);

    // No terminal, so a table: one row a symbol, whose bits are the same numbers.
    let table = done(&dir, &["eval", "-m", m, "end.txt", "--surprise"]);
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|l| l.split('\t').collect()).collect();
    assert_eq!(rows.len(), nats.len());
    assert!(!table.contains('\x1b'));
    let bits: f64 = rows.iter().map(|r| r[1].parse::<f64>().unwrap()).sum();
    assert!((bits * std::f64::consts::LN_2 - sum).abs() < 1e-4 * rows.len() as f64);

    let sample = |more: &[&str]| {
        let all = ["sample", "-m", m, "--prompt", "ROMEO:", "--length", "60", "--temperature", "0.8"];
        done(&dir, &[&all[..], more].concat())
    };
    let message = sample(&["--seed", "1", "--top-k", "40", "--top-p", "0.95"]);
    assert!(message.starts_with("ROMEO:") && message.chars().count() == 66, "{message}");
    assert_eq!(message, sample(&["--seed", "1", "--top-k", "40", "--top-p", "0.95"]));
    assert_ne!(message, sample(&["--seed", "2", "--top-k", "40", "--top-p", "0.95"]));
    assert_eq!(message[6..], sample(&["--seed", "1", "--top-k", "40", "--top-p", "0.95", "--no-echo"]));
    let info = done(&dir, &["info", m]);
    assert!(info.contains("chars") && info.contains("wavenet"), "{info}");
}

#[test]
fn a_sample_streams_and_reads_its_prompt_from_stdin() {
    let dir = dir();
    go(&run_file(&dir, "t", "", "family = \"ngram\"\norder = 4", ""), false, None).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wavesynth"))
        .args(["sample", "-m", "t/text.safetensors", "--prompt", "-", "--length", "1000000000"])
        .current_dir(dir.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"First Citizen:").unwrap();
    // A run that would take hours: what can be read was written before its end.
    let mut message = [0; 200];
    child.stdout.take().unwrap().read_exact(&mut message).unwrap();
    assert!(message.starts_with(b"First Citizen:"));
    // The pipe is closed; the program ends by itself, and well.
    assert!(child.wait().unwrap().success());
    let long = done(&dir, &["sample", "-m", "t/text.safetensors", "--prompt", "citizen", "--length", "5"]);
    assert_eq!(long.chars().count(), 12);
}

#[test]
fn a_resumed_run_with_schedules_has_the_bits_of_a_whole_one() {
    let dir = dir();
    let text = "input_dropout = 0.1\neval_symbols = 300";
    let train = |threads| {
        format!(
            "{TRAIN}\nsteps = 40\nthreads = {threads}\ncurriculum = {{ from = 16 }}\n\
             scheduled_sampling = {{ rule = \"linear\", floor = 0.5 }}"
        )
    };
    let whole = go(&run_file(&dir, "whole", text, CNN, &train(1)), false, None).unwrap();
    let run = run_file(&dir, "halves", text, CNN, &train(2));
    go(&run, false, Some(17)).unwrap();
    let halves = go(&run, true, None).unwrap();
    assert_eq!(halves.held_out, whole.held_out);
    let tensors = |path: &Path| Checkpoint::read(path).unwrap().tensors;
    assert!(tensors(&whole.voice) == tensors(&halves.voice));
    // The schedules matter: without them the weights differ.
    let plain = format!("{TRAIN}\nsteps = 40\nthreads = 1\ncurriculum = {{ from = 16 }}");
    let plain = go(&run_file(&dir, "plain", text, CNN, &plain), false, None).unwrap();
    assert!(tensors(&whole.voice) != tensors(&plain.voice));

    let other = run_file(&dir, "halves", "input_dropout = 0.2\neval_symbols = 300", CNN, &train(2));
    let message = failure(&other, true);
    assert!(message.contains("text.input_dropout = 0.1, the run file says 0.2"), "{message}");
    std::fs::write(dir.path("slice.txt"), &SLICE[1..]).unwrap();
    let message = failure(&run_file(&dir, "halves", text, CNN, &train(2)), true);
    assert!(message.contains("was trained on other texts"), "{message}");
}

#[test]
fn a_recurrent_network_carries_its_state_through_the_text_and_over_a_stop() {
    let dir = dir();
    let model = "family = \"char_rnn\"\ncell = \"lstm\"\nhidden = 24\nlayers = 2\ndropout = 0.1";
    let fast = TRAIN.replace("1e-2", "2e-2");
    let train = |threads| format!("{fast}\nsteps = 300\nthreads = {threads}\ncurriculum = {{ from = 16 }}");
    let whole = go(&run_file(&dir, "whole", "", model, &train(1)), false, None).unwrap();
    // Less than the frequencies alone; that engine and trainer agree over many windows, the run itself has held.
    assert!(whole.held_out.unwrap() < 3.0, "{:?}", whole.held_out);
    let run = run_file(&dir, "halves", "", model, &train(2));
    go(&run, false, Some(50)).unwrap();
    let state = Checkpoint::read(&dir.path("halves/state.safetensors")).unwrap();
    assert_eq!(state.tensors["carry"].shape, [8, 2 * 2 * 24]);
    let halves = go(&run, true, None).unwrap();
    let tensors = |path: &Path| Checkpoint::read(path).unwrap().tensors;
    assert!(tensors(&whole.voice) == tensors(&halves.voice));
    let state = |out: &str| tensors(&dir.path(out).join("state.safetensors"));
    assert!(state("whole") == state("halves"));
}

#[test]
fn a_transformer_reads_past_its_context_and_goes_on_with_its_windows() {
    let dir = dir();
    let model = "family = \"gpt\"\nlayers = 1\nheads = 2\nwidth = 24\ncontext = 40\ndropout = 0.1";
    let train = |more: &str| format!("{}\nsteps = 200\n{more}", TRAIN.replace("1e-2", "5e-3"));
    let whole = go(&run_file(&dir, "whole", "", model, &train("threads = 1")), false, None).unwrap();
    // That engine and trainer agree over many contexts, the run itself has held.
    assert!(whole.held_out.unwrap() < 3.0, "{:?}", whole.held_out);
    // As many windows as are asked for fit into this, so nothing changes.
    let run = run_file(&dir, "halves", "", model, &train("threads = 2\nmax_memory = \"1 GB\""));
    go(&run, false, Some(30)).unwrap();
    let halves = go(&run, true, None).unwrap();
    let tensors = |path: &Path| Checkpoint::read(path).unwrap().tensors;
    assert!(tensors(&whole.voice) == tensors(&halves.voice));

    let info = done(&dir, &["info", "whole/text.safetensors"]);
    assert!(info.contains("gpt") && info.contains("40 symbols"), "{info}");
    let long = done(&dir, &["sample", "-m", "whole/text.safetensors", "--length", "100"]);
    assert_eq!(long.chars().count(), 100);
    let run = run_file(&dir, "default", "", &model.replace("context = 40", ""), &train(""));
    let (Run::Text(run), _) = Run::read(&run).unwrap() else { panic!("a text run") };
    let network = run.network(65, 0).unwrap();
    let config: &gpt::Config = network.downcast().expect("a transformer");
    assert_eq!(config.context, 64);
}

#[test]
fn a_carried_state_is_part_of_the_state_file() {
    let dir = dir();
    let run = run_file(&dir, "out", "", CNN, &format!("{TRAIN}\nsteps = 5"));
    let (run, text) = Run::read(&run).unwrap();
    let Run::Text(own) = &run else { panic!("a text run") };
    let source = TextSource::open(own, &Ranks::solo()).unwrap();
    let params = wavesynth::train::source::Source::network(&source).layout().init(1);
    let mut state = TrainingState::new(params, 5, 8);
    let file = dir.path("state.safetensors");
    state.write(&file, &source, &text, &state.carry).unwrap();
    assert_eq!(TrainingState::read(&file, &source, &run, None).unwrap(), state);
    for (i, carry) in state.carry.iter_mut().enumerate() {
        *carry = vec![i as f32, 0.5, -1.0];
    }
    state.write(&file, &source, &text, &state.carry).unwrap();
    assert_eq!(TrainingState::read(&file, &source, &run, None).unwrap(), state);
}

#[test]
fn bytes_and_pairs_train_and_are_sampled() {
    let dir = dir();
    std::fs::write(dir.path("slice.txt"), SLICE.replace("th", "þ").replace('e', "é")).unwrap();
    for (out, text) in [("bytes", "tokenizer = \"bytes\""), ("pairs", "tokenizer = { bpe = 400 }")] {
        // Both readings of the held-out part, in one go and in windows, hold engine and trainer together.
        let text = format!("{text}\neval_symbols = 500\neval = \"windows\"");
        let run = run_file(&dir, out, &text, CNN, &format!("{TRAIN}\nsteps = 3"));
        let model = go(&run, false, None).unwrap().voice;
        let message = wavesynth(
            &dir,
            &["sample", "-m", model.to_str().unwrap(), "--prompt", "þé", "--length", "200", "--top-k", "300"],
        );
        assert!(message.status.success());
        assert!(message.stdout.starts_with("þé".as_bytes()));
        // A pipe gets a model's bytes as they are, and any other model's whole characters.
        match out {
            "bytes" => assert_eq!(message.stdout.len(), 4 + 200),
            _ => assert!(String::from_utf8(message.stdout).is_ok()),
        }
        let end = eval(&dir, &["-m", model.to_str().unwrap(), "end.txt"]);
        assert!(end["bits_per_byte"].as_f64().unwrap() < 9.0);
    }
    let pairs = TextModel::open(&dir.path("pairs/text.safetensors"), Isa::detect()).unwrap();
    assert_eq!(pairs.tokenizer.classes(), 400);
}

#[test]
fn a_table_is_counted_once_and_longer_contexts_help() {
    let dir = dir();
    let nats = |order: usize, more: &str| {
        let model = format!("family = \"ngram\"\norder = {order}\n{more}");
        let run = run_file(&dir, &format!("n{order}"), "", &model, "");
        (go(&run, false, None).unwrap().held_out.unwrap(), run)
    };
    let (one, _) = nats(1, "");
    let (four, run) = nats(4, "");
    assert!(four < one - 0.8, "{four} {one}");
    let all = eval(&dir, &["-m", "n4/text.safetensors", "end.txt"]);
    assert!((all["nats_per_symbol"].as_f64().unwrap() - four).abs() < 1e-9);
    nats(5, "max_entries = 2000");
    let size = std::fs::metadata(dir.path("n5/text.safetensors")).unwrap().len();
    assert!(size < 2000 * 16 + 8192, "{size} bytes");
    assert!(failure(&run, true).contains("nothing to resume"));
    assert!(failure(&run, false).contains("is there already"));
    for (option, value) in [("--device", "cuda"), ("--stop-after", "5")] {
        run_file(&dir, "counted", "", "family = \"ngram\"\norder = 4", "");
        let message = refused(&dir, &["train", "counted.toml", option, value]);
        assert!(message.contains("an n-gram table is counted") && message.contains(option), "{message}");
    }
    let info = done(&dir, &["info", "n4/text.safetensors"]);
    assert!(info.contains("order") && info.contains("ngram"), "{info}");
}

#[test]
fn models_are_compared_by_the_numbers_of_the_other_commands() {
    let dir = dir();
    for order in [2, 4] {
        let model = format!("family = \"ngram\"\norder = {order}");
        go(&run_file(&dir, &format!("n{order}"), "", &model, ""), false, None).unwrap();
    }
    let (two, four) = ("n2/text.safetensors", "n4/text.safetensors");
    let files = ["--plot", "p.svg", "--table", "t.md"];
    let all = ["compare", two, four, "--text", "end.txt", "--judge", four, "--json"];
    let report: Value = serde_json::from_str(&done(&dir, &[&all[..], &files[..]].concat())).unwrap();
    for (row, (model, memory)) in report["rows"].as_array().unwrap().iter().zip([(two, 1), (four, 3)]) {
        let number = |v: &Value| v.as_f64().unwrap();
        let nats = number(&eval(&dir, &["-m", model, "end.txt"])["nats_per_symbol"]);
        assert!((number(&row["nats_per_symbol"]) - nats).abs() < 1e-9);
        // A table sees so many symbols and no more: a longer past changes nothing, a shorter one costs.
        for past in row["pasts"].as_array().unwrap() {
            let d = number(&past["nats_per_symbol"]) - number(&row["whole_past_nats"]);
            let enough = number(&past["symbols"]) >= f64::from(memory);
            assert!(if enough { d.abs() < 1e-6 } else { d > 0.01 }, "{model}: {past}, {d}");
        }
    }
    // What the better table writes looks more like itself than the true text does; the worse one's looks least so.
    let judged = report["exposure"].as_array().unwrap();
    let far =
        |i: usize| judged[i]["stretches"].as_array().unwrap().last().unwrap()["nats_per_symbol"].as_f64();
    let [truth, worse, own] = [far(0).unwrap(), far(1).unwrap(), far(2).unwrap()];
    assert!(own < truth && own < worse, "{truth} {worse} {own}");
    let svg = std::fs::read_to_string(dir.path("p.svg")).unwrap();
    assert!(svg.contains("<svg") && svg.contains("n4"), "{svg}");
    let table = std::fs::read_to_string(dir.path("t.md")).unwrap();
    assert!(table.starts_with("| model") && table.matches("| n2 ").count() == 3, "{table}");
}

#[test]
fn the_shipped_text_model_writes_at_once() {
    let dir = dir();
    let message = done(&dir, &["sample", "--prompt", "ROMEO:", "--length", "100", "--seed", "1"]);
    assert!(message.starts_with("ROMEO:") && message.chars().count() == 106, "{message}");
    assert_eq!(
        done(&dir, &["sample", "-m", "text", "--prompt", "ROMEO:", "--length", "100", "--seed", "1"]),
        message
    );
    // It has learned: the held-out end of the slice is no surprise.
    let end = eval(&dir, &["-m", "text", "end.txt"]);
    assert!(end["nats_per_symbol"].as_f64().unwrap() < 1.8, "{end}");
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/pretrained/text.safetensors");
    assert!(std::fs::metadata(file).unwrap().len() <= 2_000_000);
}

#[test]
fn a_bad_run_file_is_told_in_one_line() {
    let parse = |text: &str, model: &str, train: &str| {
        let run = format!("[text]\nfile = \"t\"\n{text}\n[model]\n{model}\n[train]\n{train}\n");
        format!("{:#}", Run::parse(&run, "run.toml").unwrap_err())
    };
    let steps = "steps = 5";
    let has = |message: String, words: &str| {
        assert!(message.contains(words) && !message.contains('\n'), "{message}")
    };
    has(parse("file2 = 3", CNN, steps), "unknown field `file2`");
    has(parse("tokenizer = \"words\"", CNN, steps), "unknown variant `words`");
    has(parse("held_out = 0.9", CNN, steps), "text.held_out is 0.9, wanted 0 to 0.5");
    has(parse("", "family = \"lstm\"", steps), "family is \"lstm\", wanted \"wavenet\"");
    has(parse("", "family = \"ngram\"\nskip_channels = 3", ""), "unknown field `skip_channels`");
    has(
        parse("", &format!("{CNN}\nspeaker_dim = 4"), steps),
        "model.speaker_dim is given, wanted no such key",
    );
    has(parse("", &format!("{CNN}\norder = 4"), steps), "unknown field `order`");
    has(parse("", "family = \"ngram\"\norder = 0", ""), "order is 0");
    has(parse("", &format!("{CNN}\ndropout = 0.1"), steps), "family wavenet: unknown field `dropout`");
    let lstm = "family = \"char_rnn\"\ncell = \"lstm\"\nhidden = 8\nlayers = 1\ndropout";
    has(parse("", &format!("{lstm} = 1.0"), steps), "model.dropout is 1, wanted 0 to 0.9");
    has(parse("", "family = \"ngram\"", steps), "train.steps: an n-gram table is counted in one pass");
    has(
        parse("", "family = \"ngram\"", "max_memory = \"1 GB\""),
        "train.max_memory: an n-gram table is counted",
    );
    let gpt = "family = \"gpt\"\nlayers = 1\nheads = 1\nwidth = 8\ncontext = 65";
    has(
        parse("", gpt, "steps = 5\nwindow = 64"),
        "model.context is 65, wanted no more than train.window = 64",
    );
    has(parse("", CNN, "steps = 5\ninput_noise = 0.1"), "train.input_noise is a key for recordings");
    has(parse("", CNN, ""), "wanted either steps or hours");
    let curriculum = "steps = 5\nwindow = 64\ncurriculum = { from = 65 }";
    has(parse("", CNN, curriculum), "train.curriculum.from is 65, wanted 1 to train.window = 64");
    let scheduled = "steps = 5\nscheduled_sampling = { rule = \"exponential\" }";
    has(parse("", CNN, scheduled), "train.scheduled_sampling.k is missing");
}

#[test]
fn bad_texts_and_wrong_models_are_refused_in_one_line() {
    let dir = dir();
    let m = "t/text.safetensors";
    go(&run_file(&dir, "t", "", "family = \"ngram\"\norder = 3", ""), false, None).unwrap();
    let has = |message: String, words: &[&str]| {
        words.iter().for_each(|w| assert!(message.contains(w), "`{w}` is not in: {message}"));
    };
    has(refused(&dir, &["sample", "-m", m, "--prompt", "naïve"]), &["the prompt: line 1, column 3", "'ï'"]);
    has(refused(&dir, &["sample", "-m", m, "--length", "0"]), &["--length 0"]);
    has(refused(&dir, &["sample", "-m", m, "--top-p", "2"]), &["--top-p is 2"]);
    has(
        refused(&dir, &["sample", "-m", "voice"]),
        &["the shipped voice: not a text model, but a voice", "render"],
    );
    has(refused(&dir, &["render", "-m", m, "-o", "x.wav"]), &["no voice", "sample"]);
    has(refused(&dir, &["eval", "-m", m, "none.txt"]), &["none.txt"]);
    std::fs::write(dir.path("empty.txt"), "").unwrap();
    has(refused(&dir, &["eval", "-m", m, "empty.txt"]), &["empty.txt: the file is empty"]);
    has(refused(&dir, &["compare", m, "--text", "empty.txt"]), &["empty.txt: the file is empty"]);
    std::fs::write(dir.path("bad.txt"), b"To be\n\xff").unwrap();
    has(refused(&dir, &["compare", m, "--text", "bad.txt"]), &["bad.txt: line 2, column 1: not UTF-8"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_wavesynth"))
        .args(["sample", "-m", m, "--prompt", "-"])
        .current_dir(dir.path(""))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"To \xff").unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(!out.status.success());
    has(String::from_utf8(out.stderr).unwrap(), &["the prompt: line 1, column 4: not UTF-8"]);
    has(refused(&dir, &["eval", "-m", m, "bad.txt"]), &["bad.txt: line 2, column 1: not UTF-8"]);
    has(refused(&dir, &["eval", "-m", m, "-c", "en_allison", "end.txt"]), &["takes no condition"]);
    has(refused(&dir, &["eval", "-c", "en_allison", "--surprise", "end.txt"]), &["no text model"]);
    assert!(!dir.path("x.wav").exists());
    // A prompt longer than the model's past is read all the same, with a message.
    let long = wavesynth(&dir, &["sample", "-m", m, "--prompt", "First Citizen", "--length", "3"]);
    let message = String::from_utf8(long.stderr).unwrap();
    assert_eq!(message, "the prompt has 13 characters; the model sees the last 2\n");
    assert!(long.status.success() && String::from_utf8(long.stdout).unwrap().chars().count() == 16);
    // One symbol is a text too.
    std::fs::write(dir.path("short.txt"), "F").unwrap();
    assert_eq!(eval(&dir, &["-m", m, "short.txt"])["symbols"], 1);

    let run = run_file(&dir, "cnn", "", CNN, &format!("{TRAIN}\nsteps = 5"));
    for (content, words) in [
        (&b""[..], "the file is empty"),
        (b"To be, or not to be", "characters to train on, wanted more than 64"),
        (b"\xff\xfe", "not UTF-8"),
        (b"aaaaaaa", "1 different characters"),
    ] {
        std::fs::write(dir.path("slice.txt"), content).unwrap();
        has(failure(&run, false), &["slice.txt", words]);
    }
    std::fs::remove_file(dir.path("slice.txt")).unwrap();
    has(failure(&run, false), &["text.file", "slice.txt"]);
    assert!(!dir.path("cnn/text.safetensors").exists());
}
