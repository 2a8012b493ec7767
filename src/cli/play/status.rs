//! The live status line.

use super::screen::Screen;
use super::strain::Strain;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};
use wavesynth::synth::Session;
use wavesynth_models::weights::Dtype;
use wavesynth_output::shown;

/// On a terminal, one line rewritten in place.
const REFRESH: Duration = Duration::from_millis(200);
/// Elsewhere, lines that a log can bear.
const LOG: Duration = Duration::from_secs(3);

pub(super) struct Status {
    screen: Screen,
    terminal: bool,
    shown: Option<Instant>,
    last: String,
    voice_rate: u32,
    total: Option<u64>,
    strain: Strain,
}

/// What a status is made from, beside the session.
pub(super) struct State<'a> {
    /// Gaps of the device's own.
    pub xruns: u64,
    pub paused: bool,
    /// Whether samples are taken.
    pub playing: bool,
    /// The line being typed.
    pub prompt: Option<&'a str>,
}

impl Status {
    /// `total` is in samples at the voice's rate, where it can't change. `live` input keeps little in the ring.
    pub(super) fn new(voice_rate: u32, total: Option<u64>, dtype: Dtype, live: bool) -> Self {
        Self {
            screen: Screen::new(),
            terminal: stderr().is_terminal(),
            shown: None,
            last: String::new(),
            voice_rate,
            total,
            strain: Strain::new(dtype, live),
        }
    }

    /// The state of `session`, if it is time.
    pub(super) fn show<O>(&mut self, session: &Session<O>, state: &State) {
        let every = if self.terminal { REFRESH } else { LOG };
        let counts = session.counts();
        let underruns = counts.underruns + state.xruns;
        let (busy, samples) = session.progress().busy();
        let speed = samples as f64 / f64::from(self.voice_rate) / busy.as_secs_f64().max(1e-9);
        let setup = session.setup();
        let fill = 100 * session.fill().min(setup.ring_samples) / setup.ring_samples.max(1);
        if state.playing
            && !state.paused
            && let Some(advice) = self.strain.advice(fill, underruns, speed, setup)
        {
            self.print(&advice);
        }
        if self.shown.is_some_and(|t| t.elapsed() < every) && !(self.terminal && state.prompt.is_some()) {
            return;
        }
        // Without a terminal the first line is worth having only when something has happened.
        let first = self.shown.is_none();
        self.shown = Some(Instant::now());
        if first && !self.terminal {
            return;
        }
        // What is made, less what still waits in the ring; silence played in a pause is no time of the voice's.
        let made = session.progress().position() as f64 / f64::from(self.voice_rate);
        let played = (made - session.fill() as f64 / f64::from(setup.device_rate)).max(0.0);
        let total = self.total.map(|t| format!(" of {:.1}", t as f64 / f64::from(self.voice_rate)));
        let line = format!(
            "{played:6.1}{} s   {speed:.2} x real time   ring {fill:3} %   {underruns} underruns{}",
            total.unwrap_or_default(),
            match (state.playing, state.paused) {
                (false, _) => "   waiting for the device",
                (true, true) => "   paused",
                (true, false) => "",
            }
        );
        let line = match state.prompt {
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
        self.screen.write(if self.terminal {
            // A terminal in raw mode needs an explicit carriage return.
            format!("\r\x1b[K{}\r\n", message.replace('\n', "\r\n"))
        } else {
            format!("{message}\n")
        });
        // A line that was typed has been handled by now.
        if self.last.starts_with(':') {
            self.last.clear();
        }
        if self.terminal {
            self.draw();
        }
    }

    fn draw(&self) {
        self.screen.write(if self.terminal {
            format!("\r\x1b[K{}", self.last)
        } else {
            format!("{}\n", self.last.trim_start())
        });
    }
}

impl Drop for Status {
    /// Ends the line, for what is written next.
    fn drop(&mut self) {
        if self.terminal {
            self.screen.write("\r\x1b[K".into());
        }
    }
}
