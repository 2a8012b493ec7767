//! Names of phones: as they are written down, and the set that a model knows.

use super::utterance::{Break, Utterance, Word};
use wavesynth_output::name::{NameError, check_text};

/// The name of the pause, phone 0 of every set.
pub const PAUSE: &str = "pau";

/// Phones of a set at most, and bytes of a name.
const MOST: usize = 1 << 10;
const LONGEST: usize = 64;

/// The marks between written phones: what stands behind a word.
const MARKS: [(&str, Break); 5] = [
    ("|", Break::None),
    (",", Break::Phrase),
    (".", Break::Statement),
    ("?", Break::Question),
    ("!", Break::Exclamation),
];

/// Names that are no phones, or no set of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// A name that can't be written among others.
    #[error("the phone {name:?} {why}")]
    Name {
        /// The name.
        name: String,
        /// What it is, or holds.
        why: NameError,
    },
    /// A name that is too long.
    #[error("the phone {0:?} has more than {LONGEST} bytes")]
    Long(String),
    /// A name in two parts.
    #[error("the phone {0:?} holds a blank, which stands between phones")]
    Blank(String),
    /// A name that is a mark.
    #[error("the phone {0:?} is a mark that stands behind words")]
    Mark(String),
    /// The same name again.
    #[error("the phone {0:?} is there twice")]
    Twice(String),
    /// Too many, or no pause.
    #[error("its phones are {0} names, wanted at most {MOST}, the first one {PAUSE}")]
    Set(usize),
}

/// Checks that `name` can be written among others and be read again, as [`read`] does.
///
/// # Errors
/// It can't.
pub fn check_name(name: &str) -> Result<(), PhoneError> {
    let own = || name.to_string();
    if name.is_empty() {
        return Err(PhoneError::Name { name: own(), why: NameError::Empty });
    }
    if name.len() > LONGEST {
        return Err(PhoneError::Long(own()));
    }
    check_text(name, LONGEST).map_err(|why| PhoneError::Name { name: own(), why })?;
    match name {
        _ if name.contains(char::is_whitespace) => Err(PhoneError::Blank(own())),
        _ if MARKS.iter().any(|(mark, _)| *mark == name) => Err(PhoneError::Mark(own())),
        _ => Ok(()),
    }
}

/// What is said in place of a rare phone that a model was not trained on, by the phones of the languages that this program reads.
const NEAREST: [(&str, &[&str]); 3] = [("ZH", &["JH"]), ("ny", &["n", "j"]), ("ng", &["n", "g"])];

/// The phones that a model knows, by name and without stress. Number 0 is the pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneSet {
    names: Vec<String>,
}

/// Phones that a model does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("phone `{found}` of `{word}`: this language has {known}")]
pub struct UnknownPhone {
    /// Its name.
    pub found: String,
    /// The word that it is of.
    pub word: String,
    /// The phones that there are.
    pub known: String,
}

/// A phone's name without its stress, and that: a digit at its end, 1 for the stressed vowel of a word, 2 for one with a lesser
/// stress.
pub fn parts(name: &str) -> (&str, u8) {
    match name.as_bytes().last() {
        Some(digit @ b'0'..=b'2') if name.len() > 1 => (&name[..name.len() - 1], digit - b'0'),
        _ => (name, 0),
    }
}

