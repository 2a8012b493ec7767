//! Ctrl-C and the polite ways of being ended, as a flag to look at between two pieces of work.

use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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

/// A flag that the first Ctrl-C sets, with `message` on stderr; the second one ends the program.
#[cfg(feature = "train")]
pub fn flag(message: &'static str) -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("{message}");
    })
    .context("Ctrl-C could not be caught")?;
    Ok(flag)
}
