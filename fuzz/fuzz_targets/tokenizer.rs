//! The section `text` of a header, and a text under it: the first line is JSON, the rest the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wavesynth::models::weights::{Header, VERSION};
use wavesynth::text::{SECTION, Tokenizer};

fuzz_target!(|data: &[u8]| {
    let (json, text) = data.split_at(data.iter().position(|b| *b == b'\n').unwrap_or(data.len()));
    let Ok(section) = serde_json::from_slice::<serde_json::Value>(json) else { return };
    let sections = serde_json::Map::from_iter([(SECTION.to_string(), section)]);
    let header = Header { version: VERSION, family: String::new(), config: serde_json::Value::Null, sections };
    let Ok(tokenizer) = Tokenizer::from_header(&header) else { return };
    assert!(tokenizer.to_json().is_ok());
    if let Ok(symbols) = tokenizer.encode(text, "a") {
        let back: Vec<u8> = symbols.iter().flat_map(|&s| tokenizer.bytes(s).to_vec()).collect();
        assert_eq!(back, wavesynth::text::without_mark(text));
    }
});
