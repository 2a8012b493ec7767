//! The languages that this program says by itself.

use crate::cli::output;
use anyhow::Result;
use serde::Serialize;
use wavesynth::lookup;
use wavesynth::shipped;
use wavesynth::tts::model::{SECTION, SaySection};

/// A language.
#[derive(Debug, Serialize)]
struct Language {
    language: &'static str,
    phones: Vec<String>,
    speakers: Vec<&'static str>,
}

/// Lists them.
pub fn run(json: bool) -> Result<()> {
    let mut all = Vec::new();
    for language in shipped::languages() {
        let Some((file, _)) = lookup::shipped_say(language)? else { continue };
        let Some(section) = file.header.sections.get(SECTION) else { continue };
        let section: SaySection = serde_json::from_value(section.clone())?;
        let prefix = format!("{language}_");
        let speakers = shipped::speakers().filter(|name| name.starts_with(&prefix)).collect();
        all.push(Language { language, phones: section.phones[1..].to_vec(), speakers });
    }
    if json {
        return output::json(&all);
    }
    let line = |l: &Language| {
        format!("{}  speakers: {}; phones: {}", l.language, l.speakers.join(", "), l.phones.join(" "))
    };
    output::text(&all.iter().map(line).collect::<Vec<_>>().join("\n"))
}
