//! Learning, shown: three speakers, each one tone; the speaker vector alone selects which of them is heard.

use crate::common::{Place, RATE, go};
use wavesynth::voice::Voice;
use wavesynth_audio::mulaw;
use wavesynth_models::ar::{Coins, Sampling};
use wavesynth_models::kernels::Isa;
use wavesynth_models::wavenet::names;
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

#[test]
fn the_selected_tone_stands_ten_times_above_the_others() {
    let place = Place::with_tones(TONES);
    let run = place.run_file(
        "out",
        "residual_channels = 16\nskip_channels = 32\ndilations = { cycle = 7, layers = 7 }\n\
         speaker_dim = 4\nfeatures = false\nhidden = 0",
        "steps = 500\nwindow = 800\nbatch = 16\nlearning_rate = 1e-2\nwarmup_steps = 30\nema = 0.98\n\
         eval_every = 100\neval_seconds = 1.5\nlog_every = 50",
    );
    let outcome = go(&run, false, None).unwrap();
    let held_out = outcome.held_out.unwrap();
    assert!(held_out < 3.0, "{held_out}");

    let voice = Voice::open(&outcome.voice, Isa::detect()).unwrap();
    let speakers = &Checkpoint::read(&outcome.voice).unwrap().tensors[names::SPEAKERS];
    for (speaker, vector) in speakers.data.chunks_exact(4).enumerate() {
        let mut stream = voice.model.generator(Sampling::default());
        stream.condition(vector);
        let mut coins = Coins::new(7);
        let sound: Vec<f32> = (0..RATE).map(|_| mulaw::decode(stream.next(coins.next_coin()))).collect();
        let heard = TONES.map(|f| magnitude(&sound[RATE as usize / 4..], f));
        for (other, level) in heard.into_iter().enumerate() {
            assert!(other == speaker || heard[speaker] >= 10.0 * level, "speaker {speaker}: {heard:?}");
        }
    }
}
