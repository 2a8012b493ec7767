//! Live speech as conditioning: `--input`, for `play` and `render`.

use super::args::{ConditionArgs, LengthArgs, stats_like};
#[cfg(feature = "device")]
use super::play::Mic;
use super::{interrupt, usage};
use anyhow::{Context, Result, bail};
use crossbeam_channel::{Receiver, bounded};
use std::ffi::OsString;
use std::io::{IsTerminal, Read, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use wavesynth::recordings::{self, Notes};
use wavesynth::synth::{Conditioning, FrameSource, Length, Listener, ListenerCounters, Pace};
use wavesynth::voice::Voice;
use wavesynth_audio::features::{CausalExtractor, RunningSpeakerStats, SAMPLE_RATE, SpeakerStats};
use wavesynth_audio::recording::{Finding, RecordingError, STDIN as DASH, Stream};
use wavesynth_audio::resample::RATES;
use wavesynth_audio::ring::{self, Producer};

/// The name of the microphone.
const MIC: &str = "mic";
/// Name of stdin in errors.
const STDIN: &str = "stdin";
/// Room for sound that has come in and was not read yet, in ms.
const ROOM_MS: u32 = 500;

/// The live speech, and its speaker.
#[derive(Debug, clap::Args)]
pub struct InputArgs {
    /// Speech to convert: a recording, - for one on stdin, or mic (mic:DEVICE for another than the system's), in real time
    #[arg(long, value_name = "mic|FILE|-", conflicts_with = "track")]
    input: Option<OsString>,
    /// Speaker of the input: one of the voice's, or the condition file of another one [default: learned on the way]
    #[arg(long, value_name = "NAME|C.bin", requires = "input", conflicts_with = "track")]
    like: Option<PathBuf>,
}

enum Source<'a> {
    Mic(Option<&'a str>),
    Stdin,
    /// A named pipe, which is read as it comes.
    Pipe(&'a Path),
    File(&'a Path),
}

/// An input that is open.
#[cfg_attr(not(feature = "device"), allow(dead_code, reason = "only `play` reports how it was read"))]
pub struct Input {
    listener: Option<Listener>,
    counters: Arc<ListenerCounters>,
    /// Of the extractor and the resampler, in ms.
    delay_ms: (f64, f64),
    kind: Kind,
}

enum Kind {
    File,
    /// The result of its thread, and its name.
    Pipe(Receiver<Result<Vec<Finding>, RecordingError>>, PathBuf),
    #[cfg(feature = "device")]
    Mic(Box<Mic>),
}

impl InputArgs {
    fn source(&self) -> Option<Source<'_>> {
        let input = self.input.as_deref()?;
        // A path need not be UTF-8; the other two are.
        let text = input.to_str().unwrap_or_default();
        Some(match text.strip_prefix(MIC).map(|rest| (rest, rest.strip_prefix(':'))) {
            Some(("", _)) => Source::Mic(None),
            Some((_, Some(name))) => Source::Mic(Some(name)),
            _ if text == DASH => Source::Stdin,
            _ => match std::fs::metadata(input) {
                Ok(m) if !m.is_file() && !m.is_dir() => Source::Pipe(Path::new(input)),
                _ => Source::File(Path::new(input)),
            },
        })
    }

    /// The files that it names; --like may be the name of a speaker.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let input = match self.source() {
            Some(Source::File(path)) => Some(path),
            _ => None,
        };
        input.into_iter().chain(self.like.as_deref())
    }

    /// Whether it is a microphone.
    pub fn is_live(&self) -> bool {
        matches!(self.source(), Some(Source::Mic(_)))
    }

    /// Whether its length is unknown.
    pub fn is_stream(&self) -> bool {
        matches!(self.source(), Some(Source::Mic(_) | Source::Stdin | Source::Pipe(_)))
    }

    /// The conditioning of `condition`, with no track but the input's.
    pub fn conditioning(&self, condition: &ConditionArgs, voice: &Voice) -> Result<Conditioning> {
        let conditioning = condition.conditioning(voice)?;
        Ok(if self.input.is_some() { conditioning.without_track() } else { conditioning })
    }

    /// The length by `length`, else that of the input.
    pub fn length(
        &self,
        length: &LengthArgs,
        conditioning: &Conditioning,
        sample_rate: u32,
    ) -> Result<Length> {
        if self.input.is_some() && !length.is_given() {
            return Ok(Length::Track);
        }
        length.get(conditioning, sample_rate)
    }

    /// Opens the input for `voice`, which errors call `name`. A stream is returned once its first frame is there.
    pub fn open(&self, voice: &Voice, name: &str) -> Result<Option<Input>> {
        let Some(source) = self.source() else { return Ok(None) };
        let extractor = voice.extractor(self.speaker_stats(voice)?).with_context(|| name.to_string())?;
        let input = match source {
            Source::File(path) => {
                let notes = Notes::default();
                let samples = recordings::read_at(path, SAMPLE_RATE, &notes)?;
                notes.say();
                Input::new(Listener::recording(extractor, samples), Kind::File)
            }
            Source::Stdin => from_stdin(extractor)?,
            Source::Pipe(path) => {
                let pipe =
                    std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
                from_pipe(extractor, pipe, path)?
            }
            Source::Mic(device) => from_mic(extractor, device)?,
        };
        Ok(Some(input))
    }

    fn speaker_stats(&self, voice: &Voice) -> Result<RunningSpeakerStats> {
        let speakers = &voice.section.speakers;
        let Some(like) = &self.like else {
            let prior = SpeakerStats::average(speakers.iter().filter_map(|s| s.stats.as_ref())).context(
                "this voice has no statistics of its speakers' features: pass --like with the condition file of \
                 who speaks in the input",
            )?;
            return Ok(RunningSpeakerStats::learning(prior, voice.section.common.as_ref()));
        };
        Ok(RunningSpeakerStats::known(stats_like(speakers, like)?))
    }
}

