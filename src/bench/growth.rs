//! How the cost of a sample grows with layers, channels, dilation and length.

use super::machine::median;
use super::{Grain, Subject, exact_percentiles, measure, run};
use crate::synth::without_denormals;
use anyhow::Result;
use serde::Serialize;
use wavesynth_models::ar::Sampling;
use wavesynth_models::kernels::Isa;
use wavesynth_models::wavenet::Config;
use wavesynth_models::weights::Dtype;

/// Samples per block that the clock is read around.
const BLOCK: usize = 256;
/// Every point is measured this often, one after the other, so that a change of the machine's pace meets all of them.
const ROUNDS: usize = 5;

const LAYERS: [usize; 7] = [5, 10, 15, 20, 30, 40, 60];
const CHANNELS: [usize; 6] = [16, 32, 48, 64, 96, 128];
const LONGEST_CYCLE: usize = 10;

/// One point.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GrowthRow {
    /// What was varied: layers, channels (residual and gate), dilation (the largest) or length (end, in s of sound).
    pub vary: String,
    /// Its value.
    pub value: f64,
    /// Instruction set of the engine.
    pub isa: String,
    /// Median time of a sample, in blocks of 256.
    pub ns_per_symbol: f64,
    /// Multiply-adds per sample.
    pub macs_per_symbol: usize,
    /// Bytes of weights read per sample.
    pub weight_bytes: usize,
    /// Bytes of a stream's state.
    pub state_bytes: usize,
}

/// The shape that everything but the varied size is taken from: 20 layers of 32 channels whose dilations double up to
/// 512.
pub const BASE: &str = "deepvoice-small";

/// Measures every point, `seconds` of sound each, and one stream of `longest` seconds.
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
        points.push(("layers", n as f64, with(n, LONGEST_CYCLE)));
    }
    for n in CHANNELS {
        let config = Config { residual_channels: n, gate_channels: n, ..base.clone() };
        points.push(("channels", n as f64, config));
    }
    for cycle in 1..=LONGEST_CYCLE {
        points.push(("dilation", (1 << (cycle - 1)) as f64, with(base.dilations.len(), cycle)));
    }
    let subjects = points
        .iter()
        .map(|(vary, _, config)| Subject::random(vary, config, Dtype::F32, isa))
        .collect::<Result<Vec<_>>>()?;
    let mut times = vec![Vec::new(); points.len()];
    let mut rows = Vec::new();
    for round in 0..ROUNDS {
        for (i, (subject, (vary, value, _))) in subjects.iter().zip(&points).enumerate() {
            let row = measure(subject, seconds / ROUNDS as f64, Grain::Block(BLOCK));
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
    for (row, times) in rows.iter_mut().zip(times) {
        row.ns_per_symbol = median(times.into_iter());
    }
    rows.extend(along_a_stream(&Subject::random("length", &base, Dtype::F32, isa)?, longest));
    Ok(rows)
}

/// One stream of `longest` seconds without a restart, its time per sample between 1, 2, 4, … s.
fn along_a_stream(subject: &Subject, longest: f64) -> Vec<GrowthRow> {
    let mut generator = subject.model.generator(Sampling::default());
    let mut rows = Vec::new();
    let (mut from, mut to) = (0.0, longest.min(1.0));
    while from < longest {
        let symbols = ((to - from) * f64::from(subject.sample_rate)).ceil() as usize;
        let times = without_denormals(|| {
            run(generator.as_mut(), subject.hop, symbols, Grain::Block(BLOCK)).per_symbol_ns
        });
        rows.push(GrowthRow {
            vary: "length".into(),
            value: to,
            isa: generator.isa().into(),
            ns_per_symbol: exact_percentiles(times).p50,
            macs_per_symbol: subject.macs_per_symbol,
            weight_bytes: generator.weight_bytes(),
            state_bytes: generator.state_bytes(),
        });
        from = to;
        to = (2.0 * to).min(longest);
    }
    rows
}
