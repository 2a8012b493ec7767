//! When each phone of a recording sounds, found without labels: a monophone hidden Markov model (Rabiner 1989, "A tutorial on hidden
//! Markov models", sections II to IV; flat start and splitting of Gaussians as in Young et al., "The HTK Book", sections 3.2 and
//! 8.6) that is trained on the recordings themselves by the most likely path (Juang & Rabiner 1990, "The segmental K-means
//! algorithm").
//!
//! Every phone is a chain of three states, the middle one of which may be left out; the pause, phone 0, has to pass all three.
//! A pause may stand before, between and behind words. A state's frames come of a mixture of Gaussians with diagonal covariance.
//!
//! ```text
//! acoustics  what the model sees of a frame
//! mixtures   the states' densities, and what is summed to find them anew
//! chain      the states that a recording may pass, and the most likely path through them
//! recognise  the words of a recording, when only a vocabulary is known
//! ```

mod acoustics;
mod chain;
mod mixtures;
mod recognise;

pub use acoustics::{DIMS, Observation, observe};

use chain::Chain;
use mixtures::{Mixtures, Sums};
use rayon::prelude::*;

/// States of a phone.
const STATES: usize = 3;

/// The phone that is a pause.
pub const PAUSE: u16 = 0;

/// Rounds of the training.
pub const ROUNDS: usize = 18;

/// Rounds before which every Gaussian is split in two.
const SPLITS: [usize; 2] = [8, 13];

/// Recordings whose sums are made in one go.
const CHUNK: usize = 32;

/// A recording and what is said in it.
#[derive(Debug, Clone, Default)]
pub struct Item {
    /// One for each frame.
    pub frames: Vec<Observation>,
    /// The phones of each word, none of them [`PAUSE`]; a word may be empty.
    pub words: Vec<Vec<u16>>,
}

/// A phone in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The phone.
    pub phone: u16,
    /// The word that it is of; of a pause, the number of words before it.
    pub word: usize,
    /// Its first frame.
    pub start: usize,
    /// The frame behind its last one.
    pub end: usize,
}

/// The segments of one recording, which cover all of its frames; `None` where it has fewer frames than its phones need.
pub type Alignment = Option<Vec<Segment>>;

/// What the phones sound like.
#[derive(Debug, Clone)]
pub struct Acoustics {
    mixtures: Mixtures,
    phones: usize,
}

impl Acoustics {
    /// Learns them from `items`, of phones below `phones`, and aligns these. `shown` is told of every round: its number, and the mean
    /// logarithm of a frame's density along the paths.
    pub fn learn(phones: usize, items: &[Item], mut shown: impl FnMut(usize, f64)) -> (Self, Vec<Alignment>) {
        let chains: Vec<Chain> = items.par_iter().map(|item| Chain::new(&item.words)).collect();
        let all: Vec<(&Item, &Chain)> = items.iter().zip(&chains).collect();
        let mut paths: Vec<Option<Vec<u32>>> =
            all.par_iter().map(|(item, chain)| chain.evenly(&item.frames)).collect();
        let mut mixtures = Mixtures::of(phones * STATES);
        for round in 0..ROUNDS {
            mixtures.update(&sums(&mixtures, &all, &paths));
            if SPLITS.contains(&round) {
                mixtures.split();
            }
            let found: Vec<Option<(Vec<u32>, f64)>> =
                all.par_iter().map(|(item, chain)| chain.best_path(&item.frames, &mixtures)).collect();
            let frames: usize = found.iter().flatten().map(|(path, _)| path.len()).sum();
            let total: f64 = found.iter().flatten().map(|(_, log_p)| log_p).sum();
            shown(round + 1, total / frames.max(1) as f64);
            paths = found.into_iter().map(|f| f.map(|(path, _)| path)).collect();
        }
        let segments = |((_, chain), path): (&(&Item, &Chain), &Option<Vec<u32>>)| {
            path.as_ref().map(|path| chain.segments(path))
        };
        let alignments = all.iter().zip(&paths).map(segments).collect();
        (Self { mixtures, phones }, alignments)
    }
}

/// What the frames along `paths` tell of the states, summed in the order of the recordings.
fn sums(mixtures: &Mixtures, all: &[(&Item, &Chain)], paths: &[Option<Vec<u32>>]) -> Sums {
    let parts: Vec<Sums> = (all.par_chunks(CHUNK).zip(paths.par_chunks(CHUNK)))
        .map(|(all, paths)| {
            let mut sums = Sums::of(mixtures);
            for ((item, chain), path) in all.iter().zip(paths) {
                for (frame, node) in item.frames.iter().zip(path.iter().flatten()) {
                    sums.add(mixtures, chain.state(*node), frame);
                }
            }
            sums
        })
        .collect();
    parts.into_iter().reduce(Sums::plus).unwrap_or_else(|| Sums::of(mixtures))
}

#[cfg(test)]
mod tests;
