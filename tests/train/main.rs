//! The trainer, as a user meets it: a run file and a folder of recordings.

mod commands;
mod common;
mod enroll;
mod learning;
#[cfg(feature = "mpi")]
mod ranks;
mod resume;
mod runs;
