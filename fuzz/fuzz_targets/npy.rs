//! Arrays of symbols and of uniform numbers.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(symbols) = wavesynth::npy::symbols(data, 256) {
        assert!(symbols.iter().all(|s| *s < 256));
    }
    let _ = wavesynth::npy::uniforms(data);
});
