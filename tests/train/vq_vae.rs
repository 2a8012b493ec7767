//! A VQ-VAE and a model of its codes: learned, stopped and resumed, read, drawn from, as a user does it.

use crate::common::{TestDir, failure, go};
use crate::images::{complaint, idx, json, stdout};
use std::path::{Path, PathBuf};
use wavesynth::images::{Drawing, ImageModel};
use wavesynth_models::ar::{Sampling, Uniforms};
use wavesynth_models::kernels::Isa;
use wavesynth_models::weights::Checkpoint;

/// Rows and columns of an image: 2 by 2 codes.
const SIDE: usize = 8;
/// Images of one nat: each row of tiles has one of four patterns.
const NATS: f64 = 4.0 * std::f64::consts::LN_2;

/// The pixel (y, x) of pattern `k` on a tile of 4 by 4.
fn pattern(k: u64, y: usize, x: usize) -> bool {
    match k {
        0 => y.is_multiple_of(2),
        1 => x.is_multiple_of(2),
        2 => (1..3).contains(&y) && (1..3).contains(&x),
        _ => x > y,
    }
}

/// Images of 2 by 2 tiles, those of a row of one pattern.
fn tiles(count: usize, seed: u64) -> Vec<u8> {
    let mut uniforms = Uniforms::new(seed);
    let image = |_| {
        let patterns = [uniforms.below(4), uniforms.below(4)];
        (0..SIDE * SIDE).map(move |i| {
            let (y, x) = (i / SIDE, i % SIDE);
            if pattern(patterns[y / 4], y % 4, x % 4) { 255 } else { 0 }
        })
    };
    (0..count).flat_map(image).collect()
}

fn with_tiles(dir: &TestDir) {
    for (name, count, seed) in [("train", 2000, 1), ("test", 100, 2)] {
        std::fs::write(dir.path(name), idx(&[count, SIDE, SIDE], &tiles(count, seed))).unwrap();
    }
}

fn run_file(dir: &TestDir, out: &str, images: &str, model: &str, train: &str) -> PathBuf {
    let path = dir.path(&format!("{out}.toml"));
    let text = format!(
        "[images]\nfile = {:?}\nvalidation = {:?}\npixels = \"binary\"\n{images}\n{model}\n[train]\nout = {:?}\n\
         batch = 16\nlearning_rate = 1e-2\nwarmup_steps = 20\nema = 0.95\nweight_decay = 0.0\neval_every = 100\n{train}\n",
        dir.path("train"),
        dir.path("test"),
        dir.path(out)
    );
    std::fs::write(&path, text).unwrap();
    path
}

const VQ_VAE: &str = "[vq_vae]\ncodes = 8\ncode_dim = 4\nchannels = 12\nresidual_blocks = 1";
const GRU: &str = "[model]\nfamily = \"char_rnn\"\ncell = \"gru\"\nhidden = 16\nlayers = 1";

