//! Running text of a language, which the first byte names: what is said of it does not depend on the pieces that it comes in, and every
//! phone is one of the language's. Words are told by exceptions and rules alone, without a model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use wavesynth::tts::pronounce::{Exceptions, Pronouncer};
use wavesynth::tts::text::pieces;
use wavesynth::tts::{FrontEnd, Language};

static FRONT_ENDS: LazyLock<Vec<FrontEnd>> = LazyLock::new(|| {
    let rules = |language| FrontEnd::with(Pronouncer::new(language, None, Exceptions::default()));
    ["en", "ru", "es", "it", "fr"].into_iter().filter_map(Language::from_name).map(rules).collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let front_end = &FRONT_ENDS[usize::from(*first) % FRONT_ENDS.len()];
    let (whole, unread) = front_end.read(text);
    let mut reader = front_end.reader();
    let mut parts: Vec<_> = pieces(text).flat_map(|piece| reader.push(piece)).collect();
    parts.extend(reader.finish());
    assert_eq!(whole, parts);
    assert_eq!(unread, reader.unread());
    let known = front_end.language().phones();
    let mut phones = whole.iter().flat_map(|u| &u.words).flat_map(|w| &w.phones);
    assert!(phones.all(|phone| known.contains(&phone.as_str())));
});
