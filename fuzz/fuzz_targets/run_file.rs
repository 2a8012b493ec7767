//! Run files of voices, texts and series.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wavesynth::train::run_file::Run;

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(run) = Run::parse(text, "a")
    {
        assert!(run.conflict(&run).is_none());
        run.dropout();
    }
});
