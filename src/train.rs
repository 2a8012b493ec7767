//! The trainer: a folder of recordings in, a voice out; or a text in, a text model out.
//!
//! ```text
//! run file --> run_file      a voice's (config) or a text's (text::config), checked key by key
//! WAV files -> recording     codes and features of one file
//!              corpus        codes and feature tracks of every speaker, each file for training or held out
//!              slots         which training file a random number selects, and which rank has it
//!              window        batches of [warm-up | loss] rows, drawn from (seed, step, window) alone
//!              perturbation  feature tracks taken through another vocal tract
//!              cross_speaker feature tracks that other speakers made of the same sentences
//!              speech        the source that these make
//! text file -> text          symbols, batches, held-out reading: the other source; tables that are only counted
//! images ----> images        windows of images or of their codes, and of a VQ-VAE that makes codes
//! transcripts -> tts         durations and frames of phones, found by alignment: the text-to-speech source
//!              source        the loop's view of any
//!              schedules     scheduled sampling and curriculum, for both
//!              device        the processor that computes losses
//!              memory        memory that a run will take, and how many windows fit
//!              files         what it writes, checked before its work
//!              folder        one run at a time in a folder
//!              setup         the parts of a run that its steps do not change
//!              run           the loop: loss, clip, optimiser, average; logs, checkpoints
//!              stop          how a run is asked to end, and what is not lost by it
//!              optim         AdamW, learning rate, average
//!              muon          the optimiser of matrices
//!              guard         NaN and divergence
//!              held_out      the same windows read by the engine and by the trainer
//!              state         everything that resuming needs, in one file
//!              product       the sections of a voice file
//!              report        progress, log file, verdict
//!              enroll        a new speaker's vector, all other weights held
//! ```
//!
//! Nothing that moves a weight depends on the clock or on the number of threads: `--resume` gives the bits that one
//! uninterrupted run gives. With several [`ranks`](crate::ranks) each draws its part of a step's windows; their mean
//! gradient is that of one process with all the windows, to rounding.

pub mod config;
pub mod corpus;
pub mod cross_speaker;
pub mod device;
pub mod enroll;
mod files;
mod folder;
pub mod guard;
pub mod held_out;
pub mod images;
pub mod memory;
mod mixed_precision;
pub mod muon;
pub mod optim;
pub mod perturbation;
pub mod product;
pub mod recording;
pub mod report;
mod run;
pub mod run_file;
pub mod schedules;
pub mod series;
mod setup;
pub mod slots;
pub mod source;
pub mod speech;
pub mod state;
pub mod stop;
pub mod text;
pub mod tts;
pub mod units;
pub mod window;

pub use run::{Outcome, TrainOptions, train};
pub use setup::objective;
pub use stop::Stop;
