//! Kinds of checkpoints, so that no model is replaced by one of another kind.

use crate::{series, text, voice};
use std::path::Path;
use wavesynth_models::weights::{Header, header_of};
use wavesynth_output::Kind;

const ENDINGS: &[&str] = &["safetensors"];

/// The header's section of a training state.
pub(crate) const STATE_SECTION: &str = "state";

/// What the trainer calls its voices, text models and series models.
pub const VOICE_FILE: &str = "voice.safetensors";
/// See [`VOICE_FILE`].
pub const TEXT_FILE: &str = "text.safetensors";
/// See [`VOICE_FILE`].
pub const SERIES_FILE: &str = "series.safetensors";

/// Checkpoints of voices.
pub const VOICE: Kind =
    Kind { name: "a voice", endings: ENDINGS, is_text: false, is: |p| section(p) == Some(voice::SECTION) };
/// Checkpoints of text models.
pub const TEXT: Kind = Kind {
    name: "a text model",
    endings: ENDINGS,
    is_text: false,
    is: |p| section(p) == Some(text::SECTION),
};
/// Checkpoints of series models.
pub const SERIES: Kind = Kind {
    name: "a series model",
    endings: ENDINGS,
    is_text: false,
    is: |p| section(p) == Some(series::SECTION),
};
/// States of training runs.
pub const STATE: Kind = Kind {
    name: "the state of a training run",
    endings: ENDINGS,
    is_text: false,
    is: |p| section(p) == Some(STATE_SECTION),
};
/// Checkpoints of other models.
pub const OTHER: Kind =
    Kind { name: "a model without a use", endings: ENDINGS, is_text: false, is: |p| section(p) == Some("") };

/// The kind of a checkpoint.
pub fn of(header: &Header) -> &'static Kind {
    match section_of(header) {
        voice::SECTION => &VOICE,
        text::SECTION => &TEXT,
        series::SECTION => &SERIES,
        STATE_SECTION => &STATE,
        _ => &OTHER,
    }
}

/// The section that tells what a model is for; empty without one.
fn section_of(header: &Header) -> &'static str {
    let known = [voice::SECTION, text::SECTION, series::SECTION, STATE_SECTION];
    known.into_iter().find(|s| header.sections.contains_key(*s)).unwrap_or_default()
}

fn section(path: &Path) -> Option<&'static str> {
    header_of(path).map(|header| section_of(&header))
}
