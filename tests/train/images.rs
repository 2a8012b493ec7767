//! Images: what a model of them learns, gives and draws, as a user meets it.

use crate::common::{TestDir, failure, go};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::Command;
use wavesynth::images::{Drawing, Groups, Image, ImageModel, Known, Schedule, Scored, Variables};
use wavesynth_models::ar::{Sampling, Uniforms};
use wavesynth_models::kernels::Isa;
use wavesynth_models::order::Grid;
use wavesynth_models::weights::Checkpoint;

/// Rows and columns.
const SIDE: usize = 6;
pub const GRID: Grid = Grid { height: SIDE, width: SIDE };
/// Images of one nat: every column is black or white, as likely.
const NATS: f64 = SIDE as f64 * std::f64::consts::LN_2;

/// Columns of one colour each, whose colours are the bits of a random number; with a label, the lowest bit.
pub fn stripes(count: usize, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let mut uniforms = Uniforms::new(seed);
    let mut labels = Vec::new();
    let images = (0..count).flat_map(|_| {
        let bits = uniforms.below(1 << SIDE);
        labels.push((bits & 1) as u8);
        (0..SIDE * SIDE).map(move |i| if bits >> (i % SIDE) & 1 == 1 { 255 } else { 0 })
    });
    (images.collect::<Vec<u8>>(), labels)
}

pub fn idx(shape: &[usize], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|&d| bytes.extend((d as u32).to_be_bytes()));
    bytes.extend(values);
    bytes
}

pub fn with_stripes(dir: &TestDir) {
    for (name, count, seed) in [("train", 3000, 1), ("test", 200, 2)] {
        let (images, labels) = stripes(count, seed);
        std::fs::write(dir.path(&format!("{name}-images")), idx(&[count, SIDE, SIDE], &images)).unwrap();
        std::fs::write(dir.path(&format!("{name}-labels")), idx(&[count], &labels)).unwrap();
    }
}

pub fn run_file(dir: &TestDir, out: &str, images: &str, model: &str, train: &str) -> PathBuf {
    let path = dir.path(&format!("{out}.toml"));
    let text = format!(
        "[images]\nfile = {:?}\nvalidation = {:?}\npixels = \"binary\"\n{images}\n[model]\n{model}\n[train]\nout = {:?}\n\
         batch = 16\nwarmup_steps = 20\nema = 0.95\nweight_decay = 0.0\neval_every = 100\n{train}\n",
        dir.path("train-images"),
        dir.path("test-images"),
        dir.path(out)
    );
    std::fs::write(&path, text).unwrap();
    path
}

const LSTM: &str = "family = \"char_rnn\"\ncell = \"lstm\"\nhidden = 48\nlayers = 1";

fn wavesynth(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavesynth"));
    command.args(args);
    command
}

