//! `wavesynth bench latency` and `throughput`: the two differ in what the clock is read around.

use super::{SubjectArgs, check_seconds};
use crate::cli::{output, usage};
use anyhow::Result;
use std::fmt::Write;
use wavesynth::bench::{EngineRow, Grain, change_to_sound, measure};
use wavesynth::progress::Progress;

const MAX_STREAMS: usize = 256;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    subject: SubjectArgs,
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

#[derive(Debug, clap::Args)]
pub struct ThroughputArgs {
    #[command(flatten)]
    args: Args,
    /// Streams in lockstep, each as long as --seconds says
    #[arg(long, value_name = "N", default_value_t = 1)]
    streams: usize,
}

impl ThroughputArgs {
    /// Runs the command with the clock read at `grain`.
    pub fn run(self, grain: Grain) -> Result<()> {
        if !(1..=MAX_STREAMS).contains(&self.streams) {
            usage!("--streams {}: wanted 1 to {MAX_STREAMS}", self.streams);
        }
        run(self.args, grain, self.streams)
    }
}

/// Runs the command with the clock read at `grain`.
pub fn run(args: Args, grain: Grain, streams: usize) -> Result<()> {
    check_seconds(args.seconds)?;
    if !(5..=2000).contains(&args.latency) {
        usage!("--latency {}: wanted 5 to 2000", args.latency);
    }
    let mut rows = Vec::new();
    let subjects = args.subject.get()?;
    let bar = Progress::new(subjects.len() as u64, "measuring {wide_bar} {pos}/{len} shapes");
    for subject in subjects {
        let mut row = measure(&subject, args.seconds, grain, streams);
        if let (Grain::Symbol, Some(voice)) = (grain, &subject.voice) {
            row.latency_ms = args.latency;
            row.change_to_sound_ms = change_to_sound(voice, args.latency)?;
        }
        rows.push(row);
        bar.inc(1);
    }
    bar.finish();
    if args.json { output::json(&rows) } else { output::text(&table(&rows)) }
}

fn table(rows: &[EngineRow]) -> String {
    let mut t = String::from(
        "shape             dtype  isa     streams  ns/symbol:  p50      p99    p99.9       max  x real time  weights KiB  state KiB",
    );
    for r in rows {
        let p = &r.ns_per_symbol;
        let _ = write!(
            t,
            "\n{:<17} {:<6} {:<7} {:>7} {:>16.0} {:>8.0} {:>8.0} {:>9.0} {:>12.2} {:>12.1} {:>10.1}",
            r.shape,
            r.dtype,
            r.isa,
            r.streams,
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
        if let Some(ns) = r.slowest_place_ns {
            let _ = write!(
                t,
                "; slowest place of a frame: median {ns:.0} ns, {:.2} times p50",
                ns / r.ns_per_symbol.p50
            );
        }
        if let Some(f) = &r.clock_floor_ns {
            let _ = write!(
                t,
                "; clock floor (no memory, as long as p50): p50 {:.0}, p99 {:.0}, p99.9 {:.0}, max {:.0} ns",
                f.p50, f.p99, f.p999, f.max
            );
        }
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
