//! Text to speech: letters → phones → frames → samples, each arrow an autoregressive model.
//!
//! ```text
//! text       running text → sentences → words as they are said: numbers, dates, abbreviations spelled out
//! pronounce  a word's letters → its phones: exceptions, then a model or rules
//! utterance  what the two give and frame models read
//! phones     names of phones, and the set that a model of frames knows
//! context    what a model is told of a phone and of a frame
//! model      durations and frames: two networks in one file
//! draw       their streams
//! front      utterances as a front end of the engine
//! align      when each phone of a recording sounds, for training
//! ```

#[cfg(feature = "train")]
pub mod align;
pub mod context;
pub mod draw;
pub mod front;
pub mod language;
pub mod model;
pub mod phones;
pub mod pronounce;
pub mod text;
pub mod utterance;

pub use draw::Prosody;
pub use front::{Prepared, SpokenFront, Utterances};
pub use language::Language;
pub use model::SayModel;
pub use text::{FrontEnd, TextReader, Unread};
