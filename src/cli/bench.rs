//! `wavesynth bench`: the engine on this machine.

use super::args::ModelArgs;
use super::{output, usage};
use anyhow::Result;
use clap::Subcommand;
use std::fmt::Write;
use wavesynth::bench::{Grain, Row, Subject, change_to_sound, measure};
use wavesynth_models::weights::Dtype;

/// Samples per block when throughput is measured.
const BLOCK: usize = 256;

/// Measure the engine on this machine
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Time of every single symbol, to the first sample, and from a changed condition to changed sound
    Latency(Common),
    /// Time per symbol in blocks, as rendering sees it
    Throughput(Common),
}

#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    model: ModelArgs,
    /// Named shape with random weights instead of a checkpoint, or `all`
    #[arg(long, value_name = "NAME", conflicts_with = "model")]
    shape: Option<String>,
    /// Seconds of sound to measure
    #[arg(short, long, value_name = "S", default_value_t = 3.0, allow_negative_numbers = true)]
    seconds: f64,
    /// Ring that the time from condition to sound is measured with, in ms
    #[arg(long, value_name = "MS", default_value_t = 60)]
    latency: u32,
    /// Print the result as a JSON list on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let (args, latency) = match args.what {
        What::Latency(a) => (a, true),
        What::Throughput(a) => (a, false),
    };
    if !(args.seconds > 0.0 && args.seconds <= 3600.0) {
        usage!("--seconds {}: wanted more than 0 and at most 3600", args.seconds);
    }
    if !(5..=2000).contains(&args.latency) {
        usage!("--latency {}: wanted 5 to 2000", args.latency);
    }
    let mut rows = Vec::new();
    for subject in subjects(&args)? {
        let grain = if latency { Grain::Symbol } else { Grain::Block(BLOCK) };
        let mut row = measure(&subject, args.seconds, grain);
        if let (true, Some(voice)) = (latency, &subject.voice) {
            row.latency_ms = args.latency;
            row.change_to_sound_ms = change_to_sound(voice, args.latency)?;
        }
        rows.push(row);
    }
    if args.json { output::json(&rows) } else { output::text(&table(&rows)) }
}

fn subjects(args: &Common) -> Result<Vec<Subject>> {
    let isa = args.model.isa()?;
    let dtype = args.model.dtype().unwrap_or(Dtype::F32);
    match args.shape.as_deref() {
        None | Some("shipped") => {
            let (checkpoint, path) = args.model.checkpoint()?;
            Ok(vec![Subject::new(args.model.name(), checkpoint, &path, isa)?])
        }
        Some("all") => {
            wavesynth_models::wavenet::Config::NAMED.iter().map(|n| Subject::named(n, dtype, isa)).collect()
        }
        Some(name) => Ok(vec![Subject::named(name, dtype, isa)?]),
    }
}

fn table(rows: &[Row]) -> String {
    let mut t = String::from(
        "shape             dtype  isa      ns/symbol:  p50      p99    p99.9       max  x real time  weights KiB  state KiB",
    );
    for r in rows {
        let p = &r.ns_per_symbol;
        let _ = write!(
            t,
            "\n{:<17} {:<6} {:<8} {:>15.0} {:>8.0} {:>8.0} {:>9.0} {:>12.2} {:>12.1} {:>10.1}",
            r.shape,
            r.dtype,
            r.isa,
            p.p50,
            p.p99,
            p.p999,
            p.max,
            r.times_real_time,
            r.weight_bytes as f64 / 1024.0,
            r.state_bytes as f64 / 1024.0
        );
    }
    for r in rows {
        let _ = write!(
            t,
            "\n{}: {} multiply-adds a symbol, {:.1} per ns; first sample after {:.1} ms",
            r.shape,
            r.macs_per_symbol,
            r.macs_per_symbol as f64 / r.ns_per_symbol_mean,
            r.first_sample_ms
        );
        if let Some(c) = &r.change_to_sound_ms {
            let _ = write!(
                t,
                "; condition to sound with a ring of {} ms: p50 {:.1} ms, max {:.1} ms",
                r.latency_ms, c.p50, c.max
            );
        }
    }
    t
}
