//! The engine thread neither allocates nor frees. `make rtsan` runs the same under RealtimeSanitizer, which also knows locks
//! and system calls.

#[path = "../common/mod.rs"]
mod common;
mod listening;
mod synth;
mod worker;

use assert_no_alloc::{AllocDisabler, assert_no_alloc, violation_count};
use common::{speaker, track};
use std::hint::black_box;
use std::io::Write;
use std::sync::Mutex;
use wavesynth::synth::{Conditioning, Length, Part, SamplingPolicy, UniformSource};
use wavesynth::voice::Voice;
use wavesynth_audio::cond::AdaptationTensor;
use wavesynth_audio::features::SpeakerStats;

/// Counts what happens inside `assert_no_alloc`.
#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

/// The count belongs to the process: one test at a time.
static ONE: Mutex<()> = Mutex::new(());

fn violations(f: impl FnOnce()) -> u32 {
    allocations(|| in_real_time(f))
}

fn allocations(f: impl FnOnce()) -> u32 {
    let before = violation_count();
    assert_no_alloc(f);
    violation_count() - before
}

/// `f`, in which RealtimeSanitizer, where it is linked, ends the process at the first call that may block.
#[rtsan_standalone::nonblocking]
fn in_real_time(f: impl FnOnce()) {
    f();
}

fn conditioning(voice: &Voice, values: [f32; 4]) -> Box<Conditioning> {
    let mut condition = speaker(values);
    condition.track = track(20).track;
    Box::new(Conditioning::new(voice, &condition).unwrap())
}

/// The same with changes of the network of its own.
fn adapted(voice: &Voice, values: [f32; 4]) -> Box<Conditioning> {
    let mut condition = speaker(values);
    let table = voice.model.config.adaptation_table(2);
    assert!(!table.is_empty());
    condition.speaker.as_mut().unwrap().adaptation = table
        .into_iter()
        .map(|s| {
            let values = vec![0.01; s.shape.iter().product()];
            (s.name, AdaptationTensor { shape: s.shape, values })
        })
        .collect();
    Box::new(Conditioning::new(voice, &condition).unwrap())
}

fn part(voice: &Voice, policy: SamplingPolicy) -> Part {
    Part {
        conditioning: conditioning(voice, [1.0; 4]),
        front: None,
        policy,
        uniforms: UniformSource::seed(1),
        length: Length::Samples(8000),
        record: true,
        post_filter: false,
    }
}

fn stats() -> SpeakerStats {
    SpeakerStats { mean: [0.0; 16], std: [1.0; 16], median_f0_hz: 150.0, common: None }
}

#[test]
fn the_counter_counts() {
    let _one = ONE.lock().unwrap();
    let kept = vec![1u8; 100];
    assert!(allocations(|| drop(black_box(vec![0u8; 100]))) >= 2);
    assert!(allocations(|| drop(black_box(kept))) >= 1);
    assert_eq!(allocations(|| _ = black_box([0u8; 100])), 0);
}

/// As `make rtsan` runs it: each of these ends a process.
#[test]
#[ignore = "wants RealtimeSanitizer: make rtsan"]
fn the_sanitizer_sees_what_may_block() {
    const WHAT: &str = "WAVESYNTH_RTSAN_TEST";
    let lock = Mutex::new(0);
    match std::env::var(WHAT).as_deref() {
        Ok("allocation") => in_real_time(|| drop(black_box(vec![0u8; 100]))),
        Ok("write") => in_real_time(|| _ = std::io::stderr().write_all(b"written")),
        Ok("lock") => {
            let held = lock.lock().unwrap();
            std::thread::scope(|threads| {
                threads.spawn(|| in_real_time(|| drop(black_box(lock.lock()))));
                std::thread::sleep(std::time::Duration::from_millis(200));
                drop(held);
            });
        }
        _ => {
            in_real_time(|| _ = black_box([0u8; 100]));
            for what in ["allocation", "write", "lock"] {
                let out = std::process::Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "the_sanitizer_sees_what_may_block", "--include-ignored"])
                    .env(WHAT, what)
                    .output()
                    .unwrap();
                let said = String::from_utf8_lossy(&out.stderr);
                assert!(!out.status.success() && said.contains("RealtimeSanitizer"), "{what}: {said}");
            }
        }
    }
}
