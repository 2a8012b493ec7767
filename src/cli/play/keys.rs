//! Keys of a terminal from the bytes that it sends.

/// A key that means something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Backspace,
    Escape,
    Up,
    Down,
    /// Ctrl-D.
    End,
}

/// Takes bytes, gives keys. What it does not know, and bytes that are no UTF-8, is nothing.
#[derive(Default)]
pub(super) struct Decoder {
    state: State,
    /// The beginning of a character of several bytes.
    character: Vec<u8>,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    Ground,
    /// After the escape key, or the first byte of what another key sends.
    Escape,
    /// Within what such a key sends; whether it is longer than the shortest.
    Sequence { long: bool },
}

impl Decoder {
    /// The key that `byte` completes.
    pub(super) fn push(&mut self, byte: u8) -> Option<Key> {
        match (self.state, byte) {
            (_, 0x1b) => {
                self.character.clear();
                // Escape twice is the key twice, of which one is enough.
                let twice = self.state == State::Escape;
                self.state = if twice { State::Ground } else { State::Escape };
                twice.then_some(Key::Escape)
            }
            (State::Escape, b'[' | b'O') => self.to(State::Sequence { long: false }, None),
            // A letter under Alt.
            (State::Escape, _) => self.to(State::Ground, None),
            (State::Sequence { long: false }, b'A') => self.to(State::Ground, Some(Key::Up)),
            (State::Sequence { long: false }, b'B') => self.to(State::Ground, Some(Key::Down)),
            // `[[` begins a function key of the Linux console.
            (State::Sequence { long: true }, 0x40..=0x7e) => self.to(State::Ground, None),
            (State::Sequence { long: false }, 0x40..=0x7e) if byte != b'[' => self.to(State::Ground, None),
            (State::Sequence { .. }, _) => self.to(State::Sequence { long: true }, None),
            (State::Ground, b'\r' | b'\n') => Some(Key::Enter),
            (State::Ground, 0x7f | 0x08) => Some(Key::Backspace),
            (State::Ground, 0x04) => Some(Key::End),
            (State::Ground, 0..0x20) => None,
            (State::Ground, _) => self.text(byte),
        }
    }

    /// Whether bytes are awaited that belong to the last one.
    pub(super) fn is_within(&self) -> bool {
        self.state != State::Ground
    }

    /// What the bytes so far mean when no more follow: a terminal sends all of a key at once.
    pub(super) fn pause(&mut self) -> Option<Key> {
        self.character.clear();
        let key = (self.state == State::Escape).then_some(Key::Escape);
        self.to(State::Ground, key)
    }

    fn to(&mut self, state: State, key: Option<Key>) -> Option<Key> {
        self.state = state;
        key
    }

    fn text(&mut self, byte: u8) -> Option<Key> {
        if byte.is_ascii() {
            self.character.clear();
            return Some(Key::Char(byte.into()));
        }
        self.character.push(byte);
        match std::str::from_utf8(&self.character) {
            Ok(text) => {
                let key = text.chars().next().map(Key::Char);
                self.character.clear();
                key
            }
            Err(e) => {
                if e.error_len().is_some() {
                    self.character.clear();
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Key> {
        bytes.iter().filter_map(|&b| decoder.push(b)).collect()
    }

    #[test]
    fn keys_are_told_apart() {
        let mut d = Decoder::default();
        assert_eq!(
            keys(&mut d, b" q\r\x7f\x04"),
            [Key::Char(' '), Key::Char('q'), Key::Enter, Key::Backspace, Key::End]
        );
        assert_eq!(keys(&mut d, b"\x1b[A\x1bOB\x1b[1;5A\x1b[[Aq"), [Key::Up, Key::Down, Key::Char('q')]);
        assert_eq!(keys(&mut d, "ä語".as_bytes()), [Key::Char('ä'), Key::Char('語')]);
        assert_eq!(keys(&mut d, b"\xff\xc3q\xe8\xffq"), [Key::Char('q'), Key::Char('q')]);
    }

    /// Alt+[ is the beginning of what an arrow sends.
    #[test]
    fn a_beginning_without_an_end_blocks_no_key() {
        for begun in [&b"\x1b["[..], b"\x1bO", b"\x1b[1;5", b"\x1b[[", b"\xc3"] {
            let mut d = Decoder::default();
            assert_eq!(keys(&mut d, begun), []);
            assert_eq!((d.pause(), d.is_within()), (None, false));
            assert_eq!(keys(&mut d, b"q"), [Key::Char('q')]);
        }
        let mut d = Decoder::default();
        assert_eq!(keys(&mut d, b"\x1b"), []);
        assert!(d.is_within());
        assert_eq!(d.pause(), Some(Key::Escape));
    }
}
