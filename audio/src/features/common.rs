//! One space for all speakers: each speaker's normalised cepstra are mapped into it by a linear map of their own.
//!
//! Mean and deviation do not take all of the speaker out of a track, so a voice that is given another speaker's vector
//! beside it goes on sounding like the first one. [`align`] finds for each speaker s a map x = M_s c + b_s to a space that
//! all share. The track of s, converted to speaker t, is M_t⁻¹ (M_s c + b_s − b_t): the map of s,
//! [then](Alignment::then) the [inverse](Alignment::inverse) of that of t. A speaker's own track does not change.
//!
//! The maps are those of constrained MLLR (M. Gales, "Maximum likelihood linear transformations for HMM-based speech
//! recognition", Computer Speech & Language, 1998), found without parallel sentences as in INCA (D. Erro, A. Moreno,
//! A. Bonafonte, "INCA algorithm for training voice conversion systems from nonparallel corpora", IEEE Transactions on
//! Audio, Speech, and Language Processing, 2010): pair each frame with the nearest one of the others under the map so
//! far, fit the map to the pairs by least squares, and repeat. The frames are centres of k-means over frames with their
//! neighbours, a [`Codebook`].

mod linear;
mod online;

pub use online::OnlineAligner;

use super::{CEPSTRA, CLAMP, RawFeatures, SpeakerStats, write_cepstra};
use serde::{Deserialize, Serialize};

/// Values of a codebook's row: the frame before, the frame, the frame behind.
const WIDTH: usize = 3 * CEPSTRA;
/// The weights of the three.
const WEIGHTS: [f32; 3] = [0.6, 1.0, 0.6];
/// Centres of a codebook.
const CENTRES: usize = 256;
/// Frames that they are found from, at most.
const MOST_FRAMES: usize = 40 * CENTRES;
/// Steps of k-means.
const LLOYD_STEPS: usize = 6;
/// Least c0, in deviations from its mean: frames below it are no speech.
const LEAST_LEVEL: f32 = -2.0;
/// Rounds: in each, every speaker is aligned with the others as mapped so far.
const ROUNDS: usize = 3;
/// Times that frames are paired in a round.
const PAIRINGS: usize = 8;
/// How much a map is held to the identity, against the mean square of the frames.
const RIDGE: f64 = 0.1;
/// Least frames that a map is found from: seconds of speech × 100.
const MIN_FRAMES: usize = 500;

/// Largest number in a map.
const MOST: f32 = 1e4;

type Row = [f32; WIDTH];
/// c and a 1.
const INPUTS: usize = CEPSTRA + 1;

/// A map of normalised cepstra, x = matrix · c + offset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alignment {
    /// `[out][in]`
    pub matrix: [[f32; CEPSTRA]; CEPSTRA],
    /// `[out]`
    pub offset: [f32; CEPSTRA],
}

impl Alignment {
    /// The map that changes nothing.
    pub fn identity() -> Self {
        let matrix = std::array::from_fn(|i| std::array::from_fn(|k| f32::from(i == k)));
        Self { matrix, offset: [0.0; CEPSTRA] }
    }

    /// Maps the cepstra of a frame in place and limits them to ±[`CLAMP`].
    ///
    /// # Real-time
    /// This and [`Alignment::then`]: yes, no memory but the stack's.
    pub fn apply(&self, frame: &mut [f32]) {
        let Some(cepstra) = frame.first_chunk_mut::<CEPSTRA>() else { return };
        *cepstra = self.of(cepstra).map(|v| v.clamp(-CLAMP, CLAMP));
    }

    fn of(&self, cepstra: &[f32; CEPSTRA]) -> [f32; CEPSTRA] {
        self.of_weighted(cepstra, 1.0)
    }

    /// Of cepstra times `weight`, which the result then is, too.
    fn of_weighted(&self, cepstra: &[f32; CEPSTRA], weight: f32) -> [f32; CEPSTRA] {
        std::array::from_fn(|i| {
            let row = self.matrix[i].iter().zip(cepstra);
            row.map(|(m, c)| m * c).sum::<f32>() + weight * self.offset[i]
        })
    }

    /// This map, then `next`.
    pub fn then(&self, next: &Self) -> Self {
        let matrix = std::array::from_fn(|i| {
            std::array::from_fn(|k| (0..CEPSTRA).map(|j| next.matrix[i][j] * self.matrix[j][k]).sum())
        });
        Self { matrix, offset: next.of(&self.offset) }
    }

