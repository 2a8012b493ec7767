//! A sentence as it is written to the words that are said.
//!
//! ```text
//! quantities   numbers and what stands around them: units, ranges, telephone numbers
//! money        sums of money
//! dates        dates, years and times of day
//! words        abbreviations, acronyms, Roman numerals, letters of another alphabet
//! addresses    of pages and of mail
//! ```

mod addresses;
mod dates;
mod money;
mod quantities;
mod words;

use super::Unread;
use super::characters;
use super::tables::{self, Tables};
use super::tokens::{self, Kind, Token};
use crate::tts::Language;

/// A part of what is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A word in small letters.
    Word(String),
    /// The name of a letter.
    Letter(char),
    /// A short pause.
    Pause,
}

/// Reads a sentence. What can't be said is left out and goes to `unread`.
pub fn normalise(language: Language, text: &str, unread: &mut Vec<Unread>) -> Vec<Item> {
    let text = characters::plain(text);
    let tokens = tokens::split(language, &text);
    // Capitals mean nothing where a word is too long for an acronym and there are no others.
    let is_long = |t: &Token| t.kind == Kind::Word && t.text.chars().count() > words::LONGEST_ACRONYM;
    let shouts = !text.chars().any(char::is_lowercase) && tokens.iter().any(is_long);
    let tables = tables::of(language);
    let mut reader =
        Reader { language, tables, text: &text, tokens: &tokens, at: 0, items: Vec::new(), shouts, unread };
    while reader.at < tokens.len() {
        reader.next();
    }
    reader.items
}

/// A place in a sentence, and what has been said so far.
struct Reader<'a> {
    language: Language,
    tables: &'static Tables,
    text: &'a str,
    tokens: &'a [Token<'a>],
    at: usize,
    items: Vec<Item>,
    /// Whether the sentence is in capitals, so that they mean nothing.
    shouts: bool,
    unread: &'a mut Vec<Unread>,
}

impl<'a> Reader<'a> {
    /// Says what begins here, and goes behind it.
    fn next(&mut self) {
        let at = self.at;
        let known = self.markup()
            || self.address()
            || self.abbreviation()
            || self.date()
            || self.time()
            || self.telephone()
            || self.money()
            || self.quantity()
            || self.word();
        if !known {
            self.mark();
        }
        debug_assert!(self.at > at);
    }

    /// Token number `i` from here.
    fn token(&self, i: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + i).copied()
    }

    /// The digits of token `i` where it is digits, joined to the one before it or not.
    fn digits(&self, i: usize, joined: bool) -> Option<&'a str> {
        self.token(i).filter(|t| t.kind == Kind::Digits && !(joined && t.space)).map(|t| t.text)
    }

    /// Whether token `i` is the mark `c` and joined to the one before it.
    fn joined_mark(&self, i: usize, c: char) -> bool {
        self.token(i).is_some_and(|t| t.is(c) && !t.space)
    }

    /// The text of the word that is token `i`, in small letters.
    fn word_at(&self, i: usize) -> Option<String> {
        self.token(i).filter(|t| t.kind == Kind::Word).map(|t| t.text.to_lowercase())
    }

    /// The token in front of this one.
    fn before(&self) -> Option<Token<'a>> {
        self.at.checked_sub(1).map(|i| self.tokens[i])
    }

    /// Adds words with spaces between them.
    fn say(&mut self, words: &str) {
        self.items.extend(words.split_ascii_whitespace().map(|w| Item::Word(w.into())));
    }

    fn spell(&mut self, letters: &str) {
        self.items.extend(letters.to_lowercase().chars().map(Item::Letter));
    }

    fn pause(&mut self) {
        if self.items.last().is_some_and(|i| *i != Item::Pause) {
            self.items.push(Item::Pause);
        }
    }

    fn note(&mut self, what: Unread) {
        if !self.unread.contains(&what) {
            self.unread.push(what);
        }
    }

    /// `<tag …>` or `&name;`: named, and not said.
    fn markup(&mut self) -> bool {
        /// Bytes of a tag at most.
        const LONGEST: usize = 400;
        let Some(here) = self.token(0) else { return false };
        let rest = &self.text[here.at..];
        let end = match () {
            () if here.is('<')
                && rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c)) =>
            {
                '>'
            }
            () if here.is('&') && rest[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '#') => ';',
            () => return false,
        };
        let Some(len) = rest.find(end).map(|i| i + 1).filter(|&n| n <= LONGEST) else { return false };
        let tag = &rest[..len];
        if end == ';' && tag.contains(char::is_whitespace) {
            return false;
        }
        self.note(Unread::Markup(tag.to_string()));
        while self.token(0).is_some_and(|t| t.at < here.at + len) {
            self.at += 1;
        }
        true
    }

    /// A single mark.
    fn mark(&mut self) {
        let Some(token) = self.token(0) else { return };
        self.at += 1;
        let c = token.text.chars().next().unwrap_or(' ');
        let spaced = token.space || self.token(0).is_none_or(|t| t.space);
        match c {
            ',' | ';' | ':' | '.' | '!' | '?' | '…' | '—' | '(' | ')' | '[' | ']' | '{' | '}' | '·' | '•' => {
                self.pause()
            }
            '–' | '-' if spaced => self.pause(),
            '"' | '\'' | '-' | '–' => {}
            '#' if self.token(0).is_some_and(|t| t.kind == Kind::Digits) => self.say(self.tables.number),
            // A sign of money stands alone only where it is no sign of money.
            c => match self.tables.marks.iter().find(|m| m.0 == c) {
                Some((_, words)) => self.say(words),
                None => self.note(Unread::Character(c)),
            },
        }
    }
}
