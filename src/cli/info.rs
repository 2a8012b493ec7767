//! `wavesynth info`: what a checkpoint holds.

use super::args::read_checkpoint;
use super::output;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::PathBuf;
use wavesynth::images::{self, ImageSection};
use wavesynth::text;
use wavesynth::voice::{SECTION, VoiceSection};
use wavesynth_models::family::{Facts, FamilyConfig};
use wavesynth_models::in_file::AtPath;
use wavesynth_models::loaded;
use wavesynth_models::order::Scan;
use wavesynth_models::vq_vae;
use wavesynth_models::weights::{self, Checkpoint};
use wavesynth_output::shown;

/// Show what a checkpoint holds
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Checkpoint [default: the shipped voice]
    #[arg(value_name = "MODEL")]
    model: Option<PathBuf>,
    /// The same, as other commands take it
    #[arg(short = 'm', long = "model", value_name = "MODEL", conflicts_with = "model")]
    named: Option<PathBuf>,
    /// Print the result as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let (checkpoint, path) = read_checkpoint(args.named.or(args.model).as_deref())?;
    weights::check(&checkpoint.tensors, &loaded::table(&checkpoint.header).at(&path)?).at(&path)?;
    if images::is_coder(&checkpoint.header) {
        return match args.json {
            true => output::json(&common(&checkpoint, &checkpoint.header.family)),
            false => output::text(&coder(&checkpoint)),
        };
    }
    let config = FamilyConfig::from_header(&checkpoint.header).at(&path)?;
    let is_voice = checkpoint.header.sections.contains_key(SECTION);
    let voice = is_voice.then(|| VoiceSection::from_header(&checkpoint.header)).transpose().at(&path)?;
    if args.json {
        output::json(&value(&checkpoint, &config, voice.as_ref())?)
    } else {
        output::text(&page(&checkpoint, &config, voice.as_ref()))
    }
}

fn parameters(checkpoint: &Checkpoint) -> usize {
    checkpoint.tensors.values().map(|t| t.data.len()).sum()
}

/// What is said of any checkpoint.
fn common(checkpoint: &Checkpoint, family: &str) -> Value {
    json!({
        "family": family,
        "parameters": parameters(checkpoint),
        "dtype": weights::dtype(&checkpoint.tensors).name(),
        "sections": checkpoint.header.sections,
        "config": checkpoint.header.config,
    })
}

/// The first lines of any page.
fn first_lines(checkpoint: &Checkpoint, family: &str) -> Vec<(&'static str, String)> {
    let dtype = weights::dtype(&checkpoint.tensors);
    vec![("family", family.into()), ("parameters", format!("{}, weights of {dtype}", parameters(checkpoint)))]
}

fn value(checkpoint: &Checkpoint, config: &FamilyConfig, voice: Option<&VoiceSection>) -> Result<Value> {
    let mut value = common(checkpoint, config.family());
    if let Value::Object(all) = &mut value {
        all.insert("config".into(), config.to_json()?);
        all.extend(config.describe(voice.map(|v| v.sample_rate)).values);
    }
    Ok(value)
}

fn page(checkpoint: &Checkpoint, config: &FamilyConfig, voice: Option<&VoiceSection>) -> String {
    let mut lines = first_lines(checkpoint, config.family());
    lines.extend(config.describe(voice.map(|v| v.sample_rate)).lines);
    if let Some(v) = voice {
        lines.push(("sample rate", format!("{} Hz", v.sample_rate)));
        lines.push(("pre-emphasis", v.preemphasis.to_string()));
        lines.push(("recipe", if v.recipe.is_empty() { "none".into() } else { v.recipe.clone() }));
        lines.push(("speaker space", v.space.clone()));
        let names: Vec<_> = v.speakers.iter().map(|s| s.name.as_str()).collect();
        let aligned = if v.common.is_some() { ", aligned with one another" } else { "" };
        lines.push(("speakers", format!("{}: {}{aligned}", names.len(), names.join(", "))));
    }
    lines.extend(sections(checkpoint, Some(config.facts())));
    laid_out(&lines)
}

