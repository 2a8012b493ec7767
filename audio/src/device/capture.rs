//! Input: a microphone, or whatever the system records from.

use super::convert::{Pcm, with_sample_type};
use super::count::{Counters, ErrorLog};
use super::{DeviceError, Direction, PlayingStats, TIMEOUT, find, host, hush, name_of, negotiate, unusable};
use crate::ring;
use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{BufferSize, ErrorKind, SampleFormat, StreamConfig};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An input device with a configuration it accepts.
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its rate, Hz, which need not be the one asked for.
    pub rate: u32,
    /// Frames per callback.
    pub period_frames: u32,
    sample_format: SampleFormat,
    config: StreamConfig,
    device: cpal::Device,
}

/// Opens an input device, the default one without a name, and settles on a rate near `rate` Hz, a format and a period near
/// `period_ms`; nothing is recorded yet.
///
/// # Errors
/// [`DeviceError::NoInput`] when no device was named and there is none.
pub fn open_input(name: Option<&str>, rate: u32, period_ms: f32) -> Result<Input, DeviceError> {
    let device = find(&host(), Direction::Input, name)?;
    let own_name = name_of(&device);
    let fail = |e: cpal::Error| match e.kind() {
        ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable if name.is_none() => {
            DeviceError::NoInput(e.to_string())
        }
        _ => DeviceError::Deaf { name: own_name.clone(), what: e.to_string() },
    };
    let ranges: Vec<_> = device.supported_input_configs().map_err(fail)?.collect();
    let preferred = device.default_input_config().ok().map(|c| c.sample_rate());
    let chosen = negotiate::choose(&ranges, rate, preferred).ok_or_else(|| DeviceError::Deaf {
        name: own_name.clone(),
        what: format!("none of its {} configurations holds PCM", ranges.len()),
    })?;
    let wanted = (period_ms / 1_000.0 * chosen.rate as f32).round() as u32;
    let mut last = None;
    for buffer_size in negotiate::buffers(wanted, chosen.buffer) {
        let config = StreamConfig { channels: chosen.channels, sample_rate: chosen.rate, buffer_size };
        // As with an output, only a trial shows what it accepts.
        let ring = Lent::new(ring::ring(1).0);
        match build(&device, config, chosen.format, ring, Arc::default()) {
            Ok(stream) => {
                let period_frames = match (stream.buffer_size(), buffer_size) {
                    (Ok(n), _) if n > 0 => n,
                    (_, BufferSize::Fixed(n)) => n,
                    _ => wanted,
                };
                let (rate, sample_format) = (chosen.rate, chosen.format);
                return Ok(Input { name: own_name, rate, period_frames, sample_format, config, device });
            }
            Err(e) => last = Some(e),
        }
    }
    Err(fail(last.unwrap_or_else(|| ErrorKind::UnsupportedConfig.into())))
}

impl Input {
    /// Records into `ring`, channels averaged, until the stream is dropped or the ring is [passed on](Lent::pass_on). Samples
    /// that find it full are lost.
    ///
    /// # Errors
    /// The device no longer accepts the configuration.
    pub fn start(self, ring: Lent) -> Result<Capturing, DeviceError> {
        hush();
        let counters = Arc::new(Counters::default());
        let stream = build(&self.device, self.config, self.sample_format, ring, counters.clone())
            .and_then(|stream| stream.play().map(|()| stream))
            .map_err(|e| unusable(&self.name, e))?;
        Ok(Capturing { _stream: stream, counters })
    }
}

/// A ring in the hands of a stream. It can be taken from one that hangs and can't even be dropped. It closes when nobody has
/// it any more.
#[derive(Clone)]
pub struct Lent(Arc<Mutex<Option<ring::Producer>>>);

impl Lent {
    /// Lends `ring`.
    pub fn new(ring: ring::Producer) -> Self {
        Self(Arc::new(Mutex::new(Some(ring))))
    }

    /// The ring in new hands. Who has it in the old ones has it no more.
    pub fn pass_on(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).take())))
    }

    /// Pushes `block`, unless the ring has been passed on or is just being.
    ///
    /// # Real-time
    /// Never waits.
    pub(super) fn push(&self, block: &[f32]) {
        if let Ok(mut ring) = self.0.try_lock()
            && let Some(ring) = &mut *ring
        {
            ring.push_slice(block);
        }
    }
}

/// A device recording. Dropping it ends the recording.
pub struct Capturing {
    _stream: cpal::Stream,
    counters: Arc<Counters>,
}

impl Capturing {
    /// What the device reported; the latency is the time from the sound of a block's first sample to its callback.
    pub fn stats(&self) -> PlayingStats {
        self.counters.read()
    }
}

fn build(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    ring: Lent,
    counters: Arc<Counters>,
) -> Result<cpal::Stream, cpal::Error> {
    with_sample_type!(format, T => typed::<T>(device, config, ring, counters))
}

fn typed<T: Pcm>(
    device: &cpal::Device,
    config: StreamConfig,
    ring: Lent,
    counters: Arc<Counters>,
) -> Result<cpal::Stream, cpal::Error> {
    let channels = config.channels.max(1) as usize;
    let mut on_error = ErrorLog::new(counters.clone());
    let mut mono = vec![0.0f32; 1_024].into_boxed_slice();
    device.build_input_stream(
        config,
        move |block: &[T], info: &cpal::InputCallbackInfo| {
            for block in block.chunks(mono.len() * channels) {
                let mono = &mut mono[..block.len() / channels];
                for (frame, x) in block.chunks_exact(channels).zip(&mut *mono) {
                    *x = frame.iter().map(|s| s.to_pcm()).sum::<f32>() / channels as f32;
                }
                ring.push(mono);
            }
            let t = info.timestamp();
            counters.called(t.callback.saturating_duration_since(t.capture).max(Duration::ZERO));
        },
        move |error: cpal::Error| on_error.note(error.kind(), Instant::now()),
        Some(TIMEOUT),
    )
}
