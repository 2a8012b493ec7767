//! Where a path leads, links seen through.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// Links that are followed one after the other, at most.
const MOST_LINKS: usize = 40;

/// What tells two files apart: equal for every path to one file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Id {
    /// A file that is there.
    #[cfg(unix)]
    File(u64, u64),
    /// A path, as far as it exists without links, `.` and `..`.
    Path(PathBuf),
}

impl Id {
    /// The file at `path`, which need not be there yet; `None` for a device, which several may share.
    pub fn of(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(there) => Self::there(path, &there),
            Err(_) => Some(Self::Path(canonical(&follow(path).ok()?.0))),
        }
    }

    #[cfg(unix)]
    fn there(_: &Path, file: &Metadata) -> Option<Self> {
        use std::os::unix::fs::{FileTypeExt, MetadataExt};
        let device = file.file_type().is_char_device() || file.file_type().is_block_device();
        (!device).then(|| Self::File(file.dev(), file.ino()))
    }

    #[cfg(not(unix))]
    fn there(path: &Path, _: &Metadata) -> Option<Self> {
        Some(Self::Path(fs::canonicalize(path).ok()?))
    }

    /// Stdout, where it is a file or a pipe.
    #[cfg(unix)]
    pub fn stdout() -> Option<Self> {
        use std::os::fd::AsFd;
        let stdout = io::stdout().as_fd().try_clone_to_owned().ok()?;
        Self::there(Path::new(""), &fs::File::from(stdout).metadata().ok()?)
    }

    #[cfg(not(unix))]
    pub fn stdout() -> Option<Self> {
        None
    }
}

/// The folder that `path` lies in.
pub fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// The part of `path` that is there, without links, and the rest as it is.
fn canonical(path: &Path) -> PathBuf {
    for there in path.ancestors() {
        let place = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        if let Ok(real) = fs::canonicalize(place) {
            return real.join(path.strip_prefix(there).unwrap_or(path));
        }
    }
    path.into()
}

/// The end of the links that begin at `path`, and whether it is a descriptor of a process, as in `/dev/fd/3`.
pub fn follow(path: &Path) -> io::Result<(PathBuf, bool)> {
    let mut at = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        if is_descriptor(&at) {
            return Ok((at, true));
        }
        match fs::symlink_metadata(&at) {
            Ok(m) if m.file_type().is_symlink() => at = folder(&at).join(fs::read_link(&at)?),
            _ => return Ok((at, false)),
        }
    }
    Err(io::Error::other("too many links, one after the other"))
}

#[cfg(unix)]
fn is_descriptor(path: &Path) -> bool {
    let folder = fs::canonicalize(folder(path)).unwrap_or_default();
    folder == Path::new("/dev/fd") || folder.starts_with("/proc") && folder.ends_with("fd")
}

#[cfg(not(unix))]
fn is_descriptor(_: &Path) -> bool {
    false
}
