//! Recordings with transcripts as a source of windows, and the text-to-speech model that comes of them.
//!
//! ```text
//! config   the run file
//! adopt    weights of a model of other phones, to begin from
//! corpus   recordings -> aligned phones -> sentences: what is told of their phones, durations, frames
//! learner  durations and frames as one network with one loss
//! source   windows, held-out readings, and the distance of frames that the model draws from those of the recordings
//! ```

mod adopt;
pub mod config;
pub mod corpus;
mod learner;
mod source;

pub use source::SaySource;
