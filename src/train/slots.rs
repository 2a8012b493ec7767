//! Which windows of a step a rank draws, which training file a random number selects, and which files a rank needs.
//!
//! All training files lie on [0, 1) one behind the other, each as long as it is likely to be drawn. A step of W windows
//! cuts [0, 1) into W equal parts, and window i is drawn from part i: as likely as drawing from everywhere, with less
//! scatter. Rank r of N draws windows rW/N to (r+1)W/N, so it needs the files of its N-th of [0, 1) and no other, while
//! the windows of a step depend on W alone: two ranks with a batch of B draw what one process draws with 2B.

use crate::ranks::Ranks;
use std::ops::Range;

/// The windows of a step that a rank draws. Windows of all ranks stand in one row, so W of them are the same windows
/// however many ranks draw them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    /// This rank's.
    pub own: Range<usize>,
    /// W, the windows of all ranks.
    pub all: usize,
}

impl Slots {
    /// The slots of this one of `ranks`, each of which draws `windows`.
    pub fn of(ranks: &Ranks, windows: usize) -> Self {
        Self { own: ranks.rank() * windows..(ranks.rank() + 1) * windows, all: ranks.size() * windows }
    }

    /// The number of window `slot` of step `step` in the whole run, from 0: the index of its random numbers.
    pub fn number(&self, step: u64, slot: usize) -> u64 {
        step * self.all as u64 + slot as u64
    }
}

/// The training files on [0, 1).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FileWeights {
    /// Where each file ends.
    edges: Vec<f64>,
}

impl FileWeights {
    /// Files by (speaker, samples), each speaker's in one piece. A speaker is drawn in proportion to its samples to the
    /// power of `balance`, each of its samples as often as any other.
    pub fn new(files: impl Iterator<Item = (usize, u64)> + Clone, balance: f64) -> Self {
        let mut samples = Vec::new();
        for (speaker, n) in files.clone() {
            samples.resize(samples.len().max(speaker + 1), 0u64);
            samples[speaker] += n;
        }
        let density: Vec<f64> = samples.iter().map(|&n| (n as f64).powf(balance) / n as f64).collect();
        let mut sum = 0.0;
        let mut edges: Vec<f64> = files
            .map(|(speaker, n)| {
                sum += density[speaker] * n as f64;
                sum
            })
            .collect();
        edges.iter_mut().for_each(|e| *e /= sum);
        Self { edges }
    }

    /// The file at position `place` of [0, 1). There must be one file at least.
    pub fn at(&self, place: f64) -> usize {
        self.edges.partition_point(|e| *e <= place).min(self.edges.len() - 1)
    }

    /// The files that rank `rank` of `size` draws from. The one at a boundary belongs to both sides.
    pub fn of(&self, rank: usize, size: usize) -> Range<usize> {
        let boundary = |rank: usize| rank as f64 / size as f64;
        let last = self.edges.partition_point(|e| *e < boundary(rank + 1)).min(self.edges.len() - 1);
        self.at(boundary(rank))..last + 1
    }

    /// The files that count for rank `rank` of `size`: each file has one such rank.
    pub fn kept_by(&self, rank: usize, size: usize) -> Range<usize> {
        let own = self.of(rank, size);
        match rank.checked_sub(1) {
            Some(before) => own.start.max(self.of(before, size).end)..own.end,
            None => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_weights(balance: f64) -> FileWeights {
        let files = [(0, 10), (0, 30), (1, 160), (2, 1), (2, 2), (2, 1)];
        FileWeights::new(files.into_iter(), balance)
    }

    #[test]
    fn a_file_is_as_likely_as_its_speaker_and_its_length_make_it() {
        let by_length = file_weights(1.0);
        assert_eq!([0.04, 0.06, 0.5, 0.99].map(|p| by_length.at(p)), [0, 1, 2, 4]);
        let alike = file_weights(0.0);
        assert_eq!([0.0, 0.1, 0.34, 0.67, 0.8, 0.999_999].map(|p| alike.at(p)), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn ranks_have_the_files_that_their_windows_come_from() {
        for balance in [0.0, 0.5, 1.0] {
            let file_weights = file_weights(balance);
            for (size, batch) in [(1, 3), (2, 1), (3, 5), (7, 2), (40, 1)] {
                let mut kept = Vec::new();
                for rank in 0..size {
                    let own = file_weights.of(rank, size);
                    kept.extend(file_weights.kept_by(rank, size));
                    for slot in rank * batch..(rank + 1) * batch {
                        for uniform in [0.0, 0.5, 1.0 - 0.5f64.powi(24)] {
                            let file = file_weights.at((slot as f64 + uniform) / (size * batch) as f64);
                            assert!(own.contains(&file), "{file} {own:?} {rank} of {size}");
                        }
                    }
                }
                assert_eq!(kept, [0, 1, 2, 3, 4, 5], "{size}");
            }
        }
    }
}
