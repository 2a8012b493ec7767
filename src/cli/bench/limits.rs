//! `wavesynth bench limits`: how near each shape comes to this machine's limits, with every type of weights unless one is
//! asked for.

use super::{SubjectArgs, check_seconds};
use crate::cli::output::{self, ForceArg, RULE, SVG};
use anyhow::Result;
use std::fmt::Write as _;
use std::path::PathBuf;
use wavesynth::bench::{LimitRow, Limits, Machine, plot};
use wavesynth::progress::Progress;
use wavesynth_models::weights::Dtype;
use wavesynth_output::Kind;

/// The tables, told by their first.
const TABLE: Kind = output::table(|path| output::has_head(path, "| level | size, KiB | read, GB/s |"));

#[derive(Debug, clap::Args)]
#[command(after_long_help = RULE)]
pub struct Args {
    #[command(flatten)]
    subject: SubjectArgs,
    /// Seconds of sound to measure of each shape
    #[arg(short, long, value_name = "S", default_value_t = 3.0, allow_negative_numbers = true)]
    seconds: f64,
    /// Print machine, bounds and figures as a JSON object on stdout
    #[arg(long)]
    json: bool,
    /// Draw times real time against bytes of weights, under the roofline
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// Write the tables as Markdown
    #[arg(long, value_name = "FILE.md")]
    table: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArg,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    check_seconds(args.seconds)?;
    let mut plan = args.force.plan();
    args.subject.model.file().into_iter().for_each(|file| plan.reads(file));
    plan.prints(if args.json { "--json" } else { "the table" })?;
    let plot = args.plot.as_ref().map(|path| plan.writes("--plot", path, &SVG)).transpose()?;
    let table = args.table.as_ref().map(|path| plan.writes("--table", path, &TABLE)).transpose()?;
    let isa = args.subject.model.isa()?;
    let dtypes = args.subject.model.dtype().map_or(Dtype::ALL.to_vec(), |d| vec![d]);
    let subjects: Vec<_> =
        dtypes.into_iter().map(|d| args.subject.stored_as(Some(d))).collect::<Result<_>>()?;
    let mut limits = Limits::of(isa);
    let bar =
        Progress::new(subjects.iter().flatten().count() as u64, "measuring {wide_bar} {pos}/{len} shapes");
    for subject in subjects.iter().flatten() {
        limits.add(subject, isa, args.seconds);
        bar.inc(1);
    }
    bar.finish();
    if let Some(output) = plot {
        output.write(plot::limits(&limits)?.as_bytes())?;
    }
    if let Some(output) = table {
        let tables = format!("{}\n\n{}\n", machine_markdown(&limits.machine), markdown(&limits.rows));
        output.write(tables.as_bytes())?;
    }
    if args.json {
        return output::json(&limits);
    }
    output::text(&format!("{}\n{}", machine_text(&limits.machine), text(&limits.rows)))
}

fn machine_text(m: &Machine) -> String {
    let mut t = format!(
        "{}, {}: {:.1} G multiply-adds/s in f32, {:.1} in i8",
        m.cpu,
        m.isa,
        m.mul_adds_per_s / 1e9,
        m.byte_mul_adds_per_s / 1e9
    );
    for l in &m.levels {
        let size = l.bytes.map_or(String::new(), |b| format!(" ({} KiB)", b >> 10));
        let _ = write!(t, "; {}{size} {:.0} GB/s", l.name, l.bytes_per_s / 1e9);
    }
    if m.sizes_assumed {
        t.push_str("\nthe sizes of the caches are assumed: this system does not tell them");
    }
    t
}

fn text(rows: &[LimitRow]) -> String {
    let mut t = String::from(
        "shape             dtype  weights KiB  level   bound ns: compute      read  reached ns  x real time     bound  fraction",
    );
    for r in rows {
        let _ = write!(
            t,
            "\n{:<17} {:<6} {:>11.1}  {:<7} {:>17.0} {:>9.0} {:>11.0} {:>12.2} {:>9.2} {:>9.2}",
            r.shape,
            r.dtype,
            r.weight_bytes as f64 / 1024.0,
            r.level,
            r.bound.compute_ns,
            r.bound.read_ns,
            r.ns_per_symbol,
            r.times_real_time,
            r.bound_times_real_time,
            r.fraction
        );
    }
    t
}

fn machine_markdown(m: &Machine) -> String {
    let mut t = format!(
        "{}, {}{}:\n\n| level | size, KiB | read, GB/s |\n|---|---|---|",
        m.cpu,
        m.isa,
        if m.sizes_assumed { " (sizes of the caches assumed)" } else { "" }
    );
    for l in &m.levels {
        let size = l.bytes.map_or("-".into(), |b| format!("{}", b >> 10));
        let _ = write!(t, "\n| {} | {size} | {:.0} |", l.name, l.bytes_per_s / 1e9);
    }
    let _ = write!(
        t,
        "\n\nPeak: {:.1} G multiply-adds/s in f32, {:.1} in i8.",
        m.mul_adds_per_s / 1e9,
        m.byte_mul_adds_per_s / 1e9
    );
    t
}

fn markdown(rows: &[LimitRow]) -> String {
    let mut t = String::from(
        "| shape | weights | KiB | in | multiply-adds, µs | reading, µs | reached, µs | × real time | bound | fraction |\n\
         |---|---|---|---|---|---|---|---|---|---|",
    );
    for r in rows {
        let _ = write!(
            t,
            "\n| {} | {} | {:.0} | {} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} |",
            r.shape,
            r.dtype,
            r.weight_bytes as f64 / 1024.0,
            r.level,
            r.bound.compute_ns / 1e3,
            r.bound.read_ns / 1e3,
            r.ns_per_symbol / 1e3,
            r.times_real_time,
            r.bound_times_real_time,
            r.fraction
        );
    }
    t
}
