//! `wavesynth devices`: what sound can go to.

use super::output;
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
    let devices = device::list()?;
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
    let rates = match d.rates {
        Some((low, high)) if low == high => format!("{low} Hz"),
        Some((low, high)) => format!("{low} to {high} Hz"),
        None => "busy".into(),
    };
    let channels: Vec<_> = d.channels.iter().map(u16::to_string).collect();
    // Plugins offer every number of channels there is.
    let channels = match &channels[..] {
        [first, .., last] if channels.len() > 4 => format!("{first} to {last}"),
        few => few.join(", "),
    };
    format!(
        "{mark} {}  ({}, {})  {rates}, {channels} channels, {}",
        d.name,
        d.description,
        d.host,
        d.formats.join(" ")
    )
}
