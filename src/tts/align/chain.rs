//! The states that a recording may pass, and the most likely path through them.

use super::acoustics::Observation;
use super::mixtures::Mixtures;
use super::{PAUSE, STATES, Segment};

/// ln of the probability that a phone's middle state is left out.
pub const SKIP: f32 = -2.3;

/// ln of the probability that a pause stands between two words, and that none does.
pub const PAUSES: (f32, f32) = (-1.6, -0.2);

/// Most ways into a state from others.
const WAYS: usize = 3;

/// Frames that are quieter than this share of the way from the recording's quiet to its loud frames are taken for pauses at first.
const QUIET: f32 = 0.3;

/// Quiet frames in a row that are a pause within a recording.
const LEAST_PAUSE: usize = 12;

/// A state in its place.
#[derive(Debug, Clone)]
struct Node {
    /// Number of its density.
    state: usize,
    phone: u16,
    word: usize,
    /// Which of its phone's states it is.
    part: usize,
    /// The nodes that it is entered from and the logarithms of the probabilities of these ways; those behind `ways` mean nothing.
    from: [(u32, f32); WAYS],
    ways: usize,
    /// Whether a recording may begin with it, end with it.
    first: bool,
    last: bool,
}

/// The states of a recording.
#[derive(Debug, Clone)]
pub struct Chain {
    nodes: Vec<Node>,
}

impl Chain {
    /// A pause, or none, then each word with a pause, or none, behind it.
    pub fn new(words: &[Vec<u16>]) -> Self {
        let mut chain = Self { nodes: Vec::new() };
        // What a word can be entered from: the end of the word before it and of the pause between.
        let pause = chain.phone(PAUSE, 0, &[]);
        let mut ends = vec![(pause, PAUSES.0)];
        let mut begins = true;
        for (w, phones) in words.iter().enumerate().filter(|(_, phones)| !phones.is_empty()) {
            for phone in phones {
                let at = chain.nodes.len();
                ends = vec![(chain.phone(*phone, w, &ends), 0.0)];
                chain.nodes[at].first = std::mem::take(&mut begins);
            }
            let word = ends[0].0;
            let pause = chain.phone(PAUSE, w + 1, &[(word, PAUSES.0)]);
            ends = vec![(word, PAUSES.1), (pause, 0.0)];
        }
        chain.nodes[0].first = true;
        for (end, _) in ends {
            chain.nodes[end as usize].last = true;
        }
        chain
    }

    /// Adds the states of a phone, entered from `from`; the last one.
    fn phone(&mut self, phone: u16, word: usize, from: &[(u32, f32)]) -> u32 {
        let at = self.nodes.len() as u32;
        for part in 0..STATES {
            let mut ways = match part {
                0 => from.to_vec(),
                part => vec![(at + part as u32 - 1, 0.0)],
            };
            if part == STATES - 1 && phone != PAUSE {
                ways.push((at + part as u32 - 2, SKIP));
            }
            let mut all = [(0, 0.0); WAYS];
            all[..ways.len()].copy_from_slice(&ways);
            self.nodes.push(Node {
                state: usize::from(phone) * STATES + part,
                phone,
                word,
                part,
                from: all,
                ways: ways.len(),
                first: false,
                last: false,
            });
        }
        at + STATES as u32 - 1
    }

    /// The number of a node's density.
    pub fn state(&self, node: u32) -> usize {
        self.nodes[node as usize].state
    }