/// One training of each, and all that is done with what they make.
#[test]
fn images_become_codes_and_a_model_of_codes_draws_images() {
    let dir = TestDir::new();
    with_tiles(&dir);
    let path = |name: &str| dir.path(name).to_str().unwrap().to_owned();
    let outcome = go(&run_file(&dir, "coder", "", VQ_VAE, "steps = 300"), false, None).unwrap();
    let given = outcome.held_out.unwrap() * (SIDE * SIDE) as f64;
    assert!(given < 1.0, "{given} nats an image given its codes");
    assert!(outcome.verdict.contains("nats an image given its codes"), "{}", outcome.verdict);
    let coder = outcome.voice.to_str().unwrap().to_owned();
    assert!(coder.ends_with("vqvae.safetensors"));

    // Stopped and resumed, also by another number of threads: the same bits.
    for (out, threads, stop) in [("half", 2, 130), ("look", 1, 150)] {
        let run = run_file(&dir, out, "", VQ_VAE, &format!("steps = 300\nthreads = {threads}"));
        go(&run, false, Some(stop)).unwrap();
        go(&run, true, None).unwrap();
        for file in ["vqvae.safetensors", "state.safetensors"] {
            let tensors = |of: &str| Checkpoint::read(&dir.path(of).join(file)).unwrap().tensors;
            assert!(tensors("coder") == tensors(out), "{file} of a run that stopped at {stop} differs");
        }
    }

    let report = json(&["eval", "-m", &coder, &path("test"), "--json", "--map", &path("coded.png")]);
    let nats = report["nats_per_image_given_codes"].as_f64().unwrap();
    assert!((nats - given).abs() < 1e-3, "{nats}, the trainer said {given}");
    let (perplexity, used) =
        (report["code_perplexity"].as_f64().unwrap(), report["codes_used"].as_u64().unwrap());
    assert!(perplexity > 3.5 && perplexity <= used as f64 + 1e-6 && used <= 8, "{perplexity} of {used}");

    // The prior: codes are learned, and with the pixels bound the images' nats, which are known.
    let codes = format!("codes = {:?}", dir.path("coder"));
    let outcome = go(&run_file(&dir, "prior", &codes, GRU, "steps = 400"), false, None).unwrap();
    assert!(outcome.verdict.contains("nats of codes an image"), "{}", outcome.verdict);
    let file = outcome.voice.to_str().unwrap().to_owned();
    let report = json(&["eval", "-m", &file, &path("test"), "--json", "--map", &path("map.png")]);
    let [codes, given, bound] = ["nats_per_image", "nats_per_image_given_codes", "nats_per_image_bound"]
        .map(|key| report[key].as_f64().unwrap());
    assert!((given - nats).abs() < 1e-6 && (codes + given - bound).abs() < 1e-9, "{report}");
    assert!((codes - outcome.held_out.unwrap() * 4.0).abs() < 1e-3);
    assert!((NATS - 0.2..NATS + 1.0).contains(&bound), "at most {bound} nats an image, the data have {NATS}");
    let bits = report["bits_per_dimension"].as_f64().unwrap();
    assert!((bits - bound / 64.0 / std::f64::consts::LN_2).abs() < 1e-9);
    assert!(stdout(&["eval", "-m", &file, &path("test")]).contains("an upper bound of −ln p(x)"));

    // The file holds the VQ-VAE: nothing else is needed to draw.
    std::fs::remove_dir_all(dir.path("coder")).unwrap();
    let model = ImageModel::open(Path::new(&file), Isa::detect()).unwrap();
    assert_eq!((model.grid().len(), model.image_grid().len(), model.dimensions()), (4, 64, 64));
    let drawing = Drawing {
        classes: vec![None; 100],
        known: None,
        order: None,
        sampling: Sampling::default(),
        seed: 3,
        first: 0,
    };
    let drawn = model.draw(&drawing, |_, _| ()).unwrap();
    let is_tiles = |levels: &[u8]| {
        let row = |top: usize, k: u64| {
            (0..4 * SIDE).all(|i| (levels[top * SIDE + i] > 0) == pattern(k, i / SIDE, i % SIDE % 4))
        };
        [0, 4].iter().all(|&top| (0..4).any(|k| row(top, k)))
    };
    let good = drawn.iter().filter(|v| is_tiles(&model.decode(v).to_grey())).count();
    assert!(good > 80, "{good} of 100 images are tiles, a row of one pattern");
    stdout(&["sample", "-m", &file, "-n", "4", "-o", &path("sheet.png"), "--scale", "1"]);
    stdout(&["sample", "-m", &file, "-n", "2", "-o", &path("growing.png"), "--frames", "4", "--scale", "1"]);
    let size = |name: &str| {
        let file = std::fs::File::open(dir.path(name)).unwrap();
        let reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().unwrap();
        (reader.info().width, reader.info().height)
    };
    assert_eq!((size("sheet.png"), size("growing.png")), ((22, 22), (22, 12)));
    assert_eq!(size("coded.png"), size("map.png"));
    let info = stdout(&["info", &file]);
    assert!(
        info.contains("2 by 2 of 8 an image") && info.contains("8 by 8, black and white, raster"),
        "{info}"
    );
    // Smaller weights, and the VQ-VAE with them.
    stdout(&["convert", "-m", &file, "--dtype", "f16", "-o", &path("small.safetensors")]);
    let small = json(&["eval", "-m", &path("small.safetensors"), &path("test"), "--json"]);
    assert!((small["nats_per_image_bound"].as_f64().unwrap() - bound).abs() < 0.2, "{small}");

    // What can't be is said in a line.
    let coder = path("half/vqvae.safetensors");
    std::fs::write(dir.path("small"), idx(&[2, 4, 4], &[0; 32])).unwrap();
    for (args, wanted) in [
        (
            vec!["sample", "-m", &file, "-o", "x.png", "--given", &path("sheet.png")],
            "a part of an image has none",
        ),
        (vec!["sample", "-m", &coder, "-o", "x.png"], "a model of its codes draws"),
        (vec!["render", "-m", &coder, "-o", "x.wav"], "a model of its codes draws"),
        (vec!["eval", "-m", &coder, &path("test"), "--classify"], "knows no classes"),
        (vec!["eval", "-m", &coder, &path("test"), "--orders", "2"], "has no order"),
        (vec!["eval", "-m", &coder, &path("test"), "--steps", "2"], "has no order"),
        (vec!["eval", "-m", &coder, &path("test"), "--squares", "2"], "has no order"),
        (vec!["eval", "-m", &coder, &path("small")], "4 by 4 pixels, the model wants 8 by 8"),
        (vec!["eval", "-m", &file, &path("small")], "4 by 4 pixels, the model wants 8 by 8"),
        (vec!["eval", "-m", &coder, "--dtype", "i8", &path("test")], "keeps its weights as f16"),
    ] {
        let message = complaint(&args);
        assert!(message.contains(wanted), "{args:?}: {message}");
    }
    assert!(stdout(&["info", &coder]).contains("2 by 2 of 8 an image, vectors of 4 numbers"));
    refusals(&dir, &file);
}