/// The page of a VQ-VAE.
fn coder(checkpoint: &Checkpoint) -> String {
    let mut lines = first_lines(checkpoint, &checkpoint.header.family);
    lines.push(("codes", codes(checkpoint)));
    lines.extend(sections(checkpoint, None));
    laid_out(&lines)
}

/// What a VQ-VAE's codes are.
fn codes(checkpoint: &Checkpoint) -> String {
    let Ok(Some(config)) = vq_vae::Config::from_header(&checkpoint.header) else { return "?".into() };
    let grid = config.code_grid();
    format!(
        "{} by {} of {} an image, vectors of {} numbers; {} channels, {} residual blocks",
        grid.width, grid.height, config.codes, config.code_dim, config.channels, config.residual_blocks
    )
}

/// The sections but for that of a voice; `facts` are a model's.
fn sections<'a>(checkpoint: &'a Checkpoint, facts: Option<&Facts>) -> Vec<(&'a str, String)> {
    let mut lines = Vec::new();
    for (name, section) in checkpoint.header.sections.iter().filter(|(n, _)| *n != SECTION) {
        let name = name.as_str();
        match section {
            Value::Object(_) if name == text::SECTION => lines.push((name, tokeniser(section))),
            Value::Object(_) if name == images::SECTION => lines.push((name, pictures(checkpoint, facts))),
            Value::Object(_) if name == vq_vae::NAME => lines.push((name, codes(checkpoint))),
            Value::Object(fields) => {
                lines.push((name, String::new()));
                lines.extend(fields.iter().map(|(k, v)| (k.as_str(), format!("  {}", plain(v)))));
            }
            other => lines.push((name, plain(other))),
        }
    }
    lines
}

fn laid_out(lines: &[(&str, String)]) -> String {
    let lines: Vec<_> = lines
        .iter()
        .map(|(k, v)| format!("{:<16} {v}", shown::line(k)).trim_end().into())
        .collect::<Vec<String>>();
    lines.join("\n")
}

/// A tokeniser without its vocabulary, which may be long.
fn tokeniser(section: &Value) -> String {
    let kind = section["tokenizer"].as_str().unwrap_or("?");
    match section["vocabulary"].as_str() {
        Some(all) => format!("{kind} {:?}", all.chars().take(100).collect::<String>()),
        None => kind.into(),
    }
}

/// Size, pixels and order of an image model's images, or of their codes.
fn pictures(checkpoint: &Checkpoint, facts: Option<&Facts>) -> String {
    let Ok(section) = ImageSection::from_header(&checkpoint.header) else { return "?".into() };
    let coder = vq_vae::Config::from_header(&checkpoint.header).ok().flatten();
    let (grid, variables) = (section.grid(), coder.map_or(section.grid(), |c| c.code_grid()));
    let order = facts.map_or(String::new(), |facts| {
        let name = Scan::of(&facts.order, variables).map_or("an order of its own", Scan::name);
        format!(", {name}{}", if facts.any_order() { ", and any other order" } else { "" })
    });
    format!("{} by {}, {}{order}", grid.width, grid.height, section.pixels.describe())
}

/// A value of a file: a text of several lines behind a bar, so that none of them looks like one of this page.
fn plain(v: &Value) -> String {
    let text = v.as_str().map_or_else(|| v.to_string(), Into::into);
    let mut lines = text.lines().map(shown::line);
    match (lines.next(), lines.next()) {
        (Some(first), Some(second)) => {
            let bar = format!("\n{:16} | ", "");
            let all = [first, second].into_iter().chain(lines);
            format!("{bar}{}", all.collect::<Vec<_>>().join(&bar))
        }
        (first, _) => first.unwrap_or_default().into_owned(),
    }
}
