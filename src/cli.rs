//! The command line: arguments to settings, and one line on stderr for an error.

mod args;
mod bench;
mod compare;
mod condition;
mod convert;
mod copy;
#[cfg(feature = "device")]
mod devices;
mod eval;
mod info;
mod input;
mod interrupt;
mod logits;
mod npy;
mod output;
#[cfg(feature = "device")]
mod play;
mod render;
mod sample;
#[cfg(feature = "train")]
mod train;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;
use wavesynth::ranks::Ranks;

/// A neural synthesizer: learns from recordings and generates sound sample by sample in real time; learns texts, too.
#[derive(Parser)]
#[command(name = "wavesynth", version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play a voice through a sound device
    #[cfg(feature = "device")]
    Play(play::Args),
    /// Render a voice into a WAV file or a pipe
    Render(render::Args),
    /// Write text on from a prompt, with a text model
    Sample(sample::Args),
    /// Make, show and mix condition files: speaker vectors and feature tracks
    Condition(condition::Args),
    /// Learn a voice from a folder of recordings, or a text model from a text file
    #[cfg(feature = "train")]
    Train(train::Args),
    /// Exact nats and bits per symbol of recordings under a voice, or of texts under a text model
    Eval(eval::Args),
    /// Copy-synthesis: render recordings from their own tracks, and measure how near the copies come
    Copy(copy::Args),
    /// Text models side by side on one text: loss, time, memory, reach, and exposure bias
    Compare(compare::Args),
    /// The logits of every next symbol, as an array
    Logits(logits::Args),
    /// Measure engine and trainer on this machine
    Bench(bench::Args),
    /// Write a checkpoint with another type of weights
    Convert(convert::Args),
    /// Show what a checkpoint holds
    Info(info::Args),
    /// List sound devices
    #[cfg(feature = "device")]
    Devices(devices::Args),
}

/// A request that makes no sense as typed: exit status 2, where other failures give 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Stops a function with a [`Usage`] error.
macro_rules! usage {
    ($($arg:tt)*) => {
        return Err($crate::cli::Usage(format!($($arg)*)).into())
    };
}
use usage;

/// Runs the program on the arguments of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return refuse(&e),
    };
    let done = match cli.command {
        #[cfg(feature = "device")]
        Command::Play(a) => play::run(a),
        Command::Render(a) => render::run(a),
        Command::Sample(a) => sample::run(a),
        Command::Condition(a) => condition::run(a),
        #[cfg(feature = "train")]
        Command::Train(a) => train::run(a),
        Command::Eval(a) => eval::run(a),
        Command::Copy(a) => copy::run(a),
        Command::Compare(a) => compare::run(a),
        Command::Logits(a) => logits::run(a),
        Command::Bench(a) => bench::run(a),
        Command::Convert(a) => convert::run(a),
        Command::Info(a) => info::run(a),
        #[cfg(feature = "device")]
        Command::Devices(a) => devices::run(a),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has closed it: `render -o - | head` is no failure.
        Err(e) if output::is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            report(&e);
            ExitCode::from(status(&e))
        }
    }
}

fn report(e: &anyhow::Error) {
    eprintln!("error: {}", one_line(&causes(e)));
}

fn status(e: &anyhow::Error) -> u8 {
    if e.is::<Usage>() { 2 } else { 1 }
}

/// Does `work` with the processes that were started together with this one. If it fails on one rank it ends on all, with
/// one line of error.
fn together(work: impl FnOnce(&Ranks) -> Result<()>) -> Result<()> {
    let ranks = Ranks::open()?;
    match work(&ranks) {
        Err(e) if ranks.size() > 1 => {
            let e = match ranks.is_first() {
                true => e,
                false => e.context(format!("rank {} of {}", ranks.rank(), ranks.size())),
            };
            ranks.abort(status(&e), || report(&e))
        }
        done => done,
    }
}

/// Help and version as clap prints them; anything else as one line.
fn refuse(e: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    match e.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed stdout is the reader's decision.
            let _ = e.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = e.print();
            ExitCode::from(2)
        }
        _ => {
            let text = e.to_string();
            // clap's first paragraph says what is wrong; the rest repeats the usage.
            let first = text.split("\n\n").next().unwrap_or(&text);
            eprintln!("{}; see `wavesynth --help`", one_line(first));
            ExitCode::from(2)
        }
    }
}

/// An error and its causes, each printed once: many an error already quotes its cause.
fn causes(e: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in e.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn errors_are_one_line_and_say_a_cause_once() {
        let io = std::io::Error::other("no such thing");
        let e = anyhow::Error::from(io).context("cannot read a: no such thing").context("model");
        assert_eq!(causes(&e), "model: cannot read a: no such thing");
        assert_eq!(one_line("a\n  b:\tc \n"), "a b: c");
    }
}
