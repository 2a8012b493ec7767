//! The server of text to speech, as clients see it: by raw sockets, with a small voice of random weights.
#![cfg(unix)]

mod client;
#[path = "../common/mod.rs"]
mod common;
mod http;
mod limits;
mod serving;
mod wyoming;

/// A short input, one of two sentences, and one whose sound is longer than all buffers on the way.
const SAID: [&str; 2] = ["Hello!", "Good morning. It is 9:30."];
const LONG: &str = "One, two, three, four, five, six, seven, eight, nine, ten. One, two, three, four, five, six, seven, \
                    eight, nine, ten. One, two, three, four, five, six, seven, eight, nine, ten.";
