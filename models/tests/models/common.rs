//! Small random networks, and the golden numbers of independent programs.
#![cfg_attr(not(feature = "train"), allow(dead_code, reason = "the graph's tests use the rest"))]

use safetensors::SafeTensors;
use std::path::{Path, PathBuf};
use wavesynth_models::ar::Uniforms;
use wavesynth_models::condition::{Condition, FrameTable, FrameWindow, TrackSource};
use wavesynth_models::families::wavenet::{ConditionConfig, Config};

/// A config by its sizes; `cond`: 0 none, 1 speaker and features through a frame network, 2 features alone and direct,
/// 3 speaker alone and direct, 4 as 1 with a network for others' tracks.
#[allow(clippy::too_many_arguments, reason = "the grid of the tests is a table of these")]
pub fn config(
    r: usize,
    d: usize,
    s: usize,
    a: usize,
    classes: usize,
    k: usize,
    dilations: &[usize],
    cond: usize,
) -> Config {
    let condition = |speakers, speaker_dim, features, context, hidden| {
        let others = if cond == 4 { 9 } else { 0 };
        Some(ConditionConfig { speakers, speaker_dim, features, context, hidden, others, hop: 5 })
    };
    Config {
        classes,
        start: (classes / 2) as u16,
        residual_channels: r,
        gate_channels: d,
        skip_channels: s,
        head_channels: a,
        kernel_size: k,
        dilations: dilations.to_vec(),
        bunch: 1,
        condition: match cond {
            0 => None,
            1 | 4 => condition(3, 4, 2, 1, 6),
            2 => condition(0, 0, 3, 0, 0),
            _ => condition(2, 5, 0, 0, 0),
        },
        likelihood: None,
    }
}

/// `config` with samples in bunches of `bunch`, its frames as many bunches long as they were samples.
pub fn bunched(mut config: Config, bunch: usize) -> Config {
    config.bunch = bunch;
    if let Some(c) = &mut config.condition {
        c.hop *= bunch;
    }
    config
}

/// The conditioning frames of `t` symbols; with a network for others' tracks, of both kinds.
pub fn random_frames(config: &Config, t: usize, seed: u64) -> Vec<f32> {
    let mut uniforms = Uniforms::new(seed);
    let n = config.cond_len();
    let mut frames: Vec<f32> = (0..t.div_ceil(config.hop()) * n).map(|_| uniforms.normal()).collect();
    if let Some(c) = config.condition.as_ref().filter(|c| c.features > 0) {
        let flags = frames.iter_mut().skip(c.speaker_dim).step_by(n);
        flags.for_each(|flag| *flag = random_flag(c, &mut uniforms));
    }
    frames
}

/// The flag of an own track in f, as docs/formats.md has it.
pub const OWN: f32 = 1.0;
/// That of a cross-speaker track.
pub const CROSS_SPEAKER: f32 = 2.0;

/// Either flag, where the model tells them apart.
pub fn random_flag(c: &ConditionConfig, uniforms: &mut Uniforms) -> f32 {
    if c.others == 0 || uniforms.next_uniform() < 0.5 { OWN } else { CROSS_SPEAKER }
}

/// The condition that is written as `frame`, the vector f.
pub fn typed<'a>(config: &Config, frame: &'a [f32]) -> Condition<'a> {
    let Some(c) = &config.condition else { return Condition::default() };
    let (embedding, local) = frame.split_at(c.speaker_dim);
    let frames = local.split_first().and_then(|(&flag, rows)| {
        let source = if flag == CROSS_SPEAKER { TrackSource::CrossSpeaker } else { TrackSource::Own };
        (flag != 0.0).then_some(FrameWindow { rows, source })
    });
    Condition { embedding, class: None, frames, order: None }
}

/// Frames of a window, of random features.
pub fn random_table(config: &Config, n: usize, uniforms: &mut Uniforms) -> FrameTable {
    let Some(c) = config.condition.as_ref().filter(|c| c.features > 0) else { return FrameTable::default() };
    let local = |_| (0..c.local_len()).map(|_| uniforms.normal()).skip(1).collect::<Vec<f32>>();
    let rows = (0..n).flat_map(local).collect();
    let sources = (0..n).map(|_| match random_flag(c, uniforms) {
        CROSS_SPEAKER => Some(TrackSource::CrossSpeaker),
        _ => Some(TrackSource::Own),
    });
    FrameTable { rows, sources: sources.collect() }
}

/// The checkpoint `name` in `golden/`.
pub fn golden_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/models/golden/{name}.safetensors"))
}

/// What an independent program computed for the checkpoint of that name.
pub struct Golden(Vec<u8>);

impl Golden {
    /// `golden/name.golden.safetensors`.
    pub fn open(name: &str) -> Self {
        Self(std::fs::read(golden_path(&format!("{name}.golden"))).unwrap())
    }

    /// The values of one tensor.
    pub fn read(&self, tensor: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let data = file.tensor(tensor).unwrap().data().to_vec();
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// The symbols of the sequence.
    pub fn symbols(&self) -> Vec<u16> {
        self.read("symbols").into_iter().map(|s| s as u16).collect()
    }
}

/// |a − b| / |b|.
pub fn relative(a: &[f32], b: &[f32]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|v| v * v).sum::<f64>().sqrt();
    let d = norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(a - b)));
    d / (norm(&mut b.iter().map(|&v| f64::from(v))) + 1e-12)
}