    /// As far as `share`, 0 to 1, from the map that changes nothing to this one.
    ///
    /// # Real-time
    /// Yes, no memory but the stack's.
    pub fn in_part(&self, share: f32) -> Self {
        Self::mixed(&[(self, share), (&Self::identity(), 1.0 - share)])
    }

    /// The weighted sum of several maps.
    pub fn mixed(parts: &[(&Self, f32)]) -> Self {
        let sum = |of: &dyn Fn(&Self) -> f32| parts.iter().map(|(m, w)| w * of(m)).sum();
        Self {
            matrix: std::array::from_fn(|i| std::array::from_fn(|k| sum(&|m| m.matrix[i][k]))),
            offset: std::array::from_fn(|i| sum(&|m| m.offset[i])),
        }
    }

    /// The map back; `None` where there is none within the bounds of [`Alignment::is_valid`].
    pub fn inverse(&self) -> Option<Self> {
        let back = linear::inverse(self.matrix.map(|row| row.map(f64::from)))?;
        let inverse = Self {
            matrix: back.map(|row| row.map(|v| v as f32)),
            offset: back.map(|row| {
                let terms = row.iter().zip(self.offset).map(|(m, o)| m * -f64::from(o));
                terms.reduce(|sum, term| sum + term).unwrap_or(0.0) as f32
            }),
        };
        inverse.is_bounded().then_some(inverse)
    }

    /// True if there is a map back and no number in either is beyond ±10,000, so that no frame can overflow. A file
    /// that does not fulfil it is refused.
    pub fn is_valid(&self) -> bool {
        self.is_bounded() && self.inverse().is_some()
    }

    fn is_bounded(&self) -> bool {
        self.matrix.iter().flatten().chain(&self.offset).all(|v| v.abs() <= MOST)
    }

    /// A row of a codebook, mapped.
    fn row(&self, row: &Row) -> Row {
        let mut out = *row;
        let (parts, _) = out.as_chunks_mut::<CEPSTRA>();
        for (part, weight) in parts.iter_mut().zip(WEIGHTS) {
            *part = self.of_weighted(part, weight);
        }
        out
    }
}

fn normalised(cepstra: &[f32; CEPSTRA], stats: &SpeakerStats) -> [f32; CEPSTRA] {
    let mut out = [0.0; CEPSTRA];
    write_cepstra(cepstra, stats, &mut out);
    out
}

/// A codebook's row of a normalised frame between its neighbours.
fn row_of(frames: [[f32; CEPSTRA]; 3]) -> Row {
    let mut row = [0.0; WIDTH];
    let (parts, _) = row.as_chunks_mut::<CEPSTRA>();
    for ((part, frame), weight) in parts.iter_mut().zip(frames).zip(WEIGHTS) {
        *part = frame.map(|c| weight * c);
    }
    row
}

/// The sounds of a speaker: centres of the frames of speech, at most 256.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Coded", into = "Coded")]
pub struct Codebook {
    rows: Vec<Row>,
}

impl Codebook {
    /// The codebook of recordings of the speaker with `stats`. `None` of less than five seconds of speech.
    pub fn of<'a>(
        recordings: impl IntoIterator<Item = &'a RawFeatures>,
        stats: &SpeakerStats,
    ) -> Option<Self> {
        let normalised = |raw: &RawFeatures, i: usize| normalised(&raw.cepstra[i], stats);
        // Most frames are never looked at again, so only their positions are kept.
        let speech: Vec<(&RawFeatures, usize)> = recordings
            .into_iter()
            .flat_map(|raw| (0..raw.len()).map(move |i| (raw, i)))
            .filter(|&(raw, i)| normalised(raw, i)[0] > LEAST_LEVEL)
            .collect();
        let row = |at: usize| {
            let (raw, i) = speech[at];
            let frames = [i.saturating_sub(1), i, (i + 1).min(raw.len() - 1)];
            row_of(frames.map(|frame| normalised(raw, frame)))
        };
        (speech.len() >= MIN_FRAMES).then(|| Self::centred(speech.len(), row))
    }

    /// k-means of `count` rows, from centres and with frames that stand at equal distances among them.
    fn centred(count: usize, row: impl Fn(usize) -> Row) -> Self {
        let spread = |n: usize| (0..n).map(|i| row(i * count / n)).collect();
        let sampled: Vec<Row> = spread(count.min(MOST_FRAMES));
        let mut centres: Vec<Row> = spread(count.min(CENTRES));
        for _ in 0..LLOYD_STEPS {
            let mut finder = Finder::new(&centres);
            let mut sums = vec![([0.0f64; WIDTH], 0u32); centres.len()];
            for row in &sampled {
                let (sum, count) = &mut sums[finder.nearest(row)];
                sum.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
                *count += 1;
            }
            for (centre, (sum, count)) in centres.iter_mut().zip(sums).filter(|(_, (_, count))| *count > 0) {
                *centre = sum.map(|s| (s / f64::from(count)) as f32);
            }
        }
        Self { rows: centres }
    }

    /// The map that takes the speaker with the codebook `own` to the space of this one, which is common to several.
    pub fn align(&self, own: &Self) -> Option<Alignment> {
        fit(&own.rows, &self.rows)
    }
}

