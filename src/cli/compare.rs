//! `wavesynth compare`: text models side by side on one text.

use super::args::IsaArgs;
use super::output::{self, ForceArg, RULE, SVG};
use super::usage;
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use wavesynth::bench::plot;
use wavesynth::progress::Progress;
use wavesynth::text::compare::{CompareRow, Exposure, exposure, row};
use wavesynth::text::{self, TextModel};
use wavesynth_models::in_file::AtPath;
use wavesynth_models::loaded::Loaded;
use wavesynth_output::{Kind, kind};

/// Text models side by side on one text: loss, time, memory, reach, and exposure bias
#[derive(Debug, clap::Args)]
#[command(after_long_help = RULE)]
pub struct Args {
    /// Checkpoints, or `text` for the shipped one; all with the same symbols
    #[arg(value_name = "MODEL", required = true)]
    models: Vec<PathBuf>,
    /// The text, which none of them was trained on
    #[arg(short, long, value_name = "FILE")]
    text: PathBuf,
    /// An independent model that scores what each model writes by itself, and the text itself
    #[arg(long, value_name = "MODEL")]
    judge: Option<PathBuf>,
    /// Seed of what they write
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    isa: IsaArgs,
    /// Print everything as one JSON object on stdout
    #[arg(long)]
    json: bool,
    /// Write the tables as Markdown
    #[arg(long, value_name = "FILE.md")]
    table: Option<PathBuf>,
    /// Draw the judge's loss against the symbols since the prompt
    #[arg(long, value_name = "FILE.svg", requires = "judge")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArg,
}

#[derive(Debug, Serialize)]
struct Report {
    text_symbols: usize,
    rows: Vec<CompareRow>,
    /// The text's own first.
    exposure: Vec<Exposure>,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let mut plan = args.force.plan();
    args.models.iter().chain([&args.text]).chain(&args.judge).for_each(|file| plan.reads(file));
    plan.prints(if args.json { "--json" } else { "the tables" })?;
    let plot = args.plot.as_ref().map(|path| plan.writes("--plot", path, &SVG)).transpose()?;
    let markdown = args.table.as_ref().map(|path| plan.writes("--table", path, &TABLE)).transpose()?;
    let isa = args.isa.get()?;
    let open = |path: &PathBuf| {
        let (file, path) = super::args::read_checkpoint(Some(path))?;
        TextModel::from_loaded(Loaded::from_checkpoint(file, isa).at(&path)?)
            .with_context(|| path.display().to_string())
    };
    let name = args.text.display().to_string();
    let text = text::read(&args.text)?;
    let judge = args.judge.as_ref().map(open).transpose()?;
    let mut report = Report { text_symbols: 0, rows: Vec::new(), exposure: Vec::new() };
    let bar = Progress::new(args.models.len() as u64, "comparing {wide_bar} {pos}/{len} models");
    for path in &args.models {
        let model = open(path)?;
        model.model.check_room(rayon::current_num_threads())?;
        let symbols = model.tokenizer.encode(&text, &name)?;
        let called = title(path);
        if let Some(judge) = &judge {
            if judge.tokenizer.encode(&text, &name)? != symbols {
                usage!("--judge: its symbols are not those of {}", path.display());
            }
            if report.exposure.is_empty() {
                let truth = exposure("the text".into(), None, judge, &symbols, args.seed);
                report.exposure.push(truth.with_context(|| name.clone())?);
            }
            let own = exposure(called.clone(), Some(&model), judge, &symbols, args.seed);
            report.exposure.push(own.with_context(|| name.clone())?);
        }
        report.text_symbols = symbols.len();
        report.rows.push(row(called, &model, &symbols).with_context(|| name.clone())?);
        bar.inc(1);
    }
    bar.finish();
    if let Some(output) = plot {
        output.write(plot::exposure(&report.exposure)?.as_bytes())?;
    }
    if let Some(output) = markdown {
        output.write(format!("{}\n", tables(&report, true)).as_bytes())?;
    }
    if args.json { output::json(&report) } else { output::text(&tables(&report, false)) }
}

/// The tables, told by the head of their first.
const TABLE: Kind = output::table(|path| {
    output::has_head(path, "| model ") && kind::head(path).windows(13).any(|w| w == b"| nats/symbol")
});

/// The name of a run's folder, where a checkpoint has the name that the trainer gives it; else that of the file.
fn title(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match path.parent().and_then(Path::file_name) {
        Some(folder) if stem == "text" => folder.to_string_lossy().into_owned(),
        _ => stem,
    }
}

/// The tables, for a terminal or as Markdown.
fn tables(report: &Report, markdown: bool) -> String {
    let mut costs = vec![
        ["model", "family", "dtype", "parameters", "nats/symbol", "training, s", "state, KiB", "looks back"]
            .map(String::from)
            .to_vec(),
    ];
    if let Some(r) = report.rows.first() {
        costs[0].extend(r.costs.iter().map(|c| format!("ns after {}", c.behind)));
    }
    for r in &report.rows {
        let mut cells = vec![
            r.model.clone(),
            r.family.into(),
            r.dtype.clone(),
            r.parameters.to_string(),
            format!("{:.4}", r.nats_per_symbol),
            r.training_seconds.map_or("-".into(), |s| format!("{s:.0}")),
            format!("{:.1}", r.state_bytes as f64 / 1024.0),
            r.dependency.map_or("further".into(), |n| n.to_string()),
        ];
        cells.extend(r.costs.iter().map(|c| format!("{:.0}", c.ns_per_symbol)));
        costs.push(cells);
    }
    let mut text = table(&costs, markdown);
    let mut pasts: Vec<Vec<String>> = Vec::new();
    for r in &report.rows {
        if pasts.is_empty() {
            let head = r.pasts.iter().map(|p| p.symbols.to_string());
            pasts.push(["nats, past of".into()].into_iter().chain(head).chain(["all".into()]).collect());
        }
        let nats = r.pasts.iter().map(|p| p.nats_per_symbol).chain([r.whole_past_nats]);
        pasts.push([r.model.clone()].into_iter().chain(nats.map(|n| format!("{n:.3}"))).collect());
    }
    let _ = write!(text, "\n\n{}", table(&pasts, markdown));
    if let Some(first) = report.exposure.first() {
        let head = first.stretches.iter().map(|p| format!("to {}", p.symbols));
        let mut own: Vec<Vec<String>> = vec![["judge's nats".into()].into_iter().chain(head).collect()];
        for e in &report.exposure {
            let nats = e.stretches.iter().map(|p| format!("{:.3}", p.nats_per_symbol));
            own.push([e.model.clone()].into_iter().chain(nats).collect());
        }
        let _ = write!(text, "\n\n{}", table(&own, markdown));
    }
    text
}

/// Rows of cells, the first being the head.
fn table(rows: &[Vec<String>], markdown: bool) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |c: usize| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut lines = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        // Names to the left, numbers to the right.
        let pad = |(c, cell): (usize, &String)| match c {
            0 => format!("{cell:<w$}", w = widths[c]),
            _ => format!("{cell:>w$}", w = widths[c]),
        };
        let cells: Vec<_> = row.iter().enumerate().map(pad).collect();
        if markdown {
            lines.push(format!("| {} |", cells.join(" | ")));
            if i == 0 {
                lines.push(format!("|---|{}", "---:|".repeat(columns - 1)));
            }
        } else {
            lines.push(cells.join("  ").trim_end().to_string());
        }
    }
    lines.join("\n")
}
