//! The conditioning frame: how a speaker vector and a feature track become the numbers that a model reads.
//! Training windows, rendering and playing all pass through here.

use super::ConditionConfig;

/// A feature track beside a speaker vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrackRef<'a> {
    /// [N, F] row-major.
    pub features: &'a [f32],
    /// Whether it is taken for that of the speaker whom the vector names.
    pub own: bool,
}

impl<'a> From<&'a [f32]> for TrackRef<'a> {
    fn from(features: &'a [f32]) -> Self {
        Self { features, own: true }
    }
}

impl TrackRef<'_> {
    /// What stands in front of the features of an own track; of any, for a model without a network for others' tracks.
    pub const OWN: f32 = 1.0;
    /// The same of another's track: the network of [`ConditionConfig::others`] reads it.
    pub const CROSS_SPEAKER: f32 = 2.0;
}

impl ConditionConfig {
    /// Writes the local part of frame `i` into `out` ([`ConditionConfig::local_len`] values): the flag, [`TrackRef::OWN`] or
    /// [`TrackRef::CROSS_SPEAKER`], and the features of frames i−C … i+C, the first and last frame held beyond the ends. Without a
    /// track, or with an empty one: all zeros, the flag among them.
    ///
    /// # Real-time
    /// Yes.
    pub fn write_local(&self, track: Option<TrackRef>, i: usize, out: &mut [f32]) {
        let f = self.features;
        if f == 0 {
            return;
        }
        match track {
            Some(TrackRef { features: track, own }) if track.len() >= f => {
                out[0] = if own || self.others == 0 { TrackRef::OWN } else { TrackRef::CROSS_SPEAKER };
                let last = track.len() / f - 1;
                for (n, row) in out[1..].chunks_exact_mut(f).enumerate() {
                    let at = (i + n).saturating_sub(self.context).min(last);
                    row.copy_from_slice(&track[at * f..][..f]);
                }
            }
            _ => out.fill(0.0),
        }
    }

    /// Features of the frame at the centre of `frame` ([`ConditionConfig::len`] values); `None` where there was no track.
    ///
    /// # Real-time
    /// Yes.
    pub fn centre<'a>(&self, frame: &'a [f32]) -> Option<&'a [f32]> {
        let (flag, features) = frame.get(self.speaker_dim..)?.split_first()?;
        (*flag != 0.0).then(|| &features[self.context * self.features..][..self.features])
    }

    /// The features of each frame that `frame` ([`ConditionConfig::len`] values) shows, to be changed; none where there was no
    /// track.
    ///
    /// # Real-time
    /// Yes.
    pub fn rows_mut<'a>(&self, frame: &'a mut [f32]) -> impl Iterator<Item = &'a mut [f32]> {
        let rows = match frame.get_mut(self.speaker_dim..).and_then(<[f32]>::split_first_mut) {
            Some((flag, rows)) if *flag != 0.0 => rows,
            _ => &mut [],
        };
        rows.chunks_exact_mut(self.features.max(1))
    }

    /// Writes frame `i` into `out` ([`ConditionConfig::len`] values): `speaker` (E values), then the local part.
    ///
    /// # Real-time
    /// Yes.
    pub fn write_frame(&self, speaker: &[f32], track: Option<TrackRef>, i: usize, out: &mut [f32]) {
        let (global, local) = out.split_at_mut(self.speaker_dim);
        global.copy_from_slice(speaker);
        self.write_local(track, i, local);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_held_and_no_track_is_zeros() {
        let c = ConditionConfig {
            speakers: 1,
            speaker_dim: 1,
            features: 2,
            context: 1,
            hidden: 0,
            others: 0,
            hop: 1,
        };
        let features = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let track = TrackRef::from(&features[..]);
        let mut out = [0.0; 8];
        c.write_frame(&[9.0], Some(track), 0, &mut out);
        assert_eq!(out, [9.0, 1.0, 1.0, 2.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(c.centre(&out), Some(&[1.0, 2.0][..]));
        c.write_frame(&[9.0], Some(track), 2, &mut out);
        assert_eq!(out, [9.0, 1.0, 3.0, 4.0, 5.0, 6.0, 5.0, 6.0]);
        c.write_frame(&[9.0], Some(track), 100, &mut out);
        assert_eq!(out, [9.0, 1.0, 5.0, 6.0, 5.0, 6.0, 5.0, 6.0]);
        let anothers = TrackRef { own: false, ..track };
        c.write_frame(&[9.0], Some(anothers), 2, &mut out);
        assert_eq!(out, [9.0, 1.0, 3.0, 4.0, 5.0, 6.0, 5.0, 6.0]);
        let tells = ConditionConfig { hidden: 1, others: 1, ..c.clone() };
        tells.write_frame(&[9.0], Some(anothers), 2, &mut out);
        assert_eq!(out, [9.0, 2.0, 3.0, 4.0, 5.0, 6.0, 5.0, 6.0]);
        c.write_frame(&[9.0], None, 0, &mut out);
        assert_eq!(out, [9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(c.centre(&out), None);
    }
}
