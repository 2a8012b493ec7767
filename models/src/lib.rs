//! Autoregressive models: networks, likelihoods, weights and kernels.
//!
//! Everything here is one equation, p(x) = Π p(x_t | x_<t, c): a network gives every factor, training reads a whole
//! sequence at once with the truth as input, and generation goes one symbol at a time and keeps what it would
//! otherwise compute again.
//!
//! ```text
//! ar        the contract: Model (weights + state), Generator (object-safe), Sampler, Uniforms
//! family    what a family of networks is, its type forgotten once; families lists them, a folder each:
//!           the equation and Config::table(), family.rs what it says of itself, step.rs the engine, graph.rs the
//!           teacher-forced reading on candle, fused.rs the trainer's own forward and backward
//! likelihood
//!           what a network's outputs mean: categorical, Bernoulli, Gaussian, mixtures of Gaussians and of logistics
//! condition, order, fixed_length
//!           what a network is given beside the past, which variable each step fills, and what families of sequences of a
//!           fixed length, such as images, share
//! loaded    a checkpoint of any family as a model
//! memory    how much memory a model takes, known before it is taken, and its limit
//! vq_vae    images to discrete codes and back, whose codes a family models
//! weights   tensors by name: table, initial values, checkpoint file, the check that binds them
//! kernels   matrix-vector products and gates, plain and for each instruction set; the only `unsafe`
//! objective, graph, fused, dropout
//!           what a trainer minimises, what the families' graphs share, and what their own passes do
//! ```
//!
//! The crate knows no device and no file but checkpoints. Without the feature `train` it links neither candle nor
//! anything else that a small board could not carry.

#[cfg(feature = "train")]
pub use candle_core;

pub mod adaptation;
pub mod ar;
pub mod condition;
pub mod config;
#[cfg(feature = "train")]
pub mod dropout;
pub mod families;
pub mod family;
pub mod fixed_length;
#[cfg(feature = "train")]
mod fused;
#[cfg(feature = "train")]
pub mod graph;
pub mod in_file;
pub mod kernels;
pub mod likelihood;
pub mod loaded;
pub mod memory;
#[cfg(feature = "train")]
pub mod objective;
pub mod order;
pub mod second;
pub mod vq_vae;
pub mod weights;
