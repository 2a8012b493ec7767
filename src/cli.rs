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
mod features;
mod image_input;
mod info;
mod input;
mod interrupt;
mod logits;
mod man;
mod npy;
mod output;
mod picture;
#[cfg(feature = "device")]
mod play;
#[cfg(feature = "device")]
mod quiet;
mod render;
mod sample;
mod say;
mod segments;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "train")]
mod train;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::ffi::OsString;
use std::process::ExitCode;
use wavesynth::ranks::Ranks;
use wavesynth_models::memory::{self, Bytes};
use wavesynth_output::{OutputError, message, say};

/// A neural synthesizer: learns from recordings and generates sound sample by sample in real time; learns texts, too.
#[derive(Parser)]
#[command(name = "wavesynth", version, arg_required_else_help = true)]
struct Cli {
    /// Most memory that a model may take with its weights and streams; one that would take more is refused
    #[arg(long, global = true, value_name = "AMOUNT", default_value = "2 GB", hide_short_help = true)]
    max_memory: Bytes,
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
    /// Say a text
    Say(say::Args),
    /// Text to speech for other programs, by HTTP or Wyoming's protocol, and on a page for people
    #[cfg(feature = "serve")]
    Serve(serve::Args),
    /// Write text on from a prompt, or draw images or sequences of vectors
    Sample(sample::Args),
    /// Make, show and mix condition files: speaker vectors and feature tracks
    Condition(condition::Args),
    /// Learn a voice from recordings, or a model of text, images or rows of numbers
    #[cfg(feature = "train")]
    Train(train::Args),
    /// Exact nats and bits of recordings under a voice, of texts, images or rows of numbers under their models
    Eval(eval::Args),
    /// What the layers of an image model see in images, as an array, and how well it tells their classes (a linear probe)
    Features(features::Args),
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
    /// Print what makes a shell complete commands and options
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write man pages, one for each command
    Man(man::Args),
    /// Not in this build, which lacks the feature `device`: play a voice through a sound device
    #[cfg(not(feature = "device"))]
    Play(Lacking),
    /// Not in this build, which lacks the feature `device`: list sound devices
    #[cfg(not(feature = "device"))]
    Devices(Lacking),
    /// Not in this build, which lacks the feature `serve`: text to speech for other programs
    #[cfg(not(feature = "serve"))]
    Serve(Lacking),
    /// Not in this build, which lacks the feature `train`: learn a voice or a text model
    #[cfg(not(feature = "train"))]
    Train(Lacking),
}

/// The arguments of a command that this build lacks, whatever they are.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
struct Lacking {
    /// Not read
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _any: Vec<OsString>,
}

/// What this build lacks, and what brings it.
#[cfg(not(all(feature = "train", feature = "device", feature = "serve")))]
fn lacks<T>(what: &str, feature: &str) -> Result<T> {
    usage!(
        "{what}: this program was built without the feature `{feature}`; build it with `cargo build --release \
         --features {feature}`"
    )
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
    message::watch_panics();
    interrupt::outlive_file_limit();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return refuse(&e),
    };
    memory::set_limit(cli.max_memory.0 as u64);
    let done = match cli.command {
        #[cfg(feature = "device")]
        Command::Play(a) => play::run(a),
        Command::Render(a) => render::run(a),
        Command::Say(a) => say::run(a),
        #[cfg(feature = "serve")]
        Command::Serve(a) => serve::run(a),
        Command::Sample(a) => sample::run(a),
        Command::Condition(a) => condition::run(a),
        #[cfg(feature = "train")]
        Command::Train(a) => train::run(a),
        Command::Eval(a) => eval::run(a),
        Command::Features(a) => features::run(a),
        Command::Copy(a) => copy::run(a),
        Command::Compare(a) => compare::run(a),
        Command::Logits(a) => logits::run(a),
        Command::Bench(a) => bench::run(a),
        Command::Convert(a) => convert::run(a),
        Command::Info(a) => info::run(a),
        #[cfg(feature = "device")]
        Command::Devices(a) => devices::run(a),
        Command::Completions { shell } => completions(shell),
        Command::Man(a) => man::run(&a),
        #[cfg(not(feature = "device"))]
        Command::Play(_) => lacks("play", "device"),
        #[cfg(not(feature = "device"))]
        Command::Devices(_) => lacks("devices", "device"),
        #[cfg(not(feature = "serve"))]
        Command::Serve(_) => lacks("serve", "serve"),
        #[cfg(not(feature = "train"))]
        Command::Train(_) => lacks("train", "train"),
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
    let see = if e.is::<Usage>() { format!("; {}", see_help()) } else { String::new() };
    say!("error: {}{see}", one_line(&causes(e)));
}

/// Where the command that was typed is explained.
fn see_help() -> String {
    format!("see `{} --help`", command_of(std::env::args_os().skip(1)))
}

/// What the standard library says of a number that is none, as a person would.
fn in_plain_words(text: &str) -> String {
    let said = [
        ("invalid digit found in string", "wanted a whole number, not below 0"),
        ("cannot parse integer from empty string", "wanted a whole number, not below 0"),
        ("number too large to fit in target type", "a number too large"),
        ("number too small to fit in target type", "a number too small"),
        ("invalid float literal", "wanted a number"),
        ("cannot parse float from empty string", "wanted a number"),
    ];
    said.iter().fold(text.to_string(), |text, (theirs, ours)| text.replace(theirs, ours))
}

