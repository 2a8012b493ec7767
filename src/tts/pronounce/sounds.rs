//! Sounds, named in the IPA: which of the phones that a model has stand for one, or for the nearest one.

use super::super::Language;
use super::super::phones::{PAUSE, PhoneSet, parts};
use super::common;
use std::collections::HashSet;

/// Of a sound the nearest ones, the nearest first; `a+n` is two behind one another, `-` nothing. What is nearest to those is tried next.
#[rustfmt::skip]
const NEAREST: &[(&str, &str)] = &[
    // Vowels.
    ("ɑ", "a"), ("ɒ", "ɔ a"), ("ʌ", "ə a"), ("ɐ", "ə a"), ("æ", "ɛ a"), ("a", "ə"), ("e", "ɛ"), ("ɛ", "e"), ("o", "ɔ"), ("ɔ", "o"),
    ("i", "ɪ"), ("ɪ", "i"), ("u", "ʊ"), ("ʊ", "u"), ("ə", "ɛ a"), ("ɘ", "ə"), ("ɜ", "ɝ ə"), ("ɚ", "ɝ"), ("ɝ", "ə+ɹ"), ("ɨ", "ɪ"),
    ("ʉ", "u"), ("ɯ", "ɨ u"), ("ɤ", "ə o"), ("ɵ", "ø ɔ"), ("ø", "œ ɝ ɛ"), ("œ", "ø"), ("ɶ", "œ"), ("y", "ɨ u"), ("ʏ", "y"),
    ("ɑ̃", "ɔ̃ a+n"), ("ɔ̃", "ɑ̃ ɔ+n"), ("ɛ̃", "œ̃ ɛ+n"), ("œ̃", "ɛ̃ œ+n"), ("ã", "ɑ̃ a+n"), ("õ", "ɔ̃ o+n"), ("ẽ", "ɛ̃ e+n"),
    ("aɪ", "a+j a+i"), ("aʊ", "a+u"), ("eɪ", "e+j e+i"), ("oʊ", "o+u"), ("əʊ", "oʊ"), ("ɔɪ", "ɔ+j ɔ+i"), ("ɔø", "ɔɪ"),
    // Consonants.
    ("g", "ɡ"), ("ɾ", "r d"), ("r", "ɾ ɹ ʁ"), ("ɹ", "r"), ("ɻ", "ɹ"), ("ɽ", "r"), ("ʀ", "ʁ"), ("ʁ", "r"), ("r̝", "ʒ"), ("ɫ", "l"),
    ("ɭ", "l"), ("ɬ", "l"), ("ʎ", "lʲ j"), ("h", "x -"), ("x", "h ʁ k"), ("χ", "x"), ("ɦ", "h"), ("ħ", "h"), ("ç", "ɕ h"), ("ɕ", "ʃ"),
    ("ʑ", "ʒ"), ("ʂ", "ʃ"), ("ʐ", "ʒ"), ("ʃ", "tʃ s"), ("ʒ", "dʒ ʃ j"), ("tɕ", "tʃ"), ("dʑ", "dʒ"), ("tʂ", "tʃ"), ("dʐ", "dʒ"),
    ("ts", "t+s"), ("dz", "d+z"), ("tʃ", "t+ʃ"), ("dʒ", "d+ʒ"), ("pf", "p+f"), ("θ", "s"), ("ð", "d"), ("β", "b"), ("ɣ", "ɡ"), ("v", "b"),
    ("z", "s"), ("ʋ", "v"), ("w", "u v"), ("ɰ", "w"), ("ɥ", "w"), ("j", "i"), ("ʝ", "j"), ("ŋ", "n"), ("ɱ", "m"), ("ɳ", "n"),
    ("ɲ", "nʲ n+j"), ("c", "tʲ t+j"), ("ɟ", "dʲ d+j"), ("ʈ", "t"), ("ɖ", "d"), ("q", "k"), ("ɢ", "ɡ"),
];

/// Sounds that mean an English phone beside its common name.
const ENGLISH: [(&str, &str); 3] = [("EY", "eɪ"), ("OW", "oʊ"), ("OW", "əʊ")];

/// Sequences that are tried for a sound at most.
const MOST_TRIED: usize = 256;