/// A map for each speaker, and the codebook of the space that they lead to, with which others can be aligned. `None` for
/// fewer than two speakers.
pub fn align(speakers: &[Codebook]) -> Option<(Vec<Alignment>, Codebook)> {
    if speakers.len() < 2 {
        return None;
    }
    let mut maps = vec![Alignment::identity(); speakers.len()];
    let mapped = |maps: &[Alignment]| -> Vec<Vec<Row>> {
        maps.iter().zip(speakers).map(|(m, s)| s.rows.iter().map(|r| m.row(r)).collect()).collect()
    };
    for _ in 0..ROUNDS {
        let all = mapped(&maps);
        // A speaker's own frames would be the nearest to themselves.
        let others = |s: usize| {
            let rest = all.iter().enumerate().filter(|(other, _)| *other != s);
            rest.flat_map(|(_, rows)| rows).copied().collect::<Vec<Row>>()
        };
        let next: Option<Vec<_>> =
            speakers.iter().enumerate().map(|(s, own)| fit(&own.rows, &others(s))).collect();
        maps = next?;
    }
    let all = mapped(&maps).concat();
    let reference = Codebook::centred(all.len(), |i| all[i]);
    Some((maps, reference))
}

/// The map that takes `own` nearest to `others`; `None` where it has no inverse.
fn fit(own: &[Row], others: &[Row]) -> Option<Alignment> {
    let mut finder = Finder::new(others);
    let mut map = Alignment::identity();
    let mut last = Vec::new();
    for _ in 0..PAIRINGS {
        // Each of ours with the nearest of theirs, and each of theirs with the nearest of ours.
        let mut back = vec![(f32::MAX, 0); others.len()];
        let mut pairs = Vec::with_capacity(own.len() + others.len());
        for (i, row) in own.iter().enumerate() {
            let mapped = map.row(row);
            pairs.push((i, finder.nearest(&mapped)));
            let own_square: f32 = 0.5 * mapped.iter().map(|v| v * v).sum::<f32>();
            for (best, score) in back.iter_mut().zip(&finder.scores) {
                if score + own_square < best.0 {
                    *best = (score + own_square, i);
                }
            }
        }
        pairs.extend(back.iter().enumerate().map(|(j, (_, i))| (*i, j)));
        let pair =
            |(i, j): (usize, usize)| Pair { from: middle(&own[i]), to: middle(&others[j]), weight: 1.0 };
        let pairs: Vec<Pair> = pairs.into_iter().map(pair).collect();
        map = regress(&pairs)?;
        last = pairs;
    }
    respread(&mut map, &last);
    map.is_valid().then_some(map)
}

/// The frame itself.
fn middle(row: &Row) -> [f64; CEPSTRA] {
    std::array::from_fn(|k| f64::from(row[CEPSTRA + k]))
}

/// A frame, its target, and how many such pairs it stands for.
#[derive(Clone, Debug)]
struct Pair {
    from: [f64; CEPSTRA],
    to: [f64; CEPSTRA],
    weight: f64,
}

