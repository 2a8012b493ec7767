//! Sequences of vectors: an LSTM with a mixture of Gaussians learns a spiral.

use crate::common::{TestDir, failure, go};
use std::f32::consts::TAU;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use wavesynth::series::SeriesModel;
use wavesynth_models::ar::{Sampling, Uniforms};
use wavesynth_models::kernels::Isa;
use wavesynth_models::loaded::Loaded;
use wavesynth_models::weights::Checkpoint;

const ROWS: usize = 40;

/// Point `t` of a spiral that begins in direction `d`.
fn point(d: f32, t: usize) -> [f32; 2] {
    let (a, r) = (d + 0.25 * t as f32, 0.2 + 0.02 * t as f32);
    [3.0 + r * a.cos(), r * a.sin() - 1.0]
}

fn spirals(count: usize) -> String {
    let (mut uniforms, mut text) = (Uniforms::new(3), String::new());
    for _ in 0..count {
        let d = TAU * uniforms.next_uniform();
        for t in 0..ROWS {
            let [x, y] = point(d, t).map(|v| v + 0.005 * uniforms.normal());
            writeln!(text, "{x}, {y}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn run_file(dir: &TestDir, out: &str, train: &str) -> PathBuf {
    std::fs::write(dir.path("spiral.csv"), spirals(120)).unwrap();
    let path = dir.path(&format!("{out}.toml"));
    let text = format!(
        "[series]\nfile = {:?}\ncomponents = 4\n[model]\nfamily = \"char_rnn\"\ncell = \"lstm\"\nhidden = 32\nlayers = 1\n\
         [train]\nout = {:?}\nwindow = {ROWS}\nbatch = 16\nlearning_rate = 1e-2\nwarmup_steps = 20\nema = 0.95\n\
         weight_decay = 0.0\neval_every = 200\n{train}\n",
        dir.path("spiral.csv"),
        dir.path(out)
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn open(path: &Path) -> SeriesModel {
    SeriesModel::from_loaded(Loaded::open(path, Isa::detect()).unwrap(), path).unwrap()
}

#[test]
fn a_mixture_density_network_learns_a_spiral() {
    let dir = TestDir::new();
    let outcome = go(&run_file(&dir, "whole", "steps = 600"), false, None).unwrap();
    let held_out = outcome.held_out.unwrap();
    assert!(held_out < 0.5, "{held_out}: one Gaussian a column has 2.84");
    let model = open(&outcome.voice);
    assert_eq!((model.dims(), model.section.rows), (2, ROWS));
    let mut uniforms = Uniforms::new(1);
    let (mut growth, mut turns) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let drawn = model.draw(ROWS, Sampling::default(), &mut uniforms);
        let polar = |p: &[f32]| ((p[0] - 3.0).hypot(p[1] + 1.0), (p[1] + 1.0).atan2(p[0] - 3.0));
        let points: Vec<(f32, f32)> = drawn.chunks_exact(2).map(polar).collect();
        growth.push(points[ROWS - 1].0 - points[0].0);
        turns.extend(points.windows(2).map(|w| ((w[1].1 - w[0].1).rem_euclid(TAU) - 0.25).abs()));
    }
    let median = |mut all: Vec<f32>| {
        all.sort_by(f32::total_cmp);
        all[all.len() / 2]
    };
    // A spiral turns by 0.25 a point and grows by 0.78 in all. Where it begins, on a ring, four Gaussians tell roughly.
    let (grown, turn) = (median(growth), median(turns));
    assert!((0.5..1.0).contains(&grown) && turn < 0.05, "grows by {grown}, turns off by {turn}");
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
