//! Text models side by side: loss, time of a symbol, how far back they look, and exposure bias (their loss on symbols of
//! their own).

use super::TextModel;
use crate::synth::without_denormals;
use anyhow::{Result, ensure};
use rayon::prelude::*;
use serde::Serialize;
use std::time::Instant;
use wavesynth_models::ar::{Sampling, Symbol, Uniforms};
use wavesynth_models::weights::TensorSpec;

/// Pasts that [`reach`] tries, in symbols.
const PASTS: [usize; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/// A past is long enough where it costs no more nats than this.
const ENOUGH: f64 = 0.01;

/// Symbols that a loss with a cut past is a mean over.
const PROBES: usize = 1000;

/// Symbols behind which the time of a symbol is measured, and how many are timed there.
const LENGTHS: [usize; 3] = [16, 1024, 16_384];
const TIMED: usize = 512;

/// One model's line.
#[derive(Debug, Clone, Serialize)]
pub struct CompareRow {
    /// The checkpoint's name.
    pub model: String,
    /// Its family.
    pub family: &'static str,
    /// The smallest type of its weights in memory.
    pub dtype: String,
    /// Values in its tensors.
    pub parameters: usize,
    /// Exact nats per symbol over the whole text, read in one go.
    pub nats_per_symbol: f64,
    /// Seconds that its training took, as its checkpoint says.
    pub training_seconds: Option<f64>,
    /// Time of a symbol behind so many others.
    pub costs: Vec<Cost>,
    /// Bytes of a stream's state, at any length.
    pub state_bytes: usize,
    /// Bytes of packed weights.
    pub weight_bytes: usize,
    /// The loss where only so many symbols before each are known.
    pub pasts: Vec<NatsByPast>,
    /// The loss at the same symbols with all before them known.
    pub whole_past_nats: f64,
    /// The shortest of [`CompareRow::pasts`] that costs at most 0.01 nats; none if each costs more.
    pub dependency: Option<usize>,
}

/// Time of a symbol in a stream.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cost {
    /// Symbols before.
    pub behind: usize,
    /// Mean time of the 512 that follow.
    pub ns_per_symbol: f64,
}

/// The loss with a cut past.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct NatsByPast {
    /// Symbols that are known.
    pub symbols: usize,
    /// Nats per symbol.
    pub nats_per_symbol: f64,
}

/// Everything about `model`, called `name`, on `text`.
///
/// # Errors
/// A text shorter than the longest past.
pub fn row(name: String, model: &TextModel, text: &[Symbol]) -> Result<CompareRow> {
    let nats = without_denormals(|| model.score(text));
    let (pasts, whole_past_nats) = reach(model, text, &nats)?;
    let stream = model.model.generator(Sampling::default());
    let training = model.model.header.sections.get("training");
    let enough = |p: &&NatsByPast| p.nats_per_symbol <= whole_past_nats + ENOUGH;
    Ok(CompareRow {
        model: name,
        family: model.model.config.family(),
        dtype: model.model.dtype.name().into(),
        parameters: model.model.config.table().iter().map(TensorSpec::len).sum(),
        nats_per_symbol: mean(&nats),
        training_seconds: training.and_then(|t| t.get("seconds")?.as_f64()),
        costs: without_denormals(|| costs(model)),
        state_bytes: stream.state_bytes(),
        weight_bytes: stream.weight_bytes(),
        dependency: pasts.iter().find(enough).map(|p| p.symbols),
        pasts,
        whole_past_nats,
    })
}

fn mean(nats: &[f32]) -> f64 {
    nats.iter().map(|&n| f64::from(n)).sum::<f64>() / nats.len().max(1) as f64
}

