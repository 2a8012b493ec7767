//! How results leave the program, in one place for every command, the trainer and the library.
//!
//! | module | fact |
//! |---|---|
//! | [`plan`] | what a command reads and writes, checked before its work |
//! | [`file`](mod@file) | a file appears whole or not at all; links are followed, pipes and devices written into |
//! | [`kind`] | what a file is, so that none is replaced by another kind |
//! | [`message`] | a line on stderr, which can't fail |
//! | [`name`] | names from files, which become parts of paths |
//! | [`shown`] | text from files and arguments, as a terminal may see it |
//!
//! Nothing here is for the engine's or the callback's thread.

pub mod file;
pub mod kind;
mod leftover;
pub mod message;
pub mod name;
mod place;
pub mod plan;
pub mod shown;

pub use file::{Output, Pending};
pub use kind::Kind;
pub use place::folder;
pub use plan::{OutputError, Plan};
