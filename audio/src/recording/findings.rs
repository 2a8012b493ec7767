//! What is wrong with a recording, and the mending of what can be mended.

use std::fmt;

/// Power of the mean of n channels, as a part of the channels' mean power and times n, below which they cancel. It is 1
/// for channels that have nothing in common, and n for equal ones.
const CANCELLING: f64 = 0.3;
/// Peaks up to here are what decoders make of loud sound.
const OVERSHOOT: f32 = 1.25;
/// Offset from here on, as a part of full scale.
const OFFSET: f64 = 0.005;
/// Share of clipped samples from here on, and their number.
const CLIPPED: (f64, u64) = (1e-4, 10);
/// A level below which nothing is clipped: what stays equal there is quiet sound of few bits.
const LOUD: f64 = 0.25;
/// Share of silence from here on.
const SILENT: f64 = 0.8;
/// Deviation of the samples of 10 ms that is silence: −60 dB.
const SILENCE: f64 = 1e-3;

/// Something that is wrong with a recording. Its text is what a line about the file says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// The header of a file does not say how long it is.
    Unfinished {
        /// How long it is.
        seconds: f64,
    },
    /// The channels are opposite to one another.
    Cancelling {
        /// How many there are.
        channels: usize,
        /// Whether the first one was taken instead of their mean.
        mended: bool,
    },
    /// Samples far beyond full scale.
    Hot {
        /// The highest, in dB above full scale.
        peak_db: f64,
        /// What all were divided by; 1 in a stream.
        divided_by: f32,
    },
    /// A mean that is not 0.
    Offset {
        /// Of full scale.
        percent: f64,
        /// Whether it was subtracted.
        mended: bool,
    },
    /// Samples are cut off at the highest or lowest value.
    Clipped {
        /// Of all samples.
        percent: f64,
    },
    /// Mostly silence.
    Silent {
        /// Of its length.
        percent: f64,
    },
    /// Parts that can't be decoded.
    Damaged {
        /// How many there are.
        packets: u64,
    },
    /// A lower rate than wanted.
    LowRate {
        /// Its own, Hz.
        rate: u32,
        /// The one wanted, Hz.
        wanted: u32,
    },
    /// Shorter than wanted.
    Short {
        /// How long it is.
        seconds: f64,
        /// Least length.
        least: f64,
    },
}

impl Finding {
    /// The same for a stream, of which nothing can be mended.
    pub(super) fn unmended(self) -> Self {
        match self {
            Self::Cancelling { channels, .. } => Self::Cancelling { channels, mended: false },
            other => other,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished { seconds } => {
                write!(
                    f,
                    "its header does not say how long it is (an unfinished recording): read to the end, {seconds:.2} s"
                )
            }
            Self::Cancelling { channels, mended } => {
                write!(f, "its {channels} channels cancel, one is inverted: ")?;
                f.write_str(if *mended { "channel 1 alone is read" } else { "pass channel 1 alone" })
            }
            Self::Hot { peak_db, divided_by } => {
                write!(f, "its peak is {peak_db:.1} dB above full scale: ")?;
                match *divided_by > 1.0 {
                    true => write!(f, "scaled down by {:.1} dB", db(f64::from(*divided_by))),
                    false => f.write_str("taken as it is"),
                }
            }
            Self::Offset { percent, mended } => {
                write!(f, "an offset of {percent:.1} % of full scale: ")?;
                f.write_str(if *mended { "removed" } else { "taken as it is" })
            }
            Self::Clipped { percent } => {
                write!(f, "{percent:.2} % of its samples are clipped: record it again with less gain")
            }
            Self::Silent { percent } if *percent > 99.99 => f.write_str("nothing but silence"),
            Self::Silent { percent } => write!(f, "{percent:.0} % of it is silence"),
            Self::Damaged { packets } => write!(f, "{packets} damaged packets are left out"),
            Self::LowRate { rate, wanted } => {
                write!(f, "{rate} Hz where {wanted} Hz are wanted: it has nothing above {} Hz", rate / 2)
            }
            Self::Short { seconds, least } => write!(f, "{seconds:.2} s, shorter than {least} s"),
        }
    }
}

/// A ratio of magnitudes in dB.
fn db(ratio: f64) -> f64 {
    20.0 * ratio.log10()
}

/// Looks at all samples of a recording while they are read.
pub(super) struct Examiner {
    channels: usize,
    /// One per channel.
    clips: Vec<Clips>,
    frames: u64,
    /// Sum of squares over all channels, and of the mean of the channels.
    power: (f64, f64),
}

impl Examiner {
    pub fn new(rate: u32, channels: usize) -> Self {
        // An eighth of a millisecond, at least three samples: at higher rates a slow peak stays equal for longer.
        let run = (rate / 8_000).max(3);
        Self { channels, clips: vec![Clips::new(run); channels], frames: 0, power: (0.0, 0.0) }
    }

