//! What says a text: the text-to-speech model of a language, a voice, and its speaker.

use crate::cli::args::{ConversionArgs, ModelArgs};
use crate::cli::usage;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use wavesynth::lookup;
use wavesynth::shipped;
use wavesynth::tts::SayModel;
use wavesynth::voice::Voice;

/// The language where nothing tells another one.
const ENGLISH: &str = "en";

/// The options that name them.
#[derive(Debug, clap::Args)]
pub struct Models {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    conversion: ConversionArgs,
    /// Text-to-speech model: a checkpoint, the folder of a run, or a language, as en, for the shipped one [default: the shipped
    /// one of the language]
    #[arg(long, value_name = "MODEL")]
    speech: Option<PathBuf>,
    /// Speaker: a condition file, or the name of a shipped one [default: a shipped one of the language]
    #[arg(short, long, value_name = "C.bin")]
    condition: Option<PathBuf>,
    /// Language, as en [default: that which the condition's name, or its file's, begins with, else en]
    #[arg(short, long, value_name = "LANGUAGE")]
    language: Option<String>,
}

impl Models {
    /// The files that were named.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let speech = self.speech.as_deref().filter(|_| self.shipped_speech().is_none());
        self.model.file().into_iter().chain(speech).chain(self.condition.as_deref())
    }

    /// The voice.
    pub fn voice(&self) -> Result<Voice> {
        self.conversion.of(self.model.voice()?)
    }

    /// The language that --language names.
    pub fn asked_language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// The language that is meant: the one that is asked for, else that which the condition's name or its file's begins with, else
    /// English.
    fn language(&self) -> String {
        let begun = |name: &str| {
            let prefix = name.split_once('_').map(|(prefix, _)| prefix);
            prefix.filter(|prefix| shipped::say(prefix).is_some()).map(String::from)
        };
        // A pipe is read once, and a file that can't be read is refused where the speaker is asked for.
        let file = || self.condition.as_deref().filter(|path| path.is_file());
        let named = || begun(&lookup::condition(file()?).ok()?.name);
        let stem = || self.condition.as_deref()?.file_stem()?.to_str().and_then(begun);
        self.language.clone().or_else(named).or_else(stem).unwrap_or_else(|| ENGLISH.into())
    }

    /// The shipped model that --speech names.
    fn shipped_speech(&self) -> Option<&str> {
        self.speech.as_deref().and_then(Path::to_str).filter(|name| shipped::say(name).is_some())
    }

    /// The text-to-speech model asked for, else the shipped one of the language.
    pub fn speech(&self) -> Result<SayModel> {
        let isa = self.model.isa()?;
        let named = self.shipped_speech();
        if let Some(path) = self.speech.as_ref().filter(|_| named.is_none()) {
            if !path.exists() {
                let known: Vec<_> = shipped::languages().collect();
                usage!("--speech {}: no such file; the shipped ones: {}", path.display(), known.join(", "));
            }
            let (file, path) = lookup::checkpoint(path).context("--speech")?;
            return SayModel::open(file, &path, isa);
        }
        let language = named.map_or_else(|| self.language(), String::from);
        match SayModel::shipped(&language, isa)? {
            Some(model) => Ok(model),
            None => {
                let known: Vec<_> = shipped::languages().collect();
                usage!(
                    "--language {language}: this program says {}; pass a model of another one with --speech",
                    if known.is_empty() { "none by itself".into() } else { known.join(", ") }
                )
            }
        }
    }

    /// The speaker asked for, else the first one of the language.
    pub fn speaker(&self, voice: &Voice, model: &SayModel) -> Result<PathBuf> {
        if let Some(path) = &self.condition {
            return Ok(path.clone());
        }
        let names = voice.speaker_names();
        let language = &model.section.language;
        let manner = shipped::manner(language).filter(|name| names.iter().any(|own| own == name));
        let own = names.iter().map(|name| &name[..]).find(|name| name.starts_with(&format!("{language}_")));
        match manner.or(own).or(names.first().map(|name| &name[..])) {
            Some(name) => Ok(name.into()),
            None => usage!("this voice needs to know who speaks: pass --condition with a condition file"),
        }
    }
}
