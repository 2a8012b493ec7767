//! `wavesynth sample`: a text model reads a prompt and writes on; an image model draws images, a series model sequences of vectors.

mod images;
mod series;

use super::args::{self, ModelArgs, SamplingArgs};
use super::output::{ForceArg, RULE};
use super::usage;
use anyhow::{Context, Result, ensure};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use wavesynth::images::{ImageModel, is_image};
use wavesynth::series::{SeriesModel, is_series};
use wavesynth::synth::without_denormals;
use wavesynth::text::{TextModel, Utf8Stream};
use wavesynth_models::ar::{NotFinite, Uniforms};
use wavesynth_models::in_file::{self, MOST_OF_PIPE};
use wavesynth_output::{say, shown};

/// Symbols or rows that are written at most.
const MOST: u64 = 1 << 40;

/// Write text on from a prompt, symbol by symbol, or draw images or sequences of vectors
#[derive(Debug, clap::Args)]
#[command(mut_arg("model", |a| args::instead(a, "[default: voice]", "[default: text]")))]
#[command(after_long_help = RULE)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Text to continue; - reads it from stdin
    #[arg(short, long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    prompt: String,
    /// Symbols to write: characters, bytes or tokens, as the model has them; rows of a sequence of a series model [default:
    /// 500, or as long as the longest sequence that a series model was trained on]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    length: Option<u64>,
    /// Images, or sequences of a series model, to draw
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    count: u32,
    /// A PNG for images; for the sequences of a series model rows of numbers [default: -], or a picture of 2 columns where it
    /// ends in .png
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    #[command(flatten)]
    force: ForceArg,
    /// Leave the prompt out of the output
    #[arg(long)]
    no_echo: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    images: images::ImageArgs,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let sampling = args.sampling.get(1.0)?;
    if let Some(n) = args.length.filter(|n| !(1..=MOST).contains(n)) {
        usage!("--length {n}: wanted 1 to {MOST}");
    }
    let (model, path) = args.model.text_images_or_series()?;
    if args.no_echo && (is_image(&model.header) || is_series(&model.header)) {
        usage!("--no-echo: {} reads no text that it could leave out", path.display());
    }
    if is_image(&model.header) {
        if !args.prompt.is_empty() {
            usage!("--prompt: an image model reads no text");
        }
        let model = ImageModel::from_loaded(model).with_context(|| path.display().to_string())?;
        return images::run(&args, &model, &path);
    }
    if args.images.is_given() {
        usage!("options for images (see --help) are for image models; {} is none", path.display());
    }
    if is_series(&model.header) {
        if !args.prompt.is_empty() {
            usage!("--prompt: a series model reads no text");
        }
        let model = SeriesModel::from_loaded(model).with_context(|| path.display().to_string())?;
        return series::run(&args, &model, &path);
    }
    let TextModel { model, tokenizer } =
        TextModel::from_loaded(model).with_context(|| path.display().to_string())?;
    if args.output.is_some() || args.count != 1 {
        usage!("--output and --count are for images and series; {} writes text to stdout", path.display());
    }
    let prompt = match args.prompt.as_str() {
        "-" => in_file::read_from(io::stdin().lock(), MOST_OF_PIPE).context("the prompt on stdin")?,
        text => text.as_bytes().to_vec(),
    };
    let symbols = tokenizer.encode(&prompt, "the prompt")?;
    if let Some(past_len) = model.config.facts().past.filter(|m| symbols.len() > *m) {
        let unit = tokenizer.unit();
        say!("the prompt has {} {unit}s; the model sees the last {past_len}", symbols.len());
    }

    let mut out = io::stdout().lock();
    let mut text = Utf8Stream::default();
    let mut last = '\n';
    // A person reads text; a file or a pipe gets the bytes of a model of bytes as they are.
    let raw = tokenizer.unit() == "byte" && !io::stdout().is_terminal();
    let mut write = |bytes: &[u8], text: &str| -> Result<()> {
        last = text.chars().next_back().unwrap_or(last);
        let shown = if io::stdout().is_terminal() { shown::lines(text) } else { text.into() };
        out.write_all(if raw { bytes } else { shown.as_bytes() })?;
        Ok(out.flush()?)
    };
    without_denormals(|| -> Result<()> {
        let mut stream = model.generator(sampling);
        for &x in &symbols {
            stream.score(x.into());
            let bytes = tokenizer.bytes(x);
            let text = text.push(bytes);
            if !args.no_echo {
                write(bytes, &text)?;
            }
        }
        let mut uniforms = Uniforms::new(args.sampling.seed);
        for _ in 0..args.length.unwrap_or(500) {
            let bytes = tokenizer.bytes(stream.next(uniforms.next_uniform()));
            ensure!(stream.is_finite(), "{}: {NotFinite}", path.display());
            write(bytes, &text.push(bytes))?;
        }
        write(&[], &text.finish())
    })?;
    // The shell's prompt gets a line of its own; a file or a pipe gets what the model wrote and nothing else.
    if last != '\n' && io::stdout().is_terminal() {
        writeln!(io::stdout())?;
    }
    Ok(())
}
