//! Names of speakers, tracks and spaces. They are read from files, shown, and become parts of paths.

use crate::shown::is_unsafe;

/// Most bytes of a name: with an ending it still is a file name everywhere.
pub const MAX_BYTES: usize = 200;

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing.
    #[error("is empty")]
    Empty,
    /// More than [`MAX_BYTES`].
    #[error("has {0} bytes, at most {MAX_BYTES}")]
    Long(usize),
    /// A path and no name.
    #[error("holds a path separator, `/` or `\\`")]
    Separator,
    /// `.` or `..`.
    #[error("is `.` or `..`, which are folders")]
    Dots,
    /// Control characters, line breaks, or what turns the direction of writing.
    #[error("holds the control character U+{0:04X}")]
    Control(u32),
}

/// Checks that `name` can be part of a file name and of a line of text.
///
/// # Errors
/// It can't.
pub fn check(name: &str) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::Empty);
    }
    if name.contains(['/', '\\']) {
        return Err(NameError::Separator);
    }
    if matches!(name, "." | "..") {
        return Err(NameError::Dots);
    }
    check_text(name, MAX_BYTES)
}

/// Checks a text of one line that is no name.
///
/// # Errors
/// More than `max` bytes, or a control character.
pub fn check_text(text: &str, max: usize) -> Result<(), NameError> {
    if text.len() > max {
        return Err(NameError::Long(text.len()));
    }
    match text.chars().find(|c| is_unsafe(*c)) {
        Some(c) => Err(NameError::Control(c as u32)),
        None => Ok(()),
    }
}

/// The name nearest to `text`, such as the stem of a file's name: `_` in place of what no name holds.
pub fn nearest(text: &str) -> String {
    let mut name: String =
        text.chars().map(|c| if is_unsafe(c) || matches!(c, '/' | '\\') { '_' } else { c }).collect();
    while name.len() > MAX_BYTES {
        name.pop();
    }
    if check(&name).is_err() { "unnamed".into() } else { name }
}

/// The first two of `names` that fall on one file name, on a file system that does not tell cases apart.
pub fn clash<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    let mut seen = std::collections::HashMap::new();
    names.into_iter().find_map(|name| Some((seen.insert(name.to_lowercase(), name)?, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_part_of_a_path_and_of_a_line() {
        for good in ["ada", "en_allison", "Ada Lovelace", "Müller", ".x", "a..b", "日本"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", " ", ".", "..", "../evil", "/etc/x", "a\\b", "a\nb", "a\x1b[2J", "\u{202e}a"] {
            assert!(check(bad).is_err(), "{bad:?}");
            assert_eq!(check(&nearest(bad)), Ok(()), "{bad:?}");
        }
        assert_eq!(check(&"x".repeat(201)), Err(NameError::Long(201)));
        assert_eq!(clash(["ann", "bob", "Ann"]), Some(("ann", "Ann")));
        assert_eq!(clash(["ann", "bob"]), None);
    }
}
