use super::*;
use std::sync::atomic::Ordering;

#[test]
fn a_burst_of_reports_is_one_glitch() {
    let c = Arc::new(Counters::default());
    let mut log = ErrorLog::new(c.clone());
    let now = Instant::now();
    for _ in 0..1_000 {
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
fn a_device_is_lost_when_it_says_so_or_only_errs_for_a_second() {
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
    log.note(ErrorKind::BackendError, later(900));
    log.note(ErrorKind::BackendError, later(1_500));
    assert!(!c.lost.load(Ordering::Relaxed));
    log.note(ErrorKind::BackendError, later(2_000));
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
