//! What is WaveNet's own of its engine: dot products of bytes, the receptive field, and frames that were announced.

mod adaptation;
#[cfg(feature = "train")]
mod readings;

use crate::common::{bunched, config, random_frames, relative, typed};
use crate::suite::{self, Subject, random_symbols, random_tensors, stored_tensors};
use wavesynth_models::ar::Model;
use wavesynth_models::condition::Condition;
use wavesynth_models::families::wavenet::{Config, WaveNet};
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::Value;
use wavesynth_models::weights::Dtype;

suite::readings!(Config);

impl Subject for Config {
    fn few() -> Vec<Self> {
        vec![
            config(5, 7, 3, 9, 11, 3, &[1, 9, 4, 17, 6], 1),
            config(16, 16, 24, 32, 32, 2, &[1, 2, 4, 8, 16, 32], 3),
            config(64, 40, 130, 40, 256, 2, &[8, 1, 13], 0),
            config(3, 4, 5, 6, 7, 1, &[1, 8], 2),
            // Streams at different places of their bunches.
            bunched(config(16, 16, 24, 32, 32, 2, &[1, 9, 4], 1), 2),
            bunched(config(5, 7, 3, 9, 11, 3, &[1, 9], 3), 4),
            bunched(config(16, 16, 24, 32, 32, 3, &[1, 2, 4], 1), 3),
        ]
    }

    fn frames(&self, t: usize, seed: u64) -> Vec<f32> {
        random_frames(self, t, seed)
    }

    fn typed<'a>(&self, frame: &'a [f32]) -> Condition<'a> {
        typed(self, frame)
    }
}

/// Where padding would decide which inputs are rounded together, the skips keep a wider type.
#[test]
fn i8_skips_give_equal_numbers_on_every_instruction_set() {
    let smallest = |gate: usize, layers: usize| {
        let config = config(4, gate, 8, 8, 16, 2, &vec![1; layers], 0);
        let table = config.table();
        table.iter().find(|s| s.name == "layer.0.skip.weight").unwrap().smallest_dtype
    };
    assert_eq!([smallest(20, 128), smallest(20, 129), smallest(32, 200)], [Dtype::I8, Dtype::F16, Dtype::I8]);
    let config = config(8, 32, 8, 8, 16, 2, &[1; 140], 0);
    let tensors = stored_tensors(&config, Dtype::I8);
    for isa in Isa::available() {
        let run = |isa| {
            let model = WaveNet::new(&config, &tensors, isa).unwrap();
            let mut state = model.state();
            (0..20).flat_map(|x| model.step(&mut state, Value::Symbol(x % 16)).to_vec()).collect::<Vec<_>>()
        };
        let far = relative(&run(isa), &run(Isa::PLAIN));
        // A sum that rounds the other way moves a code by one; other scales would move all of them.
        assert!(far < 1e-3, "{}: {far}", isa.name());
    }
}

