//! `wavesynth condition`: makes, shows and mixes condition files.

mod check;
#[cfg(feature = "train")]
mod enroll;
mod export;
mod mix;
mod show;
mod track;

use anyhow::{Result, bail};
use clap::Subcommand;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use wavesynth::lookup;
use wavesynth::recordings::Notes;
use wavesynth::shipped;
use wavesynth::voice::VoiceSection;
use wavesynth_audio::cond::Condition;
use wavesynth_audio::recording;
use wavesynth_output::{Output, name, say, shown};

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Learn a new speaker from recordings: the nearest speaker's vector, and what adapts the voice to the new one
    #[cfg(feature = "train")]
    Enroll(enroll::Args),
    /// Not in this build, which lacks the feature `train`: learn a new speaker
    #[cfg(not(feature = "train"))]
    Enroll(super::Lacking),
    /// Extract the feature track of a recording, for any speaker
    Track(track::Args),
    /// List what is wrong with recordings, before anything is learned from them
    Check(check::Args),
    /// Mix speaker vectors
    Mix(mix::Args),
    /// List the speakers and tracks embedded in the program
    List,
    /// Show what a condition file holds
    Info(show::Args),
    /// Write the speakers that a voice was trained on as condition files
    Export(export::Args),
}

/// What is done about recordings that can't be read.
#[derive(Debug, clap::Args)]
struct SkipBadArg {
    /// Leave recordings out that can't be read, and name them, where the first one is an error otherwise
    #[arg(long)]
    skip_bad: bool,
}

impl SkipBadArg {
    /// Those of `files` that can be read at `rate` Hz, the others noted; all of them unless some may be left out.
    ///
    /// # Errors
    /// None is left.
    fn readable(&self, files: Vec<PathBuf>, rate: u32, notes: &Notes) -> Result<Vec<PathBuf>> {
        if !self.skip_bad || files.is_empty() {
            return Ok(files);
        }
        // A pipe gives its sound once.
        let error = |path: &PathBuf| {
            path.is_file().then(|| recording::checked_samples_at(path, rate).err()).flatten()
        };
        let errors: Vec<_> = files.par_iter().map(error).collect();
        if let Some(Some(first)) = errors.first()
            && errors.iter().all(Option::is_some)
        {
            bail!("none of {} recordings can be read, the first one because of this: {first}", files.len());
        }
        errors.iter().flatten().for_each(|e| notes.left_out(e.to_string()));
        let files = files.into_iter().zip(&errors).filter(|(_, e)| e.is_none());
        Ok(files.map(|(path, _)| path).collect())
    }
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    match args.command {
        #[cfg(feature = "train")]
        Command::Enroll(a) => enroll::run(a),
        #[cfg(not(feature = "train"))]
        Command::Enroll(_) => super::lacks("condition enroll", "train"),
        Command::Track(a) => track::run(a),
        Command::Check(a) => check::run(a),
        Command::Mix(a) => mix::run(a),
        Command::List => list(),
        Command::Info(a) => show::run(a),
        Command::Export(a) => export::run(a),
    }
}

/// Every shipped condition: its name, and what it is.
fn list() -> Result<()> {
    let mut lines = Vec::new();
    for name in shipped::speakers().chain(shipped::tracks()) {
        let condition = lookup::condition(Path::new(name))?;
        lines.push(format!("{name:<16} {}", show::line(&condition)));
    }
    super::output::text(&lines.join("\n"))
}

/// Writes `condition` and prints a line about it, on stderr where the condition itself goes to stdout.
fn write(condition: &Condition, output: Output) -> Result<()> {
    let line = format!("{}: {}", shown::path(output.path()), show::line(condition));
    let is_stdout = output.is_stdout();
    condition.write_to(output)?;
    if is_stdout {
        say!("{line}");
        return Ok(());
    }
    super::output::text(&line)
}

/// The speaker's name as `--name` has it.
fn speaker_name(name: &str) -> Result<()> {
    match name::check(name) {
        Ok(()) => Ok(()),
        Err(e) => super::usage!("--name {name:?}: {e}; wanted a name that can be part of a file's name"),
    }
}

/// Prints a warning where a speaker could not be aligned with the voice's speakers, who are aligned with one another.
fn hint_at_alignment(condition: &Condition, section: &VoiceSection) {
    if section.common.is_some() && condition.stats.as_ref().is_some_and(|s| s.common.is_none()) {
        say!(
            "less than five seconds of speech: not aligned with the voice's speakers, so that a conversion from \
             this speaker sounds more like the source; name more recordings"
        );
    }
}

/// File names of recordings, for the field `source`: enough to recognise them, without folders.
fn file_names(paths: &[PathBuf]) -> String {
    let names: Vec<_> =
        paths.iter().filter_map(|p| p.file_name()).map(|n| name::nearest(&n.to_string_lossy())).collect();
    match &names[..] {
        [first, .., last] if names.len() > 3 => {
            format!("{} recordings, {first} to {last}", names.len())
        }
        _ => names.join(", "),
    }
}
