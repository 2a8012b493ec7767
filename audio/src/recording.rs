//! Recordings, as people have them: one way of reading for files, pipes and standard input.
//!
//! WAV of all kinds by this crate's own reader; FLAC, OGG (Vorbis), MP3, AAC, M4A (AAC, Apple Lossless), AIFF, CAF and WAV
//! with encoded sound by the library symphonia. What a file is, its first bytes tell, not its name. Channels are averaged.
//!
//! [`read`] looks at all of a recording, mends what can be mended, and says what is wrong with it ([`Finding`]):
//!
//! | what | how it is told | what is done |
//! |---|---|---|
//! | channels that cancel | the mean of the channels has less than 0.3 / n of their mean power | the first one is taken |
//! | above full scale | samples beyond ±1.25, of floats or a decoder | divided by the least power of two that brings them within ±1 |
//! | offset | a mean of at least 0.5 % of full scale | subtracted |
//! | clipping | runs at the highest or lowest value, more than 0.01 % of the samples, of at least 16 bits | |
//! | silence | 80 % of the 10 ms below −60 dB | |
//! | no length in the header | of a WAV file | read to the end |
//! | damaged packets | the decoder refuses them | left out |
//!
//! Samples between ±1 and ±1.25, as decoders give them for loud sound, stay as they are. Nothing is limited.
//! [`Stream`] gives samples as they come, unmended.
//!
//! No recording is longer than [`MAX_SECONDS`] or [`MAX_SAMPLES`]. That is checked by the header where it tells, and while decoding.

mod caf;
mod decoder;
mod error;
mod findings;
mod kind;
mod source;

pub use error::RecordingError;
pub use findings::Finding;

use crate::cond::MAX_FRAMES;
use crate::features::{HOP, SAMPLE_RATE};
use crate::resample;
use findings::Examiner;
use source::{Frames, Source};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest recording, in seconds: as long as a track can be.
pub const MAX_SECONDS: f64 = (MAX_FRAMES * HOP) as f64 / SAMPLE_RATE as f64;

/// Most samples of a recording, 2 GiB of memory: at rates above 51,200 Hz less than [`MAX_SECONDS`].
pub const MAX_SAMPLES: u64 = 1 << 29;

/// The name of standard input as a recording.
pub const STDIN: &str = "-";

/// What can be read, for people.
pub const KINDS: &str = "WAV, FLAC, OGG Vorbis, MP3, AAC, M4A, AIFF or CAF";

/// Endings of the names of recordings, in lower case.
pub const ENDINGS: [&str; 13] =
    ["wav", "wave", "bwf", "rf64", "flac", "ogg", "oga", "mp3", "aac", "m4a", "aif", "aiff", "caf"];

/// Endings of the names of sound that can't be read.
pub const OTHER_ENDINGS: [&str; 19] = [
    "opus", "wma", "amr", "w64", "au", "snd", "wv", "ape", "tta", "dsf", "mka", "webm", "mp4", "mov", "mkv",
    "3gp", "avi", "aifc", "mp2",
];

/// A mono recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Its name in errors.
    pub path: PathBuf,
    /// PCM, full scale at -1 and 1, at least one sample.
    pub samples: Vec<f32>,
    /// Hz.
    pub sample_rate: u32,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

impl Recording {
    /// Its samples at `rate` Hz. They may exceed -1..1 a little where the recording touches full scale.
    ///
    /// # Errors
    /// Rates that can't be converted, or so few samples that none is left.
    pub fn at(&self, rate: u32) -> Result<Vec<f32>, RecordingError> {
        if self.sample_rate == rate {
            return Ok(self.samples.clone());
        }
        let samples = resample::resample(&self.samples, self.sample_rate, rate)
            .map_err(|source| RecordingError::Resample { path: self.path.clone(), source })?;
        match samples.is_empty() {
            true => Err(RecordingError::Empty { path: self.path.clone() }),
            false => Ok(samples),
        }
    }

