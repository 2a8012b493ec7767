//! Dates, years and times of day.

use super::Reader;
use crate::tts::Language;
use crate::tts::text::numbers::{self, Ending, Gender, cardinal, ordinal};

/// Numbers that are read as years where nothing says that they are not.
const YEARS: std::ops::RangeInclusive<u64> = 1100..=2099;

/// Days, month from 1, and a year.
struct Date {
    day: u64,
    month: usize,
    year: Option<u64>,
}

impl Reader<'_> {
    fn value(&self, i: usize, joined: bool, digits: std::ops::RangeInclusive<usize>) -> Option<u64> {
        self.digits(i, joined).filter(|d| digits.contains(&d.len())).and_then(|d| d.parse().ok())
    }

    pub(super) fn date(&mut self) -> bool {
        let Some((date, len)) = self.numeric_date().or_else(|| self.named_date()) else { return false };
        self.at += len;
        self.say_date(&date);
        true
    }

    /// 2026-11-27, 27.11.2026, 11/27/2026.
    fn numeric_date(&self) -> Option<(Date, usize)> {
        let sign = ['-', '.', '/'].into_iter().find(|&c| self.joined_mark(1, c))?;
        if !self.joined_mark(3, sign) || self.joined_mark(5, sign) {
            return None;
        }
        let (first, month, last) =
            (self.digits(0, false)?, self.value(2, true, 1..=2)?, self.digits(4, true)?);
        let number = |d: &str| d.parse::<u64>().ok();
        let (day, month, year) = match (first.len(), last.len()) {
            (4, 1..=2) if sign == '-' => (number(last)?, month, number(first)?),
            (1..=2, 4) => {
                let first = number(first)?;
                // Americans put the month first, where the slashes say that they do.
                let american = self.language == Language::English && sign == '/';
                let (day, month) = if american && first <= 12 { (month, first) } else { (first, month) };
                (day, month, number(last)?)
            }
            _ => return None,
        };
        let date = Date { day, month: month as usize, year: Some(year) };
        ((1..=31).contains(&day) && (1..=12).contains(&month)).then_some((date, 5))
    }

    /// 3 May 2026, May 3rd, 2026, 3 мая.
    fn named_date(&self) -> Option<(Date, usize)> {
        let month_at = |i: usize| {
            let word = self.word_at(i)?;
            self.tables.months.iter().position(|m| *m == word).map(|m| m + 1)
        };
        let english = self.language == Language::English;
        let suffix = |i: usize| usize::from(english && self.is_ordinal_suffix(i));
        let day_at = |i: usize| self.value(i, false, 1..=2).filter(|d| (1..=31).contains(d));
        let year_at = |i: usize| self.value(i, false, 4..=4).filter(|_| self.ends_number(i));
        if let Some(day) = day_at(0) {
            let mut at = 1 + suffix(1);
            if self.word_at(at).is_some_and(|w| w == "of") && english {
                at += 1;
            }
            // In Spanish and in other languages the number is read as it is.
            if !english && self.language != Language::Russian {
                return None;
            }
            let month = month_at(at)?;
            let year = year_at(at + 1);
            let date = Date { day, month, year };
            // In Russian what follows a year decides how it is read.
            return match self.language {
                Language::Russian => Some((Date { year: None, ..date }, at + 1)),
                _ => Some((date, at + 1 + usize::from(year.is_some()))),
            };
        }
        if !english {
            return None;
        }
        let month = month_at(0)?;
        let day = day_at(1).filter(|_| self.ends_number(1) || suffix(2) == 1)?;
        let at = 2 + suffix(2);
        let comma = usize::from(self.joined_mark(at, ','));
        let year = year_at(at + comma);
        let len = at + if year.is_some() { comma + 1 } else { 0 };
        Some((Date { day, month, year }, len))
    }

    /// Whether the number that ends at token `i` is no longer than that token.
    fn ends_number(&self, i: usize) -> bool {
        let joined = |c| self.joined_mark(i + 1, c) && self.digits(i + 2, true).is_some();
        let word = self.token(i + 1).is_some_and(|t| t.kind == super::Kind::Word && !t.space);
        !(joined('.')
            || joined(',')
            || joined(':')
            || joined('/')
            || joined('-')
            || word
            || self.joined_mark(i + 1, '%'))
    }

    fn say_date(&mut self, date: &Date) {
        let language = self.language;
        let month = self.tables.months[date.month - 1];
        let year = |ending| match (date.year, language) {
            (None, _) => String::new(),
            (Some(y), Language::Russian) => format!(" {} года", ordinal(language, y, ending)),
            (Some(y), Language::Spanish) => format!(" de {}", numbers::year(language, y)),
            (Some(y), _) => format!(" {}", numbers::year(language, y)),
        };
        let words = match language {
            Language::English => {
                format!(
                    "{month} {}{}",
                    ordinal(language, date.day, Ending::Masculine),
                    year(Ending::Masculine)
                )
            }
            Language::Russian => {
                // In the middle of a sentence it says when something is; alone it is a name.
                let ending = if self.items.is_empty() { Ending::Neuter } else { Ending::Genitive };
                format!("{} {month}{}", ordinal(language, date.day, ending), year(Ending::Genitive))
            }
            Language::Spanish => format!(
                "{} de {month}{}",
                cardinal(language, date.day, Gender::Masculine),
                year(Ending::Masculine)
            ),
            Language::Italian | Language::French => {
                let day = match date.day {
                    1 => ordinal(language, 1, Ending::Masculine),
                    day => cardinal(language, day, Gender::Masculine),
                };
                format!("{day} {month}{}", year(Ending::Masculine))
            }
        };
        self.say(&words);
    }

    /// 7:30, 19:05:10.
    pub(super) fn time(&mut self) -> bool {
        let (Some(hour), Some(minute)) = (self.value(0, false, 1..=2), self.value(2, true, 2..=2)) else {
            return false;
        };
        if !self.joined_mark(1, ':') || hour > 24 || minute > 59 {
            return false;
        }
        let second = self.value(4, true, 2..=2).filter(|s| self.joined_mark(3, ':') && *s < 60);
        self.at += if second.is_some() { 5 } else { 3 };
        let language = self.language;
        let number = |n: u64| cardinal(language, n, Gender::Masculine);
        let two = |n: u64| match (n, language) {
            (0..10, Language::English) => format!("oh {}", number(n)),
            (0..10, Language::Russian) => format!("ноль {}", number(n)),
            _ => number(n),
        };
        let hours = |one: &str, many: &str| {
            let n = cardinal(language, hour, Gender::Feminine);
            format!("{n} {}", if hour == 1 { one } else { many })
        };
        let next = self.word_at(0).unwrap_or_default();
        let halves = matches!(&next[..], "a" | "p" | "am" | "pm");
        let mut words = match (language, minute) {
            (Language::English, 0) if halves => number(hour),
            (Language::English, 0) if (1..=12).contains(&hour) && second.is_none() => {
                format!("{} o'clock", number(hour))
            }
            (Language::English, 0) => format!("{} hundred", number(hour)),
            (Language::English | Language::Russian, _) => format!("{} {}", number(hour), two(minute)),
            (Language::Spanish, 0) => hours("en punto", "en punto"),
            (Language::Spanish, _) => {
                format!("{} y {}", cardinal(language, hour, Gender::Feminine), number(minute))
            }
            (Language::Italian, 0) => hours("", ""),
            (Language::Italian, _) => format!("{} e {}", number(hour), number(minute)),
            (Language::French, 0) => hours("heure", "heures"),
            (Language::French, _) => format!("{} {}", hours("heure", "heures"), number(minute)),
        };
        if let Some(second) = second {
            words = format!("{words} {}", two(second));
        }
        self.say(&words);
        // a.m. without points.
        if halves && next.len() == 2 {
            self.at += 1;
            self.spell(&next);
        }
        true
    }

    /// A number of four digits that is a year: 1984, in the 1990s, в 1984 году.
    pub(super) fn year(&mut self) -> bool {
        let Some(year) = self.value(0, false, 4..=4) else { return false };
        let language = self.language;
        let decade = language == Language::English
            && self.token(1).is_some_and(|t| !t.space && matches!(t.text, "s" | "S"));
        if decade {
            let words = numbers::year(language, year);
            let plural = match (words.strip_suffix('y'), words.strip_suffix("hundred")) {
                (Some(stem), _) => format!("{stem}ies"),
                _ => format!("{words}s"),
            };
            self.at += 2;
            self.say(&plural);
            return true;
        }
        if language == Language::Russian {
            return self.russian_year(year);
        }
        if language == Language::English && YEARS.contains(&year) && self.ends_number(0) {
            self.at += 1;
            self.say(&numbers::year(language, year));
            return true;
        }
        false
    }

    /// A year in front of the word for it, whose case it has.
    fn russian_year(&mut self, year: u64) -> bool {
        let Some(noun) = self.word_at(1) else { return false };
        let behind_in = self.at > 0 && self.tokens[self.at - 1].text.to_lowercase() == "в";
        let (ending, said) = match &noun[..] {
            "г" if behind_in => (Ending::Prepositional, "году"),
            // Behind a month, and else.
            "г" => (Ending::Genitive, "года"),
            "год" => (Ending::Masculine, "год"),
            "года" => (Ending::Genitive, "года"),
            "году" => (Ending::Prepositional, "году"),
            "годом" => (Ending::Instrumental, "годом"),
            "годы" => (Ending::Plural, "годы"),
            "годов" => (Ending::PluralGenitive, "годов"),
            _ => return false,
        };
        // The town of г. Москва stands behind no number.
        self.at += 2;
        if noun == "г" && self.joined_mark(0, '.') {
            self.at += 1;
        }
        self.say(&format!("{} {said}", ordinal(self.language, year, ending)));
        true
    }
}
