//! Ctrl-C and the polite ways of being ended, as a flag to look at between two pieces of work.

use anyhow::{Context, Result};
use std::sync::atomic::{AtomicUsize, Ordering};

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// From now on Ctrl-C, SIGTERM and SIGHUP only count.
pub fn watch() -> Result<()> {
    ctrlc::set_handler(|| {
        COUNT.fetch_add(1, Ordering::Relaxed);
    })
    .context("Ctrl-C could not be caught")
}

/// How often it was pressed.
pub fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}
