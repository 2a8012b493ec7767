//! The live status line.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};
use wavesynth::synth::{Session, SessionSetup};
use wavesynth_output::shown;

/// On a terminal, one line rewritten in place.
const REFRESH: Duration = Duration::from_millis(200);
/// Elsewhere, lines that a log can bear.
const LOG: Duration = Duration::from_secs(3);

pub(super) struct Status {
    terminal: bool,
    shown: Option<Instant>,
    last: String,
    voice_rate: u32,
    setup: SessionSetup,
    total: Option<u64>,
    warned: bool,
}

impl Status {
    /// `total` is in samples at the voice's rate, where it can't change.
    pub(super) fn new(voice_rate: u32, setup: SessionSetup, total: Option<u64>) -> Self {
        Self {
            terminal: stderr().is_terminal(),
            shown: None,
            last: String::new(),
            voice_rate,
            setup,
            total,
            warned: false,
        }
    }

    pub(super) fn setup(&self) -> SessionSetup {
        self.setup
    }

    /// The state of `session`, if it is time.
    pub(super) fn show<O>(&mut self, session: &Session<O>, xruns: u64, paused: bool, prompt: Option<&str>) {
        let every = if self.terminal { REFRESH } else { LOG };
        if self.shown.is_some_and(|t| t.elapsed() < every) && !(self.terminal && prompt.is_some()) {
            return;
        }
        // Without a terminal the first line is worth having only when something has happened.
        let first = self.shown.is_none();
        self.shown = Some(Instant::now());
        if first && !self.terminal {
            return;
        }
        let stats = session.stats();
        let underruns = stats.underruns() + xruns;
        let (busy, samples) = session.progress().busy();
        let speed = samples as f64 / f64::from(self.voice_rate) / busy.as_secs_f64().max(1e-9);
        if underruns > 0 && speed < 1.0 && !self.warned {
            self.warned = true;
            self.print(&format!(
                "the engine makes {speed:.2} x real time on this machine, so there are gaps; `render` works at any speed"
            ));
        }
        // What is made, less what still waits in the ring; silence played in a pause is no time of the voice's.
        let made = session.progress().position() as f64 / f64::from(self.voice_rate);
        let played = (made - stats.fill() as f64 / f64::from(self.setup.device_rate)).max(0.0);
        let total = self.total.map(|t| format!(" of {:.1}", t as f64 / f64::from(self.voice_rate)));
        let fill = 100 * stats.fill().min(self.setup.ring_samples) / self.setup.ring_samples.max(1);
        let line = format!(
            "{played:6.1}{} s   {speed:.2} x real time   ring {fill:3} %   {underruns} underruns{}",
            total.unwrap_or_default(),
            if paused { "   paused" } else { "" }
        );
        let line = match prompt {
            Some(typed) => format!(": {typed}"),
            None => line,
        };
        if line != self.last || !self.terminal {
            self.last = line;
            self.draw();
        }
    }

    /// A message of its own line (or lines), above the status.
    pub(super) fn print(&mut self, message: &str) {
        let message = shown::lines(message.trim_end());
        let mut err = stderr().lock();
        // A terminal in raw mode needs an explicit carriage return. A closed stderr is no reason to stop playing.
        let _ = if self.terminal {
            write!(err, "\r\x1b[K{}\r\n", message.replace('\n', "\r\n"))
        } else {
            writeln!(err, "{message}")
        };
        drop(err);
        // A line that was typed has been handled by now.
        if self.last.starts_with(':') {
            self.last.clear();
        }
        if self.terminal {
            self.draw();
        }
    }

    fn draw(&self) {
        let mut err = stderr().lock();
        let _ = if self.terminal {
            write!(err, "\r\x1b[K{}", self.last)
        } else {
            writeln!(err, "{}", self.last.trim_start())
        };
        let _ = err.flush();
    }

    /// Ends the line, for what is written next.
    pub(super) fn end(&self) {
        if self.terminal {
            let _ = write!(stderr().lock(), "\r\x1b[K");
        }
    }
}
