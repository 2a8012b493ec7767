//! wavesynth: a neural synthesizer. It learns from recordings and generates speech, singing and music sample by sample in
//! real time; it learns from texts, too.
//!
//! Everything is p(x) = Π p(x_t | x_<t, c): one network gives every factor. Generation draws one value at a time and
//! keeps what it would otherwise compute again. Training reads a whole sequence at once, with the truth as input.
//!
//! Four choices are independent of each other, and a fifth is outside the core:
//!
//! | choice | is | where |
//! |---|---|---|
//! | family | the network that gives the factor | [`models::families`] |
//! | likelihood | what its outputs mean: a softmax, Gaussians, logistics | [`models::likelihood`] |
//! | order | which variable each step fills | [`models::order`] |
//! | condition | c: a speaker's vector, a class, frames of features | [`models::condition`] |
//! | front end | where frames come from while sound is made | [`synth::FrameSource`]: a track, live speech, [utterances](tts) |
//!
//! Four kinds of data use them: sound ([`Voice`]), text ([`text`]), images ([`images`]), and sequences of vectors
//! ([`series`]).
//!
//! # Playing and rendering
//!
//! ```text
//! Condition --(every hop)--> Generator::condition --+                      wavesynth_audio::cond, synth::Conditioning
//! checkpoint -> check -> pack -> Arc<weights> ------|--(every symbol)--> step -> logits -> sampler(uniform) -> code
//!                                                   +<---------------------- x_{t-1} <---------------------+
//!    callback <- ring <- resample <- block of f32 <- de-emphasis <- mu-law decode <------------------------+
//!    file     <---------------------+
//! ```
//!
//! A front end gives the frames: the condition's track or, as the sound comes in, [`synth::Listener`], which makes them
//! from a recording, a pipe or a microphone; or [`tts::SpokenFront`], which draws them for the phones of a text.
//!
//! [`synth::Synth`] is the first three lines: one voice, one condition or several as layers, blocks of PCM out, no
//! threads. `render` pulls blocks from it into a file, and makes many files from a [`synth::Ensemble`], whose streams
//! share every weight that is read. `play` puts threads around it:
//!
//! | thread | runs | may |
//! |---|---|---|
//! | main | [`synth::Session`]: commands in, reports out | everything |
//! | worker | [`synth::Worker`]: synth, resampler, the ring's producer | neither allocate, lock, log nor touch a file |
//! | callback | the ring's consumer, in `wavesynth_audio::device` | pop, pad with silence, count |
//!
//! Commands go to the worker through a bounded channel, as values prepared on main. Values that they replace travel back
//! and are dropped on main.
//!
//! `serve` (module `serve`, of the feature of that name) keeps one [`synth::Ensemble`] at work on a thread of its own, whose
//! streams are the requests of other programs: they come and go between two frames.
//!
//! # Training
//!
//! ```text
//! recordings, text, series -> windows [B, T+1] -> Objective::loss -> AdamW -> checkpoint -> the same loader -> engine
//! ```
//!
//! The engine does the held-out evaluation, so the two readings of a model are compared at every
//! evaluation. Several processes ([`ranks`]) can share one run: each has a part of the recordings, or its own windows of
//! a text, and they meet in one mean of the gradients a step.

#[cfg(feature = "cli")]
pub mod bench;
pub mod columns;
pub mod copy_synthesis;
pub mod images;
#[cfg(feature = "cli")]
pub mod job_list;
pub mod kinds;
pub mod lookup;
#[cfg(feature = "cli")]
pub mod npy;
pub mod progress;
pub mod quality;
pub mod ranks;
pub mod recordings;
pub mod series;
#[cfg(feature = "serve")]
pub mod serve;
pub mod shipped;
pub mod speech;
pub mod synth;
pub mod text;
#[cfg(feature = "train")]
pub mod train;
pub mod tts;
pub mod voice;

pub use speech::Speech;
pub use synth::Conditioning;
pub use voice::Voice;
pub use {wavesynth_audio as audio, wavesynth_models as models, wavesynth_output as output};
