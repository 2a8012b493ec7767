//! Sample-rate conversion by windowed-sinc interpolation (the `rubato` crate's asynchronous form).
//!
//! The stream and the whole-signal form are the same code: output sample k lies exactly at input time
//! k * from / to, the filter's delay is taken out, and n input samples give round(n * to / from) output
//! samples. Blackman-Harris windowed filters of [`STREAM_TAPS`] or [`WHOLE_TAPS`] input samples
//! (longer when the rate falls) put the stop band at the lower of the two Nyquist frequencies.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler, SincInterpolationParameters, SincInterpolationType, WindowFunction,
};
use thiserror::Error;

/// Rates this module converts between, in Hz.
pub const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;

/// Filter length of a stream: 4 ms of look-ahead at 16 kHz, -6 dB at 0.94 of the Nyquist frequency.
pub const STREAM_TAPS: usize = 128;

/// Filter length for whole signals, where look-ahead is free: -6 dB at 0.97 of the Nyquist frequency.
pub const WHOLE_TAPS: usize = 256;

/// Most weights in a table of filters, one filter per phase of the ratio: 16 to 44.1 kHz has 441 phases.
const MOST_WEIGHTS: usize = 1 << 20;

/// Longest filter. Reached only where a rate falls by more than 32.
const MOST_TAPS: usize = 8_192;

/// Input samples per call of the interpolator. Fixed, because the positions of the output samples are
/// sums of floats, and only equal steps give equal bits however the caller cuts the stream.
const CHUNK: usize = 32;

/// Why a resampler could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ResampleError {
    /// A rate out of [`RATES`].
    #[error("cannot resample from {from} Hz to {to} Hz: rates must be within 4000..=384000 Hz")]
    Rate {
        /// Rate of the input, Hz.
        from: u32,
        /// Rate asked for, Hz.
        to: u32,
    },
    /// The interpolator refused its parameters.
    #[error("cannot resample from {from} Hz to {to} Hz: {what}")]
    Interpolator {
        /// Rate of the input, Hz.
        from: u32,
        /// Rate asked for, Hz.
        to: u32,
        /// The interpolator's message.
        what: String,
    },
}

/// Resamples a whole signal: delay-compensated, round(n * to / from) samples, the input itself when
/// the rates are equal.
pub fn resample(x: &[f32], from: u32, to: u32) -> Result<Vec<f32>, ResampleError> {
    let mut stream = StreamResampler::with_taps(from, to, CHUNK, WHOLE_TAPS)?;
    let mut out = Vec::with_capacity(output_len(x.len() as u64, from, to) as usize);
    stream.process(x, &mut out);
    stream.flush(&mut out);
    Ok(out)
}

/// Makes sure that both rates are within [`RATES`].
pub(crate) fn check(from: u32, to: u32) -> Result<(), ResampleError> {
    match RATES.contains(&from) && RATES.contains(&to) {
        true => Ok(()),
        false => Err(ResampleError::Rate { from, to }),
    }
}

/// round(n * to / from), halves upwards.
pub(crate) fn output_len(n: u64, from: u32, to: u32) -> u64 {
    let (n, from, to) = (n as u128, from as u128, to as u128);
    ((2 * n * to + from) / (2 * from)) as u64
}

/// Resamples a stream block by block.
///
/// The output depends on the samples alone, not on how they were cut into blocks: blocks are gathered
/// into chunks of 32 input samples. It starts with the first input sample (no leading silence); what is
/// withheld at any moment is at most [`StreamResampler::delay_out_samples`].
pub struct StreamResampler {
    from: u32,
    to: u32,
    /// None when the rates are equal.
    core: Option<Core>,
    max_block_in: usize,
    consumed: u64,
    produced: u64,
}

struct Core {
    inner: Async<f32>,
    chunk: Vec<f32>,
    filled: usize,
    out: Vec<f32>,
    /// Zeros fed ahead of the stream so that an output sample falls on its first input sample.
    lead_in: usize,
    /// Output samples that lie before that one.
    lead_out: usize,
    /// Still to be dropped of them.
    skip: usize,
    taps: usize,
}

impl StreamResampler {
    /// A resampler from `from` to `to` Hz for blocks of up to `max_block_in` samples. Larger blocks work
    /// too, but then `process` may have to grow its output.
    pub fn new(from: u32, to: u32, max_block_in: usize) -> Result<Self, ResampleError> {
        Self::with_taps(from, to, max_block_in, STREAM_TAPS)
    }

    fn with_taps(from: u32, to: u32, max_block_in: usize, taps: usize) -> Result<Self, ResampleError> {
        check(from, to)?;
        let core = if from == to {
            None
        } else {
            Some(Core::new(from, to, taps).map_err(|what| ResampleError::Interpolator { from, to, what })?)
        };
        Ok(Self { from, to, core, max_block_in, consumed: 0, produced: 0 })
    }

    /// Most samples that one call of [`StreamResampler::process`] appends for a block of up to
    /// `max_block_in`, and most that [`StreamResampler::flush`] appends.
    pub fn max_block_out(&self) -> usize {
        let Some(core) = &self.core else {
            return self.max_block_in;
        };
        let n = (self.max_block_in + CHUNK).max(core.taps + 2 * CHUNK);
        output_len(n as u64, self.from, self.to) as usize + 16
    }

