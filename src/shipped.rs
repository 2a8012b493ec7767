//! The models and conditions embedded in the program by `build.rs` from `models/pretrained/`: a voice with its speakers
//! and tracks, other models, and what text to speech needs.

include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// Name of the default voice.
pub const VOICE: &str = "voice";

/// Name of the default text model.
pub const TEXT: &str = "text";

/// Name of the music model.
pub const MUSIC: &str = "music";

/// Name of the model of handwritten digits.
pub const DIGITS: &str = "digits";

/// Name of the model of small coloured pictures.
pub const EMOJI: &str = "emoji";

/// Whether `name` is that of a shipped model, also of one that this build lacks.
pub fn is_model_name(name: &str) -> bool {
    [VOICE, TEXT, MUSIC, DIGITS, EMOJI].contains(&name) || model(name).is_some()
}

/// Names of the models.
pub fn models() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(name, _)| *name)
}

/// The checkpoint of the model of that name.
pub fn model(name: &str) -> Option<&'static [u8]> {
    find(MODELS, name)
}

/// Languages that there are text-to-speech models of.
pub fn languages() -> impl Iterator<Item = &'static str> {
    SAY.iter().map(|(name, _)| *name).filter(|name| !name.contains('-'))
}

/// Names of the conditions with a speaker vector.
pub fn speakers() -> impl Iterator<Item = &'static str> {
    SPEAKERS.iter().map(|(name, _)| *name)
}

/// Names of the conditions with a track.
pub fn tracks() -> impl Iterator<Item = &'static str> {
    TRACKS.iter().map(|(name, _)| *name)
}

/// The condition file of that name, speakers first.
pub fn condition(name: &str) -> Option<&'static [u8]> {
    find(SPEAKERS, name).or_else(|| find(TRACKS, name))
}

/// The condition file of that name, tracks first: a recording may have its speaker's name.
pub fn track(name: &str) -> Option<&'static [u8]> {
    find(TRACKS, name).or_else(|| find(SPEAKERS, name))
}

/// The checkpoint of that name for text to speech: of durations and frames by the code of their language.
pub fn say(name: &str) -> Option<&'static [u8]> {
    find(SAY, name)
}

/// The speaker in whose manner the model of a language speaks: the one of whom it learned most. Of ru_nsh it has five times the
/// recordings of ru_ivrvoice.
pub fn manner(language: &str) -> Option<&'static str> {
    let prefix = format!("{language}_");
    match language {
        "ru" => speakers().find(|name| *name == "ru_nsh"),
        _ => speakers().find(|name| name.starts_with(&prefix)),
    }
}

/// The pronunciations of that name which a model would get wrong, as [`crate::tts::pronounce::Exceptions`] reads them.
pub fn exceptions(name: &str) -> Option<&'static [u8]> {
    find(EXCEPTIONS, name)
}

fn find(files: &[(&str, &'static [u8])], name: &str) -> Option<&'static [u8]> {
    files.iter().find(|(n, _)| *n == name).map(|(_, bytes)| *bytes)
}
