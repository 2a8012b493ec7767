//! Durations and frames as one network: their tensors beside each other, and the sum of their losses.

use crate::train::source::Network;
use std::ops::Range;
use wavesynth_models::candle_core;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::objective::{Objective, ObjectiveError, ObjectiveOptions, Window};
use wavesynth_models::second;
use wavesynth_models::weights::{Header, Layout};

/// Both networks.
pub struct Learner {
    /// That of frames.
    pub frames: FamilyConfig,
    /// That of durations, the checkpoint's second one.
    pub durations: FamilyConfig,
}

impl Network for Learner {
    fn header(&self) -> serde_json::Result<Header> {
        let mut header = self.frames.to_header()?;
        header.sections.insert(second::NAME.into(), second::section(&self.durations)?);
        Ok(header)
    }

    fn layout(&self) -> Layout {
        Layout::new(self.frames.table().into_iter().chain(second::prefixed_table(&self.durations)).collect())
    }

    fn classes(&self) -> usize {
        0
    }

    fn dims(&self) -> usize {
        self.frames.facts().likelihood.dims()
    }

    fn objective(&self, options: &ObjectiveOptions) -> candle_core::Result<Option<Box<dyn Objective>>> {
        let learns = |name: &str| (options.learns)(&format!("{}{name}", second::PREFIX));
        let device = options.device.clone();
        let second = ObjectiveOptions { learns: &learns, device, ..*options };
        let (frames, durations) = (self.frames.objective(options)?, self.durations.objective(&second)?);
        let both = |(frames, durations)| -> Box<dyn Objective> {
            Box::new(Both { layout: self.layout(), frames, durations })
        };
        Ok(frames.zip(durations).map(both))
    }
}

/// The mean of −ln p over all rows, frames and phones alike. Windows of vectors are frames, windows of symbols durations; the former
/// come first. Windows stand alone.
struct Both {
    layout: Layout,
    frames: Box<dyn Objective>,
    durations: Box<dyn Objective>,
}

fn rows(batch: &[Window]) -> usize {
    batch.iter().map(|w| w.rows() - w.warmup.min(w.rows())).sum()
}

impl Both {
    /// The parameters of either.
    fn parts(&self) -> [Range<usize>; 2] {
        let frames = self.frames.layout().len();
        [0..frames, frames..self.layout.len()]
    }
}

impl Objective for Both {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn loss_carried(
        &self,
        params: &[f32],
        batch: &[Window],
        _: &mut [Vec<f32>],
        mut grads: Option<&mut [f32]>,
    ) -> Result<f64, ObjectiveError> {
        let first = batch.iter().take_while(|w| w.vectors.dims > 0).count();
        let (frames, durations) = batch.split_at(first);
        let total = rows(batch);
        if total == 0 {
            return Err(ObjectiveError::Batch("no rows".into()));
        }
        let mut loss = 0.0;
        let both = [(&self.frames, frames), (&self.durations, durations)];
        for ((objective, windows), part) in both.into_iter().zip(self.parts()) {
            let mut grads = grads.as_deref_mut().map(|g| &mut g[part.clone()]);
            if windows.is_empty() {
                grads.into_iter().for_each(|g| g.fill(0.0));
                continue;
            }
            let share = rows(windows) as f64 / total as f64;
            loss += share * objective.loss(&params[part], windows, grads.as_deref_mut())?;
            grads.into_iter().flatten().for_each(|g| *g *= share as f32);
        }
        Ok(loss)
    }

    fn peak_bytes(&self, windows: usize, window_len: usize, threads: usize) -> usize {
        let half = windows.div_ceil(2);
        let of = |o: &dyn Objective| o.peak_bytes(half, window_len, threads);
        of(self.frames.as_ref()).max(of(self.durations.as_ref()))
    }
}
