//! A text-to-speech model: durations and frames of phones, two networks in one file.
//!
//! With f_i what [`context`] tells of phone i, d_i its frames, and f_t, x_t of frame t:
//!
//! ```text
//! p(d, x | f) = Π_i p(d_i | d_<i, f_≤i) · Π_t p(x_t | x_<t, f_≤t)
//! ```
//!
//! Unidirectional recurrent networks as in Zen and Sak 2015, "Unidirectional long short-term memory recurrent neural network with
//! recurrent output layer for low-latency speech synthesis"; the frames' distribution is a mixture density (Zen and Senior 2014).

use super::context::{self, Sequence, frame_features, pauses_by_breaks, phone_features};
use super::language::check_code;
use super::phones::{PhoneSet, UnknownPhone};
use super::utterance::Utterance;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;
use wavesynth_audio::features::{self, CLAMP, FEATURES, SpeakerStats};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::{Checkpoint, Header};

use crate::columns::Columns;
use crate::kinds;
use crate::lookup;
use crate::shipped;
use crate::voice::Voice;

/// The key of [`SaySection`] in a checkpoint's header.
pub const SECTION: &str = "say";

/// Frames of the longest phone, 0.64 s: d frames are the symbol d − 1 of the network of durations.
pub const MOST_FRAMES: usize = 64;

/// The checkpoint section `say`: what the two networks were trained for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaySection {
    /// The language, as `en`.
    pub language: String,
    /// What is told of a phone: [`context::RECIPE`].
    pub context: String,
    /// What a frame is: [`features::RECIPE`].
    pub recipe: String,
    /// The phones, the pause first.
    pub phones: Vec<String>,
    /// `[FEATURES]` mean of each column of the frames.
    pub mean: Vec<f32>,
    /// `[FEATURES]` standard deviation of each column, above 0.
    pub std: Vec<f32>,
}

impl SaySection {
    /// The scale of the frames.
    pub fn columns(&self) -> Columns<'_> {
        Columns { mean: &self.mean, std: &self.std }
    }

    /// Checks the language's name and the scale: frames of speech lie within ±[`CLAMP`], and so do their means and deviations.
    fn check(&self) -> Result<()> {
        check_code(&self.language)?;
        self.columns().check(FEATURES, SECTION)?;
        for (key, values) in [("mean", &self.mean), ("std", &self.std)] {
            let far = values.iter().position(|x| x.abs() > CLAMP);
            if let Some(k) = far {
                bail!("{key} {k} is {:e}, frames of speech lie within {CLAMP} of 0", values[k]);
            }
        }
        Ok(())
    }
}

/// A text-to-speech model, packed.
pub struct SayModel {
    /// The network of frames; its second one is that of durations.
    pub frames: Loaded,
    /// The network of durations.
    pub durations: Loaded,
    /// What they were trained for.
    pub section: SaySection,
    /// Its phones.
    pub phones: PhoneSet,
    /// Whether it is the shipped one of its language: it learned from the voice's speakers whose names begin with that language.
    is_shipped: bool,
}

/// Whether a checkpoint says that it is a text-to-speech model.
pub fn is_say(header: &Header) -> bool {
    header.sections.contains_key(SECTION)
}

/// Whether `config` is given `features` numbers a step and nothing else.
pub fn is_given(config: &FamilyConfig, features: usize) -> bool {
    let condition = config.facts().condition.clone().unwrap_or_default();
    let plain = condition.embedding.is_none() && condition.classes == 0 && !condition.any_order;
    let frames = condition.frames.map(|f| (f.features, f.context, f.tells_source));
    plain && frames == Some((features, 0, false)) && config.facts().hop == 1
}

impl SayModel {
    /// Takes a model that was loaded already as one of text to speech.
    ///
    /// # Errors
    /// No such section, or one that does not fit the networks.
    pub fn from_loaded(mut model: Loaded) -> Result<Self> {
        kinds::check(&model.header)?;
        let section = model.header.sections.get(SECTION);
        let section = section
            .with_context(|| format!("not a text-to-speech model: its header has no `{SECTION}` section"))?;
        let section: SaySection =
            serde_json::from_value(section.clone()).with_context(|| format!("header section `{SECTION}`"))?;
        section.check().with_context(|| format!("header section `{SECTION}`"))?;
        for (key, found, wanted) in
            [("context", &section.context, context::RECIPE), ("recipe", &section.recipe, features::RECIPE)]
        {
            ensure!(found == wanted, "`{SECTION}`: {key} is `{found}`, this program knows `{wanted}`");
        }
        let phones =
            PhoneSet::new(section.phones.clone()).with_context(|| format!("header section `{SECTION}`"))?;
        let durations = *model.second.take().with_context(|| "it has no second network, of durations")?;
        let (p, dims) = (phones.len(), model.config.facts().likelihood.dims());
        ensure!(
            dims == FEATURES && is_given(&model.config, frame_features(p)),
            "its network of frames is for other phones or frames than `{SECTION}` says"
        );
        ensure!(
            durations.config.facts().likelihood.classes() == MOST_FRAMES
                && is_given(&durations.config, phone_features(p)),
            "its network of durations is for other phones than `{SECTION}` says"
        );
        Ok(Self { frames: model, durations, section, phones, is_shipped: false })
    }

    /// The model of the checkpoint `file`, which errors call `path`.
    ///
    /// # Errors
    /// As [`SayModel::from_loaded`], or what is no model.
    pub fn open(file: Checkpoint, path: &Path, isa: Isa) -> Result<Self> {
        let loaded = Loaded::from_checkpoint(file, isa).at(path)?;
        Self::from_loaded(loaded).with_context(|| path.display().to_string())
    }

    /// The shipped one of `language`; `None` where there is none.
    ///
    /// # Errors
    /// A damaged one.
    pub fn shipped(language: &str, isa: Isa) -> Result<Option<Self>> {
        let Some((file, path)) = lookup::shipped_say(language)? else { return Ok(None) };
        Ok(Some(Self { is_shipped: true, ..Self::open(file, &path, isa)? }))
    }

    /// Statistics of the speaker of `voice` in whose manner it is known to speak.
    pub fn learned_from(&self, voice: &Voice) -> Vec<SpeakerStats> {
        let manner = shipped::manner(&self.section.language).filter(|_| self.is_shipped);
        let own = voice.section.speakers.iter().filter(|s| Some(&s.name[..]) == manner);
        own.filter_map(|s| s.stats.clone()).collect()
    }

    /// The phones of `utterance`, with pauses at both ends and at every break.
    ///
    /// # Errors
    /// A phone that this language does not have.
    pub fn sequence(&self, utterance: &Utterance) -> Result<Sequence, UnknownPhone> {
        Sequence::new(&self.phones, utterance, pauses_by_breaks(utterance))
    }
}
