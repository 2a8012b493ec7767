//! `wavesynth info`: what a checkpoint holds.

use super::args::read_checkpoint;
use super::output;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::PathBuf;
use wavesynth::text;
use wavesynth::voice::{SECTION, VoiceSection};
use wavesynth_models::wavenet;
use wavesynth_models::weights::{self, Checkpoint};
use wavesynth_models::zoo::{FamilyConfig, LoadError};

/// Show what a checkpoint holds
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Checkpoint [default: the shipped voice]
    #[arg(value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Print the result as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let (checkpoint, path) = read_checkpoint(args.model.as_deref())?;
    let config = FamilyConfig::from_header(&checkpoint.header, &path)?;
    weights::check(&checkpoint.tensors, config.layout().table())
        .map_err(|source| LoadError::Weights { path: path.clone(), source })?;
    let voice = VoiceSection::from_header(&checkpoint.header, &path).ok();
    if args.json {
        output::json(&value(&checkpoint, &config, voice.as_ref())?)
    } else {
        output::text(&page(&checkpoint, lines(&config, voice.as_ref()), voice.as_ref()))
    }
}

fn parameters(checkpoint: &Checkpoint) -> usize {
    checkpoint.tensors.values().map(|t| t.data.len()).sum()
}

fn value(checkpoint: &Checkpoint, config: &FamilyConfig, voice: Option<&VoiceSection>) -> Result<Value> {
    let mut value = json!({
        "family": checkpoint.header.family,
        "config": config.to_json()?,
        "parameters": parameters(checkpoint),
    });
    if let FamilyConfig::WaveNet(c) = config {
        let receptive = c.receptive_field();
        value["macs_per_sample"] = c.macs_per_sample().into();
        value["receptive_field"] = receptive.into();
        value["receptive_field_ms"] =
            voice.map(|v| receptive as f64 * 1000.0 / f64::from(v.sample_rate)).into();
    }
    value["sections"] = checkpoint.header.sections.clone().into();
    Ok(value)
}

/// What a family's config says.
fn lines(config: &FamilyConfig, voice: Option<&VoiceSection>) -> Vec<(&'static str, String)> {
    match config {
        FamilyConfig::WaveNet(c) => wavenet_lines(c, voice),
        FamilyConfig::Ngram(c) => vec![
            ("order", c.order.to_string()),
            ("contexts", c.contexts.to_string()),
            ("entries", c.entries.to_string()),
            ("symbols", c.classes.to_string()),
        ],
    }
}

fn wavenet_lines(c: &wavenet::Config, voice: Option<&VoiceSection>) -> Vec<(&'static str, String)> {
    let field = c.receptive_field();
    let ms = voice.map(|v| format!(", {:.1} ms", field as f64 * 1000.0 / f64::from(v.sample_rate)));
    vec![
        ("multiply-adds", format!("{} per sample", c.macs_per_sample())),
        (
            "layers",
            format!(
                "{} of kernel size {}, dilations {}",
                c.dilations.len(),
                c.kernel_size,
                cycles(&c.dilations)
            ),
        ),
        (
            "channels",
            format!(
                "{} residual, {} gate, {} skip, {} head",
                c.residual_channels, c.gate_channels, c.skip_channels, c.head_channels
            ),
        ),
        ("receptive field", format!("{field} samples{}", ms.unwrap_or_default())),
        (
            "condition",
            c.condition.as_ref().map_or("none".into(), |k| {
                format!(
                    "speaker vector of {}, {} features with {} frames of context to either side, frame network of \
                     {}, a frame per {} samples",
                    k.speaker_dim, k.features, k.context, k.hidden, k.hop
                )
            }),
        ),
    ]
}

fn page(
    checkpoint: &Checkpoint,
    family: Vec<(&'static str, String)>,
    voice: Option<&VoiceSection>,
) -> String {
    let mut lines: Vec<(&str, String)> = vec![
        ("family", checkpoint.header.family.clone()),
        ("parameters", parameters(checkpoint).to_string()),
    ];
    lines.extend(family);
    if let Some(v) = voice {
        lines.push(("sample rate", format!("{} Hz", v.sample_rate)));
        lines.push(("pre-emphasis", v.preemphasis.to_string()));
        lines.push(("recipe", if v.recipe.is_empty() { "none".into() } else { v.recipe.clone() }));
        lines.push(("speaker space", v.space.clone()));
        let names: Vec<_> = v.speakers.iter().map(|s| s.name.as_str()).collect();
        lines.push(("speakers", format!("{}: {}", names.len(), names.join(", "))));
    }
    for (name, section) in checkpoint.header.sections.iter().filter(|(n, _)| *n != SECTION) {
        match section {
            Value::Object(_) if name == text::SECTION => lines.push((name, shortened(section))),
            Value::Object(fields) => {
                lines.push((name, String::new()));
                lines.extend(fields.iter().map(|(k, v)| (k.as_str(), format!("  {}", plain(v)))));
            }
            other => lines.push((name, plain(other))),
        }
    }
    let lines: Vec<_> =
        lines.iter().map(|(k, v)| format!("{k:<16} {v}").trim_end().into()).collect::<Vec<String>>();
    lines.join("\n")
}

/// A tokeniser without its vocabulary, which may be long.
fn shortened(section: &Value) -> String {
    let kind = section["tokenizer"].as_str().unwrap_or("?");
    match section["vocabulary"].as_str() {
        Some(all) => format!("{kind} {:?}", all.chars().take(100).collect::<String>()),
        None => kind.into(),
    }
}

fn plain(v: &Value) -> String {
    v.as_str().map_or_else(|| v.to_string(), Into::into)
}

/// Dilations as `2 x (1 2 4 8)` where they repeat.
fn cycles(dilations: &[usize]) -> String {
    let n = dilations.len();
    let cycle = (1..=n).find(|&c| n.is_multiple_of(c) && dilations.chunks(c).all(|k| *k == dilations[..c]));
    let cycle = cycle.unwrap_or(n);
    let one: Vec<_> = dilations[..cycle].iter().map(usize::to_string).collect();
    if cycle == n { one.join(" ") } else { format!("{} x ({})", n / cycle, one.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_found() {
        assert_eq!(cycles(&[1, 2, 4, 1, 2, 4]), "2 x (1 2 4)");
        assert_eq!(cycles(&[1, 2, 1]), "1 2 1");
        assert_eq!(cycles(&[1, 1]), "2 x (1)");
    }
}
