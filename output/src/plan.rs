//! What a command reads and writes, checked before its work.

use crate::file::{self, Goal, Output};
use crate::kind::Kind;
use crate::place::{self, Id};
use crate::{leftover, shown};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

/// Why something is not written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", shown::path(path))]
pub struct OutputError {
    /// As it was named.
    pub path: PathBuf,
    /// The reason.
    pub why: Why,
}

/// A reason not to write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// A folder where a file is wanted.
    #[error("is a folder; wanted the name of a file to write")]
    Folder,
    /// A file where a folder is wanted.
    #[error("is no folder; wanted one to write files into")]
    NoSuchFolder,
    /// Nothing to put the file into.
    #[error("can't be written, for there is no folder {0}; make it first")]
    NoFolder(String),
    /// The system says no.
    #[error("can't be written: {0}")]
    Denied(io::Error),
    /// No permission to write for anybody.
    #[error("is read-only; --force replaces it")]
    ReadOnly,
    /// The file is an input.
    #[error("would be written by {option}, and is read by the same command; write to another file")]
    Input {
        /// Who writes it.
        option: String,
    },
    /// The file is another output.
    #[error("is written by {option} and by {other}: each wants a file of its own")]
    Twice {
        /// Who writes it.
        option: String,
        /// Who writes it, too.
        other: String,
    },
    /// Two results for stdout.
    #[error("{option} and {other} both want stdout; write one of them to a file")]
    Stdout {
        /// Who writes there.
        option: String,
        /// Who writes there, too.
        other: String,
    },
    /// No text, and a person to read it.
    #[error("stdout is a terminal, which can't show {0}; name a file, or pipe it into another program")]
    Terminal(&'static str),
    /// Where only a file will do.
    #[error("is no regular file; {0} wants one")]
    Special(String),
    /// `-` for a folder.
    #[error("stdout is no folder; {0} wants one")]
    NoStdout(String),
    /// What is there is of another kind.
    #[error("there is a file that is not {0}; write to another one, or replace it with --force")]
    Kind(&'static str),
    /// The name promises another format.
    #[error("named .{ending}, but {kind} is written; name it {instead}{hint}")]
    Ending {
        /// The ending.
        ending: String,
        /// What is written.
        kind: &'static str,
        /// A name with the right ending.
        instead: String,
        /// What else could be done.
        hint: &'static str,
    },
    /// An error while it was written.
    #[error("cannot write: {0}")]
    Io(io::Error),
}

impl OutputError {
    /// Whether the request makes no sense as typed, whatever the file system holds.
    pub fn is_usage(&self) -> bool {
        use Why::{Ending, Input, NoStdout, Stdout, Terminal, Twice};
        matches!(
            self.why,
            Input { .. } | Twice { .. } | Stdout { .. } | NoStdout(_) | Terminal(_) | Ending { .. }
        )
    }
}

/// The files of one command. Inputs are named first.
#[derive(Debug, Default)]
pub struct Plan {
    force: bool,
    inputs: HashSet<Id>,
    outputs: HashMap<Id, String>,
    stdout: Option<String>,
    /// Folders that can be written into, with what may be leftovers in them.
    folders: HashMap<PathBuf, Vec<String>>,
    /// Folders that will be made.
    made: HashSet<PathBuf>,
}

impl Plan {
    /// A plan without files. With `force`, files of another kind and those that are read-only are replaced.
    pub fn new(force: bool) -> Self {
        Self { force, ..Self::default() }
    }

    /// The command reads the file at `path`, or the files in that folder. A path where nothing is may be the name of
    /// something else.
    pub fn reads(&mut self, path: &Path) {
        match fs::read_dir(path) {
            Ok(entries) => {
                let files = entries.flatten().map(|e| e.path()).filter(|p| p.is_file());
                self.inputs.extend(files.filter_map(|p| Id::of(&p)));
            }
            Err(_) if path.exists() => self.inputs.extend(Id::of(path)),
            Err(_) => {}
        }
    }

    /// The command prints its result on stdout, as `option` has it.
    ///
    /// # Errors
    /// Something else is written there.
    pub fn prints(&mut self, option: &str) -> Result<(), OutputError> {
        if let Some(other) = self.stdout.replace(option.into()) {
            let why = Why::Stdout { option: other, other: option.into() };
            return Err(OutputError { path: "-".into(), why });
        }
        Ok(())
    }

    /// The command writes a file of `kind` to `path`, which is the value of `option`; `-` is stdout. A pipe or a device is
    /// opened, which waits for the pipe's reader.
    ///
    /// # Errors
    /// All that can be known before the work: see [`Why`].
    pub fn writes(&mut self, option: &str, path: &Path, kind: &Kind) -> Result<Output, OutputError> {
        let fail = |why| OutputError { path: path.into(), why };
        let id = Id::of(path);
        if path == Path::new("-") || self.is_stdout(path, id.as_ref()) {
            self.prints(&format!("{option} {}", shown::path(path)))?;
            if Id::stdout().is_some_and(|id| self.inputs.contains(&id)) {
                return Err(fail(Why::Input { option: option.into() }));
            }
            if !kind.is_text && io::stdout().is_terminal() {
                return Err(fail(Why::Terminal(kind.name)));
            }
            return Ok(Output::new(path, Goal::Stdout));
        }
        if let Some(id) = id {
            if self.inputs.contains(&id) {
                return Err(fail(Why::Input { option: option.into() }));
            }
            if let Some(other) = self.outputs.insert(id, option.into()) {
                return Err(fail(Why::Twice { option: option.into(), other }));
            }
        }
        if path.is_dir() {
            return Err(fail(Why::Folder));
        }
        // Names of pipes and devices promise nothing.
        if !path.exists() || path.is_file() {
            self.check_name(path, kind)?;
        }
        let mut goal = file::goal(path, self.force)?;
        if let Goal::File(target, makes_folder) = &mut goal {
            self.check_folder(path, target)?;
            *makes_folder = self.made.contains(place::folder(target));
            let is_empty = fs::metadata(&*target).map_or(true, |m| m.len() == 0);
            if !is_empty && !self.force && !(kind.is)(target.as_path()) {
                return Err(fail(Why::Kind(kind.name)));
            }
        }
        Ok(Output::new(path, goal))
    }

    /// The command writes files into the folder at `path`, which is the value of `option` and is made if it is not there.
    ///
    /// # Errors
    /// Something else is there, or nothing can be written into it.
    pub fn folder(&mut self, option: &str, path: &Path) -> Result<(), OutputError> {
        let fail = |why| OutputError { path: path.into(), why };
        if path == Path::new("-") {
            return Err(fail(Why::NoStdout(option.into())));
        }
        if path.is_dir() {
            return self.check_folder(path, &path.join("file"));
        }
        if fs::symlink_metadata(path).is_ok() {
            return Err(fail(Why::NoSuchFolder));
        }
        let above = path.ancestors().skip(1).find(|p| p.as_os_str().is_empty() || p.exists());
        let above = above.filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !above.is_dir() {
            return Err(fail(Why::NoSuchFolder));
        }
        self.check_folder(path, &above.join("file"))?;
        self.made.insert(path.into());
        Ok(())
    }

    /// Whether `path` leads to what stdout is: a descriptor, a pipe or the same file.
    fn is_stdout(&self, path: &Path, id: Option<&Id>) -> bool {
        let same_device = || {
            let own = fs::canonicalize("/dev/fd").ok();
            let through = place::follow(path).is_ok_and(|(end, descriptor)| {
                descriptor
                    && end.file_name().is_some_and(|n| n == "1")
                    && fs::canonicalize(place::folder(&end)).ok() == own
            });
            through && id.is_none()
        };
        id.is_some() && id == Id::stdout().as_ref() || same_device()
    }

    fn check_name(&self, path: &Path, kind: &Kind) -> Result<(), OutputError> {
        let Some(ending) = kind.broken_promise(path) else { return Ok(()) };
        let sound = kind.endings.contains(&"wav");
        let hint = match ending.as_str() {
            "raw" | "pcm" | "s16" | "s16le" if sound => ", or write it without a header by --format s16",
            _ if sound => ", and convert that with another program, such as ffmpeg",
            _ => "",
        };
        let instead = kind.usual_name(path);
        let why = Why::Ending { ending, kind: kind.name, instead, hint };
        Err(OutputError { path: path.into(), why })
    }

    /// Checks that `target` could be written beside its place, and clears what a killed run left of it.
    fn check_folder(&mut self, path: &Path, target: &Path) -> Result<(), OutputError> {
        let folder = place::folder(target);
        if self.made.contains(folder) {
            return Ok(());
        }
        if !self.folders.contains_key(folder) {
            file::check_folder(path, target)?;
            self.folders.insert(folder.into(), leftover::in_folder(folder));
        }
        leftover::clear(target, &self.folders[folder]);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