impl PhoneSet {
    /// The phones that these utterances have.
    ///
    /// # Errors
    /// As [`PhoneSet::new`].
    pub fn of<'a>(utterances: impl IntoIterator<Item = &'a Utterance>) -> Result<Self, PhoneError> {
        let phones = utterances.into_iter().flat_map(|u| &u.words).flat_map(|w| &w.phones);
        let mut names: Vec<String> = phones.map(|p| parts(p).0.to_string()).collect();
        names.sort();
        names.dedup();
        names.retain(|name| name != PAUSE);
        names.insert(0, PAUSE.into());
        Self::new(names)
    }

    /// A set by its names.
    ///
    /// # Errors
    /// Too many names, one twice, one that [`check_name`] refuses, or another first one than [`PAUSE`].
    pub fn new(names: Vec<String>) -> Result<Self, PhoneError> {
        if names.first().map(String::as_str) != Some(PAUSE) || names.len() > MOST {
            return Err(PhoneError::Set(names.len()));
        }
        for (i, name) in names.iter().enumerate() {
            check_name(name)?;
            if names[..i].contains(name) {
                return Err(PhoneError::Twice(name.clone()));
            }
        }
        Ok(Self { names })
    }

    /// The names, the pause first.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many there are, the pause among them.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none, which never is.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The number of a phone, whatever its stress.
    pub fn number(&self, name: &str) -> Option<u16> {
        let base = parts(name).0;
        self.names.iter().position(|n| n == base || n == name).filter(|i| *i > 0).map(|i| i as u16)
    }

    /// Puts the nearest phones in place of those that are none of these, or none where there are no nearer ones; words without any are gone. Gives each name that is
    /// gone, and what is there now.
    pub fn adapt(&self, utterance: &mut Utterance) -> Vec<(String, String)> {
        let mut gone = Vec::new();
        for word in &mut utterance.words {
            if self.check(word).is_ok() {
                continue;
            }
            let now = |name: &String| match self.number(name) {
                Some(_) => vec![name.clone()],
                None => {
                    let nearest = NEAREST.iter().find(|(rare, _)| *rare == parts(name).0);
                    let nearest = nearest.map_or(&[][..], |(_, nearest)| nearest);
                    let known: Vec<String> =
                        nearest.iter().filter(|n| self.number(n).is_some()).map(|n| (*n).into()).collect();
                    gone.push((name.clone(), known.join(" ")));
                    known
                }
            };
            word.phones = word.phones.iter().flat_map(now).collect();
        }
        utterance.words.retain(|word| !word.phones.is_empty());
        gone
    }

    /// The first phone of `word` that is not one of these.
    ///
    /// # Errors
    /// There is one.
    pub fn check(&self, word: &Word) -> Result<(), UnknownPhone> {
        match word.phones.iter().find(|p| self.number(p).is_none()) {
            None => Ok(()),
            Some(found) => Err(UnknownPhone {
                found: found.clone(),
                word: word.text.clone(),
                known: self.names[1..].join(" "),
            }),
        }
    }
}

/// Reads phones that are written out: names with blanks between them, `|` between words, and `,` `.` `?` `!` as in a text, each
/// between blanks, too. Gives a sentence each; what has no mark at its end is a statement.
pub fn read(text: &str) -> Vec<Utterance> {
    let (mut all, mut sentence, mut phones) = (Vec::new(), Utterance::default(), Vec::new());
    let end_word = |sentence: &mut Utterance, phones: &mut Vec<String>, after| {
        if !phones.is_empty() {
            let (text, phones) = (phones.join(" "), std::mem::take(phones));
            sentence.words.push(Word { text, phones, after });
        } else if let Some(last) = sentence.words.last_mut().filter(|_| after != Break::None) {
            last.after = after;
        }
    };
    for token in text.split_whitespace() {
        let Some((_, after)) = MARKS.into_iter().find(|(mark, _)| *mark == token) else {
            phones.push(token.to_string());
            continue;
        };
        end_word(&mut sentence, &mut phones, after);
        if after.ends_sentence() && !sentence.words.is_empty() {
            all.push(std::mem::take(&mut sentence));
        }
    }
    end_word(&mut sentence, &mut phones, Break::Statement);
    if let Some(last) = sentence.words.last_mut() {
        last.after = Break::Statement;
        all.push(sentence);
    }
    all
}

