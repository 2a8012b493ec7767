//! A voice: a loaded model with the audio front end that it was trained for.

use crate::{lookup, text};
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;
use wavesynth_audio::pcm::Encoding;
use wavesynth_audio::{cond, features};
use wavesynth_models::families::wavenet;
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::Header;

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
}

/// The sizes of a network that makes sound; `path` is used in errors only.
///
/// # Errors
/// A family that makes no sound.
pub fn wavenet_config<'a>(config: &'a FamilyConfig, path: &Path) -> Result<&'a wavenet::Config> {
    let family = config.family();
    let wanted = || format!("{}: family `{family}`, wanted a voice (wavenet)", path.display());
    config.downcast().with_context(wanted)
}

impl VoiceSection {
    /// The section of a header; `path` is used in errors only.
    ///
    /// # Errors
    /// No such section (a model of text or images), or a damaged one.
    pub fn from_header(header: &Header, path: &Path) -> Result<Self> {
        let value = header.sections.get(SECTION).with_context(|| {
            format!("{}: not a voice: its header has no `{SECTION}` section", path.display())
        })?;
        let section: Self = serde_json::from_value(value.clone())
            .with_context(|| format!("{}: header section `{SECTION}`", path.display()))?;
        ensure!(
            wavesynth_audio::resample::RATES.contains(&section.sample_rate),
            "{}: sample_rate is {}, wanted 4000 to 384000",
            path.display(),
            section.sample_rate
        );
        if let Some(s) = section.speakers.iter().find(|s| s.stats.as_ref().is_some_and(|s| !s.is_valid())) {
            bail!(
                "{}: speaker {}: its stats hold {}",
                path.display(),
                s.name,
                features::SpeakerStats::INVALID
            );
        }
        ensure!(
            (0.0..1.0).contains(&section.preemphasis),
            "{}: preemphasis is {}, wanted 0 up to below 1",
            path.display(),
            section.preemphasis
        );
        Ok(section)
    }
}

impl Voice {
    /// Opens a voice by the path of a checkpoint or of a run's folder, or by the name of a shipped one, for the fastest
    /// instruction set of this machine.
    ///
    /// # Errors
    /// As [`lookup::checkpoint`] and [`Loaded::from_checkpoint`], or a model that is no voice.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let (file, path) = lookup::checkpoint(path.as_ref())?;
        Self::from_loaded(Loaded::from_checkpoint(file, Isa::detect()).at(&path)?, &path)
    }

    /// Takes a model that was loaded already as a voice; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`Voice::open`].
    pub fn from_loaded(model: Loaded, path: &Path) -> Result<Self> {
        if text::is_text(&model.header) {
            bail!("{}: a text model, no voice; `sample` generates text with it", path.display());
        }
        let config = wavenet_config(&model.config, path)?.clone();
        let section = VoiceSection::from_header(&model.header, path)?;
        let path = path.display();
        let classes = model.config.facts().likelihood.classes();
        let encoding = Encoding::of_classes(classes)
            .with_context(|| format!("{path}: {classes} classes, a voice has 256 or 65,536"))?;
        if let Some(c) = &config.condition {
            ensure!(
                c.speakers == section.speakers.len(),
                "{path}: {} speakers named, the table has {}",
                section.speakers.len(),
                c.speakers
            );
            if c.features > 0 && section.recipe != features::RECIPE {
                bail!(
                    "{path}: feature recipe `{}`, this program makes `{}`",
                    section.recipe,
                    features::RECIPE
                );
            }
        }
        Ok(Self { model, config, section, encoding })
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

    /// The extractor of this voice's features from sound that comes in, normalised by `speaker_stats`; `path` is used in
    /// errors only.
    ///
    /// # Errors
    /// A voice that takes no track, or one of another recipe than this program makes.
    pub fn extractor(
        &self,
        speaker_stats: features::RunningSpeakerStats,
        path: &Path,
    ) -> Result<features::CausalExtractor> {
        let (Some(shape), Some(c)) = (self.track_shape(), &self.config.condition) else {
            bail!("{}: this voice takes no track, so it can't follow live speech", path.display());
        };
        let own = cond::TrackShape {
            recipe: features::RECIPE,
            sample_rate: features::SAMPLE_RATE,
            hop: features::HOP as u32,
            features: features::FEATURES,
        };
        ensure!(shape == own, "{}: wants a track of {shape}, live speech gives {own}", path.display());
        Ok(features::CausalExtractor::new(c.context, speaker_stats))
    }

    /// The statistics of the voice's speaker with just this vector.
    pub(crate) fn stats_of(&self, vector: &[f32]) -> Option<&features::SpeakerStats> {
        let mut table = self.model.embeddings().chunks_exact(vector.len().max(1));
        let row = table.position(|row| row == vector)?;
        self.section.speakers.get(row)?.stats.as_ref()
    }

    /// The speaker vector of `condition`, checked to be of this voice's space.
    /// `path` is used in errors only. Empty for a voice without global conditioning.
    ///
    /// # Errors
    /// No vector where one is needed, another space, another length.
    pub fn speaker_vector(&self, condition: &cond::Condition, path: &Path) -> Result<Vec<f32>> {
        let wanted = self.config.condition.as_ref().map_or(0, |c| c.speaker_dim);
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let path = path.display();
        let Some(v) = &condition.speaker else {
            bail!("{path}: holds no speaker vector; pass a speaker with --condition, a track with --track");
        };
        ensure!(
            v.space == self.section.space,
            "{path}: made for the voice `{}`, this one is `{}`; enroll or mix it again for this voice",
            v.space,
            self.section.space
        );
        ensure!(
            v.values.len() == wanted,
            "{path}: speaker vector of {} values, this voice wants {wanted}",
            v.values.len()
        );
        Ok(v.values.clone())
    }
}