    /// What a rate below `wanted` Hz means.
    pub fn low_rate(&self, wanted: u32) -> Option<Finding> {
        (self.sample_rate < wanted).then_some(Finding::LowRate { rate: self.sample_rate, wanted })
    }

    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate)
    }
}

/// Reads the recording at `path`, or standard input if that is `-`, and mends it.
///
/// # Errors
/// Something that can't be read as a recording, or is longer than [`MAX_SECONDS`].
pub fn read(path: &Path) -> Result<Recording, RecordingError> {
    let source = Source::open(path)?;
    let again = source.can_be_read_again();
    let mut frames = source.whole()?;
    // What promises no length is counted first, for it could be anything that was packed small.
    if again && frames.promise().is_none() {
        count(&mut frames, path)?;
        frames = Source::open(path)?.whole()?;
    }
    let channels = frames.channels();
    let mut examiner = Examiner::new(frames.rate(), channels);
    let mut samples = Vec::new();
    // Of a pipe with several channels the first is kept beside their mean, for it can't be read again.
    let mut first = (channels > 1 && !again).then(Vec::new);
    each(&mut frames, path, |block| {
        examiner.take(block, &mut samples).map_err(not_finite(path))?;
        if let Some(first) = &mut first {
            first.extend(block.iter().step_by(channels).map(|v| *v as f32));
        }
        Ok(())
    })?;
    let mut findings = Vec::new();
    findings.extend(
        frames
            .unfinished()
            .then(|| Finding::Unfinished { seconds: samples.len() as f64 / f64::from(frames.rate()) }),
    );
    findings.extend(Some(frames.damaged()).filter(|n| *n > 0).map(|packets| Finding::Damaged { packets }));
    if let Some(cancelling) = examiner.cancelling() {
        findings.push(cancelling);
        samples = match first {
            Some(first) => first,
            None => {
                let mut first = Vec::with_capacity(samples.len());
                let mut frames = Source::open(path)?.whole()?;
                each(&mut frames, path, |block| {
                    first.extend(block.iter().step_by(channels).map(|v| *v as f32));
                    Ok(())
                })?;
                first
            }
        };
    }
    findings.extend(findings::mend(&mut samples));
    findings.extend(examiner.clipping().filter(|_| frames.is_fine()));
    findings.extend(findings::silence(&samples, frames.rate()));
    Ok(Recording { path: path.into(), samples, sample_rate: frames.rate(), findings })
}

/// Samples that [`Recording::at`] gives for the file at `path`: from its header where that can be relied on, else by
/// reading it once.
///
/// # Errors
/// As [`read`]; a file whose header is whole can still be broken.
pub fn samples_at(path: &Path, rate: u32) -> Result<u64, RecordingError> {
    let mut frames = Source::open(path)?.whole()?;
    convertible(&frames, path, rate)?;
    let own = match frames.sure() {
        0 => count(&mut frames, path)?,
        sure if sure > most(&frames) => return Err(too_long(&frames, path)),
        sure => sure,
    };
    Ok(resample::output_len(own, frames.rate(), rate))
}

/// The same, of a file that is read to its end, so that [`read`] will read it.
///
/// # Errors
/// As [`read`].
pub fn checked_samples_at(path: &Path, rate: u32) -> Result<u64, RecordingError> {
    let mut frames = Source::open(path)?.whole()?;
    convertible(&frames, path, rate)?;
    let mut examiner = Examiner::new(frames.rate(), frames.channels());
    let (mut own, mut block) = (0, Vec::new());
    each(&mut frames, path, |samples| {
        block.clear();
        examiner.take(samples, &mut block).map_err(not_finite(path))?;
        own += block.len() as u64;
        Ok(())
    })?;
    Ok(resample::output_len(own, frames.rate(), rate))
}

/// Makes sure that a recording can be had at `rate` Hz.
fn convertible(frames: &Frames, path: &Path, rate: u32) -> Result<(), RecordingError> {
    match frames.rate() == rate {
        true => Ok(()),
        false => resample::check(frames.rate(), rate)
            .map_err(|source| RecordingError::Resample { path: path.into(), source }),
    }
}

