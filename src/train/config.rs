//! The run file: what to train, on what, for how long. TOML, every key checked, every error naming file and key.

pub mod check;

use super::cross_speaker::CrossSpeaker;
use super::perturbation::Perturbation;
use super::schedules::{Curriculum, Scheduled};
use super::units::Bytes;
use anyhow::{Context, Result, anyhow, bail, ensure};
use check::{parse_toml, range, read_text};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use wavesynth_audio::features;
use wavesynth_audio::pcm::{Encoding, MAX_COEFFICIENT};
use wavesynth_models::family::{FamilyConfig, Given, GivenCondition, ModelKeys};
use wavesynth_models::likelihood::{LikelihoodConfig, LogisticMixture};
pub use wavesynth_models::objective::Engine;

/// Conditioning frames per second.
pub const FRAME_RATE: u32 = features::SAMPLE_RATE / features::HOP as u32;

/// A run file as it was read. Paths in it are relative to the folder that the program was started in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// Where the recordings are.
    #[serde(default)]
    pub corpus: CorpusConfig,
    /// Speakers by name and folder, beside those of `corpus.root`.
    #[serde(default, rename = "speaker", skip_serializing_if = "Vec::is_empty")]
    pub speakers: Vec<Speaker>,
    /// Rate and pre-emphasis.
    #[serde(default)]
    pub audio: Audio,
    /// Sizes of the network.
    pub model: ModelKeys,
    /// How it learns.
    pub train: Train,
}

/// Section `[corpus]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorpusConfig {
    /// A folder with one sub-folder of recordings for each speaker.
    pub root: Option<PathBuf>,
    /// Only these sub-folders of `root`, in this order; all of them, sorted by name, when empty.
    pub speakers: Vec<String>,
    /// Fraction of the files that is held out where no `transcripts.tsv` decides; 0 holds nothing out.
    pub held_out: f64,
    /// Shorter files are skipped.
    pub min_seconds: f64,
    /// Recordings that can't be read are left out, where without it the first of them is an error. All are read once
    /// ahead to know them.
    pub skip_bad: bool,
    /// A speaker is drawn in proportion to (seconds of speech)^balance: 1 is by length, 0 is all alike.
    pub balance: f64,
}

impl Default for CorpusConfig {
    fn default() -> Self {
        Self {
            root: None,
            speakers: Vec::new(),
            held_out: 0.05,
            min_seconds: 0.3,
            skip_bad: false,
            balance: 0.5,
        }
    }
}

/// Section `[[speaker]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Speaker {
    /// Its name in the checkpoint.
    pub name: String,
    /// A folder of recordings.
    pub folder: PathBuf,
}

/// Section `[audio]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audio {
    /// Samples per second of the model; recordings of any rate are resampled to it.
    pub sample_rate: u32,
    /// a of x_t − a·x_{t−1} in front of the encoding.
    pub preemphasis: f32,
    /// Bits of a sample: 8 for mu-law codes and a softmax over them, 16 for a mixture of logistics over all levels.
    pub bits: Bits,
    /// Components of that mixture.
    pub logistics: usize,
}

/// Bits of a sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Bits {
    /// Mu-law codes.
    #[default]
    Eight,
    /// Levels.
    Sixteen,
}

impl Bits {
    /// How samples become symbols.
    pub fn encoding(self) -> Encoding {
        match self {
            Self::Eight => Encoding::MuLaw,
            Self::Sixteen => Encoding::Linear16,
        }
    }
}

impl TryFrom<u8> for Bits {
    type Error = String;

    fn try_from(bits: u8) -> std::result::Result<Self, String> {
        match bits {
            8 => Ok(Self::Eight),
            16 => Ok(Self::Sixteen),
            _ => Err(format!("bits is {bits}, wanted 8 or 16")),
        }
    }
}

impl From<Bits> for u8 {
    fn from(bits: Bits) -> Self {
        match bits {
            Bits::Eight => 8,
            Bits::Sixteen => 16,
        }
    }
}

impl Default for Audio {
    fn default() -> Self {
        Self { sample_rate: 16_000, preemphasis: 0.85, bits: Bits::Eight, logistics: 10 }
    }
}

/// What makes a step of a gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Every number by its own gradients.
    AdamW,
    /// Products between hidden layers as matrices, all else by AdamW.
    Muon,
}

/// Keys of `[train]` that mean something for recordings only.
pub const OF_RECORDINGS: [&str; 7] = [
    "input_noise",
    "perturbation",
    "disguise",
    "others",
    "feature_dropout",
    "dropout_speech",
    "eval_seconds",
];