fn status(e: &anyhow::Error) -> u8 {
    let is_usage = e.is::<Usage>() || e.downcast_ref().is_some_and(OutputError::is_usage);
    if is_usage { 2 } else { 1 }
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
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match e.print() {
            // A closed stdout is the reader's decision.
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
                say!("error: stdout can't be written: {e}");
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = e.print();
            ExitCode::from(2)
        }
        _ => {
            let strange = std::env::args_os().find(|a| a.to_str().is_none());
            let named = match (e.kind(), strange) {
                (ErrorKind::InvalidUtf8, Some(arg)) => format!(" ({arg:?})"),
                _ => String::new(),
            };
            say!("{}{named}; {}", in_plain_words(&with_hints(&e.to_string())), see_help());
            ExitCode::from(2)
        }
    }
}

/// What is wrong and clap's hints on one line, without the usage that clap repeats.
fn with_hints(text: &str) -> String {
    let parts = text.split("\n\n").enumerate();
    let said = parts.filter(|(i, part)| *i == 0 || part.trim_start().starts_with("tip:"));
    said.map(|(_, part)| one_line(part)).collect::<Vec<_>>().join("; ")
}

/// The command that `args` name, as far as it is one.
fn command_of(args: impl Iterator<Item = OsString>) -> String {
    let (mut command, mut path) = (Cli::command(), String::from("wavesynth"));
    // Options of all commands may stand in front of the first.
    let mut names =
        args.skip_while(|arg| command.find_subcommand(arg).is_none()).collect::<Vec<_>>().into_iter();
    while let Some(sub) = names.next().and_then(|arg| command.find_subcommand(&arg).cloned()) {
        path = format!("{path} {}", sub.get_name());
        command = sub;
    }
    path
}

fn completions(shell: Shell) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wavesynth", &mut script);
    output::raw_text(String::from_utf8(script)?.trim_end())
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

/// The lines of `text` as one. Blanks within a line stay: a name may hold two in a row.
fn one_line(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ").replace('\t', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(one_line("no two  blanks.bin\n\nhere"), "no two  blanks.bin here");
    }

    #[test]
    fn numbers_that_are_none_are_told_in_plain_words() {
        for (args, want) in [
            (["--seed", "-1"], "a seed is a whole number from 0 to 18446744073709551615"),
            (["--seed", "1.5"], "a seed is a whole number"),
            (["--seed", "18446744073709551616"], "a seed is a whole number"),
            (["--top-k", "-3"], "wanted a whole number, not below 0"),
            (["--seconds", "soon"], "wanted a number"),
        ] {
            let args = ["wavesynth", "render", "-o", "x.wav"].into_iter().chain(args);
            let said = in_plain_words(&Cli::try_parse_from(args).err().unwrap().to_string());
            assert!(said.contains(want), "{said}");
            assert!(!said.contains("literal") && !said.contains("digit"), "{said}");
        }
    }

    /// `command` and all below it, each with its path.
    fn walk(command: &clap::Command, path: &[String], visit: &mut dyn FnMut(&clap::Command, &[String])) {
        visit(command, path);
        for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
            walk(sub, &[path, &[sub.get_name().to_string()]].concat(), visit);
        }
    }

    #[test]
    fn every_command_and_every_option_explains_itself() {
        let mut count = 0;
        walk(&Cli::command(), &["wavesynth".into()], &mut |command, path| {
            count += 1;
            assert!(command.get_about().is_some(), "{path:?} says nothing of itself");
            for arg in command.get_arguments().filter(|a| !a.is_hide_set()) {
                assert!(arg.get_help().is_some(), "{path:?}: {} says nothing of itself", arg.get_id());
            }
            if !command.is_disable_help_flag_set() {
                let asked = [path, &["--help".to_string()]].concat();
                let help = Cli::command().try_get_matches_from(asked).unwrap_err();
                assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp, "{path:?}");
                assert!(help.to_string().contains("Usage: wavesynth"), "{path:?}");
            }
        });
        assert!(count > 25, "{count} commands");
    }

    #[test]
    fn every_command_that_writes_says_the_rule_and_can_be_forced() {
        const OUTPUTS: [&str; 8] =
            ["output", "codes", "per_symbol", "picture", "plot", "table", "folder", "run"];
        let mut count = 0;
        walk(&Cli::command(), &["wavesynth".into()], &mut |command, path| {
            let has = |name: &str| command.get_arguments().any(|a| a.get_id() == name);
            if !OUTPUTS.into_iter().any(has) {
                return;
            }
            count += 1;
            assert!(has("force") || has("resume"), "{path:?} has no --force");
            let help = command.clone().render_long_help().to_string();
            let said = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(said(&help).contains(&said(output::RULE)), "{path:?} does not say the rule");
        });
        assert!(count >= if cfg!(feature = "train") { 14 } else { 12 }, "{count} commands");
    }

    #[test]
    fn hints_of_clap_are_kept_and_name_the_command() {
        let wrong = |args: &[&str]| with_hints(&Cli::try_parse_from(args).err().unwrap().to_string());
        assert!(wrong(&["wavesynth", "rendr"]).contains("tip: a similar subcommand exists: 'render'"));
        assert!(
            wrong(&["wavesynth", "render", "--sed", "1"])
                .contains("tip: a similar argument exists: '--seed'")
        );
        let args = ["condition", "list", "--x"].map(OsString::from);
        assert_eq!(command_of(args.into_iter()), "wavesynth condition list");
    }
}
