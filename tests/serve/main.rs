//! The server of text to speech, as clients see it: by raw sockets, with a small voice of random weights.

mod client;
#[path = "../common/mod.rs"]
mod common;
mod http;
mod limits;
mod serving;
mod wyoming;

/// Inputs, and how `render` is told the same.
const SAID: [(&str, &str); 3] = [
    ("en_greeting", "--track en_greeting"),
    ("it_goodbye", "--track it_goodbye"),
    ("ru_river", "--track ru_river"),
];
