//! Files that appear whole or not at all: written beside the target, then renamed over it. Pipes and devices are written
//! into.

use crate::plan::{OutputError, Why};
use crate::{leftover, place, shown};
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A place that can be written to, checked and not written yet.
#[derive(Debug)]
pub struct Output {
    named: PathBuf,
    goal: Goal,
}

#[derive(Debug)]
pub(crate) enum Goal {
    /// A regular file, there or not, at a path without links; whether its folder is made for it.
    File(PathBuf, bool),
    /// A pipe or a device, open.
    Stream(File),
    Stdout,
}

impl Output {
    pub(crate) fn new(named: &Path, goal: Goal) -> Self {
        Self { named: named.into(), goal }
    }

    /// The place that `path` names, whatever is there. Commands check theirs with a [`Plan`](crate::Plan) instead.
    ///
    /// # Errors
    /// A folder, a file that is read-only, a folder that nothing can be written into.
    pub fn at(path: &Path) -> Result<Self, OutputError> {
        let goal = goal(path, false)?;
        if let Goal::File(target, _) = &goal {
            has_folder(path, target)?;
            leftover::clear(target, &leftover::in_folder(place::folder(target)));
        }
        Ok(Self::new(path, goal))
    }

    /// As it was named.
    pub fn path(&self) -> &Path {
        &self.named
    }

    /// Whether it is this program's stdout.
    pub fn is_stdout(&self) -> bool {
        matches!(self.goal, Goal::Stdout)
    }

    /// Whether it is a file that will be there as a whole, and neither a pipe nor a device.
    pub fn is_file(&self) -> bool {
        matches!(self.goal, Goal::File(..))
    }

    /// Begins to write. A folder that the plan has is made if it is not there.
    ///
    /// # Errors
    /// The system's.
    pub fn create(&self) -> io::Result<Pending> {
        Ok(Pending(match &self.goal {
            Goal::File(target, makes_folder) => {
                let old = fs::metadata(target).ok();
                if *makes_folder {
                    fs::create_dir_all(place::folder(target))?;
                }
                let temp = leftover::beside(target, mode(old.as_ref()))?;
                Body::Beside { temp, target: target.clone(), old: old.map(Box::new) }
            }
            Goal::Stream(file) => Body::Stream(file.try_clone()?),
            Goal::Stdout => Body::Stdout,
        }))
    }

    /// Writes `bytes`, whole or not at all where it is a file.
    ///
    /// # Errors
    /// The system's, with the path.
    pub fn write(self, bytes: &[u8]) -> Result<(), OutputError> {
        let path = self.named.clone();
        let done = self.create().and_then(|mut pending| {
            pending.write_all(bytes)?;
            pending.commit()
        });
        done.map_err(|e| OutputError { path, why: Why::Io(e) })
    }
}

/// Permissions of a new file before the umask, or of the one that is replaced.
#[cfg(unix)]
fn mode(old: Option<&Metadata>) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    // Without the bits that make a program of it until it is whole.
    old.map_or(0o666, |m| m.permissions().mode() & 0o666)
}

#[cfg(not(unix))]
fn mode(_: Option<&Metadata>) -> u32 {
    0
}

/// Where `path` leads, checked for what can be known before the work; `force` goes over a file that is read-only.
pub(crate) fn goal(path: &Path, force: bool) -> Result<Goal, OutputError> {
    let fail = |why| OutputError { path: path.into(), why };
    let denied = |e| fail(Why::Denied(e));
    let names_folder = path.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
    if path.is_dir() || names_folder || path.file_name().is_none() {
        return Err(fail(Why::Folder));
    }
    let (target, descriptor) = place::follow(path).map_err(denied)?;
    match fs::metadata(path) {
        Ok(there) if there.is_file() && !descriptor => {
            if there.permissions().readonly() && !force {
                return Err(fail(Why::ReadOnly));
            }
            if !there.permissions().readonly() {
                File::options().write(true).open(&target).map_err(denied)?;
            }
            Ok(Goal::File(target, false))
        }
        // What is behind a descriptor is somebody's open file: more is added to it.
        Ok(there) => {
            let file = File::options().write(true).append(there.is_file()).open(path);
            Ok(Goal::Stream(file.map_err(denied)?))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound && !descriptor => Ok(Goal::File(target, false)),
        Err(e) => Err(denied(e)),
    }
}

/// A file that is not there yet, or what is written into. Dropped without [`Pending::commit`], a file leaves no trace.
#[derive(Debug)]
pub struct Pending(Body);

#[derive(Debug)]
enum Body {
    Beside { temp: NamedTempFile, target: PathBuf, old: Option<Box<Metadata>> },
    Stream(File),
    Stdout,
}

impl Pending {
    /// A second handle to the file, for a writer that wants to own one and to go back in it; `None` for a pipe or a device.
    pub fn seekable(&self) -> Option<io::Result<File>> {
        match &self.0 {
            Body::Beside { temp, .. } => Some(temp.as_file().try_clone()),
            _ => None,
        }
    }

    /// Flushes to the disk and puts the file in the target's place, with the permissions and, where that is allowed, the owner
    /// of the file that was there.
    ///
    /// # Errors
    /// The system's; the file that was there is as it was.
    pub fn commit(self) -> io::Result<()> {
        match self.0 {
            Body::Beside { temp, target, old } => {
                if let Some(old) = &old {
                    take_over(temp.as_file(), old)?;
                }
                temp.as_file().sync_all()?;
                temp.persist(target).map(drop).map_err(|e| e.error)
            }
            Body::Stream(mut file) => file.flush(),
            Body::Stdout => io::stdout().flush(),
        }
    }
}

#[cfg(unix)]
fn take_over(new: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let own = new.metadata()?;
    if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
        // Only the superuser gives files away; for others the file becomes theirs.
        let _ = fchown(new, Some(old.uid()), Some(old.gid()));
    }
    new.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn take_over(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Body::Beside { temp, .. } => temp.as_file_mut().write(bytes),
            Body::Stream(file) => file.write(bytes),
            Body::Stdout => io::stdout().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Body::Beside { temp, .. } => temp.as_file_mut().flush(),
            Body::Stream(file) => file.flush(),
            Body::Stdout => io::stdout().flush(),
        }
    }
}

/// Writes `bytes` to `path`, whole or not at all.
///
/// # Errors
/// As [`Output::at`], or the system's.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), OutputError> {
    Output::at(path)?.write(bytes)
}

fn has_folder(path: &Path, target: &Path) -> Result<(), OutputError> {
    let folder = place::folder(target);
    if folder.is_dir() {
        return Ok(());
    }
    Err(OutputError { path: path.into(), why: Why::NoFolder(shown::path(folder)) })
}

/// Checks that files can be made beside `target`, which is called `path`; nothing stays of it.
pub(crate) fn check_folder(path: &Path, target: &Path) -> Result<(), OutputError> {
    has_folder(path, target)?;
    let made = leftover::beside(target, 0o600);
    made.map(drop).map_err(|e| OutputError { path: path.into(), why: Why::Denied(e) })
}

#[cfg(test)]
mod tests;
