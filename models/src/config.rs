//! What is wrong with a config's sizes.

use std::borrow::Cow;

/// A size that no network has.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("config: {field} is {found}, wanted {want}")]
pub struct ConfigError {
    /// The key.
    pub field: &'static str,
    /// Its value.
    pub found: String,
    /// What it can be.
    pub want: Cow<'static, str>,
}

/// Checks that `found`, the value of `field`, lies in `low..=high`; `want` says so in words.
///
/// # Errors
/// When it does not.
pub fn range(
    field: &'static str,
    found: usize,
    low: usize,
    high: usize,
    want: &'static str,
) -> Result<(), ConfigError> {
    if (low..=high).contains(&found) {
        Ok(())
    } else {
        Err(ConfigError { field, found: found.to_string(), want: want.into() })
    }
}

/// Whether a config's file leaves the number out.
pub(crate) fn is_zero(n: &usize) -> bool {
    *n == 0
}
