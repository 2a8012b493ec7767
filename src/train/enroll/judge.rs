//! What a speaker is worth on recordings that were not learned from: as `eval` and `copy` would say.

use super::Piece;
use crate::copy_synthesis::{self, Drawing};
use crate::quality::{self, Difference};
use crate::synth::{Conditioning, Forced, SamplingPolicy, without_denormals};
use crate::voice::Voice;
use anyhow::{Context, Result};
use rayon::prelude::*;
use wavesynth_audio::cond::Condition;

/// The figures of a speaker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Nats per sample, as `eval` has them.
    pub nats: f64,
    /// Of copies, as `copy` makes them; `None` for a voice that takes no track.
    pub copies: Option<Difference>,
}

/// A voice and held-out pieces.
pub(super) struct Judge<'a> {
    /// With the file's own weights, by which `eval` reads.
    pub voice: &'a Voice,
    /// With those that `copy` draws by.
    pub played: &'a Voice,
    pub pieces: &'a [Piece],
}

impl<'a> Judge<'a> {
    /// Each piece with `condition`'s speaker over its own track, for `voice`.
    fn conditionings(&self, voice: &Voice, condition: &Condition) -> Result<Vec<(&'a Piece, Conditioning)>> {
        let speaker = Conditioning::new(voice, condition)?;
        let local = voice.track_shape().is_some();
        let over = |piece: &'a Piece| {
            let stats = condition.speaker_stats();
            let track = local.then(|| Conditioning::from_features(voice, &piece.raw, stats)).transpose();
            let track = track.with_context(|| piece.path.display().to_string())?;
            Ok((piece, speaker.clone().overlaid(track.unwrap_or_default())))
        };
        self.pieces.iter().map(over).collect()
    }

    /// Nats per sample with the speaker of `condition`.
    ///
    /// # Errors
    /// A condition that is not the voice's.
    pub fn nats(&self, condition: &Condition) -> Result<f64> {
        let sums: Vec<f64> = (self.conditionings(self.voice, condition)?.into_par_iter())
            .map(|(piece, conditioning)| {
                without_denormals(|| {
                    let mut forced = Forced::new(self.voice, conditioning.unconverted());
                    piece.codes.iter().map(|c| f64::from(forced.score(c))).sum()
                })
            })
            .collect();
        let samples: usize = self.pieces.iter().map(|p| p.codes.len()).sum();
        Ok(sums.iter().sum::<f64>() / samples.max(1) as f64)
    }

    /// All figures with the speaker of `condition`, of which [`Judge::nats`] has said `nats`.
    ///
    /// # Errors
    /// A condition that is not the voice's.
    pub fn figures(&self, condition: &Condition, nats: f64) -> Result<Figures> {
        let voice = self.played;
        if voice.track_shape().is_none() {
            return Ok(Figures { nats, copies: None });
        }
        let drawing = Drawing { policy: SamplingPolicy::usual(voice, true), seed: 0, post_filter: true };
        let copies: Result<Vec<Difference>> = (self.conditionings(voice, condition)?.into_par_iter())
            .map(|(piece, conditioning)| {
                let copy = without_denormals(|| copy_synthesis::copy(voice, conditioning, &drawing))?;
                let copy = copy_synthesis::comparable(voice, &copy)?;
                Ok(quality::compare(&piece.signal, &copy))
            })
            .collect();
        Ok(Figures { nats, copies: Some(Difference::mean(&copies?)) })
    }
}
