//! Running text to [utterances](super::utterance): sentences, then words as they are said, then their phones.
//!
//! ```text
//! sentences   text in pieces of any size → sentences
//! characters  one form for what looks the same
//! tokens      words, digits, marks
//! normalise   what is written → words that are said
//! numbers     numbers as words
//! tables      what each language calls things
//! espeak      the same by espeak-ng, for other languages
//! ```

mod characters;
pub mod espeak;
mod normalise;
mod numbers;
mod sentences;
mod tables;
mod tokens;

use super::Language;
use super::pronounce::{Pronouncer, Spelling};
use super::utterance::{Break, Utterance, Word};
use anyhow::Result;
use normalise::Item;
use sentences::{Sentence, Sentences};
use std::fmt::{self, Display};

/// Words of an utterance at most: one that numbers make longer is given out in parts.
const MOST_WORDS: usize = 60;

/// Characters of a piece.
const PIECE: usize = 80;

/// Kinds of what could not be read that are remembered.
const MOST_UNREAD: usize = 1000;

/// What could not be read, and was left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unread {
    /// A character that the language does not say: of another script, an emoji, a control character.
    Character(char),
    /// Markup, which means nothing here: `<break time="1s"/>`, `&nbsp;`.
    Markup(String),
    /// A sound that is near to none of the model's.
    Sound(String),
}

impl Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character(c) if c.is_control() => write!(f, "U+{:04X}", u32::from(*c)),
            Self::Character(c) => write!(f, "{c} (U+{:04X})", u32::from(*c)),
            Self::Markup(tag) => write!(f, "the markup {}", tag.escape_debug()),
            Self::Sound(sound) => write!(f, "the sound [{}]", sound.escape_debug()),
        }
    }
}

/// Reads the text of a language.
pub struct FrontEnd {
    pronouncer: Pronouncer,
}

impl FrontEnd {
    /// With what the program has of `language`.
    ///
    /// # Errors
    /// As [`Pronouncer::shipped`].
    pub fn new(language: Language) -> Result<Self> {
        Ok(Self { pronouncer: Pronouncer::shipped(language)? })
    }

    /// With pronunciations of one's own.
    pub fn with(pronouncer: Pronouncer) -> Self {
        Self { pronouncer }
    }

    /// Its language.
    pub fn language(&self) -> Language {
        self.pronouncer.language()
    }

    /// How words are said.
    pub fn pronouncer(&self) -> &Pronouncer {
        &self.pronouncer
    }

    /// All of `text`, and what of it could not be read.
    pub fn read(&self, text: &str) -> (Vec<Utterance>, Vec<Unread>) {
        let mut reader = self.reader();
        let mut utterances = reader.push(text);
        utterances.extend(reader.finish());
        (utterances, reader.unread)
    }

    /// Reads text that comes in pieces.
    pub fn reader(&self) -> TextReader<'_> {
        TextReader { front_end: self, sentences: Sentences::new(Some(self.language())), unread: Vec::new() }
    }

    fn utterances(&self, sentence: &Sentence, unread: &mut Vec<Unread>) -> Vec<Utterance> {
        let items = normalise::normalise(self.language(), &sentence.text, unread);
        unread.truncate(MOST_UNREAD);
        let mut spellings: Vec<(Spelling, bool)> = Vec::new();
        for item in &items {
            match item {
                Item::Word(word) => spellings.push((Spelling::Word(word), false)),
                Item::Letter(c) => spellings.push((Spelling::Letter(*c), false)),
                Item::Pause => {
                    if let Some(last) = spellings.last_mut() {
                        last.1 = true;
                    }
                }
            }
        }
        // No sentence goes on without a breath.
        for last in spellings.chunks_mut(MOST_WORDS).filter_map(<[_]>::last_mut) {
            last.1 = true;
        }
        let phones = self.pronouncer.sentence(&spellings);
        let words = spellings.iter().zip(phones).map(|((spelling, pause), phones)| Word {
            text: match spelling {
                Spelling::Word(word) => word.to_string(),
                Spelling::Letter(c) => c.to_string(),
            },
            phones: phones.into_iter().map(String::from).collect(),
            after: if *pause { Break::Phrase } else { Break::None },
        });
        let words: Vec<Word> = words.collect();
        let mut parts: Vec<Utterance> = words
            .chunks(MOST_WORDS)
            .map(|part| Utterance { words: part.iter().filter(|w| !w.phones.is_empty()).cloned().collect() })
            .filter(|u| !u.words.is_empty())
            .collect();
        let count = parts.len();
        for (i, part) in parts.iter_mut().enumerate() {
            if let Some(last) = part.words.last_mut() {
                last.after = if i + 1 == count { sentence.end } else { Break::Phrase };
            }
        }
        parts
    }
}

/// Reads text that comes in pieces and gives out each sentence as soon as it is complete. Memory does not grow with the text;
/// what comes out does not depend on the pieces.
pub struct TextReader<'a> {
    front_end: &'a FrontEnd,
    sentences: Sentences,
    unread: Vec<Unread>,
}

impl TextReader<'_> {
    /// Reads on: the utterances that are complete by now.
    pub fn push(&mut self, text: &str) -> Vec<Utterance> {
        let mut sentences = Vec::new();
        self.sentences.push(text, &mut sentences);
        self.utterances(&sentences)
    }

    /// What has been read so far is the end of a sentence, whatever comes after it: for a line that a person has typed.
    pub fn flush(&mut self) -> Vec<Utterance> {
        let mut sentences = Vec::new();
        self.sentences.flush(&mut sentences);
        self.utterances(&sentences)
    }

    /// The text is over: what is left of it.
    pub fn finish(&mut self) -> Vec<Utterance> {
        self.flush()
    }

    /// What could not be read so far, each once, a thousand at most.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    fn utterances(&mut self, sentences: &[Sentence]) -> Vec<Utterance> {
        sentences.iter().flat_map(|s| self.front_end.utterances(s, &mut self.unread)).collect()
    }
}

/// `text` in pieces for a [`TextReader`]: a sentence can be said while the next ones are read.
pub fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let end = text.char_indices().nth(PIECE).map_or(text.len(), |(at, _)| at);
        let (piece, rest) = text.split_at(end);
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests;
