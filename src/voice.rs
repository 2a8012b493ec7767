//! A voice: a loaded model with the audio front end that it was trained for.

use crate::kinds::SeveralKinds;
use crate::{kinds, lookup, shipped, text};
use serde::{Deserialize, Serialize};
use std::path::Path;
use wavesynth_audio::pcm::{Encoding, MAX_COEFFICIENT};
use wavesynth_audio::{cond, features};
use wavesynth_models::condition::FrameSpec;
use wavesynth_models::families::wavenet;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::{self, Loaded, ModelError};
use wavesynth_models::weights::{Checkpoint, Dtype, Header};
use wavesynth_output::name::{self, NameError};

/// The checkpoint section `voice`: the audio front end of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VoiceSection {
    /// Samples per second.
    pub sample_rate: u32,
    /// a of the pre-emphasis x_t − a·x_{t−1} in front of the mu-law.
    pub preemphasis: f32,
    /// The feature recipe of the local conditioning; empty without one.
    pub recipe: String,
    /// Names the space that speaker vectors live in: vectors of another space mean nothing to this model.
    pub space: String,
    /// One per row of the speaker table.
    pub speakers: Vec<SpeakerSection>,
    /// The space that the speakers' [`features::SpeakerStats::common`] map to, with which other speakers can be aligned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub common: Option<features::common::Codebook>,
}

/// A speaker that the model was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpeakerSection {
    /// As the training run named it.
    pub name: String,
    /// The statistics that normalise this speaker's features; absent without local conditioning.
    pub stats: Option<features::SpeakerStats>,
}

/// The key of [`VoiceSection`] in a checkpoint's header.
pub const SECTION: &str = "voice";

/// A model that makes sound.
#[derive(Clone)]
pub struct Voice {
    /// The model, packed.
    pub model: Loaded,
    /// Its sizes.
    pub config: wavenet::Config,
    /// Its front end.
    pub section: VoiceSection,
    /// How its symbols become samples.
    pub encoding: Encoding,
    /// Speaker conversion, 0 for the clearest words, 1 for the most of the target: how far a vector moves away from the source's, as a
    /// multiple of their distance, and, below what the voice was measured with (`None`), what share of the map of its track is taken.
    pub likeness: Option<f32>,
}

/// Why a model is no voice, or what does not fit one.
#[derive(Debug, thiserror::Error)]
pub enum VoiceError {
    /// A model of two kinds.
    #[error(transparent)]
    Kinds(#[from] SeveralKinds),
    /// A model of text.
    #[error("a text model, no voice; `sample` generates text with it")]
    Text,
    /// A family that makes no sound.
    #[error("family `{0}`, wanted a voice (wavenet)")]
    Family(String),
    /// A model of something else.
    #[error("not a voice: its header has no `{SECTION}` section")]
    NoSection,
    /// The header's section is not what a voice has there.
    #[error("header section `{SECTION}`: {0}")]
    Section(serde_json::Error),
    /// A value of the section that no voice has.
    #[error("{key} is {found}, wanted {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        found: f64,
        /// What it may be.
        wanted: &'static str,
    },
    /// The name of a speaker that is none.
    #[error("the name of speaker {row}, {name:?}, {error}")]
    Name {
        /// Row of the speaker table.
        row: usize,
        /// The name.
        name: String,
        /// What is wrong.
        error: NameError,
    },
    /// Two speakers of one name.
    #[error("two speakers are called {0:?}")]
    Twice(String),
    /// A text of the section with a control character in it.
    #[error("{key} {error}")]
    Line {
        /// The key.
        key: &'static str,
        /// What is wrong.
        error: NameError,
    },
    /// Statistics that normalise nothing.
    #[error("speaker {0}: its stats hold {invalid}", invalid = features::SpeakerStats::INVALID)]
    Stats(String),
    /// Symbols that are no samples.
    #[error("{0} classes, a voice has 256 or 65,536")]
    Classes(usize),
    /// A table of another height.
    #[error("{named} speakers named, the table has {rows}")]
    Speakers {
        /// In the section.
        named: usize,
        /// In the config.
        rows: usize,
    },
    /// Features that this program does not make.
    #[error("feature recipe `{0}`, this program makes `{recipe}`", recipe = features::RECIPE)]
    Recipe(String),
    /// A voice without local conditioning.
    #[error("this voice takes no track, so it can't follow live speech")]
    NoTrack,
    /// A voice with other features than live speech has.
    #[error("wants a track of {wanted}, live speech gives {found}")]
    LiveTrack {
        /// The voice's.
        wanted: String,
        /// Live speech's.
        found: String,
    },
}

