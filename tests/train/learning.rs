//! Learning, shown: three speakers, each one tone; the speaker vector alone selects which of them sounds.

use crate::common::{RATE, TestDir, failure, go};
use std::path::Path;
use wavesynth::voice::Voice;
use wavesynth_models::ar::{Sampling, Uniforms};
use wavesynth_models::condition::Condition;
use wavesynth_models::families::wavenet::names;
use wavesynth_models::weights::Checkpoint;

const TONES: [f32; 3] = [310.0, 530.0, 870.0];

/// Magnitude of `signal` at a frequency, Hann-windowed.
fn magnitude(signal: &[f32], hertz: f32) -> f64 {
    let n = signal.len() as f64;
    let (mut re, mut im) = (0.0, 0.0);
    for (t, &x) in signal.iter().enumerate() {
        let turn = std::f64::consts::TAU * t as f64;
        let x = f64::from(x) * (1.0 - (turn / n).cos());
        let angle = turn * f64::from(hertz) / f64::from(RATE);
        re += x * angle.cos();
        im += x * angle.sin();
    }
    re.hypot(im)
}

/// A run fails where engine and trainer read held-out recordings differently, so this one also shows that they agree.
#[test]
fn bunches_are_learnt_and_go_on_after_a_stop() {
    let dir = TestDir::with_tones(TONES);
    let model = "residual_channels = 16\nskip_channels = 16\ndilations = { cycle = 5, layers = 5 }\nbunch = 4\n\
                 speaker_dim = 4\nhidden = 8";
    let train = "steps = 60\nwindow = 800\nbatch = 8\nlearning_rate = 1e-2\nwarmup_steps = 10\nema = 0.9\n\
                 eval_every = 20\neval_seconds = 1.5\nlog_every = 20";
    let whole = go(&dir.run_file("whole", model, train), false, None).unwrap();
    let in_two = dir.run_file("in_two", model, train);
    go(&in_two, false, Some(25)).unwrap();
    let in_two = go(&in_two, true, None).unwrap();
    assert_eq!(
        Checkpoint::read(&whole.voice).unwrap().tensors,
        Checkpoint::read(&in_two.voice).unwrap().tensors
    );
    let voice = Voice::open(&whole.voice).unwrap();
    assert_eq!(voice.config.bunch, 4);
    let held_out = whole.held_out.unwrap();
    assert!(held_out < 4.3, "{held_out}: the codes' frequencies alone say 4.44");
    let odd = failure(&dir.run_file("odd", &model.replace("bunch = 4", "bunch = 3"), train), false);
    assert!(odd.ends_with("model.bunch is 3, wanted a divisor of condition.hop"), "{odd}");
}

/// Every speaker of the voice plays the own tone ten times as loud as the others.
fn check_tones(voice_file: &Path) {
    let voice = Voice::open(voice_file).unwrap();
    let speakers = &Checkpoint::read(voice_file).unwrap().tensors[names::SPEAKERS];
    for (speaker, vector) in speakers.data.chunks_exact(4).enumerate() {
        let mut stream = voice.model.generator(Sampling::default());
        stream.condition(&Condition { embedding: vector, ..Condition::default() });
        let mut uniforms = Uniforms::new(7);
        let sound: Vec<f32> =
            (0..RATE).map(|_| voice.encoding.decode(stream.next(uniforms.next_uniform()))).collect();
        let levels = TONES.map(|f| magnitude(&sound[RATE as usize / 4..], f));
        for (other, level) in levels.into_iter().enumerate() {
            assert!(other == speaker || levels[speaker] >= 10.0 * level, "speaker {speaker}: {levels:?}");
        }
    }
}

#[test]
fn the_selected_tone_stands_ten_times_above_the_others() {
    let dir = TestDir::with_tones(TONES);
    let run = dir.run_file(
        "out",
        "residual_channels = 16\nskip_channels = 32\ndilations = { cycle = 7, layers = 7 }\n\
         speaker_dim = 4\nfeatures = false\nhidden = 0",
        "steps = 500\nwindow = 800\nbatch = 16\nlearning_rate = 1e-2\nwarmup_steps = 30\nema = 0.98\n\
         eval_every = 100\neval_seconds = 1.5\nlog_every = 50",
    );
    let outcome = go(&run, false, None).unwrap();
    let held_out = outcome.held_out.unwrap();
    assert!(held_out < 3.0, "{held_out}");

    check_tones(&outcome.voice);
}

/// The same by a mixture of ten logistics over 65,536 levels, samples entering as numbers.
#[test]
fn sixteen_bits_are_learnt_by_logistics() {
    let dir = TestDir::with_tones(TONES);
    let run = dir.run_file(
        "out",
        "residual_channels = 16\nskip_channels = 32\ndilations = { cycle = 7, layers = 7 }\n\
         speaker_dim = 4\nfeatures = false\nhidden = 0",
        "steps = 900\nwindow = 800\nbatch = 16\nlearning_rate = 1e-2\nwarmup_steps = 30\nema = 0.98\n\
         eval_every = 100\neval_seconds = 1.5\nlog_every = 50",
    );
    let text = std::fs::read_to_string(&run).unwrap();
    std::fs::write(&run, text.replace("preemphasis = 0.0", "preemphasis = 0.0\nbits = 16")).unwrap();
    let outcome = go(&run, false, None).unwrap();
    // The noise of the tones alone, 0.01 in 2 / 65,536, has 7.2 nats.
    let held_out = outcome.held_out.unwrap();
    assert!((7.0..8.0).contains(&held_out), "{held_out}");

    check_tones(&outcome.voice);
}
