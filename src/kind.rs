//! What a checkpoint is a model of: the section of its header says it.

use crate::{series, text, voice};
use wavesynth_models::weights::Header;

/// The sections that say what a model is of.
const SECTIONS: [&str; 3] = [voice::SECTION, text::SECTION, series::SECTION];

/// A checkpoint that says two things of itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its header has the sections `{0}` and `{1}`, a model is of one kind")]
pub struct SeveralKinds(&'static str, &'static str);

/// Checks that a checkpoint is of one kind at most.
///
/// # Errors
/// Two sections of which each says another.
pub fn check(header: &Header) -> Result<(), SeveralKinds> {
    let found: Vec<_> = SECTIONS.into_iter().filter(|s| header.sections.contains_key(*s)).collect();
    match found[..] {
        [one, other, ..] => Err(SeveralKinds(one, other)),
        _ => Ok(()),
    }
}
