//! Standard input byte by byte: never waited for longer than asked, a terminal among what it can be.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::stdio::stdin;
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, isatty, tcgetattr, tcgetpgrp,
    tcsetattr,
};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The terminal's settings before the first change.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// What [`Stdin::read`] found.
pub(super) enum Read<'a> {
    Bytes(&'a [u8]),
    /// Nothing in the time given.
    Idle,
    /// Nothing will come any more.
    End,
}

/// Standard input. With `keys` it is a terminal whose keys come one by one and unseen, until this is dropped. Ctrl-C and
/// Ctrl-Z are signals all the same.
pub(super) struct Stdin {
    buffer: [u8; 4096],
    terminal: bool,
    keys: bool,
}

impl Stdin {
    pub(super) fn new(keys: bool) -> Self {
        Self { buffer: [0; 4096], terminal: isatty(stdin()), keys }
    }

    /// Bytes that come within `time`.
    pub(super) fn read(&mut self, time: Duration) -> Read<'_> {
        // The system stops a background job that reads from its terminal or changes it.
        if self.terminal && !is_foreground() {
            std::thread::sleep(time);
            return Read::Idle;
        }
        if self.keys {
            // Each time: whoever had the terminal in between has left it in a mode of his own.
            send_keys();
        }
        let mut wanted = [PollFd::from_borrowed_fd(stdin(), PollFlags::IN)];
        let timeout = Timespec { tv_sec: time.as_secs() as _, tv_nsec: time.subsec_nanos().into() };
        match poll(&mut wanted, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Read::Idle,
            Ok(_) if wanted[0].revents().contains(PollFlags::IN) => {}
            // Its other end is gone.
            _ => return Read::End,
        }
        match rustix::io::read(stdin(), &mut self.buffer) {
            Ok(0) => Read::End,
            Ok(n) => Read::Bytes(&self.buffer[..n]),
            Err(Errno::INTR | Errno::AGAIN) => Read::Idle,
            Err(_) => Read::End,
        }
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        if self.keys {
            restore();
        }
    }
}

/// Whether this process may use the terminal on stdin.
fn is_foreground() -> bool {
    // One that is no job of this terminal's can't be stopped by it.
    tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp()) || tcgetpgrp(stdin()).is_err()
}

/// Has the terminal hand over every key at once, without showing it.
fn send_keys() {
    let Ok(mut settings) = tcgetattr(stdin()) else { return };
    if !settings.local_modes.contains(LocalModes::ICANON) {
        return;
    }
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(settings.clone());
    settings.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
    // Ctrl-S would have the next message wait for Ctrl-Q.
    settings.input_modes -= InputModes::IXON;
    settings.special_codes[SpecialCodeIndex::VMIN] = 1;
    settings.special_codes[SpecialCodeIndex::VTIME] = 0;
    // Without it keys come with the line; nothing better can be done about a terminal that refuses.
    let _ = tcsetattr(stdin(), OptionalActions::Now, &settings);
}

/// Gives the terminal back as it was found. For the way out, whatever other threads do.
pub(crate) fn restore() {
    if let Ok(mut before) = BEFORE.try_lock()
        && let Some(settings) = before.take()
        && is_foreground()
    {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &settings);
    }
}
