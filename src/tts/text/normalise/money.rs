//! Money.

use super::quantities::Number;
use super::{Kind, Reader};
use crate::tts::Language;
use crate::tts::text::numbers::Gender;
use crate::tts::text::tables::Currency;

impl Reader<'_> {
    /// The currency that token `i` is the sign or the code of.
    pub(super) fn currency(&self, i: usize) -> Option<&'static Currency> {
        let text = self.token(i)?.text;
        self.tables.currencies.iter().find(|c| c.written.contains(&text))
    }

    /// $5.20, 5 €, $3 million.
    pub(super) fn money(&mut self) -> bool {
        let minus = usize::from(self.is_minus(0));
        let sign = usize::from(self.currency(minus).is_some());
        let Some(number) = self.parse(minus + sign) else { return false };
        let mut end = minus + sign + number.len;
        let large = self.large(end).is_some().then_some(end);
        if large.is_some() {
            end += 1;
            end += usize::from(sign == 0 && self.joined_mark(end, '.'));
        }
        let currency = if sign == 1 {
            self.currency(minus)
        } else {
            end += 1;
            self.currency(end - 1)
        };
        let Some(currency) = currency else { return false };
        // The point of руб. is no end of a sentence inside one.
        let is_word = self.token(end - 1).is_some_and(|t| t.kind == Kind::Word);
        if sign == 0 && is_word && self.joined_mark(end, '.') && self.token(end + 1).is_some() {
            end += 1;
        }
        if minus == 1 {
            self.say(self.tables.minus);
        }
        match large {
            Some(large) => self.say_large(&number, large, currency),
            None => self.say_money(&number, currency),
        }
        self.at += end;
        true
    }

    /// The name of a large number that token `i` is.
    pub(super) fn large(&self, i: usize) -> Option<&'static str> {
        let word = self.word_at(i)?;
        let joined = self.token(i).is_some_and(|t| !t.space);
        // Single letters count only where they are joined to the number: $5m.
        let known = self.tables.large.iter().find(|l| l.0 == word && (joined || l.0.chars().count() > 1))?;
        Some(known.1)
    }

    fn say_large(&mut self, number: &Number, large: usize, currency: &Currency) {
        let name = self.large(large).unwrap_or_default();
        let written = self.word_at(large).unwrap_or_default();
        match self.tables.units.iter().find(|u| u.written == written && self.language == Language::Russian) {
            Some(unit) => self.say_counted(number, unit),
            None => {
                self.say_number(number, Gender::BeforeNoun);
                self.say(name);
            }
        }
        self.say(currency.whole.said[2]);
    }

    fn say_money(&mut self, number: &Number, currency: &Currency) {
        let Some(part) = number.part.as_ref().filter(|p| p.len() == 2) else {
            return self.say_counted(number, &currency.whole);
        };
        let whole = Number { whole: number.whole.clone(), part: None, len: 0 };
        let cents = Number { whole: part.trim_start_matches('0').into(), part: None, len: 0 };
        if whole.whole != "0" || cents.whole.is_empty() {
            self.say_counted(&whole, &currency.whole);
        }
        if !cents.whole.is_empty() {
            self.say_counted(&cents, &currency.part);
        }
    }
}
