//! GPT: the engine against an independent program's numbers, and, in `readings`, against the graph and the fused layers.

#[cfg(feature = "train")]
mod readings;

use crate::images::{GoldenImages, bernoulli, class_of, grey, one_hot_frames, random_order};
use crate::suite::{self, Sequence, Subject, random_symbols, random_tensors, run};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wavesynth_models::ar::{Generator, Model, Sampling, Stream, Uniforms};
use wavesynth_models::condition::Condition;
use wavesynth_models::families::gpt::{Config, Gpt, Positions};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::LikelihoodConfig;
use wavesynth_models::order::{Grid, Order};
use wavesynth_models::weights::{Checkpoint, Init, TensorSpec, Tensors};

/// A config by its sizes.
fn config(classes: usize, layers: usize, heads: usize, width: usize, context: usize) -> Config {
    let (start, likelihood, order) = ((classes / 2) as u16, None, Order::Time);
    let (labels, positions) = (0, Positions::Steps);
    let (bias, tied_head) = (true, false);
    Config {
        classes,
        start,
        layers,
        heads,
        width,
        context,
        bias,
        tied_head,
        likelihood,
        order,
        labels,
        positions,
        any_order: false,
        classifier: 0,
    }
}

/// The same that learns all orders.
fn any_order(config: Config) -> Config {
    Config { any_order: true, ..config }
}

/// A model of images of `height` by `width` pixels, of two layers of 10 in two heads.
fn image(
    (height, width): (usize, usize),
    labels: usize,
    on_grid: bool,
    classes: usize,
    likelihood: Option<LikelihoodConfig>,
) -> Config {
    let positions = match on_grid {
        true => Positions::Grid(Grid { height, width }),
        false => Positions::Steps,
    };
    let (order, tied_head) = (random_order(height, width), likelihood.is_none());
    let config = config(classes, 2, 2, 10, height * width);
    Config { likelihood, order, labels, positions, tied_head, ..config }
}

/// The same that tells `classes` of images, which it is not given.
fn telling(classes: usize, config: Config) -> Config {
    Config { classifier: classes, labels: 0, ..config }
}

/// The sites 0 … n − 1 in an order of their own.
fn shuffled(n: usize, seed: u64) -> Vec<u32> {
    let mut sites: Vec<u32> = (0..n as u32).collect();
    Uniforms::new(seed).shuffle(&mut sites);
    sites
}

suite::readings!(Config);

impl Subject for Config {
    fn few() -> Vec<Self> {
        vec![
            config(11, 2, 2, 12, 8),
            config(17, 2, 2, 14, 16),
            config(9, 1, 1, 5, 1),
            image((3, 7), 3, true, 9, None),
            image((1, 7), 0, false, 2, bernoulli()),
            image((5, 6), 2, true, 16, grey(2, 16)),
            any_order(image((4, 7), 2, true, 9, None)),
            telling(3, image((3, 7), 0, true, 9, None)),
        ]
    }

    fn init(&self, spec: &TensorSpec) -> Init {
        match (spec.init, spec.name.starts_with("input.")) {
            (_, true) => Init::Normal(0.6),
            (Init::Constant(_), _) => Init::Normal(1.0),
            _ => Init::fan_in(spec.shape.iter().rev().skip(1).product::<usize>().max(4), 1.2),
        }
    }

    fn frames(&self, t: usize, seed: u64) -> Vec<f32> {
        let classes = one_hot_frames(self.labels, self.context, t, seed);
        if !self.any_order {
            return classes;
        }
        let mut rows = Vec::new();
        for i in 0..t.div_ceil(self.context) {
            rows.extend(&classes[i * self.labels..][..self.labels]);
            rows.extend(shuffled(self.context, seed + i as u64).into_iter().map(|site| site as f32));
        }
        rows
    }

    fn typed<'a>(&self, frame: &'a [f32]) -> Condition<'a> {
        let (class, sites) = frame.split_at(if self.any_order { self.labels } else { frame.len() });
        let sites: Vec<u32> = sites.iter().map(|&site| site as u32).collect();
        // A condition borrows its order, and rows of numbers hold none: a few bytes stay behind.
        Condition { order: self.any_order.then(|| &*sites.leak()), ..class_of(class) }
    }
}

#[test]
fn the_engine_gives_pytorchs_parameters_of_images() {
    GoldenImages::open("gpt_image").compare_engine();
}

fn golden_checkpoint() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/golden/gpt.safetensors")
}

fn golden_config(file: &Checkpoint) -> Config {
    assert_eq!(file.header.family, "gpt");
    let config: Config = serde_json::from_value(file.header.config.clone()).unwrap();
    config.validate().unwrap();
    config
}

