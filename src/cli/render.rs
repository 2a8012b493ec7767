//! `wavesynth render`: a voice into a file or a pipe, as fast as possible.

mod jobs;
mod record;

use super::args::{self, ConditionArgs, ConversionArgs, LengthArgs, ModelArgs, PolicyArgs};
use super::input::{Input, InputArgs};
use super::output::{ForceArg, RULE};
use super::{interrupt, npy, output, together, usage};
use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wavesynth::progress::Progress;
use wavesynth::recordings;
use wavesynth::synth::{Length, Part, SamplingPolicy, Synth, UniformSource, without_denormals};
use wavesynth_audio::sink::{self, Format, Sink};
use wavesynth_output::{Output, Plan, say};

/// Samples between two looks at the clock and the interrupt flag.
const BLOCK: usize = 1024;

/// Render a voice into a WAV file or a pipe
#[derive(Debug, clap::Args)]
#[command(mut_arg("dtype", |a| args::instead(a, "[default: the file's own]", "[default: i8]")))]
#[command(after_long_help = RULE)]
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
    /// File to write, or - for stdout
    #[arg(short, long, value_name = "OUT.wav", required_unless_present = "jobs")]
    output: Option<PathBuf>,
    /// Make the files of a list instead: on each line condition, track, seed, output and, if wanted, seconds, tabs
    /// between, - for none. A file that the same line made, with the same model and options, is skipped (`wavesynth-jobs.tsv` beside
    /// it tells); --force makes all again. mpirun shares the list among processes
    #[arg(
        long,
        value_name = "LIST.tsv",
        conflicts_with_all = ["output", "condition", "track", "input", "like", "seed", "uniforms", "codes"]
    )]
    jobs: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum, default_value_t = FormatName::Wav)]
    format: FormatName,
    /// Take the uniform numbers, one a sample, from this array instead of the seed
    #[arg(long, alias = "coins", value_name = "U.npy")]
    uniforms: Option<PathBuf>,
    /// Also write the symbols drawn, as an array of 16-bit integers
    #[arg(long, value_name = "X.npy")]
    codes: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArg,
    /// Print the result as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// As typed; what it means depends on where it goes.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub enum FormatName {
    /// WAV, 16-bit
    Wav,
    /// WAV of 32-bit floats in a file, raw little-endian floats on stdout
    F32,
    /// Raw little-endian 16-bit integers
    S16,
}

/// The report of `render` and `play`.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Sound made.
    pub seconds: f64,
    /// The same, in samples of `sample_rate`.
    pub samples: u64,
    /// The voice's rate, Hz.
    pub sample_rate: u32,
    /// Time that passed.
    pub wall_s: f64,
    /// CPU time of all threads.
    pub cpu_s: f64,
    /// Seconds of sound made in a second of work.
    pub times_real_time: f64,
    /// As given.
    pub seed: u64,
    /// Largest magnitude; null for silence.
    pub peak_dbfs: Option<f64>,
    /// Samples beyond full scale that were clamped on the way to a file or a pipe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clipped: Option<u64>,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    match (&args.jobs, &args.output) {
        (Some(list), _) => together(|ranks| jobs::run(&args, list, ranks)),
        (None, Some(output)) => one(&args, output),
        // clap has seen to it that one of them is there.
        (None, None) => usage!("render: wanted -o OUT.wav or --jobs LIST.tsv"),
    }
}

fn one(args: &Args, path: &Path) -> Result<()> {
    // Errors of the command line come before a voice is read.
    args.policy.get(SamplingPolicy::default())?;
    if args.input.is_live() {
        usage!("--input mic: a microphone has no end; render a recording of it, or play it");
    }
    if args.codes.is_some() && args.input.is_stream() && !args.length.is_given() {
        usage!("--codes with --input -: how many is not known ahead; pass --seconds, or a file");
    }
    let (sound, codes) = outputs(args, path)?;
    let format = format(args.format, sound.is_stdout());
    interrupt::watch()?;
    let voice = args.conversion.of(args.model.voice()?)?;
    let mut input = args.input.open(&voice, &args.model.name())?;
    let conditioning = args.input.conditioning(&args.condition, &voice)?;
    let policy =
        args.policy.get(SamplingPolicy::usual(&voice, conditioning.has_track() || input.is_some()))?;
    let sample_rate = voice.section.sample_rate;
    let mut length = args.input.length(&args.length, &conditioning, sample_rate)?;
    let mut uniforms = UniformSource::seed(args.policy.seed());
    if let Some(path) = &args.uniforms {
        uniforms = given_uniforms(path)?;
        let there = uniforms.len().unwrap_or(0);
        if !args.length.is_given() && !conditioning.has_track() && input.is_none() {
            length = Length::Samples(there);
        }
    }
    let given = uniforms.len();
    let record = args.codes.is_some();
    let front = input.as_mut().and_then(Input::front);
    let part = Part {
        conditioning: Box::new(conditioning),
        front,
        policy,
        uniforms,
        length,
        record,
        post_filter: args.policy.post_filter(),
    };
    let mut synth = Synth::new(&voice, part);
    if let (Some(path), Some(there), Some(wanted)) = (&args.uniforms, given, synth.wanted(length))
        && there < wanted
    {
        bail!("{}: {there} numbers, {wanted} samples want one each", path.display());
    }
    interrupt::working();
    let sink = sink::open(&sound, format, sample_rate)?;
    // Before the sound appears, so that there is never the one without the other.
    let keep_codes = |synth: &Synth| {
        input.as_ref().map_or(Ok(()), Input::check)?;
        match (codes, synth.codes()) {
            (Some(output), Some(codes)) => npy::write::<u16>(output, &[codes.len() as u64], |push| {
                Ok(codes.iter().copied().try_for_each(push)?)
            }),
            _ => Ok(()),
        }
    };
    let summary = write_all(&mut synth, sink, args.policy.seed(), keep_codes)?;
    if args.json {
        output::json(&summary)
    } else {
        say!("{}", summary.line());
        Ok(())
    }
}

