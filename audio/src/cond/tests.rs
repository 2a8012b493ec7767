use super::*;
use crate::features::{self, common::Alignment};
use proptest::prelude::*;

fn sample() -> Condition {
    Condition {
        name: "Ada \"ü\"".into(),
        source: "ada.wav".into(),
        speaker: Some(SpeakerVector::new("s-1".into(), vec![0.25, -1.5, 3.0e-8])),
        stats: Some(SpeakerStats {
            mean: [0.1; 16],
            std: [1.7; 16],
            median_f0_hz: 203.7,
            common: Some(Alignment { offset: [0.3; 16], ..Alignment::identity() }),
        }),
        track: Some(TrackInfo {
            recipe: features::RECIPE.into(),
            sample_rate: features::SAMPLE_RATE,
            hop: features::HOP as u32,
            features: 2,
            frames: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        }),
    }
}

#[test]
fn files_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("speaker.bin");
    let whole = sample();
    let only_speaker = Condition { track: None, stats: None, ..sample() };
    let only_track = Condition { speaker: None, ..sample() };
    let mut enrolled = sample();
    let stats = SpeakerStats { median_f0_hz: 99.0, ..sample().stats.unwrap() };
    enrolled.speaker.as_mut().unwrap().stats = Some(stats.clone());
    // A track's statistics are not the speaker's.
    assert_eq!((whole.speaker_stats(), enrolled.speaker_stats()), (None, Some(&stats)));
    assert_eq!(Condition { track: None, ..sample() }.speaker_stats(), sample().stats.as_ref());
    for c in [whole, enrolled, only_speaker, only_track] {
        c.write(&path).unwrap();
        let back = Condition::read(&path).unwrap();
        assert_eq!(back, c);
        assert_eq!(back.to_bytes().unwrap(), c.to_bytes().unwrap());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn bad_content_is_neither_written_nor_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("speaker.bin");
    sample().write(&path).unwrap();
    let old = std::fs::read(&path).unwrap();
    type Edit = fn(&mut Condition);
    let edits: [Edit; 14] = [
        |c| c.speaker.as_mut().unwrap().stats = c.stats.clone().map(|s| SpeakerStats { std: [0.0; 16], ..s }),
        |c| c.speaker.as_mut().unwrap().values[1] = f32::NAN,
        |c| c.speaker.as_mut().unwrap().values.clear(),
        |c| c.speaker.as_mut().unwrap().values.resize(MAX_SPEAKER + 1, 0.0),
        |c| c.speaker.as_mut().unwrap().space.clear(),
        |c| c.track.as_mut().unwrap().frames[0] = f32::INFINITY,
        |c| c.track.as_mut().unwrap().frames.clear(),
        |c| c.track.as_mut().unwrap().features = 4,
        |c| c.track.as_mut().unwrap().features = 0,
        |c| c.track.as_mut().unwrap().hop = 0,
        |c| c.stats.as_mut().unwrap().std[3] = 0.0,
        |c| c.stats.as_mut().unwrap().median_f0_hz = f32::NAN,
        |c| c.stats.as_mut().unwrap().common.as_mut().unwrap().matrix[5] = [0.0; 16],
        |c| (c.speaker, c.track) = (None, None),
    ];
    for edit in edits {
        let mut c = sample();
        edit(&mut c);
        let e = c.write(&path).unwrap_err();
        assert!(matches!(e, CondError::Content { .. }), "{e}");
        assert_eq!(std::fs::read(&path).unwrap(), old);
    }
    // The same for bytes made by someone else: a NaN in the last value.
    let mut bytes = old.clone();
    let n = bytes.len();
    bytes[n - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(Condition::from_bytes(&bytes).unwrap_err().contains("NaN"));
}

#[test]
fn another_version_says_so() {
    let bytes = sample().to_bytes().unwrap();
    let text = br#"\"version\":1"#;
    let at = bytes.windows(text.len()).position(|w| w == text).unwrap();
    let mut later = bytes.clone();
    later[at + text.len() - 1] = b'2';
    let e = Condition::from_bytes(&later).unwrap_err();
    assert!(e.contains("version 2"), "{e}");
}

#[test]
fn errors_name_the_file_and_stay_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("voice.bin");
    let missing = Condition::read(&path).unwrap_err();
    assert!(matches!(missing, CondError::Read { .. }));
    let mut hostile = u64::MAX.to_le_bytes().to_vec();
    hostile.extend([0; 100]);
    for bytes in [&b""[..], b"hello", &[0xff; 64], &hostile] {
        std::fs::write(&path, bytes).unwrap();
        let e = Condition::read(&path).unwrap_err();
        assert!(matches!(e, CondError::Format { .. }));
        let text = e.to_string();
        assert!(text.contains("voice.bin") && !text.contains('\n'), "{text}");
    }
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = sample().to_bytes().unwrap();
    for n in 0..bytes.len() {
        assert!(Condition::from_bytes(&bytes[..n]).is_err());
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(Condition::from_bytes(&longer).is_err());
}

#[test]
fn every_flipped_bit_is_an_error_or_a_valid_condition() {
    let bytes = sample().to_bytes().unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut b = bytes.clone();
        b[bit / 8] ^= 1 << (bit % 8);
        if let Ok(c) = Condition::from_bytes(&b) {
            assert!(c.check().is_ok());
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Condition::from_bytes(&bytes).is_err());
    }

    #[test]
    fn random_headers_never_panic(json in "[\\[\\]{}\":,a-z0-9_ ]{0,200}") {
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend(json.as_bytes());
        prop_assert!(Condition::from_bytes(&bytes).is_err());
    }
}

