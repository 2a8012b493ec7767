//! Abbreviations, acronyms, Roman numerals, letters of another alphabet.

use super::{Item, Kind, Reader, Unread};
use crate::tts::Language;
use crate::tts::text::characters::{to_cyrillic, to_latin, without_marks};
use crate::tts::text::numbers::{Ending, Gender, cardinal, ordinal};

/// Letters of a word that may be an acronym at most.
pub(super) const LONGEST_ACRONYM: usize = 5;

impl Reader<'_> {
    /// An abbreviation of the language's table, or letters with points behind them: U.S.
    pub(super) fn abbreviation(&mut self) -> bool {
        let Some(first) = self.word_at(0) else { return false };
        let begins = self.tables.expansions.iter().filter(|e| e.0.starts_with(&first[..]));
        let known = begins.filter_map(|(written, said)| Some((self.matched(written)?, *said)));
        if let Some((len, said)) = known.max_by_key(|(len, _)| *len) {
            self.at += len;
            self.say(said);
            return true;
        }
        self.saint() || self.number_sign() || self.letters_with_points()
    }

    /// The tokens that are `written`, an abbreviation of the table.
    fn matched(&self, written: &str) -> Option<usize> {
        let (written, may_lack) = match written.strip_suffix('?') {
            Some(written) => (written, true),
            None => (written, false),
        };
        let (mut rest, mut len) = (written, 0);
        while !rest.is_empty() {
            let spaced = rest.starts_with(' ');
            rest = rest.trim_start();
            if may_lack && rest == "." && !self.joined_mark(len, '.') {
                break;
            }
            let token = self.token(len)?;
            // In т. е. a space may stand behind the point, and never in front of it.
            if len > 0
                && token.space
                && !spaced
                && (token.kind == Kind::Mark || !written[..written.len() - rest.len()].ends_with('.'))
            {
                return None;
            }
            rest = rest.strip_prefix(&token.text.to_lowercase()[..])?;
            len += 1;
        }
        // Without its point it is one only where it is no part of a longer word.
        let whole = !self.token(len).is_some_and(|t| !t.space && t.kind != Kind::Mark);
        (whole || written.ends_with(['.', '/'])).then_some(len)
    }

    /// St. in front of a name, and behind one; г. in front of a town.
    fn saint(&mut self) -> bool {
        let capital = |i: usize| {
            self.token(i).is_some_and(|t| t.kind == Kind::Word && t.text.starts_with(char::is_uppercase))
        };
        let said = match (self.language, &self.word_at(0).unwrap_or_default()[..]) {
            (Language::English, "st")
                if self.joined_mark(1, '.')
                    && capital(2)
                    && !self
                        .before()
                        .is_some_and(|b| b.kind == Kind::Word && b.text.starts_with(char::is_uppercase)) =>
            {
                "saint"
            }
            (Language::English, "st") if self.joined_mark(1, '.') => "street",
            (Language::Russian, "г") if self.joined_mark(1, '.') && capital(2) => "город",
            (Language::Russian, "г") if self.joined_mark(1, '.') => "год",
            (Language::Russian, "в")
                if self.joined_mark(1, '.') && self.before().is_some_and(|b| roman(b.text).is_some()) =>
            {
                "век"
            }
            _ => return false,
        };
        self.at += 2;
        self.say(said);
        true
    }

    /// No. 5, núm. 5, n. 5.
    fn number_sign(&mut self) -> bool {
        let known = matches!(&self.word_at(0).unwrap_or_default()[..], "no" | "nos" | "nr");
        if !known || !self.joined_mark(1, '.') || self.digits(2, false).is_none() {
            return false;
        }
        self.at += 2;
        self.say(self.tables.number);
        true
    }

    /// U.S.A., a.m., J. R. R.: each letter by its name.
    fn letters_with_points(&mut self) -> bool {
        let letter = |i: usize, joined: bool| {
            let t = self.token(i).filter(|t| {
                t.kind == Kind::Word && t.text.chars().nth(1).is_none() && !(joined && t.space)
            })?;
            self.joined_mark(i + 1, '.').then(|| t.text.to_string())
        };
        let mut letters = String::new();
        let mut len = 0;
        while let Some(l) = letter(len, len > 0) {
            letters.push_str(&l);
            len += 2;
        }
        let initial = letters.chars().count() == 1
            && letters.starts_with(char::is_uppercase)
            && self.token(2).is_some();
        if letters.chars().count() < 2 && !initial {
            return false;
        }
        self.at += len;
        self.spell_known(&letters);
        true
    }

    /// A word.
    pub(super) fn word(&mut self) -> bool {
        let Some(token) = self.token(0).filter(|t| t.kind == Kind::Word) else { return false };
        if self.with_apostrophe(token.text)
            || self.roman()
            || self.mixed()
            || self.acronym()
            || self.with_particle()
        {
            return true;
        }
        self.at += 1;
        self.plain_word(&token.text.to_lowercase());
        true
    }

    /// `l'homme`, `dell'acqua`: two words.
    fn with_apostrophe(&mut self, text: &str) -> bool {
        if !matches!(self.language, Language::French | Language::Italian) {
            return false;
        }
        let Some((front, rest)) = text.split_once('\'').filter(|(_, rest)| !rest.is_empty()) else {
            return false;
        };
        let front = match (self.language, &front.to_lowercase()[..]) {
            (Language::French, "aujourd") => return false,
            // The c of c'est is soft.
            (Language::French, "c") => "ç".to_string(),
            (_, front) => front.to_string(),
        };
        self.at += 1;
        self.plain_word(&front);
        self.plain_word(&rest.to_lowercase());
        true
    }

    /// `кто-то`, `где-нибудь`: one word.
    fn with_particle(&mut self) -> bool {
        let particle = self.word_at(2).filter(|p| {
            self.language == Language::Russian && matches!(&p[..], "то" | "нибудь" | "либо" | "ка" | "таки")
        });
        let Some(particle) =
            particle.filter(|_| self.joined_mark(1, '-') && !self.token(2).is_some_and(|t| t.space))
        else {
            return false;
        };
        let word = self.word_at(0).unwrap_or_default();
        self.at += 3;
        self.plain_word(&format!("{word}-{particle}"));
        true
    }

    /// Letters and digits in one: A4, mp3, B2B, COVID-19.
    fn mixed(&mut self) -> bool {
        let behind =
            self.before().is_some_and(|b| b.kind == Kind::Digits) && self.token(0).is_some_and(|t| !t.space);
        let in_front = self.digits(1, true).is_some();
        let Some(text) = self.token(0).map(|t| t.text).filter(|_| behind || in_front) else { return false };
        let short = text.chars().count() <= 3;
        self.at += 1;
        match short {
            true => self.spell_known(text),
            false => self.plain_word(&text.to_lowercase()),
        }
        true
    }

    /// Capitals that are said letter by letter: USB, США.
    fn acronym(&mut self) -> bool {
        let Some(text) = self.token(0).map(|t| t.text) else { return false };
        let (body, ending) = match text.strip_suffix("'s") {
            Some(body) => (body, true),
            // PCs.
            None => match text.strip_suffix('s') {
                Some(body) if self.language == Language::English && body.len() > 1 => (body, true),
                _ => (text, false),
            },
        };
        let count = body.chars().count();
        if !(2..=LONGEST_ACRONYM).contains(&count) || !body.chars().all(char::is_uppercase) {
            return false;
        }
        let small = body.to_lowercase();
        if self.tables.spoken_capitals.contains(&&small[..]) || self.is_speakable(&small) {
            return false;
        }
        self.at += 1;
        self.spell_known(body);
        if ending {
            // The names of letters end in a vowel or a voiced consonant, but for a few.
            self.items.push(Item::Word("'s".into()));
        }
        true
    }

    /// Whether capitals are a word and no acronym.
    fn is_speakable(&self, small: &str) -> bool {
        let vowels = "aeiouyаеёиоуыэюяáéíóúàèìòù";
        let is_vowel = |c: char| vowels.contains(c);
        let count = small.chars().count();
        let pattern: Vec<bool> = small.chars().map(is_vowel).collect();
        if !pattern.contains(&true) {
            return false;
        }
        if self.shouts {
            return count > 3
                || pattern.windows(2).any(|w| w[0] != w[1]) && count > 2
                || count == 2 && pattern[0] != pattern[1];
        }
        match self.language {
            // Words of five letters are rarely acronyms.
            Language::English => count >= 5,
            // МХАТ, ГАИ: no two vowels or three consonants in a row, and no vowel at the beginning of a short one.
            _ => {
                count >= 3 && !pattern.windows(2).any(|w| w[0] == w[1]) && !(count == 3 && pattern[0])
                    || count >= 5
            }
        }
    }

    /// Roman numerals where they can be nothing else: behind a name or a word like Chapter, in front of a century.
    fn roman(&mut self) -> bool {
        let Some(n) = self.token(0).and_then(|t| roman(t.text)) else { return false };
        let long = self.token(0).is_some_and(|t| t.text.len() > 1);
        let before = self
            .before()
            .filter(|b| b.kind == Kind::Word && b.text.starts_with(char::is_uppercase))
            .map(|b| b.text.to_lowercase());
        let language = self.language;
        let next = self.word_at(1).unwrap_or_default();
        let words = match language {
            Language::English => {
                let counts = [
                    "chapter", "part", "act", "scene", "volume", "war", "book", "section", "type", "phase",
                    "level", "article",
                ];
                match before {
                    Some(b) if counts.contains(&&b[..]) => cardinal(language, n, Gender::Masculine),
                    Some(_) if long => format!("the {}", ordinal(language, n, Ending::Masculine)),
                    _ if long && next == "century" => ordinal(language, n, Ending::Masculine),
                    _ => return false,
                }
            }
            Language::Russian => match &next[..] {
                "век" | "съезд" | "том" => ordinal(language, n, Ending::Masculine),
                "века" | "веков" => ordinal(language, n, Ending::Genitive),
                "веке" => ordinal(language, n, Ending::Prepositional),
                "веку" => ordinal(language, n, Ending::Dative),
                "веком" => ordinal(language, n, Ending::Instrumental),
                "в" if self.joined_mark(2, '.') => ordinal(language, n, Ending::Masculine),
                "глава" | "часть" => ordinal(language, n, Ending::Feminine),
                _ if before.as_ref().is_some_and(|b| b == "глава" || b == "часть") => {
                    ordinal(language, n, Ending::Feminine)
                }
                _ if before.is_some() => {
                    let feminine = before.is_some_and(|b| b.ends_with(['а', 'я']));
                    ordinal(language, n, if feminine { Ending::Feminine } else { Ending::Masculine })
                }
                _ => return false,
            },
            _ if before.is_some() && long => match n {
                1..=10 => ordinal(language, n, Ending::Masculine),
                _ => cardinal(language, n, Gender::Masculine),
            },
            _ if long
                && self
                    .before()
                    .is_some_and(|b| matches!(&b.text.to_lowercase()[..], "siglo" | "secolo" | "siècle")) =>
            {
                cardinal(language, n, Gender::Masculine)
            }
            _ => return false,
        };
        self.at += 1;
        self.say(&words);
        true
    }

    /// Letters by their names; those of another alphabet where the language has names for them.
    fn spell_known(&mut self, letters: &str) {
        for c in letters.to_lowercase().chars() {
            match self.in_alphabet(&c.to_string()) {
                Some(word) => self.spell(&word),
                None if self.language == Language::Russian && c.is_ascii_lowercase() => {
                    self.spell(&c.to_string())
                }
                None => self.foreign(&c.to_string()),
            }
        }
    }

    /// A word in small letters.
    pub(super) fn plain_word(&mut self, small: &str) {
        let Some(word) = self.in_alphabet(small) else { return self.foreign(small) };
        let mut letters = word.chars();
        match (letters.next(), letters.next()) {
            (Some(c), None) if !self.tables.one_letter.contains(c) && self.is_named(c) => {
                self.items.push(Item::Letter(c))
            }
            (None, _) => {}
            _ => self.items.push(Item::Word(word)),
        }
    }

    /// Whether a letter alone is said by its name. A consonant that stands for a word, as French l', is not.
    fn is_named(&self, c: char) -> bool {
        let elided = matches!(self.language, Language::French | Language::Italian) && "lcçdjmnst".contains(c);
        let joined = self.at > 0 && self.tokens[self.at - 1].text.contains('\'');
        !(elided && joined)
    }

    /// `word` where it is of the language's alphabet, accents left away where it has none.
    fn in_alphabet(&self, word: &str) -> Option<String> {
        let latin = |extra: &str| {
            word.chars().all(|c| c.is_ascii_lowercase() || c == '\'' || c == '-' || extra.contains(c))
        };
        let plain = || {
            Some(without_marks(word))
                .filter(|w| w.chars().all(|c| c.is_ascii_lowercase() || c == '\'' || c == '-'))
        };
        match self.language {
            Language::English => plain(),
            Language::Russian => {
                let known = |c: char| matches!(c, 'а'..='я' | 'ё' | '\'' | '-' | '+' | '\u{301}');
                word.chars().all(known).then(|| word.to_string())
            }
            Language::Spanish if latin("áéíóúüñ") => Some(word.into()),
            Language::Italian if latin("àèéìíîòóùú") => Some(word.into()),
            Language::French if latin("àâæçéèêëîïôœùûüÿ") => Some(word.into()),
            Language::Spanish | Language::Italian | Language::French => plain(),
        }
    }

    /// A word of another alphabet by how its letters sound; what can't be read is noted.
    fn foreign(&mut self, small: &str) {
        let read = match self.language {
            Language::Russian => to_cyrillic(&without_marks(small)),
            _ => to_latin(small),
        };
        match read.filter(|r| !r.is_empty()) {
            Some(word) => self.items.push(Item::Word(word)),
            None => {
                for c in small.chars() {
                    if self.in_alphabet(&c.to_string()).is_none() {
                        self.note(Unread::Character(c));
                    }
                }
            }
        }
    }
}

/// The value of a Roman numeral of capitals, to 39 and as it is properly written.
fn roman(text: &str) -> Option<u64> {
    const DIGITS: [(&str, u64); 5] = [("X", 10), ("IX", 9), ("V", 5), ("IV", 4), ("I", 1)];
    if text.is_empty() || text.len() > 7 || !text.bytes().all(|b| matches!(b, b'I' | b'V' | b'X')) {
        return None;
    }
    let written = |mut n: u64| {
        let mut numeral = String::new();
        for (digit, value) in DIGITS {
            while n >= value {
                numeral.push_str(digit);
                n -= value;
            }
        }
        numeral
    };
    (1..40).find(|&n| written(n) == text)
}
