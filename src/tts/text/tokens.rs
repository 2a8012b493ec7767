//! A sentence as words, runs of digits, and single marks.

use crate::tts::Language;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Letters, and apostrophes between them.
    Word,
    /// Decimal digits 0 to 9.
    Digits,
    /// Any other character, alone.
    Mark,
}

/// A part of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// Its characters.
    pub text: &'a str,
    /// What it is.
    pub kind: Kind,
    /// Whether white space stands in front of it.
    pub space: bool,
    /// Where it begins in the sentence.
    pub at: usize,
}

impl Token<'_> {
    /// Whether it is the mark `c`.
    pub fn is(&self, c: char) -> bool {
        self.kind == Kind::Mark && self.text.chars().eq([c])
    }
}

/// Whether `c` is a letter, or a mark upon one.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() || unicode_normalization::char::is_combining_mark(c)
}

/// The tokens of `text`.
pub fn split(language: Language, text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut space = true;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
            space = true;
            continue;
        }
        let (kind, len) = if c.is_ascii_digit() {
            (Kind::Digits, rest.bytes().take_while(u8::is_ascii_digit).count())
        } else {
            match word_len(language, rest) {
                0 => (Kind::Mark, c.len_utf8()),
                len => (Kind::Word, len),
            }
        };
        tokens.push(Token { text: &rest[..len], kind, space, at: text.len() - rest.len() });
        rest = &rest[len..];
        space = false;
    }
    tokens
}

/// Bytes of the word that `text` begins with.
fn word_len(language: Language, text: &str) -> usize {
    // In Russian a plus marks the stress.
    let is_stress = |c: char, next: Option<char>| {
        language == Language::Russian && c == '+' && next.is_some_and(|c| "аеёиоуыэюяАЕЁИОУЫЭЮЯ".contains(c))
    };
    let mut letters = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|n| n.1);
        let inside = letters && c == '\'' && next.is_some_and(char::is_alphabetic);
        if is_letter(c) && (letters || c.is_alphabetic()) {
            letters = true;
        } else if !(inside || is_stress(c, next)) {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_alone() {
        let texts = |language, text| -> Vec<&str> { split(language, text).iter().map(|t| t.text).collect() };
        assert_eq!(
            texts(Language::English, "Don't, A4 3.5€ 'no'"),
            ["Don't", ",", "A", "4", "3", ".", "5", "€", "'", "no", "'"]
        );
        assert_eq!(
            texts(Language::Russian, "вол+ос +5 +а за\u{301}мок"),
            ["вол+ос", "+", "5", "+а", "за\u{301}мок"]
        );
        assert_eq!(texts(Language::English, "\u{301}a 1+a"), ["\u{301}", "a", "1", "+", "a"]);
        let spaces: Vec<bool> = split(Language::English, "a b,c").iter().map(|t| t.space).collect();
        assert_eq!(spaces, [true, true, false, false]);
    }
}
