//! What the program carries with it, embedded by `build.rs` from `models/pretrained/`: a voice with its speakers and
//! tracks, and a text model.

include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The voice's checkpoint; `None` in a build without one.
pub fn voice() -> Option<&'static [u8]> {
    VOICE
}

/// The text model's checkpoint; `None` in a build without one.
pub fn text() -> Option<&'static [u8]> {
    TEXT
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
    find(SPEAKERS, name).or_else(|| find(TRACKS, name))
}

/// The condition file of that name, tracks first: a recording may be called as its speaker is.
pub fn track(name: &str) -> Option<&'static [u8]> {
    find(TRACKS, name).or_else(|| find(SPEAKERS, name))
}

fn find(files: &[(&str, &'static [u8])], name: &str) -> Option<&'static [u8]> {
    files.iter().find(|(n, _)| *n == name).map(|(_, bytes)| *bytes)
}
