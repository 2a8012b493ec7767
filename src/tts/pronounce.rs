//! From the letters of a word to its phones.
//!
//! | language | what tells the phones |
//! |---|---|
//! | English | an autoregressive model, and a list of the words of CMUdict that it would get wrong |
//! | Russian | such a model and such a list for the stress, rules for the rest |
//! | Spanish, Italian, French | rules |

pub mod common;
pub mod english;
mod exceptions;
pub mod french;
pub mod italian;
mod model;
pub mod phones;
mod rules;
pub mod russian;
pub mod sounds;
pub mod spanish;

pub use exceptions::Exceptions;
pub use model::PromptModel;

use super::Language;
use crate::shipped;
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The name of what the program has of a language: its model, and its exceptions.
fn shipped_name(language: Language) -> Option<&'static str> {
    match language {
        Language::English => Some("g2p-en"),
        Language::Russian => Some("stress-ru"),
        Language::Spanish | Language::Italian | Language::French => None,
    }
}

/// Words whose phones are remembered; then all are forgotten.
const REMEMBERED: usize = 8192;

/// Letters that a word is read in pieces of, where it is longer.
const LONGEST: usize = 60;

/// Says words of a language.
pub struct Pronouncer {
    language: Language,
    model: Option<PromptModel>,
    exceptions: Exceptions,
    remembered: Mutex<HashMap<Box<str>, Box<[u8]>>>,
}

/// A word and what stands behind it, for [`Pronouncer::sentence`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling<'a> {
    /// A word: lower-case letters of the language, and an apostrophe, hyphen or mark of stress in it.
    Word(&'a str),
    /// The name of a letter.
    Letter(char),
}

impl Pronouncer {
    /// With what the program has of `language`.
    ///
    /// # Errors
    /// A program that was built without it.
    pub fn shipped(language: Language) -> Result<Self> {
        let Some(name) = shipped_name(language) else {
            return Ok(Self::new(language, None, Exceptions::default()));
        };
        let missing = || {
            format!(
                "this program was built without models/pretrained/say/{name}, which says words of `{}`",
                language.name()
            )
        };
        let file = shipped::say(name).with_context(missing)?;
        let model = PromptModel::open(file, name, language.phones().len())?;
        let exceptions = Exceptions::read(shipped::exceptions(name).with_context(missing)?)?;
        Ok(Self::new(language, Some(model), exceptions))
    }

    /// With a model and exceptions of one's own; rules need neither.
    pub fn new(language: Language, model: Option<PromptModel>, exceptions: Exceptions) -> Self {
        Self { language, model, exceptions, remembered: Mutex::default() }
    }

    /// Its language.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The phones of `word`, said alone: lower-case letters of the language. Empty where there is nothing to say.
    pub fn word(&self, word: &str) -> Vec<u8> {
        let lock = || self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(word) {
            return known.to_vec();
        }
        let said = self.look_up(word);
        let mut remembered = lock();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(word.into(), said.clone().into());
        said
    }

    fn look_up(&self, word: &str) -> Vec<u8> {
        if word.chars().nth(LONGEST).is_some() {
            let letters: Vec<char> = word.chars().collect();
            let pieces = letters.chunks(LONGEST).map(String::from_iter);
            return pieces.flat_map(|piece| self.look_up(&piece)).collect();
        }
        match self.language {
            Language::English => self.english(word),
            Language::Russian => self.russian(word),
            Language::Spanish => spanish::phones(word),
            Language::Italian => italian::phones(word),
            Language::French => french::phones(word),
        }
    }

    fn english(&self, word: &str) -> Vec<u8> {
        let count = phones::ENGLISH.len();
        if let Some(said) = self.exceptions.get(word) {
            return said.chars().filter_map(|c| phones::number(c, count)).collect();
        }
        if let Some((base, ends_in_s)) = english::possessive(word) {
            let mut said = self.english(base);
            if ends_in_s {
                said.extend(english::plural(said.last().map(|&p| phones::ENGLISH[usize::from(p)])));
            }
            return said;
        }
        let said = self.model.as_ref().and_then(|m| m.phones(word));
        said.filter(|s| !s.is_empty())
            .unwrap_or_else(|| word.chars().filter_map(english::letter).flatten().collect())
    }

    fn russian(&self, word: &str) -> Vec<u8> {
        let (word, marked) = russian::marked_stress(word);
        let (stress, is_yo) = match marked {
            _ if russian::clitic(&word).is_some() => (0, false),
            Some(stress) => (stress, false),
            None => self.russian_stress(&word),
        };
        let said = russian::phones(&word, stress, is_yo);
        said.iter().filter_map(|name| phones::find(self.language, name)).collect()
    }

