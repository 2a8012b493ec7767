//! Sequences of vectors: an LSTM with a mixture of Gaussians learns a spiral.

use crate::common::{TestDir, failure, go};
use crate::text::eval;
use std::f32::consts::TAU;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use wavesynth::series::SeriesModel;
use wavesynth_models::ar::{Sampling, Uniforms};
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::Checkpoint;

const ROWS: usize = 40;

/// Deviation of the noise on every number.
const NOISE: f32 = 0.05;

/// Point `t` of a spiral that begins in direction `d`.
fn point(d: f32, t: usize) -> [f32; 2] {
    let (a, r) = (d + 0.25 * t as f32, 0.2 + 0.02 * t as f32);
    [3.0 + r * a.cos(), r * a.sin() - 1.0]
}

/// Sequences of points [`ROWS`, 2], each in a direction of its own, with noise on every number.
fn sequences(count: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut uniforms = Uniforms::new(seed);
    let mut sequence = |_| {
        let d = TAU * uniforms.next_uniform();
        (0..ROWS).flat_map(|t| point(d, t)).map(|v| v + NOISE * uniforms.normal()).collect()
    };
    (0..count).map(&mut sequence).collect()
}

fn text_of(sequences: &[Vec<f32>]) -> String {
    let mut text = String::new();
    for sequence in sequences {
        sequence.chunks_exact(2).for_each(|p| writeln!(text, "{}, {}", p[0], p[1]).unwrap());
        text.push('\n');
    }
    text
}

fn run_file(dir: &TestDir, out: &str, train: &str) -> PathBuf {
    std::fs::write(dir.path("spiral.csv"), text_of(&sequences(1000, 3))).unwrap();
    let path = dir.path(&format!("{out}.toml"));
    let text = format!(
        "[series]\nfile = {:?}\ncomponents = 4\n[model]\nfamily = \"char_rnn\"\ncell = \"lstm\"\nhidden = 48\nlayers = 1\n\
         [train]\nout = {:?}\nwindow = {ROWS}\nbatch = 16\nlearning_rate = 1e-2\nwarmup_steps = 20\nema = 0.95\n\
         weight_decay = 0.0\neval_every = 200\n{train}\n",
        dir.path("spiral.csv"),
        dir.path(out)
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn open(path: &Path) -> SeriesModel {
    SeriesModel::from_loaded(Loaded::open(path, Isa::detect()).unwrap()).unwrap()
}

/// −ln p of a sequence under what [`sequences`] draws, in nats a row: the mean over all directions, by a sum.
fn nats(points: &[f32]) -> f64 {
    const DIRECTIONS: usize = 2000;
    let noise = f64::from(NOISE);
    let fit = |i: usize| -> f64 {
        let d = TAU * i as f32 / DIRECTIONS as f32;
        let far = |(t, p): (usize, &[f32])| -> f64 {
            point(d, t).iter().zip(p).map(|(m, x)| f64::from(m - x).powi(2)).sum()
        };
        -points.chunks_exact(2).enumerate().map(far).sum::<f64>() / (2.0 * noise * noise)
    };
    let fits: Vec<f64> = (0..DIRECTIONS).map(fit).collect();
    let best = fits.iter().copied().fold(f64::MIN, f64::max);
    let mean = fits.iter().map(|f| (f - best).exp()).sum::<f64>() / DIRECTIONS as f64;
    let rows = (points.len() / 2) as f64;
    (TAU as f64 * noise * noise).ln() - (best + mean.ln()) / rows
}

#[test]
fn a_mixture_density_network_learns_a_spiral() {
    let dir = TestDir::new();
    let outcome = go(&run_file(&dir, "whole", "steps = 3000"), false, None).unwrap();
    let model = open(&outcome.voice);
    assert_eq!((model.dims(), model.section.rows), (2, ROWS));
    let mean =
        |sequences: &[Vec<f32>]| sequences.iter().map(|s| nats(s)).sum::<f64>() / sequences.len() as f64;
    let fresh = sequences(100, 4);
    let best = mean(&fresh);
    std::fs::write(dir.path("fresh.csv"), text_of(&fresh)).unwrap();
    let score = eval(&dir, &["-m", outcome.voice.to_str().unwrap(), "fresh.csv"]);
    assert_eq!(score["rows"], 100 * ROWS);
    let held_out = score["nats_per_row"].as_f64().unwrap();
    let normalised = score["nats_per_normalised_row"].as_f64().unwrap();
    assert!((held_out - normalised - model.section.columns().log_scale()).abs() < 1e-9);
    let mut uniforms = Uniforms::new(1);
    let mut draw = || model.draw(ROWS, Sampling::default(), &mut uniforms).unwrap();
    let drawn: Vec<_> = (0..100).map(|_| draw()).collect();
    let drawn = mean(&drawn);
    assert!(held_out < best + 0.1, "held out {held_out}, the spirals' own density has {best}");
    assert!((drawn - best).abs() < 0.3, "drawn {drawn} under the spirals' own density, theirs {best}");
}

#[test]
fn a_stopped_run_goes_on_as_if_it_had_not_stopped() {
    let dir = TestDir::new();
    let whole = go(&run_file(&dir, "whole", "steps = 30"), false, None).unwrap();
    let halves = run_file(&dir, "halves", "steps = 30");
    go(&halves, false, Some(13)).unwrap();
    let halves = go(&halves, true, None).unwrap();
    let tensors = |path: &Path| Checkpoint::read(path).unwrap().tensors;
    assert!(tensors(&whole.voice) == tensors(&halves.voice));
}

#[test]
fn a_bad_series_is_told_in_one_line() {
    let dir = TestDir::new();
    let run = run_file(&dir, "out", "steps = 3");
    for (text, words) in [
        ("1, 2\n3\n", "line 2 `3`: 1 numbers, the lines before it have 2"),
        ("1, 2\n3, x\n", "line 2 `3, x`: wanted numbers"),
        ("\n\n", "no row of numbers"),
        ("1, 2\n1, 3\n", "column 1 never changes"),
    ] {
        std::fs::write(dir.path("spiral.csv"), text).unwrap();
        let message = failure(&run, false);
        assert!(message.contains(words) && !message.contains('\n'), "{message}");
    }
}
