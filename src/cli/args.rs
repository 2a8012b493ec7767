//! Arguments that several commands share: model, condition, sampling, length.

use super::{causes, usage};
use anyhow::{Result, anyhow};
use clap::Args;
use std::path::{Path, PathBuf};
use wavesynth::lookup;
use wavesynth::shipped::{self, TEXT, VOICE};
use wavesynth::synth::{Conditioning, Length, SamplingPolicy};
use wavesynth::voice::{self, SpeakerSection, Voice};
use wavesynth_audio::cond::Condition;
use wavesynth_audio::features::SpeakerStats;
use wavesynth_models::ar::Sampling;
use wavesynth_models::in_file::AtPath;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::{Checkpoint, Dtype};

/// Longest sound that one run makes, in seconds: a day.
pub const MAX_SECONDS: f64 = 86_400.0;

/// Seconds of sound where neither `--seconds` nor a track gives a length.
const DEFAULT_SECONDS: f64 = 10.0;

/// Which model, run how.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// Checkpoint, the folder of a run, or `voice`, `music`, `text`, `digits` or `emoji`, which always mean the shipped one: a
    /// file of that name is `./voice` [default: voice]
    #[arg(short, long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Type of the weights in memory: f32, f16 or i8 [default: the file's own]
    #[arg(long, value_name = "TYPE")]
    dtype: Option<Dtype>,
    #[command(flatten)]
    isa: IsaArgs,
}

/// Instruction set of the engine.
#[derive(Debug, Args)]
pub struct IsaArgs {
    /// Instruction set of the engine: auto, plain, avx2, avx512 or neon
    #[arg(long, value_name = "ISA", default_value = "auto", hide_short_help = true)]
    isa: String,
}

impl IsaArgs {
    /// The instruction set meant.
    pub fn get(&self) -> Result<Isa> {
        if self.isa == "auto" {
            return Ok(Isa::detect());
        }
        let here = Isa::available();
        if let Some(isa) = here.iter().find(|i| i.name() == self.isa) {
            return Ok(*isa);
        }
        let names: Vec<_> = here.iter().map(|i| i.name()).collect();
        usage!("--isa {}: this machine has auto, {}", self.isa, names.join(", "));
    }
}

impl ModelArgs {
    /// The file or the folder that was named, which may be the name of a shipped model.
    pub fn file(&self) -> Option<&Path> {
        self.model.as_deref()
    }

    /// The checkpoint with the type of weights asked for, and the path that errors call it by.
    pub fn checkpoint(&self) -> Result<(Checkpoint, PathBuf)> {
        self.checkpoint_or(VOICE)
    }

    fn checkpoint_or(&self, default: &str) -> Result<(Checkpoint, PathBuf)> {
        let path = self.model.as_deref().unwrap_or(Path::new(default));
        let (mut checkpoint, path) = read_checkpoint(Some(path))?;
        if let Some(dtype) = self.dtype {
            loaded::quantise(&mut checkpoint, dtype).at(&path)?;
        }
        Ok((checkpoint, path))
    }

    /// The model, packed for the instruction set asked for.
    pub fn load(&self) -> Result<(Loaded, PathBuf)> {
        let isa = self.isa.get()?;
        let (checkpoint, path) = self.checkpoint()?;
        Ok((Loaded::from_checkpoint(checkpoint, isa).at(&path)?, path))
    }

    /// A model that is no voice, the shipped text model unless another is named.
    pub fn text_images_or_series(&self) -> Result<(Loaded, PathBuf)> {
        let isa = self.isa.get()?;
        let (checkpoint, path) = self.checkpoint_or(TEXT)?;
        Ok((Loaded::from_checkpoint(checkpoint, isa).at(&path)?, path))
    }

    /// The checkpoint of a voice that plays: with i8 weights unless another type was asked for.
    pub fn playing(&self) -> Result<(Checkpoint, PathBuf)> {
        let (mut checkpoint, path) = self.checkpoint()?;
        if self.dtype.is_none() {
            voice::for_playing(&mut checkpoint).at(&path)?;
        }
        Ok((checkpoint, path))
    }

    /// The same as a voice.
    pub fn voice(&self) -> Result<Voice> {
        let isa = self.isa.get()?;
        let (checkpoint, path) = self.playing()?;
        let model = Loaded::from_checkpoint(checkpoint, isa).at(&path)?;
        Ok(Voice::from_loaded(model).at(&path)?)
    }

