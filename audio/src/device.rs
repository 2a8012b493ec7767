//! Sound devices through cpal: find one, agree on a configuration, play a ring.
//!
//! Threads: everything here is called from one ordinary thread. cpal runs the callback on a thread of its
//! own; it pops from the ring, pads with silence, converts and counts, and does nothing else.
//!
//! ```text
//! open(Request) -> Output -- rate, ring_frames --> ring::ring(...) -> (Producer, Consumer)
//! Output::start(consumer) -> Playing (paused)      fill the ring first, then Playing::play()
//! open_input(...) -> Input, Input::start(producer) -> Capturing
//! ```
//!
//! A request for L ms means: the ring holds L ms, and the device is asked for periods of a third of that, so
//! that callbacks that come in pairs find enough. The device's own buffer adds two periods more;
//! [`PlayingStats::latency_ms`] measures what it really adds. It is filled with silence when the stream starts, so that the
//! ring, full at that moment, is still full when the first sample is taken.

mod capture;
mod convert;
mod count;
mod error;
mod feed;
mod negotiate;
mod priority;
mod timeline;

use crate::ring;
pub use capture::{Capturing, Input, Lent, open_input};
pub use count::PlayingStats;
pub use error::{DeviceError, Direction};
pub use priority::raise_priority;

use convert::{Pcm, with_sample_type};
use count::{Counters, ErrorLog};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, ErrorKind, SampleFormat, StreamConfig};
use feed::Feed;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time in which sound dies away that breaks off, and rises again, in ms: at 16 kHz no step of it reaches -40 dBFS.
const JOIN_MS: u32 = 10;
/// How long a host may take to open a stream.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An output device.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceInfo {
    /// What [`Request::name`] takes.
    pub name: String,
    /// A description for people.
    pub description: String,
    /// The sound system that offers it.
    pub host: String,
    /// True for the device that is used when none is named.
    pub default: bool,
    /// Lowest and highest rate, Hz; none if the device could not be asked (it may be busy).
    pub rates: Option<(u32, u32)>,
    /// Numbers of channels, ascending.
    pub channels: Vec<u16>,
    /// Sample formats.
    pub formats: Vec<String>,
}

/// What to open.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// A name from [`list`], or the default device.
    pub name: Option<&'a str>,
    /// Wanted rate, Hz. The device may give another one; see [`Output::rate`].
    pub rate: u32,
    /// Latency to aim at, ms, 1..=2000.
    pub latency_ms: f32,
}

/// alsa-lib writes to standard error whatever plugin it fails to find, on the thread that asks. It has
/// a handler for that per thread; this one keeps the text in memory.
fn hush() {
    #[cfg(target_os = "linux")]
    let _ = alsa::Output::local_error_handler();
}

fn host() -> cpal::Host {
    hush();
    cpal::default_host()
}

fn name_of(device: &cpal::Device) -> String {
    match device.id() {
        Ok(id) => id.id().to_owned(),
        Err(_) => device.to_string(),
    }
}

/// All output devices. An empty list is no error.
pub fn list() -> Result<Vec<DeviceInfo>, DeviceError> {
    let host = host();
    let default = host.default_output_device().map(|d| name_of(&d));
    let info = |device: &cpal::Device| {
        let name = name_of(device);
        let mut info = DeviceInfo {
            default: default.as_ref() == Some(&name),
            description: device.to_string(),
            host: host.id().to_string(),
            rates: None,
            channels: Vec::new(),
            formats: Vec::new(),
            name,
        };
        for c in device.supported_output_configs().into_iter().flatten() {
            let (low, high) = info.rates.unwrap_or((u32::MAX, 0));
            info.rates = Some((low.min(c.min_sample_rate()), high.max(c.max_sample_rate())));
            info.channels.push(c.channels());
            let format = c.sample_format().to_string();
            if negotiate::is_pcm(c.sample_format()) && !info.formats.contains(&format) {
                info.formats.push(format);
            }
        }
        info.channels.sort_unstable();
        info.channels.dedup();
        info
    };
    Ok(devices(&host, Direction::Output)?.iter().map(info).collect())
}

