//! Text from files and arguments, as a terminal may see it.

use std::borrow::Cow;
use std::fmt::Write;
use std::path::Path;

/// Whether a terminal or a reader of lines could take `c` for a command: control characters, line and paragraph
/// separators, and what turns the direction of writing.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn escaped<'a>(text: &'a str, keep: &[char], escape: impl Fn(&mut String, char)) -> Cow<'a, str> {
    let harmful = |c| is_unsafe(c) && !keep.contains(&c);
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if harmful(c) { escape(&mut safe, c) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

fn as_in_source(safe: &mut String, c: char) {
    match c {
        '\n' | '\t' | '\r' => safe.extend(c.escape_default()),
        _ => safe.extend(c.escape_unicode()),
    }
}

/// `text` on one line: a line break is shown as `\n`, ESC as `\u{1b}`.
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, &[], as_in_source)
}

/// `text` of several lines: as [`line()`], but line breaks and tabs stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, &['\n', '\t'], as_in_source)
}

/// JSON text with the same value, whose strings hold nothing unsafe.
pub fn json(text: &str) -> Cow<'_, str> {
    escaped(text, &['\n', '\t'], |safe, c| {
        let _ = write!(safe, "\\u{:04x}", c as u32);
    })
}

/// A path on one line.
pub fn path(path: &Path) -> String {
    line(&path.to_string_lossy()).into_owned()
}

/// A path as a word of a command line of a POSIX shell.
pub fn word(path: &Path) -> String {
    let text = self::path(path);
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:,=@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_spelled_out() {
        assert_eq!(line("Ada é \u{1f3b5}"), "Ada é \u{1f3b5}");
        assert_eq!(line("a\nb\x1b[2J\u{9b}\u{202e}"), "a\\nb\\u{1b}[2J\\u{9b}\\u{202e}");
        assert_eq!(lines("a\n\tb\x07"), "a\n\tb\\u{7}");
        assert_eq!(word(Path::new("runs/é-1.bin")), "runs/é-1.bin");
        assert_eq!(word(Path::new("my file's.bin")), r"'my file'\''s.bin'");
        assert_eq!(json("{\"a\":\"\u{7f}\u{202e}\"}"), "{\"a\":\"\\u007f\\u202e\"}");
    }
}
