//! A condition file: what is read can be written, and is then the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wavesynth::audio::cond::Condition;

fuzz_target!(|data: &[u8]| {
    if let Ok(condition) = Condition::from_bytes(data) {
        let bytes = condition.to_bytes().unwrap();
        assert_eq!(Condition::from_bytes(&bytes).unwrap(), condition);
    }
});
