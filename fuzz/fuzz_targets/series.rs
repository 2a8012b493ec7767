//! Rows of numbers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wavesynth::series::Sequences;

include!("file.rs");

fuzz_target!(|data: &[u8]| {
    if let Ok(Sequences { all, dims }) = Sequences::read(&file(data)) {
        assert!(dims > 0 && all.iter().all(|rows| !rows.is_empty() && rows.len().is_multiple_of(dims)));
    }
});