    /// A short name for tables.
    pub fn name(&self) -> String {
        match self.model.as_deref().and_then(Path::file_stem) {
            Some(stem) => stem.to_string_lossy().into_owned(),
            None => "shipped".into(),
        }
    }

    /// The instruction set asked for.
    pub fn isa(&self) -> Result<Isa> {
        self.isa.get()
    }

    /// The type of weights asked for.
    pub fn dtype(&self) -> Option<Dtype> {
        self.dtype
    }
}

/// As [`lookup::checkpoint`]; the shipped voice where no path is given.
pub fn read_checkpoint(path: Option<&Path>) -> Result<(Checkpoint, PathBuf)> {
    let path = path.unwrap_or(Path::new(VOICE));
    match path.to_str() {
        Some(name) if shipped::is_model_name(name) && shipped::model(name).is_none() => {
            usage!("this program was built without its model `{name}`; pass a checkpoint with -m MODEL")
        }
        _ => lookup::checkpoint(path),
    }
}

/// Speaker and track.
#[derive(Debug, Args)]
pub struct ConditionArgs {
    /// Condition file, or the name of a shipped one: the speaker, and the track if it holds one. A shipped name always
    /// means the shipped one: a file of that name is `./NAME`
    #[arg(short, long, value_name = "C.bin")]
    pub condition: Option<PathBuf>,
    /// Condition file, or the name of a shipped one, whose track is used; a file of a shipped name is `./NAME`
    #[arg(short, long, value_name = "T.bin")]
    pub track: Option<PathBuf>,
}

impl ConditionArgs {
    /// The files that were named, which may be names of shipped ones.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.condition.as_deref().into_iter().chain(self.track.as_deref())
    }

    /// Whether --condition or --track was given.
    pub fn is_given(&self) -> bool {
        self.condition.is_some() || self.track.is_some()
    }

    /// The file given by --condition.
    pub fn condition(&self) -> Result<Option<Condition>> {
        self.condition.as_deref().map(lookup::condition).transpose()
    }

    /// The conditioning that they mean for `voice`.
    pub fn conditioning(&self, voice: &Voice) -> Result<Conditioning> {
        if voice.config.condition.is_none() && self.condition.is_some() {
            usage!("this model takes no condition: leave --condition out");
        }
        let conditioning = Conditioning::read(voice, self.condition.as_ref(), self.track.as_ref())?;
        check_speaker(voice, &conditioning, self.condition.as_deref())?;
        Ok(conditioning)
    }
}

/// Refuses `conditioning` where `voice` wants a speaker and it has none; `given` is what --condition names.
pub fn check_speaker(voice: &Voice, conditioning: &Conditioning, given: Option<&Path>) -> Result<()> {
    if conditioning.check_speaker(voice).is_ok() {
        return Ok(());
    }
    let names = voice.speaker_names();
    let known = if names.is_empty() {
        "a condition file".into()
    } else {
        format!("a condition file or one of {}", names.join(", "))
    };
    match given {
        Some(given) => usage!(
            "--condition {}: holds no speaker, and this voice needs to know who speaks: pass {known}",
            given.display()
        ),
        None => usage!("this voice needs to know who speaks: pass --condition with {known}"),
    }
}

/// How another speaker's track becomes the target's.
#[derive(Debug, Args)]
pub struct ConversionArgs {
    /// Of another speaker's track or speech: 0 for the clearest words, 1 for the most of the target's voice
    /// [default: 0.7 for the shipped voice]
    #[arg(long, value_name = "L", allow_negative_numbers = true)]
    likeness: Option<f32>,
}

impl ConversionArgs {
    /// `voice`, converting so.
    pub fn of(&self, mut voice: Voice) -> Result<Voice> {
        if let Some(l) = self.likeness.filter(|l| !(0.0..=1.0).contains(l)) {
            usage!("--likeness {l}: wanted 0 to 1");
        }
        voice.likeness = self.likeness;
        Ok(voice)
    }
}

/// Statistics of the speaker that `--like` names: one of a voice's `speakers`, or that of a condition file.
pub fn stats_like(speakers: &[SpeakerSection], like: &Path) -> Result<SpeakerStats> {
    let stats = match speakers.iter().find(|s| like.to_str() == Some(s.name.as_str())) {
        Some(own) => own.stats.clone(),
        None => {
            let known: Vec<_> = speakers.iter().map(|s| s.name.as_str()).collect();
            let named = |e| {
                let why = causes(&e);
                let why = why.strip_prefix("condition: ").unwrap_or(&why);
                anyhow!("--like {why}; the voice's speakers: {}", known.join(", "))
            };
            let condition = lookup::condition(like).map_err(named)?;
            condition.speaker_stats().cloned().or(condition.stats)
        }
    };
    stats.ok_or_else(|| {
        anyhow!(
            "--like {}: holds no statistics of a speaker; leave it out to take them from what comes in",
            like.display()
        )
    })
}