/// The integers are the same, so nothing of a stream depends on how a machine sums them.
#[test]
fn dot_products_of_bytes_change_no_bit() {
    // Odd channels, and a batch of past taps as codes.
    let config = config(13, 16, 24, 32, 32, 3, &[1, 2, 4, 8], 1);
    let tensors = stored_tensors(&config, Dtype::I8);
    let frame = random_frames(&config, 1, 2);
    for isa in Isa::available() {
        let run = |isa| {
            let model = WaveNet::new(&config, &tensors, isa).unwrap();
            let mut state = model.state();
            model.condition(&mut state, &typed(&config, &frame));
            let symbols = random_symbols(&config, 200, 1);
            symbols.iter().map(|&x| model.step(&mut state, Value::Symbol(x)).to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(run(isa), run(isa.without_dot()), "{}", isa.name());
    }
}

/// The same for the engine, and that its memory is exactly the receptive field.
#[test]
fn the_engine_forgets_what_lies_beyond_the_receptive_field() {
    for bunch in [1, 2, 3] {
        let config = bunched(config(16, 16, 24, 32, 32, 2, &[1, 2, 4, 8, 3], 0), bunch);
        let model = WaveNet::new(&config, &random_tensors(&config, 7), Isa::detect()).unwrap();
        // The last row is the last of its bunch, which sees the farthest.
        let symbols = random_symbols(&config, config.receptive_field() + 1, 3);
        let last = |changed: usize| {
            let (mut state, mut symbols) = (model.state(), symbols.clone());
            symbols[changed] = (symbols[changed] + 1) % config.classes as u16;
            symbols.iter().map(|&x| model.step(&mut state, Value::Symbol(x)).to_vec()).last().unwrap()
        };
        let mut state = model.state();
        let want = symbols.iter().map(|&x| model.step(&mut state, Value::Symbol(x)).to_vec()).last().unwrap();
        assert_eq!(last(0), want, "a symbol beyond the receptive field is heard");
        assert_ne!(last(1), want, "the oldest symbol of the field is lost");
    }
}

/// What a stream of `symbols` says, a frame every hop; `announce` is told the sample and its frame's index.
fn alone(
    model: &WaveNet,
    config: &Config,
    symbols: &[u16],
    frames: &[f32],
    announce: impl Fn(usize) -> Option<usize>,
) -> Vec<Vec<f32>> {
    let mut state = model.state();
    let n = config.cond_len();
    let frame = |i: usize| &frames[i * n % frames.len().max(1)..][..n];
    let mut drawn = Vec::new();
    for (t, &x) in symbols.iter().enumerate() {
        if n > 0 && t % config.hop() == 0 {
            model.condition(&mut state, &typed(config, frame(t / config.hop())));
        }
        if let Some(i) = announce(t).filter(|_| n > 0) {
            model.announce(&mut state, &typed(config, frame(i)));
        }
        drawn.push(model.step(&mut state, Value::Symbol(x)).to_vec());
    }
    drawn
}

#[test]
fn an_announcement_changes_no_bit() {
    for config in Config::few() {
        let symbols = random_symbols(&config, 120, 1);
        let frames = random_frames(&config, 130, 2);
        for isa in Isa::available() {
            let model = WaveNet::new(&config, &random_tensors(&config, 7), isa).unwrap();
            let want = alone(&model, &config, &symbols, &frames, |_| None);
            let hop = config.hop();
            let next = |t: usize| Some(t / hop + 1);
            // As it should be: right after the frame before.
            assert_eq!(alone(&model, &config, &symbols, &frames, |t| next(t).filter(|_| t % hop == 0)), want);
            // So late that work is left; again and again; a frame that never comes; a lie that is put right halfway.
            assert_eq!(alone(&model, &config, &symbols, &frames, |t| next(t).filter(|_| t % hop == 3)), want);
            assert_eq!(alone(&model, &config, &symbols, &frames, next), want);
            assert_eq!(alone(&model, &config, &symbols, &frames, |t| Some(t / hop + 2)), want);
            assert_eq!(alone(&model, &config, &symbols, &frames, |t| Some(t / hop + 1 + t % 2)), want);
        }
    }
}

#[test]
fn a_reset_forgets_an_announcement() {
    let config = &Config::few()[0];
    let frames = random_frames(config, 50, 2);
    let (a, b) = frames.split_at(config.cond_len());
    let model = WaveNet::new(config, &random_tensors(config, 7), Isa::detect()).unwrap();
    let mut state = model.state();
    let fresh = model.step(&mut state, Value::Symbol(3)).to_vec();
    model.condition(&mut state, &typed(config, a));
    model.announce(&mut state, &typed(config, &b[..a.len()]));
    for x in [1, 2, 3] {
        model.step(&mut state, Value::Symbol(x));
    }
    model.reset(&mut state);
    assert_eq!(model.step(&mut state, Value::Symbol(3)), fresh);
}
