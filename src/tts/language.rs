//! The languages that can be said, and the phones of each.

use super::pronounce::phones;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// American English.
    English,
    /// Russian.
    Russian,
    /// Spanish of Latin America.
    Spanish,
    /// Italian.
    Italian,
    /// French.
    French,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::English, Self::Russian, Self::Spanish, Self::Italian, Self::French];

    /// Its code in ISO 639-1: `en`.
    pub fn name(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Russian => "ru",
            Self::Spanish => "es",
            Self::Italian => "it",
            Self::French => "fr",
        }
    }

    /// The language of that code.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|l| l.name() == name)
    }

    /// The names of its phones. Of a vowel there is one for each stress.
    pub fn phones(self) -> &'static [&'static str] {
        match self {
            Self::English => &phones::ENGLISH,
            Self::Russian => &phones::RUSSIAN,
            Self::Spanish => &phones::SPANISH,
            Self::Italian => &phones::ITALIAN,
            Self::French => &phones::FRENCH,
        }
    }
}

/// What is no code of a language.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("language is {0:?}, wanted a language's code, as \"en\"")]
pub struct NoCode(String);

/// Checks that `name` can be the code of a language, one that the program knows or another: a word of small letters, digits and `-`,
/// which can be part of a file name.
///
/// # Errors
/// It can't.
pub fn check_code(name: &str) -> Result<(), NoCode> {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match (2..=16).contains(&name.len()) && name.chars().all(is_letter) {
        true => Ok(()),
        false => Err(NoCode(name.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_language_has_its_name_and_phones_of_different_names() {
        for language in Language::ALL {
            assert_eq!(Language::from_name(language.name()), Some(language));
            assert_eq!(check_code(language.name()), Ok(()));
            let names: BTreeSet<_> = language.phones().iter().collect();
            assert_eq!(names.len(), language.phones().len(), "{language:?}");
        }
        assert_eq!(Language::from_name("English"), None);
        assert_eq!(check_code("mul"), Ok(()));
        for bad in ["", "e", "EN", "../evil", "a b", "\u{1b}[31m", "é-fr", "abcdefghijklmnopq"] {
            let message = check_code(bad).unwrap_err().to_string();
            assert!(message.starts_with("language is ") && !message.contains('\u{1b}'), "{message}");
        }
    }
}