    /// Appends the mean of the channels of each frame of `block` to `mean`.
    ///
    /// # Errors
    /// Number and value of a frame that is no finite number.
    pub fn take(&mut self, block: &[f64], mean: &mut Vec<f32>) -> Result<(), (u64, f64)> {
        mean.reserve(block.len() / self.channels);
        for frame in block.chunks_exact(self.channels) {
            let mut sum = 0.0;
            for (x, clips) in frame.iter().zip(&mut self.clips) {
                sum += x;
                self.power.0 += x * x;
                clips.take(*x);
            }
            let value = sum / self.channels as f64;
            let single = value as f32;
            if !single.is_finite() {
                return Err((self.frames, value));
            }
            self.power.1 += value * value;
            self.frames += 1;
            mean.push(single);
        }
        Ok(())
    }

    /// Channels that cancel each other.
    pub fn cancelling(&self) -> Option<Finding> {
        let channels = self.channels;
        // The channels' mean power is power.0 / channels; unrelated channels leave the n-th part of it.
        let unrelated = self.power.0 / (channels * channels) as f64;
        (channels > 1 && self.power.1 < CANCELLING * unrelated)
            .then_some(Finding::Cancelling { channels, mended: true })
    }

    /// Samples that are cut off.
    pub fn clipping(&self) -> Option<Finding> {
        let clipped: u64 = self.clips.iter().map(Clips::count).sum();
        let share = clipped as f64 / (self.frames.max(1) * self.channels as u64) as f64;
        (share >= CLIPPED.0 && clipped >= CLIPPED.1).then_some(Finding::Clipped { percent: 100.0 * share })
    }
}

/// Counts the samples of a channel that stay at its highest or lowest value.
#[derive(Clone)]
struct Clips {
    high: Plateau,
    low: Plateau,
}

#[derive(Clone)]
struct Plateau {
    least: u32,
    top: f64,
    run: u32,
    count: u64,
}

impl Clips {
    fn new(least: u32) -> Self {
        let plateau = Plateau { least, top: 0.0, run: 0, count: 0 };
        Self { high: plateau.clone(), low: plateau }
    }

    fn take(&mut self, x: f64) {
        self.high.take(x);
        self.low.take(-x);
    }

    fn count(&self) -> u64 {
        [&self.high, &self.low].iter().filter(|p| p.top >= LOUD).map(|p| p.count).sum()
    }
}

impl Plateau {
    fn take(&mut self, x: f64) {
        if x < self.top {
            self.run = 0;
        } else if x > self.top {
            (self.top, self.run, self.count) = (x, 1, 0);
        } else {
            self.run += 1;
            self.count += match self.run.cmp(&self.least) {
                std::cmp::Ordering::Less => 0,
                std::cmp::Ordering::Equal => u64::from(self.least),
                std::cmp::Ordering::Greater => 1,
            };
        }
    }
}

/// Scales and shifts a recording to where it should be.
pub(super) fn mend(samples: &mut [f32]) -> Vec<Finding> {
    let peak = samples.iter().fold(0.0f32, |peak, x| peak.max(x.abs()));
    let hot = hot(peak, true);
    if let Some(Finding::Hot { divided_by, .. }) = hot {
        samples.iter_mut().for_each(|x| *x /= divided_by);
    }
    let sum: f64 = samples.iter().map(|x| f64::from(*x)).sum();
    let mean = sum / samples.len().max(1) as f64;
    let offset = offset(mean, true);
    if offset.is_some() {
        samples.iter_mut().for_each(|x| *x = (f64::from(*x) - mean) as f32);
    }
    hot.into_iter().chain(offset).collect()
}

/// A peak far above full scale. With `mended` it will be divided by the least power of two that brings it to full scale:
/// that is exact, and of files that were all made too loud by one factor, most are divided by the same.
pub(super) fn hot(peak: f32, mended: bool) -> Option<Finding> {
    let divided_by = if mended { f64::from(peak).log2().ceil().exp2() as f32 } else { 1.0 };
    (peak > OVERSHOOT).then(|| Finding::Hot { peak_db: db(f64::from(peak)), divided_by })
}

/// A mean that is not 0.
pub(super) fn offset(mean: f64, mended: bool) -> Option<Finding> {
    (mean.abs() >= OFFSET).then_some(Finding::Offset { percent: 100.0 * mean.abs(), mended })
}

/// A recording that is mostly silence.
pub(super) fn silence(samples: &[f32], rate: u32) -> Option<Finding> {
    let frames = samples.chunks((rate / 100).max(1) as usize);
    let (count, silent) = frames.fold((0u64, 0u64), |(count, silent), frame| {
        let n = frame.len() as f64;
        let mean = frame.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        let power = frame.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
        (count + 1, silent + u64::from(power.sqrt() < SILENCE))
    });
    let share = silent as f64 / count.max(1) as f64;
    (share >= SILENT).then_some(Finding::Silent { percent: 100.0 * share })
}
