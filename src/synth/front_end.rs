//! Where conditioning frames come from while sound is made.

use std::sync::Arc;
use wavesynth_audio::features::{RunningSpeakerStats, SpeakerStats};
use wavesynth_models::condition::FrameSpec;

/// A front end: feature frames, one after another. It starts before the first one.
///
/// # Real-time
/// All methods run on the engine thread: none allocates, frees or locks.
pub trait FrameSource: Send {
    /// Frames in all, where that is known ahead.
    fn frames(&self) -> Option<usize>;

    /// Whether [`FrameSource::advance`] has what it needs.
    fn is_ready(&mut self) -> bool {
        true
    }

    /// Goes on to the next frame. False behind the last one, which then stays.
    fn advance(&mut self) -> bool;

    /// Writes the frame that comes `ahead` frames after the one at hand, with its neighbours [2C + 1, F], into `rows`. False,
    /// and nothing written, where there is none or it is not known yet.
    fn write(&self, ahead: usize, rows: &mut [f32]) -> bool;

    /// What is known of whoever speaks, for speech that comes in.
    fn speaker_stats(&self) -> Option<&RunningSpeakerStats> {
        None
    }

    /// Whether the frames are those of the speaker whom the conditioning's vector names, in that speaker's own numbers; else they
    /// are another's.
    fn is_own(&self) -> bool {
        false
    }

    /// The speakers whose way to speak such frames have, where it is known: for any other one they are a track of the first.
    fn learned_from(&self) -> &[SpeakerStats] {
        &[]
    }

    /// Whether all frames so far came from finite numbers.
    fn is_finite(&self) -> bool {
        true
    }

    /// Whether input is lost when it is not taken in time.
    fn is_live(&self) -> bool {
        false
    }

    /// Lets the next frame be made without input that has not come.
    fn hold(&mut self) {}

    /// Says how many samples at the rate of the features are on their way to the device, and how many there should be at
    /// least: how far live input may lag behind before a frame is left out.
    fn set_ahead(&mut self, samples: usize, least: usize) {
        let _ = (samples, least);
    }
}

/// A feature track as a front end; an empty one gives no frame.
pub(super) struct TrackFront {
    spec: FrameSpec,
    /// [N, F] row-major. Whoever gave it keeps it, too: it is never dropped here last.
    features: Arc<[f32]>,
    /// The frame after the one at hand.
    next: usize,
}

impl TrackFront {
    pub(super) fn new(spec: FrameSpec, features: Arc<[f32]>) -> Self {
        Self { spec, features, next: 0 }
    }

    /// Begins anew with other features.
    pub(super) fn restart(&mut self, features: Arc<[f32]>) {
        *self = Self { features, next: 0, ..*self };
    }
}

impl FrameSource for TrackFront {
    fn frames(&self) -> Option<usize> {
        let frames = self.features.len() / self.spec.features.max(1);
        (frames > 0).then_some(frames)
    }

    fn advance(&mut self) -> bool {
        self.next += 1;
        true
    }

    fn write(&self, ahead: usize, rows: &mut [f32]) -> bool {
        self.spec.splice(&self.features, (self.next + ahead).saturating_sub(1), rows)
    }
}
