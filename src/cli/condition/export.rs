//! `wavesynth condition export`.

use crate::cli::output::{ForceArg, RULE};
use crate::cli::{args, usage};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use wavesynth::voice::VoiceSection;
use wavesynth_audio::cond::{self, Condition};
use wavesynth_models::families::wavenet::names;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::weights::Checkpoint;
use wavesynth_output::name;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_long_help = RULE)]
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
    #[command(flatten)]
    force: ForceArg,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let mut plan = args.force.plan();
    args.model.iter().for_each(|model| plan.reads(model));
    let (checkpoint, path) = args::read_checkpoint(args.model.as_deref())?;
    let section = VoiceSection::from_header(&checkpoint.header).at(&path)?;
    match &args.name {
        Some(name) => {
            let row = row(&section, name)?;
            let output = plan.writes("-o", &args.output, &cond::SPEAKER)?;
            super::write(&speaker(&checkpoint, &section, row, &path)?, output)
        }
        None => {
            let folder = &args.output;
            plan.folder("-o", folder)?;
            let names = section.speakers.iter().map(|s| s.name.as_str());
            if let Some((a, b)) = name::clash(names.clone()) {
                bail!(
                    "{}: the speakers {a} and {b} would fall on one file; export them one by one",
                    path.display()
                );
            }
            let outputs = names.map(|name| {
                plan.writes(&format!("speaker {name}"), &folder.join(format!("{name}.bin")), &cond::SPEAKER)
            });
            let outputs: Vec<_> = outputs.collect::<Result<_, _>>()?;
            for (row, output) in outputs.into_iter().enumerate() {
                super::write(&speaker(&checkpoint, &section, row, &path)?, output)?;
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
