//! Running text, in pieces of any size, to sentences.

use super::tables::{self, Abbreviation};
use crate::tts::Language;
use crate::tts::utterance::Break;

/// Words behind which a long sentence is cut at the next comma.
const MANY_WORDS: usize = 24;

/// Words, and bytes, behind which it is cut anywhere.
const MOST_WORDS: usize = 40;
const MOST_BYTES: usize = 800;

/// A sentence as it is written, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Its characters.
    pub text: String,
    /// How it ends; [`Break::Phrase`] where it goes on in the next one.
    pub end: Break,
}

/// Cuts text into sentences. What comes out depends on the text alone, not on the pieces that it comes in.
#[derive(Debug)]
pub struct Sentences {
    /// Whose abbreviations are known.
    language: Option<Language>,
    text: String,
    words: usize,
    /// White space behind the text so far.
    space: Space,
    /// Line breaks in it.
    lines: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    No,
    /// The sentence goes on.
    Yes,
    /// The next character decides whether it goes on.
    Waits(Kind),
}

/// What stands at the end of what may be a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The mark of an end: it is none only where the next word is small.
    Mark,
    /// An abbreviation that can stand at the end: it does where the next word is a capital.
    Abbreviation,
}

impl Sentences {
    /// Nothing read yet.
    pub fn new(language: Option<Language>) -> Self {
        Self { language, text: String::new(), words: 0, space: Space::No, lines: 0 }
    }

    /// Reads on, and gives the sentences that are complete by now to `out`.
    pub fn push(&mut self, text: &str, out: &mut Vec<Sentence>) {
        for c in text.chars() {
            self.character(c, out);
        }
    }

    /// The end of what has been read so far is the end of a sentence.
    pub fn flush(&mut self, out: &mut Vec<Sentence>) {
        self.end(None, out);
    }

    /// Bytes held back.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.text.len()
    }

    fn character(&mut self, c: char, out: &mut Vec<Sentence>) {
        if c.is_whitespace() || c == '\u{feff}' {
            self.white_space(c, out);
            return;
        }
        if let Space::Waits(kind) = self.space {
            let goes_on = match kind {
                Kind::Mark => c.is_lowercase() || matches!(c, '-' | '–' | '—' | ',' | ';' | ':' | ')' | ']'),
                Kind::Abbreviation => !(c.is_uppercase() || matches!(c, '«' | '"' | '“' | '„')),
            };
            if !goes_on {
                self.end(None, out);
            }
        }
        if self.space != Space::No && !self.text.is_empty() {
            self.text.push(' ');
        }
        (self.space, self.lines) = (Space::No, 0);
        self.text.push(c);
        if self.text.len() > MOST_BYTES {
            self.end(Some(Break::Phrase), out);
        }
    }

    fn white_space(&mut self, c: char, out: &mut Vec<Sentence>) {
        if self.text.is_empty() {
            return;
        }
        if self.space == Space::No {
            self.words += 1;
            self.space = match self.ending() {
                Some(kind) => Space::Waits(kind),
                None => Space::Yes,
            };
            let pause = is_pause(&self.text);
            let long = self.words >= MOST_WORDS || (self.words >= MANY_WORDS && pause);
            if self.space == Space::Yes && long {
                self.end(Some(Break::Phrase), out);
                return;
            }
        }
        if c == '\n' {
            self.lines += 1;
            // A paragraph ends at an empty line, a sentence at the end of a line too.
            if self.lines > 1 || self.space == Space::Waits(Kind::Mark) {
                self.end(None, out);
            }
        }
    }

    fn end(&mut self, end: Option<Break>, out: &mut Vec<Sentence>) {
        let text = std::mem::take(&mut self.text);
        (self.words, self.space, self.lines) = (0, Space::No, 0);
        if !text.is_empty() {
            let end = end.unwrap_or_else(|| break_of(&text));
            out.push(Sentence { text, end });
        }
    }

    /// Whether what is there may be a whole sentence.
    fn ending(&self) -> Option<Kind> {
        let (front, marks) = end_marks(&self.text);
        match marks {
            "" => None,
            "." => self.ending_in_point(front),
            _ => Some(Kind::Mark),
        }
    }

    fn ending_in_point(&self, front: &str) -> Option<Kind> {
        let word = front.rsplit(' ').next().unwrap_or(front);
        let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
        // The number of an item in a list.
        if front.len() == word.len() && word.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        // г. is a town, and behind a number a year.
        let before = front[..front.len() - word.len()].trim_end();
        if self.language == Some(Language::Russian)
            && word == "г"
            && !before.ends_with(|c: char| c.is_ascii_digit())
        {
            return None;
        }
        match self.language.and_then(|language| tables::abbreviation(language, word)) {
            Some(Abbreviation::Inside) => None,
            Some(Abbreviation::Anywhere) => Some(Kind::Abbreviation),
            None => {
                let mut letters = word.chars();
                match (letters.next(), letters.next()) {
                    (Some('I'), None) => Some(Kind::Mark),
                    // An initial.
                    (Some(c), None) if c.is_uppercase() => None,
                    (Some(c), None) if c.is_lowercase() => Some(Kind::Abbreviation),
                    // U.S.
                    (Some(_), Some('.')) => None,
                    _ => Some(Kind::Mark),
                }
            }
        }
    }
}

