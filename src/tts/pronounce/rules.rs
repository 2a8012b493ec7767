//! Letters to phones by rules that see the letters around: a table of lines `left[letters]right = phones`.

use super::super::Language;
use super::phones;
use std::collections::HashMap;

/// Ends a word, to either side.
const EDGE: char = '#';

/// A table. At each letter the first line that fits is taken, and reading goes on behind its letters.
pub struct Rules {
    /// By the first of their letters.
    rules: HashMap<char, Vec<Rule>>,
    classes: Vec<(char, &'static str)>,
}

struct Rule {
    left: Vec<char>,
    letters: Vec<char>,
    right: Vec<char>,
    phones: Vec<u8>,
}

/// What a line made of some letters.
pub struct Spoken<'a> {
    /// The first letter.
    pub from: usize,
    /// Behind the last.
    pub to: usize,
    /// Numbers of phones.
    pub phones: &'a [u8],
}

/// A word of a language whose vowels have an unstressed form, ending in 0, and the stressed one behind it.
pub struct Unstressed {
    /// Its phones, with no vowel stressed.
    pub phones: Vec<u8>,
    /// Where its vowels stand in them.
    pub vowels: Vec<usize>,
    /// The last of the vowels that are written with an accent.
    pub accented: Option<usize>,
}

impl Unstressed {
    /// The phones with the accented vowel stressed, or without one that which stands `from_end` vowels from the end.
    pub fn stressed(mut self, from_end: usize) -> Vec<u8> {
        let usual = self.vowels.len().checked_sub(from_end).map(|i| self.vowels[i]);
        if let Some(at) = self.accented.or(usual) {
            self.phones[at] += 1;
        }
        self.phones
    }
}

impl Rules {
    /// What `word` is said like before a vowel is stressed; `names` are those of the phones, `accents` letters with an accent.
    pub fn unstressed(&self, word: &[char], names: &[&str], accents: &str) -> Unstressed {
        let mut said = Unstressed { phones: Vec::new(), vowels: Vec::new(), accented: None };
        for s in self.apply(word) {
            let has_accent = word[s.from..s.to].iter().any(|c| accents.contains(*c));
            for &phone in s.phones {
                if names[usize::from(phone)].ends_with('0') {
                    said.accented = has_accent.then_some(said.phones.len()).or(said.accented);
                    said.vowels.push(said.phones.len());
                }
                said.phones.push(phone);
            }
        }
        said
    }

    /// Reads a table. A capital letter in it stands for one letter of its class; `#` is the edge of the word, also in a class.
    ///
    /// # Panics
    /// When a line is none: tables are part of the program, and a test reads them.
    pub fn new(language: Language, classes: &[(char, &'static str)], table: &str) -> Self {
        let mut rules: HashMap<char, Vec<Rule>> = HashMap::new();
        for line in table.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let parse = || -> Option<Rule> {
                let (left, rest) = line.split_once('[')?;
                let (letters, rest) = rest.split_once(']')?;
                let (right, said) = rest.split_once('=')?;
                let phones = phones::parse(language, said);
                let whole = phones.len() == said.split_ascii_whitespace().count() && !letters.is_empty();
                let chars = |s: &str| s.trim().chars().collect::<Vec<char>>();
                whole.then(|| Rule {
                    left: chars(left),
                    letters: chars(letters),
                    right: chars(right),
                    phones,
                })
            };
            let Some(rule) = parse() else { panic!("no rule of {language:?}: {line}") };
            rules.entry(rule.letters[0]).or_default().push(rule);
        }
        Self { rules, classes: classes.to_vec() }
    }

    /// What each letter of `word` is said like, from left to right; letters that no rule knows are left out.
    pub fn apply(&self, word: &[char]) -> Vec<Spoken<'_>> {
        let mut said = Vec::new();
        let mut at = 0;
        while at < word.len() {
            let fits = |r: &&Rule| self.fits(r, word, at);
            match self.rules.get(&word[at]).and_then(|rules| rules.iter().find(fits)) {
                Some(rule) => {
                    let to = at + rule.letters.len();
                    said.push(Spoken { from: at, to, phones: &rule.phones });
                    at = to;
                }
                None => at += 1,
            }
        }
        said
    }

    fn fits(&self, rule: &Rule, word: &[char], at: usize) -> bool {
        let get = |i: Option<usize>| i.and_then(|i| word.get(i)).copied().unwrap_or(EDGE);
        word[at..].starts_with(&rule.letters)
            && (rule.left.iter().rev().enumerate()).all(|(k, &c)| self.is(c, get(at.checked_sub(k + 1))))
            && (rule.right.iter().enumerate())
                .all(|(k, &c)| self.is(c, get(Some(at + rule.letters.len() + k))))
    }

    fn is(&self, wanted: char, c: char) -> bool {
        match self.classes.iter().find(|(name, _)| *name == wanted) {
            Some((_, letters)) => letters.contains(c),
            None => wanted == c,
        }
    }
}
