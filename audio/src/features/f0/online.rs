//! The tracker on a signal that is still coming in.

use super::{HOP, Path, Step, TAPS, Tracker, WINDOW, energy, filtered, floor, trace};

/// Frames by which the decision lags behind the signal, beside [`LEAD`].
pub const LAG: usize = 2;

/// Samples of the signal that are there, counted from the first of the newest hop, when [`OnlineTracker::advance`] is
/// called.
pub const LEAD: usize = 280;

/// Hops of low-passed signal that the buffer holds ahead of the frame to be decided.
const AHEAD: usize = 2;

/// Samples of the low-passed signal that are kept: they end half a low-pass before the signal does.
const KEPT: usize = (AHEAD + LAG) * HOP + LEAD - TAPS / 2;

/// By how much the level of the loudest 30 ms decays in a hop while nothing is as loud: 1 dB a second.
const RELEASE_DB: f32 = 0.01;

/// Mean square below which nothing counts as loud, -70 dBFS: before the first word there is only the room's noise.
const LEAST_LOUD: f32 = 1e-7;

// The segment of the frame to be decided ends within what is kept.
const _: () = assert!(AHEAD * HOP + HOP / 2 + super::SEGMENT - WINDOW.midpoint(super::MIDDLE) <= KEPT);

/// [`Tracker`] for one hop after another, with the same candidates and costs. Two things differ from the tracker of a
/// whole recording: the loudest 30 ms are those so far, and a frame's state lies on the cheapest way so far. What comes
/// later can still change the states of the frames before it, so that the last few are given anew with every hop.
pub struct OnlineTracker {
    tracker: Tracker,
    path: Path,
    /// The last frames, oldest first.
    steps: Vec<Step>,
    /// Hops so far.
    pushed: usize,
    loudest: f32,
    /// Energies of the last three hops.
    hops: [f32; 3],
}

impl OnlineTracker {
    /// A tracker that shows its last `look_back` frames.
    pub fn new(look_back: usize) -> Self {
        let mut tracker = Tracker::new();
        tracker.smooth = vec![0.0; KEPT];
        let steps = vec![Step::default(); look_back];
        Self { tracker, path: Path::new(), steps, pushed: 0, loudest: LEAST_LOUD, hops: [0.0; 3] }
    }

    /// One hop further: `pcm16k` ends [`LEAD`] samples behind the first one of hop h, for h = 0, 1, 2, … in turn; the
    /// last `new` of its samples are new, 64 or more lie before them, and none is NaN or infinite. Decides frame h -
    /// [`LAG`].
    ///
    /// # Real-time
    /// Neither allocates nor locks.
    pub fn advance(&mut self, pcm16k: &[f32], new: usize) {
        let smooth = &mut self.tracker.smooth;
        smooth.copy_within(new.., 0);
        let from = pcm16k.len() - new - (TAPS - 1);
        let fresh = &mut smooth[KEPT - new..];
        for (out, w) in fresh.iter_mut().zip(pcm16k[from..].windows(TAPS)) {
            *out = filtered(w, &self.tracker.low_pass);
        }
        if self.pushed == 0 {
            // Ahead of the first sample there is silence.
            fresh[..TAPS / 2].fill(0.0);
        }
        let hop = (AHEAD + LAG) * HOP;
        self.hops.rotate_left(1);
        self.hops[2] = energy(&smooth[hop..hop + HOP]);
        let now = self.hops.iter().sum::<f32>() / (3 * HOP) as f32;
        self.loudest = (self.loudest * 10f32.powf(-RELEASE_DB / 10.0)).max(now).max(LEAST_LOUD);
        self.pushed += 1;
        if self.pushed > LAG {
            let (candidates, n, best) = self.tracker.candidates(AHEAD, floor(self.loudest));
            self.steps.rotate_left(1);
            if let Some(last) = self.steps.last_mut() {
                *last = self.path.step(&candidates[..n], best);
            }
        }
    }

    /// F0 in Hz and voicing strength of the last frames decided, oldest first, as far as is known by now; 0 for frames
    /// before the first. Both slices have `look_back` values.
    ///
    /// # Real-time
    /// Yes.
    pub fn write(&self, f0: &mut [f32], voicing: &mut [f32]) {
        f0.fill(0.0);
        voicing.fill(0.0);
        let decided = self.pushed.saturating_sub(LAG);
        let at = self.steps.len() - decided.min(self.steps.len());
        trace(&self.steps[at..], self.path.best(), &mut f0[at..], &mut voicing[at..]);
    }
}
