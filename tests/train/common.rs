//! Recordings and run files that tests make for themselves.

use std::path::{Path, PathBuf};
use tempfile::TempDir;
use wavesynth::ranks::Ranks;
use wavesynth::train::{Outcome, Stop, TrainOptions, train};
use wavesynth_models::ar::Uniforms;

pub const RATE: u32 = 16_000;

/// Writes 16-bit mono PCM.
pub fn write_wav(path: &Path, samples: &[f32]) {
    let mut bytes = Vec::new();
    let data = 2 * samples.len() as u32;
    bytes.extend(b"RIFF");
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16u32.to_le_bytes());
    bytes.extend([1, 0, 1, 0]);
    bytes.extend(RATE.to_le_bytes());
    bytes.extend((2 * RATE).to_le_bytes());
    bytes.extend([2, 0, 16, 0]);
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|x| ((x * 32767.0) as i16).to_le_bytes()));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A tone with a little noise and a phase of its own.
pub fn tone(hertz: f32, seconds: f32, seed: u64) -> Vec<f32> {
    let mut uniforms = Uniforms::new(seed);
    let phase = uniforms.next_uniform();
    (0..(seconds * RATE as f32) as usize)
        .map(|t| {
            let turns = hertz * t as f32 / RATE as f32 + phase;
            0.3 * (std::f32::consts::TAU * turns).sin() + 0.01 * uniforms.normal()
        })
        .collect()
}

/// Something like a voice: a pulse train of `pitch` Hz through a resonance that moves, with pauses.
pub fn babble(pitch: f32, seconds: f32, seed: u64) -> Vec<f32> {
    let mut uniforms = Uniforms::new(seed);
    let (mut a, mut b, mut phase, mut form) = (0.0f32, 0.0f32, 0.0f32, 600.0f32);
    (0..(seconds * RATE as f32) as usize)
        .map(|t| {
            if t % 1600 == 0 {
                form = 400.0 + 1200.0 * uniforms.next_uniform();
            }
            phase += pitch * (1.0 + 0.1 * (t as f32 / 3000.0).sin()) / RATE as f32;
            let on = (t / 4000) % 4 != 3;
            let pulse = if phase >= 1.0 && on { 1.0 } else { 0.0 };
            phase -= phase.floor();
            let (r, w) = (0.97f32, std::f32::consts::TAU * form / RATE as f32);
            let y = 0.1 * pulse + 2.0 * r * w.cos() * a - r * r * b + 0.0005 * uniforms.normal();
            (b, a) = (a, y);
            y.clamp(-0.9, 0.9)
        })
        .collect()
}

/// A folder with a corpus `data` and room for runs.
pub struct TestDir {
    dir: TempDir,
}

impl TestDir {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Three speakers, each one tone in several recordings.
    pub fn with_tones(hertz: [f32; 3]) -> Self {
        let dir = Self::new();
        for (s, hertz) in hertz.into_iter().enumerate() {
            // Short: after a period the past alone tells the tone, so only beginnings teach the speaker vector.
            for i in 0..60 {
                let wav = dir.path(&format!("data/tone{s}/{i}.wav"));
                write_wav(&wav, &tone(hertz, 0.05, i));
            }
        }
        dir
    }

    /// Two speakers that are something like voices.
    pub fn with_voices() -> Self {
        let dir = Self::new();
        for (name, pitch) in [("high", 210.0), ("low", 105.0)] {
            for i in 0..4 {
                let wav = dir.path(&format!("data/{name}/{i}.wav"));
                write_wav(&wav, &babble(pitch, 1.5, i));
            }
        }
        dir
    }

    /// Writes a run file for `data` whose results go to `out`.
    pub fn run_file(&self, out: &str, model: &str, train: &str) -> PathBuf {
        let path = self.path(&format!("{out}.toml"));
        let text = format!(
            "[corpus]\nroot = {:?}\nmin_seconds = 0.02\n[audio]\npreemphasis = 0.0\n[model]\n{model}\n[train]\nout = {:?}\n{train}\n",
            self.path("data"),
            self.path(out)
        );
        std::fs::write(&path, text).unwrap();
        path
    }
}

pub fn go(run: &Path, resume: bool, stop_after: Option<u64>) -> anyhow::Result<Outcome> {
    let options = TrainOptions { resume, stop_after, ..TrainOptions::default() };
    train(run, &options, &Stop::default(), &Ranks::solo())
}

/// The error of a run that fails, as the program prints it.
pub fn failure(run: &Path, resume: bool) -> String {
    format!("{:#}", go(run, resume, None).unwrap_err())
}
