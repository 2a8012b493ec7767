//! `wavesynth eval`: how well a voice predicts recordings, a text model texts, an image model images, a series model sequences,
//! exactly; and how well a VQ-VAE codes images.

mod images;
mod series;
mod text;
mod vq_vae;

use super::args::{ConditionArgs, ModelArgs};
use super::npy::NPY;
use super::output::{ForceArg, RULE};
use super::{npy, output, usage};
use anyhow::{Result, bail};
use rayon::prelude::*;
use serde::Serialize;
use std::f64::consts::LN_2;
use std::path::{Path, PathBuf};
use wavesynth::progress::Progress;
use wavesynth::recordings::{self, Notes};
use wavesynth::synth::{Conditioning, Forced, without_denormals};
use wavesynth::voice::Voice;
use wavesynth_audio::features::{self, Extractor, SpeakerStats};
use wavesynth_audio::pcm;
use wavesynth_models::ar::NotFinite;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::loaded::Loaded;

/// Exact nats and bits of recordings under a voice, texts under a text model, images under an image model, rows under a series
/// model
#[derive(Debug, clap::Args)]
#[command(after_long_help = RULE)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    condition: ConditionArgs,
    /// Recordings, or - for one on stdin; text files for a text model; PNG, folders of PNG or idx files for
    /// an image model or a VQ-VAE; rows of numbers for a series model
    #[arg(value_name = "INPUT", required = true)]
    inputs: Vec<PathBuf>,
    /// Also write the nats of every symbol, all inputs end to end, as an array of 32-bit floats; of images [images, rows,
    /// columns]
    #[arg(long, value_name = "N.npy")]
    per_symbol: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArg,
    /// Show a text coloured by how much each symbol surprises; a table where stdout is no terminal or NO_COLOR is set
    #[arg(long)]
    surprise: bool,
    /// Print the result as one JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    images: images::ImageArgs,
}

#[derive(Debug, Serialize)]
struct Report {
    inputs: Vec<Score>,
    #[serde(flatten)]
    total: Score,
}

#[derive(Debug, Default, Serialize)]
struct Score {
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "output::path")]
    input: Option<PathBuf>,
    symbols: usize,
    nats_per_symbol: f64,
    bits_per_symbol: f64,
    perplexity: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bits_per_byte: Option<f64>,
}

impl Score {
    fn new(input: Option<PathBuf>, symbols: usize, nats: f64) -> Self {
        let nats_per_symbol = nats / symbols.max(1) as f64;
        Self {
            input,
            symbols,
            nats_per_symbol,
            bits_per_symbol: nats_per_symbol / LN_2,
            perplexity: nats_per_symbol.exp(),
            bits_per_byte: None,
        }
    }
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let mut plan = args.force.plan();
    let inputs = args.inputs.iter().map(PathBuf::as_path);
    let files = inputs.chain(args.model.file()).chain(args.condition.files()).chain(args.images.files());
    files.for_each(|file| plan.reads(file));
    plan.prints(if args.json { "--json" } else { "the table" })?;
    let per_symbol = args.per_symbol.as_ref().map(|path| plan.writes("--per-symbol", path, &NPY));
    let per_symbol = per_symbol.transpose()?;
    let map = args.images.map(&mut plan)?;
    let (checkpoint, path) = args.model.checkpoint()?;
    if wavesynth::images::is_coder(&checkpoint.header) {
        return vq_vae::run(&args, &checkpoint, &path, images::Outputs { per_symbol, map });
    }
    let model = Loaded::from_checkpoint(checkpoint, args.model.isa()?).at(&path)?;
    if wavesynth::images::is_image(&model.header) {
        return images::run(&args, model, &path, images::Outputs { per_symbol, map });
    }
    if args.images.is_given() {
        usage!("options for images (see --help) are for image models; {} is none", path.display());
    }
    if wavesynth::text::is_text(&model.header) {
        return text::run(&args, model, &path, per_symbol);
    }
    if wavesynth::series::is_series(&model.header) {
        return series::run(&args, model, &path, per_symbol);
    }
    if args.surprise {
        usage!("--surprise: {} is no text model", args.model.name());
    }
    let voice = Voice::from_loaded(model).at(&path)?;
    let conditioning = args.condition.conditioning(&voice)?;
    let notes = Notes::default();
    if conditioning.has_track() && args.inputs.len() > 1 {
        usage!(
            "one track can't be that of {} inputs; leave it out to extract one from each",
            args.inputs.len()
        );
    }
    voice.model.check_room(rayon::current_num_threads().min(args.inputs.len()))?;
    let stats = args.condition.condition()?.and_then(|c| c.stats);
    let bar = Progress::new(args.inputs.len() as u64, "{wide_bar} {pos}/{len} inputs");
    let nats: Result<Vec<Vec<f32>>> = args
        .inputs
        .par_iter()
        .map(|path| {
            let nats =
                without_denormals(|| score(&voice, conditioning.clone(), stats.as_ref(), path, &notes));
            bar.inc(1);
            nats
        })
        .collect();
    bar.finish();
    let nats = nats?;
    notes.say();

