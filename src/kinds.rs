//! Kinds of checkpoints, which the sections of their headers tell: a file is of one, and none is replaced by one of another.

use crate::tts::model as say;
use crate::{images, series, text, voice};
use std::path::Path;
use wavesynth_models::vq_vae;
use wavesynth_models::weights::{Header, header_of};
use wavesynth_output::Kind;

/// The sections that say what a model is of.
const SECTIONS: [&str; 5] = [voice::SECTION, text::SECTION, series::SECTION, images::SECTION, say::SECTION];

const ENDINGS: &[&str] = &["safetensors"];

/// The header's section of a training state.
pub(crate) const STATE_SECTION: &str = "state";

/// What the trainer calls its voices, text models, series models and image models.
pub const VOICE_FILE: &str = "voice.safetensors";
/// See [`VOICE_FILE`].
pub const TEXT_FILE: &str = "text.safetensors";
/// See [`VOICE_FILE`].
pub const SERIES_FILE: &str = "series.safetensors";

/// See [`VOICE_FILE`].
pub const IMAGE_FILE: &str = "images.safetensors";
/// What the trainer calls its text-to-speech models.
pub const SAY_FILE: &str = "say.safetensors";
/// What the trainer calls its VQ-VAEs.
pub const VQ_VAE_FILE: &str = "vqvae.safetensors";

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
/// Checkpoints of image models.
pub const IMAGES: Kind = Kind {
    name: "an image model",
    endings: ENDINGS,
    is_text: false,
    is: |p| section(p) == Some(images::SECTION),
};
/// Checkpoints of text-to-speech models.
pub const SAY: Kind = Kind {
    name: "a text-to-speech model",
    endings: ENDINGS,
    is_text: false,
    is: |p| section(p) == Some(say::SECTION),
};
/// Checkpoints of VQ-VAEs.
pub const VQ_VAE: Kind =
    Kind { name: "a VQ-VAE", endings: ENDINGS, is_text: false, is: |p| section(p) == Some(vq_vae::NAME) };
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
        images::SECTION => &IMAGES,
        say::SECTION => &SAY,
        vq_vae::NAME => &VQ_VAE,
        STATE_SECTION => &STATE,
        _ => &OTHER,
    }
}

/// The section that tells what a model is for, the family of a VQ-VAE; empty without one.
fn section_of(header: &Header) -> &'static str {
    if images::is_coder(header) {
        return vq_vae::NAME;
    }
    SECTIONS.into_iter().chain([STATE_SECTION]).find(|s| header.sections.contains_key(*s)).unwrap_or_default()
}

fn section(path: &Path) -> Option<&'static str> {
    header_of(path).map(|header| section_of(&header))
}

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
