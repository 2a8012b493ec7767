//! Held-out nats per sample, read twice: by the engine, and by the trainer's loss. Two readings of one function have to
//! agree; a difference is a bug.

use super::corpus::SpeechCorpus;
use super::recording::{Recording, unit_hash};
use super::window::Cutter;
use crate::ranks::Ranks;
use crate::synth::{Conditioning, Forced, without_denormals};
use crate::voice::Voice;
use anyhow::{Result, ensure};
use rayon::prelude::*;
use wavesynth_models::condition::{FeatureTrack, TrackSource};
use wavesynth_models::objective::{Objective, Window};

/// Most nats that the two readings may differ by.
const TOLERANCE: f64 = 1e-3;

/// A held-out recording shorter than this is no part of the selection.
const LEAST_SECONDS: f64 = 0.5;

/// The fixed selection of held-out recordings that an evaluation reads, each from its first sample.
#[derive(Debug, Clone)]
pub struct HeldOutSpeech {
    pieces: Vec<Recording>,
    /// Whether each is read beside its first cross-speaker track.
    cross_speaker: bool,
}

/// One evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// Of the held-out recordings, beside their speakers' own tracks where the model reads tracks.
    pub own: HeldOutNats,
    /// Beside their cross-speaker tracks, where there are some.
    pub cross_speaker: Option<HeldOutNats>,
}

/// Nats per sample, read twice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeldOutNats {
    /// Nats per sample by the engine.
    pub engine: f64,
    /// Nats per sample by the trainer's loss.
    pub trainer: f64,
}

impl HeldOutSpeech {
    /// About `seconds` of the held-out part of `corpus`, as much from each speaker; `None` if nothing is held out.
    pub fn select(corpus: &SpeechCorpus, seconds: f64) -> Option<Self> {
        let rate = f64::from(corpus.sample_rate);
        let mut by_speaker = vec![Vec::new(); corpus.speakers.len()];
        corpus.part(true).for_each(|r| by_speaker[r.speaker].push(r));
        by_speaker.retain(|own| !own.is_empty());
        let share = (seconds * rate / by_speaker.len().max(1) as f64) as usize;
        let least = (LEAST_SECONDS * rate) as usize;
        let mut pieces = Vec::new();
        for mut own in by_speaker {
            // Neither the first by alphabet nor the longest: a fixed choice without a bias.
            own.sort_by(|a, b| unit_hash(&a.name).total_cmp(&unit_hash(&b.name)));
            let mut room = share;
            for (i, r) in own.into_iter().enumerate() {
                let n = r.codes.len().min(room);
                if i > 0 && (n < least || room < least) {
                    continue;
                }
                let mut piece = r.clone();
                piece.codes.truncate(n.max(1));
                room -= n;
                pieces.push(piece);
            }
        }
        (!pieces.is_empty()).then_some(Self { pieces, cross_speaker: false })
    }

    /// These recordings, whole.
    pub fn of(pieces: Vec<Recording>) -> Self {
        Self { pieces, cross_speaker: false }
    }

    /// Those that have a cross-speaker track, beside it; `None` where there is none.
    pub fn cross_speaker(&self) -> Option<Self> {
        let pieces: Vec<Recording> =
            self.pieces.iter().filter(|r| !r.cross_tracks.is_empty()).cloned().collect();
        (!pieces.is_empty()).then_some(Self { pieces, cross_speaker: true })
    }

    /// What `recording` is read beside.
    fn track<'a>(&self, recording: &'a Recording) -> FeatureTrack<'a> {
        match self.cross_speaker {
            true => FeatureTrack { features: &recording.cross_tracks[0], source: TrackSource::CrossSpeaker },
            false => recording.own_track(),
        }
    }

    /// The reading by engine and trainer: `voice` and `params` are the same weights, `vectors` the speaker table, row by
    /// row. `windows` are read at a time. All `ranks` call this together and share the recordings.
    ///
    /// # Errors
    /// As the objective.
    pub fn read(
        &self,
        (voice, vectors): (&Voice, &[f32]),
        (objective, params): (&dyn Objective, &[f32]),
        cutter: &Cutter,
        windows: usize,
        ranks: &Ranks,
    ) -> Result<HeldOutNats> {
        let engine = self.by_engine(voice, vectors, ranks);
        Ok(HeldOutNats { engine, trainer: self.by_trainer(objective, params, cutter, windows, ranks)? })
    }

    /// Samples that an evaluation reads.
    pub fn samples(&self) -> usize {
        self.pieces.iter().map(|p| p.codes.len()).sum()
    }

    /// The reading of the engine, in the current thread pool; the ranks share the recordings. `vectors` is the speaker
    /// table, row by row.
    pub fn by_engine(&self, voice: &Voice, vectors: &[f32], ranks: &Ranks) -> f64 {
        let dim = voice.config.condition.as_ref().map_or(0, |c| c.speaker_dim);
        let nats = |r: &Recording| -> f64 {
            let vector = (dim > 0).then(|| vectors[r.speaker * dim..][..dim].to_vec());
            let mut forced = Forced::new(voice, Conditioning::known(vector, self.track(r)));
            r.codes.iter().map(|c| f64::from(forced.score(c))).sum()
        };
        let own = |i: usize| i % ranks.size() == ranks.rank();
        let mut sums: Vec<f64> = (self.pieces.par_iter().enumerate())
            .map(|(i, r)| if own(i) { without_denormals(|| nats(r)) } else { 0.0 })
            .collect();
        ranks.sum(&mut sums);
        sums.iter().sum::<f64>() / self.samples() as f64
    }

    /// The reading of the trainer, over windows that cover the same samples and are shared by the ranks.
    ///
    /// # Errors
    /// As the objective.
    pub fn by_trainer(
        &self,
        objective: &dyn Objective,
        params: &[f32],
        cutter: &Cutter,
        batch: usize,
        ranks: &Ranks,
    ) -> Result<f64> {
        let windows: Vec<Window> = self.pieces.iter().flat_map(|r| cutter.tile(r, self.track(r))).collect();
        let rows = |w: &Window| w.targets.len() - w.warmup;
        let mut sums = vec![0.0; windows.len().div_ceil(batch)];
        let own = windows.chunks(batch).zip(&mut sums).skip(ranks.rank()).step_by(ranks.size());
        for (group, sum) in own {
            let n: usize = group.iter().map(rows).sum();
            *sum = objective.loss(params, group, None)? * n as f64;
        }
        ranks.sum(&mut sums);
        Ok(sums.iter().sum::<f64>() / self.samples() as f64)
    }
}

impl Evaluation {
    /// Checks that each is one number.
    ///
    /// # Errors
    /// They differ.
    pub fn check(self) -> Result<Self> {
        Ok(Self {
            own: self.own.check()?,
            cross_speaker: self.cross_speaker.map(HeldOutNats::check).transpose()?,
        })
    }
}

impl HeldOutNats {
    /// Checks that both are one number.
    ///
    /// # Errors
    /// They differ.
    pub fn check(self) -> Result<Self> {
        ensure!(
            self.engine.is_finite() && self.trainer.is_finite(),
            "the engine reads {} nats, the trainer {}: the training diverged, or what it began with is damaged",
            self.engine,
            self.trainer
        );
        ensure!(
            (self.engine - self.trainer).abs() <= TOLERANCE,
            "the engine reads {:.5} nats where the trainer reads {:.5}: they must agree to {TOLERANCE}; this is a \
             bug of the program, please report it with the run file",
            self.engine,
            self.trainer
        );
        Ok(self)
    }
}
