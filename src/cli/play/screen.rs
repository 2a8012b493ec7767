//! What is written to standard error while it plays, by a thread of its own: a terminal that was stopped, or a pipe that
//! nobody reads, holds up nothing else.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::fs::File;
use std::io::{Write, stderr};
use std::time::Duration;

/// Pieces that may wait; more are dropped.
const WAITING: usize = 256;
/// Time that the last ones have at the end.
const LAST: Duration = Duration::from_millis(500);

/// The way to standard error.
pub(super) struct Screen {
    to: Option<Sender<String>>,
    done: Receiver<()>,
}

impl Screen {
    pub(super) fn new() -> Self {
        let (to, pieces) = bounded::<String>(WAITING);
        let (end, done) = bounded(1);
        // A handle of its own, as `quietly` takes the other one away at times.
        let file = rustix::io::dup(rustix::stdio::stderr()).map(File::from);
        let write = move || {
            for piece in pieces {
                // A closed stderr is no reason to stop playing.
                let _ = match &file {
                    Ok(file) => (&*file).write_all(piece.as_bytes()),
                    Err(_) => stderr().lock().write_all(piece.as_bytes()),
                };
            }
            let _ = end.send(());
        };
        // Without a thread to spare it plays in silence about itself.
        let _ = std::thread::Builder::new().name("screen".into()).spawn(write);
        Self { to: Some(to), done }
    }

    /// Writes `piece`, later and if there is room.
    pub(super) fn write(&self, piece: String) {
        if let Some(to) = &self.to {
            let _ = to.try_send(piece);
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.to = None;
        let _ = self.done.recv_timeout(LAST);
    }
}
