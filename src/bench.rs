//! How fast the program is on this machine: the engine per symbol, as a stream, and from a command to its sound; the
//! trainer per step.

mod allreduce;
mod change;
mod floor;
mod growth;
mod limits;
mod machine;
pub mod plot;
mod speech;
mod subject;
#[cfg(feature = "train")]
pub mod training;

pub use allreduce::{AllreduceRow, allreduce};
pub use change::change_to_sound;
pub use growth::{BASE, GrowthRow, growth};
pub use limits::{Bound, LimitRow, Limits};
pub use machine::{Level, Machine, read_rate};
pub use speech::{Speaker, SpeechRow, speech};
pub use subject::Subject;

use floor::clock_floor;

use crate::synth::{Percentiles, without_denormals};
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;
use wavesynth_models::ar::{Generators, Sampling, Uniforms};
use wavesynth_models::condition::ConditionValues;
use wavesynth_models::family::Facts;

/// Symbols generated before the clock starts: caches and branch predictors as in mid-stream.
const WARM_UP: usize = 4096;

/// Symbols after which batches of past taps come at the same positions again.
const BATCHES: usize = 8;

/// Times that each position must have been passed for a median.
const ROUNDS: usize = 20;

/// One line of a table of measurements.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineRow {
    /// The shape's name, or the checkpoint's file name.
    pub shape: String,
    /// The smallest type of weights in memory.
    pub dtype: String,
    /// Instruction set of the engine.
    pub isa: String,
    /// Streams in lockstep. All times per symbol are those of a step over its symbols: one of each stream.
    pub streams: usize,
    /// Time per symbol in ns, the frame-rate network's share included.
    pub ns_per_symbol: Percentiles,
    /// The same of register arithmetic as long as the median symbol, right afterwards: the time that this machine adds
    /// to any work of that length. `None` when blocks were timed.
    pub clock_floor_ns: Option<Percentiles>,
    /// The longest of the median times at each position in a frame, when symbols were timed: the engine's own extra work
    /// (a frame's change, batches) comes back at the same position, interruptions do not. `None` when blocks
    /// were timed, or too few frames.
    pub slowest_place_ns: Option<f64>,
    /// Mean time per symbol.
    pub ns_per_symbol_mean: f64,
    /// Seconds of sound made in a second, by all streams together.
    pub times_real_time: f64,
    /// Bytes of weights read per step, where one stream runs.
    pub weight_bytes: usize,
    /// Bytes of a stream's state.
    pub state_bytes: usize,
    /// Multiply-adds per symbol.
    pub macs_per_symbol: usize,
    /// Symbols measured, of all streams together.
    pub symbols: usize,
    /// Samples per second that `times_real_time` refers to.
    pub sample_rate: u32,
    /// From a checkpoint in memory to its first sample, in ms: check, pack, state, one step.
    pub first_sample_ms: f64,
    /// The ring that `change_to_sound_ms` was measured with, in ms.
    pub latency_ms: u32,
    /// From a changed condition to changed sound at the consumer, in ms; `None` for an unconditional model.
    pub change_to_sound_ms: Option<Percentiles>,
}

/// The unit of work that the clock is read around.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Grain {
    /// Every step, as a deadline counts. Reading the clock adds some 25 ns to each.
    Symbol,
    /// Blocks of this many symbols, as in rendering. A block counts as so many equal symbols.
    Block(usize),
}

/// Measures `streams` streams of `subject` in lockstep, `seconds` of sound of each.
pub fn measure(subject: &Subject, seconds: f64, grain: Grain, streams: usize) -> EngineRow {
    let steps = ((seconds * f64::from(subject.sample_rate)) as usize).max(1);
    let symbols = steps * streams;
    let mut generators = started(subject, streams);
    let times = without_denormals(|| run(generators.as_mut(), subject.model.config.facts(), steps, grain));
    let mean = times.total_ns / symbols as f64;
    let places = (grain == Grain::Symbol).then(|| slowest_place(&times.per_symbol_ns, subject.hop * BATCHES));
    let ns_per_symbol = exact_percentiles(times.per_symbol_ns);
    let floor = || exact_percentiles(clock_floor(ns_per_symbol.p50, symbols));
    EngineRow {
        clock_floor_ns: (grain == Grain::Symbol).then(floor),
        shape: subject.name.clone(),
        dtype: subject.model.dtype.name().into(),
        isa: generators.isa().into(),
        streams,
        ns_per_symbol,
        slowest_place_ns: places.flatten(),
        ns_per_symbol_mean: mean,
        times_real_time: 1e9 / (mean * f64::from(subject.sample_rate)),
        weight_bytes: generators.weight_bytes(),
        state_bytes: generators.state_bytes(),
        macs_per_symbol: subject.macs_per_symbol,
        symbols,
        sample_rate: subject.sample_rate,
        first_sample_ms: subject.first_sample_ms,
        latency_ms: 0,
        change_to_sound_ms: None,
    }
}

