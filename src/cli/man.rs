//! `wavesynth man`: the help of every command as man pages.

use super::Cli;
use super::output::{ForceArg, RULE};
use anyhow::Result;
use clap::CommandFactory;
use clap_mangen::Man;
use std::path::PathBuf;
use wavesynth_output::{Kind, kind};

/// Pages, told from other texts by what the library that makes them begins with.
const PAGE: Kind = Kind {
    name: "a man page of such a program",
    endings: &["1"],
    is_text: true,
    is: |p| kind::begins(p, b".ie \\n(.g .ds Aq"),
};

/// Write man pages, one for each command
#[derive(Debug, clap::Args)]
#[command(after_long_help = RULE)]
pub struct Args {
    /// Folder to write into
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    force: ForceArg,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let mut plan = args.force.plan();
    plan.folder("man", &args.folder)?;
    let mut all = Cli::command().disable_help_subcommand(true);
    all.build();
    let mut pages = Vec::new();
    collect(all, &mut pages);
    let outputs: Vec<_> = (pages.iter())
        .map(|page| plan.writes("man", &args.folder.join(page.get_filename()), &PAGE))
        .collect::<Result<_, _>>()?;
    for (page, output) in pages.iter().zip(outputs) {
        let mut text = Vec::new();
        page.render(&mut text)?;
        output.write(&text)?;
    }
    Ok(())
}

fn collect(command: clap::Command, pages: &mut Vec<Man>) {
    for sub in command.get_subcommands().filter(|s| !s.is_hide_set()) {
        collect(sub.clone(), pages);
    }
    pages.push(Man::new(command));
}
