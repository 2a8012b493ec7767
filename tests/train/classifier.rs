//! A transformer of images that is trained on to tell their classes, as a user meets it.

use crate::common::{TestDir, failure, go};
use crate::images::{GRID, complaint, json, run_file, stdout, stripes, variables, with_stripes};
use wavesynth::images::{ImageModel, Scored};
use wavesynth_models::kernels::Isa;

const GPT: &str = "family = \"gpt\"\nlayers = 1\nheads = 2\nwidth = 24\npositions = \"grid\"";

/// The class is the colour of the first column. The same file also draws images and gives their likelihood.
#[test]
fn a_model_of_pixels_learns_to_tell_classes() {
    let dir = TestDir::new();
    with_stripes(&dir);
    let path = |name: &str| dir.path(name).to_str().unwrap().to_owned();
    let pixels = run_file(&dir, "pixels", "", GPT, "learning_rate = 3e-3\nsteps = 300");
    go(&pixels, false, None).unwrap();
    let labels =
        format!("labels = {:?}\nvalidation_labels = {:?}", path("train-labels"), path("test-labels"));
    let tuned = format!("learning_rate = 3e-3\nsteps = 300\nstart_from = {:?}", path("pixels"));
    let tells = format!("{GPT}\nclassifier = true");
    let outcome = go(&run_file(&dir, "tuned", &labels, &tells, &tuned), false, None).unwrap();
    let file = outcome.voice.to_str().unwrap().to_owned();

    let (test, test_labels) = (path("test-images"), path("test-labels"));
    let report = json(&["eval", "-m", &file, "--classify", "--labels", &test_labels, "--json", &test]);
    let classes = &report["inputs"][0]["classes"];
    assert_eq!(classes["by"], "classification_head");
    assert!(classes["accuracy"].as_f64().unwrap() > 0.97, "{classes}");
    assert_eq!(classes["probability"][0].as_f64().unwrap(), 0.5, "nothing is seen, nothing is known");
    // The pixels' nats are those without classes, of eval and of the trainer.
    let nats = |report: &serde_json::Value| report["nats_per_image"].as_f64().unwrap();
    let plain = json(&["eval", "-m", &file, "--json", &test]);
    assert!((nats(&report) - nats(&plain)).abs() < 1e-3, "{} {}", nats(&report), nats(&plain));
    let trainer = outcome.held_out.unwrap() * GRID.len() as f64;
    assert!((nats(&plain) - trainer).abs() < 1e-3, "{} {trainer}", nats(&plain));

    let model = ImageModel::open(&outcome.voice, Isa::detect()).unwrap();
    assert_eq!((model.labels(), model.classes(), model.has_classifier()), (0, 2, true));
    let (images, told) = stripes(200, 2);
    let right = images.chunks(GRID.len()).zip(&told).filter(|&(image, &class)| {
        let (rows, nats) = model.classify(&variables(image));
        let scored = &model.score(&[Scored::new(&variables(image), None)])[0];
        assert!(nats.iter().zip(scored).all(|(a, b)| (a - b).abs() < 1e-4));
        let last = &rows[GRID.len()];
        assert!((last.iter().map(|p| p.exp()).sum::<f64>() - 1.0).abs() < 1e-6);
        (last[1] > last[0]) == (class == 1)
    });
    assert_eq!(right.count() as f64 / 200.0, classes["accuracy"].as_f64().unwrap());
    assert!(stdout(&["info", "-m", &file]).contains("tells classes"));
    stdout(&["sample", "-m", &file, "-n", "2", "-o", &path("drawn.png")]);

    for (args, wanted) in [
        (vec!["eval", "-m", &file, "--labels", &test_labels, &test], "wanted --classify"),
        (vec!["sample", "-m", &file, "--class", "1", "-o", "x.png"], "is not given classes, it tells them"),
        (vec!["eval", "-m", &path("pixels"), "--classify", &test], "without labels"),
    ] {
        let message = complaint(&args);
        assert!(message.contains(wanted), "{args:?}: {message}");
    }
    let message = failure(&run_file(&dir, "none", "", &tells, "steps = 1"), false);
    assert!(message.contains("classifier is true, wanted false without images.labels"), "{message}");
}