/// What the host lists, and its default device, which some configurations of ALSA do not list, where that answers.
fn devices(host: &cpal::Host, direction: Direction) -> Result<Vec<cpal::Device>, DeviceError> {
    let fail = |e: cpal::Error| DeviceError::Host(e.to_string());
    let mut all: Vec<cpal::Device> = match direction {
        Direction::Input => host.input_devices().map_err(fail)?.collect(),
        Direction::Output => host.output_devices().map_err(fail)?.collect(),
    };
    if let Some(default) = default(host, direction) {
        let name = name_of(&default);
        let answers = match direction {
            Direction::Input => default.supported_input_configs().is_ok(),
            Direction::Output => default.supported_output_configs().is_ok(),
        };
        if !all.iter().any(|d| name_of(d) == name) && answers {
            all.insert(0, default);
        }
    }
    Ok(all)
}

fn default(host: &cpal::Host, direction: Direction) -> Option<cpal::Device> {
    match direction {
        Direction::Input => host.default_input_device(),
        Direction::Output => host.default_output_device(),
    }
}

fn find(host: &cpal::Host, direction: Direction, name: Option<&str>) -> Result<cpal::Device, DeviceError> {
    let Some(name) = name else {
        let host_name = format!("host {}", host.id());
        return default(host, direction).ok_or(match direction {
            Direction::Input => DeviceError::NoInput(host_name),
            Direction::Output => DeviceError::None(host_name),
        });
    };
    let devices = devices(host, direction)?;
    let found = devices.iter().map(name_of).collect();
    devices.into_iter().find(|d| name_of(d) == name || d.to_string() == name).ok_or(DeviceError::NotFound {
        direction,
        name: name.to_owned(),
        found,
    })
}

/// Opens a device and settles on a rate, a format and a period; nothing plays yet.
///
/// # Errors
/// [`DeviceError::None`] when no device was named and there is none.
pub fn open(request: Request<'_>) -> Result<Output, DeviceError> {
    let latency = request.latency_ms;
    if !(1.0..=2_000.0).contains(&latency) {
        return Err(DeviceError::Request(format!(
            "a latency of {latency} ms was asked for, wanted 1 to 2000 ms"
        )));
    }
    let device = find(&host(), Direction::Output, request.name)?;
    let name = name_of(&device);
    let fail = |e: cpal::Error| match e.kind() {
        // Some hosts always have a default device, and find out only now that nothing is behind it.
        ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable if request.name.is_none() => {
            DeviceError::None(e.to_string())
        }
        _ => DeviceError::Unusable { name: name.clone(), what: e.to_string() },
    };
    let ranges: Vec<_> = device.supported_output_configs().map_err(fail)?.collect();
    let preferred = device.default_output_config().ok().map(|c| c.sample_rate());
    let chosen =
        negotiate::choose(&ranges, request.rate, preferred).ok_or_else(|| DeviceError::Unusable {
            name: name.clone(),
            what: format!("none of its {} configurations holds PCM", ranges.len()),
        })?;

    let wanted = (latency / 1_000.0 * chosen.rate as f32).round() as u32;
    let mut last = None;
    for buffer_size in negotiate::buffers(ring::period(wanted), chosen.buffer) {
        let config = StreamConfig { channels: chosen.channels, sample_rate: chosen.rate, buffer_size };
        // A trial: only opening shows what the device accepts, and what period comes of it.
        match build(&device, config, chosen.format, ring::ring(1).1, Arc::default()) {
            Ok(stream) => {
                let period = match (stream.buffer_size(), buffer_size) {
                    (Ok(n), _) if n > 0 => n,
                    (_, BufferSize::Fixed(n)) => n,
                    _ => wanted,
                };
                return Ok(Output {
                    rate: chosen.rate,
                    channels: chosen.channels,
                    format: chosen.format.to_string(),
                    period_frames: period,
                    latency_frames: wanted,
                    sample_format: chosen.format,
                    config,
                    name,
                    device,
                });
            }
            Err(e) => last = Some(e),
        }
    }
    Err(fail(last.unwrap_or_else(|| ErrorKind::UnsupportedConfig.into())))
}

