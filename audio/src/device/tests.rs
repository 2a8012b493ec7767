use super::*;
use assert_no_alloc::{AllocDisabler, assert_no_alloc, violation_count};
use std::hint::black_box;
use std::sync::atomic::Ordering;

/// Counts what happens inside `assert_no_alloc`.
#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

/// The device's thread, with a ring that is full, runs dry, comes back and ends, and a device that reports glitches.
#[test]
fn the_callback_does_not_allocate() {
    let violations = |work: &mut dyn FnMut()| {
        let before = violation_count();
        assert_no_alloc(work);
        violation_count() - before
    };
    assert!(violations(&mut || drop(black_box(vec![0u8; 100]))) >= 2, "the counter does not count");
    let (mut producer, mut consumer) = ring::ring(2_880);
    consumer.fade_over(480);
    let stats = consumer.stats();
    let counters = Arc::new(Counters::default());
    let mut errors = ErrorLog::new(counters.clone());
    let mut feed = Feed::new(consumer, 2, 48_000, 1_920, counters.clone());
    let mut out = vec![0i16; 2 * 960];
    let block = [0.5; 960];
    let found = violations(&mut || {
        for round in 0..40 {
            if !(12..20).contains(&round) && round < 35 {
                producer.push_slice(&block);
            }
            if round == 25 {
                errors.note(ErrorKind::Xrun, Instant::now());
                errors.note(ErrorKind::BackendError, Instant::now());
            }
            if round == 35 {
                producer.close();
            }
            feed.callback(&mut out, Duration::from_millis(20));
        }
    });
    assert_eq!(found, 0);
    assert!(stats.underruns() == 1 && stats.finished() && counters.read().xruns >= 1);
}

#[test]
fn a_burst_of_reports_is_one_glitch() {
    let c = Arc::new(Counters::default());
    let mut log = ErrorLog::new(c.clone());
    let now = Instant::now();
    for _ in 0..100 {
        log.note(ErrorKind::BackendError, now);
        log.note(ErrorKind::Xrun, now);
    }
    c.callbacks.fetch_add(1, Ordering::Relaxed);
    log.note(ErrorKind::Xrun, now);
    log.note(ErrorKind::RealtimeDenied, now);
    assert_eq!(c.xruns.load(Ordering::Relaxed), 2);
    assert_eq!(c.errors.load(Ordering::Relaxed), 1);
    assert!(!c.lost.load(Ordering::Relaxed));
}

#[test]
fn a_device_is_lost_when_it_says_so_or_only_errs_for_a_while() {
    let now = Instant::now();
    let c = Arc::new(Counters::default());
    ErrorLog::new(c.clone()).note(ErrorKind::DeviceNotAvailable, now);
    assert!(c.lost.load(Ordering::Relaxed));

    let c = Arc::new(Counters::default());
    let mut log = ErrorLog::new(c.clone());
    let later = |ms| now + Duration::from_millis(ms);
    log.note(ErrorKind::BackendError, now);
    c.callbacks.fetch_add(1, Ordering::Relaxed);
    // A callback has run in between, so this burst begins anew.
    log.note(ErrorKind::BackendError, later(250));
    log.note(ErrorKind::BackendError, later(500));
    assert!(!c.lost.load(Ordering::Relaxed));
    log.note(ErrorKind::BackendError, later(600));
    assert!(c.lost.load(Ordering::Relaxed));
}

#[test]
fn absurd_requests_are_refused_before_any_device_is_asked() {
    for latency_ms in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e9] {
        let r = open(Request { name: None, rate: 16_000, latency_ms });
        assert!(matches!(r, Err(DeviceError::Request(_))));
    }
}

/// Holds on any machine: with a device, without one, with one of another name.
#[test]
fn a_name_that_no_device_has_is_its_own_error() {
    let r = open(Request { name: Some("no such device"), rate: 16_000, latency_ms: 20.0 });
    let e = r.err().unwrap();
    assert!(matches!(e, DeviceError::NotFound { .. } | DeviceError::Host(_)), "{e}");
    let e = open_input(Some("no such device"), 16_000, 5.0).err().unwrap();
    assert!(matches!(e, DeviceError::NotFound { .. } | DeviceError::Host(_)), "{e}");
}
