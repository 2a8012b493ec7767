//! What the aligner sees of a frame.

use wavesynth_audio::features::{CEPSTRA, FEATURES, VOICING};

/// Numbers that are seen at once: cepstra and voicing.
const STATIC: usize = CEPSTRA + 1;

/// Numbers of an [`Observation`]: those, and their slopes.
pub const DIMS: usize = 2 * STATIC;

/// Frames to either side that a slope is taken over.
const REACH: usize = 2;

/// A frame's cepstra and voicing, normalised by speaker, and their slopes. The pitch tells nothing of the phone.
pub type Observation = [f32; DIMS];

/// The observations of a track [N, [`FEATURES`]].
pub fn observe(track: &[f32]) -> Vec<Observation> {
    let frames: Vec<&[f32]> = track.chunks_exact(FEATURES).collect();
    let value = |i: usize, k: usize| if k < CEPSTRA { frames[i][k] } else { frames[i][VOICING] };
    let slope = |i: usize, k: usize| {
        let steps = 1..=REACH;
        let rise = steps.clone().map(|d| {
            let (before, behind) = (i.saturating_sub(d), (i + d).min(frames.len() - 1));
            d as f32 * (value(behind, k) - value(before, k))
        });
        rise.sum::<f32>() / (2.0 * steps.map(|d| (d * d) as f32).sum::<f32>())
    };
    let of = |i: usize| std::array::from_fn(|k| if k < STATIC { value(i, k) } else { slope(i, k - STATIC) });
    (0..frames.len()).map(of).collect()
}