/// A device with a configuration it accepts.
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its rate, Hz, which need not be the one asked for.
    pub rate: u32,
    /// Its channels; all of them get the same signal.
    pub channels: u16,
    /// Its sample format.
    pub format: String,
    /// Frames per callback.
    pub period_frames: u32,
    latency_frames: u32,
    sample_format: SampleFormat,
    config: StreamConfig,
    device: cpal::Device,
}

impl Output {
    /// Samples the ring should hold: the latency asked for, but at least two periods, because the callback takes a whole
    /// one at once and two can come together.
    pub fn ring_frames(&self) -> usize {
        self.latency_frames.max(2 * self.period_frames) as usize
    }

    /// Connects the ring to the device. Nothing plays before [`Playing::play`].
    pub fn start(self, consumer: ring::Consumer) -> Result<Playing, DeviceError> {
        hush();
        let ring = consumer.stats();
        let counters = Arc::new(Counters::default());
        let stream = build(&self.device, self.config, self.sample_format, consumer, counters.clone())
            .map_err(|e| unusable(&self.name, e))?;
        Ok(Playing { stream, counters, ring, name: self.name })
    }
}

fn unusable(name: &str, e: cpal::Error) -> DeviceError {
    DeviceError::Unusable { name: name.to_owned(), what: e.to_string() }
}

/// A stream. Dropping it stops the sound.
pub struct Playing {
    stream: cpal::Stream,
    counters: Arc<Counters>,
    ring: ring::Stats,
    name: String,
}

impl Playing {
    /// Lets the device run.
    pub fn play(&self) -> Result<(), DeviceError> {
        self.stream.play().map_err(|e| unusable(&self.name, e))
    }

    /// Holds the device; `play` goes on. Not every host can.
    pub fn pause(&self) -> Result<(), DeviceError> {
        self.stream.pause().map_err(|e| unusable(&self.name, e))
    }

    /// What the device reported.
    pub fn stats(&self) -> PlayingStats {
        self.counters.read()
    }

    /// The ring's counters.
    pub fn ring(&self) -> &ring::Stats {
        &self.ring
    }

    /// Stops the sound at once and closes the device. To hear the end, first wait for
    /// [`ring::Stats::finished`] and then for [`PlayingStats::latency_ms`].
    pub fn stop(self) {}
}

fn build(
    device: &cpal::Device,
    config: StreamConfig,
    format: SampleFormat,
    consumer: ring::Consumer,
    counters: Arc<Counters>,
) -> Result<cpal::Stream, cpal::Error> {
    with_sample_type!(format, T => typed::<T>(device, config, consumer, counters))
}

fn typed<T: Pcm>(
    device: &cpal::Device,
    config: StreamConfig,
    mut consumer: ring::Consumer,
    counters: Arc<Counters>,
) -> Result<cpal::Stream, cpal::Error> {
    let channels = config.channels.max(1) as usize;
    let mut on_error = ErrorLog::new(counters.clone());
    // A stream begins by reading the device's whole buffer (two periods) at once. Silence goes there, or
    // the ring would run dry before the engine could answer.
    let priming = match config.buffer_size {
        BufferSize::Fixed(period) => 2 * period as usize,
        BufferSize::Default => 0,
    };
    consumer.fade_over((config.sample_rate * JOIN_MS / 1_000) as usize);
    let mut feed = Feed::new(consumer, channels, config.sample_rate, priming, counters);
    device.build_output_stream(
        config,
        move |out: &mut [T], info: &cpal::OutputCallbackInfo| {
            let t = info.timestamp();
            feed.callback(out, t.playback.saturating_duration_since(t.callback));
        },
        move |error: cpal::Error| on_error.note(error.kind(), Instant::now()),
        Some(TIMEOUT),
    )
}

#[cfg(test)]
mod tests;
