//! The conditioning vector f: how a speaker vector and feature frames become the numbers that the network reads. Engine,
//! graph and fused layers all pass through here.

use super::ConditionConfig;
use crate::condition::{Condition, TrackSource};

/// What stands before the features of an own track; of any, for a model without a network for cross-speaker tracks.
pub(super) const OWN: f32 = 1.0;
/// The same of a cross-speaker track: the network of [`ConditionConfig::others`] reads it.
pub(super) const CROSS_SPEAKER: f32 = 2.0;

impl ConditionConfig {
    /// Writes f into `out` ([`ConditionConfig::len`] values): the speaker vector, the flag, and the frames; zeros for what is
    /// left out, the flag among them.
    ///
    /// # Real-time
    /// Yes.
    pub fn write(&self, condition: &Condition, out: &mut [f32]) {
        let (global, local) = out.split_at_mut(self.speaker_dim);
        match condition.embedding {
            [] => global.fill(0.0),
            vector => global.copy_from_slice(vector),
        }
        if let Some((flag, rows)) = local.split_first_mut() {
            match condition.frames {
                Some(window) => {
                    let own = window.source == TrackSource::Own || self.others == 0;
                    *flag = if own { OWN } else { CROSS_SPEAKER };
                    rows.copy_from_slice(window.rows);
                }
                None => local.fill(0.0),
            }
        }
    }

    /// Which of [`ConditionConfig::networks`] reads `frame` ([`ConditionConfig::len`] values).
    ///
    /// # Real-time
    /// Yes.
    #[inline(always)]
    pub(super) fn network(&self, frame: &[f32]) -> usize {
        usize::from(self.others > 0 && frame[self.speaker_dim] == CROSS_SPEAKER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::FrameWindow;

    #[test]
    fn what_is_left_out_is_zeros() {
        let c = ConditionConfig {
            speakers: 1,
            speaker_dim: 1,
            features: 2,
            context: 1,
            hidden: 0,
            others: 0,
            hop: 1,
        };
        let rows = [1.0, 2.0, 1.0, 2.0, 3.0, 4.0];
        let written = |c: &ConditionConfig, condition: &Condition| {
            let mut out = vec![7.0; c.len()];
            c.write(condition, &mut out);
            out
        };
        let of = |source| Condition {
            embedding: &[9.0],
            frames: Some(FrameWindow { rows: &rows, source }),
            ..Condition::default()
        };
        let (own, cross) = (of(TrackSource::Own), of(TrackSource::CrossSpeaker));
        assert_eq!(written(&c, &own), [9.0, 1.0, 1.0, 2.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(written(&c, &cross), written(&c, &own));
        assert_eq!(written(&c, &Condition { frames: None, ..own }), [9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(written(&c, &Condition::default()), [0.0; 8]);
        let tells = ConditionConfig { hidden: 1, others: 1, ..c };
        assert_eq!(written(&tells, &cross), [9.0, 2.0, 1.0, 2.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!((tells.network(&written(&tells, &own)), tells.network(&written(&tells, &cross))), (0, 1));
    }
}
