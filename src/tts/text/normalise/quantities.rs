//! Numbers, and what stands around them.

use super::{Kind, Reader};
use crate::tts::Language;
use crate::tts::text::numbers::{self, Ending, Gender, TOO_LARGE, cardinal, ordinal};
use crate::tts::text::tables::Noun;

/// A number as it is written.
pub(super) struct Number {
    /// Its digits, without marks between them.
    pub(super) whole: String,
    /// Digits behind the decimal mark.
    pub(super) part: Option<String>,
    /// Tokens that it is made of.
    pub(super) len: usize,
}

impl Number {
    /// Its value, where it is not too long and does not begin with zeros as a code does.
    fn value(&self) -> Option<u64> {
        let is_code = self.whole.len() > 1 && self.whole.starts_with('0');
        self.whole.parse().ok().filter(|&n| n < TOO_LARGE && !is_code)
    }
}

impl<'a> Reader<'a> {
    /// The number that token `i` begins: 1,234,567.89 or, where a comma stands in front of decimals, 1.234.567,89 and 1 234 567.
    pub(super) fn parse(&self, i: usize) -> Option<Number> {
        let mut whole = self.digits(i, false)?.to_string();
        let mut len = 1;
        let group = if self.language == Language::English { ',' } else { '.' };
        let three = |at: usize, joined: bool| {
            let more = self.token(at + 1).is_some_and(|t| t.kind == Kind::Digits && !t.space);
            self.digits(at, joined).filter(|d| d.len() == 3 && !more)
        };
        if whole.len() <= 3 && !whole.starts_with('0') {
            while let Some(next) = three(i + len + 1, true).filter(|_| self.joined_mark(i + len, group)) {
                whole.push_str(next);
                len += 2;
            }
            let spaced = matches!(self.language, Language::Russian | Language::French);
            while spaced && len < 6 && self.is_group(i + len) {
                whole.push_str(self.digits(i + len, false).unwrap_or_default());
                len += 1;
            }
        }
        let decimal = |c: char| {
            let part = self.digits(i + len + 1, true).filter(|_| self.joined_mark(i + len, c))?;
            // 1.2.3 is no number.
            (!self.joined_mark(i + len + 2, c) || self.digits(i + len + 3, true).is_none())
                .then(|| part.to_string())
        };
        let part = match self.language {
            Language::English => decimal('.'),
            _ => decimal(',').or_else(|| decimal('.')),
        };
        len += if part.is_some() { 2 } else { 0 };
        Some(Number { whole, part, len })
    }

    /// Whether token `i` is three digits behind a space.
    fn is_group(&self, i: usize) -> bool {
        self.token(i).is_some_and(|t| t.kind == Kind::Digits && t.space && t.text.len() == 3)
    }

    pub(super) fn say_number(&mut self, number: &Number, gender: Gender) {
        let language = self.language;
        let whole = match number.value() {
            Some(n) => cardinal(language, n, gender),
            None => numbers::digits(language, &number.whole),
        };
        self.say(&whole);
        let Some(part) = &number.part else { return };
        self.say(self.tables.point);
        match language {
            // Digit by digit, or as a number where it is short.
            Language::English => self.say(&numbers::digits(language, part)),
            _ if part.len() <= 2 && !part.starts_with('0') => {
                let n = part.parse().unwrap_or(0);
                self.say(&cardinal(language, n, Gender::Masculine));
            }
            _ => self.say(&numbers::digits(language, part)),
        }
    }

    /// A number and its noun.
    pub(super) fn say_counted(&mut self, number: &Number, noun: &Noun) {
        self.say_number(number, noun.gender);
        let form = match (self.language, number.value(), &number.part) {
            (Language::Russian, _, Some(_)) => 1,
            (Language::Russian, Some(n), None) => numbers::form(n),
            (_, Some(1), None) => 0,
            _ => 2,
        };
        self.say(noun.said[form]);
    }

