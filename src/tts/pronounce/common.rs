//! One set of phones for all languages, so that one model can learn from the recordings of several: of each phone the sound nearest to it,
//! named in the IPA. The sets of the languages are finer in places and coarser in others; what is alike enough to learn from shares a name.

use super::super::Language;
use super::super::phones::parts;

/// A language's code where it is several (ISO 639-2).
pub const MULTIPLE: &str = "mul";

#[rustfmt::skip]
const ENGLISH: &[(&str, &str)] = &[
    ("B", "b"), ("CH", "tʃ"), ("D", "d"), ("DH", "ð"), ("F", "f"), ("G", "ɡ"), ("HH", "h"), ("JH", "dʒ"), ("K", "k"), ("L", "l"), ("M", "m"),
    ("N", "n"), ("NG", "ŋ"), ("P", "p"), ("R", "ɹ"), ("S", "s"), ("SH", "ʃ"), ("T", "t"), ("TH", "θ"), ("V", "v"), ("W", "w"), ("Y", "j"),
    ("Z", "z"), ("ZH", "ʒ"), ("AA", "a"), ("AE", "æ"), ("AH", "ə"), ("AO", "ɔ"), ("AW", "aʊ"), ("AY", "aɪ"), ("EH", "ɛ"), ("ER", "ɝ"),
    ("EY", "e"), ("IH", "ɪ"), ("IY", "i"), ("OW", "o"), ("OY", "ɔɪ"), ("UH", "ʊ"), ("UW", "u"),
];

#[rustfmt::skip]
const SPANISH: &[(&str, &str)] = &[
    ("p", "p"), ("b", "b"), ("t", "t"), ("d", "d"), ("k", "k"), ("g", "ɡ"), ("m", "m"), ("n", "n"), ("ny", "ɲ"), ("ng", "ŋ"), ("f", "f"),
    ("s", "s"), ("x", "h"), ("ch", "tʃ"), ("ll", "j"), ("l", "l"), ("r", "r"), ("rr", "r"), ("j", "j"), ("w", "w"),
    ("a", "a"), ("e", "ɛ"), ("i", "i"), ("o", "o"), ("u", "u"),
];

#[rustfmt::skip]
const ITALIAN: &[(&str, &str)] = &[
    ("p", "p"), ("b", "b"), ("t", "t"), ("d", "d"), ("k", "k"), ("g", "ɡ"), ("m", "m"), ("n", "n"), ("ny", "ɲ"), ("ng", "ŋ"), ("f", "f"),
    ("v", "v"), ("s", "s"), ("z", "z"), ("sh", "ʃ"), ("ts", "ts"), ("dz", "dz"), ("ch", "tʃ"), ("jh", "dʒ"), ("lj", "ʎ"), ("l", "l"),
    ("r", "r"), ("j", "j"), ("w", "w"), ("a", "a"), ("e", "e"), ("E", "ɛ"), ("i", "i"), ("o", "o"), ("O", "ɔ"), ("u", "u"),
];

#[rustfmt::skip]
const FRENCH: &[(&str, &str)] = &[
    ("p", "p"), ("b", "b"), ("t", "t"), ("d", "d"), ("k", "k"), ("g", "ɡ"), ("m", "m"), ("n", "n"), ("ny", "ɲ"), ("ng", "ŋ"), ("f", "f"),
    ("v", "v"), ("s", "s"), ("z", "z"), ("sh", "ʃ"), ("zh", "ʒ"), ("l", "l"), ("r", "ʁ"), ("j", "j"), ("w", "w"), ("hy", "ɥ"),
    ("a", "a"), ("A", "a"), ("e", "e"), ("E", "ɛ"), ("i", "i"), ("o", "o"), ("O", "ɔ"), ("u", "u"), ("y", "y"), ("eu", "ø"), ("oe", "œ"),
    ("ax", "ə"), ("an", "ɑ̃"), ("on", "ɔ̃"), ("in", "ɛ̃"), ("un", "œ̃"),
];

/// With stress, which its vowels' names tell.
#[rustfmt::skip]
const RUSSIAN: &[(&str, &str)] = &[
    ("p", "p"), ("pp", "pʲ"), ("b", "b"), ("bb", "bʲ"), ("t", "t"), ("tt", "tʲ"), ("d", "d"), ("dd", "dʲ"), ("k", "k"), ("kk", "kʲ"),
    ("g", "ɡ"), ("gg", "ɡʲ"), ("c", "ts"), ("ch", "tʃ"), ("f", "f"), ("ff", "fʲ"), ("v", "v"), ("vv", "vʲ"), ("s", "s"), ("ss", "sʲ"),
    ("z", "z"), ("zz", "zʲ"), ("sh", "ʃ"), ("sch", "ɕ"), ("zh", "ʒ"), ("h", "h"), ("hh", "hʲ"), ("m", "m"), ("mm", "mʲ"), ("n", "n"),
    ("nn", "nʲ"), ("l", "l"), ("ll", "lʲ"), ("r", "r"), ("rr", "rʲ"), ("j", "j"),
    ("aa", "a1"), ("ee", "ɛ1"), ("ii", "i1"), ("oo", "ɔ1"), ("uu", "u1"), ("yy", "ɨ1"),
    ("a", "ə"), ("e", "ɛ"), ("i", "ɪ"), ("y", "ɨ"), ("u", "ʊ"), ("ae", "ɪ"), ("ay", "ə"), ("ur", "ʊ"), ("o", "ɔ"),
];

/// The common phone of a phone of `language`, whatever stress stands behind its name; in Russian with the stress that its name tells.
pub fn common(language: Language, name: &str) -> Option<&'static str> {
    let table = match language {
        Language::English => ENGLISH,
        Language::Russian => RUSSIAN,
        Language::Spanish => SPANISH,
        Language::Italian => ITALIAN,
        Language::French => FRENCH,
    };
    table.iter().find(|(own, _)| *own == name).map(|(_, common)| *common)
}

/// The common name of a phone of `language` with the stress behind its name; a phone that it does not have keeps its own.
pub fn named(language: Language, name: &str) -> String {
    let (base, stress) = parts(name);
    match common(language, base) {
        None => name.into(),
        Some(common) if stress == 0 => common.into(),
        Some(common) => format!("{common}{stress}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phone_has_a_common_one() {
        for language in Language::ALL {
            for name in language.phones() {
                let found = common(language, parts(name).0);
                assert!(found.is_some_and(|c| !parts(c).0.is_empty()), "{language:?} {name}");
            }
        }
        assert_eq!(common(Language::Russian, "aa"), Some("a1"));
        assert_eq!(common(Language::English, "aa"), None);
        let all = [
            (Language::English, "ER1"),
            (Language::Russian, "oo"),
            (Language::French, "r"),
            (Language::French, "zz"),
        ];
        assert_eq!(all.map(|(language, name)| named(language, name)), ["ɝ1", "ɔ1", "ʁ", "zz"]);
    }
}
