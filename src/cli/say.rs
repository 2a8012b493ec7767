//! `wavesynth say`: text, or phones, to speech.

mod feed;
mod list;
mod models;
mod text;
mod timing;

use super::args::{self, ConditionArgs, seed};
use super::output::{ForceArg, RULE};
use super::render::{self, FormatName, Summary};
use super::{interrupt, output, usage};
use anyhow::Result;
use feed::{Coming, Feed, Source};
pub use models::Models;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use timing::Timing;
use wavesynth::synth::Synth;
use wavesynth::tts::{Prosody, SpokenFront, phones};
use wavesynth_audio::sink::{self, Sink, SinkError};
use wavesynth_output::say;

/// Say a text
#[derive(Debug, clap::Args)]
#[command(mut_arg("dtype", |a| args::instead(a, "[default: the file's own]", "[default: i8]")))]
#[command(after_long_help = RULE)]
pub struct Args {
    /// What to say; - reads it from stdin, line by line as it comes
    #[arg(value_name = "TEXT", required_unless_present_any = ["file", "phones", "list"], conflicts_with_all = ["file", "list"])]
    text: Vec<String>,
    /// Say what is in this file
    #[arg(long, value_name = "FILE.txt", conflicts_with = "list")]
    file: Option<PathBuf>,
    /// Say these phones: names of the language's phones with blanks between, | between words, and , . ? ! as in a text; or
    /// `espeak`: let espeak-ng, if it is installed, find the phones of the text
    #[arg(long, value_name = "PHONES|espeak", conflicts_with = "list", allow_hyphen_values = true)]
    phones: Option<String>,
    #[command(flatten)]
    models: Models,
    /// File to write, or - for stdout [default: the sound device]
    #[arg(short, long, value_name = "OUT.wav")]
    output: Option<PathBuf>,
    /// What to write
    #[arg(long, value_enum, default_value_t = FormatName::Wav)]
    format: FormatName,
    /// Speed: 2 is twice as fast
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, allow_negative_numbers = true)]
    rate: f32,
    /// Semitones that the voice is higher; below 0 lower
    #[arg(long, value_name = "SEMITONES", default_value_t = 0.0, allow_negative_numbers = true)]
    pitch: f32,
    /// Length of pauses beside the usual one
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, allow_negative_numbers = true)]
    pauses: f32,
    /// How freely melody and sounds are drawn: 0 always the likeliest
    #[arg(long, value_name = "T", default_value_t = Prosody::default().temperature, allow_negative_numbers = true)]
    temperature: f32,
    /// How far the spectrum moves away from the speaker's mean, beside what is drawn
    #[arg(long, value_name = "FACTOR", default_value_t = Prosody::default().variation, allow_negative_numbers = true)]
    variation: f32,
    /// Seed of all that is drawn: equal seeds give equal bytes
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = seed)]
    seed: u64,
    /// Also write when each word and phone sounds: a table, or JSON where the name ends in .json
    #[arg(long, value_name = "TIMES.tsv")]
    timing: Option<PathBuf>,
    /// Refuse a text with anything in it that can't be said, instead of leaving it out
    #[arg(long)]
    strict: bool,
    /// Print the phones, as --phones takes them, and say nothing
    #[arg(long, conflicts_with_all = ["list", "output", "timing", "json"])]
    print_phones: bool,
    /// List languages, their phones and their speakers
    #[arg(long, conflicts_with = "speech")]
    list: bool,
    #[command(flatten)]
    force: ForceArg,
    /// Print the result as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// The report.
#[derive(Debug, Serialize)]
struct Said {
    /// Of the sound.
    #[serde(flatten)]
    sound: Summary,
    /// Sentences said.
    sentences: u64,
    /// Words said.
    words: u64,
    /// Time from when the first of the text was there, and all models loaded, to the first sample, in ms.
    first_sound_ms: Option<f64>,
}