    /// Whether token `i` is the sign of a negative number: no hyphen, no dash.
    pub(super) fn is_minus(&self, i: usize) -> bool {
        let Some(token) = self.token(i).filter(|t| t.is('-') || t.is('−') || t.is('–')) else {
            return false;
        };
        let next = self
            .token(i + 1)
            .is_some_and(|t| !t.space && (t.kind == Kind::Digits || self.currency(i + 1).is_some()));
        let free = token.space
            || (i == 0 && self.before().is_none_or(|b| b.kind == Kind::Mark && !b.is('"') && !b.is('-')));
        next && free
    }

    /// Telephone numbers: digits one by one, a pause between groups.
    pub(super) fn telephone(&mut self) -> bool {
        let plus = usize::from(self.token(0).is_some_and(|t| t.is('+')) && self.digits(1, true).is_some());
        let Some((groups, len)) = self.telephone_groups(plus) else { return false };
        if plus == 1 {
            self.say(self.tables.marks.iter().find(|m| m.0 == '+').map_or("", |m| m.1));
        } else {
            self.pause();
        }
        for group in groups {
            self.say(&numbers::digits(self.language, group));
            self.pause();
        }
        self.at += len;
        true
    }

    /// The groups of digits of the telephone number that begins here, behind a plus or not, and its tokens.
    fn telephone_groups(&self, plus: usize) -> Option<(Vec<&'a str>, usize)> {
        // Hyphens and brackets, which tell a telephone number from other numbers.
        let (mut groups, mut len, mut joins) = (Vec::new(), plus, 0);
        loop {
            let bracket = usize::from(self.token(len).is_some_and(|t| t.is('(')));
            let Some(digits) = self.digits(len + bracket, bracket == 1) else { break };
            let closed = bracket == 0 || self.joined_mark(len + 2, ')');
            if !closed || (digits.len() > 4 && plus == 0) {
                break;
            }
            groups.push(digits);
            len += 1 + 2 * bracket;
            joins += bracket;
            match self.token(len) {
                Some(t) if t.is('-') && !t.space && self.digits(len + 1, true).is_some() => {
                    len += 1;
                    joins += 1;
                }
                Some(t) if t.space && (t.kind == Kind::Digits || t.is('(')) => {}
                Some(t) if bracket == 1 && t.kind == Kind::Digits => {}
                _ => break,
            }
        }
        let count: usize = groups.iter().map(|g| g.len()).sum();
        let known = match groups[..] {
            _ if plus == 1 => (7..=15).contains(&count),
            [a, b] => joins == 1 && (a.len(), b.len()) == (3, 4),
            _ => joins >= 2 && (7..=12).contains(&count),
        };
        known.then_some((groups, len))
    }

    /// Whether token `i` makes the number in front of it an ordinal: 3rd.
    pub(super) fn is_ordinal_suffix(&self, i: usize) -> bool {
        let suffix =
            self.token(i).filter(|t| t.kind == Kind::Word && !t.space).map(|t| t.text.to_lowercase());
        let known: &[&str] = match self.language {
            Language::English => &["st", "nd", "rd", "th"],
            Language::French => &["er", "re", "e", "ème", "eme"],
            Language::Spanish => &["o", "a", "er", "ro", "ra", "do", "da", "to", "ta"],
            Language::Italian => &["o", "a"],
            Language::Russian => &[],
        };
        suffix.is_some_and(|s| known.contains(&&s[..]))
    }

    /// Any number.
    pub(super) fn quantity(&mut self) -> bool {
        if self.is_minus(0) {
            self.say(self.tables.minus);
            self.at += 1;
        } else if self.token(0).is_none_or(|t| t.kind != Kind::Digits) {
            return false;
        }
        self.ordinal() || self.fraction() || self.year_in_place() || self.version() || self.counted()
    }

