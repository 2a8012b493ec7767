//! Run files of images: keys that mean nothing, what a run goes on with, and what it starts from.

use crate::common::{TestDir, failure, go};
use crate::images::{idx, run_file, stripes, with_stripes};
use std::path::{Path, PathBuf};
use wavesynth::images::{ImageModel, Pixels};
use wavesynth::train::run_file::Run;
use wavesynth_models::kernels::Isa;

const LSTM: &str = "family = \"char_rnn\"\ncell = \"lstm\"\nhidden = 8\nlayers = 1";
const PIXELS: usize = 36;

fn edit(run: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(run).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(run, text.replace(from, to)).unwrap();
}

fn write_order(path: &Path, sites: impl Iterator<Item = usize>) {
    std::fs::write(path, sites.map(|s| format!("{s}\n")).collect::<String>()).unwrap();
}

/// The error of a run file, in one line.
fn refused(text: &str) -> String {
    let message = format!("{:#}", Run::parse(text, "run.toml").unwrap_err());
    assert!(message.starts_with("run.toml: ") && !message.contains('\n'), "{text}: {message}");
    message
}

fn text(images: &str, model: &str, train: &str) -> String {
    format!("[images]\nfile = \"i\"\n{images}\n{model}\n[train]\nsteps = 1\n{train}\n")
}

#[test]
fn keys_that_mean_nothing_for_images_are_refused() {
    let (lstm, vq_vae) = (format!("[model]\n{LSTM}"), "[vq_vae]\ncodes = 8");
    let binary = "pixels = \"binary\"";
    for model in [&lstm[..], vq_vae] {
        Run::parse(&text(binary, model, "only = [\"a\"]\nengine = \"graph\""), "run.toml").unwrap();
        for (key, value) in [
            ("input_noise", "0.1"),
            ("perturbation", "{}"),
            ("disguise", "{}"),
            ("others", "{ folder = \"f\" }"),
            ("feature_dropout", "0.1"),
            ("dropout_speech", "0.5"),
            ("eval_seconds", "2.0"),
            ("window", "64"),
            ("max_warmup", "0"),
            ("scheduled_sampling", "{ rule = \"linear\" }"),
            ("curriculum", "{ from = 16 }"),
        ] {
            let message = refused(&text(binary, model, &format!("{key} = {value}")));
            assert!(message.contains(&format!("train.{key} is a key for recordings")), "{message}");
        }
        for (images, wanted) in [
            ("pixels = \"binary\"\ncomponents = 3", "images.components is a key for pixels that are"),
            ("pixels = \"palette\"\ncomponents = 3", "images.components is a key for pixels that are"),
            ("pixels = \"binary\"\ncolours = 8", "images.colours is a key for images.pixels = \"palette\""),
            ("pixels = \"rgb\"\ncolours = 512", "images.colours is a key for images.pixels = \"palette\""),
        ] {
            let message = refused(&text(images, model, ""));
            assert!(message.contains(wanted), "{message}");
        }
        for images in [
            "pixels = \"rgb\"\ncomponents = 3",
            "pixels = \"palette\"\ncolours = 8",
            "pixels = \"continuous\"\ncomponents = 3",
        ] {
            Run::parse(&text(images, model, ""), "run.toml").unwrap();
        }
    }
    let seed = |order: &str| text(&format!("{binary}\norder_seed = 2\n{order}"), &lstm, "");
    Run::parse(&seed("order = \"random\""), "run.toml").unwrap();
    for order in ["", "order = \"spiral\"", "order_file = \"o\""] {
        let message = refused(&seed(order));
        assert!(message.contains("images.order_seed is a key for images.order = \"random\""), "{message}");
    }
}

/// What a family does not take is said by the run file's own keys, and of the images' own size.
#[test]
fn what_a_family_does_not_take_is_said_by_the_files_own_keys() {
    let binary = |more: &str| format!("pixels = \"binary\"\n{more}");
    let message = refused(&text(&binary("labels = \"l\""), &format!("[model]\n{LSTM}"), ""));
    let wanted = "images.labels, for the family char_rnn: wanted none: this family takes no class labels";
    assert!(message.ends_with(wanted), "{message}");
    let rows = "family = \"pixel_rnn\"\nkind = \"row\"\nhidden = 4\nlayers = 1";
    for order in ["serpentine", "spiral", "random"] {
        let order_key = format!("order = {order:?}");
        let message = refused(&text(&binary(&order_key), &format!("[model]\n{rows}"), ""));
        assert!(message.contains(&format!("images.order is {order:?}, wanted the raster")), "{message}");
    }

    let dir = TestDir::new();
    with_stripes(&dir);
    let order = dir.path("order.txt");
    write_order(&order, (0..PIXELS).map(|i| (i + 1) % PIXELS));
    let message =
        failure(&run_file(&dir, "rows", &format!("order_file = {order:?}"), rows, "steps = 1"), false);
    assert!(message.contains(&format!("images.order_file {}: wanted the raster", order.display())));
    let gpt = "family = \"gpt\"\nlayers = 1\nheads = 2\nwidth = 8";
    go(&run_file(&dir, "fits", "", &format!("{gpt}\ncontext = {PIXELS}"), "steps = 1"), false, None).unwrap();
    let run = run_file(&dir, "other", "", &format!("{gpt}\ncontext = 16"), "steps = 1");
    let message = failure(&run, false);
    assert!(message.contains("model.context is 16, wanted left out: an image has 36 pixels"), "{message}");
}

