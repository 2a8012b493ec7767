//! The folder of a run. One run at a time is at work in it, and the state of another is not replaced.

use crate::lookup;
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use wavesynth_output::{kind, say};

/// A run's folder, which no other run has while this lives.
#[derive(Debug)]
pub struct RunFolder {
    out: PathBuf,
    /// Whether this rank writes.
    writes: bool,
    /// The folder, locked until this process ends; a folder that is not there yet is locked once it is made.
    lock: OnceLock<File>,
    /// The header of the state that is this run's own; none before it is written or resumed.
    own: Mutex<Option<Header>>,
}

/// What a state file says of itself. None of a file that is no state.
type Header = Option<HashMap<String, String>>;

impl RunFolder {
    /// The folder `out`, for the one rank that `writes` or for another.
    ///
    /// # Errors
    /// Another run is at work in it.
    pub fn claim(out: PathBuf, writes: bool) -> Result<Self> {
        let folder = Self { out, writes, lock: OnceLock::new(), own: Mutex::new(None) };
        folder.lock()?;
        Ok(folder)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.out
    }

    /// The file that resuming reads.
    pub fn state_file(&self) -> PathBuf {
        self.out.join(lookup::STATE_FILE)
    }

    /// Whether it holds a run already.
    pub fn is_begun(&self) -> bool {
        self.state_file().is_file()
    }

    /// Makes the folder of a run that begins, whose checkpoint will be `model`.
    ///
    /// # Errors
    /// A folder that can't be made; a run that was begun in it meanwhile.
    pub fn begin(&self, model: &Path) -> Result<()> {
        if !self.writes {
            return Ok(());
        }
        let at = || format!("train.out {}", self.out.display());
        fs::create_dir_all(&self.out).with_context(at)?;
        self.lock()?;
        ensure!(!self.is_begun() && !model.exists(), "{}: another run has begun in it meanwhile", at());
        Ok(())
    }

    #[cfg(unix)]
    fn lock(&self) -> Result<()> {
        if !self.writes || self.lock.get().is_some() || !self.out.is_dir() {
            return Ok(());
        }
        let at = || format!("train.out {}", self.out.display());
        let folder = File::open(&self.out).with_context(at)?;
        match folder.try_lock() {
            Ok(()) => drop(self.lock.set(folder)),
            Err(TryLockError::WouldBlock) => bail!(
                "{}: another run is at work in it, or suspended; end that one first, or choose another train.out",
                at()
            ),
            Err(TryLockError::Error(e)) => {
                say!("{}: can't be locked ({e}), so nothing keeps a second run out of it", at());
            }
        }
        Ok(())
    }

    /// Folders have no locks there.
    #[cfg(not(unix))]
    fn lock(&self) -> Result<()> {
        Ok(())
    }

    /// Takes the state that is there for this run's own.
    pub fn own_state(&self) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = self.header();
    }

    fn header(&self) -> Option<Header> {
        let path = self.state_file();
        path.exists().then(|| kind::metadata(&path))
    }

    /// Checks that a state written now replaces only this run's own.
    ///
    /// # Errors
    /// The folder is another one than at the beginning, or another run has written its state there.
    pub fn check_own(&self) -> Result<()> {
        if !self.writes {
            return Ok(());
        }
        self.check_same()?;
        let header = self.header();
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(
            header.is_none() || header == *own,
            "{}: another run has written it since; it stays as it is, and this run ends",
            self.state_file().display()
        );
        Ok(())
    }

    #[cfg(unix)]
    fn check_same(&self) -> Result<()> {
        use std::os::unix::fs::MetadataExt;
        let at = || format!("train.out {}", self.out.display());
        let id = |m: fs::Metadata| (m.dev(), m.ino());
        let Some(lock) = self.lock.get() else { return Ok(()) };
        let (began, now) = (lock.metadata().with_context(at)?, fs::metadata(&self.out).with_context(at)?);
        ensure!(id(began) == id(now), "{}: is not the folder that this run began in; it ends", at());
        Ok(())
    }

    #[cfg(not(unix))]
    fn check_same(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_run_and_a_state_of_another_stays() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("a/b");
        let model = out.join("model");
        let first = RunFolder::claim(out.clone(), true).unwrap();
        let second = RunFolder::claim(out.clone(), true).unwrap();
        first.begin(&model).unwrap();
        let held = second.begin(&model).unwrap_err().to_string();
        assert!(held.contains("another run is at work in it"), "{held}");
        assert!(RunFolder::claim(out.clone(), true).is_err());
        // Other ranks of the same run look on.
        RunFolder::claim(out.clone(), false).unwrap();
        first.check_own().unwrap();
        fs::write(first.state_file(), "of another run").unwrap();
        assert!(first.check_own().unwrap_err().to_string().contains("another run has written it"));
        first.own_state();
        first.check_own().unwrap();
        drop(first);
        assert!(second.begin(&model).unwrap_err().to_string().contains("begun in it meanwhile"));
        second.own_state();
        fs::rename(&out, dir.path().join("c")).unwrap();
        fs::create_dir(&out).unwrap();
        assert!(second.check_own().unwrap_err().to_string().contains("is not the folder"));
    }
}
