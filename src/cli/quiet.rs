//! Standard error without the words of the system's sound libraries.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// While one lives, what is written to standard error is lost. The plugins of alsa-lib, JACK's among them, write there
/// whatever they fail to find; what matters comes back as an error.
pub struct Quiet {
    #[cfg(unix)]
    stderr: Option<std::os::fd::OwnedFd>,
    /// One at a time: a second would keep the first one's silence as the real thing.
    _alone: MutexGuard<'static, ()>,
}

/// `work`, quietly. Nothing in it may write to standard error.
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let _quiet = Quiet::new();
    work()
}

impl Quiet {
    #[cfg(unix)]
    /// From now on.
    pub fn new() -> Self {
        use rustix::stdio::{dup2_stderr, stderr};
        let alone = alone();
        let stderr = rustix::io::dup(stderr()).ok().filter(|_| {
            let nowhere = std::fs::File::options().write(true).open("/dev/null");
            nowhere.is_ok_and(|nowhere| dup2_stderr(&nowhere).is_ok())
        });
        Self { stderr, _alone: alone }
    }

    #[cfg(not(unix))]
    /// From now on.
    pub fn new() -> Self {
        Self { _alone: alone() }
    }
}

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(stderr) = &self.stderr {
            let _ = rustix::stdio::dup2_stderr(stderr);
        }
    }
}
