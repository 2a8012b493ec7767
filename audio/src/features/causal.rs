//! The frames of [`super::RECIPE`] from a signal that is still coming in.
//!
//! A model that sees C frames to either side takes frame i together with its neighbours i - C … i + C, and
//! [`CausalExtractor`] gives it that window as soon as the cepstra of frame i + C are known: [`needed`] samples behind
//! the first one of frame i, 37.5 ms at C = 2. All cepstra are then those of the whole recording. F0 reaches further
//! ahead ([`f0`]), so that it is known up to frame i + C - [`f0::LAG`] by then; the frames behind that one hold its pitch
//! and its voicing. Pitch holds across unvoiced stretches, too, where a whole recording has straight lines.

use super::{
    BANDS, CEPSTRA, Cepstrum, FEATURES, HOP, RunningSpeakerStats, f0, frame_count, octaves, spectrum,
};
use super::{write_cepstra, write_pitch};

/// Samples behind the first one of a frame after which a window of `context` frames to either side is known.
pub const fn needed(context: usize) -> usize {
    context * HOP + f0::LEAD
}

/// What the window under the newest frame's spectrum, one hop ahead of it and [`f0::LEAD`] behind, must hold.
const BUFFER: usize = HOP + f0::LEAD;

// The spectrum of the newest frame ends with the newest sample.
const _: () = assert!(HOP / 2 + spectrum::WINDOW / 2 == f0::LEAD);

/// Extracts normalised features while the signal comes in; allocates all it needs at once.
pub struct CausalExtractor {
    context: usize,
    cepstrum: Cepstrum,
    tracker: f0::OnlineTracker,
    speaker_stats: RunningSpeakerStats,
    /// The signal from one hop ahead of the newest row on.
    pcm: Vec<f32>,
    filled: usize,
    /// Cepstra of the last rows, from which the statistics have not been updated yet.
    recent: [[f32; CEPSTRA]; f0::LAG + 1],
    /// `[2C + 1 x FEATURES]`, the newest last.
    window: Vec<f32>,
    /// `[2C + 1]`, the last frames that the tracker has decided.
    f0_hz: Vec<f32>,
    voicing: Vec<f32>,
    /// F0 of the last voiced frame that has left the tracker's window, 0 without one.
    held_hz: f32,
    /// Rows made.
    rows: usize,
    samples: usize,
    /// Frames in all, once the signal has ended.
    last: Option<usize>,
}

impl CausalExtractor {
    /// An extractor for a model that sees `context` frames to either side.
    pub fn new(context: usize, speaker_stats: RunningSpeakerStats) -> Self {
        let rows = 2 * context + 1;
        let mut new = Self {
            context,
            cepstrum: Cepstrum::new(),
            tracker: f0::OnlineTracker::new(rows),
            speaker_stats,
            pcm: vec![0.0; BUFFER],
            filled: HOP,
            recent: [[0.0; CEPSTRA]; f0::LAG + 1],
            window: vec![0.0; rows * FEATURES],
            f0_hz: vec![0.0; rows],
            voicing: vec![0.0; rows],
            held_hz: 0.0,
            rows: 0,
            samples: 0,
            last: None,
        };
        let mut silence = vec![0.0; new.window.len()];
        new.write_silence(&mut silence);
        new.window = silence;
        new
    }

    /// Frames to either side.
    ///
    /// # Real-time
    /// All functions of an extractor but `new` neither allocate nor lock.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Rows made so far: the window's newest is the last of them.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Samples at 16 kHz until the next row.
    pub fn wants(&self) -> usize {
        BUFFER - self.filled
    }

    /// Frames of the whole signal, once it has ended.
    pub fn frames(&self) -> Option<usize> {
        self.last
    }

    /// The statistics in force.
    pub fn speaker_stats(&self) -> &RunningSpeakerStats {
        &self.speaker_stats
    }

