//! The voice that the program carries with it: checkpoint, speakers and tracks, embedded by `build.rs` from
//! `models/pretrained/`.

include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The checkpoint's bytes; `None` in a build without one.
pub fn voice() -> Option<&'static [u8]> {
    VOICE
}

/// Names of the conditions that say who speaks.
pub fn speakers() -> impl Iterator<Item = &'static str> {
    SPEAKERS.iter().map(|(name, _)| *name)
}

/// Names of the conditions that say what is said.
pub fn tracks() -> impl Iterator<Item = &'static str> {
    TRACKS.iter().map(|(name, _)| *name)
}

/// The condition file of that name, speakers first.
pub fn condition(name: &str) -> Option<&'static [u8]> {
    SPEAKERS.iter().chain(TRACKS).find(|(n, _)| *n == name).map(|(_, bytes)| *bytes)
}
