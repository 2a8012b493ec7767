//! What predicts the next symbol.
//!
//! Everything here is one equation, p(x) = Π p(x_t | x_<t, c): a network gives every factor, training reads a whole
//! sequence at once with the truth as input, and generation goes one symbol at a time and keeps what it would
//! otherwise compute again.
//!
//! ```text
//! ar        the contract: Model (weights + state), Generator (object-safe), Likelihood, Sampler, Uniforms
//! likelihood
//!           what a network's outputs mean: categorical, Bernoulli, Gaussian, mixtures of Gaussians and of logistics
//! weights   tensors by name: table, initial values, checkpoint file, the check that binds them
//! kernels   matrix-vector products and gates, plain and for each instruction set; the only `unsafe`
//! wavenet, char_rnn, gpt
//!           the families, each: the equation and Config::table(), step.rs the engine, graph.rs the teacher-forced
//!           reading on candle, fused.rs the trainer's own forward and backward
//! ngram     the baseline: the equation and Config::table(), count.rs from a text to the table, step.rs the engine
//! graph, fused, dropout
//!           what the families' graphs share, and what their own forward and backward passes do
//! zoo       the one `match` over families
//! ```
//!
//! The crate knows no device and no file but checkpoints. Without the feature `train` it links neither candle nor
//! anything else that a small board could not carry.

#[cfg(feature = "train")]
pub use candle_core;

pub mod ar;
pub mod char_rnn;
pub mod config;
#[cfg(feature = "train")]
pub mod dropout;
#[cfg(feature = "train")]
mod fused;
pub mod gpt;
#[cfg(feature = "train")]
pub mod graph;
pub mod kernels;
pub mod likelihood;
pub mod ngram;
#[cfg(feature = "train")]
pub mod objective;
pub mod wavenet;
pub mod weights;
pub mod zoo;
