//! Commands to a voice while it plays: keys on a terminal, lines on any other stdin.

use crossbeam_channel::{Receiver, bounded};
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal;
use std::io::{IsTerminal, stderr, stdin};
use std::path::PathBuf;
use std::time::Duration;
use wavesynth::shipped;

/// Shown by `play --help` and by `help`.
pub(super) const HELP: &str = "\
While playing, lines on stdin, or after a colon on a terminal:
  condition FILE [SECONDS]  go over to another speaker or track, the speaker within so many seconds
  temperature T             change how freely symbols are drawn
  pause, resume, stop, help
Keys on a terminal:
  space  pause or resume    + -  temperature    1 ... 9  the shipped speakers, within a second
  :      type a line        q    stop           ?        help";

/// Longest cross-fade, in seconds.
const MAX_FADE: f64 = 3600.0;
/// Lines that may wait to be handled.
const LINES: usize = 16;

/// One thing asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    Change { path: PathBuf, fade_ms: u32 },
    Temperature(f32),
    Warmer(f32),
    Pause,
    Resume,
    TogglePause,
    Stop,
    Help,
}

/// Where actions come from.
pub(super) struct Controls {
    source: Source,
    interrupts: usize,
}

enum Source {
    Keys(Keys),
    /// A thread that blocks on stdin; at its end the channel closes, and playing goes on.
    Lines(Receiver<String>),
    /// Stdin brings something else.
    Nothing,
}

impl Controls {
    /// From stdin, if that is free.
    pub(super) fn new(stdin_is_free: bool) -> Self {
        if !stdin_is_free {
            return Self { source: Source::Nothing, interrupts: 0 };
        }
        let keys = (stdin().is_terminal() && stderr().is_terminal()).then(Keys::new).flatten();
        let source = keys.map_or_else(|| Source::Lines(read_lines()), Source::Keys);
        Self { source, interrupts: 0 }
    }

    /// Waits for `time`, or less when something was asked for.
    pub(super) fn wait(&mut self, time: Duration) -> Vec<Result<Action, String>> {
        match &mut self.source {
            Source::Keys(keys) => {
                let mut actions = Vec::new();
                // A terminal that fails is as good as a silent one.
                if event::poll(time).unwrap_or_else(|_| {
                    std::thread::sleep(time);
                    false
                }) && let Ok(Event::Key(key)) = event::read()
                    && key.kind != KeyEventKind::Release
                {
                    if key.modifiers.contains(KeyModifiers::CONTROL) {
                        self.interrupts += usize::from(matches!(key.code, KeyCode::Char('c' | 'd')));
                    } else {
                        actions.extend(keys.press(key.code).transpose());
                    }
                }
                actions
            }
            Source::Lines(lines) => {
                std::thread::sleep(time);
                lines.try_iter().filter_map(|line| parse(&line).transpose()).collect()
            }
            Source::Nothing => {
                std::thread::sleep(time);
                Vec::new()
            }
        }
    }

    /// Ctrl-C as a key: in raw mode the terminal sends no signal.
    pub(super) fn interrupts(&self) -> usize {
        self.interrupts
    }

    /// The line being typed, if one is.
    pub(super) fn prompt(&self) -> Option<String> {
        match &self.source {
            Source::Keys(keys) => keys.typed.clone(),
            Source::Lines(_) | Source::Nothing => None,
        }
    }
}

