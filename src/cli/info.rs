//! `wavesynth info`: what a checkpoint holds.

use super::args::read_checkpoint;
use super::output;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::PathBuf;
use wavesynth::images::{self, ImageSection};
use wavesynth::text;
use wavesynth::voice::{SECTION, VoiceSection};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::order::Scan;
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
    let config = FamilyConfig::from_header(&checkpoint.header).at(&path)?;
    weights::check(&checkpoint.tensors, &config.table()).at(&path)?;
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

fn value(checkpoint: &Checkpoint, config: &FamilyConfig, voice: Option<&VoiceSection>) -> Result<Value> {
    let mut value = json!({
        "family": config.family(),
        "parameters": parameters(checkpoint),
        "dtype": weights::dtype(&checkpoint.tensors).name(),
        "sections": checkpoint.header.sections,
    });
    if let Value::Object(all) = &mut value {
        all.insert("config".into(), config.to_json()?);
        all.extend(config.describe(voice.map(|v| v.sample_rate)).values);
    }
    Ok(value)
}

fn page(checkpoint: &Checkpoint, config: &FamilyConfig, voice: Option<&VoiceSection>) -> String {
    let dtype = weights::dtype(&checkpoint.tensors);
    let mut lines = vec![
        ("family", config.family().into()),
        ("parameters", format!("{}, weights of {dtype}", parameters(checkpoint))),
    ];
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
    for (name, section) in checkpoint.header.sections.iter().filter(|(n, _)| *n != SECTION) {
        match section {
            Value::Object(_) if name == text::SECTION => lines.push((name, tokeniser(section))),
            Value::Object(_) if name == images::SECTION => lines.push((name, pictures(section, config))),
            Value::Object(fields) => {
                lines.push((name, String::new()));
                lines.extend(fields.iter().map(|(k, v)| (k.as_str(), format!("  {}", plain(v)))));
            }
            other => lines.push((name, plain(other))),
        }
    }
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

/// Size, pixels and order of an image model's images.
fn pictures(section: &Value, config: &FamilyConfig) -> String {
    let Ok(section) = serde_json::from_value::<ImageSection>(section.clone()) else { return "?".into() };
    let (grid, order) = (section.grid(), &config.facts().order);
    let order = Scan::of(order, grid).map_or("an order of its own", Scan::name);
    format!("{} by {}, {}, {order}", grid.width, grid.height, section.pixels.describe())
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
