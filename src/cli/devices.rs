//! `wavesynth devices`: the sound devices.

use super::output;
use super::quiet::quietly;
use anyhow::Result;
use serde_json::json;
use wavesynth_audio::device::{self, DeviceInfo};

/// List sound devices
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the result as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    let devices = quietly(device::list)?;
    if args.json {
        let list: Vec<_> = devices
            .iter()
            .map(|d| {
                json!({
                    "name": d.name,
                    "description": d.description,
                    "host": d.host,
                    "default": d.default,
                    "rates": d.rates.map(|(low, high)| [low, high]),
                    "channels": d.channels,
                    "formats": d.formats,
                })
            })
            .collect();
        return output::json(&json!({ "devices": list }));
    }
    if devices.is_empty() {
        return output::text("no output device");
    }
    let lines: Vec<_> = devices.iter().map(line).collect();
    output::text(&lines.join("\n"))
}

fn line(d: &DeviceInfo) -> String {
    let mark = if d.default { '*' } else { ' ' };
    let head = format!("{mark} {}  ({}, {})", d.name, d.description, d.host);
    let rates = match d.rates {
        Some((low, high)) if low == high => format!("{low} Hz"),
        Some((low, high)) => format!("{low} to {high} Hz"),
        None => return format!("{head}  does not answer"),
    };
    let channels = match &d.channels[..] {
        [one] => one.to_string(),
        // Plugins offer every number of channels there is.
        [first, .., last] => format!("{first} to {last}"),
        [] => "0".into(),
    };
    format!("{head}  {rates}, {channels} channels, {}", d.formats.join(" "))
}
