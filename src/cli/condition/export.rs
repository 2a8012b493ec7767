//! `wavesynth condition export`.

use crate::cli::{args, usage};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use wavesynth::voice::VoiceSection;
use wavesynth_audio::cond::Condition;
use wavesynth_models::families::wavenet::names;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::weights::Checkpoint;

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Checkpoint [default: the shipped voice]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Speaker to write
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    name: Option<String>,
    /// Write every speaker, as NAME.bin into the folder given by -o
    #[arg(long)]
    all: bool,
    /// Condition file to write, or with --all a folder
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let (checkpoint, path) = args::read_checkpoint(args.model.as_deref())?;
    let section = VoiceSection::from_header(&checkpoint.header).at(&path)?;
    match &args.name {
        Some(name) => {
            let row = row(&section, name)?;
            super::write(&speaker(&checkpoint, &section, row, &path)?, &args.output)
        }
        None => {
            let folder = &args.output;
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            for (row, s) in section.speakers.iter().enumerate() {
                let condition = speaker(&checkpoint, &section, row, &path)?;
                super::write(&condition, &folder.join(format!("{}.bin", s.name)))?;
            }
            Ok(())
        }
    }
}

/// Row of the speaker called `name`.
fn row(section: &VoiceSection, name: &str) -> Result<usize> {
    let Some(row) = section.speakers.iter().position(|s| s.name == name) else {
        let names: Vec<&str> = section.speakers.iter().map(|s| s.name.as_str()).collect();
        usage!("{name}: no speaker of this voice; it knows {}", names.join(", "));
    };
    Ok(row)
}

fn speaker(checkpoint: &Checkpoint, section: &VoiceSection, row: usize, path: &Path) -> Result<Condition> {
    let table = checkpoint.tensors.get(names::SPEAKERS).filter(|t| t.shape.len() == 2);
    let table = table.with_context(|| format!("{}: this voice knows no speakers", path.display()))?;
    let values = table.data.chunks_exact(table.shape[1].max(1)).nth(row);
    let values =
        values.with_context(|| format!("{}: tensor {} has no row {row}", path.display(), names::SPEAKERS))?;
    Ok(section.condition(row, values))
}
