//! What a language calls things: abbreviations, units, money, months, marks.

mod english;
mod french;
mod italian;
mod russian;
mod spanish;

use super::numbers::Gender;
use crate::tts::Language;

/// A noun behind 1, behind 2 to 4, and behind all other numbers; only in Russian do the last two differ.
pub type Forms = [&'static str; 3];

/// What is counted.
#[derive(Debug)]
pub struct Noun {
    /// As it is written.
    pub written: &'static str,
    /// As it is said.
    pub said: Forms,
    /// What its number agrees with.
    pub gender: Gender,
}

/// Money.
#[derive(Debug)]
pub struct Currency {
    /// Its sign, or its code.
    pub written: &'static [&'static str],
    /// The whole.
    pub whole: Noun,
    /// Its hundredth part.
    pub part: Noun,
}

/// The tables of a language.
#[derive(Debug)]
pub struct Tables {
    /// Abbreviations, without the point, behind which no sentence ends.
    pub inside: &'static [&'static str],
    /// Those behind which one can.
    pub anywhere: &'static [&'static str],
    /// Abbreviations and what they stand for; `?` behind a point that may be missing.
    pub expansions: &'static [(&'static str, &'static str)],
    /// Units of measure.
    pub units: &'static [Noun],
    /// Money.
    pub currencies: &'static [Currency],
    /// Names of large numbers, that stand between a number and its money.
    pub large: &'static [(&'static str, &'static str)],
    /// Months as in a date, and other ways to write each.
    pub months: [&'static str; 12],
    /// Marks that are said.
    pub marks: &'static [(char, &'static str)],
    /// Marks that are said in an address.
    pub address: &'static [(char, &'static str)],
    /// Words of one letter.
    pub one_letter: &'static str,
    /// Words of capitals that are said as words.
    pub spoken_capitals: &'static [&'static str],
    /// What stands in front of decimals.
    pub point: &'static str,
    /// The sign of a negative number.
    pub minus: &'static str,
    /// Between the ends of a range.
    pub to: &'static str,
    /// In front of a number that is one of a row: #5.
    pub number: &'static str,
}

/// Where an abbreviation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abbreviation {
    /// Not at the end of a sentence.
    Inside,
    /// Anywhere.
    Anywhere,
}

/// The tables of `language`.
pub fn of(language: Language) -> &'static Tables {
    match language {
        Language::English => &english::TABLES,
        Language::Russian => &russian::TABLES,
        Language::Spanish => &spanish::TABLES,
        Language::Italian => &italian::TABLES,
        Language::French => &french::TABLES,
    }
}

/// Whether `word`, which a point follows, is an abbreviation.
pub fn abbreviation(language: Language, word: &str) -> Option<Abbreviation> {
    // No abbreviation is longer.
    if word.len() > 24 {
        return None;
    }
    let (word, tables) = (word.to_lowercase(), of(language));
    if tables.inside.contains(&&word[..]) {
        Some(Abbreviation::Inside)
    } else {
        tables.anywhere.contains(&&word[..]).then_some(Abbreviation::Anywhere)
    }
}

const fn noun(written: &'static str, said: Forms, gender: Gender) -> Noun {
    Noun { written, said, gender }
}

/// A noun with a singular and a plural.
const fn two(written: &'static str, one: &'static str, many: &'static str) -> Noun {
    noun(written, [one, many, many], Gender::BeforeNoun)
}

/// The same, feminine.
const fn two_feminine(written: &'static str, one: &'static str, many: &'static str) -> Noun {
    noun(written, [one, many, many], Gender::Feminine)
}
