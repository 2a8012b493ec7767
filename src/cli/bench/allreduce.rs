//! `wavesynth bench allreduce`: the cost of a step's communication between ranks.

use crate::cli::{output, together, usage};
use anyhow::Result;
use std::fmt::Write;
use wavesynth::bench::{AllreduceRow, allreduce};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Numbers in the gradient
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000, 1_000_000, 10_000_000])]
    values: Vec<usize>,
    /// Print the result as a JSON list on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    if let Some(n) = args.values.iter().find(|n| !(1..=1_000_000_000).contains(*n)) {
        usage!("--values {n}: wanted 1 to 1000000000");
    }
    together(|ranks| {
        if ranks.size() == 1 {
            usage!("bench allreduce: one process has nothing to sum with; start it with mpirun -n 2");
        }
        let rows: Vec<AllreduceRow> = args.values.iter().map(|n| allreduce(ranks, *n)).collect();
        match (ranks.is_first(), args.json) {
            (false, _) => Ok(()),
            (true, true) => output::json(&rows),
            (true, false) => output::text(&table(&rows)),
        }
    })
}

fn table(rows: &[AllreduceRow]) -> String {
    let mut t = String::from("ranks     values    sums      p50 µs     MB/s");
    for r in rows {
        let _ = write!(
            t,
            "\n{:>5} {:>10} {:>7} {:>11.1} {:>8.0}",
            r.ranks,
            r.values,
            r.sums,
            r.p50_us,
            r.bytes_per_s / 1e6
        );
    }
    t
}
