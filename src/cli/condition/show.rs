//! `wavesynth condition info`.

use crate::cli::output;
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;
use wavesynth::lookup;
use wavesynth_audio::cond::{Condition, SpeakerVector, TrackInfo};
use wavesynth_output::shown;

/// The arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Condition file, or the name of a shipped one
    #[arg(value_name = "C.bin")]
    file: PathBuf,
    /// Print one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let c = lookup::condition(&args.file)?;
    if args.json { output::json(&object(&c)) } else { output::text(&table(&c)) }
}

fn seconds(t: &TrackInfo) -> f64 {
    t.len() as f64 * f64::from(t.hop) / f64::from(t.sample_rate)
}

/// A condition in a line.
pub(super) fn line(c: &Condition) -> String {
    let mut parts = Vec::new();
    if let Some(s) = &c.speaker {
        parts.push(format!("speaker vector of {} values", s.values.len()));
        parts.extend(enrolled(s));
    }
    if let Some(t) = &c.track {
        parts.push(format!("track of {:.2} s ({} frames)", seconds(t), t.len()));
    }
    parts.join(", ")
}

/// What an enrolled speaker has beside the vector, which is the nearest speaker's.
fn enrolled(s: &SpeakerVector) -> Option<String> {
    match s.adaptation_len() {
        0 => s.reads.as_ref().map(|_| "played as the nearest speaker, not adapted".into()),
        n => Some(format!("adaptation of {n} values")),
    }
}

fn table(c: &Condition) -> String {
    let or_none = |s: &str| if s.is_empty() { "-".into() } else { shown::line(s).into_owned() };
    let mut t = format!("name     {}\nsource   {}", or_none(&c.name), or_none(&c.source));
    match &c.speaker {
        Some(s) => {
            let norm = s.values.iter().map(|v| v * v).sum::<f32>().sqrt();
            t += &format!("\nspeaker  {} values, length {norm:.3}, of the voice {}", s.values.len(), s.space);
            t += &enrolled(s).map_or(String::new(), |how| format!("\nenrolled {how}"));
        }
        None => t += "\nspeaker  none",
    }
    match &c.track {
        Some(k) => {
            t += &format!(
                "\ntrack    {:.2} s, {} frames of {} features, one every {} samples at {} Hz, recipe {}",
                seconds(k),
                k.len(),
                k.features,
                k.hop,
                k.sample_rate,
                k.recipe
            );
        }
        None => t += "\ntrack    none",
    }
    match &c.stats {
        Some(s) => {
            let way = if s.common.is_some() { ", aligned with the voice's speakers" } else { "" };
            t += &format!("\nstats    median F0 {:.1} Hz{way}", s.median_f0_hz);
        }
        None => t += "\nstats    none",
    }
    t
}

fn object(c: &Condition) -> serde_json::Value {
    json!({
        "name": c.name,
        "source": c.source,
        "speaker": c.speaker.as_ref().map(|s| json!({
            "space": s.space,
            "values": s.values,
            "adaptation_values": s.adaptation_len(),
            "reads": s.reads,
        })),
        "track": c.track.as_ref().map(|t| json!({
            "seconds": seconds(t),
            "frames": t.len(),
            "features": t.features,
            "hop": t.hop,
            "sample_rate": t.sample_rate,
            "recipe": t.recipe,
        })),
        "stats": c.stats,
    })
}