/// Runs the command.
pub fn run(args: Args) -> Result<()> {
    if args.list {
        return list::run(args.json);
    }
    let prosody = prosody(&args)?;
    let source = Source::of(&args)?;
    let mut plan = args.force.plan();
    args.models.files().chain(args.file.as_deref()).for_each(|file| plan.reads(file));
    if args.json {
        plan.prints("--json")?;
    }
    let sound = match &args.output {
        None => None,
        Some(path) => {
            let format = render::format(args.format, path == Path::new("-"));
            Some((plan.writes("-o", path, format.kind())?, format))
        }
    };
    let timing = args.timing.as_deref().map(|path| Timing::open(&mut plan, path)).transpose()?;
    interrupt::watch()?;
    let model = Arc::new(args.models.speech()?);
    if args.print_phones {
        let utterances = source.utterances(&model, args.strict)?;
        interrupt::working();
        return print_phones(utterances);
    }
    let voice = args.models.voice()?;
    let Some(spec) = voice.spoken_frames() else {
        usage!("this voice takes no track: it can't be told what to say");
    };
    let condition = Some(args.models.speaker(&voice, &model)?);
    let conditioning = ConditionArgs { condition, track: None }.conditioning(&voice)?;
    let utterances = source.utterances(&model, args.strict)?;
    interrupt::working();
    let (front, ends) = SpokenFront::new(&model, &spec, prosody, args.seed);
    let front = front.learned_from(model.learned_from(&voice));
    let mut synth = Synth::new(&voice, front.part(&voice, conditioning, args.seed));
    let feed = Feed::start(utterances, model.clone(), ends, timing)?;
    let first = Arc::new(OnceLock::new());
    let summary = match sound {
        Some((output, format)) => {
            let sink = sink::open(&output, format, voice.section.sample_rate)?;
            let sink = Box::new(Watched { sink, first: first.clone() });
            let summary = render::write_all(&mut synth, sink, args.seed, |_| feed.check())?;
            drop(synth);
            summary
        }
        None => aloud(synth, args.seed)?,
    };
    let said = feed.end()?;
    let first_sound_ms = first
        .get()
        .zip(said.began)
        .map(|(first, began)| Instant::duration_since(first, began).as_secs_f64() * 1000.0);
    let said = Said { sound: summary, sentences: said.sentences, words: said.words, first_sound_ms };
    if args.json {
        return output::json(&said);
    }
    let first = said.first_sound_ms.map_or(String::new(), |ms| format!(", first sound after {ms:.0} ms"));
    say!("{} words, {}{first}", said.words, said.sound.line());
    Ok(())
}

/// A line for each sentence, when it is there.
fn print_phones(utterances: Coming) -> Result<()> {
    utterances(&OnceLock::new(), &mut |utterance| {
        output::text(&phones::written(&utterance))?;
        Ok(interrupt::count() == 0)
    })
}

#[cfg(feature = "device")]
fn aloud(synth: Synth, seed: u64) -> Result<Summary> {
    super::play::aloud(synth, seed)
}

#[cfg(not(feature = "device"))]
fn aloud(_: Synth, _: u64) -> Result<Summary> {
    super::lacks("say without -o", "device")
}

/// A sink that notes when the first sound reaches it.
struct Watched {
    sink: Box<dyn Sink>,
    first: Arc<OnceLock<Instant>>,
}

impl Sink for Watched {
    fn write(&mut self, samples: &[f32]) -> Result<(), SinkError> {
        if !samples.is_empty() {
            self.first.get_or_init(Instant::now);
        }
        self.sink.write(samples)
    }

    fn expect(&mut self, samples: u64) {
        self.sink.expect(samples);
    }

    fn clipped(&self) -> u64 {
        self.sink.clipped()
    }

    fn finish(self: Box<Self>) -> Result<(), SinkError> {
        self.sink.finish()
    }
}

fn prosody(args: &Args) -> Result<Prosody> {
    for (option, value, low, high) in [
        ("--rate", args.rate, 0.25, 4.0),
        ("--pitch", args.pitch, -24.0, 24.0),
        ("--pauses", args.pauses, 0.0, 20.0),
        ("--temperature", args.temperature, 0.0, 2.0),
        ("--variation", args.variation, 0.0, 2.0),
    ] {
        if !(low..=high).contains(&value) {
            usage!("{option} {value}: wanted {low} to {high}");
        }
    }
    let Args { rate, pitch: semitones, pauses, temperature, variation, .. } = *args;
    Ok(Prosody { rate, semitones, pauses, temperature, variation })
}
