//! How a run is asked to end, from another thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a run was asked, and whether steps would be lost if the process ended now.
#[derive(Debug, Default)]
pub struct Stop {
    begun: AtomicBool,
    asked: AtomicBool,
    hurried: AtomicBool,
    unsaved: Mutex<bool>,
}

impl Stop {
    /// The run ends after its step: it writes its checkpoint, then reads the held-out part.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::SeqCst);
    }

    /// The run ends once its checkpoint is written, without an evaluation. Where no step would be lost `leave` is called at
    /// once, on this thread; the run waits meanwhile, so that `leave` can end the process.
    pub fn hurry(&self, leave: impl FnOnce()) {
        self.ask();
        self.hurried.store(true, Ordering::SeqCst);
        let unsaved = self.unsaved();
        if !*unsaved {
            leave();
        }
    }

    /// The inputs are read, and steps begin.
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
    }

    /// Whether there can be something to save.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
    }

    /// Whether the run ends after its step.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Whether it ends without an evaluation.
    pub fn is_hurried(&self) -> bool {
        self.hurried.load(Ordering::SeqCst)
    }

    /// Says whether steps have been taken that no file holds.
    pub(super) fn set_unsaved(&self, unsaved: bool) {
        *self.unsaved() = unsaved;
    }

    fn unsaved(&self) -> MutexGuard<'_, bool> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_hurries_leaves_only_where_nothing_is_lost() {
        let stop = Stop::default();
        let left = |stop: &Stop| {
            let mut left = false;
            stop.hurry(|| left = true);
            left
        };
        assert!(left(&stop) && stop.is_asked() && stop.is_hurried());
        stop.set_unsaved(true);
        assert!(!left(&stop));
        stop.set_unsaved(false);
        assert!(left(&stop));
    }
}