/// Section `[train]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Train {
    /// Steps of the whole run.
    pub steps: Option<u64>,
    /// Instead of `steps`: hours of the whole run, turned into steps once by timing the first ones.
    pub hours: Option<f64>,
    /// Samples of a window that count in the loss.
    pub window: usize,
    /// Samples at most that warm a window up, so that memory and time of a step do not grow with the receptive field;
    /// all of the receptive field when left out. With less, the first rows of a loss see zeros where the recording has
    /// a past, as at its beginning. The engine sees that past, so held-out readings always take all.
    pub max_warmup: Option<usize>,
    /// Windows of a step, on each rank of several; 8 when left out. With `max_memory` the most that it may take.
    pub batch: Option<usize>,
    /// Memory of the whole program, as in `"800 MB"`: the step gets as many windows as fit by the forecast, up to
    /// `batch`, or up to 64 where that is left out. A resumed run keeps the number that it began with.
    pub max_memory: Option<Bytes>,
    /// The optimiser.
    pub optimizer: OptimizerKind,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Steps over which the learning rate rises from 0.
    pub warmup_steps: u64,
    /// The cosine decay ends at this fraction of `learning_rate`.
    pub final_fraction: f64,
    /// AdamW's β₁.
    pub beta1: f64,
    /// AdamW's β₂.
    pub beta2: f64,
    /// Decoupled weight decay, on products only.
    pub weight_decay: f64,
    /// The gradient is scaled down to this global norm.
    pub clip_norm: f64,
    /// Decay of the exponential moving average of the weights, which becomes the voice.
    pub ema: f64,
    /// Standard deviation of the noise on the inputs, in mu-law steps, reached after a third of the run.
    pub input_noise: f64,
    /// Perturbs the speaker in the feature tracks, so that only the speaker vector tells who speaks.
    #[serde(alias = "disguise")]
    pub perturbation: Option<Perturbation>,
    /// Cross-speaker tracks beside the speakers' own samples, for speaker conversion.
    pub others: Option<CrossSpeaker>,
    /// The tensors that are trained, all others held: by the beginning of their names, as in `["cond.others"]`; all
    /// of them when left out.
    pub only: Vec<String>,
    /// Probability that a window is trained without its feature track.
    pub feature_dropout: f64,
    /// Windows without their track are drawn where at least this fraction of the frames is speech; 0 takes any.
    pub dropout_speech: f64,
    /// Mixes the model's own symbols into its inputs.
    pub scheduled_sampling: Option<Scheduled>,
    /// Makes windows grow to `window` over the first part of the run.
    pub curriculum: Option<Curriculum>,
    /// Where all random numbers come from.
    pub seed: u64,
    /// Threads of a process; 0 for all cores that it may use.
    pub threads: usize,
    /// Which code computes loss and gradient.
    pub engine: Engine,
    /// Steps between two lines of the log.
    pub log_every: u64,
    /// Steps between two held-out evaluations.
    pub eval_every: u64,
    /// Seconds of held-out recordings that an evaluation reads.
    pub eval_seconds: f64,
    /// Minutes between two checkpoints.
    pub checkpoint_every_minutes: f64,
    /// Also keeps the checkpoint with the best held-out reading, as `best.safetensors`.
    pub keep_best: bool,
    /// Folder of checkpoint, state and log; `runs/` and the run file's name when left out.
    pub out: Option<PathBuf>,
    /// A checkpoint whose weights the run starts from, in place of random ones: its path, a run's folder, or a shipped
    /// model's name. Its speakers need not be the run's: those
    /// of the same name keep their vectors, others begin with the mean of all. Nor need its channels be as many: where
    /// the run has more, the new ones change nothing at first.
    pub start_from: Option<PathBuf>,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            steps: None,
            hours: None,
            window: 6400,
            max_warmup: None,
            batch: None,
            max_memory: None,
            optimizer: OptimizerKind::AdamW,
            learning_rate: 1e-3,
            warmup_steps: 200,
            final_fraction: 0.03,
            beta1: 0.9,
            beta2: 0.99,
            weight_decay: 0.01,
            clip_norm: 1.0,
            ema: 0.999,
            input_noise: 0.3,
            perturbation: None,
            others: None,
            only: Vec::new(),
            feature_dropout: 0.1,
            dropout_speech: 0.8,
            scheduled_sampling: None,
            curriculum: None,
            seed: 1,
            threads: 0,
            engine: Engine::Fused,
            log_every: 10,
            eval_every: 500,
            eval_seconds: 16.0,
            checkpoint_every_minutes: 5.0,
            keep_best: false,
            out: None,
            start_from: None,
        }
    }
}

impl RunFile {
    /// Reads and checks the run file of a voice at `path`; also gives its text.
    ///
    /// # Errors
    /// An unreadable file, an unknown or missing key, a value out of range: file, key and what was wanted.
    pub fn read(path: &Path) -> Result<(Self, String)> {
        let text = read_text(path)?;
        let run = Self::parse(&text, &path.display().to_string())?;
        Ok((run, text))
    }

