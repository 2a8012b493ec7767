//! English: letters' names, weak forms, endings with an apostrophe.

use super::phones;
use crate::tts::Language;

/// The name of each letter.
const LETTERS: [&str; 26] = [
    "EY1",
    "B IY1",
    "S IY1",
    "D IY1",
    "IY1",
    "EH1 F",
    "JH IY1",
    "EY1 CH",
    "AY1",
    "JH EY1",
    "K EY1",
    "EH1 L",
    "EH1 M",
    "EH1 N",
    "OW1",
    "P IY1",
    "K Y UW1",
    "AA1 R",
    "EH1 S",
    "T IY1",
    "Y UW1",
    "V IY1",
    "D AH1 B AH0 L Y UW0",
    "EH1 K S",
    "W AY1",
    "Z IY1",
];

/// Words that are said weakly but before a pause, and how.
const WEAK: [(&str, &str); 45] = [
    ("a", "AH0"),
    ("am", "AH0 M"),
    ("an", "AH0 N"),
    ("and", "AH0 N D"),
    ("are", "ER0"),
    ("as", "AH0 Z"),
    ("at", "AE0 T"),
    ("be", "B IY0"),
    ("been", "B IH0 N"),
    ("but", "B AH0 T"),
    ("can", "K AH0 N"),
    ("could", "K UH0 D"),
    ("do", "D UW0"),
    ("does", "D AH0 Z"),
    ("for", "F ER0"),
    ("from", "F R AH0 M"),
    ("had", "HH AE0 D"),
    ("has", "HH AE0 Z"),
    ("have", "HH AE0 V"),
    ("he", "HH IY0"),
    ("her", "HH ER0"),
    ("him", "HH IH0 M"),
    ("his", "HH IH0 Z"),
    ("if", "IH0 F"),
    ("in", "IH0 N"),
    ("is", "IH0 Z"),
    ("it", "IH0 T"),
    ("me", "M IY0"),
    ("my", "M AY0"),
    ("of", "AH0 V"),
    ("on", "AA0 N"),
    ("or", "ER0"),
    ("shall", "SH AE0 L"),
    ("she", "SH IY0"),
    ("some", "S AH0 M"),
    ("than", "DH AH0 N"),
    ("that", "DH AE0 T"),
    ("them", "DH AH0 M"),
    ("us", "AH0 S"),
    ("was", "W AH0 Z"),
    ("we", "W IY0"),
    ("were", "W ER0"),
    ("will", "W AH0 L"),
    ("with", "W IH0 DH"),
    ("you", "Y UW0"),
];

/// The name of the letter `c`.
pub fn letter(c: char) -> Option<Vec<u8>> {
    let i = u32::from(c).checked_sub(u32::from('a'))?;
    LETTERS.get(i as usize).map(|names| phones::parse(Language::English, names))
}

/// How `word` is said in a sentence where that is not as it is said alone; `next` is the phone behind it, `None` at a pause.
pub fn in_sentence(word: &str, next: Option<&str>) -> Option<Vec<u8>> {
    let vowel = next.is_some_and(|p| p.ends_with(['0', '1', '2']));
    let names = match word {
        "the" if vowel => "DH IY0",
        "the" => "DH AH0",
        "to" if vowel => "T UW0",
        "to" if next.is_some() => "T AH0",
        // An article even in front of a pause.
        "a" => "AH0",
        _ => next.and_then(|_| WEAK.iter().find(|w| w.0 == word)).map(|w| w.1)?,
    };
    Some(phones::parse(Language::English, names))
}

/// A word and its ending `'s` or `'`, where it has one and is more than that.
pub fn possessive(word: &str) -> Option<(&str, bool)> {
    match word.strip_suffix("'s") {
        Some(base) if base.len() > 1 => Some((base, true)),
        _ => word.strip_suffix("s'").filter(|b| b.len() > 1).map(|_| (&word[..word.len() - 1], false)),
    }
}

/// The phones of `'s` behind `last`.
pub fn plural(last: Option<&str>) -> Vec<u8> {
    let names = match last {
        Some("S" | "Z" | "SH" | "ZH" | "CH" | "JH") => "IH0 Z",
        Some("P" | "T" | "K" | "F" | "TH") => "S",
        _ => "Z",
    };
    phones::parse(Language::English, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_phone() {
        let all = LETTERS.iter().chain(WEAK.iter().map(|w| &w.1));
        for names in all {
            let count = names.split_ascii_whitespace().count();
            assert_eq!(phones::parse(Language::English, names).len(), count, "{names}");
        }
        assert!(WEAK.is_sorted());
        assert_eq!([letter('é'), letter('A'), letter('{')], [None, None, None]);
    }

    #[test]
    fn function_words_are_weak_but_before_a_pause() {
        let said = |word: &str, next: Option<&str>| {
            in_sentence(word, next)
                .map(|p| p.iter().map(|&i| phones::ENGLISH[usize::from(i)]).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(said("the", Some("AE1")).as_deref(), Some("DH IY0"));
        assert_eq!(said("the", Some("K")).as_deref(), Some("DH AH0"));
        assert_eq!(said("for", Some("Y")).as_deref(), Some("F ER0"));
        assert_eq!(said("for", None), None);
        assert_eq!(said("cat", Some("S")), None);
    }

    #[test]
    fn possessives_are_taken_apart() {
        assert_eq!(possessive("allison's"), Some(("allison", true)));
        assert_eq!(possessive("dogs'"), Some(("dogs", false)));
        assert_eq!([possessive("'s"), possessive("s'"), possessive("cats")], [None, None, None]);
    }
}
