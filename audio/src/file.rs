//! Files that appear whole or not at all: written beside the target, then renamed over it.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// A file that is not there yet. Dropped without [`Pending::commit`], it leaves no trace.
pub struct Pending {
    temp: NamedTempFile,
    target: PathBuf,
}

impl Pending {
    /// Opens a temporary file in the target's folder, so that the rename stays within one file system.
    ///
    /// # Errors
    /// A folder that can't be written to; a target that is no regular file.
    pub fn create(target: &Path) -> io::Result<Self> {
        // A link is followed, or the rename would replace the link and not the file behind it.
        let target = match target.canonicalize() {
            Ok(real) if real.is_file() => real,
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it exists and is not a regular file",
                ));
            }
            Err(_) => target.to_path_buf(),
        };
        let folder = match target.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".wavesynth-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Temporary files are private by default; this one becomes an ordinary file (less the umask).
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let temp = builder.tempfile_in(folder)?;
        Ok(Self { temp, target })
    }

    /// A second handle to the file, for a writer that wants to own one.
    pub fn handle(&self) -> io::Result<File> {
        self.temp.as_file().try_clone()
    }

    /// Flushes to the disk and puts the file in the target's place.
    pub fn commit(self) -> io::Result<()> {
        self.temp.as_file().sync_all()?;
        self.temp.persist(&self.target).map_err(|e| e.error)?;
        Ok(())
    }
}

/// Writes `bytes` to `path`, whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let pending = Pending::create(path)?;
    pending.handle()?.write_all(bytes)?;
    pending.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abandoned_file_leaves_the_old_one_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, b"old").unwrap();
        let pending = Pending::create(&path).unwrap();
        pending.handle().unwrap().write_all(b"half").unwrap();
        drop(pending);
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_devices_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a"), folder.path().join("b"));
        write(&path, b"old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write(&link, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert!(link.is_symlink());
        assert!(write(Path::new("/dev/null"), b"x").is_err());
        assert!(write(folder.path(), b"x").is_err());
    }
}
