//! Standard error without the words of the system's sound libraries.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// While one lives, what is written to standard error is lost. The plugins of alsa-lib, JACK's among them, write there
/// whatever they fail to find; what matters comes back as an error. Several may live at once.
pub struct Quiet(());

/// Those that live, and standard error as it was before the first of them.
struct Alive {
    count: usize,
    #[cfg(unix)]
    stderr: Option<std::os::fd::OwnedFd>,
}

/// `work`, quietly. Nothing in it may write to standard error.
pub fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let _quiet = Quiet::new();
    work()
}

impl Quiet {
    /// From now on.
    pub fn new() -> Self {
        let mut alive = alive();
        if alive.count == 0 {
            alive.silence();
        }
        alive.count += 1;
        Self(())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let mut alive = alive();
        alive.count -= 1;
        if alive.count == 0 {
            alive.restore();
        }
    }
}

fn alive() -> MutexGuard<'static, Alive> {
    static ALIVE: Mutex<Alive> = Mutex::new(Alive {
        count: 0,
        #[cfg(unix)]
        stderr: None,
    });
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Alive {
    #[cfg(unix)]
    fn silence(&mut self) {
        use rustix::stdio::{dup2_stderr, stderr};
        self.stderr = rustix::io::dup(stderr()).ok().filter(|_| {
            let nowhere = std::fs::File::options().write(true).open("/dev/null");
            nowhere.is_ok_and(|nowhere| dup2_stderr(&nowhere).is_ok())
        });
    }

    #[cfg(unix)]
    fn restore(&mut self) {
        if let Some(stderr) = self.stderr.take() {
            let _ = rustix::stdio::dup2_stderr(stderr);
        }
    }

    #[cfg(not(unix))]
    fn silence(&mut self) {}

    #[cfg(not(unix))]
    fn restore(&mut self) {}
}
