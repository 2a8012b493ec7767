//! `wavesynth bench shapes`: the shapes that `--shape all` measures, for other programs to measure the same.

use crate::cli::args::read_checkpoint;
use crate::cli::output;
use anyhow::Result;
use serde::Serialize;
use wavesynth::shipped;
use wavesynth::voice::wavenet_config;
use wavesynth_models::families::wavenet::Config;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::in_file::AtPath;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print names and configs as a JSON list on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shape {
    shape: String,
    config: Config,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let named = |name: &&str| Some(Shape { shape: (*name).into(), config: Config::named(name)? });
    let mut all: Vec<_> = Config::NAMED.iter().filter_map(named).collect();
    if shipped::model(shipped::VOICE).is_some() {
        let (checkpoint, path) = read_checkpoint(None)?;
        let config = FamilyConfig::from_header(&checkpoint.header).at(&path)?;
        let config = wavenet_config(&config).at(&path)?.clone();
        all.push(Shape { shape: "shipped".into(), config });
    }
    if args.json {
        return output::json(&all);
    }
    output::text(&all.iter().map(|s| s.shape.as_str()).collect::<Vec<_>>().join("\n"))
}