/// The sizes of a network that makes sound.
///
/// # Errors
/// A family that makes no sound.
pub fn wavenet_config(config: &FamilyConfig) -> Result<&wavenet::Config, VoiceError> {
    config.downcast().ok_or_else(|| VoiceError::Family(config.family().into()))
}

impl VoiceSection {
    /// The section of a header.
    ///
    /// # Errors
    /// No such section (a model of text or images), or a damaged one.
    pub fn from_header(header: &Header) -> Result<Self, VoiceError> {
        let value = header.sections.get(SECTION).ok_or(VoiceError::NoSection)?;
        let section: Self = serde_json::from_value(value.clone()).map_err(VoiceError::Section)?;
        for (row, s) in section.speakers.iter().enumerate() {
            name::check(&s.name).map_err(|error| VoiceError::Name { row, name: s.name.clone(), error })?;
            if section.speakers[..row].iter().any(|before| before.name == s.name) {
                return Err(VoiceError::Twice(s.name.clone()));
            }
        }
        for (key, text) in [("recipe", &section.recipe), ("space", &section.space)] {
            name::check_text(text, name::MAX_BYTES).map_err(|error| VoiceError::Line { key, error })?;
        }
        let value = |key, found, wanted| Err(VoiceError::Value { key, found, wanted });
        if !wavesynth_audio::resample::RATES.contains(&section.sample_rate) {
            return value("sample_rate", section.sample_rate.into(), "4000 to 384000");
        }
        if let Some(s) = section.speakers.iter().find(|s| s.stats.as_ref().is_some_and(|s| !s.is_valid())) {
            return Err(VoiceError::Stats(s.name.clone()));
        }
        if !(0.0..=MAX_COEFFICIENT).contains(&section.preemphasis) {
            return value("preemphasis", section.preemphasis.into(), "0 to 0.99");
        }
        Ok(section)
    }
}

/// Stores the weights of `file` as they play: what a sample reads as i8, which says the same a few times as fast. A family
/// that keeps its weights in larger types, and weights that are smaller already, stay as they are.
///
/// # Errors
/// As [`loaded::quantise`], but for the family's own types.
pub fn for_playing(file: &mut Checkpoint) -> Result<(), ModelError> {
    match loaded::quantise(file, Dtype::I8) {
        Err(ModelError::Dtype { .. }) => Ok(()),
        done => done,
    }
}

impl VoiceSection {
    /// The condition of speaker `row`, whose vector is `values`.
    ///
    /// # Panics
    /// Without such a speaker.
    pub fn condition(&self, row: usize, values: &[f32]) -> cond::Condition {
        let SpeakerSection { name, stats } = self.speakers[row].clone();
        cond::Condition {
            source: format!("trained with the voice {}", self.space),
            name,
            speaker: Some(cond::SpeakerVector::new(self.space.clone(), values.to_vec())),
            stats,
            track: None,
        }
    }
}

impl Voice {
    /// Opens a voice [for playing](for_playing) by the path of a checkpoint or of a run's folder, or by the name of a shipped
    /// one, for the fastest instruction set of this machine.
    ///
    /// # Errors
    /// As [`lookup::checkpoint`] and [`Loaded::from_checkpoint`], or a model that is no voice.
    pub fn open(path: impl AsRef<Path>) -> anyhow::Result<Self> {
        let (mut file, path) = lookup::checkpoint(path.as_ref())?;
        for_playing(&mut file).at(&path)?;
        Ok(Self::from_loaded(Loaded::from_checkpoint(file, Isa::detect()).at(&path)?).at(&path)?)
    }