/// The error of a sample that is no finite number, by its number and its value.
fn not_finite(path: &Path) -> impl Fn((u64, f64)) -> RecordingError {
    move |(index, value)| RecordingError::NotFinite { path: path.into(), index, value }
}

/// Frames that are left.
fn count(frames: &mut Frames, path: &Path) -> Result<u64, RecordingError> {
    let (mut count, channels) = (0, frames.channels());
    each(frames, path, |block| {
        count += (block.len() / channels) as u64;
        Ok(())
    })?;
    Ok(count)
}

/// Gives all blocks to `take`, as long as they are no longer than a recording may be.
fn each(
    frames: &mut Frames,
    path: &Path,
    mut take: impl FnMut(&[f64]) -> Result<(), RecordingError>,
) -> Result<(), RecordingError> {
    let most = most(frames);
    if frames.promise().is_some_and(|n| n > most) {
        return Err(too_long(frames, path));
    }
    let (mut count, mut block) = (0, Vec::new());
    loop {
        frames.next(&mut block)?;
        if block.is_empty() {
            return Ok(());
        }
        count += (block.len() / frames.channels()) as u64;
        if count > most {
            return Err(too_long(frames, path));
        }
        take(&block)?;
    }
}

/// Most frames of a recording.
fn most(frames: &Frames) -> u64 {
    MAX_SAMPLES.min((MAX_SECONDS * f64::from(frames.rate())) as u64)
}

fn too_long(frames: &Frames, path: &Path) -> RecordingError {
    RecordingError::TooLong { path: path.into(), seconds: most(frames) as f64 / f64::from(frames.rate()) }
}

/// A recording that comes in as it is made, through a pipe.
pub struct Stream {
    frames: Frames,
    path: PathBuf,
    examiner: Examiner,
    block: Vec<f64>,
    peak: f32,
    /// Sum of all samples, and their number.
    sum: (f64, u64),
}

impl Stream {
    /// Reads up to the first sound; errors call the stream `name`.
    ///
    /// # Errors
    /// Nothing that can be read as a recording.
    pub fn open(reader: impl Read + Send + Sync + 'static, name: &Path) -> Result<Self, RecordingError> {
        let frames = Source::pipe(Box::new(reader), name)?.stream()?;
        let examiner = Examiner::new(frames.rate(), frames.channels());
        Ok(Self { frames, path: name.into(), examiner, block: Vec::new(), peak: 0.0, sum: (0.0, 0) })
    }

    /// Samples per second.
    pub fn sample_rate(&self) -> u32 {
        self.frames.rate()
    }

    /// Waits for some samples, appends them to `out`, channels averaged, and returns how many there were; 0 at the end
    /// only.
    ///
    /// # Errors
    /// An error of the reader, an end before all the data promised, a number that is not finite, a stream
    /// without a sample.
    pub fn read(&mut self, out: &mut Vec<f32>) -> Result<usize, RecordingError> {
        self.frames.next(&mut self.block)?;
        let before = out.len();
        self.examiner.take(&self.block, out).map_err(not_finite(&self.path))?;
        for x in &out[before..] {
            self.peak = self.peak.max(x.abs());
            self.sum.0 += f64::from(*x);
        }
        self.sum.1 += (out.len() - before) as u64;
        Ok(out.len() - before)
    }

    /// What is wrong with what came so far. Nothing of it was mended.
    pub fn findings(&self) -> Vec<Finding> {
        let mean = self.sum.0 / self.sum.1.max(1) as f64;
        let unmended = [findings::hot(self.peak, false), findings::offset(mean, false)];
        let cancelling = self.examiner.cancelling().map(Finding::unmended);
        cancelling
            .into_iter()
            .chain(unmended.into_iter().flatten())
            .chain(self.examiner.clipping().filter(|_| self.frames.is_fine()))
            .collect()
    }
}

#[cfg(test)]
mod tests;