    let sums: Vec<f64> = nats.iter().map(|n| n.iter().map(|&v| f64::from(v)).sum()).collect();
    let symbols = nats.iter().map(Vec::len).sum();
    if let Some(output) = per_symbol {
        npy::write::<f32>(output, &[symbols as u64], |push| {
            Ok(nats.iter().flatten().copied().try_for_each(push)?)
        })?;
    }
    let inputs = args.inputs.iter().zip(&nats).zip(&sums);
    let report = Report {
        inputs: inputs.map(|((p, n), &s)| Score::new(Some(p.clone()), n.len(), s)).collect(),
        total: Score::new(None, symbols, sums.iter().sum()),
    };
    if args.json { output::json(&report) } else { output::text(&table(&report)) }
}

/// Nats of every symbol of a recording.
fn score(
    voice: &Voice,
    conditioning: Conditioning,
    stats: Option<&SpeakerStats>,
    path: &Path,
    notes: &Notes,
) -> Result<Vec<f32>> {
    let recording = recordings::read(path, voice.section.sample_rate, notes)?;
    let conditioning = match &voice.config.condition {
        Some(shape) if shape.features > 0 && !conditioning.has_track() => {
            let raw = Extractor::new().extract(&recording.at(features::SAMPLE_RATE)?);
            conditioning.overlaid(Conditioning::from_features(voice, &raw, stats).at(path)?)
        }
        _ => conditioning,
    };
    let mut forced = Forced::new(voice, conditioning.unconverted());
    let pcm = recording.at(voice.section.sample_rate)?;
    let codes = pcm::encode_signal(&pcm, voice.section.preemphasis, voice.encoding);
    finite(codes.into_iter().map(|x| forced.score(x)).collect(), path)
}

/// The `nats` of an input's symbols, which are numbers.
fn finite(nats: Vec<f32>, path: &Path) -> Result<Vec<f32>> {
    match nats.iter().position(|n| !n.is_finite()) {
        Some(at) => bail!("{}: {} nats for symbol {at}: {NotFinite}", path.display(), nats[at]),
        None => Ok(nats),
    }
}

fn table(report: &Report) -> String {
    let total = (report.inputs.len() > 1).then_some(&report.total);
    let bytes = report.total.bits_per_byte.is_some();
    let mut t = String::from("   symbols  nats/symbol  bits/symbol  perplexity");
    t += if bytes { "  bits/byte  input" } else { "  input" };
    for s in report.inputs.iter().chain(total) {
        let name = output::input_name(s.input.as_deref(), "in total");
        let Score { symbols, nats_per_symbol: nats, bits_per_symbol: bits, perplexity, .. } = s;
        t += &format!("\n{symbols:>10}  {nats:>11.4}  {bits:>11.4}  {perplexity:>10.3}");
        t += &s.bits_per_byte.map_or(String::new(), |b| format!("  {b:>9.4}"));
        t += &format!("  {name}");
    }
    t
}
