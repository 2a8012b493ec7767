//! A small voice with random weights, its conditions, and the built program.
#![allow(dead_code, reason = "each test binary uses its own part")]

use serde_json::json;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use wavesynth::voice::{SECTION, SpeakerSection, Voice, VoiceSection};
use wavesynth_audio::cond::{Condition, SpeakerVector, TrackInfo};
use wavesynth_audio::features;
use wavesynth_audio::features::common::Codebook;
use wavesynth_models::ar::Uniforms;
use wavesynth_models::families::char_rnn;
use wavesynth_models::families::wavenet::{self, Config};
use wavesynth_models::family::FamilyConfig;
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::{Checkpoint, Layout};

/// The built program; empty in a build without the feature `cli`.
const PROGRAM: &str = match option_env!("CARGO_BIN_EXE_wavesynth") {
    Some(path) => path,
    None => "",
};

/// Name of the small voice's speaker space.
pub const SPACE: &str = "test";

/// Two dilation cycles, two speakers of four numbers, the full feature track.
pub fn config() -> Config {
    Config {
        classes: 256,
        start: 128,
        residual_channels: 8,
        gate_channels: 8,
        skip_channels: 16,
        head_channels: 16,
        kernel_size: 2,
        dilations: vec![1, 2, 4, 1, 2, 4],
        bunch: 1,
        condition: Some(wavenet::ConditionConfig {
            speakers: 2,
            speaker_dim: 4,
            features: features::FEATURES,
            context: 1,
            hidden: 8,
            others: 0,
            hop: features::HOP,
        }),
        likelihood: None,
    }
}

/// The same without a condition.
pub fn unconditional() -> Config {
    Config { condition: None, ..config() }
}

/// A synthetic space common to speakers: 64 rows.
pub fn common() -> Codebook {
    let codes: Vec<i8> = (0..64 * 48).map(|i: i32| ((i * i * 7 + i * 3) % 97 - 48) as i8).collect();
    serde_json::from_value(json!({ "step": 0.03125, "codes": codes })).unwrap()
}

/// A checkpoint of random weights, the head's made large enough that the voice is not plain noise.
pub fn checkpoint(config: &Config) -> Checkpoint {
    let layout = Layout::new(config.table());
    let mut tensors = layout.tensors(&layout.init(7));
    for value in &mut tensors.get_mut(wavenet::names::OUT).unwrap().data {
        *value *= 30.0;
    }
    let conditional = config.condition.is_some();
    let speakers = if conditional { &["ann", "bob"][..] } else { &[] };
    let section = VoiceSection {
        common: None,
        sample_rate: 16_000,
        preemphasis: 0.85,
        recipe: if conditional { features::RECIPE.into() } else { String::new() },
        space: SPACE.into(),
        speakers: speakers.iter().map(|n| SpeakerSection { name: (*n).into(), stats: None }).collect(),
    };
    let mut header = FamilyConfig::from(config.clone()).to_header().unwrap();
    header.sections = json!({ SECTION: section }).as_object().unwrap().clone();
    Checkpoint { header, tensors }
}

/// A model of text, which is no voice.
pub fn char_rnn() -> Checkpoint {
    text_model(30)
}

/// The same with so many symbols.
pub fn text_model(classes: usize) -> Checkpoint {
    let config = char_rnn::Config {
        classes,
        start: 3,
        cell: char_rnn::Cell::Lstm,
        hidden: 12,
        layers: 2,
        likelihood: None,
        order: Default::default(),
        condition: None,
    };
    let layout = Layout::new(config.table());
    let header = FamilyConfig::from(config.clone()).to_header().unwrap();
    Checkpoint { header, tensors: layout.tensors(&layout.init(7)) }
}

/// A series model of random weights, of rows of two numbers with a deviation of 2.
pub fn series() -> Checkpoint {
    use wavesynth::series::{SECTION, SeriesSection};
    use wavesynth_models::likelihood::LikelihoodConfig;
    let config = char_rnn::Config {
        classes: 0,
        start: 0,
        cell: char_rnn::Cell::Gru,
        hidden: 8,
        layers: 1,
        likelihood: Some(LikelihoodConfig::gaussians(2, 2)),
        order: Default::default(),
        condition: None,
    };
    let layout = Layout::new(config.table());
    let mut header = FamilyConfig::from(config.clone()).to_header().unwrap();
    let section = SeriesSection { rows: 7, mean: vec![1.0, -1.0], std: vec![2.0; 2] };
    header.sections = json!({ SECTION: section }).as_object().unwrap().clone();
    Checkpoint { header, tensors: layout.tensors(&layout.init(7)) }
}

/// A text-to-speech model of random weights with the phones A, B and S.
pub fn say() -> Checkpoint {
    say_of(["A", "B", "S"])
}