impl Input {
    fn new(listener: Listener, kind: Kind) -> Self {
        let (counters, delay_ms) = (listener.counters(), listener.delay_ms());
        Self { counters, delay_ms, listener: Some(listener), kind }
    }

    /// What makes frames of it, for a synth to take.
    pub fn front(&mut self) -> Option<Box<dyn FrameSource>> {
        self.listener.take().map(|listener| Box::new(listener) as _)
    }

    /// The listener's counters.
    #[cfg(feature = "device")]
    pub fn counters(&self) -> &ListenerCounters {
        &self.counters
    }

    /// Time that features and resampling take, in ms.
    #[cfg(feature = "device")]
    pub fn delay_ms(&self) -> (f64, f64) {
        self.delay_ms
    }

    /// Whether stdin is its own.
    #[cfg(feature = "device")]
    pub fn takes_stdin(&self) -> bool {
        matches!(&self.kind, Kind::Pipe(_, name) if name.as_os_str() == STDIN)
    }

    /// The time that the microphone takes to hand over a sample, in ms; `None` for other inputs.
    #[cfg(feature = "device")]
    pub fn capture_ms(&self) -> Option<f64> {
        match &self.kind {
            Kind::Mic(mic) => mic.capture_ms(),
            _ => None,
        }
    }

    /// Looks after its device; what there is to say about that. With `reconnects` one that has gone is waited for.
    ///
    /// # Errors
    /// It has gone, and is not to be waited for.
    #[cfg(feature = "device")]
    pub fn watch(&mut self, reconnects: bool) -> Result<Option<String>> {
        match &mut self.kind {
            Kind::Mic(mic) => mic.watch(reconnects),
            _ => Ok(None),
        }
    }

    /// The error of reading it, to be asked for at the end. What was wrong with a pipe is said.
    ///
    /// # Errors
    /// A stream that broke off.
    pub fn check(&self) -> Result<()> {
        if let Kind::Pipe(end, name) = &self.kind
            && let Ok(read) = end.try_recv()
        {
            let notes = Notes::default();
            notes.add(name, read?);
            notes.say();
        }
        Ok(())
    }
}

/// Samples that a ring has room for; an absurd rate is refused where it is to be resampled.
fn room(rate: u32) -> usize {
    (rate.min(*RATES.end()) / 1000 * ROOM_MS) as usize
}

fn from_stdin(extractor: CausalExtractor) -> Result<Input> {
    if stdin().is_terminal() {
        usage!(
            "--input -: stdin is a terminal; pipe WAV into it, as in `arecord | wavesynth play --input -`"
        );
    }
    from_pipe(extractor, stdin(), Path::new(STDIN))
}

fn from_pipe(
    extractor: CausalExtractor,
    pipe: impl Read + Send + Sync + 'static,
    name: &Path,
) -> Result<Input> {
    // Whoever writes there may never do so.
    let path = name.to_path_buf();
    let mut stream = interrupt::wait_for(None, move || Stream::open(pipe, &path))??;
    let rate = stream.sample_rate();
    let (mut producer, consumer) = ring::ring(room(rate));
    let mut listener = Listener::stream(extractor, consumer, rate, Pace::Patient)
        .with_context(|| name.display().to_string())?;
    let (result, end) = bounded(1);
    std::thread::Builder::new()
        .name("input".into())
        .spawn(move || {
            // Sent before the ring closes, so that the reason is there when the end is seen.
            let _ = result.send(pass_on(&mut stream, &mut producer));
        })
        .context("the input thread could not be started")?;
    // Empty and broken streams are refused before anything sounds.
    while !listener.is_ready() {
        std::thread::sleep(Duration::from_millis(1));
        if interrupt::count() > 0 {
            bail!("interrupted");
        }
    }
    let end = match end.try_recv() {
        Ok(read) => again(read?),
        Err(_) => end,
    };
    Ok(Input::new(listener, Kind::Pipe(end, name.into())))
}

/// A channel that holds what was taken from one.
fn again<T>(value: T) -> Receiver<Result<T, RecordingError>> {
    let (result, end) = bounded(1);
    // It has room for one.
    let _ = result.send(Ok(value));
    end
}

/// All of `stream` into `ring`, as fast as that has room; what is wrong with it.
fn pass_on(stream: &mut Stream, ring: &mut Producer) -> Result<Vec<Finding>, RecordingError> {
    let mut samples = Vec::new();
    while stream.read(&mut samples)? > 0 {
        let mut at = 0;
        while at < samples.len() && !ring.is_abandoned() {
            match ring.push_slice(&samples[at..]) {
                0 => std::thread::sleep(Duration::from_millis(2)),
                n => at += n,
            }
        }
        samples.clear();
    }
    Ok(stream.findings())
}

#[cfg(feature = "device")]
fn from_mic(extractor: CausalExtractor, device: Option<&str>) -> Result<Input> {
    let input = super::play::open_mic(device)?;
    let rate = input.rate;
    let (producer, consumer) = ring::ring(room(rate));
    let listener = Listener::stream(extractor, consumer, rate, Pace::Live)
        .with_context(|| format!("device {:?}", input.name))?;
    Ok(Input::new(listener, Kind::Mic(Box::new(Mic::start(input, device, producer)?))))
}

#[cfg(not(feature = "device"))]
fn from_mic(_: CausalExtractor, _: Option<&str>) -> Result<Input> {
    super::lacks("--input mic", "device")
}
