//! `wavesynth copy`: copy-synthesis.

mod picture;

use super::args::{self, ModelArgs, PolicyArgs};
use super::output::{ForceArg, PNG, RULE};
use super::{output, usage};
use anyhow::Result;
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};
use wavesynth::lookup;
use wavesynth::progress::Progress;
use wavesynth::quality::{self, Difference};
use wavesynth::synth::{Conditioning, Length, Part, SamplingPolicy, Synth, UniformSource, without_denormals};
use wavesynth::voice::Voice;
use wavesynth_audio::features::{self, Extractor, SpeakerStats};
use wavesynth_audio::sink::{self, Format};
use wavesynth_audio::{resample, wav};
use wavesynth_models::in_file::AtPath;
use wavesynth_output::{Output, shown};

/// Copy-synthesis: render recordings from their own tracks, and measure how near the copies come
#[derive(Debug, clap::Args)]
#[command(mut_arg("temperature", |a| args::instead(a, "[default: 0.9; 1 for babble]", "[default: 0.9]")))]
#[command(after_long_help = RULE)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Condition file, or the name of a shipped one, of the recordings' speaker
    #[arg(short, long, value_name = "C.bin")]
    condition: PathBuf,
    /// WAV files
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    policy: PolicyArgs,
    /// Folder for the copies, each as a WAV file of its original's name
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Draw mel spectrograms of the first input: the original above, the copy below
    #[arg(long, value_name = "P.png")]
    picture: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArg,
    /// Print the result as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    inputs: Vec<Row>,
    #[serde(flatten)]
    mean: Row,
}

/// One input's figures, or the mean over all, each recording weighing by its frames.
#[derive(Debug, Clone, Serialize)]
struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<PathBuf>,
    frames: usize,
    log_mel_db: f64,
    f0_correlation: Option<f64>,
    f0_cents: Option<f64>,
    voicing_error: f64,
}

impl Row {
    fn new(path: &Path, d: &Difference) -> Self {
        Self {
            input: Some(path.into()),
            frames: d.frames,
            log_mel_db: d.log_mel_db,
            f0_correlation: d.f0_correlation,
            f0_cents: d.f0_cents,
            voicing_error: d.voicing_error,
        }
    }

    fn mean(rows: &[Row]) -> Self {
        let over = |of: &dyn Fn(&Row) -> Option<f64>| {
            let known = rows.iter().filter_map(|r| Some((of(r)?, r.frames as f64)));
            let (sum, weight) = known.fold((0.0, 0.0), |(s, w), (v, n)| (s + v * n, w + n));
            (weight > 0.0).then(|| sum / weight)
        };
        Self {
            input: None,
            frames: rows.iter().map(|r| r.frames).sum(),
            log_mel_db: over(&|r| Some(r.log_mel_db)).unwrap_or(0.0),
            f0_correlation: over(&|r| r.f0_correlation),
            f0_cents: over(&|r| r.f0_cents),
            voicing_error: over(&|r| Some(r.voicing_error)).unwrap_or(0.0),
        }
    }
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let (outputs, picture) = outputs(&args)?;
    let voice = args.model.voice()?;
    let Some(c) = voice.config.condition.as_ref().filter(|c| c.features > 0) else {
        usage!("{}: this voice takes no track, so it can't copy", args.model.name());
    };
    debug_assert_eq!(c.features, features::FEATURES);
    let condition = lookup::condition(&args.condition)?;
    let conditioning = Conditioning::new(&voice, &condition).at(&args.condition)?;
    let bar = Progress::new(args.inputs.len() as u64, "{wide_bar} {pos}/{len} inputs");
    let copies: Vec<(Row, Vec<f32>, Vec<f32>)> = args
        .inputs
        .par_iter()
        .zip(outputs)
        .map(|(path, output)| {
            let stats = condition.stats.as_ref();
            let done = without_denormals(|| copy(&args, &voice, &conditioning, stats, path, output));
            bar.inc(1);
            done
        })
        .collect::<Result<_>>()?;
    bar.finish();
    if let (Some(output), Some((_, original, copy))) = (picture, copies.first()) {
        let png = picture::spectrograms(&[original, copy])?;
        output.write(&png)?;
    }
    let inputs: Vec<Row> = copies.into_iter().map(|(row, ..)| row).collect();
    let report = Report { mean: Row::mean(&inputs), inputs };
    if args.json { output::json(&report) } else { output::text(&table(&report)) }
}