/// Whether there is a pause behind `text`, which goes on.
pub fn is_pause(text: &str) -> bool {
    text.ends_with([',', ';', ':', '—', '–'])
}

/// What closes a quotation or a bracket behind a mark.
fn is_closing(c: char) -> bool {
    matches!(c, '"' | '\'' | '”' | '’' | '»' | '“' | ')' | ']' | '}')
}

/// `text` without its last marks, and these.
fn end_marks(text: &str) -> (&str, &str) {
    let text = text.trim_end_matches(is_closing);
    let front = text.trim_end_matches(['.', '!', '?', '…', '‽', '。', '！', '？', '¡', '¿']);
    (front, &text[front.len()..])
}

/// What the marks at the end of `text` say.
pub fn break_of(text: &str) -> Break {
    let (_, marks) = end_marks(text);
    if marks.contains(['?', '？', '‽']) {
        Break::Question
    } else if marks.contains(['!', '！']) {
        Break::Exclamation
    } else {
        Break::Statement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(language: Language, text: &str) -> Vec<String> {
        let mut all = Vec::new();
        let mut sentences = Sentences::new(Some(language));
        sentences.push(text, &mut all);
        sentences.flush(&mut all);
        all.into_iter().map(|s| s.text).collect()
    }

    #[test]
    fn sentences_end_where_a_reader_would_stop() {
        for (text, want) in [
            ("Hello. My name is Allison.", vec!["Hello.", "My name is Allison."]),
            (
                "Dr. Smith lives at 5 Main St. in Rome. He is 3.5 m tall!",
                vec!["Dr. Smith lives at 5 Main St. in Rome.", "He is 3.5 m tall!"],
            ),
            (
                "Come at 5 p.m. He waits. J. R. R. Tolkien etc. and so on",
                vec!["Come at 5 p.m.", "He waits.", "J. R. R. Tolkien etc. and so on"],
            ),
            (
                "\"Stop!\" he said. \"Why?\" (She ran.) Yes...",
                vec!["\"Stop!\" he said.", "\"Why?\"", "(She ran.)", "Yes..."],
            ),
            ("A heading\n\nThe text\nof two lines", vec!["A heading", "The text of two lines"]),
            ("1. Milk. 2. Bread.", vec!["1. Milk.", "2. Bread."]),
            ("...", vec!["..."]),
            ("", vec![]),
        ] {
            assert_eq!(cut(Language::English, text), want);
        }
        for (text, want) in [
            (
                "В 1984 г. он жил в г. Москве. Т. е. давно.",
                vec!["В 1984 г. он жил в г. Москве.", "Т. е. давно."],
            ),
            (
                "Это было в 1984 г. Потом — нет! — сказал он.",
                vec!["Это было в 1984 г.", "Потом — нет! — сказал он."],
            ),
            ("А. С. Пушкин и др. поэты. Да?", vec!["А. С. Пушкин и др. поэты.", "Да?"]),
        ] {
            assert_eq!(cut(Language::Russian, text), want);
        }
    }

    #[test]
    fn a_line_that_ends_a_sentence_gives_it_out() {
        let mut sentences = Sentences::new(Some(Language::English));
        let mut all = Vec::new();
        sentences.push("Is it? Yes, it is.", &mut all);
        assert_eq!(all.len(), 1);
        sentences.push("\n", &mut all);
        assert_eq!(all[1], Sentence { text: "Yes, it is.".into(), end: Break::Statement });
        assert_eq!(all[0].end, Break::Question);
    }

    #[test]
    fn a_sentence_without_an_end_is_cut() {
        let long = "one two three, ".repeat(30);
        let all = cut(Language::English, &long);
        assert!(all.len() == 4 && all.iter().all(|s| s.ends_with("three,")), "{all:?}");
        assert_eq!(cut(Language::English, &"word ".repeat(100)).len(), 3);
        assert_eq!(cut(Language::English, &"w".repeat(2000)).len(), 3);
    }
}
