//! What a model is conditioned on: c in p(x_t | x_<t, c), as typed parts.
//!
//! A [`ConditionSpec`] says which parts a model reads and how long they are; a [`Condition`] is their values for the
//! steps that follow. How a network turns them into numbers is the family's own affair.

/// The parts of a condition that a model reads.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConditionSpec {
    /// A vector that stays for a whole sequence: global conditioning.
    pub embedding: Option<EmbeddingSpec>,
    /// Number of class labels; 0 where the model knows none.
    pub classes: usize,
    /// Frames that come at a rate of their own: local conditioning.
    pub frames: Option<FrameSpec>,
    /// Whether each sequence has an order of its own.
    pub any_order: bool,
}

/// A vector, and the table that the model learned such vectors in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddingSpec {
    /// Rows of the table.
    pub rows: usize,
    /// Values of a vector.
    pub dim: usize,
}

/// Feature frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSpec {
    /// F, features of a frame.
    pub features: usize,
    /// C, frames seen to either side of the current one.
    pub context: usize,
    /// Whether the model reads a [`TrackSource::CrossSpeaker`] track by a network of its own.
    pub tells_source: bool,
}

/// Whose speech a feature track was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrackSource {
    /// The speaker's whom the vector names.
    #[default]
    Own,
    /// Somebody else's.
    CrossSpeaker,
}

/// A whole feature track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeatureTrack<'a> {
    /// [N, F] row-major.
    pub features: &'a [f32],
    /// Whose it is.
    pub source: TrackSource,
}

/// The frames that one conditioning frame shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FrameWindow<'a> {
    /// [2C + 1, F] row-major: frames i − C … i + C.
    pub rows: &'a [f32],
    /// Whose they are.
    pub source: TrackSource,
}

/// The values of a condition. What is left out counts as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Condition<'a> {
    /// `[E]`; empty for zeros.
    pub embedding: &'a [f32],
    /// The label.
    pub class: Option<usize>,
    /// The frames.
    pub frames: Option<FrameWindow<'a>>,
    /// σ: the variable that each step fills, a permutation, for a model of any order. Without one, or by another, it has its own.
    pub order: Option<&'a [u32]>,
}

/// The frames of a training window, row by row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FrameTable {
    /// [N, (2C + 1) F] row-major: a [`FrameWindow`] each, zeros where there is no track.
    pub rows: Vec<f32>,
    /// `[N]` whose they are; `None` where there is no track.
    pub sources: Vec<Option<TrackSource>>,
}

impl FrameTable {
    /// Adds frame `i` of `track` as `spec` shows it; no track, or an empty one, leaves zeros.
    pub fn push(&mut self, spec: &FrameSpec, track: Option<FeatureTrack>, i: usize) {
        let begin = self.rows.len();
        self.rows.resize(begin + spec.window_len(), 0.0);
        let shown = track.filter(|t| spec.splice(t.features, i, &mut self.rows[begin..]));
        self.sources.push(shown.map(|t| t.source));
    }

    /// N.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Keeps the first `n` frames.
    pub fn truncate(&mut self, n: usize) {
        if n < self.len() {
            let width = self.rows.len() / self.len();
            self.rows.truncate(n * width);
            self.sources.truncate(n);
        }
    }

    /// Frame `i`; `None` where there is no track.
    ///
    /// # Panics
    /// When there is no such frame.
    pub fn window(&self, i: usize) -> Option<FrameWindow<'_>> {
        let width = self.rows.len() / self.len();
        self.sources[i].map(|source| FrameWindow { rows: &self.rows[i * width..][..width], source })
    }
}

impl<'a> From<&'a [f32]> for FeatureTrack<'a> {
    fn from(features: &'a [f32]) -> Self {
        Self { features, source: TrackSource::Own }
    }
}

/// A condition that owns its values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConditionValues {
    /// `[E]`.
    pub embedding: Vec<f32>,
    /// The label.
    pub class: Option<usize>,
    /// [2C + 1, F]; empty without frames.
    pub rows: Vec<f32>,
    /// Whose the frames are.
    pub source: TrackSource,
}

impl ConditionValues {
    /// All parts of `spec`, every number `x`.
    pub fn filled(spec: Option<&ConditionSpec>, x: f32) -> Self {
        let Some(spec) = spec else { return Self::default() };
        Self { embedding: vec![x; spec.embedding_dim()], rows: vec![x; spec.window_len()], ..Self::default() }
    }

    /// The values.
    pub fn get(&self) -> Condition<'_> {
        let frames = FrameWindow { rows: &self.rows, source: self.source };
        let frames = (!self.rows.is_empty()).then_some(frames);
        Condition { embedding: &self.embedding, class: self.class, frames, order: None }
    }
}

impl ConditionSpec {
    /// E; 0 without global conditioning.
    pub fn embedding_dim(&self) -> usize {
        self.embedding.map_or(0, |e| e.dim)
    }

    /// F; 0 without local conditioning.
    pub fn features(&self) -> usize {
        self.frames.map_or(0, |f| f.features)
    }

    /// Values of a [`FrameWindow`]; 0 without local conditioning.
    pub fn window_len(&self) -> usize {
        self.frames.map_or(0, |f| f.window_len())
    }

    /// C; 0 without local conditioning.
    pub fn context(&self) -> usize {
        self.frames.map_or(0, |f| f.context)
    }
}

impl FrameSpec {
    /// Values of a [`FrameWindow`].
    pub fn window_len(&self) -> usize {
        self.features * (2 * self.context + 1)
    }

    /// Writes frames i − C … i + C of `features` [N, F] into `rows` ([`FrameSpec::window_len`] values), the first and last
    /// frame held beyond the ends. False, and nothing written, where there is no frame.
    ///
    /// # Real-time
    /// Yes.
    pub fn splice(&self, features: &[f32], i: usize, rows: &mut [f32]) -> bool {
        let f = self.features;
        let Some(last) = (features.len() / f.max(1)).checked_sub(1) else { return false };
        for (n, row) in rows.chunks_exact_mut(f).enumerate() {
            let at = (i + n).saturating_sub(self.context).min(last);
            row.copy_from_slice(&features[at * f..][..f]);
        }
        true
    }

    /// The frame in the middle of `rows` ([`FrameSpec::window_len`] values).
    ///
    /// # Real-time
    /// Yes.
    pub fn centre<'a>(&self, rows: &'a [f32]) -> &'a [f32] {
        &rows[self.context * self.features..][..self.features]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_held() {
        let spec = FrameSpec { features: 2, context: 1, tells_source: false };
        let features = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut rows = [0.0; 6];
        for (i, wanted) in [
            (0, [1.0, 2.0, 1.0, 2.0, 3.0, 4.0]),
            (2, [3.0, 4.0, 5.0, 6.0, 5.0, 6.0]),
            (100, [5.0, 6.0, 5.0, 6.0, 5.0, 6.0]),
        ] {
            assert!(spec.splice(&features, i, &mut rows));
            assert_eq!(rows, wanted);
        }
        assert_eq!(spec.centre(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), [3.0, 4.0]);
        assert!(!spec.splice(&[], 0, &mut rows) && !spec.splice(&[1.0], 0, &mut rows));
    }
}