pub fn stdout(args: &[&str]) -> String {
    let out = wavesynth(args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

pub fn complaint(args: &[&str]) -> String {
    let out = wavesynth(args).output().unwrap();
    let text = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success() && text.trim_end().lines().count() == 1, "{args:?}: {text}");
    text
}

pub fn json(args: &[&str]) -> Json {
    serde_json::from_str(&stdout(args)).unwrap()
}

pub fn variables(image: &[u8]) -> Variables {
    Variables::Symbols(image.iter().map(|&k| u16::from(k > 0)).collect())
}

fn columns_are_of_one_colour(image: &Image) -> bool {
    let grey = image.to_grey();
    (0..SIDE * SIDE).all(|i| grey[i] == grey[i % SIDE])
}

/// One training, and all that is done with what it makes.
#[test]
fn a_model_of_images_learns_draws_and_completes() {
    let dir = TestDir::new();
    with_stripes(&dir);
    let run = run_file(
        &dir,
        "reverse",
        "order = \"reverse\"",
        LSTM,
        "learning_rate = 1e-2\nsteps = 900\nkeep_best = true",
    );
    let outcome = go(&run, false, None).unwrap();
    let held_out = outcome.held_out.unwrap() * (SIDE * SIDE) as f64;
    assert!((NATS - 0.3..NATS + 0.4).contains(&held_out), "{held_out} nats an image, the data have {NATS}");
    let file = outcome.voice.to_str().unwrap().to_owned();
    let best = dir.path("reverse/best.safetensors");
    let model = ImageModel::open(&best, Isa::detect()).unwrap();
    assert_eq!((model.labels(), model.dimensions()), (0, 36));

    // What eval prints is what single streams give, whatever the company, and the trainer's own reading.
    let test = dir.path("test-images");
    let report = json(&["eval", "-m", &file, test.to_str().unwrap(), "--json"]);
    let nats = report["nats_per_image"].as_f64().unwrap();
    assert!((nats - held_out).abs() < 1e-3, "{nats}, the trainer said {held_out}");
    let bits = report["bits_per_dimension"].as_f64().unwrap();
    assert!((bits - nats / 36.0 / std::f64::consts::LN_2).abs() < 1e-9);
    let last = ImageModel::open(Path::new(&file), Isa::detect()).unwrap();
    let (images, _) = stripes(200, 2);
    let all: Vec<Variables> = images.chunks(SIDE * SIDE).map(variables).collect();
    let alone: f64 =
        all.iter().flat_map(|v| last.score(&[Scored::new(v, None)]).concat()).map(f64::from).sum();
    assert!((alone / 200.0 - nats).abs() < 1e-6, "{}, in company {nats}", alone / 200.0);

    // Drawn images are of the data's kind.
    let drawing = |known, count: usize| Drawing {
        classes: vec![None; count],
        known,
        order: None,
        sampling: Sampling::default(),
        seed: 5,
        first: 0,
    };
    let draw = |known, count| -> Vec<Image> {
        let drawn = model.draw(&drawing(known, count), |_, _| ()).unwrap();
        drawn.iter().map(|v| model.section.pixels.decode(v, GRID)).collect()
    };
    let drawn = draw(None, 200);
    let good = drawn.iter().filter(|i| columns_are_of_one_colour(i)).count();
    assert!(good > 150, "{good} of 200 images have columns of one colour");
    assert_eq!(draw(None, 3), drawn[..3], "an image is the same in any company");

    // The last row known, which the order fills first: the rest follows from it.
    let last_row: Vec<u8> = (0..SIDE * SIDE).map(|i| [0, 255, 255, 0, 255, 0][i % SIDE]).collect();
    let is_known = (0..SIDE * SIDE).map(|i| i >= SIDE * (SIDE - 1)).collect();
    let known = Known { variables: variables(&last_row), is_known };
    let completed = draw(Some(&known), 100);
    let same = completed.iter().filter(|i| i.to_grey() == last_row).count();
    assert!(same > 75, "{same} of 100 completions follow from the last row");

    // The commands: a sheet, a growing one, a completion, a map.
    let path = |name: &str| dir.path(name).to_str().unwrap().to_owned();
    let size = |name: &str| {
        let file = std::fs::File::open(dir.path(name)).unwrap();
        let reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
        let info = reader.info();
        (info.width, info.height, info.animation_control().map(|a| a.num_frames))
    };
    stdout(&["sample", "-m", &file, "-n", "5", "-o", &path("sheet.png"), "--scale", "2"]);
    assert_eq!(size("sheet.png"), (3 * 14 + 2, 2 * 14 + 2, None));
    stdout(&["sample", "-m", &file, "-n", "4", "-o", &path("growing.png"), "--frames", "9", "--scale", "1"]);
    assert_eq!(size("growing.png"), (18, 18, Some(9)));
    stdout(&["sample", "-m", &file, "-o", &path("one.png"), "--scale", "1"]);
    stdout(&["eval", "-m", &file, test.to_str().unwrap(), "--images", "3", "--map", &path("map.png")]);
    assert_eq!(size("map.png"), (2 * 26 + 2, 4 * 26 + 2, None));
    let mut given = Vec::new();
    let mut encoder = png::Encoder::new(&mut given, SIDE as u32, SIDE as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&last_row).unwrap();
    std::fs::write(dir.path("half.png"), given).unwrap();
    let completing = |known: &[&str]| {
        let (half, out) = (path("half.png"), path("whole.png"));
        let args = ["sample", "-m", &file, "--given", &half, "-o", &out];
        [&args.map(String::from)[..], &known.iter().map(|s| s.to_string()).collect::<Vec<_>>()].concat()
    };
    let with = completing(&["--known", "bottom"]);
    stdout(&with.iter().map(String::as_str).collect::<Vec<_>>());
    let without = completing(&[]);
    let message = complaint(&without.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(message.contains("every pixel is opaque"), "{message}");

    // What can't be is said in a line.
    for (args, wanted) in [
        (vec!["sample", "-m", &file], "wanted a file for them, -o OUT.png"),
        (vec!["sample", "-m", &file, "-o", "x.png", "--class", "1"], "was trained without labels"),
        (vec!["sample", "-m", &file, "-o", "x.wav"], "x.wav"),
        (vec!["sample", "-m", &file, "-o", "x.png", "-p", "hello"], "reads no text"),
        (vec!["sample", "-m", &file, "-o", "x.png", "--no-echo"], "--no-echo: "),
        (vec!["eval", "-m", &file, &path("test-labels")], "wanted [images, rows, columns]"),
        (vec!["eval", "-m", &file, test.to_str().unwrap(), "--classify"], "without labels"),
        (vec!["eval", "-m", &file, test.to_str().unwrap(), "--orders", "2"], "has one of its own"),
        (vec!["sample", "-m", &file, "-o", "x.png", "--steps", "2"], "has one of its own"),
        (vec!["play", "-m", &file, "--seconds", "1", "-o", "x.wav"], "voice"),
    ] {
        let message = complaint(&args);
        assert!(message.contains(wanted), "{args:?}: {message}");
    }
}

fn sixty(known: Option<&Known>) -> Drawing<'_> {
    let sampling = Sampling::default();
    Drawing { classes: vec![None; 60], known, order: None, sampling, seed: 5, first: 0 }
}

/// A transformer that learns all orders: exact by any of them, and several pixels at a time.
#[test]
fn a_model_of_any_order_reads_and_draws_in_all_of_them() {
    let dir = TestDir::new();
    with_stripes(&dir);
    let gpt = "family = \"gpt\"\nlayers = 2\nheads = 4\nwidth = 32\nany_order = true";
    let outcome =
        go(&run_file(&dir, "any", "", gpt, "learning_rate = 3e-3\nsteps = 600"), false, None).unwrap();
    let held_out = outcome.held_out.unwrap() * (SIDE * SIDE) as f64;
    assert!((NATS - 0.3..NATS + 0.3).contains(&held_out), "{held_out} nats an image, the data have {NATS}");
    let file = outcome.voice.to_str().unwrap().to_owned();
    let test = dir.path("test-images").to_str().unwrap().to_owned();
    let nats = |how: &[&str]| {
        let args = [&["eval", "-m", &file, &test, "--json"], how].concat();
        json(&args)["nats_per_image"].as_f64().unwrap()
    };
    let (own, one, eight) = (nats(&[]), nats(&["--orders", "1"]), nats(&["--orders", "8"]));
    assert!((own - held_out).abs() < 0.6 && (one - held_out).abs() < 0.6, "{own} {one} {held_out}");
    assert!(eight < one, "the mean over orders, {eight}, is more likely than one order alone, {one}");
    let (single, few, all) = (nats(&["--steps", "36"]), nats(&["--steps", "12"]), nats(&["--steps", "1"]));
    assert!((single - one).abs() < 1e-3, "single pixels, {single}, are steps in that order, {one}");
    // At once the pixels know nothing of one another: each costs a bit.
    assert!(one < few && few < all && (all - 36.0 * std::f64::consts::LN_2).abs() < 0.5, "{one} {few} {all}");

    let model = ImageModel::open(&outcome.voice, Isa::detect()).unwrap();
    let good = |known: Option<&Known>, schedule, like: &dyn Fn(&Image) -> bool| {
        let draw = |i: usize| {
            let groups = Groups::new(schedule, GRID, i as u64);
            let drawn = model.draw_groups(&sixty(known), i, &groups, |_, _| ()).unwrap();
            model.section.pixels.decode(&drawn, GRID)
        };
        (0..60).filter(|&i| like(&draw(i))).count()
    };
    let apart = good(None, Schedule::Cosine(36), &columns_are_of_one_colour);
    let twelve = good(None, Schedule::Cosine(12), &columns_are_of_one_colour);
    let once = good(None, Schedule::Cosine(1), &columns_are_of_one_colour);
    assert!(
        apart > 40 && once == 0 && twelve <= apart,
        "{apart}, {twelve} and {once} of 60 are of the data's kind"
    );
    // One pixel of each column is known, anywhere: what is drawn of them in their turn is as it was.
    let striped: Vec<u8> = (0..SIDE * SIDE).map(|i| [0, 255, 255, 0, 255, 0][i % SIDE]).collect();
    let is_known = (0..SIDE * SIDE).map(|i| i / SIDE == i % SIDE).collect();
    let known = Known { variables: variables(&striped), is_known };
    let kept = |image: &Image| (0..SIDE).all(|i| image.to_grey()[i * SIDE + i] == striped[i]);
    assert_eq!(good(Some(&known), Schedule::Squares(2), &kept), 60);

    let path = |name: &str| dir.path(name).to_str().unwrap().to_owned();
    for how in [
        &["--steps", "9"][..],
        &["--squares", "3"],
        &["--order", "spiral"],
        &["--steps", "9", "--frames", "4"],
    ] {
        stdout(&[&["sample", "-m", &file, "-n", "3", "--force", "-o", &path("any.png")], how].concat());
    }

    // What its layers see tells images whose columns are mostly light from others; labels and files that do not fit are refused.
    let features = path("features.npy");
    let light = |name: &str, images: &[u8]| {
        let labels: Vec<u8> = images
            .chunks(SIDE * SIDE)
            .map(|i| u8::from(i.iter().filter(|&&x| x > 0).count() > SIDE * SIDE / 2))
            .collect();
        std::fs::write(dir.path(name), idx(&[labels.len()], &labels)).unwrap();
        path(name)
    };
    let (train, read) = (path("train-images"), |name: &str| std::fs::read(dir.path(name)).unwrap());
    let (labels, test_labels) =
        (light("light", &read("train-images")[16..]), light("test-light", &read("test-images")[16..]));
    let probe = [
        &["features", "-m", &file, &train, "-o", &features, "--labels", &labels],
        &["--test", &test, "--test-labels", &test_labels, "--json"][..],
    ]
    .concat();
    let report = json(&probe);
    let right: Vec<f64> =
        report["accuracy"].as_array().unwrap().iter().map(|a| a.as_f64().unwrap()).collect();
    assert!(right.len() == 3 && right[2] > 0.9, "{right:?}");
    let images = (read("train-images").len() - 16) / (SIDE * SIDE);
    assert!(read("features.npy").len() >= images * 3 * 32 * 4, "{images} images");
    for (args, wanted) in [
        (vec!["features", "-m", &file, &train], "wanted -o OUT.npy"),
        (vec!["features", &train, "-o", "f.npy"], "-m MODEL"),
        (vec!["features", "-m", "text", &train, "-o", "f.npy"], "no `image` section"),
    ] {
        let message = complaint(&args);
        assert!(message.contains(wanted), "{args:?}: {message}");
    }
    // What fails for the sake of the test's files replaces nothing.
    let before = read("features.npy");
    std::fs::write(dir.path("small"), idx(&[2, 4, 4], &[0; 32])).unwrap();
    for (images, classes, wanted) in [
        ("nowhere", "test-light", "nowhere"),
        ("small", "test-light", "4 by 4 pixels"),
        ("test-images", "light", "--test-labels: 3000 labels"),
        ("test-images", "nowhere", "nowhere"),
    ] {
        let (test, classes) = (path(images), path(classes));
        let probe = ["--most", "2", "--labels", &labels, "--test", &test, "--test-labels", &classes];
        let message = complaint(&[&["features", "-m", &file, &train, "-o", &features], &probe[..]].concat());
        assert!(message.contains(wanted), "{images}, {classes}: {message}");
        assert!(read("features.npy") == before, "{images}, {classes}");
    }
    let info = stdout(&["info", &file]);
    assert!(info.contains("6 by 6, black and white, raster, and any other order"), "{info}");
}

#[test]
fn a_start_of_another_kind_or_family_is_refused_before_the_data_is_read() {
    let dir = TestDir::new();
    with_stripes(&dir);
    go(&run_file(&dir, "lstm", "", LSTM, "steps = 1"), false, None).unwrap();
    let gpt = "family = \"gpt\"\nlayers = 1\nheads = 2\nwidth = 8";
    let from = |path: &str, out: &str| {
        let run = run_file(&dir, out, "", gpt, &format!("steps = 1\nstart_from = {path:?}"));
        let text = std::fs::read_to_string(&run).unwrap().replace("train-images", "no-images");
        std::fs::write(&run, text).unwrap();
        failure(&run, false)
    };
    let lstm = dir.path("lstm").to_str().unwrap().to_owned();
    let wanted = "wanted an image model of the family gpt";
    assert_eq!(
        from(&lstm, "b"),
        format!("train.start_from {lstm}: it is an image model of the family char_rnn, {wanted}")
    );
    assert_eq!(
        from("text", "c"),
        format!("train.start_from text: it is a text model of the family char_rnn, {wanted}")
    );
    // Weights that do not say what they are for are taken.
    let mut bare = Checkpoint::read(&dir.path("lstm/images.safetensors")).unwrap();
    bare.header.sections.clear();
    bare.write(&dir.path("bare.safetensors")).unwrap();
    let from_bare = format!("steps = 1\nstart_from = {:?}", dir.path("bare.safetensors"));
    go(&run_file(&dir, "d", "", LSTM, &from_bare), false, None).unwrap();
}

/// Weights that are numbers, and what they give is none: no features, no accuracy.
#[test]
fn features_that_are_no_numbers_are_refused() {
    let dir = TestDir::new();
    with_stripes(&dir);
    let gpt = "family = \"gpt\"\nlayers = 1\nheads = 2\nwidth = 8";
    let outcome = go(&run_file(&dir, "gpt", "", gpt, "steps = 1"), false, None).unwrap();
    let mut file = Checkpoint::read(&outcome.voice).unwrap();
    file.tensors.values_mut().for_each(|t| t.data.fill(3e38));
    let path = |name: &str| dir.path(name).to_str().unwrap().to_owned();
    let (loud, test, labels) = (path("loud.safetensors"), path("test-images"), path("test-labels"));
    file.write(Path::new(&loud)).unwrap();
    let said = "the model's outputs are infinite or no numbers";
    let npy = path("f.npy");
    let probe = ["--labels", &labels, "--test", &test, "--test-labels", &labels];
    for args in [
        [&["features", "-m", &loud, &test, "-o", &npy][..], &[]].concat(),
        [&["features", "-m", &loud, &test], &probe[..]].concat(),
        vec!["eval", "-m", &loud, &test],
        vec!["sample", "-m", &loud, "-o", &npy.replace("npy", "png")],
    ] {
        let message = complaint(&args);
        assert!(message.contains(said), "{args:?}: {message}");
    }
    assert!(!Path::new(&npy).exists());
}

/// Dot files are no images; what else a folder holds that is none is counted and named once.
#[test]
fn what_a_folder_of_images_holds_else_is_named() {
    let dir = TestDir::new();
    with_stripes(&dir);
    let folder = dir.path("pictures");
    std::fs::create_dir_all(folder.join("more")).unwrap();
    let (images, _) = stripes(20, 7);
    for (i, image) in images.chunks(SIDE * SIDE).enumerate() {
        let file = std::fs::File::create(folder.join(format!("{i}.png"))).unwrap();
        let mut encoder = png::Encoder::new(file, SIDE as u32, SIDE as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(image).unwrap();
    }
    for name in ["._0.png", ".DS_Store", "a.jpg", "b.gif", "labels"] {
        std::fs::write(folder.join(name), "no PNG").unwrap();
    }
    let run = run_file(&dir, "out", "", LSTM, "steps = 1");
    let text = std::fs::read_to_string(&run).unwrap().replace("train-images", "pictures");
    std::fs::write(&run, text).unwrap();
    let said = |args: &[&str]| {
        let out = wavesynth(args).output().unwrap();
        let text = String::from_utf8(out.stderr).unwrap();
        assert!(out.status.success(), "{args:?}: {text}");
        let lines: Vec<&str> = text.lines().filter(|l| l.contains("left out")).collect();
        assert_eq!(lines.len(), 2, "{args:?}: {text}");
        assert!(lines[0].contains("pictures: 3 left out (no PNG;"), "{text}");
        assert!(lines[0].ends_with(": a.jpg, b.gif, labels") && lines[1].ends_with(": more"), "{text}");
    };
    said(&["train", run.to_str().unwrap()]);
    let model = dir.path("out/images.safetensors");
    said(&["eval", "-m", model.to_str().unwrap(), folder.to_str().unwrap()]);
}

/// A picture is counted before it is made, and so are the images of an animation.
#[test]
fn pictures_are_counted_before_they_are_made() {
    let dir = TestDir::new();
    with_stripes(&dir);
    let gpt = "family = \"gpt\"\nlayers = 1\nheads = 2\nwidth = 8\nany_order = true";
    let file = go(&run_file(&dir, "gpt", "", gpt, "steps = 1"), false, None).unwrap().voice;
    let path = |name: &str| dir.path(name).to_str().unwrap().to_owned();
    let (model, picture) = (file.to_str().unwrap(), path("x.png"));
    let with = |memory: &'static str, more: &[&str]| {
        let sample = ["--max-memory", memory, "sample", "-m", model, "-n", "300", "-o", &picture];
        [&sample[..], more].concat().into_iter().map(String::from).collect::<Vec<_>>()
    };
    for more in
        [&["--scale", "64"][..], &["--scale", "64", "--frames", "4"], &["--scale", "64", "--steps", "9"]]
    {
        let args = with("50 MB", more);
        let message = complaint(&args.iter().map(String::as_str).collect::<Vec<_>>());
        let words = "a picture of 6950 by 6564 pixels would take 274 MB of memory, at most 50 MB are allowed";
        assert!(message.contains(words), "{more:?}: {message}");
        assert!(!Path::new(&picture).exists());
    }
    let args = with("50 MB", &["--scale", "4"]);
    stdout(&args.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn bad_images_and_keys_are_refused() {
    let dir = TestDir::new();
    with_stripes(&dir);
    std::fs::write(dir.path("order.txt"), "0 1 2 3").unwrap();
    let order = format!("order_file = {:?}", dir.path("order.txt"));
    let labels = format!("labels = {:?}", dir.path("train-labels"));
    for (images, wanted) in [
        (&order[..], "4 pixels, the images have 36"),
        ("order = \"zigzag\"", "zigzag"),
        (&labels[..], "wanted both or neither"),
        ("components = 500", "images.components"),
        ("held_out = 0.7", "images.held_out"),
        ("colours = 1", "images.colours"),
    ] {
        let message = failure(&run_file(&dir, "bad", images, LSTM, "steps = 1"), false);
        assert!(message.contains(wanted), "{images}: {message}");
        std::fs::remove_dir_all(dir.path("bad")).ok();
    }
    let ngram = failure(&run_file(&dir, "bad", "", "family = \"ngram\"", ""), false);
    assert!(ngram.contains("a family of images"), "{ngram}");
}