fn voice(name: &str, space: &str, values: &[f32]) -> Condition {
    Condition {
        name: name.into(),
        speaker: Some(SpeakerVector::new(space.into(), values.to_vec())),
        ..Condition::default()
    }
}

#[test]
fn mixtures_are_weighted_means() {
    let (a, b) = (voice("a", "s", &[0.0, 4.0]), voice("b", "s", &[8.0, 0.0]));
    let m = mix(&[(&a, 3.0), (&b, 1.0)]).unwrap();
    assert_eq!(m.speaker.as_ref().unwrap().values, [2.0, 3.0]);
    assert_eq!(m.source, "0.750 a + 0.250 b");
    assert!(m.to_bytes().is_ok());
    let away = mix(&[(&a, 2.0), (&b, -1.0)]).unwrap();
    assert_eq!(away.speaker.unwrap().values, [-8.0, 8.0]);
    assert_eq!(mix(&[(&a, 0.1)]).unwrap().speaker, a.speaker);

    // The statistics go with the vectors, where all have some and the result is valid.
    let with = |c: &Condition, mean: f32, std: f32, hz: f32, map: f32| {
        let matrix = Alignment::identity().matrix.map(|row| row.map(|v| map * v));
        let common = Some(Alignment { matrix, offset: [mean; 16] });
        let stats = SpeakerStats { mean: [mean; 16], std: [std; 16], median_f0_hz: hz, common };
        Condition { stats: Some(stats), ..c.clone() }
    };
    let (known, other) = (with(&a, 1.0, 2.0, 100.0, 1.0), with(&b, 5.0, 6.0, 400.0, 3.0));
    let stats = mix(&[(&known, 1.0), (&other, 1.0)]).unwrap().stats.unwrap();
    assert_eq!((stats.mean[3], stats.std[3]), (3.0, 4.0));
    assert!((stats.median_f0_hz - 200.0).abs() < 0.01);
    let common = stats.common.unwrap();
    assert_eq!((common.matrix[5][5], common.matrix[5][6], common.offset[5]), (2.0, 0.0, 3.0));
    assert_eq!(mix(&[(&known, 1.0), (&b, 1.0)]).unwrap().stats, None);
    let beside = Condition { track: sample().track, ..known.clone() };
    assert_eq!(mix(&[(&beside, 1.0), (&known, 1.0)]).unwrap().stats, None);
    assert_eq!(mix(&[(&known, 3.0), (&other, -2.0)]).unwrap().stats, None);

    let (other, longer) = (voice("c", "t", &[0.0, 0.0]), voice("d", "s", &[0.0; 3]));
    let mut track = sample();
    track.speaker = None;
    for bad in [
        &[][..],
        &[(&a, 0.0)],
        &[(&a, 1.0), (&b, -1.0)],
        &[(&a, f32::NAN)],
        &[(&a, f32::INFINITY)],
        &[(&a, 1.0), (&other, 1.0)],
        &[(&a, 1.0), (&longer, 1.0)],
        &[(&track, 1.0)],
    ] {
        assert!(matches!(mix(bad), Err(CondError::Mix(_))));
    }
}

#[test]
fn a_track_for_another_model_is_refused_in_words() {
    let track = sample().track.unwrap();
    let mut wanted = TrackShape { recipe: features::RECIPE, sample_rate: 16_000, hop: 160, features: 2 };
    track.check(wanted).unwrap();
    wanted.features = features::FEATURES;
    let text = track.check(wanted).unwrap_err().to_string();
    assert!(text.contains("2 features") && text.contains("18 features"), "{text}");
    assert_eq!(track.frame(1), [3.0, 4.0]);
    assert_eq!(track.frame(77), [5.0, 6.0]);
}
