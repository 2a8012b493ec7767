//! Recordings, of any format that is read.
#![no_main]

use libfuzzer_sys::fuzz_target;

include!("file.rs");

fuzz_target!(|data: &[u8]| {
    if let Ok(samples) = wavesynth::audio::recording::read(&file(data)).map(|r| r.samples) {
        assert!(samples.iter().all(|x| x.is_finite()));
    }
});