/// `arg`, whose help has `new` in place of `old`: a default that is another one for the command at hand.
pub fn instead(arg: clap::Arg, old: &str, new: &str) -> clap::Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(help.replace(old, new))
}

/// A seed as typed.
pub fn seed(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

/// How symbols are drawn.
#[derive(Debug, Args)]
pub struct SamplingArgs {
    /// Seed of the uniform numbers: equal seeds give equal bytes
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = seed)]
    pub seed: u64,
    /// Divides the logits: below 1 less random, above 1 more, 0 always the likeliest symbol [default: 1]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Draw among the K likeliest symbols only; 0 means all
    #[arg(long, value_name = "K", default_value_t = 0, allow_negative_numbers = true)]
    top_k: usize,
    /// Draw among the likeliest symbols that together have probability P
    #[arg(long, value_name = "P", default_value_t = 1.0, allow_negative_numbers = true)]
    top_p: f32,
    /// Draw among the symbols that are at least P times as likely as the likeliest; 0 means all
    #[arg(long, value_name = "P", default_value_t = 0.0, allow_negative_numbers = true)]
    min_p: f32,
}

impl SamplingArgs {
    /// The checked values, at temperature `usual` unless another was asked for.
    pub fn get(&self, usual: f32) -> Result<Sampling> {
        let SamplingArgs { temperature, top_k, top_p, min_p, .. } = *self;
        let temperature = temperature.unwrap_or(usual);
        match (Sampling { temperature, top_k, top_p, min_p }).checked() {
            Ok(s) => Ok(s),
            Err(e) => usage!("--{e}"),
        }
    }
}

/// How a voice draws its samples.
#[derive(Debug, Args)]
#[command(mut_arg("temperature", |a| instead(a, "[default: 1]", "[default: 0.9; 1 for babble]")))]
pub struct PolicyArgs {
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Lower the temperature by this fraction where speech is fully voiced: less noise in it
    #[arg(long, value_name = "S", default_value_t = 0.0, allow_negative_numbers = true)]
    sharpen: f32,
    /// Leave the sound as it was drawn: by default it is filtered towards the track, for less noise, 10 ms later
    #[arg(long)]
    no_post_filter: bool,
}

impl PolicyArgs {
    /// Whether the sound goes through the post-filter, where the voice has a track.
    pub fn post_filter(&self) -> bool {
        !self.no_post_filter
    }

    /// The checked values; `usual` gives the temperature where none is asked for.
    pub fn get(&self, usual: SamplingPolicy) -> Result<SamplingPolicy> {
        let (sampling, sharpen) = (self.sampling.get(usual.sampling.temperature)?, self.sharpen);
        if !(0.0..=1.0).contains(&sharpen) {
            usage!("--sharpen {sharpen}: wanted 0 to 1");
        }
        Ok(SamplingPolicy { sampling, sharpen })
    }

    /// Seed of the uniform numbers.
    pub fn seed(&self) -> u64 {
        self.sampling.seed
    }
}

/// How long.
#[derive(Debug, Clone, Args)]
pub struct LengthArgs {
    /// Seconds of sound [default: the track's length, else 10]
    #[arg(short, long, value_name = "S", allow_negative_numbers = true)]
    pub seconds: Option<f64>,
}

impl LengthArgs {
    /// The length of sound meant, where `conditioning` is played at `sample_rate` Hz.
    pub fn get(&self, conditioning: &Conditioning, sample_rate: u32) -> Result<Length> {
        let seconds = match self.seconds {
            None if conditioning.has_track() => return Ok(Length::Track),
            None => DEFAULT_SECONDS,
            Some(s) if s > 0.0 && s <= MAX_SECONDS => s,
            Some(s) => usage!("--seconds {s}: wanted more than 0 and at most {MAX_SECONDS} (a day)"),
        };
        Ok(Length::Samples(((seconds * f64::from(sample_rate)).round() as u64).max(1)))
    }

    /// Whether a length was asked for.
    pub fn is_given(&self) -> bool {
        self.seconds.is_some()
    }
}
