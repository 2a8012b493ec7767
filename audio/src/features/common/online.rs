//! A speaker's map to the common space, found while the speech comes in.

use super::{Alignment, Codebook, Finder, LEAST_LEVEL, Pair};
use super::{middle, normalised, regress, respread, row_of};
use crate::features::{CEPSTRA, SpeakerStats};

/// Frames in each entry that the map at first counts for.
const PRIOR: f64 = 0.5;
/// Frames of an entry that its mean is over: older ones fade.
const LONGEST_MEAN: f32 = 20.0;
/// Frames that an entry counts for, at most. More make the sound more like the target speaker's, and fewer words clear.
const MOST: f64 = 3.0;
/// Frames of speech between two maps, and before the first: a map after one second costs words.
const INTERVAL: u32 = 200;

/// Finds a map to the space of a [`Codebook`] from speech as it comes in.
///
/// The pairing of INCA (see [`super`]), each frame once: the map so far takes the frame into the space, and the nearest
/// centre of the codebook there gathers it. Every two seconds of speech the map is fitted again, to the means of the
/// gathered frames and to where the first map places each centre, which counts half a frame. So sounds that have not
/// occurred yet stay where the first map has them.
#[derive(Clone, Debug)]
pub struct OnlineAligner {
    finder: Finder,
    entries: Vec<Entry>,
    /// Room for two pairs of each entry.
    pairs: Vec<Pair>,
    /// The last three frames, as they came.
    recent: [[f32; CEPSTRA]; 3],
    /// Frames of speech so far.
    pushed: u32,
    map: Alignment,
}

/// A centre of the codebook, and the mean of the frames nearest to it.
#[derive(Clone, Debug)]
struct Entry {
    centre: [f64; CEPSTRA],
    /// Where the first map finds it.
    at_first: [f64; CEPSTRA],
    /// Mean of the frames that it has gathered, as they came: what normalises them is still being learned, too.
    mean: [f32; CEPSTRA],
    /// How many it is over.
    weight: f32,
}

impl OnlineAligner {
    /// An aligner that starts with the map `first`, or where that has no inverse, with none.
    pub fn new(common: &Codebook, first: &Alignment) -> Self {
        let known = first.inverse().map(|back| (first.clone(), back));
        let (map, back) = known.unwrap_or_else(|| (Alignment::identity(), Alignment::identity()));
        let entry = |row| {
            let centre = middle(row);
            let at_first = back.of(&centre.map(|v| v as f32)).map(f64::from);
            Entry { centre, at_first, mean: [0.0; CEPSTRA], weight: 0.0 }
        };
        Self {
            finder: Finder::new(&common.rows),
            entries: common.rows.iter().map(entry).collect(),
            pairs: Vec::with_capacity(2 * common.rows.len()),
            recent: [[0.0; CEPSTRA]; 3],
            pushed: 0,
            map,
        }
    }

    /// Takes the cepstra of the next frame of speech, which `stats` normalise by now. Returns the new map, where one was
    /// found.
    ///
    /// # Real-time
    /// Yes: neither allocates nor locks. Two maps lie two seconds of speech apart, and finding one takes some 0.2 ms.
    pub fn push(&mut self, cepstra: &[f32; CEPSTRA], stats: &SpeakerStats) -> Option<&Alignment> {
        self.recent.rotate_left(1);
        self.recent[2] = *cepstra;
        let frames = self.recent.map(|frame| normalised(&frame, stats));
        if frames[1][0] <= LEAST_LEVEL {
            return None;
        }
        let entry = &mut self.entries[self.finder.nearest(&self.map.row(&row_of(frames)))];
        entry.weight = (entry.weight + 1.0).min(LONGEST_MEAN);
        let share = 1.0 / entry.weight;
        entry.mean.iter_mut().zip(&self.recent[1]).for_each(|(mean, c)| *mean += share * (c - *mean));
        self.pushed = self.pushed.wrapping_add(1);
        if !self.pushed.is_multiple_of(INTERVAL) {
            return None;
        }
        self.map = self.fitted(stats)?;
        Some(&self.map)
    }

    fn fitted(&mut self, stats: &SpeakerStats) -> Option<Alignment> {
        self.pairs.clear();
        for Entry { centre, at_first, mean, weight } in &self.entries {
            self.pairs.push(Pair { from: *at_first, to: *centre, weight: PRIOR });
            if *weight > 0.0 {
                let from = normalised(mean, stats).map(f64::from);
                self.pairs.push(Pair { from, to: *centre, weight: f64::from(*weight).min(MOST) });
            }
        }
        let mut map = regress(&self.pairs)?;
        respread(&mut map, &self.pairs);
        map.is_valid().then_some(map)
    }
}