/// What of `known` is nearest to `sound`: the sound itself, or in its place some behind one another, or nothing at all.
pub fn nearest(sound: &str, known: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let mut tried = HashSet::new();
    let mut waiting = std::collections::VecDeque::from([vec![sound.to_string()]]);
    while let Some(sequence) = waiting.pop_front() {
        let Some(at) = sequence.iter().position(|s| !known(s)) else {
            return Some(sequence);
        };
        if tried.len() == MOST_TRIED {
            return None;
        }
        for instead in instead_of(&sequence[at]) {
            let mut next = sequence.clone();
            next.splice(at..=at, instead);
            if tried.insert(next.clone()) {
                waiting.push_back(next);
            }
        }
    }
    None
}

/// What may stand in place of a sound, the nearest first.
fn instead_of(sound: &str) -> Vec<Vec<String>> {
    let of = |s: &str| s.split(['+', '-']).filter(|s| !s.is_empty()).map(String::from).collect::<Vec<_>>();
    if let Some((_, all)) = NEAREST.iter().find(|(name, _)| *name == sound) {
        return all.split(' ').map(of).collect();
    }
    let plain = |s: &str| s.chars().filter(|c| !is_modifier(*c)).collect::<String>();
    let whole = plain(sound);
    match whole.chars().count() {
        // Nothing that sounds, or nothing that is near.
        0 => Vec::new(),
        1 if whole == sound => Vec::new(),
        1 => match sound.strip_suffix(['ː', 'ˑ']) {
            Some(short) => vec![vec![short.into()]],
            None if sound.contains('\u{303}') => vec![vec![whole, "n".into()]],
            None => vec![vec![whole]],
        },
        // The whole without what changes its letters, then cut in two, the longest sound that the table has first.
        _ => {
            let letters = sound.char_indices().filter(|(i, c)| *i > 0 && !is_modifier(*c));
            let cuts: Vec<usize> = letters.map(|(i, _)| i).collect();
            let known = |at: &&usize| NEAREST.iter().any(|(name, _)| *name == plain(&sound[..**at]));
            let at = cuts.iter().rev().find(known).or(cuts.first()).copied().unwrap_or_default();
            let parts = vec![sound[..at].into(), sound[at..].into()];
            let bare = (whole != sound).then(|| vec![whole]);
            bare.into_iter().chain([parts]).collect()
        }
    }
}

/// What changes the letter before it.
fn is_modifier(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | 'ː' | 'ˑ' | 'ʲ' | 'ʰ' | 'ʷ' | 'ˠ' | 'ˤ' | 'ʼ' | '˞')
}

fn is_vowel(sound: &str) -> bool {
    sound.starts_with(|c| "aeiouyɑɒæɐʌɛəɘɜɝɚɪɨʉɯɤɵøœɶɔʊʏãõẽ".contains(c))
}

/// The sound of a phone, and the stress that its name tells by itself: what is common of a language that the program knows, else the name.
pub fn sound<'a>(language: &str, name: &'a str) -> (&'a str, u8) {
    let known = Language::from_name(language).and_then(|l| common::common(l, name));
    known.map_or((name, 0), parts)
}

/// The phones of a model by their sounds.
#[derive(Debug, Clone)]
pub struct Sounds {
    /// Name, sound, and the stress that the name tells.
    phones: Vec<(String, String, u8)>,
    /// Whether a long consonant is said by two.
    doubles: bool,
}

impl Sounds {
    /// Of the phones of `language`.
    pub fn new(language: &str, phones: &PhoneSet) -> Self {
        let named = |name: &String| {
            let (sound, stress) = sound(language, name);
            (name.clone(), sound.to_string(), stress)
        };
        let language = Language::from_name(language);
        let english = ENGLISH.iter().filter(|_| language == Some(Language::English));
        let english = english.filter(|(name, _)| phones.number(name).is_some());
        let all = phones.names().iter().filter(|name| *name != PAUSE).map(named);
        Self {
            phones: all
                .chain(english.map(|(name, sound)| (name.to_string(), sound.to_string(), 0)))
                .collect(),
            doubles: language == Some(Language::Italian),
        }
    }

