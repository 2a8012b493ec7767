//! Messages of the program. All of them go through [`say!`](crate::say!).

use crate::shown;
use std::fmt::Arguments;
use std::io::Write;

/// A line on stderr, in the words of `format!`. What a terminal would obey is escaped. A stderr that is closed or full loses
/// the line, and nothing else happens: no work ends for want of a reader.
#[macro_export]
macro_rules! say {
    ($($arg:tt)*) => { $crate::message::line(format_args!($($arg)*)) };
}

/// As [`say!`](crate::say!).
pub fn line(text: Arguments) {
    let text = format!("{}\n", shown::line(&text.to_string()));
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// From now on a panic is a message too.
pub fn watch_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or(String::new(), |l| format!(" at {l}"));
        let what = info.payload_as_str().unwrap_or("no reason given");
        crate::say!("error: the program panicked{place}: {what}; this is a fault of its own");
        let trace = std::backtrace::Backtrace::capture();
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            let _ = writeln!(std::io::stderr().lock(), "{trace}");
        }
    }));
}
