//! The voices that can be asked for: speakers by name, and mixtures of them.

use crate::lookup;
use crate::synth::Conditioning;
use crate::voice::Voice;
use anyhow::{Result, bail, ensure};
use std::path::Path;
use wavesynth_audio::cond::{self, Condition};

/// Speakers that one mixture has, at most.
const MOST_PARTS: usize = 8;

/// Speakers of one voice.
pub struct Voices {
    voices: Vec<(String, Condition, Conditioning)>,
}

impl Voices {
    /// The speakers of `voice` called `names`, each a condition file, a shipped one's name or one of the voice's own; all that
    /// the voice knows by name where there is none.
    ///
    /// # Errors
    /// A voice that takes no track, nothing of that name, or no speaker of this voice.
    pub fn new(voice: &Voice, names: &[String]) -> Result<Self> {
        ensure!(
            voice.track_shape().is_some(),
            "this model takes no track, so it can't say anything; pass a voice with -m MODEL"
        );
        let known: Vec<String> = voice.speaker_names().into_iter().map(String::from).collect();
        let names = if names.is_empty() { &known } else { names };
        let mut voices: Vec<(String, Condition, Conditioning)> = Vec::new();
        for name in names {
            let path = Path::new(name);
            let condition = lookup::condition_or(path, voice.speaker(name))?;
            let conditioning = Conditioning::new(voice, &condition)?.without_track();
            ensure!(conditioning.has_speaker(), "{name}: holds no speaker, only a track");
            // A file goes by its name without folder and ending.
            let called = path.file_stem().and_then(|s| s.to_str()).unwrap_or(name).to_string();
            if voices.iter().any(|(other, ..)| *other == called) {
                bail!("two voices are called {called:?}");
            }
            voices.push((called, condition, conditioning));
        }
        ensure!(
            !voices.is_empty(),
            "this voice knows no speaker by name; pass condition files with --voices"
        );
        Ok(Self { voices })
    }

    /// Their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.voices.iter().map(|(name, ..)| name.as_str())
    }

    /// The name of the first one.
    pub fn first_name(&self) -> &str {
        &self.voices[0].0
    }

    /// The first one, which speaks where none is asked for.
    pub fn first(&self) -> &Conditioning {
        &self.voices[0].2
    }

    /// The speaker that `text` means: a name, or a mixture as of `wavesynth condition mix`, `a=0.7 b=0.3`.
    ///
    /// # Errors
    /// An unknown name or voices that can't be mixed, in one line for whoever asked.
    pub fn find(&self, voice: &Voice, text: &str) -> Result<Conditioning, String> {
        if let Some((.., conditioning)) = self.voices.iter().find(|(name, ..)| name == text) {
            return Ok(conditioning.clone());
        }
        let parts: Vec<&str> = text.split_whitespace().collect();
        if !(1..=MOST_PARTS).contains(&parts.len()) {
            return Err(format!("a mixture of {} voices; wanted 1 to {MOST_PARTS}", parts.len()));
        }
        let mut weighted = Vec::new();
        for part in parts {
            let (name, Some(weight)) = cond::weighted(part) else {
                return Err(format!("{part:?}: wanted NAME or NAME=WEIGHT, such as a=0.7"));
            };
            let Some((_, condition, _)) = self.voices.iter().find(|(n, ..)| n == name) else {
                let names: Vec<_> = self.names().collect();
                return Err(format!("there is no voice {name:?}; wanted one of {}", names.join(", ")));
            };
            weighted.push((condition, weight));
        }
        let mixed = cond::mix(&weighted).map_err(|e| e.to_string())?;
        Conditioning::new(voice, &mixed).map_err(|e| e.to_string())
    }
}