    /// The phones of a sound with this stress, names with stress; none where there is nothing near.
    pub fn phones(&self, sound: &str, stress: u8) -> Option<Vec<String>> {
        if let Some(short) = sound.strip_suffix('ː').filter(|s| self.doubles && !is_vowel(s)) {
            return self.phones(short, 0).map(|one| [&one[..], &one[..]].concat());
        }
        // A set that tells the stress by its names has another phone for the unstressed sound.
        let fits = |own: u8| own == stress.min(1);
        let exact =
            |s: &str| self.phones.iter().any(|(_, own, told)| own == s && (fits(*told) || *told == 0));
        let any = |s: &str| self.phones.iter().any(|(_, own, _)| own == s);
        let found = nearest(sound, exact).or_else(|| nearest(sound, any))?;
        let bears = found.iter().position(|s| is_vowel(s)).unwrap_or(0);
        let phone = |(i, s): (usize, &String)| {
            let stress = if i == bears { stress } else { 0 };
            let all = || self.phones.iter().filter(|(_, own, _)| own == s);
            let (name, _, told) =
                all().find(|(_, _, told)| *told == stress.min(1)).or_else(|| all().next())?;
            Some(if stress > 0 && *told == 0 { format!("{name}{stress}") } else { name.clone() })
        };
        found.iter().enumerate().map(phone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(language: Language) -> Sounds {
        let mut names: Vec<String> = language.phones().iter().map(|p| parts(p).0.to_string()).collect();
        names.sort();
        names.dedup();
        names.retain(|name| name != PAUSE);
        names.insert(0, PAUSE.into());
        Sounds::new(language.name(), &PhoneSet::new(names).unwrap())
    }

    fn said(sounds: &Sounds, all: &str) -> String {
        let phones = |token: &str| {
            let (stress, sound) = match token.strip_prefix('ˈ') {
                Some(sound) => (1, sound),
                None => (0, token),
            };
            sounds.phones(sound, stress).unwrap_or_else(|| panic!("{token}")).join(" ")
        };
        all.split('_').map(phones).filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_sound_is_said_by_the_phones_that_are_nearest() {
        let english = set(Language::English);
        assert_eq!(said(&english, "h_ə_l_ˈoʊ"), "HH AH L OW1");
        assert_eq!(said(&english, "b_ˈɑː_ɾ_əl"), "B AA1 D AH L", "two sounds under one name");
        assert_eq!(said(&english, "f_ˈaɪɚ"), "F AY1 ER");
        assert_eq!(said(&english, "r̝_ˈɛ_k_a_x_y"), "ZH EH1 K AA HH UW", "sounds that English does not have");
        assert_eq!(said(&english, "ʃ_ˈøː_n"), "SH ER1 N");
        let russian = set(Language::Russian);
        assert_eq!(said(&russian, "ɕ_ˈu_k_a"), "sch uu k a", "stress is in the name of the vowel");
        assert_eq!(said(&russian, "m_ˈy_ɭ_ʌ"), "m yy l a");
        assert_eq!(said(&set(Language::Italian), "p_ˈi_tsː_e"), "p i1 ts ts e");
        assert_eq!(said(&set(Language::Spanish), "β_ˈi_ð_a"), "b i1 d a");
        assert_eq!(said(&set(Language::French), "ʒ_ə_s_y_ˈi_ã"), "zh ax s y i1 an");
        assert_eq!(said(&set(Language::French), "h_ə_l_ˈo"), "ax l o1", "h is silent");
        assert_eq!(english.phones("", 0), None);
        assert_eq!(english.phones("ʔ", 0), None);
        assert_eq!(english.phones("ǃ", 0), None, "a click has nothing near");
    }

    #[test]
    fn every_sound_of_the_table_is_near_to_something_in_every_language() {
        for language in Language::ALL {
            let sounds = set(language);
            for (sound, _) in NEAREST {
                for stress in 0..3 {
                    assert!(sounds.phones(sound, stress).is_some(), "{sound} in {language:?}");
                }
            }
        }
    }

    #[test]
    fn sounds_are_common_or_names() {
        assert_eq!(sound("ru", "aa"), ("a", 1));
        assert_eq!(sound("en", "AA"), ("a", 0));
        assert_eq!(sound("mul", "y"), ("y", 0));
        assert_eq!(sound("en", "pau"), ("pau", 0));
    }
}
