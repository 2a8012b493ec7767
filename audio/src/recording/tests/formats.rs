//! The formats that the library decodes.

use super::super::*;
use super::{Dribble, TAU, at, text};
use std::{fs, io};

/// Power of what is common to a recording and 440 Hz at half of full scale, in dB of that tone, over its middle.
fn is_tone(samples: &[f32], rate: u32) -> bool {
    let middle = &samples[samples.len() / 3..samples.len() * 2 / 3];
    let turn = |i: usize| TAU * 440.0 * i as f64 / f64::from(rate);
    let project = |wave: fn(f64) -> f64| -> f64 {
        middle.iter().enumerate().map(|(i, x)| f64::from(*x) * wave(turn(i))).sum::<f64>() * 2.0
            / middle.len() as f64
    };
    let (a, b) = (project(f64::sin), project(f64::cos));
    let rest: f64 = (middle.iter().enumerate())
        .map(|(i, x)| (f64::from(*x) - a * turn(i).sin() - b * turn(i).cos()).powi(2))
        .sum();
    (a.hypot(b) - 0.5).abs() < 0.03 && (rest / middle.len() as f64).sqrt() < 0.03
}

#[test]
fn every_format_is_read_from_files_and_pipes_alike() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    for (name, exact) in [
        ("tone.flac", true),
        ("tone.ogg", true),
        ("tone.mp3", false),
        ("tone.m4a", false),
        ("tone.aac", false),
        ("lossless.m4a", false),
        ("tone.aiff", true),
        ("tone.caf", true),
        ("alaw.wav", true),
        ("mulaw.wav", true),
        ("adpcm.wav", false),
        ("rf64.wav", true),
    ] {
        let path = folder.join(name);
        let r = read(&path).unwrap();
        assert_eq!((r.sample_rate, &*text(&r)), (16_000, ""), "{name}");
        assert!(is_tone(&r.samples, 16_000), "{name}");
        // Encoders of frames fill the last one.
        let most = if exact { 3_200 } else { 3_200 + 4_096 };
        assert!((3_200..=most).contains(&r.samples.len()), "{name}: {}", r.samples.len());
        assert_eq!(samples_at(&path, 16_000).unwrap(), r.samples.len() as u64, "{name}");
        assert_eq!(checked_samples_at(&path, 16_000).unwrap(), r.samples.len() as u64, "{name}");

        let bytes = fs::read(&path).unwrap();
        let mut stream = Stream::open(Dribble(io::Cursor::new(bytes), 0), Path::new(name)).unwrap();
        let mut samples = Vec::new();
        while stream.read(&mut samples).unwrap() > 0 {}
        assert_eq!(stream.sample_rate(), 16_000);
        assert!(is_tone(&samples, 16_000), "{name} as a stream");
        assert!(samples.len().abs_diff(r.samples.len()) <= 2_048, "{name}: {}", samples.len());
    }
    let e = read(&folder.join("tone.opus")).unwrap_err().to_string();
    assert!(e.contains("sound in Opus") && e.contains("ffmpeg"), "{e}");
}

/// Files of the library's formats that are cut, or have flipped bits, give a recording or an error; they never take much
/// memory or panic.
#[test]
fn damaged_files_of_all_formats_are_survived() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "tone.flac",
        "tone.ogg",
        "tone.mp3",
        "tone.m4a",
        "tone.aac",
        "lossless.m4a",
        "tone.aiff",
        "tone.caf",
        "adpcm.wav",
    ] {
        let whole = fs::read(folder.join(name)).unwrap();
        let mut random = 1u64;
        let mut next = |n: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % n
        };
        for round in 0..60 {
            let mut bytes = whole.clone();
            match round % 3 {
                0 => bytes.truncate(next(whole.len())),
                1 => (0..3).for_each(|_| bytes[next(whole.len().min(300))] ^= 1 << (round % 8)),
                _ => (0..20).for_each(|_| bytes[next(whole.len())] ^= 1 << (round % 8)),
            }
            match read(&at(&dir, &bytes)) {
                Ok(r) => assert!(r.samples.len() <= 64 * whole.len(), "{name} {round}"),
                Err(e) => assert!(e.to_string().contains("x.wav") && !e.to_string().contains('\n'), "{e}"),
            }
        }
    }
}

/// Numbers of a CAF file that the library would multiply, or take memory for, as they are.
#[test]
fn absurd_numbers_of_a_caf_file_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/tone.caf")).unwrap();
    assert!(whole[8..].starts_with(b"desc") && read(&at(&dir, &whole)).is_ok());
    let refused = |bytes: &[u8], words: &str| {
        let e = read(&at(&dir, bytes)).unwrap_err().to_string();
        assert!(e.contains(words) && e.contains("x.wav") && !e.contains('\n'), "{e}");
    };
    let with = |place: usize, bytes: &[u8]| {
        let mut all = whole.clone();
        all[place..place + bytes.len()].copy_from_slice(bytes);
        all
    };
    // Bytes and frames of a packet; none of them says that it is encoded.
    refused(&with(36, &0x2000_0002u32.to_be_bytes()), "536870914 bytes");
    refused(&with(40, &u32::MAX.to_be_bytes()), "4294967295 frames");
    refused(&with(40, &[0; 4]), "encoded");
    let name = String::from_utf8_lossy(&whole[52..56]).into_owned();
    refused(&with(56, &i64::MAX.to_be_bytes()), &format!("`{name}` has 9223372036854775807 bytes"));
    refused(&with(56, &(-7i64).to_be_bytes()), "-7 bytes");
    refused(&with(8, b"free"), "first chunk");
    refused(&whole[..15], "ends before");
    // A CAF file inside another format is not that file.
    let aac = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/tone.aac")).unwrap();
    let mut both = aac[..2].to_vec();
    both.extend([0; 40]);
    both.extend(&whole);
    assert!(read(&at(&dir, &both)).is_err());
}

/// A lossless file that does not hold what it says is an error and no shorter recording.
#[test]
fn a_flac_file_that_is_cut_or_changed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/tone.flac")).unwrap();
    let e = read(&at(&dir, &whole[..whole.len() - 200])).unwrap_err();
    assert!(e.to_string().contains("x.wav"), "{e}");
    // Its checksum covers all of the sound.
    let mut bytes = whole.clone();
    bytes[8 + 18] ^= 1;
    let e = read(&at(&dir, &bytes)).unwrap_err();
    assert!(e.to_string().contains("checksum"), "{e}");
}