    fn year_in_place(&mut self) -> bool {
        // 1990s are no seconds.
        let decade = self.digits(0, false).is_some_and(|d| d.len() == 4 && d.ends_with('0'))
            && self.token(1).is_some_and(|t| !t.space && t.text == "s");
        (decade || (self.unit(1).is_none() && self.large(1).is_none())) && self.year()
    }

    fn ordinal(&mut self) -> bool {
        let Some(number) = self.parse(0).filter(|n| n.part.is_none()) else { return false };
        let (Some(n), at) = (number.value(), number.len) else { return false };
        let language = self.language;
        if self.is_ordinal_suffix(at) {
            let feminine = self.word_at(at).is_some_and(|s| s.ends_with('a') || s == "re");
            self.at += at + 1;
            self.say(&ordinal(language, n, if feminine { Ending::Feminine } else { Ending::Masculine }));
            return true;
        }
        // 5-й, 1-го, 90-х.
        if language == Language::Russian
            && self.joined_mark(at, '-')
            && self.token(at + 1).is_some_and(|t| !t.space)
        {
            let round = n >= 10 && n % 10 == 0;
            let ending = match &self.word_at(at + 1).unwrap_or_default()[..] {
                "й" | "ый" | "ой" | "ий" => Ending::Masculine,
                "я" | "ая" | "ья" => Ending::Feminine,
                "е" | "ые" | "ье" if round => Ending::Plural,
                "е" | "ое" | "ье" => Ending::Neuter,
                "го" | "ого" => Ending::Genitive,
                "му" | "ому" => Ending::Dative,
                "м" | "ом" => Ending::Prepositional,
                "ым" => Ending::Instrumental,
                "ю" | "ую" => Ending::Accusative,
                "х" | "ых" => Ending::PluralGenitive,
                _ => return false,
            };
            self.at += at + 2;
            self.say(&ordinal(language, n, ending));
            return true;
        }
        false
    }

    /// 1/2, 3/4.
    fn fraction(&mut self) -> bool {
        let slash = self.token(1).is_some_and(|t| !t.space && (t.is('/') || t.is('⁄')));
        let (Some(a), Some(b)) = (self.digits(0, false), self.digits(2, true)) else { return false };
        let (Ok(a), Ok(b)) = (a.parse::<u64>(), b.parse::<u64>()) else { return false };
        if !slash || self.joined_mark(3, '/') || !(2..=10).contains(&b) || a == 0 || a >= b {
            return false;
        }
        let language = self.language;
        let n = |gender| cardinal(language, a, gender);
        let words = match (language, a, b) {
            (Language::English, _, 2) => "one half".into(),
            (Language::English, 1, 4) => "one quarter".into(),
            (Language::English, _, 4) => format!("{} quarters", n(Gender::Masculine)),
            (Language::English, ..) => {
                let plural = if a > 1 { "s" } else { "" };
                format!("{} {}{plural}", n(Gender::Masculine), ordinal(language, b, Ending::Masculine))
            }
            (Language::Russian, _, 2) => "одна вторая".into(),
            (Language::Russian, ..) => {
                let ending = if a == 1 { Ending::Feminine } else { Ending::PluralGenitive };
                format!("{} {}", n(Gender::Feminine), ordinal(language, b, ending))
            }
            (Language::Spanish, _, 2) => "un medio".into(),
            (Language::Italian, _, 2) => "un mezzo".into(),
            (Language::French, _, 2) => "un demi".into(),
            (Language::French, _, 4) => format!("{} quart", n(Gender::Masculine)),
            _ => {
                let part = ordinal(language, b, Ending::Masculine);
                let part = match (a, language) {
                    (1, _) => part,
                    (_, Language::Italian) => format!("{}i", part.trim_end_matches('o')),
                    _ => format!("{part}s"),
                };
                format!("{} {part}", n(Gender::BeforeNoun))
            }
        };
        self.at += 3;
        self.say(&words);
        true
    }

