//! `wavesynth play`: a voice through a sound device, with commands while it plays.

mod attempt;
mod controls;
mod file;
mod keys;
mod latency;
mod layers;
mod mic;
mod player;
mod report;
mod screen;
mod speaker;
mod status;
mod strain;
mod terminal;

pub(super) use mic::{Mic, open as open_mic};
pub(super) use terminal::restore as restore_terminal;

use super::args::{self, ConditionArgs, ConversionArgs, LengthArgs, ModelArgs, PolicyArgs};
use super::input::{Input, InputArgs};
use super::output::{ForceArg, RULE};
use super::render::Summary;
use super::{interrupt, output, usage};
use anyhow::{Result, anyhow, bail};
use layers::{Base, LayerArg};
use player::{FADE_OUT_MS, Player};
use speaker::{Out, Speaker, Wanted};
use std::path::PathBuf;
use std::time::Duration;
use wavesynth::synth::{
    Command, Layer, Length, Part, SamplingPolicy, Session, SessionSetup, Synth, UniformSource,
};
use wavesynth_audio::device::{self, DeviceError};
use wavesynth_audio::sink::{self, Format};
use wavesynth_output::{say, shown};

/// Sound kept ready in the ring, in ms: usually, and with live input, where it adds to the delay.
const RING_MS: f32 = 60.0;
const LIVE_MS: f32 = 15.0;
/// Where the sound goes when there is no device.
const FALLBACK: &str = "wavesynth-play.wav";

/// Play a voice through a sound device
#[derive(Debug, clap::Args)]
#[command(mut_arg("dtype", |a| args::instead(a, "[default: the file's own]", "[default: i8]")))]
#[command(after_help = controls::HELP, after_long_help = format!("{}\n\n{RULE}", controls::HELP))]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    condition: ConditionArgs,
    #[command(flatten)]
    conversion: ConversionArgs,
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
    /// End when the output device or the microphone goes away, where it would be waited for
    #[arg(long)]
    no_reconnect: bool,
    /// Where the sound goes when there is no output device: in real time while commands can come, else as fast as it can
    #[arg(short, long, value_name = "OUT.wav", default_value = FALLBACK)]
    output: PathBuf,
    #[command(flatten)]
    force: ForceArg,
    /// Print the result as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    // Errors of the command line come before a voice is read.
    args.policy.get(SamplingPolicy::default())?;
    let latency_ms = args.latency.unwrap_or(if args.input.is_live() { LIVE_MS } else { RING_MS });
    if !(1.0..=2000.0).contains(&latency_ms) {
        usage!("--latency {latency_ms}: wanted 1 to 2000 ms");
    }
    interrupt::watch()?;
    let voice = args.conversion.of(args.model.voice()?)?;
    voice.model.check_room(1 + args.layers.len())?;
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
        post_filter: args.policy.post_filter(),
    };
    let mut layers = vec![Layer { part, start: 0, gain: 1.0 }];
    let track = args.condition.track.as_ref();
    let base = Base { track, length: &args.length, policy: &args.policy };
    for (number, layer) in (1..).zip(&args.layers) {
        layers.push(layer.layer(number, &voice, &base)?);
    }
    let synth = Synth::layered(&voice, layers);
    let total = (length != Length::Track).then(|| synth.end());
    let wanted = Wanted { name: args.device.clone(), rate: voice.section.sample_rate, latency_ms };
    interrupt::working();
    let (session, speaker) = match wanted.first()? {
        Ok(device) => on_device(synth, device, wanted, &args)?,
        // A default device that can't be opened is as good as none.
        Err(e @ (DeviceError::None(_) | DeviceError::Unusable { .. } | DeviceError::Host(_)))
            if args.device.is_none() =>
        {
            (into_file(synth, &e, &args)?, None)
        }
        Err(e) => return Err(e.into()),
    };
    let player = Player::new(&voice, session, speaker, input.as_mut(), total, policy, &args);
    let mut played = player.play(&args)?;
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

/// Plays `synth` through the system's output device to its end, without commands. A first Ctrl-C fades it out.
pub(super) fn aloud(synth: Synth, seed: u64) -> Result<Summary> {
    let rate = synth.sample_rate();
    let wanted = Wanted { name: None, rate, latency_ms: RING_MS };
    let device = wanted.first()?.map_err(|e| anyhow!("{e}; -o OUT.wav writes a file instead"))?;
    let cpu = output::cpu_time();
    let mut speaker = Speaker::new(wanted, true, &device);
    let (mut session, ring) = Session::prepare(synth, speaker::setup(&device))?;
    while !session.is_primed() {
        wait()?;
    }
    session.connect(speaker::begin(device, ring)?);
    let mut stopped = false;
    while !(session.is_finished() || session.progress().is_done() && session.output().is_none()) {
        std::thread::sleep(Duration::from_millis(20));
        session.events().for_each(drop);
        if let Some(news) = speaker.watch(&mut session)? {
            say!("{news}");
        }
        if interrupt::count() > 0 && !std::mem::replace(&mut stopped, true) {
            session.send(Command::Stop { fade_ms: FADE_OUT_MS });
        }
    }
    let latency = match session.output() {
        Some(Out::Device(playing)) => f64::from(playing.stats().latency_ms.clamp(0.0, 1000.0)),
        _ => 0.0,
    };
    std::thread::sleep(Duration::from_secs_f64((f64::from(RING_MS) + latency) / 1000.0));
    attempt::close(session.detach());
    Ok(report::summary(&session.end()?, rate, seed, output::cpu_time() - cpu))
}

fn on_device(
    synth: Synth,
    device: device::Output,
    wanted: Wanted,
    args: &Args,
) -> Result<(Session<Out>, Option<Speaker>)> {
    let speaker = Speaker::new(wanted, !args.no_reconnect, &device);
    let (mut session, ring) = Session::prepare(synth, speaker::setup(&device))?;
    while !session.is_primed() {
        wait()?;
    }
    session.connect(speaker::begin(device, ring)?);
    Ok((session, Some(speaker)))
}

/// The same into the file that stands in for a device that can't be had because of `why`.
fn into_file(synth: Synth, why: &DeviceError, args: &Args) -> Result<Session<Out>> {
    let path = &args.output;
    let why = match why {
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
    let rate = synth.sample_rate();
    let output = plan.writes("-o", path, Format::Wav16.kind())?;
    let sink = sink::open(&output, Format::Wav16, rate)?;
    let ring_samples = (rate as f32 * RING_MS / 1000.0) as usize;
    let setup = SessionSetup { device_rate: rate, ring_samples, realtime: false, patient: true };
    let (mut session, ring) = Session::prepare(synth, setup)?;
    session.connect(Out::File(file::FileOutput::start(ring, rate, sink)?));
    Ok(session)
}

/// A moment, for what is not there yet.
fn wait() -> Result<()> {
    std::thread::sleep(Duration::from_millis(1));
    if interrupt::count() > 0 {
        bail!("interrupted");
    }
    Ok(())
}