/// A VQ-VAE that another begins as hands its palette on with its weights.
#[test]
fn the_palette_is_that_of_the_start() {
    let dir = TestDir::new();
    with_tiles(&dir);
    let dim: Vec<u8> = tiles(40, 3).iter().map(|&x| if x > 0 { 190 } else { 40 }).collect();
    std::fs::write(dir.path("dim"), idx(&[40, SIDE, SIDE], &dim)).unwrap();
    let palette = |out: &str, file: &str, train: &str| {
        let run = run_file(&dir, out, "colours = 2", VQ_VAE, train);
        let text = std::fs::read_to_string(&run).unwrap().replace("binary", "palette");
        let (from, to) = (dir.path("train"), dir.path(file));
        std::fs::write(&run, text.replace(from.to_str().unwrap(), to.to_str().unwrap())).unwrap();
        let outcome = go(&run, false, None).unwrap();
        Checkpoint::read(&outcome.voice).unwrap().header.sections["image"]["pixels"].clone()
    };
    let first = palette("first", "train", "steps = 1");
    assert_eq!(first["colours"], serde_json::json!([[0, 0, 0], [255, 255, 255]]));
    let start = format!("steps = 1\nstart_from = {:?}", dir.path("first"));
    assert_eq!(palette("second", "dim", &start), first);
}

/// Run files that can't be; `prior` is a model of codes.
fn refusals(dir: &TestDir, prior: &str) {
    let codes = |path: PathBuf| format!("codes = {path:?}");
    for (images, model, wanted) in [
        (codes(dir.path("half")), VQ_VAE, "images.codes is no key for a VQ-VAE"),
        (format!("labels = {:?}", dir.path("test")), VQ_VAE, "images.labels is no key for a VQ-VAE"),
        ("order = \"spiral\"".into(), VQ_VAE, "images.order is no key for a VQ-VAE"),
        (String::new(), "[vq_vae]\ncodes = 1", "vq_vae.codes is 1, wanted a number from 2"),
        (String::new(), "[vq_vae]\ncommitment = -1.0", "vq_vae.commitment is -1"),
        (String::new(), "[vq_vae]\nlevels = 1", "unknown field `levels`"),
        (codes(dir.path("half")) + "\ncomponents = 3", GRU, "codes have a softmax"),
        (codes(dir.path("nowhere")), GRU, "images.codes"),
        (codes(prior.into()), GRU, "wanted a VQ-VAE"),
    ] {
        let message = failure(&run_file(dir, "bad", &images, model, "steps = 1"), false);
        assert!(message.contains(wanted), "{images} {model}: {message}");
        std::fs::remove_dir_all(dir.path("bad")).ok();
    }
    let run = run_file(dir, "bad", &codes(dir.path("half")), GRU, "steps = 1");
    let text = std::fs::read_to_string(&run).unwrap();
    std::fs::write(&run, text.replace("binary", "grey")).unwrap();
    let message = failure(&run, false);
    assert!(message.contains("its pixels are black and white, which is not images.pixels"), "{message}");
    std::fs::write(dir.path("odd"), idx(&[40, 6, 8], &[0; 40 * 48])).unwrap();
    let text = std::fs::read_to_string(run_file(dir, "bad", "", VQ_VAE, "steps = 1")).unwrap();
    let text = text.replace(dir.path("train").to_str().unwrap(), dir.path("odd").to_str().unwrap());
    std::fs::write(&run, text.replace(dir.path("test").to_str().unwrap(), dir.path("odd").to_str().unwrap()))
        .unwrap();
    let message = failure(&run, false);
    assert!(message.contains("images.file: their height is 6, a VQ-VAE wants a multiple of 4"), "{message}");
}