/// Where sound and codes go.
fn outputs(args: &Args, path: &Path) -> Result<(Output, Option<Output>)> {
    let mut plan = args.force.plan();
    inputs(args, &mut plan);
    args.condition.files().for_each(|file| plan.reads(file));
    if args.json {
        plan.prints("--json")?;
    }
    let sound = plan.writes("-o", path, format(args.format, path == Path::new("-")).kind())?;
    let codes = args.codes.as_ref().map(|path| plan.writes("--codes", path, &npy::NPY));
    Ok((sound, codes.transpose()?))
}

/// Adds what is read for every sound.
fn inputs(args: &Args, plan: &mut Plan) {
    let files = args.model.file().into_iter().chain(args.input.files());
    files.chain(args.uniforms.as_deref()).chain(args.jobs.as_deref()).for_each(|file| plan.reads(file));
}

/// The format that a name means for a file or for stdout.
pub fn format(name: FormatName, to_stdout: bool) -> Format {
    match (name, to_stdout) {
        (FormatName::Wav, _) => Format::Wav16,
        (FormatName::F32, false) => Format::WavF32,
        (FormatName::F32, true) => Format::RawF32,
        (FormatName::S16, _) => Format::RawS16,
    }
}

fn given_uniforms(path: &Path) -> Result<UniformSource> {
    let uniforms = npy::read_uniforms(path)?;
    if uniforms.is_empty() {
        bail!("{}: no numbers", path.display());
    }
    match UniformSource::given(uniforms) {
        Ok(uniforms) => Ok(uniforms),
        Err(e) => bail!("{}: {e}", path.display()),
    }
}

/// All samples of `synth`, into `sink`; `shown` is called after each block.
fn pump(synth: &mut Synth, sink: &mut dyn Sink, mut shown: impl FnMut(&Synth)) -> Result<()> {
    let mut block = [0.0; BLOCK];
    loop {
        let ready = synth.ready(BLOCK);
        let n = without_denormals(|| synth.fill(&mut block[..ready]));
        synth.check_finite()?;
        sink.write(&block[..n])?;
        if n < ready {
            return Ok(());
        }
        if ready == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        if interrupt::count() > 0 {
            let seconds = synth.position() as f64 / f64::from(synth.sample_rate());
            bail!("interrupted after {seconds:.1} s of sound");
        }
        shown(synth);
    }
}

/// All samples of `synth`, into `sink`. A file appears only when it is whole and `before_it_appears` agrees.
pub fn write_all(
    synth: &mut Synth,
    mut sink: Box<dyn Sink>,
    seed: u64,
    before_it_appears: impl FnOnce(&Synth) -> Result<()>,
) -> Result<Summary> {
    let rate = f64::from(synth.sample_rate());
    let bar = Progress::new(synth.end(), "{wide_bar} {percent:>3} %  {msg}  {eta} left");
    let (start, cpu) = (Instant::now(), output::cpu_time());
    let mut shown = start;
    // A live input has no end yet.
    if synth.end() != u64::MAX {
        sink.expect(synth.end());
    }
    pump(synth, sink.as_mut(), |synth| {
        if shown.elapsed() > Duration::from_millis(100) {
            shown = Instant::now();
            let seconds = synth.position() as f64 / rate;
            let speed = seconds / start.elapsed().as_secs_f64();
            bar.set(synth.position(), format!("{seconds:.1} s  {speed:.2} x real time"));
        }
    })
    .inspect_err(|_| bar.finish())?;
    before_it_appears(synth)?;
    let clipped = sink.clipped();
    sink.finish()?;
    bar.finish();
    recordings::say(sink::clipped_line(clipped, synth.position()).as_slice());
    let wall_s = start.elapsed().as_secs_f64();
    let seconds = synth.position() as f64 / rate;
    Ok(Summary {
        seconds,
        samples: synth.position(),
        sample_rate: synth.sample_rate(),
        wall_s,
        cpu_s: (output::cpu_time() - cpu).as_secs_f64(),
        times_real_time: seconds / wall_s,
        seed,
        peak_dbfs: output::dbfs(synth.peak()),
        clipped: Some(clipped),
    })
}

impl Summary {
    /// The same for people.
    pub fn line(&self) -> String {
        let peak = self.peak_dbfs.map_or("silence".into(), |p| format!("peak {p:.1} dBFS"));
        format!(
            "{:.2} s of sound in {:.2} s, {:.2} x real time, seed {}, {peak}",
            self.seconds, self.wall_s, self.times_real_time, self.seed
        )
    }
}
