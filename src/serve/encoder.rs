//! The bytes of a sound, block by block.

use anyhow::Result;
use wavesynth_audio::resample::StreamResampler;
use wavesynth_audio::sink::{Format, PipeSink, Sink};

/// Rate of `pcm`, Hz: what clients of this interface take it for.
pub const PCM_RATE: u32 = 24_000;

/// What a sound is sent as: 16-bit, mono.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Form {
    /// WAV, at the voice's own rate.
    Wav,
    /// No header, at [`PCM_RATE`].
    Pcm,
    /// No header, at the voice's own rate.
    Raw,
}

/// Turns samples into bytes.
pub struct Encoder {
    sink: PipeSink<Vec<u8>>,
    resampler: Option<StreamResampler>,
    resampled: Vec<f32>,
}

impl Encoder {
    /// For a sound at `rate` Hz; of `samples`, where that is known ahead.
    ///
    /// # Errors
    /// A rate that can't be resampled.
    pub fn new(form: Form, rate: u32, samples: Option<u64>) -> Result<Self> {
        let format = if form == Form::Wav { Format::Wav16 } else { Format::RawS16 };
        let resampler = match form {
            Form::Pcm => Some(StreamResampler::new(rate, PCM_RATE, rate as usize / 10)?),
            Form::Wav | Form::Raw => None,
        };
        let mut sink = PipeSink::new(Vec::new(), format, rate);
        if let Some(samples) = samples {
            sink.expect(samples);
        }
        Ok(Self { sink, resampler, resampled: Vec::new() })
    }

    /// The bytes that `block` completes.
    ///
    /// # Errors
    /// None in practice: memory takes every byte.
    pub fn push(&mut self, block: &[f32]) -> Result<Vec<u8>> {
        self.put(|resampler, out| resampler.process(block, out), block)
    }

    /// The bytes that are left at the end.
    ///
    /// # Errors
    /// As [`Encoder::push`].
    pub fn finish(&mut self) -> Result<Vec<u8>> {
        self.put(StreamResampler::flush, &[])
    }

    fn put(
        &mut self,
        resample: impl FnOnce(&mut StreamResampler, &mut Vec<f32>),
        block: &[f32],
    ) -> Result<Vec<u8>> {
        match &mut self.resampler {
            None => self.sink.write(block)?,
            Some(resampler) => {
                self.resampled.clear();
                resample(resampler, &mut self.resampled);
                self.sink.write(&self.resampled)?;
            }
        }
        Ok(std::mem::take(self.sink.get_mut()))
    }
}
