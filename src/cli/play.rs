//! `wavesynth play`: a voice through a sound device, with commands while it plays.

mod controls;
mod latency;
mod layers;
mod status;

use super::args::{ConditionArgs, LengthArgs, ModelArgs, PolicyArgs};
use super::input::{Input, InputArgs};
use super::output::{ForceArg, RULE};
use super::quiet::quietly;
use super::render::{Summary, write_all};
use super::{interrupt, output, usage};
use anyhow::{Result, bail};
use controls::{Action, Controls};
use latency::Latency;
use layers::{Base, LayerArg};
use serde::Serialize;
use status::Status;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wavesynth::lookup;
use wavesynth::synth::{
    BLOCK, Command, Conditioning, Event, Layer, Length, Part, Percentiles, SamplingPolicy, Session,
    SessionReport, SessionSetup, Synth, UniformSource,
};
use wavesynth::voice::Voice;
use wavesynth_audio::device::{self, DeviceError, Playing};
use wavesynth_audio::sink::{self, Format};
use wavesynth_models::ar::Sampling;
use wavesynth_models::in_file::AtPath;
use wavesynth_output::{say, shown};

/// Time to fade out on Ctrl-C or `stop`, in ms.
const FADE_OUT_MS: u32 = 200;
/// How often main looks at commands, events and the clock.
const TICK: Duration = Duration::from_millis(20);
/// A device that has not called back for so long has stopped working.
const STALL: Duration = Duration::from_secs(5);
/// Sound kept ready in the ring, in ms: usually, and with live input, where it adds to the delay.
const RING_MS: f32 = 60.0;
const LIVE_MS: f32 = 15.0;
/// Time after which the latency of live input is printed: by then the devices have reported theirs.
const STEADY_AFTER: Duration = Duration::from_secs(2);
/// Where the sound goes when there is no device.
const FALLBACK: &str = "wavesynth-play.wav";

/// Play a voice through a sound device
#[derive(Debug, clap::Args)]
#[command(after_help = controls::HELP, after_long_help = format!("{}\n\n{RULE}", controls::HELP))]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    condition: ConditionArgs,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    length: LengthArgs,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Another voice in the same sound: its condition and, if wanted, its own track (else --track), seed (else the next
    /// one), start and length in seconds, and loudness beside the others; can be repeated. The sum is never louder than
    /// its loudest voice. A condition that is changed while playing is that of the first voice
    #[arg(long = "layer", value_name = "CONDITION[,track=T][,seed=N][,start=S][,seconds=S][,gain=G]")]
    layers: Vec<LayerArg>,
    /// Output device, as `wavesynth devices` names it [default: the system's]
    #[arg(short, long, value_name = "D")]
    device: Option<String>,
    /// Sound kept ready in the ring; a third of it is the period asked of the device, whose own buffer comes on top
    /// [default: 60, with --input mic 15]
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    latency: Option<f32>,
    /// Where the sound goes when there is no output device
    #[arg(short, long, value_name = "OUT.wav", default_value = FALLBACK)]
    output: PathBuf,
    #[command(flatten)]
    force: ForceArg,
    /// Print the result as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Played {
    #[serde(flatten)]
    summary: Summary,
    /// Times that silence was played for want of sound: an empty ring, or a glitch of the device's own.
    underruns: u64,
    device_xruns: u64,
    missing_samples: u64,
    device: Option<String>,
    device_rate: Option<u32>,
    /// Of the ring and the device together, as the device reports it.
    latency_ms: Option<f64>,
    ring_ms: Option<f64>,
    period_ms: Option<f64>,
    /// Whether the engine thread had a real-time priority.
    realtime_priority: bool,
    block_us: Percentiles,
    block_deadline_us: f64,
    /// Frames of 10 ms of the input that did not come in time, and that were left out to catch up.
    frames_held: u64,
    frames_skipped: u64,
    /// From the microphone to the loudspeaker.
    live: Option<Latency>,
    /// The file written in place of playing.
    output: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    // Errors of the command line come before a voice is read.
    args.policy.get(SamplingPolicy::default())?;
    let latency_ms = args.latency.unwrap_or(if args.input.is_live() { LIVE_MS } else { RING_MS });
    if !(1.0..=2000.0).contains(&latency_ms) {
        usage!("--latency {latency_ms}: wanted 1 to 2000 ms");
    }
    let voice = args.model.voice()?;
    let mut input = args.input.open(&voice, &args.model.name())?;
    let conditioning = args.input.conditioning(&args.condition, &voice)?;
    let policy =
        args.policy.get(SamplingPolicy::usual(&voice, conditioning.has_track() || input.is_some()))?;
    let length = args.input.length(&args.length, &conditioning, voice.section.sample_rate)?;
    let part = Part {
        conditioning: Box::new(conditioning),
        front: input.as_mut().and_then(Input::front),
        policy,
        uniforms: UniformSource::seed(args.policy.seed()),
        length,
        record: false,
        post_filter: args.policy.post_filter(&voice)?,
    };
    let mut layers = vec![Layer { part, start: 0, gain: 1.0 }];
    let track = args.condition.track.as_ref();
    let base = Base { track, length: &args.length, policy: &args.policy };
    for (number, layer) in (1..).zip(&args.layers) {
        layers.push(layer.layer(number, &voice, &base)?);
    }
    let mut synth = Synth::layered(&voice, layers);
    interrupt::watch()?;
    let request =
        device::Request { name: args.device.as_deref(), rate: voice.section.sample_rate, latency_ms };
    let mut played = match quietly(|| device::open(request)) {
        Ok(device) => play(&voice, synth, device, length, policy, input.as_ref(), &args)?,
        // A default device that can't be opened is as good as none.
        Err(e @ (DeviceError::None(_) | DeviceError::Unusable { .. } | DeviceError::Host(_)))
            if args.device.is_none() =>
        {
            let path = &args.output;
            let why = match e {
                DeviceError::None(_) => "there is none".into(),
                e => e.to_string(),
            };
            say!("no output device ({why}); writing {} instead", shown::path(path));
            let mut plan = args.force.plan();
            let inputs = args.model.file().into_iter().chain(args.condition.files());
            inputs.chain(args.input.files()).for_each(|file| plan.reads(file));
            if args.json {
                plan.prints("--json")?;
            }
            let output = plan.writes("-o", path, Format::Wav16.kind())?;
            let sink = sink::open(&output, Format::Wav16, synth.sample_rate())?;
            let summary = write_all(&mut synth, sink, args.policy.seed(), |_| Ok(()))?;
            Played::rendered(summary, path)
        }
        Err(e) => return Err(e.into()),
    };
    if let Some(input) = &input {
        input.check()?;
        played.frames_held = input.counters().held();
        played.frames_skipped = input.counters().skipped();
    }
    if args.json {
        output::json(&played)
    } else {
        say!("{}", played.line());
        Ok(())
    }
}

