//! Commands to a voice while it plays: keys on a terminal, lines on any other stdin.

use super::keys::{Decoder, Key};
use super::terminal::{Read, Stdin};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::ffi::OsStr;
use std::io::{IsTerminal, stderr, stdin};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
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
/// Actions that may wait to be handled.
const WAITING: usize = 16;
/// Longest line.
const LONGEST: usize = 4096;
/// Lines in a row that are answered although they mean nothing: a file on stdin may hold a million.
const ANSWERED: usize = 5;
/// How often the thread looks whether the terminal is its own.
const LOOK: Duration = Duration::from_millis(200);
/// Time after which no more bytes of a key come.
const KEY: Duration = Duration::from_millis(50);

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

/// What a line or a key asks for, or why it asks for nothing.
type Asked = Result<Action, String>;

/// Where actions come from: a thread that waits for stdin, so that nothing else has to.
pub(super) struct Controls {
    actions: Receiver<Asked>,
    /// The line being typed, if one is.
    typed: Arc<Mutex<Option<String>>>,
    ended: bool,
}

impl Controls {
    /// From stdin, if that is free. Its end is no end of playing.
    pub(super) fn new(stdin_is_free: bool) -> Self {
        let (send, actions) = bounded(WAITING);
        let typed = Arc::new(Mutex::new(None));
        if stdin_is_free {
            let keys = stdin().is_terminal() && stderr().is_terminal();
            let mut source = Stdin::new(keys);
            let mut keys = keys.then(|| Keys { typed: typed.clone() });
            let work = move || match &mut keys {
                Some(keys) => keys.read(&mut source, &send),
                None => read_lines(&mut source, &send),
            };
            // Without a thread to spare it plays without commands.
            let _ = std::thread::Builder::new().name("controls".into()).spawn(work);
        }
        Self { actions, typed, ended: false }
    }

    /// Waits for `time`, or less when something was asked for.
    pub(super) fn wait(&mut self, time: Duration) -> Vec<Asked> {
        match self.actions.recv_timeout(time) {
            Ok(first) => std::iter::once(first).chain(self.actions.try_iter()).collect(),
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => {
                self.ended = true;
                std::thread::sleep(time);
                Vec::new()
            }
        }
    }

    /// Whether nothing can be asked for any more, as far as [`Controls::wait`] has seen.
    pub(super) fn are_over(&self) -> bool {
        self.ended
    }

    /// The line being typed, if one is.
    pub(super) fn prompt(&self) -> Option<String> {
        self.typed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Controls {
    /// The thread may wait for stdin for ever, and the terminal is wanted back now.
    fn drop(&mut self) {
        super::terminal::restore();
    }
}

/// Sends what the lines of `source` ask for, until either end is gone.
fn read_lines(source: &mut Stdin, to: &Sender<Asked>) {
    let mut answers = Answers { to, left: ANSWERED };
    let mut line = Vec::new();
    loop {
        match source.read(LOOK) {
            Read::Bytes(bytes) => {
                for &byte in bytes {
                    // Of a line that is too long its beginning is enough to say so.
                    match byte {
                        b'\n' if !answers.pass(&std::mem::take(&mut line)) => return,
                        b'\n' => {}
                        _ if line.len() <= LONGEST => line.push(byte),
                        _ => {}
                    }
                }
            }
            Read::Idle => {}
            Read::End => {
                answers.pass(&line);
                return;
            }
        }
    }
}

/// Passes on what lines ask for.
struct Answers<'a> {
    to: &'a Sender<Asked>,
    /// Lines that mean nothing and are still answered.
    left: usize,
}

impl Answers<'_> {
    /// False when nobody listens any more.
    fn pass(&mut self, line: &[u8]) -> bool {
        let Some(asked) = parse(line).transpose() else { return true };
        let answer = match (asked, self.left) {
            (Ok(action), _) => {
                self.left = ANSWERED;
                Ok(action)
            }
            (Err(_), 0) => return true,
            (Err(why), left) => {
                self.left -= 1;
                let more = if left == 1 { "; further lines like this are passed over" } else { "" };
                Err(format!("{why}{more}"))
            }
        };
        self.to.send(answer).is_ok()
    }
}

/// Keys, and the line that is typed with them.
struct Keys {
    typed: Arc<Mutex<Option<String>>>,
}

impl Keys {
    fn read(&mut self, source: &mut Stdin, to: &Sender<Asked>) {
        let mut decoder = Decoder::default();
        loop {
            let keys: Vec<Key> = match source.read(if decoder.is_within() { KEY } else { LOOK }) {
                Read::Bytes(bytes) => bytes.iter().filter_map(|&byte| decoder.push(byte)).collect(),
                Read::Idle => decoder.pause().into_iter().collect(),
                Read::End => return,
            };
            for key in keys {
                if let Some(asked) = self.press(key).transpose()
                    && to.send(asked).is_err()
                {
                    return;
                }
            }
        }
    }