/// `utterance` as [`read`] reads it.
pub fn written(utterance: &Utterance) -> String {
    let word = |w: &Word| {
        let mark = MARKS.iter().find(|(_, after)| *after == w.after).map_or("|", |(mark, _)| mark);
        format!("{} {mark}", w.phones.join(" "))
    };
    utterance.words.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_written_as_they_are_read() {
        let text = "HH AH0 L OW1 , AE1 L | IH1 Z ? Y EH1 S ! N OW1 .";
        let again: Vec<_> = read(text).iter().map(written).collect();
        assert_eq!(again.join(" "), text);
    }

    #[test]
    fn written_phones_are_words_and_sentences() {
        let all = read("HH AH0 L OW1 , AE1 L | IH1 Z ? Y EH1 S |");
        assert_eq!(all.len(), 2);
        let words: Vec<_> = all[0].words.iter().map(|w| (w.phones.len(), w.after)).collect();
        assert_eq!(words, [(4, Break::Phrase), (2, Break::None), (2, Break::Question)]);
        assert_eq!(
            (all[1].words[0].phones.join(" "), all[1].words[0].after),
            ("Y EH1 S".into(), Break::Statement)
        );
        assert!(read(" , . | ").is_empty() && read("").is_empty());
        assert_eq!(read("A . .").len(), 1);
    }

    /// What is in a set can be written down and read again.
    #[test]
    fn names_are_what_can_be_written_among_others() {
        let with = |name: &str| PhoneSet::new(vec![PAUSE.into(), name.into()]);
        for good in ["AA", "tS", "r\\", "@", "ʃ", "ɲ", "2", "a:", "x/y", "..", "-"] {
            assert_eq!(with(good).map(|set| set.len()), Ok(2), "{good}");
            assert_eq!(read(good)[0].words[0].phones, [good]);
        }
        let long = "x".repeat(65);
        for bad in [
            "",
            " ",
            "A B",
            "A\n",
            "A\u{a0}B",
            "\u{1b}[31mI",
            "\u{202e}A",
            "|",
            ",",
            ".",
            "?",
            "!",
            &long[..],
        ] {
            let message = with(bad).unwrap_err().to_string();
            assert!(!message.contains(|c: char| c.is_control()), "{message}");
        }
        let escape = read("A \u{1b}[31mI");
        assert!(matches!(PhoneSet::of(&escape), Err(PhoneError::Name { .. })), "of transcripts, too");
    }

    #[test]
    fn a_set_knows_phones_under_any_stress() {
        let all = read("HH AH0 L OW1 | OW2");
        let set = PhoneSet::of(&all).unwrap();
        assert_eq!(set.names(), ["pau", "AH", "HH", "L", "OW"]);
        assert_eq!(
            (set.number("OW0"), set.number("OW"), set.number("pau"), set.number("Q")),
            (Some(4), Some(4), None, None)
        );
        let e = set.check(&read("HH ZZ")[0].words[0]).unwrap_err().to_string();
        assert_eq!(e, "phone `ZZ` of `HH ZZ`: this language has AH HH L OW");
        assert_eq!(PhoneSet::new(set.names().to_vec()), Ok(set));
        assert!(
            PhoneSet::new(vec!["pau".into(), "A".into(), "A".into()]).is_err()
                && PhoneSet::new(vec![]).is_err()
        );
        let mut rare = read("M EH1 ZH ER0 | ny ZZ").remove(0);
        let set = PhoneSet::of(&read("M EH1 JH ER0 n j")).unwrap();
        let gone = set.adapt(&mut rare);
        assert_eq!(
            gone,
            [("ZH", "JH"), ("ny", "n j"), ("ZZ", "")].map(|(a, b)| (a.to_string(), b.to_string()))
        );
        assert_eq!(rare.words[0].phones.join(" "), "M EH1 JH ER0");
        assert_eq!(rare.words[1].phones.join(" "), "n j");
        assert_eq!((parts("a1"), parts("1"), parts("tS")), (("a", 1), ("1", 0), ("tS", 0)));
    }
}