/// Ridge regression of the targets on the frames.
fn regress(pairs: &[Pair]) -> Option<Alignment> {
    let held = RIDGE * pairs.iter().map(|p| p.weight).sum::<f64>();
    let mut squares: [[f64; INPUTS]; INPUTS] = scaled_unit(held);
    // Column by column.
    let mut products: [[f64; INPUTS]; CEPSTRA] = scaled_unit(held);
    for Pair { from, to, weight } in pairs {
        let input = |i: usize| from.get(i).copied().unwrap_or(1.0);
        for i in 0..INPUTS {
            let share = weight * input(i);
            (0..INPUTS).for_each(|k| squares[i][k] += share * input(k));
            (0..CEPSTRA).for_each(|k| products[k][i] += share * to[k]);
        }
    }
    linear::solve(squares, &mut products)?;
    Some(Alignment {
        matrix: products.map(|column| std::array::from_fn(|k| column[k] as f32)),
        offset: products.map(|column| column[CEPSTRA] as f32),
    })
}

/// `value` on the diagonal.
fn scaled_unit<const R: usize, const C: usize>(value: f64) -> [[f64; C]; R] {
    std::array::from_fn(|i| std::array::from_fn(|k| if i == k { value } else { 0.0 }))
}

/// Gives the mapped frames the mean and the deviation of their targets. A regression draws to the mean, the more the
/// worse the pairs fit, and frames with too little deviation sound mumbled.
fn respread(map: &mut Alignment, pairs: &[Pair]) {
    let count = pairs.iter().map(|p| p.weight).sum::<f64>().max(1.0);
    let moments = |of: &dyn Fn(&Pair) -> f64| {
        let mean = pairs.iter().map(|p| p.weight * of(p)).sum::<f64>() / count;
        let variance = pairs.iter().map(|p| p.weight * (of(p) - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt())
    };
    for i in 0..CEPSTRA {
        let row = map.matrix[i].map(f64::from);
        let (mean, spread) = moments(&|p| row.iter().zip(&p.from).map(|(m, x)| m * x).sum());
        let (wanted_mean, wanted_spread) = moments(&|p| p.to[i]);
        let gain = if spread > 0.0 { wanted_spread / spread } else { 1.0 };
        map.matrix[i] = row.map(|m| (m * gain) as f32);
        map.offset[i] = (wanted_mean - gain * mean) as f32;
    }
}

/// Finds the nearest of many rows.
#[derive(Clone, Debug)]
struct Finder {
    /// `[WIDTH x N]`, so that the rows' scores can be summed side by side.
    columns: Vec<f32>,
    /// |row|² / 2
    half_squares: Vec<f32>,
    /// |row|² / 2 − row · x: half the squared distance to the last x, but for |x|² / 2.
    scores: Vec<f32>,
}

impl Finder {
    fn new(rows: &[Row]) -> Self {
        let columns = (0..WIDTH).flat_map(|k| rows.iter().map(move |r| r[k])).collect();
        let half_squares: Vec<f32> =
            rows.iter().map(|r| 0.5 * r.iter().map(|v| v * v).sum::<f32>()).collect();
        Self { columns, scores: half_squares.clone(), half_squares }
    }

    fn nearest(&mut self, x: &Row) -> usize {
        self.scores.copy_from_slice(&self.half_squares);
        for (column, x) in self.columns.chunks_exact(self.scores.len()).zip(x) {
            self.scores.iter_mut().zip(column).for_each(|(s, c)| *s -= c * x);
        }
        let best = self.scores.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
        best.map_or(0, |(i, _)| i)
    }
}

/// A codebook in a file: values in steps of 1/32, which is far below a frame's spread.
#[derive(Serialize, Deserialize)]
struct Coded {
    step: f32,
    codes: Vec<i8>,
}

const STEP: f32 = 1.0 / 32.0;

impl From<Codebook> for Coded {
    fn from(book: Codebook) -> Self {
        let code = |v: &f32| (v / STEP).round().clamp(-127.0, 127.0) as i8;
        Self { step: STEP, codes: book.rows.as_flattened().iter().map(code).collect() }
    }
}

impl TryFrom<Coded> for Codebook {
    type Error = String;

    fn try_from(coded: Coded) -> Result<Self, String> {
        let (rows, rest) = coded.codes.as_chunks::<WIDTH>();
        if !rest.is_empty() || rows.is_empty() || !(coded.step > 0.0 && coded.step.is_finite()) {
            return Err(format!(
                "a codebook of {} codes in steps of {}, wanted a multiple of {WIDTH}, and steps above 0",
                coded.codes.len(),
                coded.step
            ));
        }
        Ok(Self { rows: rows.iter().map(|row| row.map(|c| f32::from(c) * coded.step)).collect() })
    }
}

#[cfg(test)]
mod tests;
