//! `wavesynth info`: what a checkpoint holds.

use super::args::read_checkpoint;
use super::output;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::PathBuf;
use wavesynth::text;
use wavesynth::voice::{SECTION, VoiceSection};
use wavesynth_models::weights::{self, Checkpoint};
use wavesynth_models::zoo::{FamilyConfig, LoadError};
use wavesynth_models::{char_rnn, gpt, ngram, wavenet};

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
    weights::check(&checkpoint.tensors, &config.table())
        .map_err(|source| LoadError::Weights { path: path.clone(), source })?;
    let voice = VoiceSection::from_header(&checkpoint.header, &path).ok();
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
        "config": checkpoint.header.config,
        "parameters": parameters(checkpoint),
        "dtype": weights::dtype(&checkpoint.tensors).name(),
        "sections": checkpoint.header.sections,
    });
    let family = match config {
        FamilyConfig::WaveNet(c) => {
            let receptive = c.receptive_field();
            json!({
                "config": c,
                "macs_per_sample": c.macs_per_sample(),
                "receptive_field": receptive,
                "receptive_field_ms": voice.map(|v| receptive as f64 * 1000.0 / f64::from(v.sample_rate)),
            })
        }
        FamilyConfig::Ngram(c) => json!({ "config": c }),
        FamilyConfig::CharRnn(c) => json!({
            "config": c,
            "macs_per_symbol": c.macs_per_symbol(),
            "state_bytes": c.state_len() * size_of::<f32>(),
        }),
        FamilyConfig::Gpt(c) => json!({
            "config": c,
            "macs_per_symbol": c.macs_per_symbol(),
        }),
    };
    if let (Value::Object(all), Value::Object(family)) = (&mut value, family) {
        all.extend(family);
    }
    Ok(value)
}

fn page(checkpoint: &Checkpoint, config: &FamilyConfig, voice: Option<&VoiceSection>) -> String {
    let dtype = weights::dtype(&checkpoint.tensors);
    let mut lines = vec![
        ("family", config.family().into()),
        ("parameters", format!("{}, weights of {dtype}", parameters(checkpoint))),
    ];
    lines.extend(match config {
        FamilyConfig::WaveNet(c) => wavenet_lines(c, voice),
        FamilyConfig::CharRnn(c) => char_rnn_lines(c),
        FamilyConfig::Gpt(c) => gpt_lines(c),
        FamilyConfig::Ngram(c) => ngram_lines(c),
    });
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

fn ngram_lines(c: &ngram::Config) -> Vec<(&'static str, String)> {
    vec![
        ("order", c.order.to_string()),
        ("contexts", c.contexts.to_string()),
        ("entries", c.entries.to_string()),
    ]
}

fn char_rnn_lines(c: &char_rnn::Config) -> Vec<(&'static str, String)> {
    let cell = match c.cell {
        char_rnn::Cell::Lstm => "LSTM",
        char_rnn::Cell::Gru => "GRU",
    };
    vec![
        ("multiply-adds", format!("{} per symbol", c.macs_per_symbol())),
        ("symbols", format!("{}, a stream starts with {}", c.classes, c.start)),
        ("layers", format!("{} of {} {cell} units", c.layers, c.hidden)),
        ("state", format!("{} bytes", c.state_len() * size_of::<f32>())),
    ]
}

fn gpt_lines(c: &gpt::Config) -> Vec<(&'static str, String)> {
    vec![
        ("multiply-adds", format!("{} per symbol, halfway through the context", c.macs_per_symbol())),
        ("symbols", format!("{}, a stream starts with {}", c.classes, c.start)),
        ("layers", format!("{} of width {}, {} heads", c.layers, c.width, c.heads)),
        ("context", format!("{} symbols", c.context)),
        ("head", if c.tied_head { "tied to the embedding" } else { "of its own" }.into()),
    ]
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
        (
            "bunch",
            match c.bunch {
                1 => "none: the layers run for every sample".into(),
                n => format!("the layers run once for {n} samples"),
            },
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

/// A tokeniser without its vocabulary, which may be long.
fn tokeniser(section: &Value) -> String {
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