#[test]
fn an_order_file_that_changed_stops_a_resumption() {
    let dir = TestDir::new();
    with_stripes(&dir);
    let order = dir.path("order.txt");
    write_order(&order, (0..PIXELS).rev());
    let run = run_file(&dir, "out", &format!("order_file = {order:?}"), LSTM, "steps = 3");
    go(&run, false, Some(1)).unwrap();
    write_order(&order, 0..PIXELS);
    let message = failure(&run, true);
    let wanted = "was trained in another order of the pixels (the content of images.order_file changed)";
    assert!(message.contains(wanted), "{message}");
    // The same order, written otherwise.
    let sites: Vec<String> = (0..PIXELS).rev().map(|s| s.to_string()).collect();
    std::fs::write(&order, sites.join(",")).unwrap();
    assert_eq!(go(&run, true, None).unwrap().step, 3);
}

/// A run that starts from `from`.
fn starting(dir: &TestDir, out: &str, images: &str, from: &str, steps: u64) -> PathBuf {
    let train = format!("steps = {steps}\nlearning_rate = 0.0\nstart_from = {:?}", dir.path(from));
    run_file(dir, out, images, LSTM, &train)
}

#[test]
fn a_start_of_other_pixels_or_of_another_order_is_refused() {
    let dir = TestDir::new();
    with_stripes(&dir);
    go(&run_file(&dir, "raster", "", LSTM, "steps = 1"), false, None).unwrap();
    let order = dir.path("order.txt");
    write_order(&order, (0..PIXELS).map(|i| (i + 1) % PIXELS));
    let from_file = format!("order_file = {order:?}");
    let said = |images: &str, wanted: &str| {
        let message = failure(&starting(&dir, "a", images, "raster", 1), false);
        let start = format!("train.start_from {}: ", dir.path("raster").display());
        assert!(message == format!("{start}{wanted}"), "{message}");
        std::fs::remove_dir_all(dir.path("a")).ok();
    };
    let set = "set images.order or images.order_file to its";
    said("order = \"spiral\"", &format!("its order is raster, that of the run is spiral; {set}"));
    said(&from_file, &format!("its order is raster, that of the run is one of its own; {set}"));
    said("codes = \"nowhere\"", "it is a model of pixels; leave images.codes out");
    let grey = starting(&dir, "b", "", "raster", 1);
    edit(&grey, "binary", "grey");
    let message = failure(&grey, false);
    assert!(message.contains("its pixels are black and white, which is not images.pixels"), "{message}");

    // The same order is taken, also from a file, and the raster of images of another size.
    write_order(&order, 0..PIXELS);
    go(&starting(&dir, "c", &from_file, "raster", 1), false, None).unwrap();
    std::fs::write(dir.path("wide"), idx(&[40, 3, 9], &[0; 40 * 27])).unwrap();
    let wide = starting(&dir, "d", "", "raster", 1);
    edit(&wide, "train-images", "wide");
    edit(&wide, "test-images", "wide");
    go(&wide, false, None).unwrap();
}

#[test]
fn the_palette_is_that_of_the_start() {
    let dir = TestDir::new();
    with_stripes(&dir);
    let dim: Vec<u8> = stripes(200, 3).0.iter().map(|&x| if x > 0 { 190 } else { 40 }).collect();
    std::fs::write(dir.path("dim-images"), idx(&[200, 6, 6], &dim)).unwrap();
    let palette = |run: PathBuf| {
        edit(&run, "binary", "palette");
        run
    };
    let pixels = |out: &str| {
        let file = dir.path(out).join("images.safetensors");
        ImageModel::open(&file, Isa::detect()).unwrap().section.pixels
    };
    go(&palette(run_file(&dir, "bright", "colours = 2", LSTM, "steps = 1")), false, None).unwrap();
    let of_bright = Pixels::Palette { colours: vec![[0; 3], [255; 3]] };
    assert_eq!(pixels("bright"), of_bright);

    let dim = palette(starting(&dir, "dim", "colours = 2", "bright", 3));
    edit(&dim, "train-images", "dim-images");
    go(&dim, false, Some(1)).unwrap();
    assert_eq!(pixels("dim"), of_bright);
    let message = failure(&palette(starting(&dir, "more", "colours = 3", "bright", 1)), false);
    assert!(message.contains("its palette has 2 colours, images.colours is 3"), "{message}");
    // Once begun, the run has a palette of its own.
    std::fs::remove_dir_all(dir.path("bright")).unwrap();
    assert_eq!(go(&dim, true, None).unwrap().step, 3);
    assert_eq!(pixels("dim"), of_bright);
}
