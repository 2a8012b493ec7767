//! From a changed condition to changed sound: a session on a device of no sound, in real time.

use crate::synth::{
    Clock, ClockDevice, Command, Conditioning, Deadlines, Event, Length, Part, Percentiles, SamplingPolicy,
    Session, SessionSetup, Synth, UniformSource,
};
use crate::voice::Voice;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};
use wavesynth_audio::ring;

const DEVICE_RATE: u32 = 48_000;
const CHANGES: u32 = 20;
/// Longer than any ring takes to empty; only a stalled machine reaches it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Plays `voice` into a ring of `latency_ms` at 48 kHz, emptied by the periods that `play` asks a device for, changes its
/// condition 20 times, and measures when the first block under each new condition reaches the consumer, in ms. `None`
/// for a voice without condition.
///
/// # Errors
/// The engine could not be started, or stalled.
pub fn change_to_sound(voice: &Voice, latency_ms: u32) -> Result<Option<Percentiles>> {
    let Some(shape) = &voice.config.condition else {
        return Ok(None);
    };
    let speaker = |v: f32| (shape.speaker_dim > 0).then(|| vec![v; shape.speaker_dim]);
    let part = Part {
        conditioning: Box::new(Conditioning::of(speaker(0.0), None)),
        front: None,
        policy: SamplingPolicy::default(),
        uniforms: UniformSource::seed(1),
        length: Length::Samples(u64::MAX),
        record: false,
        post_filter: false,
    };
    let ring_samples = (DEVICE_RATE * latency_ms / 1000).max(3);
    let setup = SessionSetup {
        device_rate: DEVICE_RATE,
        ring_samples: ring_samples as usize,
        realtime: true,
        patient: false,
    };
    let session = Session::start(Synth::new(voice, part), setup, |consumer| {
        Ok(ClockDevice::start(
            consumer,
            Clock::RealTime { rate: DEVICE_RATE },
            ring::period(ring_samples) as usize,
            false,
        ))
    })?;
    let mut times = Deadlines::new();
    for i in 0..CHANGES {
        // Steps that share no factor with a period: the changes fall everywhere in it.
        std::thread::sleep(Duration::from_micros(37_300 + 1_700 * u64::from(i)));
        let sent = Instant::now();
        let conditioning = Box::new(Conditioning::of(speaker(0.01 * i as f32), None));
        session.send(Command::Change { conditioning, fade_ms: 0 });
        let mut watching = false;
        loop {
            ensure!(sent.elapsed() < PATIENCE, "the engine did not answer within 5 s");
            let output = session.output().context("there is an output from the start")?;
            for event in session.events() {
                if let Event::Changed { at_sample, .. } = event {
                    output.watch(at_sample);
                    watching = true;
                }
            }
            if watching && let Some(taken) = output.taken_at() {
                times.record(taken - sent);
                break;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    session.end()?;
    Ok(Some(times.percentiles().scaled(1e-6)))
}