    fn press(&mut self, key: Key) -> Result<Option<Action>, String> {
        let mut line = self.typed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(typed) = line.as_mut() {
            match key {
                Key::Enter => {
                    let typed = line.take().unwrap_or_default();
                    drop(line);
                    return parse(typed.as_bytes());
                }
                Key::Escape => *line = None,
                Key::Backspace if typed.is_empty() => *line = None,
                Key::Backspace => drop(typed.pop()),
                Key::Char(c) if typed.len() < LONGEST => typed.push(c),
                _ => {}
            }
            return Ok(None);
        }
        Ok(match key {
            Key::Char(' ') => Some(Action::TogglePause),
            Key::Char('+' | '=') | Key::Up => Some(Action::Warmer(0.05)),
            Key::Char('-') | Key::Down => Some(Action::Warmer(-0.05)),
            Key::Char('q') | Key::Escape | Key::End => Some(Action::Stop),
            Key::Char('?' | 'h') => Some(Action::Help),
            Key::Char(':') => {
                *line = Some(String::new());
                None
            }
            Key::Char(c @ '1'..='9') => {
                let i = c as usize - '1' as usize;
                let name = shipped::speakers().nth(i);
                let name = name.ok_or_else(|| format!("there is no shipped speaker {c}"))?;
                Some(Action::Change { path: name.into(), fade_ms: 1000 })
            }
            _ => None,
        })
    }
}

/// `bytes` as a terminal can show them, shortened.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let short: String = text.chars().take(60).collect();
    let rest = if short.len() < text.len() { "..." } else { "" };
    format!("{}{rest}", short.escape_debug())
}

/// A line as typed; `None` for an empty one. A path in it need not be UTF-8.
fn parse(line: &[u8]) -> Result<Option<Action>, String> {
    let line = line.trim_ascii();
    if line.len() > LONGEST {
        return Err(format!("{}: a line of more than {LONGEST} bytes", shown(line)));
    }
    let blank = |b: &u8| b.is_ascii_whitespace();
    let (word, rest) = line.split_at(line.iter().position(blank).unwrap_or(line.len()));
    let rest = rest.trim_ascii();
    let text = String::from_utf8_lossy(rest);
    let bare = |action| match rest {
        b"" => Ok(Some(action)),
        _ => Err(format!("{}: takes nothing after it, got `{}`", shown(word), shown(rest))),
    };
    match word {
        b"" => Ok(None),
        b"condition" | b"c" if rest.is_empty() => Err("condition: which? condition FILE [SECONDS]".into()),
        b"condition" | b"c" => {
            // A file name may hold blanks; a number at the end is the time unless it is all there is.
            let last = rest.iter().rposition(blank).map(|at| rest.split_at(at));
            let timed = last.and_then(|(path, s)| {
                Some((path.trim_ascii_end(), str::from_utf8(s).ok()?.trim().parse::<f64>().ok()?))
            });
            let (path, fade) = timed.unwrap_or((rest, 0.0));
            if !(0.0..=MAX_FADE).contains(&fade) {
                return Err(format!("condition: {fade} seconds, wanted 0 to {MAX_FADE}"));
            }
            let path = PathBuf::from(OsStr::from_bytes(path));
            Ok(Some(Action::Change { path, fade_ms: (fade * 1000.0) as u32 }))
        }
        b"temperature" | b"t" => match text.parse::<f32>() {
            Ok(t) => Ok(Some(Action::Temperature(t))),
            Err(_) => Err(format!("temperature: `{}` is no number", shown(rest))),
        },
        b"pause" => bare(Action::Pause),
        b"resume" => bare(Action::Resume),
        b"stop" | b"q" | b"quit" => bare(Action::Stop),
        b"help" | b"?" => bare(Action::Help),
        _ => Err(format!("{}: no such command; try help", shown(word))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_what_they_say() {
        let change = |path: &str, fade_ms| Ok(Some(Action::Change { path: path.into(), fade_ms }));
        let parse = |line: &str| parse(line.as_bytes());
        assert_eq!(parse("condition a.bin"), change("a.bin", 0));
        assert_eq!(parse("condition two  blanks.bin 1"), change("two  blanks.bin", 1000));
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
    fn lines_of_any_bytes_are_answered_in_one_short_line() {
        let path = PathBuf::from(OsStr::from_bytes(b"\xff\xfe.bin"));
        assert_eq!(parse(b"c \xff\xfe.bin 1"), Ok(Some(Action::Change { path, fade_ms: 1000 })));
        for bad in [&b"\xff\x1b[2J\r"[..], b"t \xff", b"pause \x07", &[b'a'; 9000]] {
            let why = parse(bad).unwrap_err();
            assert!(why.len() < 400 && !why.contains(char::is_control), "{why:?}");
        }
        // Only so many of them, until one means something again.
        let (send, actions) = bounded(100);
        let mut answers = Answers { to: &send, left: ANSWERED };
        assert!((0..50).all(|_| answers.pass(b"\xff")));
        let last = actions.try_iter().last().unwrap().unwrap_err();
        assert!(last.contains("passed over"), "{last}");
        assert!(answers.pass(b"stop") && answers.pass(b"?!"));
        assert_eq!(actions.try_iter().map(|a| a.is_ok()).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn keys_type_a_line() {
        let typed = Arc::default();
        let mut keys = Keys { typed: Arc::clone(&typed) };
        assert_eq!(keys.press(Key::Char(' ')), Ok(Some(Action::TogglePause)));
        for c in ":stopp".chars() {
            assert_eq!(keys.press(Key::Char(c)), Ok(None));
        }
        keys.press(Key::Backspace).unwrap();
        assert_eq!(typed.lock().unwrap().as_deref(), Some("stop"));
        assert_eq!(keys.press(Key::Enter), Ok(Some(Action::Stop)));
        assert_eq!(*typed.lock().unwrap(), None);
    }
}
