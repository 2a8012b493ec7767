//! Turns symbols into sound, and sound into symbols and features. Knows no model.
//!
//! ```text
//! in training
//!   file --read--> PCM f32 --resample--> 16 kHz --+--> pre-emphasis --> mu-law code     (pcm, mulaw)
//!                                                +--> cepstra, F0, voicing             (features)
//!                                                        | minus the speaker's own statistics
//!                                                        v
//!   speaker.bin, track.bin <--- Condition <--- Track [N x FEATURES]                     (cond)
//!
//! in playback
//!   code --mu-law--> --de-emphasis--> PCM f32 --+--> StreamResampler --> ring --> callback --> device
//!                                               +--> sink: files and pipes
//! ```
//!
//! | module | job | thread |
//! |---|---|---|
//! | [`mulaw`], [`pcm`] | sample <-> code | any, real-time |
//! | [`resample`] | rate changes: whole signals, and streams | any; the stream form is real-time |
//! | [`post_filter`] | less noise in a voice, by its track | real-time |
//! | [`limit`] | peaks stay below full scale | real-time |
//! | [`ring`] | engine -> callback, with its own underrun count | real-time |
//! | [`recording`] | recordings of all formats, from files and pipes | main |
//! | [`sink`], [`cond`] | files and pipes | main |
//! | [`features`] | the local conditioning track, the speaker taken out of it | main, trainer |
//! | [`features::CausalExtractor`] | the same track while the sound comes in | real-time |
//! | `device` | sound devices, out and in (feature `device`) | main; its callbacks are real-time |
//!
//! PCM is `f32` in -1..1, mono, throughout. Functions that may run on the engine's or the callback's
//! thread say so under *Real-time*: they do not allocate, lock, log or touch files.

pub mod cond;
#[cfg(feature = "device")]
pub mod device;
pub mod features;
pub mod limit;
pub mod mulaw;
pub mod pcm;
pub mod post_filter;
pub mod recording;
pub mod resample;
pub mod ring;
pub mod sink;
mod wav;