/// The copies' places, one for each input, and the picture's.
fn outputs(args: &Args) -> Result<(Vec<Option<Output>>, Option<Output>)> {
    let mut plan = args.force.plan();
    let inputs = args.inputs.iter().map(PathBuf::as_path);
    inputs.chain(args.model.file()).chain([&*args.condition]).for_each(|file| plan.reads(file));
    plan.prints(if args.json { "--json" } else { "the table" })?;
    let picture = args.picture.as_ref().map(|path| plan.writes("--picture", path, &PNG)).transpose()?;
    let Some(dir) = &args.output else {
        return Ok((args.inputs.iter().map(|_| None).collect(), picture));
    };
    plan.folder("-o", dir)?;
    let copy = |input: &PathBuf| {
        let to = dir.join(input.with_extension("wav").file_name().unwrap_or_default());
        let name = format!("the copy of {}", shown::path(input));
        Ok(Some(plan.writes(&name, &to, Format::Wav16.kind())?))
    };
    Ok((args.inputs.iter().map(copy).collect::<Result<_>>()?, picture))
}

/// Figures, original and copy, both at 16 kHz.
fn copy(
    args: &Args,
    voice: &Voice,
    speaker: &Conditioning,
    stats: Option<&SpeakerStats>,
    path: &Path,
    output: Option<Output>,
) -> Result<(Row, Vec<f32>, Vec<f32>)> {
    let original = wav::read_at(path, features::SAMPLE_RATE)?;
    let raw = Extractor::new().extract(&original);
    let track = Conditioning::from_features(voice, &raw, stats).at(path)?;
    let part = Part {
        conditioning: Box::new(speaker.clone().overlaid(track)),
        front: None,
        policy: args.policy.get(SamplingPolicy::usual(voice, true))?,
        uniforms: UniformSource::seed(args.policy.seed()),
        length: Length::Track,
        record: false,
        post_filter: args.policy.post_filter(voice)?,
    };
    let mut synth = Synth::new(voice, part);
    let mut copy = vec![0.0; synth.end() as usize];
    let n = synth.fill(&mut copy);
    copy.truncate(n);
    if let Some(output) = output {
        let mut sink = sink::open(&output, Format::Wav16, voice.section.sample_rate)?;
        sink.write(&copy)?;
        sink.finish()?;
    }
    let copy = resample::resample(&copy, voice.section.sample_rate, features::SAMPLE_RATE)?;
    Ok((Row::new(path, &quality::compare(&original, &copy)), original, copy))
}

fn table(report: &Report) -> String {
    let mut t = String::from("  seconds  log-mel dB  F0 corr  F0 cents  voicing error  input");
    let mean = (report.inputs.len() > 1).then_some(&report.mean);
    for r in report.inputs.iter().chain(mean) {
        let name = r.input.as_ref().map_or("mean, by length".into(), |p| p.display().to_string());
        let known = |v: Option<f64>, digits| v.map_or("-".into(), |v: f64| format!("{v:.digits$}"));
        t += &format!(
            "\n{:>9.2}  {:>10.2}  {:>7}  {:>8}  {:>12.1}%  {name}",
            r.frames as f64 * 0.01,
            r.log_mel_db,
            known(r.f0_correlation, 3),
            known(r.f0_cents, 0),
            100.0 * r.voicing_error,
        );
    }
    t
}