    /// The stressed vowel of a word that has several, counted from the end, and whether it is a ё that is written е.
    pub fn russian_stress(&self, word: &str) -> (usize, bool) {
        if let Some(said) = self.exceptions.get(word) {
            let mut said = said.chars();
            let digit = said.next().and_then(|c| c.to_digit(10)).unwrap_or(1);
            return (digit as usize, said.next() == Some('ё'));
        }
        // The particles of `кто-то`, `где-нибудь` leave the stress where it is.
        for particle in ["-то", "-нибудь", "-либо", "-ка", "-таки"] {
            if let Some(base) = word.strip_suffix(particle) {
                let (stress, is_yo) = match russian::vowels(base) {
                    0 | 1 => (1, false),
                    _ => self.russian_stress(base),
                };
                return (stress + russian::vowels(particle), is_yo);
            }
        }
        let vowels = russian::vowels(word);
        let digits: Vec<char> = (1..=vowels.min(9)).filter_map(|n| char::from_digit(n as u32, 10)).collect();
        let chosen = self.model.as_ref().and_then(|m| m.choose(word, &digits, 'ё'));
        // The last vowel but one, as the middle of what there is, where the model does not know a letter.
        let (digit, is_yo) = chosen.unwrap_or((if vowels > 1 { '2' } else { '1' }, false));
        (digit.to_digit(10).unwrap_or(1) as usize, is_yo)
    }

    /// The phones of the words of a sentence, each as it is said in front of the next one; with each, whether a pause follows.
    pub fn sentence(&self, words: &[(Spelling, bool)]) -> Vec<Vec<&'static str>> {
        let names = self.language.phones();
        let name = |p: &u8| names[usize::from(*p)];
        let mut all: Vec<Vec<&'static str>> =
            words.iter().map(|(spelling, _)| self.spelled(*spelling).iter().map(name).collect()).collect();
        for i in 1..all.len() {
            if self.language == Language::English && words[i].0 == Spelling::Word("'s") {
                // The ending of an acronym.
                all[i] = english::plural(all[i - 1].last().copied()).iter().map(name).collect();
            }
        }
        // From the end: what a word is like depends on the one behind it.
        for (i, &(spelling, pause)) in words.iter().enumerate().rev() {
            let Spelling::Word(word) = spelling else { continue };
            let next = (i + 1..all.len()).find(|&k| !all[k].is_empty()).filter(|_| !pause).map(|k| all[k][0]);
            match self.language {
                Language::English => {
                    if let Some(weak) = english::in_sentence(word, next) {
                        all[i] = weak.iter().map(name).collect();
                    }
                }
                Language::Russian => russian::join(&mut all[i], russian::clitic(word) == Some(true), next),
                Language::French => {
                    if let Some(sound) = next.and_then(|next| french::liaison(word, next)) {
                        all[i].extend(sound.iter().map(name));
                    }
                }
                Language::Spanish | Language::Italian => {}
            }
        }
        all
    }

    fn spelled(&self, spelling: Spelling) -> Vec<u8> {
        let letter = |c: char, name: fn(char) -> Option<&'static str>| -> Vec<u8> {
            name(c).iter().flat_map(|words| words.split(' ')).flat_map(|w| self.letter_name(w)).collect()
        };
        match (spelling, self.language) {
            (Spelling::Word(word), _) => self.word(word),
            (Spelling::Letter(c), Language::English) => english::letter(c).unwrap_or_default(),
            (Spelling::Letter(c), Language::Russian) => letter(c, russian::letter),
            (Spelling::Letter(c), Language::Spanish) => letter(c, spanish::letter),
            (Spelling::Letter(c), Language::Italian) => letter(c, italian::letter),
            (Spelling::Letter(c), Language::French) => letter(c, french::letter),
        }
    }

    /// A letter's name has its stress, also where it is the same as a word without one: `o`, `a`.
    fn letter_name(&self, name: &str) -> Vec<u8> {
        let said = self.word(name);
        match self.language {
            Language::Russian => {
                let (plain, marked) = russian::marked_stress(name);
                let said = russian::phones(&plain, marked.unwrap_or(1), false);
                said.iter().filter_map(|n| phones::find(self.language, n)).collect()
            }
            Language::Spanish | Language::Italian if said.len() == 1 => {
                let name = self.language.phones()[usize::from(said[0])];
                match name.strip_suffix('0') {
                    Some(vowel) => phones::parse(self.language, &format!("{vowel}1")),
                    None => said,
                }
            }
            _ => said,
        }
    }
}

#[cfg(test)]
mod tests;
