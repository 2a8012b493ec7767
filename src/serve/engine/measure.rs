//! How many sounds this machine makes at a time in real time.

use crate::synth::{Conditioning, Ensemble, Length, Part, SamplingPolicy, UniformSource, without_denormals};
use crate::voice::Voice;
use std::time::{Duration, Instant};

/// Sounds that are tried, at most.
const MOST: usize = 64;

/// The part of real time that all sounds together may take: the rest is for whatever else the machine does.
const LOAD: f64 = 0.7;

/// Time that one number of sounds is measured for, and how often: the fastest counts.
const TIME: Duration = Duration::from_millis(30);
const TIMES: usize = 3;

/// What a machine can do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// Sounds that it makes at a time, with [`LOAD`] of its time; at least 1.
    pub streams: usize,
    /// Seconds of sound that it makes in a second, of one sound alone.
    pub alone: f64,
}

/// Measures how many sounds like those of `conditioning` this thread makes at a time.
pub fn measure(voice: &Voice, conditioning: &Conditioning) -> Capacity {
    without_denormals(|| {
        let alone = load(voice, conditioning, 1);
        let (mut fit, mut at_fit) = (1, alone);
        while fit < MOST {
            let next = (2 * fit).min(MOST);
            if voice.model.check_room(next).is_err() {
                break;
            }
            let at_next = load(voice, conditioning, next);
            if at_next > LOAD {
                // Between the two the time grows evenly.
                let share = ((LOAD - at_fit) / (at_next - at_fit)).clamp(0.0, 1.0);
                fit += ((next - fit) as f64 * share) as usize;
                break;
            }
            (fit, at_fit) = (next, at_next);
        }
        Capacity { streams: fit, alone: 1.0 / alone }
    })
}

/// The part of real time that `n` sounds take.
fn load(voice: &Voice, conditioning: &Conditioning, n: usize) -> f64 {
    let hop = voice.model.config.facts().hop.max(1);
    let mut ensemble = Ensemble::new(voice, n);
    for at in 0..n {
        let part = Part {
            conditioning: Box::new(conditioning.clone()),
            front: None,
            policy: SamplingPolicy::usual(voice, true),
            uniforms: UniformSource::seed(at as u64),
            length: Length::Samples(u64::MAX),
            record: false,
            post_filter: true,
        };
        ensemble.start(at, voice, part);
    }
    let (mut blocks, mut written) = (vec![vec![0.0; hop]; n], vec![0; n]);
    // Past the beginning, where the post-filter gives nothing yet.
    (0..4).for_each(|_| ensemble.fill(hop, &mut blocks, &mut written));
    let rate = f64::from(voice.section.sample_rate);
    let mut run = || {
        let (start, mut samples) = (Instant::now(), 0);
        while start.elapsed() < TIME {
            ensemble.fill(hop, &mut blocks, &mut written);
            samples += hop;
        }
        start.elapsed().as_secs_f64() * rate / samples as f64
    };
    (0..TIMES).map(|_| run()).fold(f64::INFINITY, f64::min)
}
