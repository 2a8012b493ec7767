//! `wavesynth bench growth`: how the cost of a sample grows.

use super::check_seconds;
use crate::cli::args::IsaArgs;
use crate::cli::output::{self, ForceArg, RULE, SVG};
use crate::cli::usage;
use anyhow::Result;
use std::fmt::Write as _;
use std::path::PathBuf;
use wavesynth::bench::{BASE, GrowthRow, growth, plot};
use wavesynth_output::Kind;

/// The table, told by its head.
const TABLE: Kind = output::table(|path| output::has_head(path, "|   varied |"));

#[derive(Debug, clap::Args)]
#[command(after_long_help = RULE)]
pub struct Args {
    #[command(flatten)]
    isa: IsaArgs,
    /// Seconds of sound to measure at each point
    #[arg(short, long, value_name = "S", default_value_t = 1.0, allow_negative_numbers = true)]
    seconds: f64,
    /// Seconds of the stream along which the cost is followed
    #[arg(long, value_name = "S", default_value_t = 60.0, allow_negative_numbers = true)]
    longest: f64,
    /// Print the points as a JSON list on stdout
    #[arg(long)]
    json: bool,
    /// Draw time per sample against layers, channels, dilation, length and streams
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Write the table as Markdown
    #[arg(long, value_name = "FILE.md")]
    table: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArg,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    check_seconds(args.seconds)?;
    if !(args.longest > 0.0 && args.longest <= 3600.0) {
        usage!("--longest {}: wanted more than 0 and at most 3600", args.longest);
    }
    let mut plan = args.force.plan();
    plan.prints(if args.json { "--json" } else { "the table" })?;
    let plot = args.plot.as_ref().map(|path| plan.writes("--plot", path, &SVG)).transpose()?;
    let markdown = args.table.as_ref().map(|path| plan.writes("--table", path, &TABLE)).transpose()?;
    let rows = growth(args.isa.get()?, args.seconds, args.longest)?;
    if let Some(output) = plot {
        output.write(plot::growth(&rows)?.as_bytes())?;
    }
    if let Some(output) = markdown {
        let table = table(&rows, "| ", " | ", " |", "\n|---|---|---|---|---|---|---|");
        output.write(format!("{table}\n").as_bytes())?;
    }
    if args.json {
        return output::json(&rows);
    }
    let text = table(&rows, "", "  ", "", "");
    output::text(&format!("{BASE}, one size varied at a time\n{text}"))
}

fn table(rows: &[GrowthRow], open: &str, between: &str, close: &str, rule: &str) -> String {
    let line = |cells: [String; 7]| format!("{open}{}{close}", cells.join(between));
    let head = [
        "varied",
        "value",
        "µs per sample",
        "multiply-adds per ns",
        "multiply-adds",
        "weights, KiB",
        "state, KiB",
    ];
    let widths = [8, 7, 13, 20, 13, 12, 10];
    let pad = |i: usize, s: &str| format!("{s:>w$}", w = widths[i]);
    let mut t = line(std::array::from_fn(|i| pad(i, head[i])));
    t.push_str(rule);
    for r in rows {
        let cells = [
            r.vary.clone(),
            format!("{}", r.value),
            format!("{:.2}", r.ns_per_symbol / 1e3),
            format!("{:.1}", r.macs_per_symbol as f64 / r.ns_per_symbol),
            format!("{}", r.macs_per_symbol),
            format!("{:.0}", r.weight_bytes as f64 / 1024.0),
            format!("{:.0}", r.state_bytes as f64 / 1024.0),
        ];
        let _ = write!(t, "\n{}", line(std::array::from_fn(|i| pad(i, &cells[i]))));
    }
    t
}
