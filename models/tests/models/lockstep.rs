//! Streams in company, and frames that were announced: the same bits as a lone stream that was told nothing.

use crate::common::{bunched, config, golden_path, random_frames, random_symbols, random_tensors, typed};
use std::sync::Arc;
use wavesynth_models::ar::{Generator, Generators, Model, Sampling, Stream, Streams, Uniforms};
use wavesynth_models::condition::ConditionValues;
use wavesynth_models::families::wavenet::{Config, WaveNet};
use wavesynth_models::kernels::Isa;
use wavesynth_models::likelihood::{Value, Values};
use wavesynth_models::loaded;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::{self, Checkpoint, Dtype, Tensors};

fn shapes() -> Vec<Config> {
    vec![
        config(5, 7, 3, 9, 11, 3, &[1, 9, 4, 17, 6], 1),
        config(16, 16, 24, 32, 32, 2, &[1, 2, 4, 8, 16, 32], 3),
        config(64, 40, 130, 40, 256, 2, &[8, 1, 13], 0),
        config(3, 4, 5, 6, 7, 1, &[1, 8], 2),
        // Streams at different places of their bunches.
        bunched(config(16, 16, 24, 32, 32, 2, &[1, 9, 4], 1), 2),
        bunched(config(5, 7, 3, 9, 11, 3, &[1, 9], 3), 4),
    ]
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
    for config in shapes() {
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
    let config = &shapes()[0];
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

fn stored_tensors(config: &Config, dtype: Dtype) -> Tensors {
    let mut tensors = random_tensors(config, 7);
    weights::quantise(&mut tensors, &config.table(), dtype).unwrap();
    tensors
}

/// Streams that start at different times under different conditions, any number of them at once.
#[test]
fn company_changes_no_bit() {
    for (config, dtype) in shapes().into_iter().flat_map(|c| [(c.clone(), Dtype::F32), (c, Dtype::I8)]) {
        let n = config.cond_len();
        for isa in Isa::available() {
            let model = WaveNet::new(&config, &stored_tensors(&config, dtype), isa).unwrap();
            for count in [1, 2, 3, 5, 8, 9] {
                let symbols: Vec<_> = (0..count).map(|i| random_symbols(&config, 90, i)).collect();
                let frames: Vec<_> = (0..count).map(|i| random_frames(&config, 90, 50 + i)).collect();
                let mut states: Vec<_> = (0..count).map(|_| model.state()).collect();
                let mut scratch = vec![f32::NAN; model.scratch_len(count as usize)];
                let mut drawn = vec![Vec::new(); count as usize];
                // Stream i stands still until sample 3 i, and then reads its own symbols from the first on.
                for t in 0..90 {
                    let running = states.len().min(t / 3 + 1);
                    let mut now = Vec::new();
                    for (i, state) in states[..running].iter_mut().enumerate() {
                        let t = t - 3 * i;
                        if n > 0 && t % config.hop() == 0 {
                            model.condition(state, &typed(&config, &frames[i][t / config.hop() * n..][..n]));
                        }
                        now.push(symbols[i][t]);
                    }
                    let rows = model.step_many(&mut states[..running], Values::Symbols(&now), &mut scratch);
                    for (row, drawn) in rows.chunks_exact(rows.len() / running).zip(&mut drawn) {
                        drawn.push(row[..config.classes].to_vec());
                    }
                }
                for ((drawn, symbols), frames) in drawn.iter().zip(&symbols).zip(&frames) {
                    let want = alone(&model, &config, &symbols[..drawn.len()], frames, |_| None);
                    assert!(*drawn == want, "{} {dtype}: of {count} streams one differs", isa.name());
                }
            }
        }
    }
}

/// Streams that start, end and start again while others run draw what lone ones draw.
#[test]
fn streams_live_apart() {
    for (shape, dtype) in [(0, Dtype::F32), (4, Dtype::F32), (0, Dtype::I8), (4, Dtype::I8)] {
        let config = &shapes()[shape];
        let model = Arc::new(WaveNet::new(config, &stored_tensors(config, dtype), Isa::detect()).unwrap());
        let frames = random_frames(config, 5 * config.hop(), 3);
        let frame = |stream: usize| typed(config, &frames[stream * config.cond_len()..][..config.cond_len()]);
        let mut streams = Streams::new(model.clone(), 5, Sampling::default());
        let mut lone: [Option<(Stream<WaveNet>, Uniforms)>; 5] = Default::default();
        let mut events = Uniforms::new(9);
        let mut drawn = 0;
        for t in 0..400 {
            let stream = events.below(5) as usize;
            match events.below(12) {
                0 | 1 => {
                    streams.start(stream);
                    streams.condition(stream, &frame(stream));
                    let mut s = Stream::new(model.clone(), Sampling::default());
                    s.condition(&frame(stream));
                    lone[stream] = Some((s, Uniforms::keyed(t, stream as u64)));
                }
                2 => {
                    streams.end(stream);
                    lone[stream] = None;
                }
                _ => {}
            }
            let (mut uniforms, mut want, mut got) = ([0.0; 5], [999; 5], [999; 5]);
            for (i, lone) in lone.iter_mut().enumerate() {
                assert_eq!(streams.is_running(i), lone.is_some());
                if let Some((s, c)) = lone {
                    uniforms[i] = c.next_uniform();
                    want[i] = s.next(uniforms[i]);
                    drawn += 1;
                }
            }
            streams.next(&uniforms, &mut got);
            assert_eq!(got, want, "at {t}");
        }
        assert!(drawn > 600, "{drawn} symbols compare little");
    }
}

/// Every family as the program holds it: lockstep streams draw what lone generators draw, whoever else runs.
#[test]
fn every_family_draws_alike_in_company() {
    let families = ["wavenet", "char_rnn_lstm", "char_rnn_gru", "gpt"];
    for (family, dtype) in families.into_iter().flat_map(|family| Dtype::ALL.map(|d| (family, d))) {
        let path = golden_path(family);
        let mut file = Checkpoint::read(&path).unwrap();
        loaded::quantise(&mut file, dtype).unwrap();
        for isa in Isa::available() {
            let model = Loaded::from_checkpoint(file.clone(), isa).unwrap();
            let spec = model.config.facts().condition.as_ref();
            let values = |i| ConditionValues::filled(spec, 0.1 * i as f32);
            let mut streams = model.generators(7, Sampling::default());
            assert_eq!((streams.len(), streams.running()), (7, 0));
            let alone: Vec<Vec<u16>> = (0..7u64)
                .map(|i| {
                    let mut lone = model.generator(sampling(i));
                    let mut uniforms = Uniforms::keyed(3, i);
                    lone.condition(&values(i as usize).get());
                    (0..40 + i).map(|_| lone.next(uniforms.next_uniform())).collect()
                })
                .collect();
            let mut drawn = vec![Vec::<u16>::new(); 7];
            let mut dice: Vec<_> = (0..7).map(|i| Uniforms::keyed(3, i)).collect();
            let (mut uniforms, mut symbols) = ([0.0; 7], [0; 7]);
            for t in 0..60 {
                // Stream i says 40 + i symbols from the 2 i-th step on.
                for (i, ((drawn, dice), uniform)) in
                    drawn.iter().zip(&mut dice).zip(&mut uniforms).enumerate()
                {
                    if t == 2 * i {
                        streams.start(i);
                        streams.set_sampling(i, sampling(i as u64));
                        streams.condition(i, &values(i).get());
                    }
                    if drawn.len() == 40 + i {
                        streams.end(i);
                    }
                    if streams.is_running(i) {
                        *uniform = dice.next_uniform();
                    }
                }
                streams.next(&uniforms, &mut symbols);
                for (i, (drawn, symbol)) in drawn.iter_mut().zip(symbols).enumerate() {
                    if streams.is_running(i) {
                        drawn.push(symbol);
                    }
                }
            }
            assert!(drawn == alone, "{family} {dtype} {}", isa.name());
        }
    }
}

fn sampling(i: u64) -> Sampling {
    Sampling { temperature: 0.8 + 0.1 * i as f32, top_k: i as usize, ..Sampling::default() }
}
