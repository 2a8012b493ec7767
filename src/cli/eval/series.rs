//! `wavesynth eval` for a series model: the density of every row.

use super::{Args, finite};
use crate::cli::{npy, output, usage};
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::path::{Path, PathBuf};
use wavesynth::progress::Progress;
use wavesynth::series::{Sequences, SeriesModel};
use wavesynth::synth::without_denormals;
use wavesynth_models::loaded::Loaded;
use wavesynth_output::Output;

/// Densities have a unit: that of the data, and that of columns of deviation 1, which the trainer prints.
#[derive(Debug, Serialize)]
struct Score {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "output::path")]
    input: Option<PathBuf>,
    rows: usize,
    nats_per_row: f64,
    nats_per_normalised_row: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    inputs: Vec<Score>,
    #[serde(flatten)]
    total: Score,
}

/// Runs the command for a series model.
pub fn run(args: &Args, model: Loaded, path: &Path, per_symbol: Option<Output>) -> Result<()> {
    if args.condition.is_given() {
        usage!("{}: a series model takes no condition", path.display());
    }
    if args.surprise {
        usage!("--surprise: {} is no text model", path.display());
    }
    let model = SeriesModel::from_loaded(model).with_context(|| path.display().to_string())?;
    let log_scale = model.section.columns().log_scale();
    let score = |input, nats: &[f32]| {
        let rows = nats.len();
        let normalised = nats.iter().map(|&n| f64::from(n)).sum::<f64>() / rows.max(1) as f64;
        Score { input, rows, nats_per_row: normalised + log_scale, nats_per_normalised_row: normalised }
    };
    let bar = Progress::new(args.inputs.len() as u64, "{wide_bar} {pos}/{len} inputs");
    let (mut all, mut inputs) = (Vec::new(), Vec::new());
    for input in &args.inputs {
        let Sequences { all: mut sequences, dims } = Sequences::read(input)?;
        let wanted = model.dims();
        ensure!(dims == wanted, "{}: rows of {dims} numbers, the model wants {wanted}", input.display());
        let from = all.len();
        for sequence in &mut sequences {
            model.section.columns().normalise(sequence);
            all.extend(finite(without_denormals(|| model.score(sequence)), input)?);
        }
        inputs.push(score(Some(input.clone()), &all[from..]));
        bar.inc(1);
    }
    bar.finish();
    if let Some(output) = per_symbol {
        let scaled = all.iter().map(|&n| (f64::from(n) + log_scale) as f32);
        npy::write::<f32>(output, &[all.len() as u64], |push| Ok(scaled.into_iter().try_for_each(push)?))?;
    }
    let report = Report { inputs, total: score(None, &all) };
    if args.json { output::json(&report) } else { output::text(&table(&report)) }
}

fn table(report: &Report) -> String {
    let total = (report.inputs.len() > 1).then_some(&report.total);
    let mut t = String::from("      rows  nats/row  of normalised rows  input");
    for s in report.inputs.iter().chain(total) {
        let name = output::input_name(s.input.as_deref(), "in total");
        t += &format!(
            "\n{:>10}  {:>8.4}  {:>18.4}  {name}",
            s.rows, s.nats_per_row, s.nats_per_normalised_row
        );
    }
    t
}
