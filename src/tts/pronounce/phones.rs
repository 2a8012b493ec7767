//! The phone sets. Their order is a format: number i is the character U+0100 + i in what models learn and in lists of
//! exceptions.

use super::super::Language;

/// Of CMUdict, in ARPABET: consonants, then each vowel unstressed (0), with primary (1) and with secondary stress (2).
#[rustfmt::skip]
pub const ENGLISH: [&str; 69] = [
    "B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH",
    "AA0", "AA1", "AA2", "AE0", "AE1", "AE2", "AH0", "AH1", "AH2", "AO0", "AO1", "AO2", "AW0", "AW1", "AW2",
    "AY0", "AY1", "AY2", "EH0", "EH1", "EH2", "ER0", "ER1", "ER2", "EY0", "EY1", "EY2", "IH0", "IH1", "IH2",
    "IY0", "IY1", "IY2", "OW0", "OW1", "OW2", "OY0", "OY1", "OY2", "UH0", "UH1", "UH2", "UW0", "UW1", "UW2",
];

/// Of the Festival voice `msu_ru_nsh`: a doubled consonant is soft, a doubled vowel stressed; a, e, i, y, u are unstressed,
/// ae, ay and ur reduced.
#[rustfmt::skip]
pub const RUSSIAN: [&str; 51] = [
    "p", "pp", "b", "bb", "t", "tt", "d", "dd", "k", "kk", "g", "gg", "c", "ch", "f", "ff", "v", "vv", "s", "ss", "z", "zz",
    "sh", "sch", "zh", "h", "hh", "m", "mm", "n", "nn", "l", "ll", "r", "rr", "j",
    "aa", "ee", "ii", "oo", "uu", "yy", "a", "e", "i", "y", "u", "ae", "ay", "ur", "o",
];

/// Consonants; vowels with stress 0 and 1; glides.
#[rustfmt::skip]
pub const SPANISH: [&str; 30] = [
    "p", "b", "t", "d", "k", "g", "m", "n", "ny", "ng", "f", "s", "x", "ch", "ll", "l", "r", "rr", "j", "w",
    "a0", "a1", "e0", "e1", "i0", "i1", "o0", "o1", "u0", "u1",
];

/// Consonants, a long one twice; vowels with stress 0 and 1, E and O the open ones; glides.
#[rustfmt::skip]
pub const ITALIAN: [&str; 38] = [
    "p", "b", "t", "d", "k", "g", "m", "n", "ny", "ng", "f", "v", "s", "z", "sh", "ts", "dz", "ch", "jh", "lj", "l", "r", "j", "w",
    "a0", "a1", "e0", "e1", "E0", "E1", "i0", "i1", "o0", "o1", "O0", "O1", "u0", "u1",
];

/// Consonants, glides (hy as in `huit`), vowels (an, on, in, un nasal). French stress falls on the end of a phrase and is no
/// part of a word.
#[rustfmt::skip]
pub const FRENCH: [&str; 37] = [
    "p", "b", "t", "d", "k", "g", "m", "n", "ny", "ng", "f", "v", "s", "z", "sh", "zh", "l", "r", "j", "w", "hy",
    "a", "e", "E", "i", "o", "O", "u", "y", "eu", "oe", "ax", "an", "on", "in", "un", "A",
];

/// The character of phone number `i`.
pub fn character(i: u8) -> char {
    char::from_u32(0x100 + u32::from(i)).unwrap_or('\0')
}

/// The number of the phone that `c` stands for, if it stands for one of the first `n`.
pub fn number(c: char, n: usize) -> Option<u8> {
    let i = u32::from(c).checked_sub(0x100)? as usize;
    (i < n).then_some(i as u8)
}

/// The number of a phone by its name.
pub fn find(language: Language, name: &str) -> Option<u8> {
    language.phones().iter().position(|p| *p == name).map(|i| i as u8)
}

/// The numbers of phones by their names with spaces between them; names that there are not are left out.
pub fn parse(language: Language, names: &str) -> Vec<u8> {
    names.split_ascii_whitespace().filter_map(|n| find(language, n)).collect()
}
