//! What the output's callback does.

use super::convert::Pcm;
use super::count::Counters;
use super::priority::raise_priority;
use super::timeline::Timeline;
use crate::ring::Consumer;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Everything that the callback owns.
pub(super) struct Feed {
    consumer: Consumer,
    channels: usize,
    /// Samples of silence to begin with.
    priming: usize,
    timeline: Timeline,
    counters: Arc<Counters>,
    start: Instant,
    /// Glitches reported so far.
    xruns: u64,
    /// On the callback's stack there may be little room.
    mono: Box<[f32]>,
}

impl Feed {
    /// From `consumer` to `channels` channels at `rate` Hz, after `priming` samples of silence.
    pub(super) fn new(
        consumer: Consumer,
        channels: usize,
        rate: u32,
        priming: usize,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            consumer,
            channels,
            priming,
            timeline: Timeline::new(rate),
            counters,
            start: Instant::now(),
            xruns: 0,
            mono: vec![0.0; 1_024].into(),
        }
    }

    /// Fills `out`, whose first sample is heard in `ahead`.
    ///
    /// # Real-time
    /// This is the device's thread: no allocation, no lock, no wait. The first call also asks for a priority.
    pub(super) fn callback<T: Pcm>(&mut self, out: &mut [T], ahead: Duration) {
        let Self { consumer, channels, priming, timeline, counters, mono, .. } = self;
        let channels = *channels;
        if counters.callbacks.load(Ordering::Relaxed) == 0 {
            counters.realtime.store(raise_priority(), Ordering::Relaxed);
        }
        let heard = (self.start.elapsed() + ahead).as_secs_f64();
        counters.found(timeline.callback(heard, out.len() / channels));
        // After silence of the device's own the sound rises from it.
        let reported = counters.xruns.load(Ordering::Relaxed);
        if reported != self.xruns {
            self.xruns = reported;
            consumer.rise();
        }
        for block in out.chunks_mut(mono.len() * channels) {
            let mono = &mut mono[..block.len() / channels];
            let silent = (*priming).min(mono.len());
            *priming -= silent;
            mono[..silent].fill(0.0);
            consumer.fill(&mut mono[silent..]);
            for (frame, &x) in block.chunks_exact_mut(channels).zip(&*mono) {
                frame.fill(T::from_pcm(x));
            }
        }
        counters.called(ahead);
    }
}
