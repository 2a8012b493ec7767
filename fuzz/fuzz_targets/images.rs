//! Images: idx files, gzipped or not, and PNG. What is read has all its levels.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wavesynth::images::{ImageSet, Pixels, read_labels, read_masked};
use wavesynth::models::memory;
use wavesynth::recordings::Notes;

include!("file.rs");

fuzz_target!(|data: &[u8]| {
    memory::set_limit(1 << 26);
    let path = file(data);
    if let Ok(images) = ImageSet::read(&path, &Notes::default()) {
        let last = images.get(images.len() - 1);
        assert_eq!(last.levels.len(), images.grid.len() * images.channels);
        if let Ok((known, _)) = read_masked(&path, &Pixels::Rgb, images.grid) {
            assert_eq!(known.variables.len(), known.is_known.len());
        }
    }
    let _ = read_labels(&path);
});