    /// `[2C + 1 x FEATURES]`: frame [`CausalExtractor::rows`] - 1 - C and its neighbours, those ahead of the first
    /// frame and behind the last being these again; silence before the first row.
    pub fn window(&self) -> &[f32] {
        &self.window
    }

    /// Such a window of nothing but digital silence, at the pitch of last.
    pub fn write_silence(&self, window: &mut [f32]) {
        let cepstra = self.cepstrum.of_bands(&[spectrum::FLOOR.ln(); BANDS]);
        for row in window.chunks_exact_mut(FEATURES) {
            write_cepstra(&cepstra, self.speaker_stats.stats(), row);
            write_pitch(
                octaves(self.held_hz, self.speaker_stats.stats().median_f0_hz).unwrap_or(0.0),
                0.0,
                row,
            );
        }
    }

    /// Takes up to [`CausalExtractor::wants`] samples at 16 kHz; how many. NaN and infinite ones count as 0.
    pub fn push(&mut self, pcm16k: &[f32]) -> usize {
        let n = pcm16k.len().min(self.wants());
        for (to, &x) in self.pcm[self.filled..].iter_mut().zip(&pcm16k[..n]) {
            *to = if x.is_finite() { x } else { 0.0 };
        }
        self.filled += n;
        self.samples += n;
        if self.wants() == 0 {
            self.make_row();
        }
        n
    }

    /// The signal has ended: makes the next row from the silence behind it, the last frame's again behind the last.
    pub fn end(&mut self) {
        self.last.get_or_insert(frame_count(self.samples));
        self.pcm[self.filled..].fill(0.0);
        self.filled = BUFFER;
        self.make_row();
    }

    fn make_row(&mut self) {
        let row = self.rows;
        let is_real = self.last.is_none_or(|n| row < n);
        // The oldest rows leave.
        if self.f0_hz[0] > 0.0 {
            self.held_hz = self.f0_hz[0];
        }
        self.window.copy_within(FEATURES.., 0);
        self.tracker.advance(&self.pcm, if row == 0 { f0::LEAD } else { HOP });
        self.tracker.write(&mut self.f0_hz, &mut self.voicing);
        // Behind the end the last row stays for good.
        if is_real {
            self.update_stats(row);
        }
        self.rows += 1;
        self.write_pitch(row);
        self.pcm.copy_within(HOP.., 0);
        self.filled = BUFFER - HOP;
    }

    fn update_stats(&mut self, row: usize) {
        let cepstra = self.cepstrum.frame(&self.pcm, 1);
        self.recent.rotate_left(1);
        self.recent[f0::LAG] = cepstra;
        if row >= f0::LAG {
            self.speaker_stats.push(&self.recent[0], self.f0_hz[2 * self.context]);
        }
        let (before, newest) = self.window.split_at_mut(2 * self.context * FEATURES);
        write_cepstra(&cepstra, self.speaker_stats.stats(), newest);
        if row == 0 {
            before.chunks_exact_mut(FEATURES).for_each(|row| row.copy_from_slice(newest));
        }
    }

    /// Pitch and voicing of the whole window, whose newest frame is `row`.
    fn write_pitch(&mut self, row: usize) {
        let median = self.speaker_stats.stats().median_f0_hz;
        // The tracker shows frames row - LAG - 2C … row - LAG, the window frames row - 2C … row.
        let first = row as isize - (f0::LAG + 2 * self.context) as isize;
        let end = self.last.map_or(isize::MAX, |n| n as isize - 1);
        let known = end.min(row as isize - f0::LAG as isize);
        let (mut at, mut held) = (0, octaves(self.held_hz, median).unwrap_or(0.0));
        for (w, out) in self.window.chunks_exact_mut(FEATURES).enumerate() {
            let frame = (row + w) as isize - 2 * self.context as isize;
            let index = (frame.max(0).min(known) - first).max(0) as usize;
            while at <= index {
                held = octaves(self.f0_hz[at], median).unwrap_or(held);
                at += 1;
            }
            write_pitch(held, self.voicing[index], out);
        }
    }
}

#[cfg(test)]
mod tests;
