//! Text to speech: letters → phones → frames → samples, each arrow an autoregressive model.
//!
//! ```text
//! text       running text → sentences → words as they are said: numbers, dates, abbreviations spelled out
//! pronounce  a word's letters → its phones: exceptions, then a model or rules
//! utterance  what the two give and frame models read
//! ```

pub mod language;
pub mod pronounce;
pub mod text;
pub mod utterance;

pub use language::Language;
pub use text::{FrontEnd, TextReader, Unread};
