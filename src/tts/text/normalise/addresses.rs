//! Addresses of pages and of mail, part by part.

use super::Reader;
use crate::tts::text::numbers::{self, Gender};

/// Ends of names on the net.
#[rustfmt::skip]
const DOMAINS: [&str; 34] = [
    "com", "org", "net", "edu", "gov", "io", "ai", "app", "dev", "info", "biz", "me", "tv", "ru", "su", "de", "fr", "es", "it", "uk", "us",
    "ca", "au", "nl", "be", "ch", "at", "pl", "ua", "by", "kz", "eu", "jp", "mx",
];

impl Reader<'_> {
    /// `https://example.com/a`, `www.example.com`, `example.com`, `name@example.com`.
    pub(super) fn address(&mut self) -> bool {
        let Some(here) =
            self.token(0).filter(|t| t.space || self.before().is_some_and(|b| b.is('(') || b.is('"')))
        else {
            return false;
        };
        let chunk = self.text[here.at..].split(char::is_whitespace).next().unwrap_or("");
        let chunk = chunk.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '/'));
        if !is_address(chunk) {
            return false;
        }
        let end = here.at + chunk.len();
        let said = match chunk.split_once("://") {
            Some((_, rest)) => rest,
            None => chunk.strip_prefix("mailto:").unwrap_or(chunk),
        };
        self.say_address(said.trim_end_matches('/'));
        while self.token(0).is_some_and(|t| t.at < end) {
            self.at += 1;
        }
        true
    }

    fn say_address(&mut self, text: &str) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let len = |f: fn(char) -> bool| rest.find(|c| !f(c)).unwrap_or(rest.len());
            let n = match c {
                c if c.is_ascii_digit() => {
                    let n = len(|c| c.is_ascii_digit());
                    let (digits, language) = (&rest[..n], self.language);
                    match digits.parse() {
                        Ok(number) if n <= 4 && !digits.starts_with('0') => {
                            self.say(&numbers::cardinal(language, number, Gender::Masculine));
                        }
                        _ => self.say(&numbers::digits(language, digits)),
                    }
                    n
                }
                c if c.is_alphabetic() => {
                    let n = len(char::is_alphabetic);
                    self.say_label(&rest[..n]);
                    n
                }
                c => {
                    match self.tables.address.iter().find(|m| m.0 == c) {
                        Some((_, words)) => self.say(words),
                        None => self.note(super::Unread::Character(c)),
                    }
                    c.len_utf8()
                }
            };
            rest = &rest[n..];
        }
    }

    /// A word of an address: as a word where it looks like one, else by its letters.
    fn say_label(&mut self, label: &str) {
        let small = label.to_lowercase();
        let has_vowel = small.contains(|c: char| !c.is_ascii() || "aeiouy".contains(c));
        match small.chars().count() {
            0..=2 => self.spell(label),
            3.. if has_vowel && small != "www" => self.plain_word(&small),
            _ => self.spell(label),
        }
    }
}

fn is_address(chunk: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if let Some((scheme, rest)) = chunk.split_once("://") {
        return !rest.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphabetic());
    }
    let host = chunk.split(['/', '?', ':']).next().unwrap_or("");
    let is_host = |host: &str| {
        let end = host.rsplit('.').next().unwrap_or("");
        host.contains('.')
            && host.chars().all(is_name)
            && !host.contains("..")
            && !host.starts_with('.')
            && !end.is_empty()
    };
    if let Some((user, host)) = chunk.strip_prefix("mailto:").unwrap_or(chunk).split_once('@') {
        return !user.is_empty() && is_host(host);
    }
    let end = host.rsplit('.').next().unwrap_or("").to_lowercase();
    is_host(host) && (host.starts_with("www.") || (DOMAINS.contains(&&end[..]) && host.len() > end.len() + 2))
}
