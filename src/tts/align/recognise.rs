//! The words of a recording, when only a vocabulary is known: any word may follow any other, with a pause between them or none (token
//! passing: Young, Russell and Thornton 1989). A measure of how well a voice speaks, where there is no other recogniser.

use super::chain::{PAUSES, SKIP};
use super::{Acoustics, Observation, PAUSE, STATES};

/// A state in its place among the words.
struct Node {
    state: usize,
    /// Its word; behind the last one the pause.
    word: usize,
    /// Whether it is the first of its word, its last.
    first: bool,
    last: bool,
    /// Whether it may be entered from the second state before it, too.
    skips: bool,
}

/// The most likely way into a node: ln of its density, and the frame at which its word began.
#[derive(Clone, Copy)]
struct Token {
    log_p: f32,
    start: usize,
}

impl Acoustics {
    /// The most likely words, numbers in `vocabulary`, whose words are phones. `penalty` is ln of a word's probability beside a pause's.
    pub fn words(&self, frames: &[Observation], vocabulary: &[Vec<u16>], penalty: f32) -> Vec<usize> {
        let nodes = nodes(vocabulary);
        let moves: Vec<(f32, f32)> = nodes.iter().map(|node| self.mixtures.moves(node.state)).collect();
        let mut tokens = vec![Token { log_p: f32::MIN, start: 0 }; nodes.len()];
        // For each boundary between two frames: ln of the density of what ends there, its word, and where that began.
        let mut ends = vec![(0.0, vocabulary.len(), 0)];
        let mut densities = vec![0.0; self.phones * STATES];
        for (t, frame) in frames.iter().enumerate() {
            for (state, density) in densities.iter_mut().enumerate() {
                *density = self.mixtures.log_density(state, frame);
            }
            let mut end = (f32::MIN, vocabulary.len(), t);
            // Downwards: what stands before a node is still that of the frame before.
            for (i, node) in nodes.iter().enumerate().rev() {
                let mut best = Token { log_p: tokens[i].log_p + moves[i].0, ..tokens[i] };
                let mut offer = |log_p: f32, start: usize| {
                    if log_p > best.log_p {
                        best = Token { log_p, start };
                    }
                };
                if node.first {
                    let entry = if node.word == vocabulary.len() { PAUSES.0 } else { penalty };
                    offer(ends[t].0 + entry, t);
                } else {
                    offer(tokens[i - 1].log_p + moves[i - 1].1, tokens[i - 1].start);
                }
                if node.skips {
                    offer(tokens[i - 2].log_p + moves[i - 2].1 + SKIP, tokens[i - 2].start);
                }
                best.log_p = (best.log_p + densities[node.state]).max(f32::MIN);
                tokens[i] = best;
                let leaves = best.log_p + moves[i].1;
                if node.last && leaves > end.0 {
                    end = (leaves, node.word, best.start);
                }
            }
            ends.push(end);
        }
        let (mut words, mut at) = (Vec::new(), frames.len());
        while at > 0 {
            let (_, word, start) = ends[at];
            words.extend((word < vocabulary.len()).then_some(word));
            at = start;
        }
        words.reverse();
        words
    }
}

/// The states of all words behind one another, and of a pause.
fn nodes(vocabulary: &[Vec<u16>]) -> Vec<Node> {
    let mut nodes = Vec::new();
    let pause = [PAUSE];
    for (word, phones) in vocabulary.iter().map(Vec::as_slice).chain([&pause[..]]).enumerate() {
        let count = phones.len() * STATES;
        nodes.extend((0..count).map(|i| {
            let (phone, part) = (phones[i / STATES], i % STATES);
            Node {
                state: usize::from(phone) * STATES + part,
                word,
                first: i == 0,
                last: i + 1 == count,
                skips: part == STATES - 1 && phone != PAUSE,
            }
        }));
    }
    nodes
}