/// The time of drawn symbols along one stream.
fn costs(model: &TextModel) -> Vec<Cost> {
    let (mut stream, mut uniforms) = (model.model.generator(Sampling::default()), Uniforms::new(1));
    // Symbols drawn.
    let mut behind = 0;
    let mut draw = |n: usize| {
        for _ in 0..n {
            stream.next(uniforms.next_uniform());
        }
    };
    LENGTHS
        .iter()
        .map(|&length| {
            draw(length.saturating_sub(behind));
            let began = Instant::now();
            draw(TIMED);
            behind = length + TIMED;
            let ns_per_symbol = began.elapsed().as_nanos() as f64 / TIMED as f64;
            Cost { behind: length, ns_per_symbol }
        })
        .collect()
}

/// The loss at symbols spread over `text`, each predicted from the last few before it alone; and from all of them, of
/// which `nats` are the losses.
fn reach(model: &TextModel, text: &[Symbol], nats: &[f32]) -> Result<(Vec<NatsByPast>, f64)> {
    let longest = PASTS[PASTS.len() - 1];
    ensure!(text.len() > longest, "the text has {} symbols, wanted more than {longest}", text.len());
    let count = PROBES.min(text.len() - longest);
    let probes: Vec<usize> = (0..count).map(|i| longest + i * (text.len() - longest) / count).collect();
    let pasts = PASTS
        .par_iter()
        .map(|&symbols| {
            let mut stream = model.model.generator(Sampling::default());
            let cut = |&at: &usize| {
                // Nothing stands before the first symbol that is known.
                stream.reset_after(text[at - symbols].into());
                for &x in &text[at - symbols + 1..at] {
                    stream.score(x.into());
                }
                stream.score(text[at].into())
            };
            let nats: Vec<f32> = without_denormals(|| probes.iter().map(cut).collect());
            NatsByPast { symbols, nats_per_symbol: mean(&nats) }
        })
        .collect();
    Ok((pasts, mean(&probes.iter().map(|&at| nats[at]).collect::<Vec<_>>())))
}

/// Symbols of the text that a free-running stream goes on from.
const PROMPT: usize = 64;

/// Free-running symbols of a stream, and how many streams there are.
const FREE: usize = 1024;
const STREAMS: usize = 200;

/// A judge's loss of a text, by the symbols since it left the truth.
#[derive(Debug, Clone, Serialize)]
pub struct Exposure {
    /// The model that wrote it.
    pub model: String,
    /// The judge's nats per symbol in stretches: up to so many symbols from the prompt.
    pub stretches: Vec<NatsByPast>,
}

/// The judge's loss of what `model`, called `name`, writes on by itself (temperature 1) from prompts spread over `text`;
/// without a model, of the text itself. Each stretch goes twice as far as the one before it.
///
/// # Errors
/// A text that is too short.
pub fn exposure(
    name: String,
    model: Option<&TextModel>,
    judge: &TextModel,
    text: &[Symbol],
    seed: u64,
) -> Result<Exposure> {
    let all = PROMPT + FREE;
    ensure!(text.len() > all, "the text has {} symbols, wanted more than {all}", text.len());
    let streams: Vec<Vec<f32>> = (0..STREAMS)
        .into_par_iter()
        .map(|i| {
            let from = i * (text.len() - all) / STREAMS;
            let mut read = text[from..from + all].to_vec();
            without_denormals(|| {
                if let Some(model) = model {
                    let mut uniforms = Uniforms::keyed(seed, i as u64);
                    let mut stream = model.model.generator(Sampling::default());
                    for &x in &read[..PROMPT] {
                        stream.score(x.into());
                    }
                    for x in &mut read[PROMPT..] {
                        *x = stream.next(uniforms.next_uniform());
                    }
                }
                judge.score(&read)[PROMPT..].to_vec()
            })
        })
        .collect();
    let (mut stretches, mut from, mut to) = (Vec::new(), 0, 16);
    while from < FREE {
        let nats: Vec<f32> = streams.iter().flat_map(|n| n[from..to].iter().copied()).collect();
        stretches.push(NatsByPast { symbols: to, nats_per_symbol: mean(&nats) });
        (from, to) = (to, 2 * to);
    }
    Ok(Exposure { model: name, stretches })
}