    /// Reads a run file's text; `name` is used in errors only.
    ///
    /// # Errors
    /// As [`RunFile::read`].
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let run: Self = parse_toml(text, name)?;
        run.validate().with_context(|| name.to_string())?;
        Ok(run)
    }

    fn validate(&self) -> Result<()> {
        let (c, t) = (&self.corpus, &self.train);
        if c.root.is_none() && self.speakers.is_empty() {
            bail!("no recordings: wanted corpus.root, or [[speaker]] with name and folder");
        }
        range("corpus.held_out", c.held_out, 0.0, 0.5)?;
        range("corpus.min_seconds", c.min_seconds, 0.0, 60.0)?;
        range("corpus.balance", c.balance, 0.0, 1.0)?;
        range("audio.sample_rate", f64::from(self.audio.sample_rate), 1000.0, 384_000.0)?;
        range("audio.preemphasis", f64::from(self.audio.preemphasis), 0.0, f64::from(MAX_COEFFICIENT))?;
        t.validate()?;
        // The speakers are not counted yet; one stands for them.
        let network = self.network(1)?;
        let condition = network.facts().condition.clone().unwrap_or_default();
        let rate = self.audio.sample_rate;
        if condition.frames.is_some() {
            let want = format!("a multiple of {FRAME_RATE}, the frames per second of model.features");
            ensure!(rate.is_multiple_of(FRAME_RATE), "audio.sample_rate is {rate}, wanted {want}");
        }
        ensure!(
            self.train.others.is_none() || condition.frames.is_some_and(|f| f.tells_source),
            "train.others: wanted model.others = 64 or so, the width of the network that reads cross-speaker tracks"
        );
        Ok(())
    }

    /// The network for a corpus of `speakers` speakers.
    ///
    /// # Errors
    /// A size out of range.
    pub fn network(&self, speakers: usize) -> Result<FamilyConfig> {
        let condition = GivenCondition {
            speakers,
            features: features::FEATURES,
            hop: (self.audio.sample_rate / FRAME_RATE).max(1) as usize,
        };
        let encoding = self.audio.bits.encoding();
        let given = Given {
            classes: encoding.classes(),
            start: encoding.zero(),
            likelihood: (self.audio.bits == Bits::Sixteen).then_some(LikelihoodConfig::LogisticMixture(
                LogisticMixture { components: self.audio.logistics, channels: 1, levels: encoding.classes() },
            )),
            window: self.train.window,
            condition: Some(condition),
            image: None,
        };
        self.model.config(&given).map_err(|e| anyhow!("model.{} is {}, wanted {}", e.field, e.found, e.want))
    }
}

impl Train {
    /// Whether the tensor `name` learns.
    pub fn learns(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|o| name.starts_with(o))
    }

    /// Windows of a step, or the most of them where `max_memory` decides.
    pub fn windows(&self) -> usize {
        self.batch.unwrap_or(if self.max_memory.is_some() { 64 } else { 8 })
    }

    /// Checks every key of the section.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn validate(&self) -> Result<()> {
        let t = self;
        match (t.steps, t.hours) {
            (Some(n), None) => range("train.steps", n as f64, 1.0, 1e9)?,
            (None, Some(h)) => range("train.hours", h, 0.001, 10_000.0)?,
            _ => bail!("train: wanted either steps or hours"),
        }
        range("train.window", t.window as f64, 16.0, 1e7)?;
        range("train.max_warmup", t.max_warmup.unwrap_or(0) as f64, 0.0, 1e7)?;
        range("train.batch", t.windows() as f64, 1.0, 4096.0)?;
        range("train.learning_rate", t.learning_rate, 0.0, 1e9)?;
        range("train.final_fraction", t.final_fraction, 0.0, 1.0)?;
        range("train.beta1", t.beta1, 0.0, 0.9999)?;
        range("train.beta2", t.beta2, 0.0, 0.999_999)?;
        range("train.weight_decay", t.weight_decay, 0.0, 10.0)?;
        range("train.clip_norm", t.clip_norm, 1e-6, 1e9)?;
        range("train.ema", t.ema, 0.0, 0.999_999)?;
        range("train.input_noise", t.input_noise, 0.0, 64.0)?;
        range("train.dropout_speech", t.dropout_speech, 0.0, 1.0)?;
        range("train.feature_dropout", t.feature_dropout, 0.0, 1.0)?;
        range("train.threads", t.threads as f64, 0.0, 1024.0)?;
        range("train.log_every", t.log_every as f64, 1.0, 1e9)?;
        range("train.eval_every", t.eval_every as f64, 1.0, 1e9)?;
        range("train.eval_seconds", t.eval_seconds, 0.1, 1e5)?;
        range("train.checkpoint_every_minutes", t.checkpoint_every_minutes, 0.0, 1e5)?;
        t.perturbation.as_ref().map_or(Ok(()), Perturbation::validate)?;
        t.others.as_ref().map_or(Ok(()), CrossSpeaker::validate)?;
        t.scheduled_sampling.as_ref().map_or(Ok(()), Scheduled::validate)?;
        t.curriculum.as_ref().map_or(Ok(()), |c| c.validate(t.window))
    }
}
