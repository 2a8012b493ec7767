//! Gated PixelCNN: the readings of its equations must agree with one another and with PyTorch's (`golden/pixel_cnn.py`).
#![cfg_attr(not(feature = "train"), allow(dead_code, reason = "the graph's tests use the rest"))]

use crate::common::{Golden, golden_path};
use crate::suite::{self, Sequence, Subject, pack, random_symbols, stored_tensors};
use wavesynth_models::ar::{Model, Sampling, Uniforms};
use wavesynth_models::condition::Condition;
use wavesynth_models::families::pixel_cnn::{Config, names};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::Values;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::order::{Grid, Scan};
use wavesynth_models::weights::{Checkpoint, Dtype, Init, TensorSpec};

#[cfg(feature = "train")]
mod readings;

const SCANS: [Scan; 6] =
    [Scan::Raster, Scan::Column, Scan::Reverse, Scan::Serpentine, Scan::Spiral, Scan::Random];

/// Two layers of five channels and three symbols; `kernels` of the first and of the other layer.
fn config(scan: Scan, height: usize, width: usize, kernels: (usize, usize), labels: usize) -> Config {
    let grid = Grid { height, width };
    Config {
        classes: 3,
        start: 1,
        grid,
        order: scan.order(grid, 5),
        labels,
        layers: 2,
        channels: 5,
        embedding: 3,
        first_kernel: kernels.0,
        kernel: kernels.1,
        head_channels: 7,
        likelihood: None,
    }
}

suite::readings!(Config);

impl Subject for Config {
    /// Images that end within the suite's sequences, where no step that it looks at begins one.
    fn few() -> Vec<Self> {
        vec![
            config(Scan::Raster, 5, 5, (5, 3), 0),
            config(Scan::Spiral, 5, 6, (7, 3), 3),
            Config { layers: 3, channels: 16, ..config(Scan::Serpentine, 4, 8, (3, 5), 2) },
            config(Scan::Random, 5, 5, (9, 9), 2),
        ]
    }

    fn init(&self, spec: &TensorSpec) -> Init {
        match spec.name == names::EMBED {
            true => Init::Normal(1.0),
            false => Init::fan_in(spec.shape.iter().rev().skip(1).product::<usize>().max(4), 1.2),
        }
    }

    fn frames(&self, t: usize, seed: u64) -> Vec<f32> {
        if self.labels == 0 {
            return Vec::new();
        }
        let mut uniforms = Uniforms::new(seed);
        let one_hot = |_| {
            // One in so many images has no label.
            let label = uniforms.below(self.labels as u64 + 1) as usize;
            (0..self.labels).map(|l| if l == label { 1.0 } else { 0.0 }).collect::<Vec<f32>>()
        };
        (0..t.div_ceil(self.grid.len())).flat_map(one_hot).collect()
    }

    fn typed<'a>(&self, frame: &'a [f32]) -> Condition<'a> {
        Condition { class: frame.iter().position(|&x| x == 1.0), ..Condition::default() }
    }
}

/// All streams at one step, each with a class of its own: one product for all of them, and the bits of each alone.
#[test]
fn lockstep_changes_no_bit() {
    let configs = [
        config(Scan::Raster, 5, 6, (5, 3), 3),
        Config { channels: 21, head_channels: 40, ..config(Scan::Random, 4, 5, (3, 3), 2) },
    ];
    for (config, dtype) in configs.into_iter().flat_map(|c| Dtype::ALL.map(|d| (c.clone(), d))) {
        for isa in Isa::available() {
            let model = pack(&config, &stored_tensors(&config, dtype), isa);
            for count in [2, 3, 8, 70] {
                let n = 2 * config.grid.len() + 3;
                let texts: Vec<_> = (0..count).map(|i| Sequence::random(&config, n, i)).collect();
                let mut states: Vec<_> = texts.iter().map(|_| model.state()).collect();
                let mut scratch = vec![f32::NAN; model.scratch_len(states.len())];
                let want: Vec<_> = texts.iter().map(|text| text.run(&config, &model)).collect();
                for t in 0..n {
                    for (state, text) in states.iter_mut().zip(&texts) {
                        if let Some(frame) = text.frame(t) {
                            model.condition(state, &config.typed(frame));
                        }
                    }
                    let now: Vec<u16> = texts.iter().map(|text| text.symbols[t]).collect();
                    let rows = model.step_many(&mut states, Values::Symbols(&now), &mut scratch);
                    for (row, want) in rows.chunks_exact(rows.len() / states.len()).zip(&want) {
                        assert_eq!(row[..3], want[t], "{} {dtype}, {count} streams, step {t}", isa.name());
                    }
                }
            }
        }
    }
}