    /// Takes a model that was loaded already as a voice.
    ///
    /// # Errors
    /// A model that is no voice, or a damaged section.
    pub fn from_loaded(model: Loaded) -> Result<Self, VoiceError> {
        kinds::check(&model.header)?;
        if text::is_text(&model.header) {
            return Err(VoiceError::Text);
        }
        let config = wavenet_config(&model.config)?.clone();
        let section = VoiceSection::from_header(&model.header)?;
        let classes = model.config.facts().likelihood.classes();
        let encoding = Encoding::of_classes(classes).ok_or(VoiceError::Classes(classes))?;
        if let Some(c) = &config.condition {
            let (named, rows) = (section.speakers.len(), c.speakers);
            if named != rows {
                return Err(VoiceError::Speakers { named, rows });
            }
            if c.features > 0 && section.recipe != features::RECIPE {
                return Err(VoiceError::Recipe(section.recipe));
            }
        }
        Ok(Self { model, config, section, encoding, likeness: None })
    }

    /// The track that the voice takes; `None` for a voice that takes none.
    pub fn track_shape(&self) -> Option<cond::TrackShape<'_>> {
        let c = self.config.condition.as_ref().filter(|c| c.features > 0)?;
        Some(cond::TrackShape {
            recipe: &self.section.recipe,
            sample_rate: self.section.sample_rate,
            hop: c.hop as u32,
            features: c.features,
        })
    }

    /// The extractor of this voice's features from sound that comes in, normalised by `speaker_stats`.
    ///
    /// # Errors
    /// A voice that takes no track, or one of another recipe than this program makes.
    pub fn extractor(
        &self,
        speaker_stats: features::RunningSpeakerStats,
    ) -> Result<features::CausalExtractor, VoiceError> {
        let (Some(shape), Some(c)) = (self.track_shape(), &self.config.condition) else {
            return Err(VoiceError::NoTrack);
        };
        let own = own_shape();
        if shape != own {
            return Err(VoiceError::LiveTrack { wanted: shape.to_string(), found: own.to_string() });
        }
        Ok(features::CausalExtractor::new(c.context, speaker_stats))
    }

    /// Whether its track is what this program makes of recordings.
    pub fn follows_own_recipe(&self) -> bool {
        self.track_shape() == Some(own_shape()) && self.section.sample_rate == features::SAMPLE_RATE
    }

    /// The frames that text to speech has to draw for it; none where it takes other ones, or none.
    pub fn spoken_frames(&self) -> Option<FrameSpec> {
        let frames = self.model.config.facts().condition.as_ref()?.frames;
        frames.filter(|_| self.follows_own_recipe())
    }

    /// The condition of the voice's own speaker called `name`.
    pub fn speaker(&self, name: &str) -> Option<cond::Condition> {
        let row = self.section.speakers.iter().position(|s| s.name == name)?;
        let dim = self.config.condition.as_ref().map_or(0, |c| c.speaker_dim).max(1);
        Some(self.section.condition(row, self.model.embeddings().chunks_exact(dim).nth(row)?))
    }

    /// Names that [`crate::synth::Conditioning::read`] takes for a speaker of this voice: its own, and the shipped ones that
    /// are in its space.
    pub fn speaker_names(&self) -> Vec<&str> {
        let own = |name: &str| self.section.speakers.iter().any(|s| s.name == name);
        let shipped = shipped::speakers().filter(move |name| {
            let space = lookup::shipped_space(name);
            !own(name) && space.is_some_and(|space| space == self.section.space)
        });
        let mut names: Vec<&str> = self.section.speakers.iter().map(|s| s.name.as_str()).collect();
        shipped.for_each(|name| names.push(name));
        names
    }

    /// The statistics of the voice's speaker with just this vector.
    pub(crate) fn stats_of(&self, vector: &[f32]) -> Option<&features::SpeakerStats> {
        let mut table = self.model.embeddings().chunks_exact(vector.len().max(1));
        let row = table.position(|row| row == vector)?;
        self.section.speakers.get(row)?.stats.as_ref()
    }
}

/// The track that this program makes of recordings.
fn own_shape() -> cond::TrackShape<'static> {
    cond::TrackShape {
        recipe: features::RECIPE,
        sample_rate: features::SAMPLE_RATE,
        hop: features::HOP as u32,
        features: features::FEATURES,
    }
}