/// The same with these phones, of English.
pub fn say_of<'a>(phones: impl IntoIterator<Item = &'a str>) -> Checkpoint {
    use wavesynth::tts::context::{self, frame_features, phone_features};
    use wavesynth::tts::model::{MOST_FRAMES, SECTION, SaySection};
    use wavesynth_models::likelihood::LikelihoodConfig;
    use wavesynth_models::second;
    let phones: Vec<String> = ["pau"].into_iter().chain(phones).map(String::from).collect();
    let network = |classes, likelihood, features| {
        FamilyConfig::from(char_rnn::Config {
            classes,
            start: 0,
            cell: char_rnn::Cell::Lstm,
            hidden: 12,
            layers: 1,
            likelihood,
            order: Default::default(),
            condition: Some(char_rnn::ConditionConfig { features }),
        })
    };
    let gaussians = Some(LikelihoodConfig::gaussians(2, features::FEATURES));
    let frames = network(0, gaussians, frame_features(phones.len()));
    let durations = network(MOST_FRAMES, None, phone_features(phones.len()));
    let section = SaySection {
        language: "en".into(),
        context: context::RECIPE.into(),
        recipe: features::RECIPE.into(),
        phones,
        mean: vec![0.0; features::FEATURES],
        std: vec![1.0; features::FEATURES],
    };
    let mut header = frames.to_header().unwrap();
    header.sections = json!({ SECTION: section, second::NAME: second::section(&durations).unwrap() })
        .as_object()
        .unwrap()
        .clone();
    let table = frames.table().into_iter().chain(second::prefixed_table(&durations)).collect();
    let layout = Layout::new(table);
    Checkpoint { header, tensors: layout.tensors(&layout.init(7)) }
}

/// The checkpoint, loaded.
pub fn voice(config: &Config) -> Voice {
    Voice::from_loaded(Loaded::from_checkpoint(checkpoint(config), Isa::detect()).unwrap()).unwrap()
}

/// A speaker of the small voice.
pub fn speaker(values: [f32; 4]) -> Condition {
    Condition {
        name: "speaker".into(),
        speaker: Some(SpeakerVector::new(SPACE.into(), values.into())),
        ..Condition::default()
    }
}

/// Statistics of a speaker.
pub fn statistics() -> features::SpeakerStats {
    features::SpeakerStats { mean: [-10.0; 16], std: [6.0; 16], median_f0_hz: 130.0, common: None }
}

/// A track of `frames` random frames.
pub fn track(frames: usize) -> Condition {
    let mut uniforms = Uniforms::new(frames as u64);
    let values = (0..frames * features::FEATURES).map(|_| uniforms.normal()).collect();
    Condition {
        name: "track".into(),
        track: Some(TrackInfo {
            recipe: features::RECIPE.into(),
            sample_rate: 16_000,
            hop: features::HOP as u32,
            features: features::FEATURES,
            frames: values,
        }),
        ..Condition::default()
    }
}

/// A folder with the small voice and its files: `voice.safetensors`, `plain.safetensors` (unconditional), `ann.bin`,
/// `bob.bin` (speakers), `track.bin` (30 frames), `both.bin`.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        checkpoint(&config()).write(&folder.path("voice.safetensors")).unwrap();
        checkpoint(&unconditional()).write(&folder.path("plain.safetensors")).unwrap();
        let ann = speaker([1.0, -1.0, 0.5, 2.0]);
        ann.write(&folder.path("ann.bin")).unwrap();
        speaker([-2.0, 0.3, 1.0, -1.0]).write(&folder.path("bob.bin")).unwrap();
        track(30).write(&folder.path("track.bin")).unwrap();
        Condition { track: track(25).track, ..ann }.write(&folder.path("both.bin")).unwrap();
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program, run in this folder.
    pub fn command(&self, args: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.current_dir(self.0.path()).args(args.split_whitespace()).stdin(Stdio::null());
        command
    }

    /// As [`Folder::command`], on a machine without a sound device, which is made by pointing the sound system at an
    /// empty configuration.
    pub fn without_device(&self, args: &str) -> Command {
        std::fs::write(self.path("asound.conf"), "").unwrap();
        let mut command = self.command(args);
        command
            .env("ALSA_CONFIG_PATH", self.path("asound.conf"))
            .env_remove("PULSE_SERVER")
            .env_remove("DISPLAY")
            .env("XDG_RUNTIME_DIR", self.path("nowhere"));
        command
    }

    pub fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs and wants success; what it wrote to stdout.
    pub fn ok(&self, args: &str) -> Vec<u8> {
        let out = self.run(args);
        assert!(out.status.success(), "{args}: {}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }

    /// As [`Folder::ok`], the one JSON value on stdout.
    pub fn json(&self, args: &str) -> serde_json::Value {
        let out = self.ok(&format!("{args} --json"));
        assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 1, "{args}: not one line");
        serde_json::from_slice(&out).unwrap()
    }

    /// Names of all files, hidden ones among them.
    pub fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
