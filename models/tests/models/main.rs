//! What the models' readings must agree on, in one binary.

#[cfg(feature = "train")]
mod bunch;
mod char_rnn;
mod checkpoint;
mod common;
mod golden;
mod gpt;
mod half_way;
mod images;
mod likelihood;
#[cfg(feature = "train")]
mod likelihoods;
mod made;
mod memory;
mod nade;
mod ngram;
mod pixel_cnn;
mod pixel_rnn;
mod suite;
mod vq_vae;
mod wavenet;
#[cfg(feature = "train")]
mod widen;
