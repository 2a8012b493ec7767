use super::*;
use assert_no_alloc::{AllocDisabler, assert_no_alloc, violation_count};
use std::hint::black_box;
use std::sync::atomic::Ordering;

/// Counts what happens inside `assert_no_alloc`.
#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

fn allocations(work: impl FnOnce()) -> u32 {
    let before = violation_count();
    assert_no_alloc(work);
    violation_count() - before
}

/// `work`, in which RealtimeSanitizer, where it is linked (`make rtsan`), ends the process at the first call that may block.
#[rtsan_standalone::nonblocking]
fn in_real_time(work: impl FnOnce()) {
    work();
}

#[test]
fn the_callback_does_not_allocate() {
    assert!(allocations(|| drop(black_box(vec![0u8; 100]))) >= 2, "the counter does not count");
    a_callback_does_not_allocate::<f32>();
    a_callback_does_not_allocate::<f64>();
    a_callback_does_not_allocate::<i8>();
    a_callback_does_not_allocate::<i16>();
    a_callback_does_not_allocate::<cpal::I24>();
    a_callback_does_not_allocate::<i32>();
    a_callback_does_not_allocate::<i64>();
    a_callback_does_not_allocate::<u8>();
    a_callback_does_not_allocate::<u16>();
    a_callback_does_not_allocate::<cpal::U24>();
    a_callback_does_not_allocate::<u32>();
    a_callback_does_not_allocate::<u64>();
}

/// The device's thread, with a ring that is full, runs dry, comes back and ends, and a device that reports glitches.
fn a_callback_does_not_allocate<T: Pcm>() {
    let (mut producer, mut consumer) = ring::ring(2_880);
    consumer.fade_over(480);
    let stats = consumer.stats();
    let counters = Arc::new(Counters::default());
    let mut errors = ErrorLog::new(counters.clone());
    let mut feed = Feed::new(consumer, 2, 48_000, 1_920, counters.clone());
    let mut out = vec![T::from_pcm(0.0); 2 * 960];
    let block = [0.5; 960];
    let mut played = || {
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
    };
    assert_eq!(allocations(|| in_real_time(&mut played)), 0);
    assert!(stats.underruns() == 1 && stats.finished() && counters.read().xruns >= 1);
}

/// The other way round: a microphone's ring, which is taken from a device that hangs.
#[test]
fn a_ring_is_passed_on_and_the_old_hands_push_nothing() {
    let (producer, mut consumer) = ring::ring(100);
    let old = Lent::new(producer);
    let theirs = old.clone();
    assert_eq!(allocations(|| in_real_time(|| theirs.push(&[1.0; 3]))), 0);
    let new = old.pass_on();
    assert_eq!(
        allocations(|| in_real_time(|| {
            theirs.push(&[2.0; 3]);
            new.push(&[3.0; 2]);
        })),
        0
    );
    let mut out = [9.0; 6];
    assert_eq!(consumer.fill(&mut out), 5);
    assert_eq!(out, [1.0, 1.0, 1.0, 3.0, 3.0, 0.0]);
    drop((old, theirs));
    assert!(!consumer.is_over());
    drop(new);
    assert!(consumer.is_over());
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
