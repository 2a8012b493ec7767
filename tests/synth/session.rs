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

        let setup = SessionSetup { device_rate: rate, ring_samples: 700, realtime: false, patient: false };
        let s = synth(6, Length::Samples(5000));
        let session =
            Session::start(s, setup, |ring| Ok(ClockDevice::start(ring, Clock::Unhurried, 97, true)))
                .unwrap();
        let taken = session.output().unwrap().taken();
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
    let setup = SessionSetup { device_rate: 16_000, ring_samples: 1600, realtime: false, patient: false };
    let clock = Clock::RealTime { rate: 16_000 };
    let session = Session::start(s, setup, |ring| Ok(ClockDevice::start(ring, clock, 320, true))).unwrap();
    assert!(session.send(Command::Change { conditioning: conditioning(&voice, [2.0; 4], 0), fade_ms: 30 }));
    let mut back = Vec::new();
    wait(|| {
        back.extend(session.events());
        !back.is_empty()
    });
    let Event::Changed { retired, .. } = &back[0] else { panic!("another event") };
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
    let setup = SessionSetup { device_rate: 16_000, ring_samples: 1600, realtime: false, patient: false };
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
    let setup = SessionSetup { device_rate: 16_000, ring_samples: 100, realtime: false, patient: false };
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

/// Takes so many samples of a ring, then lets go of it.
fn take(mut ring: wavesynth_audio::ring::Consumer, samples: usize) -> Vec<f32> {
    let mut out = vec![0.0; samples];
    let mut at = 0;
    while at < samples && !ring.is_over() {
        let n = ring.waiting().min(samples - at);
        at += ring.fill(&mut out[at..at + n]);
        std::thread::sleep(Duration::from_micros(200));
    }
    out.truncate(at);
    out
}

/// A device that goes and another one at another rate: the voice waits, then goes on, less what the first ring held.
#[test]
fn the_sound_goes_on_at_another_device() {
    let whole = all(&mut synth(6, Length::Samples(5000)), &[1024]);
    let setup =
        |device_rate| SessionSetup { device_rate, ring_samples: 300, realtime: false, patient: false };
    let (mut session, ring) = Session::<()>::prepare(synth(6, Length::Samples(5000)), setup(16_000)).unwrap();
    wait(|| session.is_primed());
    let first = take(ring, 1000);
    assert_eq!(first, whole[..1000]);
    // Nobody listens for a while.
    std::thread::sleep(Duration::from_millis(300));
    let lost = session.progress().position() as usize - 1000;
    assert!(lost <= 300 + 2 * 64, "{lost} samples were made for nobody");
    let (send, rest) = std::sync::mpsc::channel();
    session
        .attach(setup(48_000), |ring| {
            std::thread::spawn(move || send.send(take(ring, 60_000)));
            Ok(())
        })
        .unwrap();
    wait(|| session.is_finished() || session.progress().is_done());
    let rest = rest.recv_timeout(Duration::from_secs(20)).unwrap();
    let want = 3 * (5000 - 1000 - lost);
    assert!(rest.len() + 3 * 64 >= want && rest.len() <= want + 3 * 64, "{} for {want}", rest.len());
    let report = session.end().unwrap();
    assert_eq!((report.samples, report.underruns), (5000, 0));
    assert_eq!(report.played, 1000 + rest.len() as u64);
}

/// A ring that nobody empties any more, as of a device that hangs, is replaced too.
#[test]
fn a_device_that_hangs_is_replaced_and_an_abandoned_session_ends() {
    let setup = SessionSetup { device_rate: 16_000, ring_samples: 300, realtime: false, patient: false };
    let (mut session, hung) = Session::<()>::prepare(synth(6, Length::Samples(u64::MAX)), setup).unwrap();
    wait(|| session.is_primed());
    std::thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    let mut next = None;
    let keep = |ring| {
        next = Some(ring);
        Ok(())
    };
    session.attach(setup, keep).unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(take(next.unwrap(), 1000).len(), 1000);
    drop(hung);
    assert!(session.send(Command::Pause));
    let progress = session.progress_handle();
    drop(session);
    wait(|| progress.is_done());
}
