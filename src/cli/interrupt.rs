//! Ctrl-C and the polite ways of being ended, as a count to look at between two pieces of work. The second one always ends
//! the program, whatever it waits for.

use anyhow::{Context, Result, bail};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::ffi::c_int;
#[cfg(feature = "train")]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Signals that come within this of one that counted are the same request: a launcher and a terminal may both send it.
#[cfg(feature = "train")]
const SAME: Duration = Duration::from_secs(1);

/// Time that the program has to end by itself after the second signal.
const GRACE: Duration = Duration::from_millis(500);

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Whether the inputs are read and there is something to bring to its end.
static WORKING: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C, SIGTERM or SIGHUP ends the program at once, whatever input it waits for, until [`working`]; behind that
/// the first one only counts, and the second one ends the program within a second.
///
/// # Errors
/// A system without threads to spare.
pub fn watch() -> Result<()> {
    on_signal(|nth, signal| {
        if !WORKING.load(Ordering::Relaxed) {
            wavesynth_output::say!("error: {}", GivenUp::Interrupted);
            exit(1);
        }
        if nth >= 2 {
            std::thread::sleep(GRACE);
            leave(signal);
        }
    })
}

/// The inputs are read, and from here on there is something to bring to its end.
pub fn working() {
    WORKING.store(true, Ordering::Relaxed);
}

/// Calls `then` with the number of each such signal, from 1, and the signal, on a thread of its own. A SIGHUP that was
/// ignored when the program was started, as under `nohup`, stays ignored.
///
/// # Errors
/// As [`watch`].
pub fn on_signal(mut then: impl FnMut(usize, c_int) + Send + 'static) -> Result<()> {
    let watched = [SIGINT, SIGTERM].into_iter().chain((!outlives_its_terminal()).then_some(SIGHUP));
    let mut signals = Signals::new(watched).context("Ctrl-C could not be caught")?;
    let wait = move || {
        for signal in signals.forever() {
            then(COUNT.fetch_add(1, Ordering::Relaxed) + 1, signal);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).context("Ctrl-C could not be caught")?;
    Ok(())
}

/// As [`on_signal`], for work with something to save: signals within a second count once.
///
/// # Errors
/// As [`watch`].
#[cfg(feature = "train")]
pub fn on_request(mut then: impl FnMut(usize, c_int) + Send + 'static) -> Result<()> {
    let (mut requests, mut last) = (0, None::<Instant>);
    on_signal(move |_, signal| {
        if last.is_none_or(|last| last.elapsed() >= SAME) {
            last = Some(Instant::now());
            requests += 1;
            then(requests, signal);
        }
    })
}

/// From now on a write beyond the limit on the size of files (`ulimit -f`) is an error as on a full disk, and does not end
/// the program.
pub fn outlive_file_limit() {
    #[cfg(unix)]
    // Where it can't be caught the system does what it always does.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Default::default());
}

/// How many signals came.
pub fn count() -> usize {
    COUNT.load(Ordering::Relaxed)
}

/// A flag that the first signal sets, with `message` on stderr; one that comes more than a second later ends the program.
///
/// # Errors
/// As [`watch`].
#[cfg(feature = "train")]
pub fn flag(message: &'static str) -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    on_request(move |nth, signal| {
        if nth > 1 {
            leave(signal);
        }
        set.store(true, Ordering::Relaxed);
        wavesynth_output::say!("{message}");
    })?;
    Ok(flag)
}

/// Ends the program at once: no destructor and no library has a say, for it may be one of them that hangs.
pub fn leave(signal: c_int) -> ! {
    exit(128 + signal)
}

fn exit(status: c_int) -> ! {
    #[cfg(all(feature = "device", unix))]
    super::play::restore_terminal();
    signal_hook::low_level::exit(status)
}

/// Whether SIGHUP was ignored from the start; no where the system doesn't tell.
fn outlives_its_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored & (1 << (SIGHUP - 1)) != 0
}

/// Why something was not waited for any longer.
#[derive(Debug, thiserror::Error)]
pub enum GivenUp {
    /// A signal came.
    #[error("interrupted")]
    Interrupted,
    /// It has taken too long, in seconds.
    #[error("no answer within {0} s")]
    TooLong(u64),
}

/// `work`, on a thread of its own so that a signal, or `limit`, can end the wait for what may hang. The thread is left to
/// itself then.
///
/// # Errors
/// [`GivenUp`].
pub fn wait_for<T: Send + 'static>(
    limit: Option<Duration>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (before, start) = (count(), Instant::now());
    let done = on_own_thread(work)?;
    loop {
        match done.recv_timeout(Duration::from_millis(10)) {
            Ok(value) => return Ok(value),
            Err(RecvTimeoutError::Disconnected) => bail!("a thread stopped on an internal error"),
            Err(RecvTimeoutError::Timeout) if count() > before => return Err(GivenUp::Interrupted.into()),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if let Some(limit) = limit.filter(|limit| start.elapsed() > *limit) {
            return Err(GivenUp::TooLong(limit.as_secs()).into());
        }
    }
}

/// Where the result of `work` comes once it is done.
///
/// # Errors
/// A system without threads to spare.
pub fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<Receiver<T>> {
    let (send, done) = bounded(1);
    std::thread::Builder::new().spawn(move || send.send(work())).context("a thread could not be started")?;
    Ok(done)
}