/// `streams` streams of `subject`, all at their beginning.
fn started(subject: &Subject, streams: usize) -> Box<dyn Generators> {
    let mut generators = subject.model.generators(streams, Sampling::default());
    (0..streams).for_each(|stream| generators.start(stream));
    generators
}

struct Times {
    per_symbol_ns: Vec<f32>,
    total_ns: f64,
}

/// `steps` steps of all streams, each of which has its own uniforms and its frames at samples of its own.
fn run(generators: &mut dyn Generators, facts: &Facts, steps: usize, grain: Grain) -> Times {
    let (streams, hop) = (generators.len(), facts.hop);
    let conditioned = facts.condition.is_some();
    // No two neighbours are equal: a frame that is held already costs nothing.
    let values = [0.1, -0.1].map(|x| ConditionValues::filled(facts.condition.as_ref(), x));
    let mut dice: Vec<_> = (0..streams).map(|stream| Uniforms::keyed(1, stream as u64)).collect();
    let likelihood = facts.likelihood;
    let (width, dims) = (likelihood.get().uniforms(), likelihood.dims());
    let (mut uniforms, mut symbols) = (vec![0.0; streams * width], vec![0; streams]);
    let mut vectors = vec![0.0; streams * dims];
    let mut position = 0;
    let mut next = |generators: &mut dyn Generators| {
        for (stream, (uniforms, dice)) in uniforms.chunks_exact_mut(width).zip(&mut dice).enumerate() {
            let position = position + stream * hop / streams;
            if conditioned && usize::is_multiple_of(position, hop) {
                let [now, after] = [0, 1].map(|i| values[(position / hop + i) % 2].get());
                generators.condition(stream, &now);
                generators.announce(stream, &after);
            }
            uniforms.fill_with(|| dice.next_uniform());
        }
        position += 1;
        match dims {
            0 => generators.next(&uniforms, &mut symbols),
            _ => generators.next_vectors(&uniforms, &mut vectors),
        }
        black_box((&symbols, &vectors));
    };
    (0..WARM_UP.div_ceil(streams)).for_each(|_| next(generators));
    let grain = match grain {
        Grain::Symbol => 1,
        Grain::Block(n) => n.div_ceil(streams).max(1),
    };
    let mut per_symbol_ns = Vec::with_capacity(steps / grain + 1);
    let mut left = steps;
    let start = Instant::now();
    while left > 0 {
        let n = grain.min(left);
        let start = Instant::now();
        (0..n).for_each(|_| next(generators));
        per_symbol_ns.push(start.elapsed().as_nanos() as f32 / (n * streams) as f32);
        left -= n;
    }
    Times { per_symbol_ns, total_ns: start.elapsed().as_nanos() as f64 }
}

/// The longest of the median times at each of `period` positions; `None` for less than [`ROUNDS`] rounds.
fn slowest_place(ns: &[f32], period: usize) -> Option<f64> {
    if ns.len() < ROUNDS * period {
        return None;
    }
    let median = |place| exact_percentiles(ns.iter().skip(place).step_by(period).copied().collect()).p50;
    (0..period).map(median).reduce(f64::max)
}

fn exact_percentiles(mut ns: Vec<f32>) -> Percentiles {
    ns.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| {
        let i = ((share * ns.len() as f64).ceil() as usize).clamp(1, ns.len());
        f64::from(ns[i - 1])
    };
    Percentiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_at_a_place_is_told_from_what_does_not() {
        let mut ns: Vec<f32> = (0..800).map(|i| if i % 8 == 3 { 12.0 } else { 10.0 }).collect();
        (0..800).step_by(97).for_each(|i| ns[i] = 1000.0);
        assert_eq!(slowest_place(&ns, 8), Some(12.0));
        assert_eq!(slowest_place(&ns[..100], 8), None);
    }

    #[test]
    fn percentiles_are_nearest_ranks() {
        let p = exact_percentiles((1..=1000).rev().map(|v| v as f32).collect());
        assert_eq!(p, Percentiles { p50: 500.0, p99: 990.0, p999: 999.0, max: 1000.0 });
        assert_eq!(exact_percentiles(vec![7.0]).p50, 7.0);
    }
}