fn play(
    voice: &Voice,
    synth: Synth,
    device: device::Output,
    length: Length,
    policy: SamplingPolicy,
    input: Option<&Input>,
    args: &Args,
) -> Result<Played> {
    let (name, device_rate) = (device.name.clone(), device.rate);
    let ring_samples = device.ring_frames();
    let period = device.period_frames;
    let cpu = output::cpu_time();
    let total = (length != Length::Track).then(|| synth.end());
    let setup = SessionSetup { device_rate, ring_samples, realtime: true };
    let session = Session::start(synth, setup, |ring| {
        quietly(|| {
            let playing = device.start(ring)?;
            playing.play()?;
            Ok(playing)
        })
    })?;
    let mut player = Player {
        voice,
        session: &session,
        controls: Controls::new(input.is_none_or(|i| !i.takes_stdin())),
        input,
        status: Status::new(voice.section.sample_rate, setup, total),
        policy,
        post_filter: args.policy.asks_for_post_filter(),
        paused: false,
        interrupts: 0,
    };
    player.run()?;
    drop(player);
    let device_stats = session.output().stats();
    let live = input.and_then(|input| Latency::measured(input, &session, args.policy.asks_for_post_filter()));
    let report = session.end()?;
    let ms = |samples: f64| samples * 1000.0 / f64::from(device_rate);
    Ok(Played {
        underruns: report.underruns + device_stats.xruns,
        device_xruns: device_stats.xruns,
        device: Some(name),
        device_rate: Some(device_rate),
        latency_ms: Some(ms(ring_samples as f64) + f64::from(device_stats.latency_ms)),
        ring_ms: Some(ms(ring_samples as f64)),
        period_ms: Some(ms(f64::from(period))),
        live,
        ..Played::reported(&report, voice, args.policy.seed(), output::cpu_time() - cpu)
    })
}

/// Main's side of a session: commands in, reports out.
struct Player<'a> {
    voice: &'a Voice,
    session: &'a Session<Playing>,
    controls: Controls,
    input: Option<&'a Input>,
    status: Status,
    policy: SamplingPolicy,
    post_filter: bool,
    paused: bool,
    interrupts: usize,
}

