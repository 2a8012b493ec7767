//! The trainer, as a user meets it: a run file and a folder of recordings, or a text.

mod classifier;
mod commands;
mod common;
mod cross_speaker;
mod devices;
mod enroll;
mod image_runs;
mod images;
mod kept;
mod learning;
mod memory;
mod outputs;
#[cfg(feature = "mpi")]
mod ranks;
mod resume;
mod run_files;
mod runs;
mod say;
mod series;
mod text;
mod trajectory;
mod vq_vae;