    /// The flat start: all phones last equally long in what is no pause by its loudness. `None` where there are too few frames.
    pub fn evenly(&self, frames: &[Observation]) -> Option<Vec<u32>> {
        let mut levels: Vec<f32> = frames.iter().map(|f| f[0]).collect();
        levels.sort_by(f32::total_cmp);
        let level = |share: f32| levels[((levels.len() - 1) as f32 * share) as usize];
        let spoken: Vec<usize> = (0..self.nodes.len()).filter(|&n| self.nodes[n].phone != PAUSE).collect();
        if frames.is_empty() || spoken.is_empty() {
            return None;
        }
        let least = level(0.05) + QUIET * (level(0.95) - level(0.05));
        let mut quiet: Vec<bool> = frames.iter().map(|f| f[0] < least).collect();
        // Short gaps, closures of stops, are speech.
        let mut at = 0;
        while at < quiet.len() {
            let run = quiet[at..].iter().take_while(|q| **q).count();
            if run > 0 && run < LEAST_PAUSE && at > 0 && at + run < quiet.len() {
                quiet[at..at + run].fill(false);
            }
            at += run.max(1);
        }
        let loud = quiet.iter().filter(|q| !**q).count();
        if loud < spoken.len() {
            quiet.fill(false);
        }
        let loud = quiet.iter().filter(|q| !**q).count();
        let mut done = 0;
        let mut path = Vec::with_capacity(frames.len());
        for quiet in quiet {
            if quiet {
                // Which third of a pause does not matter yet; the first pause's states stand for all.
                path.push((path.len() % STATES) as u32);
            } else {
                path.push(spoken[done * spoken.len() / loud] as u32);
                done += 1;
            }
        }
        Some(path)
    }

    /// The most likely path, a node for each frame, and ln of its density. `None` where there are too few frames.
    pub fn best_path(&self, frames: &[Observation], mixtures: &Mixtures) -> Option<(Vec<u32>, f64)> {
        let n = self.nodes.len();
        let mut states: Vec<usize> = self.nodes.iter().map(|node| node.state).collect();
        states.sort_unstable();
        states.dedup();
        let slot: Vec<usize> =
            self.nodes.iter().map(|node| states.partition_point(|s| *s < node.state)).collect();
        let moves: Vec<(f32, f32)> = self.nodes.iter().map(|node| mixtures.moves(node.state)).collect();
        let (mut before, mut now) = (vec![f32::MIN; n], vec![f32::MIN; n]);
        let mut densities = vec![0.0; states.len()];
        // By which way each node was entered; 0 where it stayed.
        let mut ways = vec![0u8; frames.len() * n];
        for (t, frame) in frames.iter().enumerate() {
            for (density, state) in densities.iter_mut().zip(&states) {
                *density = mixtures.log_density(*state, frame);
            }
            let ways = &mut ways[t * n..][..n];
            for (i, node) in self.nodes.iter().enumerate() {
                let (mut best, mut way) = match t {
                    0 => (if node.first { 0.0 } else { f32::MIN }, 0),
                    _ => (before[i] + moves[i].0, 0),
                };
                for (k, (from, log_p)) in node.from[..node.ways].iter().enumerate().filter(|_| t > 0) {
                    let score = before[*from as usize] + moves[*from as usize].1 + log_p;
                    if score > best {
                        (best, way) = (score, k as u8 + 1);
                    }
                }
                now[i] = (best + densities[slot[i]]).max(f32::MIN);
                ways[i] = way;
            }
            std::mem::swap(&mut before, &mut now);
        }
        let ends = (0..n).filter(|&i| self.nodes[i].last);
        let mut at = ends.max_by(|&a, &b| before[a].total_cmp(&before[b]))?;
        let log_p = f64::from(before[at]);
        // Impossible paths sink far below any density.
        if frames.is_empty() || log_p < -1e30 {
            return None;
        }
        let mut path = vec![0; frames.len()];
        for t in (0..frames.len()).rev() {
            path[t] = at as u32;
            if let Some(k) = usize::from(ways[t * n + at]).checked_sub(1) {
                at = self.nodes[at].from[k].0 as usize;
            }
        }
        Some((path, log_p))
    }

    /// The phones along a path.
    pub fn segments(&self, path: &[u32]) -> Vec<Segment> {
        let mut all: Vec<Segment> = Vec::new();
        let mut before: Option<u32> = None;
        for (t, &at) in path.iter().enumerate() {
            let node = &self.nodes[at as usize];
            let first = at - node.part as u32;
            match all.last_mut() {
                Some(last) if before == Some(first) => last.end = t + 1,
                _ => all.push(Segment { phone: node.phone, word: node.word, start: t, end: t + 1 }),
            }
            before = Some(first);
        }
        all
    }
}
