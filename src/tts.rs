//! Text to speech: letters → phones → frames → samples, each arrow an autoregressive model.

pub mod utterance;