fn read_lines() -> Receiver<String> {
    let (send, lines) = bounded(LINES);
    std::thread::spawn(move || {
        for line in stdin().lines() {
            // Bytes that are no text end the input as its end does.
            let Ok(line) = line else { return };
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Raw mode, undone on drop: at the end, on an error, and in a panic.
struct Keys {
    typed: Option<String>,
}

impl Keys {
    fn new() -> Option<Self> {
        terminal::enable_raw_mode().ok().map(|()| Self { typed: None })
    }

    fn press(&mut self, key: KeyCode) -> Result<Option<Action>, String> {
        if let Some(typed) = &mut self.typed {
            match key {
                KeyCode::Enter => {
                    let line = self.typed.take().unwrap_or_default();
                    return parse(&line);
                }
                KeyCode::Esc => self.typed = None,
                KeyCode::Backspace if typed.is_empty() => self.typed = None,
                KeyCode::Backspace => drop(typed.pop()),
                KeyCode::Char(c) => typed.push(c),
                _ => {}
            }
            return Ok(None);
        }
        Ok(match key {
            KeyCode::Char(' ') => Some(Action::TogglePause),
            KeyCode::Char('+' | '=') | KeyCode::Up => Some(Action::Warmer(0.05)),
            KeyCode::Char('-') | KeyCode::Down => Some(Action::Warmer(-0.05)),
            KeyCode::Char('q') | KeyCode::Esc => Some(Action::Stop),
            KeyCode::Char('?' | 'h') => Some(Action::Help),
            KeyCode::Char(':') => {
                self.typed = Some(String::new());
                None
            }
            KeyCode::Char(c @ '1'..='9') => {
                let i = c as usize - '1' as usize;
                let name = shipped::speakers().nth(i);
                let name = name.ok_or_else(|| format!("there is no shipped speaker {c}"))?;
                Some(Action::Change { path: name.into(), fade_ms: 1000 })
            }
            _ => None,
        })
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // Nothing better can be done about a terminal that refuses.
        let _ = terminal::disable_raw_mode();
    }
}

/// A line as typed; `None` for an empty one.
fn parse(line: &str) -> Result<Option<Action>, String> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let bare = |action| match rest {
        "" => Ok(Some(action)),
        _ => Err(format!("{word}: takes nothing after it, got `{rest}`")),
    };
    match word {
        "" => Ok(None),
        "condition" | "c" if rest.is_empty() => Err("condition: which? condition FILE [SECONDS]".into()),
        "condition" | "c" => {
            // A file name may hold blanks; a number at the end is the time unless it is all there is.
            let (path, fade) = match rest.rsplit_once(char::is_whitespace) {
                Some((path, last)) => match last.parse::<f64>() {
                    Ok(s) => (path.trim(), s),
                    Err(_) => (rest, 0.0),
                },
                None => (rest, 0.0),
            };
            if !(0.0..=MAX_FADE).contains(&fade) {
                return Err(format!("condition: {fade} seconds, wanted 0 to {MAX_FADE}"));
            }
            Ok(Some(Action::Change { path: path.into(), fade_ms: (fade * 1000.0) as u32 }))
        }
        "temperature" | "t" => match rest.parse::<f32>() {
            Ok(t) => Ok(Some(Action::Temperature(t))),
            Err(_) => Err(format!("temperature: `{rest}` is no number")),
        },
        "pause" => bare(Action::Pause),
        "resume" => bare(Action::Resume),
        "stop" | "q" | "quit" => bare(Action::Stop),
        "help" | "?" => bare(Action::Help),
        _ => Err(format!("{word}: no such command; try help")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_what_they_say() {
        let change = |path: &str, fade_ms| Ok(Some(Action::Change { path: path.into(), fade_ms }));
        assert_eq!(parse("condition a.bin"), change("a.bin", 0));
        assert_eq!(parse("  condition  my voice.bin 2.5 "), change("my voice.bin", 2500));
        assert_eq!(parse("condition 7"), change("7", 0));
        assert_eq!(parse("temperature 0.8"), Ok(Some(Action::Temperature(0.8))));
        assert_eq!(parse("pause"), Ok(Some(Action::Pause)));
        assert_eq!(parse(" "), Ok(None));
        for bad in ["condition", "condition a -1", "condition a nan", "temperature x", "pause now", "louder"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_type_a_line() {
        let mut keys = Keys { typed: None };
        assert_eq!(keys.press(KeyCode::Char(' ')), Ok(Some(Action::TogglePause)));
        for c in ":stopp".chars() {
            assert_eq!(keys.press(KeyCode::Char(c)), Ok(None));
        }
        keys.press(KeyCode::Backspace).unwrap();
        assert_eq!(keys.press(KeyCode::Enter), Ok(Some(Action::Stop)));
        assert_eq!(keys.typed, None);
    }
}
