//! What the families' own forward and backward passes share: parameters padded to whole vectors, and work on rows.

pub mod padded;
pub mod rows;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The buffers behind `mutex`. They are overwritten before they are read, so a panic elsewhere leaves nothing to fear.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