    /// How far the output can lag behind the input, in output samples: half the filter and one chunk.
    pub fn delay_out_samples(&self) -> usize {
        let Some(core) = &self.core else { return 0 };
        output_len((core.taps / 2 + core.chunk.len()) as u64, self.from, self.to) as usize + 2
    }

    /// Takes a block and appends to `output` the samples it completes.
    ///
    /// # Real-time
    /// Does not allocate while `output` has room for [`StreamResampler::max_block_out`] more samples.
    pub fn process(&mut self, input: &[f32], output: &mut Vec<f32>) {
        self.consumed += input.len() as u64;
        let Some(core) = &mut self.core else {
            output.extend_from_slice(input);
            self.produced += input.len() as u64;
            return;
        };
        let before = output.len();
        core.feed(input, output);
        self.produced += (output.len() - before) as u64;
    }

    /// Ends the stream: appends what is still inside, so that n samples in have given
    /// round(n * to / from) samples out, and starts afresh.
    ///
    /// # Real-time
    /// As [`StreamResampler::process`].
    pub fn flush(&mut self, output: &mut Vec<f32>) {
        const ZEROS: [f32; CHUNK] = [0.0; CHUNK];
        let want = output_len(self.consumed, self.from, self.to);
        if let Some(core) = &mut self.core {
            let before = output.len();
            let missing = want.saturating_sub(self.produced) as usize;
            while output.len() - before < missing {
                core.feed(&ZEROS, output);
            }
            output.truncate(before + missing);
        }
        self.reset();
    }

    /// Forgets the stream and starts afresh.
    ///
    /// # Real-time
    /// Does not allocate.
    pub fn reset(&mut self) {
        self.consumed = 0;
        self.produced = 0;
        if let Some(core) = &mut self.core {
            core.reset();
        }
    }
}

impl Core {
    fn new(from: u32, to: u32, taps: usize) -> Result<Self, String> {
        let gcd = gcd(from, to) as usize;
        let (step_in, step_out) = (from as usize / gcd, to as usize / gcd);
        // A falling rate needs a filter as long in output samples as the rising one is in input samples.
        let taps = (taps * from.div_ceil(to) as usize).next_multiple_of(8).min(MOST_TAPS);
        let chunk = CHUNK.max(8 * from.div_ceil(to) as usize);
        // With one filter per phase of the ratio every output position hits a filter exactly. Ratios with
        // too many phases fall back on interpolating between filters.
        let exact = step_out * taps <= MOST_WEIGHTS;
        let (filters, interpolation) = match exact {
            true => (step_out, SincInterpolationType::Nearest),
            false => (256, SincInterpolationType::Cubic),
        };
        let parameters = SincInterpolationParameters::new(taps, WindowFunction::BlackmanHarris)
            .oversampling_factor(filters)
            .interpolation(interpolation);
        let ratio = to as f64 / from as f64;
        let inner = Async::new_sinc(ratio, 1.0, &parameters, chunk, 1, FixedAsync::Input)
            .map_err(|e| e.to_string())?;
        // The interpolator's output j lies at input time (j + 1) from / to - taps / 2 + 1 / filters. Zeros
        // ahead shift the input until some j lies exactly on its first sample (the 1 / 256 of the fall-back
        // is let be). In units of 1 / step_out:
        let first = |lead: usize| step_out * (taps / 2 + lead) - usize::from(exact);
        let lead_in = (0..step_in)
            .find(|&lead| first(lead) % step_in == 0)
            .ok_or("the rates have a common divisor left")?;
        let lead_out = first(lead_in) / step_in - 1;
        let out = vec![0.0; inner.output_frames_max()];
        let mut core =
            Self { inner, chunk: vec![0.0; chunk], filled: 0, out, lead_in, lead_out, skip: 0, taps };
        core.reset();
        Ok(core)
    }

    fn reset(&mut self) {
        self.inner.reset();
        self.filled = 0;
        self.skip = self.lead_out;
        let mut zeros = self.lead_in;
        while zeros > 0 {
            let n = zeros.min(self.chunk.len() - self.filled);
            self.chunk[self.filled..self.filled + n].fill(0.0);
            self.filled += n;
            zeros -= n;
            if self.filled == self.chunk.len() {
                self.filled = 0;
                let n = self.run();
                self.skip -= n.min(self.skip);
            }
        }
    }

    fn feed(&mut self, mut input: &[f32], output: &mut Vec<f32>) {
        while !input.is_empty() {
            let n = input.len().min(self.chunk.len() - self.filled);
            let (head, rest) = input.split_at(n);
            self.chunk[self.filled..self.filled + n].copy_from_slice(head);
            self.filled += n;
            input = rest;
            if self.filled == self.chunk.len() {
                self.filled = 0;
                let n = self.run();
                let skip = n.min(self.skip);
                self.skip -= skip;
                output.extend_from_slice(&self.out[skip..n]);
            }
        }
    }

    /// One chunk through the interpolator; returns how many samples of `out` it filled.
    fn run(&mut self) -> usize {
        let (frames_in, frames_out) = (self.chunk.len(), self.out.len());
        let done = InterleavedSlice::new(&self.chunk[..], 1, frames_in)
            .ok()
            .zip(InterleavedSlice::new_mut(&mut self.out[..], 1, frames_out).ok())
            .and_then(|(i, mut o)| self.inner.process_into_buffer(&i, &mut o, None).ok());
        match done {
            Some((_, n)) => n,
            // The buffers have the sizes the interpolator asked for at construction, so it accepts them.
            None => unreachable!("the interpolator's buffers are sized by itself"),
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
