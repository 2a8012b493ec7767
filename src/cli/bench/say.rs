//! `wavesynth bench say`: from a text to its sound.

use crate::cli::args;
use crate::cli::say::Models;
use crate::cli::{output, usage};
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::PathBuf;
use wavesynth::Conditioning;
use wavesynth::bench::{Speaker, SpeechRow, speech};
use wavesynth::progress::Progress;
use wavesynth::tts::{FrontEnd, Language};
use wavesynth_output::shown;

/// Said where no text is given: a word, a sentence of eight words (Harvard list 1), one of sixty.
const TEXTS: [&str; 3] = [
    "Hello.",
    "The birch canoe slid on the smooth planks.",
    "When the rain had stopped at last and the sun came out again over the wet roofs of the old town the children ran down to the \
     river to look for the small red boat that they had built with their grandfather in the long winter and had lost in the high \
     water of the spring before anybody could reach it.",
];

/// Times that a text is said at most.
const MOST_ROUNDS: usize = 10_000;

#[derive(Debug, clap::Args)]
#[command(mut_arg("dtype", |a| args::instead(a, "[default: the file's own]", "[default: i8]")))]
pub struct Args {
    /// Texts to say, each measured alone [default: a word, a sentence, a long sentence, in English]
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Say what is in this file, too
    #[arg(long, value_name = "FILE.txt")]
    file: Option<PathBuf>,
    #[command(flatten)]
    models: Models,
    /// Times that each text is said
    #[arg(long, value_name = "N", default_value_t = 20)]
    rounds: usize,
    /// Print the result as a JSON list on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    if !(1..=MOST_ROUNDS).contains(&args.rounds) {
        usage!("--rounds {}: wanted 1 to {MOST_ROUNDS}", args.rounds);
    }
    let mut texts = args.texts;
    if let Some(path) = &args.file {
        texts.push(std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    if texts.is_empty() {
        texts.extend(TEXTS.map(String::from));
    }
    let model = args.models.speech()?;
    let voice = args.models.voice()?;
    let name = args.models.speaker(&voice, &model)?;
    let Some(known) = Language::from_name(&model.section.language) else {
        usage!("this program reads no text in the language {}", model.section.language);
    };
    let speaker = Speaker {
        voice: &voice,
        conditioning: &|| Conditioning::read(&voice, Some(&name), None),
        model: &model,
        front_end: &FrontEnd::new(known)?,
    };
    let bar = Progress::new(texts.len() as u64, "measuring {wide_bar} {pos}/{len} texts");
    let mut rows = Vec::new();
    for text in &texts {
        rows.push(speech(&speaker, text, args.rounds)?);
        bar.inc(1);
    }
    bar.finish();
    if args.json { output::json(&rows) } else { output::text(&table(&rows)) }
}

fn table(rows: &[SpeechRow]) -> String {
    let mut t = String::from(
        "words  seconds  first sound, ms:   p50     p99     max  x real time  least lead, ms  text",
    );
    for r in rows {
        let p = &r.first_sound_ms;
        let _ = write!(
            t,
            "\n{:>5} {:>8.2} {:>22.1} {:>7.1} {:>7.1} {:>12.2} {:>15.1}  {}",
            r.words,
            r.seconds,
            p.p50,
            p.p99,
            p.max,
            r.times_real_time,
            r.least_lead_ms,
            shown::line(&r.text)
        );
    }
    t
}