impl Player<'_> {
    /// Until the last sample has left the loudspeaker.
    fn run(&mut self) -> Result<()> {
        let mut callbacks = (0, Instant::now());
        let start = Instant::now();
        let mut stated = false;
        while !self.session.is_finished() {
            for action in self.controls.wait(TICK) {
                if let Err(e) = action.map_err(anyhow::Error::msg).and_then(|a| self.handle(a)) {
                    self.status.print(&format!("{e:#}"));
                }
            }
            let interrupts = interrupt::count() + self.controls.interrupts();
            if interrupts > self.interrupts {
                // The second one is meant.
                if self.interrupts > 0 {
                    return Ok(());
                }
                self.interrupts = interrupts;
                self.send(Command::Stop { fade_ms: FADE_OUT_MS })?;
            }
            self.drop_retired();
            let stats = self.session.output().stats();
            if stats.lost {
                bail!("the output device has gone; play again on another one");
            }
            if self.input.is_some_and(Input::is_lost) {
                bail!("the input device has gone; play again with another one");
            }
            if stats.callbacks != callbacks.0 {
                callbacks = (stats.callbacks, Instant::now());
            } else if callbacks.1.elapsed() > STALL {
                bail!("the output device has stopped asking for sound");
            }
            if !stated && start.elapsed() > STEADY_AFTER {
                stated = true;
                if let Some(latency) =
                    self.input.and_then(|i| Latency::measured(i, self.session, self.post_filter))
                {
                    self.status.print(&latency.line());
                }
            }
            let prompt = self.controls.prompt();
            self.status.show(self.session, stats.xruns, self.paused, prompt.as_deref());
        }
        self.drop_retired();
        // The device still has to play its own buffer, and the period that ended the stream.
        let stats = self.session.output().stats();
        let rest = self.status.setup().ring_samples as f64 / f64::from(self.status.setup().device_rate);
        let rest = rest + f64::from(stats.latency_ms.clamp(0.0, 1000.0)) / 1000.0;
        std::thread::sleep(Duration::from_secs_f64(rest));
        self.status.end();
        Ok(())
    }

    fn drop_retired(&self) {
        for Event::Changed { retired, .. } in self.session.events() {
            drop(retired);
        }
    }

    fn send(&self, command: Command) -> Result<()> {
        if !self.session.send(command) {
            bail!("too many commands at once; try again");
        }
        Ok(())
    }

    fn handle(&mut self, action: Action) -> Result<()> {
        match action {
            Action::Change { path, fade_ms } => {
                let condition = lookup::condition(&path)?;
                let mut conditioning = Conditioning::new(self.voice, &condition).at(&path)?;
                if self.input.is_some() {
                    conditioning = conditioning.without_track();
                }
                if !conditioning.has_speaker() && !conditioning.has_track() {
                    bail!(
                        "{}: holds neither a speaker vector nor a track that this voice takes",
                        path.display()
                    );
                }
                self.send(Command::Change { conditioning: Box::new(conditioning), fade_ms })?;
                self.status.print(&format!("condition {}", path.display()));
            }
            Action::Temperature(temperature) => {
                self.policy.sampling = Sampling { temperature, ..self.policy.sampling }.checked()?;
                self.send(Command::Policy(self.policy))?;
                self.status.print(&format!("temperature {temperature:.2}"));
            }
            Action::Warmer(by) => {
                // Rounded, or a hundred steps of 0.05 would drift.
                let t = ((self.policy.sampling.temperature + by) * 100.0).round() / 100.0;
                self.handle(Action::Temperature(t.max(0.0)))?;
            }
            Action::Pause => self.pause(true)?,
            Action::Resume => self.pause(false)?,
            Action::TogglePause => self.pause(!self.paused)?,
            Action::Stop => self.send(Command::Stop { fade_ms: FADE_OUT_MS })?,
            Action::Help => self.status.print(controls::HELP),
        }
        Ok(())
    }

    fn pause(&mut self, paused: bool) -> Result<()> {
        self.paused = paused;
        self.send(if paused { Command::Pause } else { Command::Resume })
    }
}

impl Played {
    fn reported(report: &SessionReport, voice: &Voice, seed: u64, cpu: Duration) -> Self {
        let rate = voice.section.sample_rate;
        let seconds = |samples: u64| samples as f64 / f64::from(rate);
        let (busy, busy_samples) = report.busy;
        let summary = Summary {
            seconds: seconds(report.samples),
            samples: report.samples,
            sample_rate: rate,
            wall_s: report.wall.as_secs_f64(),
            cpu_s: cpu.as_secs_f64(),
            times_real_time: seconds(busy_samples) / busy.as_secs_f64().max(1e-9),
            seed,
            peak_dbfs: output::dbfs(report.peak),
        };
        Self {
            missing_samples: report.missing_samples,
            realtime_priority: report.realtime,
            block_us: report.block_times.percentiles().scaled(1e-3),
            block_deadline_us: seconds(BLOCK as u64) * 1e6,
            ..Self::new(summary)
        }
    }

    fn rendered(summary: Summary, path: &Path) -> Self {
        Self { output: Some(path.into()), ..Self::new(summary) }
    }

    fn new(summary: Summary) -> Self {
        Self {
            summary,
            underruns: 0,
            device_xruns: 0,
            missing_samples: 0,
            device: None,
            device_rate: None,
            latency_ms: None,
            ring_ms: None,
            period_ms: None,
            realtime_priority: false,
            block_us: Percentiles::default(),
            block_deadline_us: 0.0,
            frames_held: 0,
            frames_skipped: 0,
            live: None,
            output: None,
        }
    }

    fn line(&self) -> String {
        let s = &self.summary;
        match (&self.output, &self.device) {
            (Some(path), _) => format!("{}: {}", path.display(), s.line()),
            (None, device) => format!(
                "{:.2} s played on {} at {} Hz, {} underruns; engine {:.2} x real time, slowest block {:.1} of {:.1} ms",
                s.seconds,
                device.as_deref().unwrap_or("a device"),
                self.device_rate.unwrap_or(s.sample_rate),
                self.underruns,
                s.times_real_time,
                self.block_us.max / 1000.0,
                self.block_deadline_us / 1000.0
            ),
        }
    }
}
