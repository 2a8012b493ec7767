//! An adapted stream and a model whose weights were changed alike.

use crate::common::{config, random_frames, typed};
use crate::suite::{random_symbols, random_tensors};
use wavesynth_models::adaptation;
use wavesynth_models::ar::{Generator, Sampling, Uniforms};
use wavesynth_models::families::wavenet::Config;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::{Loaded, ModelError, quantise};
use wavesynth_models::weights::{Checkpoint, Dtype, Layout, Tensors};

fn loaded(config: &Config, tensors: &Tensors, dtype: Dtype, isa: Isa) -> Loaded {
    let header = FamilyConfig::from(config.clone()).to_header().unwrap();
    let mut file = Checkpoint { header, tensors: tensors.clone() };
    quantise(&mut file, dtype).unwrap();
    Loaded::from_checkpoint(file, isa).unwrap()
}

/// An adaptation of rank `rank` with no zeros in it.
fn random(config: &Config, rank: usize, seed: u64) -> Tensors {
    let layout = Layout::new(FamilyConfig::from(config.clone()).adaptation_table(rank));
    let mut uniforms = Uniforms::new(seed);
    layout.tensors(&(0..layout.len()).map(|_| 0.3 * uniforms.normal()).collect::<Vec<_>>())
}

/// Parameters of every step, the frame announced before it comes.
fn parameters(stream: &mut dyn Generator, config: &Config, symbols: &[u16], frames: &[f32]) -> Vec<f32> {
    let (n, hop, mut all) = (config.cond_len(), config.hop(), Vec::new());
    let frame = |i: usize| frames.get(i * n..(i + 1) * n).map(|f| typed(config, f));
    let mut out = vec![0.0; stream.likelihood().params()];
    for (t, &x) in symbols.iter().enumerate() {
        if t.is_multiple_of(hop) {
            stream.condition(&frame(t / hop).unwrap());
            if let Some(next) = frame(t / hop + 1) {
                stream.announce(&next);
            }
        }
        stream.parameters(x.into(), &mut out);
        all.extend_from_slice(&out);
    }
    all
}

const STEPS: usize = 40;

#[test]
fn an_adapted_stream_is_a_model_with_changed_weights() {
    for (condition, rank) in [(1, 3), (2, 1), (3, 17), (4, 2)] {
        let config = config(8, 7, 12, 9, 11, 2, &[1, 4, 2], condition);
        let (tensors, change) = (random_tensors(&config, 4), random(&config, rank, 5));
        let mut merged = tensors.clone();
        adaptation::merge(&mut merged, &change);
        let (symbols, frames) = (random_symbols(&config, STEPS, 1), random_frames(&config, STEPS, 2));
        for isa in Isa::available() {
            let plain = loaded(&config, &tensors, Dtype::F32, isa);
            let adapted = plain.adaptation(&change).unwrap();
            let mut stream = plain.generator(Sampling::default());
            let before = parameters(stream.as_mut(), &config, &symbols, &frames);
            stream.adapt(Some(&adapted));
            stream.reset();
            let found = parameters(stream.as_mut(), &config, &symbols, &frames);
            let merged = loaded(&config, &merged, Dtype::F32, isa);
            let wanted =
                parameters(merged.generator(Sampling::default()).as_mut(), &config, &symbols, &frames);
            let far = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(far(&found, &wanted) < 2e-4, "{condition} {}: {}", isa.name(), far(&found, &wanted));
            assert!(far(&found, &before) > 1e-2);
            stream.adapt(None);
            stream.reset();
            assert_eq!(parameters(stream.as_mut(), &config, &symbols, &frames), before);
        }
    }
}