/// Symbols, logits and nats that PyTorch computed (`golden/gpt.py`), each row from its crop of the text alone.
fn golden() -> (Vec<u16>, Vec<f32>, Vec<f32>) {
    let file = SafeTensors::deserialize(include_bytes!("golden/gpt.golden.safetensors")).unwrap();
    let read = |name: &str| -> Vec<f32> {
        let data = file.tensor(name).unwrap().data();
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    (read("symbols").into_iter().map(|s| s as u16).collect(), read("logits"), read("nats"))
}

#[test]
fn logits_and_likelihood_are_those_of_pytorch() {
    let (symbols, logits, nats) = golden();
    let file = Checkpoint::read(&golden_checkpoint()).unwrap();
    let config = golden_config(&file);
    assert!(symbols.len() > 3 * config.context, "the text leaves the context");
    for isa in Isa::available() {
        let model = Arc::new(Gpt::new(&config, &file.tensors, isa).unwrap());
        let mut row = vec![0.0; config.classes];
        let mut stream = Stream::new(model.clone(), Sampling::default());
        let mut scored = Stream::new(model, Sampling::default());
        for (t, &x) in symbols.iter().enumerate() {
            stream.parameters(x.into(), &mut row);
            for (g, w) in row.iter().zip(&logits[t * config.classes..]) {
                assert!((g - w).abs() < 2e-5, "{} row {t}: {g}, wanted {w}", isa.name());
            }
            let got = scored.score(x.into());
            assert!((got - nats[t]).abs() < 2e-5, "{} row {t}: {got} nats, wanted {}", isa.name(), nats[t]);
        }
    }
}

#[test]
fn a_checkpoint_comes_back_as_it_was() {
    let config = Config { tied_head: true, ..config(7, 2, 3, 9, 5) };
    let file = Checkpoint {
        header: FamilyConfig::from(config.clone()).to_header().unwrap(),
        tensors: random_tensors(&config, 1),
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.safetensors");
    file.write(&path).unwrap();
    let again = Checkpoint::read(&path).unwrap();
    assert_eq!(again, file);
    assert_eq!(golden_config(&again), config);
    let mut tensors = again.tensors;
    let refused = |tensors: &Tensors| Gpt::new(&config, tensors, Isa::PLAIN).err().unwrap().to_string();
    let norm = tensors.remove("output.norm.weight").unwrap();
    assert_eq!(refused(&tensors), "tensor output.norm.weight is missing, wanted [9]");
    tensors.insert("output.norm.weight".into(), norm.clone());
    tensors.insert("output.head.weight".into(), norm);
    assert_eq!(refused(&tensors), "tensor output.head.weight is not one of this model's");
}

/// A model without its last layers hands on what the whole one hands on there, the last values give the parameters, and showing
/// them changes no bit.
#[test]
fn hidden_values_are_those_of_a_model_that_ends_there() {
    for config in [config(11, 3, 2, 12, 8), Config { layers: 3, ..image((3, 7), 3, true, 9, None) }] {
        let (n, width, params) = (config.context, config.width, config.classes);
        let sequence = Sequence::random(&config, n, 4);
        let mut tensors = random_tensors(&config, 7);
        let mut above: Vec<f32> = Vec::new();
        for layers in (1..=3).rev() {
            let cut = Config { layers, ..config.clone() };
            tensors.retain(|name, _| cut.table().iter().any(|spec| spec.name == *name));
            let model = Gpt::new(&cut, &tensors, Isa::detect()).unwrap();
            let shape = model.hidden().unwrap();
            assert_eq!((shape.layers, shape.width), (layers + 1, width));
            let plain = sequence.run(&cut, &model);
            let mut state = model.state();
            if let Some(frame) = sequence.frame(0).filter(|f| !f.is_empty()) {
                model.condition(&mut state, &cut.typed(frame));
            }
            let (mut all, mut row) = (Vec::new(), vec![0.0; shape.values()]);
            for (t, &x) in sequence.symbols.iter().enumerate() {
                let got = model.step_hidden(&mut state, x.into(), &mut row).unwrap().to_vec();
                assert_eq!(got, plain[t], "{layers} layers, row {t}");
                let last = &row[layers * width..];
                let mean = last.iter().sum::<f32>() / width as f32;
                let variance = last.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / width as f32;
                let get = |name: &str| &tensors[name].data;
                let normed: Vec<f32> = (0..width)
                    .map(|i| {
                        let v = (last[i] - mean) / (variance + 1e-5).sqrt() * get("output.norm.weight")[i];
                        v + get("output.norm.bias")[i]
                    })
                    .collect();
                for (k, &logit) in got.iter().enumerate() {
                    let head = |i: usize| match cut.tied_head {
                        true => get("input.embed")[k * width + i],
                        false => get("output.head.weight")[i * params + k],
                    };
                    let want: f32 = (0..width).map(|i| normed[i] * head(i)).sum();
                    assert!(
                        (want - logit).abs() < 1e-4,
                        "{layers} layers, row {t}: {want}, the engine has {logit}"
                    );
                }
                all.extend_from_slice(&row);
            }
            if !above.is_empty() {
                let whole = above.chunks_exact((layers + 2) * width);
                for (t, (whole, cut)) in whole.zip(all.chunks_exact((layers + 1) * width)).enumerate() {
                    assert_eq!(whole[..cut.len()], *cut, "{layers} layers, row {t}");
                }
            }
            above = all;
        }
    }
}

/// What lies before the window is forgotten, and the oldest symbol of the window is not.
#[test]
fn the_engine_remembers_half_a_context_and_never_more_than_one() {
    for context in [1, 2, 7, 8] {
        let config = config(11, 2, 2, 12, context);
        let model = Gpt::new(&config, &random_tensors(&config, 7), Isa::detect()).unwrap();
        let symbols = random_symbols(&config, 40, 3);
        let last = |symbols: &[u16]| run(&model, &mut model.state(), symbols).pop().unwrap();
        for t in 1..=symbols.len() {
            let reading = config.readings(t).last().unwrap();
            assert!(t.min(context / 2 + 1) <= reading.rows.len() && reading.rows.len() <= context);
            for at in 0..t {
                let mut changed = symbols[..t].to_vec();
                changed[at] = (changed[at] + 1) % config.classes as u16;
                let same = last(&changed) == last(&symbols[..t]);
                assert_eq!(same, at < reading.rows.start, "context {context}: symbol {at} before row {t}");
            }
        }
    }
}
