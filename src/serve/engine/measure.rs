//! How many sounds this machine makes at a time in real time.

use crate::synth::{Ensemble, Part, without_denormals};
use crate::voice::Voice;
use anyhow::Result;
use std::time::{Duration, Instant};

/// Sounds that are tried, at most.
const MOST: usize = 64;

/// The part of real time that all sounds together may take: the rest is for whatever else the machine does.
const LOAD: f64 = 0.7;

/// Time that one number of sounds is measured for, and how often: the fastest counts.
const TIME: Duration = Duration::from_millis(30);
const TIMES: usize = 3;

/// Longest wait for a front end.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a machine can do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// Sounds that it makes at a time, with 70 % of its time; at least 1.
    pub streams: usize,
    /// Seconds of sound that it makes in a second, of one sound alone.
    pub alone: f64,
}

/// Measures how many sounds like those of `part`, which makes one by a seed, this thread makes at a time. They have to last some
/// seconds.
///
/// # Errors
/// Those of `part`.
pub fn measure(voice: &Voice, part: impl Fn(u64) -> Result<Part>) -> Result<Capacity> {
    without_denormals(|| {
        let alone = load(voice, &part, 1)?;
        let (mut fit, mut at_fit) = (1, alone);
        while fit < MOST {
            let next = (2 * fit).min(MOST);
            if voice.model.check_room(next).is_err() {
                break;
            }
            let at_next = load(voice, &part, next)?;
            if at_next > LOAD {
                // Between the two the time grows evenly.
                let share = ((LOAD - at_fit) / (at_next - at_fit)).clamp(0.0, 1.0);
                fit += ((next - fit) as f64 * share) as usize;
                break;
            }
            (fit, at_fit) = (next, at_next);
        }
        Ok(Capacity { streams: fit, alone: 1.0 / alone })
    })
}

/// The part of real time that `n` sounds take.
fn load(voice: &Voice, part: &impl Fn(u64) -> Result<Part>, n: usize) -> Result<f64> {
    let hop = voice.model.config.facts().hop.max(1);
    let mut ensemble = Ensemble::new(voice, n);
    for at in 0..n {
        ensemble.start(at, voice, part(at as u64)?);
    }
    let (mut blocks, mut written) = (vec![vec![0.0; hop]; n], vec![0; n]);
    let rate = f64::from(voice.section.sample_rate);
    // A block of all; their front ends may still be reading.
    let mut block = || {
        let start = Instant::now();
        while (0..n).any(|at| ensemble.ready(at, hop) == 0) && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_micros(100));
        }
        let start = Instant::now();
        ensemble.fill(hop, &mut blocks, &mut written);
        start.elapsed().as_secs_f64()
    };
    // Past the beginning, where the post-filter gives nothing yet.
    (0..4).for_each(|_| _ = block());
    let mut run = || {
        let (start, mut busy, mut samples) = (Instant::now(), 0.0, 0);
        while start.elapsed() < TIME {
            busy += block();
            samples += hop;
        }
        busy * rate / samples as f64
    };
    Ok((0..TIMES).map(|_| run()).fold(f64::INFINITY, f64::min))
}
