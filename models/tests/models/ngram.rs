//! The n-gram table against the equation, counted the slow way.

use crate::suite::{self, Subject};
use std::collections::HashSet;
use wavesynth_models::ar::{Sampling, Symbol, Uniforms};
use wavesynth_models::families::ngram::{self, count, names};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::{Loaded, quantise};
use wavesynth_models::weights::{Checkpoint, Dtype, Tensors};

const CLASSES: usize = 5;
const START: Symbol = 3;

fn text(len: usize, seed: u64) -> Vec<Symbol> {
    let mut uniforms = Uniforms::new(seed);
    let mut last = 0;
    (0..len)
        .map(|_| {
            // Something to learn: a symbol mostly follows its predecessor.
            last = if uniforms.next_uniform() < 0.6 { (last + 1) % 4 } else { uniforms.below(4) as Symbol };
            last
        })
        .collect()
}

suite::engine!(ngram::Config);

impl Subject for ngram::Config {
    fn few() -> Vec<Self> {
        [2, 4, 7].map(|order| count(&text(400, 1), CLASSES, START, order, 1 << 20).0).into()
    }

    /// Counted: indices that are random mean nothing.
    fn random_tensors(&self, _: u64) -> Tensors {
        count(&text(400, 1), CLASSES, START, self.order, 1 << 20).1
    }
}

fn file(config: &ngram::Config, tensors: Tensors) -> Checkpoint {
    let header = FamilyConfig::from(config.clone()).to_header().unwrap();
    Checkpoint { header, tensors }
}

fn load(config: &ngram::Config, tensors: Tensors) -> Result<Loaded, String> {
    Loaded::from_checkpoint(file(config, tensors), Isa::detect()).map_err(|e| e.to_string())
}

/// The equation, straight from the text.
fn witten_bell(train: &[Symbol], past: &[Symbol], x: Symbol, order: usize) -> f64 {
    let at = |s: &[Symbol], t: usize, k: usize| t.checked_sub(k).map_or(START, |i| s[i]);
    let mut p = 1.0 / CLASSES as f64;
    for k in 0..order {
        let here = |t: usize| (1..=k).all(|j| at(train, t, j) == at(past, past.len(), j));
        let behind: Vec<Symbol> = (0..train.len()).filter(|&t| here(t)).map(|t| train[t]).collect();
        if behind.is_empty() {
            break;
        }
        let kinds = behind.iter().collect::<HashSet<_>>().len() as f64;
        let count = behind.iter().filter(|s| **s == x).count() as f64;
        p = (count + kinds * p) / (behind.len() as f64 + kinds);
    }
    p
}

#[test]
fn the_engine_gives_the_equation_and_sums_to_one() {
    let train = text(400, 1);
    for order in [1, 2, 4, 7] {
        let (config, tensors) = count(&train, CLASSES, START, order, 1 << 20);
        let model = load(&config, tensors).unwrap();
        let mut stream = model.generator(Sampling::default());
        let scored = text(60, 2);
        let mut logits = vec![0.0; CLASSES];
        for (t, &x) in scored.iter().enumerate() {
            stream.fork().parameters(x.into(), &mut logits);
            let sum: f64 = logits.iter().map(|&l| f64::from(l).exp()).sum();
            assert!((sum - 1.0).abs() < 1e-5, "order {order}, {t}: {sum}");
            let want = -witten_bell(&train, &scored[..t], x, order).ln();
            let nats = f64::from(stream.score(x.into()));
            assert!((nats - want).abs() < 1e-4, "order {order}, {t}: {nats}, wanted {want}");
        }
    }
}

#[test]
fn longer_contexts_predict_better_and_room_is_kept() {
    let (train, scored) = (text(20_000, 1), text(2000, 2));
    let nats = |order, room| {
        let (config, tensors) = count(&train, CLASSES, START, order, room);
        assert!(config.entries <= room.max(CLASSES), "{} entries", config.entries);
        let mut stream = load(&config, tensors).unwrap().generator(Sampling::default());
        scored.iter().map(|&x| f64::from(stream.score(x.into()))).sum::<f64>() / scored.len() as f64
    };
    assert!(nats(2, 1000) < nats(1, 1000) - 0.1);
    // Too little room for all contexts of six: what is left is still a table of the shorter ones.
    assert!(nats(7, 200) < nats(1, 1000) - 0.1);
}

#[test]
fn a_table_that_would_lead_astray_is_refused() {
    let (config, good) = count(&text(100, 1), CLASSES, START, 3, 1 << 20);
    let refused = |name: &str, at: usize, value: f32, words: &str| {
        let mut tensors = good.clone();
        tensors.get_mut(name).unwrap().data[at] = value;
        let message = load(&config, tensors).err().unwrap_or_default();
        assert!(message.contains(name) && message.contains(words), "{message}");
    };
    refused(names::CHILDREN, 0, 0.0, "wanted");
    refused(names::CHILDREN, 1, 1e9, "do not fall");
    refused(names::CHILDREN, 1, 2.5, "whole");
    refused(names::ENTRIES, config.contexts, 1e9, "bounds");
    refused(names::ENTRY_SYMBOL, 0, 5.0, "below `classes`");
    refused(names::ENTRY_WEIGHT, 0, -0.5, "probability");
    refused(names::BACKOFF, 0, 0.9, "1 less");
    refused(names::SYMBOL, 1, f32::NAN, "NaN");
    let mut other = config.clone();
    other.entries += 1;
    assert!(load(&other, good.clone()).err().unwrap().contains("has shape"));
    other.order = 0;
    assert!(load(&other, good).err().unwrap().contains("order is 0"));
}

#[test]
fn a_type_that_a_family_has_no_weights_of_is_refused() {
    let (config, tensors) = count(&text(400, 1), CLASSES, START, 3, 1 << 20);
    let mut file = file(&config, tensors);
    let mut to = |dtype| quantise(&mut file, dtype).map_err(|e| e.to_string());
    to(Dtype::F32).unwrap();
    let message = "weights of i8: family `ngram` keeps its weights as f32";
    assert_eq!(to(Dtype::I8), Err(message.to_string()));
}