    /// 1.2.3: numbers with points between them.
    fn version(&mut self) -> bool {
        let point = |i: usize| self.joined_mark(i, '.') && self.digits(i + 1, true).is_some();
        if !(point(1) && point(3)) {
            return false;
        }
        if self.parse(0).is_some_and(|n| n.len > 3 && self.language != Language::English) {
            return false;
        }
        let name = self.tables.address.iter().find(|m| m.0 == '.').map_or("", |m| m.1);
        let name = if self.language == Language::English { "point" } else { name };
        let mut first = true;
        while let Some(digits) = self.digits(0, !first) {
            let number = Number { whole: digits.into(), part: None, len: 1 };
            self.say_number(&number, Gender::Masculine);
            self.at += 1;
            first = false;
            if !point_here(self) {
                break;
            }
            self.say(name);
            self.at += 1;
        }
        return true;

        fn point_here(r: &Reader) -> bool {
            r.joined_mark(0, '.') && r.digits(1, true).is_some()
        }
    }

    /// The unit that begins at token `i`, and its tokens: the longest that fits.
    fn unit(&self, i: usize) -> Option<(&'static Noun, usize)> {
        let first = self.token(i)?;
        let rest = &self.text[first.at..];
        let fits = |u: &&Noun| {
            let behind = rest.strip_prefix(u.written).and_then(|r| r.chars().next());
            let ends_in_letter = u.written.ends_with(|c: char| c.is_alphanumeric());
            rest.starts_with(u.written)
                && !(ends_in_letter && behind.is_some_and(|c| c.is_alphanumeric() || c == '\''))
        };
        let unit = self.tables.units.iter().filter(fits).max_by_key(|u| u.written.len())?;
        // A word that is a unit only by its letters: `5 in a row`, `2 m`.
        let word = matches!(
            unit.written,
            "in" | "s" | "h" | "g" | "l" | "m" | "W" | "V" | "В" | "м" | "л" | "ч" | "ms" | "min" | "ft"
        );
        if word && first.space && unit.written == "in" {
            return None;
        }
        let end = first.at + unit.written.len();
        Some((unit, (i..).take_while(|&k| self.token(k).is_some_and(|t| t.at < end)).count()))
    }

    /// A number with its unit, or alone; with the other end of a range.
    fn counted(&mut self) -> bool {
        let Some(number) = self.parse(0) else { return false };
        let unit = self.unit(number.len);
        if let Some((unit, len)) = unit {
            self.say_counted(&number, unit);
            self.at += number.len + len;
            // кг.
            if self.language == Language::Russian && self.joined_mark(0, '.') && self.token(1).is_some() {
                self.at += 1;
            }
            return true;
        }
        let gender = self.gender_of_next(number.len);
        self.say_number(&number, gender);
        self.at += number.len;
        // 10–20
        let dash = self.token(0).filter(|t| !t.space && (t.is('–') || t.is('-') || t.is('—')));
        if dash.is_some() && self.digits(1, true).is_some() {
            self.at += 1;
            self.say(self.tables.to);
        }
        true
    }

    /// The gender of the noun behind a number, as far as its ending tells.
    fn gender_of_next(&self, i: usize) -> Gender {
        let Some(noun) = self.word_at(i) else { return Gender::Masculine };
        match self.language {
            Language::Russian
                if noun.ends_with("и")
                    || noun.ends_with("ы")
                    || noun.ends_with("а") && self.ends_in_one() =>
            {
                Gender::Feminine
            }
            Language::Russian if noun.ends_with('о') && self.ends_in_one() => Gender::Neuter,
            Language::Spanish if noun == "días" || noun.ends_with("emas") => Gender::BeforeNoun,
            Language::Spanish if noun.ends_with("as") || noun == "hora" => Gender::Feminine,
            Language::Spanish => Gender::BeforeNoun,
            _ => Gender::Masculine,
        }
    }

    fn ends_in_one(&self) -> bool {
        self.digits(0, false).is_some_and(|d| d.ends_with('1') && !d.ends_with("11"))
    }
}