/// In every order no step reads what comes behind it. Where lines lie side by side there is no blind spot: with enough
/// layers each step reads all that comes before.
#[test]
fn all_that_is_before_is_read_and_nothing_behind() {
    for scan in SCANS {
        let complete = !matches!(scan, Scan::Spiral | Scan::Random);
        let config = Config { layers: 8, channels: 12, head_channels: 24, ..config(scan, 6, 5, (3, 3), 0) };
        let model = pack(&config, &stored_tensors(&config, Dtype::F32), Isa::detect());
        let n = config.grid.len();
        let text = random_symbols(&config, n, 3);
        // Symbol t of a sequence is absorbed by step t: it is pixel t − 1.
        let before = suite::run(&model, &mut model.state(), &text);
        let mut read = 0;
        for at in 1..n {
            let mut changed = text.clone();
            changed[at] = (changed[at] + 1) % 3;
            let after = suite::run(&model, &mut model.state(), &changed);
            assert_eq!(before[..at], after[..at], "{scan:?}: pixel {} is read before it is there", at - 1);
            let reading = (at..n).filter(|&t| before[t] != after[t]).count();
            assert!(!complete || reading == n - at, "{scan:?}: pixel {} is read by {reading} steps", at - 1);
            read += reading;
        }
        assert!(read > n * n / 8, "{scan:?}: {read} of {} pairs", n * (n - 1) / 2);
    }
}

/// A label is that of the images that begin after it, and one that the model does not know is none.
#[test]
fn a_label_lasts_an_image() {
    let config = config(Scan::Raster, 4, 5, (3, 3), 3);
    let model = pack(&config, &stored_tensors(&config, Dtype::F32), Isa::detect());
    let text = random_symbols(&config, 20, 1);
    let run = |class: Option<usize>| {
        let mut state = model.state();
        model.condition(&mut state, &Condition { class, ..Condition::default() });
        suite::run(&model, &mut state, &text)
    };
    let all: Vec<_> = [None, Some(0), Some(1), Some(2)].map(run).into();
    for (i, a) in all.iter().enumerate() {
        assert!(all[..i].iter().all(|b| a[0] != b[0] && a[19] != b[19]), "every label is heard");
    }
    assert_eq!(run(Some(3)), all[0]);
    let mut state = model.state();
    suite::run(&model, &mut state, &text[..7]);
    model.condition(&mut state, &Condition { class: Some(1), ..Condition::default() });
    assert_eq!(suite::run(&model, &mut state, &text[7..]), all[0][7..], "the image at hand keeps its own");
    assert_eq!(suite::run(&model, &mut state, &text), all[2]);
}

/// The checkpoints that PyTorch computed, with the class of each.
const GOLDEN: [(&str, Option<usize>); 2] = [("pixel_cnn", Some(2)), ("pixel_cnn_spiral", None)];

#[test]
fn the_engine_gives_pytorchs_outputs_and_likelihood() {
    for (name, class) in GOLDEN {
        let golden = Golden::open(name);
        let (symbols, logits, nats) = (golden.symbols(), golden.read("logits"), golden.read("nats"));
        for isa in Isa::available() {
            let model = Loaded::open(&golden_path(name), isa).unwrap();
            let condition = Condition { class, ..Condition::default() };
            let params = logits.len() / symbols.len();
            let mut got = vec![0.0; params];
            let mut rows = model.generator(Sampling::default());
            let mut scores = model.generator(Sampling::default());
            rows.condition(&condition);
            scores.condition(&condition);
            for (t, &x) in symbols.iter().enumerate() {
                rows.parameters(x.into(), &mut got);
                for (g, w) in got.iter().zip(&logits[t * params..]) {
                    assert!((g - w).abs() < 2e-5, "{name} {} step {t}: {g}, wanted {w}", isa.name());
                }
                let score = scores.score(x.into());
                assert!((score - nats[t]).abs() < 2e-5, "{name} {} step {t}: {score} nats", isa.name());
            }
        }
    }
}

#[test]
fn a_checkpoint_comes_back_as_it_was() {
    let file = Checkpoint::read(&golden_path("pixel_cnn")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    file.write(&path).unwrap();
    assert_eq!(Checkpoint::read(&path).unwrap(), file);
    let config = FamilyConfig::from_header(&file.header).unwrap();
    let model = Loaded::open(&path, Isa::PLAIN).unwrap();
    assert_eq!(model.config, config);
    let refused = |change: &dyn Fn(&mut Checkpoint)| {
        let mut damaged = file.clone();
        change(&mut damaged);
        damaged.write(&path).unwrap();
        Loaded::open(&path, Isa::PLAIN).err().expect("refused").to_string()
    };
    let message = refused(&|f| f.header.config["grid"]["width"] = 7.into());
    assert!(message.contains("order is of 30 pixels, wanted one of the grid's 35 pixels"), "{message}");
    let message = refused(&|f| f.header.config["order"]["sites"]["sites"][3] = 0.into());
    assert!(message.contains("order.sites is 0, wanted every variable from 0 on once"), "{message}");
    let message = refused(&|f| _ = f.tensors.remove("layer.1.horizontal.class"));
    assert!(message.contains("tensor layer.1.horizontal.class is missing, wanted [3, 10]"), "{message}");
}
