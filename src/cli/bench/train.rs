//! `wavesynth bench train`: see [`wavesynth::bench::training`].

use super::super::{args, output, usage};
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::Path;
use wavesynth::bench::training::{TrainBenchOptions, TrainRow, named, run_file};
use wavesynth::train::config::Engine;
use wavesynth::train::device::Device;
use wavesynth::train::run_file::Run;
use wavesynth::train::units::bytes;
use wavesynth_models::families;
use wavesynth_models::family::{FamilyConfig, NamedShape};
use wavesynth_models::in_file::AtPath;

/// Measure training: samples per second, where the time goes, memory
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Named shape, `shipped`, or a run file (its network and windows, on random recordings)
    #[arg(long, value_name = "NAME|RUN.toml", default_value = "wavenet-30")]
    shape: String,
    /// Windows of a step [default: 4, the run file's, or as the shape was published]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Samples of a window in the loss [default: 8000, the run file's, or as the shape was published]
    #[arg(long, value_name = "SAMPLES")]
    window: Option<usize>,
    /// Samples at most that warm a window up [default: the receptive field, or the run file's]
    #[arg(long, value_name = "SAMPLES")]
    warmup: Option<usize>,
    /// Which code computes loss and gradient: fused or graph [default: fused, or the run file's]
    #[arg(long, value_name = "ENGINE")]
    engine: Option<String>,
    /// Where to compute, as for train: cpu, cpu-bf16 or cuda[:N]
    #[arg(long, value_name = "DEVICE", default_value_t = Device::Cpu)]
    device: Device,
    /// Steps to time
    #[arg(long, value_name = "N", default_value_t = 10)]
    steps: usize,
    /// Threads; 0 for all cores
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print the result as a JSON list on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let ranges = [
        ("--batch", args.batch, 1, 4096),
        ("--window", args.window, 16, 10_000_000),
        ("--warmup", args.warmup, 0, 10_000_000),
        ("--steps", Some(args.steps), 1, 1_000_000),
        ("--threads", Some(args.threads), 0, 1024),
    ];
    for (name, found, low, high) in ranges {
        if let Some(n) = found.filter(|n| !(low..=high).contains(n)) {
            usage!("{name} {n}: wanted {low} to {high}");
        }
    }
    let engine = match args.engine.as_deref() {
        None => None,
        Some("fused") => Some(Engine::Fused),
        Some("graph") => Some(Engine::Graph),
        Some(other) => usage!("--engine {other}: there are fused, graph"),
    };
    let options = TrainBenchOptions {
        batch: args.batch,
        window: args.window,
        max_warmup: args.warmup,
        engine,
        device: args.device,
        steps: args.steps,
    };
    let path = Path::new(&args.shape);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads).build()?;
    let row = if path.extension().is_some_and(|e| e == "toml") {
        let (Run::Voice(run), _) = Run::read(path)? else {
            usage!("--shape {}: the run file of a text; only voices are measured", args.shape);
        };
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        pool.install(|| run_file(&name, &run, &options))
    } else {
        let shape = shape(&args.shape)?;
        pool.install(|| named(&shape, &options))
    }?;
    if args.json { output::json(&[row]) } else { output::text(&table(&row)) }
}

fn shape(name: &str) -> Result<NamedShape<FamilyConfig>> {
    if name == "shipped" {
        let (checkpoint, path) = args::read_checkpoint(None)?;
        let config = FamilyConfig::from_header(&checkpoint.header).at(&path)?;
        return Ok(NamedShape { name: "shipped", config, batch: 4, window: 8000 });
    }
    let shapes: Vec<_> = families::ALL.iter().flat_map(|f| f.shapes()).collect();
    shapes.iter().find(|s| s.name == name).cloned().with_context(|| {
        let known = shapes.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
        format!("--shape {name}: no such shape; there are shipped, {known}, and run files (*.toml)")
    })
}

fn table(r: &TrainRow) -> String {
    let mut t = format!(
        "{}, {} engine on {}: {} parameters, {} threads, {} windows of {} samples, {} of them warm-up\n\
         {:.0} samples/s in the loss, {:.0} with warm-up; {:.4} s a step (median of {})\n\
         memory: {} announced",
        r.shape,
        r.engine,
        r.device,
        r.parameters,
        r.threads,
        r.windows,
        r.rows,
        r.warmup,
        r.samples_per_s,
        r.rows_per_s,
        r.step_seconds,
        r.steps,
        bytes(r.predicted_bytes)
    );
    if let Some(peak) = r.peak_bytes {
        let _ = write!(t, ", {} held at most", bytes(peak));
    }
    for p in &r.phases {
        let _ = write!(t, "\n{:<34} {:>8.2} ms {:>6.1} %", p.name, p.seconds * 1e3, p.share * 1e2);
    }
    t
}
