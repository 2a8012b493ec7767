//! Steps of the families that read symbols alone, at the sizes of the programs they are compared with.

use super::{TrainBenchOptions, TrainRow, TrainSubject, measure};
use crate::train::config::{Engine, Train};
use crate::train::device::Device;
use crate::train::objective_of;
use anyhow::{Result, ensure};
use wavesynth_models::ar::Uniforms;
use wavesynth_models::char_rnn::{self, Cell};
use wavesynth_models::gpt;
use wavesynth_models::objective::Window;
use wavesynth_models::zoo::FamilyConfig;

/// Characters of the tiny Shakespeare, which char-rnn and nanoGPT are trained on.
const CLASSES: usize = 65;

/// The names that [`SymbolShape::named`] knows.
pub const NAMED: [&str; 4] = ["lstm", "lstm-512", "gru", "gpt"];

/// A network and its steps.
#[derive(Debug, Clone, PartialEq)]
pub struct SymbolShape {
    /// The network's sizes.
    pub config: FamilyConfig,
    /// Windows of a step.
    pub batch: usize,
    /// Symbols of a window, all in the loss.
    pub window: usize,
}

impl SymbolShape {
    /// `lstm` and `gru`: char-rnn's defaults, 2 layers of 128 on 50 windows of 50 symbols; `lstm-512`: its larger
    /// example, 3 layers of 512 on 50 windows of 100. `gpt`: nanoGPT's settings for a CPU, 4 layers of 4 heads, 128
    /// wide, on 12 windows of 64, no biases, tied head.
    pub fn named(name: &str) -> Option<Self> {
        let (start, classes) = (0, CLASSES);
        let rnn = |cell, layers, hidden, window| Self {
            config: FamilyConfig::CharRnn(char_rnn::Config { classes, start, cell, hidden, layers }),
            batch: 50,
            window,
        };
        let (layers, heads, width, context) = (4, 4, 128, 64);
        match name {
            "lstm" => Some(rnn(Cell::Lstm, 2, 128, 50)),
            "lstm-512" => Some(rnn(Cell::Lstm, 3, 512, 100)),
            "gru" => Some(rnn(Cell::Gru, 2, 128, 50)),
            "gpt" => Some(Self {
                config: FamilyConfig::Gpt(gpt::Config {
                    classes,
                    start,
                    layers,
                    heads,
                    width,
                    context,
                    bias: false,
                    tied_head: true,
                }),
                batch: 12,
                window: context,
            }),
            _ => None,
        }
    }
}

/// Measures the steps of `shape`, called `name`, on windows of random symbols that each begin anew.
///
/// # Errors
/// A warm-up, which these families have none of; or as [`measure`].
pub fn named(name: &str, shape: &SymbolShape, options: &TrainBenchOptions) -> Result<TrainRow> {
    ensure!(options.max_warmup.unwrap_or(0) == 0, "{name} has no warm-up: leave it out, or give 0");
    let batch = options.batch.unwrap_or(shape.batch);
    let window = options.window.unwrap_or(shape.window);
    let engine = options.engine.unwrap_or(Engine::Fused);
    let objective = objective_of(&shape.config, engine, Device::Cpu, 0.0, |_| true)?;
    let symbols =
        |uniforms: &mut Uniforms| (0..window).map(|_| uniforms.below(CLASSES as u64) as u16).collect();
    let batches = |step| {
        let window = |i| {
            let mut uniforms = Uniforms::keyed(step, i);
            Window { inputs: symbols(&mut uniforms), targets: symbols(&mut uniforms), ..Window::default() }
        };
        (0..batch as u64).map(window).collect()
    };
    let subject = TrainSubject {
        name: name.into(),
        engine: format!("{engine:?}").to_lowercase(),
        objective: objective.as_ref(),
        batch: &batches,
        train: Train { batch: Some(batch), window, ..Train::default() },
        rows: (window, 0),
        recordings: 0,
    };
    measure(&subject, options.steps.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_those_of_the_programs_they_are_named_after() {
        let parameters = |name| SymbolShape::named(name).unwrap().config.layout().len();
        // char-rnn prints 240,321: two biases a gate and layer, of which one is redundant.
        assert_eq!(parameters("lstm"), 240_321 - 2 * 512);
        assert!(
            NAMED.iter().all(|n| SymbolShape::named(n).is_some())
                && SymbolShape::named("wavenet-30").is_none()
        );
        assert_eq!(parameters("gpt") - 64 * 128, 795_904);
    }
}