/// In i8 only what a sample reads is coarser; in lockstep and alone the bits are the same, beside streams of others.
#[test]
fn every_stream_has_its_own() {
    let config = config(8, 8, 16, 16, 32, 2, &[1, 2, 4], 4);
    let (symbols, frames) = (random_symbols(&config, STEPS, 1), random_frames(&config, STEPS, 2));
    for dtype in Dtype::ALL {
        let model = loaded(&config, &random_tensors(&config, 4), dtype, Isa::detect());
        let changes = [None, Some(random(&config, 4, 5)), Some(random(&config, 2, 6))];
        let adapted = changes.map(|c| c.map(|c| model.adaptation(&c).unwrap()));
        let alone = adapted.each_ref().map(|a| {
            let mut stream = model.generator(Sampling::default());
            stream.adapt(a.as_ref());
            let mut drawn = Vec::new();
            for (t, u) in symbols.iter().map(|x| f32::from(*x) / 32.0).enumerate() {
                if t.is_multiple_of(config.hop()) {
                    stream.condition(&typed(
                        &config,
                        &frames[t / config.hop() * config.cond_len()..][..config.cond_len()],
                    ));
                }
                drawn.push(stream.next(u));
            }
            drawn
        });
        assert!(alone[0] != alone[1] && alone[1] != alone[2]);
        let mut streams = model.generators(3, Sampling::default());
        for (i, a) in adapted.iter().enumerate() {
            streams.start(i);
            streams.adapt(i, a.as_ref());
        }
        let mut together = [const { Vec::new() }; 3];
        for (t, u) in symbols.iter().map(|x| f32::from(*x) / 32.0).enumerate() {
            if t.is_multiple_of(config.hop()) {
                let frame = &frames[t / config.hop() * config.cond_len()..][..config.cond_len()];
                (0..3).for_each(|i| streams.condition(i, &typed(&config, frame)));
            }
            let mut out = [0; 3];
            streams.next(&[u; 3], &mut out);
            together.iter_mut().zip(out).for_each(|(all, x)| all.push(x));
        }
        assert_eq!(together, alone, "{dtype}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let plain = config(8, 7, 12, 9, 11, 2, &[1, 4, 2], 1);
    let model = loaded(&plain, &random_tensors(&plain, 4), Dtype::F32, Isa::detect());
    let other = config(8, 7, 12, 9, 11, 2, &[1, 4], 1);
    assert!(matches!(model.adaptation(&random(&other, 2, 1)), Err(ModelError::Weights(_))));
    assert!(matches!(model.adaptation(&random(&plain, 40, 1)), Err(ModelError::Adaptation { rank: 40, .. })));
    assert!(matches!(model.adaptation(&Tensors::new()), Err(ModelError::Adaptation { rank: 0, .. })));
    let without = config(8, 7, 12, 9, 11, 2, &[1, 4, 2], 0);
    let model = loaded(&without, &random_tensors(&without, 4), Dtype::F32, Isa::detect());
    assert!(matches!(model.adaptation(&random(&plain, 2, 1)), Err(ModelError::Adaptation { .. })));
}

/// Of a sum of the changed weights, each times a number of its own: its gradient is known, and it is bilinear in the
/// factors, so differences are exact up to rounding.
#[cfg(feature = "train")]
#[test]
fn the_gradient_of_the_factors_is_that_of_the_changed_weights() {
    let config = config(5, 4, 6, 5, 7, 2, &[1, 2], 1);
    let family = FamilyConfig::from(config.clone());
    let (layout, tensors, change) = (family.layout(), random_tensors(&config, 4), random(&config, 3, 5));
    let mut uniforms = Uniforms::new(9);
    let grads: Vec<f32> = (0..layout.len()).map(|_| uniforms.normal()).collect();
    let loss = |change: &Tensors| {
        let mut merged = tensors.clone();
        adaptation::merge(&mut merged, change);
        let flat = layout.flatten(&merged);
        flat.iter().zip(&grads).map(|(w, g)| f64::from(*w) * f64::from(*g)).sum::<f64>()
    };
    let found = adaptation::gradient(&layout, &grads, &change);
    assert_eq!(found.keys().collect::<Vec<_>>(), change.keys().collect::<Vec<_>>());
    for (name, gradient) in &found {
        for i in [0, gradient.data.len() / 2, gradient.data.len() - 1] {
            let at = |h: f32| {
                let mut moved = change.clone();
                moved.get_mut(name).unwrap().data[i] += h;
                loss(&moved)
            };
            let difference = (at(0.5) - at(-0.5)) as f32;
            assert!(
                (difference - gradient.data[i]).abs() < 1e-3,
                "{name}[{i}]: {difference} {}",
                gradient.data[i]
            );
        }
    }
}
