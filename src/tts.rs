//! Text to speech: letters → phones → frames → samples, each arrow an autoregressive model.
//!
//! ```text
//! utterance  what is said: words, phones, breaks
//! phones     names of phones, and the set that a model knows
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
pub mod model;
pub mod phones;
pub mod utterance;

pub use draw::Prosody;
pub use front::{Prepared, SpokenFront, Utterances};
pub use model::SayModel;
