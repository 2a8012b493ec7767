//! The engine thread and what consumes its samples.

use crate::common::{config, voice};
use crate::{all, conditioning, part, synth};
use std::time::{Duration, Instant};
use wavesynth::synth::{Clock, ClockDevice, Command, Event, Length, Session, SessionSetup, Synth};
use wavesynth_audio::resample::StreamResampler;

/// `play` without a device: the session's consumer gets what `render` would write, resampled.
#[test]
fn a_session_hands_over_what_a_render_writes() {
    for rate in [16_000, 44_100, 48_000] {
        let plain = all(&mut synth(6, Length::Samples(5000)), &[1024]);
        let mut want = Vec::new();
        let mut resampler = StreamResampler::new(16_000, rate, plain.len()).unwrap();
        resampler.process(&plain, &mut want);
        resampler.flush(&mut want);

        let setup = SessionSetup { device_rate: rate, ring_samples: 700, realtime: false };
        let s = synth(6, Length::Samples(5000));
        let session =
            Session::start(s, setup, |ring| Ok(ClockDevice::start(ring, Clock::Unhurried, 97, true)))
                .unwrap();
        let taken = session.output().taken();
        wait(|| session.is_finished());
        let report = session.end().unwrap();
        assert_eq!(taken.samples(), want, "{rate} Hz");
        assert_eq!((report.samples, report.played), (5000, want.len() as u64));
    }
}

#[test]
fn commands_take_effect_and_what_they_replace_comes_back() {
    let voice = voice(&config());
    let s = Synth::new(&voice, part(conditioning(&voice, [1.0; 4], 0), 1, Length::Samples(u64::MAX)));
    let setup = SessionSetup { device_rate: 16_000, ring_samples: 1600, realtime: false };
    let clock = Clock::RealTime { rate: 16_000 };
    let session = Session::start(s, setup, |ring| Ok(ClockDevice::start(ring, clock, 320, true))).unwrap();
    assert!(session.send(Command::Change { conditioning: conditioning(&voice, [2.0; 4], 0), fade_ms: 30 }));
    let mut back = Vec::new();
    wait(|| {
        back.extend(session.events());
        !back.is_empty()
    });
    let Event::Changed { retired, .. } = &back[0];
    assert_eq!(**retired, *conditioning(&voice, [1.0; 4], 0));
    assert!(session.send(Command::Pause) && session.send(Command::Resume));
    assert!(session.send(Command::Stop { fade_ms: 20 }));
    wait(|| session.is_finished());
    let report = session.end().unwrap();
    assert!(report.samples < 16_000 && report.peak > 0.0);
    assert!(report.block_times.count() > 0);
}

#[test]
fn ten_blocks_a_second_are_taken_in_real_time() {
    let setup = SessionSetup { device_rate: 16_000, ring_samples: 1600, realtime: false };
    let clock = Clock::RealTime { rate: 16_000 };
    let start = Instant::now();
    let session = Session::start(synth(1, Length::Samples(8000)), setup, |ring| {
        Ok(ClockDevice::start(ring, clock, 320, false))
    })
    .unwrap();
    wait(|| session.is_finished());
    let took = start.elapsed();
    session.end().unwrap();
    assert!(took > Duration::from_millis(450) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn ending_early_and_failing_to_open_leave_no_thread_behind() {
    let setup = SessionSetup { device_rate: 16_000, ring_samples: 100, realtime: false };
    let failed =
        Session::<()>::start(synth(1, Length::Samples(u64::MAX)), setup, |_| anyhow::bail!("no device"));
    assert_eq!(failed.err().unwrap().to_string(), "no device");
    let session = Session::start(synth(1, Length::Samples(u64::MAX)), setup, |ring| {
        Ok(ClockDevice::start(ring, Clock::Unhurried, 10, false))
    })
    .unwrap();
    session.end().unwrap();
}

fn wait(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "it takes too long");
        std::thread::sleep(Duration::from_millis(1));
    }
}
