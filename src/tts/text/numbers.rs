//! Numbers as words.

mod english;
mod romance;
mod russian;

use crate::tts::Language;

pub use russian::{Ending, form};

/// The first number that is read digit by digit.
pub const TOO_LARGE: u64 = 1_000_000_000_000_000;

/// What a number agrees with, where the language asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gender {
    /// Also of a number alone.
    #[default]
    Masculine,
    /// Feminine.
    Feminine,
    /// Neuter.
    Neuter,
    /// Masculine in front of a noun: `un euro`.
    BeforeNoun,
}

/// `n` as a cardinal: `forty two`.
pub fn cardinal(language: Language, n: u64, gender: Gender) -> String {
    if n >= TOO_LARGE {
        return digits(language, &n.to_string());
    }
    match language {
        Language::English => english::cardinal(n),
        Language::Russian => russian::cardinal(n, gender),
        Language::Spanish => romance::spanish(n, gender),
        Language::Italian => romance::italian(n, gender),
        Language::French => romance::french(n, gender),
    }
}

/// `n` as an ordinal: `forty second`. The ending is for Russian; elsewhere [`Ending::Feminine`] is one and all others are masculine.
pub fn ordinal(language: Language, n: u64, ending: Ending) -> String {
    if n >= TOO_LARGE {
        return digits(language, &n.to_string());
    }
    let feminine = ending == Ending::Feminine;
    match language {
        Language::English => english::ordinal(n),
        Language::Russian => russian::ordinal(n, ending),
        Language::Spanish => romance::spanish_ordinal(n, feminine),
        Language::Italian => romance::italian_ordinal(n, feminine),
        Language::French => romance::french_ordinal(n, feminine),
    }
}

/// `n` as a year.
pub fn year(language: Language, n: u64) -> String {
    match language {
        Language::English => english::year(n),
        _ => cardinal(language, n, Gender::Masculine),
    }
}

/// Each digit of `text` as a word; what is no digit is left out.
pub fn digits(language: Language, text: &str) -> String {
    let words: Vec<String> = text
        .chars()
        .filter_map(|c| c.to_digit(10))
        .map(|d| cardinal(language, d.into(), Gender::Masculine))
        .collect();
    words.join(" ")
}

/// Words of three digits for each group of a number, with the groups' names between them.
fn groups(n: u64, three: impl Fn(u64, usize) -> String, name: impl Fn(u64, usize) -> String) -> String {
    let mut words: Vec<String> = Vec::new();
    for group in (0..5).rev() {
        let part = n / 1000u64.pow(group as u32) % 1000;
        if part > 0 {
            words.extend([three(part, group), name(part, group)]);
        }
    }
    words.retain(|w| !w.is_empty());
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(language: Language, table: &[(u64, &str)]) {
        for &(n, words) in table {
            assert_eq!(cardinal(language, n, Gender::Masculine), words, "{language:?} {n}");
        }
    }

    #[test]
    fn cardinals() {
        check(
            Language::English,
            &[
                (0, "zero"),
                (13, "thirteen"),
                (42, "forty two"),
                (100, "one hundred"),
                (342, "three hundred forty two"),
                (1_000_005, "one million five"),
                (
                    999_999_999_999_999,
                    "nine hundred ninety nine trillion nine hundred ninety nine billion nine hundred ninety nine million nine hundred ninety nine thousand nine hundred ninety nine",
                ),
                (TOO_LARGE, "one zero zero zero zero zero zero zero zero zero zero zero zero zero zero zero"),
            ],
        );
        check(
            Language::Russian,
            &[
                (0, "ноль"),
                (21, "двадцать один"),
                (2_002, "две тысячи два"),
                (5_000_000, "пять миллионов"),
                (11_011, "одиннадцать тысяч одиннадцать"),
            ],
        );
        check(
            Language::Spanish,
            &[
                (0, "cero"),
                (16, "dieciséis"),
                (22, "veintidós"),
                (31, "treinta y uno"),
                (100, "cien"),
                (101, "ciento uno"),
                (555, "quinientos cincuenta y cinco"),
                (1_000, "mil"),
                (21_000, "veintiún mil"),
                (1_000_000, "un millón"),
                (2_000_000_000, "dos mil millones"),
            ],
        );
        check(
            Language::Italian,
            &[
                (0, "zero"),
                (21, "ventuno"),
                (23, "ventitré"),
                (100, "cento"),
                (1_000, "mille"),
                (2_028, "due mila ventotto"),
                (1_000_000, "un milione"),
            ],
        );
        check(
            Language::French,
            &[
                (0, "zéro"),
                (21, "vingt et un"),
                (71, "soixante et onze"),
                (80, "quatre vingts"),
                (81, "quatre vingt un"),
                (99, "quatre vingt dix neuf"),
                (200, "deux cents"),
                (201, "deux cent un"),
                (1_000, "mille"),
                (80_000, "quatre vingt mille"),
                (2_000_000, "deux millions"),
            ],
        );
    }

    #[test]
    fn ordinals() {
        for (language, n, ending, words) in [
            (Language::English, 1, Ending::Masculine, "first"),
            (Language::English, 23, Ending::Masculine, "twenty third"),
            (Language::English, 40, Ending::Masculine, "fortieth"),
            (Language::English, 112, Ending::Masculine, "one hundred twelfth"),
            (Language::Russian, 3, Ending::Masculine, "третий"),
            (Language::Russian, 3, Ending::Feminine, "третья"),
            (Language::Russian, 2_026, Ending::Genitive, "две тысячи двадцать шестого"),
            (Language::Russian, 1_984, Ending::Prepositional, "тысяча девятьсот восемьдесят четвёртом"),
            (Language::Russian, 2_000, Ending::Masculine, "двухтысячный"),
            (Language::Russian, 40, Ending::Neuter, "сороковое"),
            (Language::Spanish, 3, Ending::Feminine, "tercera"),
            (Language::Spanish, 12, Ending::Masculine, "doce"),
            (Language::Italian, 8, Ending::Masculine, "ottavo"),
            (Language::Italian, 23, Ending::Feminine, "ventitreesima"),
            (Language::French, 1, Ending::Feminine, "première"),
            (Language::French, 21, Ending::Masculine, "vingt et unième"),
            (Language::French, 9, Ending::Masculine, "neuvième"),
        ] {
            assert_eq!(ordinal(language, n, ending), words, "{language:?} {n}");
        }
    }

    #[test]
    fn english_years() {
        for (n, words) in [
            (1984, "nineteen eighty four"),
            (1900, "nineteen hundred"),
            (1905, "nineteen oh five"),
            (2000, "two thousand"),
            (2009, "two thousand nine"),
            (2026, "twenty twenty six"),
        ] {
            assert_eq!(year(Language::English, n), words);
        }
    }
}
