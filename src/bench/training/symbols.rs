//! Steps of the families that read symbols alone, at the sizes of the programs they are compared with.

use super::{TrainBenchOptions, TrainRow, TrainSubject, measure};
use crate::train::config::{Engine, Train};
use crate::train::objective;
use anyhow::{Result, ensure};
use wavesynth_models::ar::Uniforms;
use wavesynth_models::family::{FamilyConfig, NamedShape};
use wavesynth_models::objective::Window;

/// Measures the steps of `shape` on windows of random symbols that each begin anew.
///
/// # Errors
/// A warm-up, which these families have none of; or as [`measure`].
pub(super) fn named(shape: &NamedShape<FamilyConfig>, options: &TrainBenchOptions) -> Result<TrainRow> {
    let name = shape.name;
    ensure!(options.max_warmup.unwrap_or(0) == 0, "{name} has no warm-up: leave it out, or give 0");
    let batch = options.batch.unwrap_or(shape.batch);
    let window = options.window.unwrap_or(shape.window);
    let engine = options.engine.unwrap_or(Engine::Fused);
    let objective = objective(&shape.config, engine, options.device, 0.0, &|_| true)?;
    let classes = shape.config.facts().likelihood.classes() as u64;
    let symbols = |uniforms: &mut Uniforms| (0..window).map(|_| uniforms.below(classes) as u16).collect();
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
        device: options.device,
        objective: objective.as_ref(),
        batch: &batches,
        train: Train { batch: Some(batch), window, ..Train::default() },
        rows: (window, 0),
        recordings: 0,
    };
    measure(&subject, options.steps.max(1))
}
