//! How the cost of a sample grows with layers, channels, dilation, length and streams.

use super::machine::median;
use super::{Grain, Subject, exact_percentiles, measure, run, started};
use crate::progress::Progress;
use crate::synth::without_denormals;
use anyhow::Result;
use serde::Serialize;
use wavesynth_models::families::wavenet::Config;
use wavesynth_models::kernels::Isa;
use wavesynth_models::weights::Dtype;

/// Samples per block that the clock is read around.
const BLOCK: usize = 256;
/// Every point is measured this often, one after the other, so that a change of the machine's speed affects all of them.
const ROUNDS: usize = 5;

const LAYERS: [usize; 7] = [5, 10, 15, 20, 30, 40, 60];
const CHANNELS: [usize; 6] = [16, 32, 48, 64, 96, 128];
const LONGEST_CYCLE: usize = 10;
const STREAMS: [usize; 8] = [1, 2, 3, 4, 6, 8, 12, 16];

/// One point.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GrowthRow {
    /// What was varied: layers, channels (residual and gate), dilation (the largest), length (end, in s of sound) or
    /// streams (in lockstep).
    pub vary: String,
    /// Its value.
    pub value: f64,
    /// Instruction set of the engine.
    pub isa: String,
    /// Median time of a sample, in blocks of 256; of several streams, of one sample of one of them.
    pub ns_per_symbol: f64,
    /// Multiply-adds per sample.
    pub macs_per_symbol: usize,
    /// Bytes of weights read per step.
    pub weight_bytes: usize,
    /// Bytes of a stream's state.
    pub state_bytes: usize,
}

/// The shape that everything but the varied size is taken from: 20 layers of 32 channels whose dilations double up to
/// 512.
pub const BASE: &str = "deepvoice-small";

/// Measures every point, `seconds` of sound each, all streams together, and one stream of `longest` seconds.
///
/// # Errors
/// None with the shapes that are measured here.
pub fn growth(isa: Isa, seconds: f64, longest: f64) -> Result<Vec<GrowthRow>> {
    let named = |name: &str| Config::named(name).ok_or_else(|| anyhow::anyhow!("{name}: no such shape"));
    let base = named(BASE)?;
    let with = |layers: usize, cycle: usize| Config {
        dilations: (0..layers).map(|l| 1 << (l % cycle)).collect(),
        ..base.clone()
    };
    let mut points = Vec::new();
    for n in LAYERS {
        points.push(("layers", n as f64, with(n, LONGEST_CYCLE), 1));
    }
    for n in CHANNELS {
        let config = Config { residual_channels: n, gate_channels: n, ..base.clone() };
        points.push(("channels", n as f64, config, 1));
    }
    for cycle in 1..=LONGEST_CYCLE {
        points.push(("dilation", (1 << (cycle - 1)) as f64, with(base.dilations.len(), cycle), 1));
    }
    for n in STREAMS {
        points.push(("streams", n as f64, base.clone(), n));
    }
    let subjects = points
        .iter()
        .map(|(vary, _, config, _)| Subject::random(vary, config, Dtype::F32, isa))
        .collect::<Result<Vec<_>>>()?;
    let mut times = vec![Vec::new(); points.len()];
    let bar = Progress::new((ROUNDS * points.len()) as u64, "measuring {wide_bar} {percent} %");
    let mut rows = Vec::new();
    for round in 0..ROUNDS {
        for (i, (subject, (vary, value, _, streams))) in subjects.iter().zip(&points).enumerate() {
            let seconds = seconds / (ROUNDS * streams) as f64;
            let row = measure(subject, seconds, Grain::Block(BLOCK), *streams);
            bar.inc(1);
            times[i].push(row.ns_per_symbol.p50);
            if round == 0 {
                rows.push(GrowthRow {
                    vary: (*vary).into(),
                    value: *value,
                    isa: row.isa,
                    ns_per_symbol: 0.0,
                    macs_per_symbol: row.macs_per_symbol,
                    weight_bytes: row.weight_bytes,
                    state_bytes: row.state_bytes,
                });
            }
        }
    }
    bar.finish();
    for (row, times) in rows.iter_mut().zip(times) {
        row.ns_per_symbol = median(times.into_iter());
    }
    rows.extend(along_a_stream(&Subject::random("length", &base, Dtype::F32, isa)?, longest));
    Ok(rows)
}

/// One stream of `longest` seconds without a restart, its time per sample between 1, 2, 4, … s.
fn along_a_stream(subject: &Subject, longest: f64) -> Vec<GrowthRow> {
    let mut generators = started(subject, 1);
    let mut rows = Vec::new();
    let (mut from, mut to) = (0.0, longest.min(1.0));
    while from < longest {
        let symbols = ((to - from) * f64::from(subject.sample_rate)).ceil() as usize;
        let times = without_denormals(|| {
            run(generators.as_mut(), subject.model.config.facts(), symbols, Grain::Block(BLOCK)).per_symbol_ns
        });
        rows.push(GrowthRow {
            vary: "length".into(),
            value: to,
            isa: generators.isa().into(),
            ns_per_symbol: exact_percentiles(times).p50,
            macs_per_symbol: subject.macs_per_symbol,
            weight_bytes: generators.weight_bytes(),
            state_bytes: generators.state_bytes(),
        });
        from = to;
        to = (2.0 * to).min(longest);
    }
    rows
}
