//! `wavesynth train`: see [`wavesynth::train`].

use super::output::RULE;
use super::{interrupt, together};
use anyhow::Result;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use wavesynth::ranks::Ranks;
use wavesynth::train;
use wavesynth_output::{say, shown};

/// The arguments.
#[derive(clap::Args)]
#[command(after_long_help = RULE)]
pub struct Args {
    /// Run file, in TOML; see examples/train
    #[arg(value_name = "RUN.toml")]
    run: PathBuf,
    /// Go on from where the run stopped
    #[arg(long)]
    resume: bool,
    /// Extend the run to so many steps in all
    #[arg(long, value_name = "STEPS", requires = "resume", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    steps: Option<u64>,
    /// Stop after so many steps, as Ctrl-C does
    #[arg(long, value_name = "STEPS")]
    stop_after: Option<u64>,
    /// Leave recordings out that can't be read, and name them, as with skip_bad = true in [corpus] or [say]
    #[arg(long)]
    skip_bad: bool,
    /// Where to compute: cpu; cpu-bf16, with operands of products rounded to bfloat16, where there is AMX; cuda[:N], an NVIDIA
    /// GPU, with the plain graph
    #[arg(long, value_name = "DEVICE", default_value_t = train::device::Device::Cpu)]
    device: train::device::Device,
}

const ASKED: &str =
    "stopping after this step; the checkpoint is written first, then the held-out part is read";
const HURRIED: &str = "the held-out part is left out; the checkpoint is written first";

/// Trains until the run is done or interrupted.
pub fn run(args: Args) -> Result<()> {
    together(|ranks| train(&args, ranks))
}

fn train(args: &Args, ranks: &Ranks) -> Result<()> {
    let alone = ranks.size() == 1;
    let stop = Arc::new(train::Stop::default());
    let hurried_by = Arc::new(AtomicI32::new(0));
    let (asked, by) = (stop.clone(), hurried_by.clone());
    interrupt::on_request(move |nth, signal| {
        match nth {
            1 if !asked.has_begun() => {
                if alone {
                    say!("error: interrupted before the first step");
                }
                interrupt::leave(signal);
            }
            1 => asked.ask(),
            _ => {
                by.store(signal, Ordering::SeqCst);
                asked.hurry(|| interrupt::leave(signal));
            }
        }
        // A launcher also sends this when another rank has died, and then there is no next checkpoint.
        if alone && nth <= 2 {
            say!("{}", if nth == 1 { ASKED } else { HURRIED });
        }
    })?;
    let options = train::TrainOptions {
        resume: args.resume,
        stop_after: args.stop_after,
        steps: args.steps,
        skip_bad: args.skip_bad,
        device: args.device,
    };
    let outcome = train::train(&args.run, &options, &stop, ranks)?;
    if !ranks.is_first() {
        return Ok(());
    }
    let verdict = if outcome.verdict.is_empty() { String::new() } else { format!(", {}", outcome.verdict) };
    say!("{}: step {} of {}{verdict}", outcome.voice.display(), outcome.step, outcome.steps);
    if outcome.step < outcome.steps {
        say!("continue with: wavesynth train {} --resume", shown::word(&args.run));
    } else if args.resume && outcome.taken == 0 {
        say!("it was at its end; --resume --steps N makes it longer");
    }
    if !outcome.is_evaluated && alone {
        interrupt::leave(hurried_by.load(Ordering::SeqCst));
    }
    Ok(())
}
