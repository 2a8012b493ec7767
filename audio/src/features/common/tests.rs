use super::*;

/// Synthetic speech: a slow walk through eight sounds, each a point in the cepstra, with some noise.
fn speech(seed: u64, frames: usize) -> RawFeatures {
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let place = |sound: usize, k: usize| ((sound * 37 + k * 101 + 13) % 29) as f32 / 8.0 - 1.75;
    let mut out = vec![[0.0; CEPSTRA]; frames];
    let (mut from, mut to) = (0, 1);
    for (i, frame) in out.iter_mut().enumerate() {
        if i % 12 == 0 {
            (from, to) = (to, (uniform() * 8.0) as usize);
        }
        let share = ((i % 12) as f32 / 6.0).min(1.0);
        for (k, v) in frame.iter_mut().enumerate() {
            *v = place(from, k) * (1.0 - share) + place(to, k) * share + 0.2 * (uniform() - 0.5);
        }
        frame[0] = 0.5;
    }
    RawFeatures { cepstra: out, f0_hz: vec![0.0; frames], voicing: vec![0.0; frames] }
}

/// Of features that are normalised already.
const NONE: SpeakerStats =
    SpeakerStats { mean: [0.0; CEPSTRA], std: [1.0; CEPSTRA], median_f0_hz: 0.0, common: None };

fn book(raw: &RawFeatures) -> Option<Codebook> {
    Codebook::of([raw], &NONE)
}

/// Another speaker: the sounds move by a map near the identity.
fn person(by: f32) -> Alignment {
    let mut map = Alignment::identity();
    for i in 0..CEPSTRA {
        for k in 0..CEPSTRA {
            map.matrix[i][k] += by * (((i * 7 + k * 3) % 5) as f32 - 2.0) / 20.0;
        }
        map.offset[i] = by * ((i % 3) as f32 - 1.0) * 0.2;
    }
    map
}

fn distance(a: &RawFeatures, b: &RawFeatures) -> f32 {
    let frames = a.cepstra.iter().zip(&b.cepstra);
    frames.flat_map(|(a, b)| a[1..].iter().zip(&b[1..])).map(|(a, b)| (a - b).powi(2)).sum()
}

fn spoken(who: &Alignment, seed: u64) -> RawFeatures {
    let mut track = speech(seed, 3_000);
    track.cepstra.iter_mut().for_each(|f| who.apply(f));
    track
}

#[test]
fn one_speakers_frames_become_the_others() {
    let truth = [person(1.0), person(-1.0), person(0.0)];
    // Each speaker has a text of their own.
    let books: Vec<Codebook> =
        truth.iter().zip(1..).filter_map(|(who, seed)| book(&spoken(who, seed))).collect();
    let (maps, reference) = align(&books).expect("three speakers");
    let (source, wanted) = (spoken(&truth[0], 9), spoken(&truth[1], 9));
    let to = maps[0].then(&maps[1].inverse().expect("a map back"));
    let mut moved = source.clone();
    moved.cepstra.iter_mut().for_each(|f| to.apply(f));
    let (before, after) = (distance(&source, &wanted), distance(&moved, &wanted));
    assert!(after < 0.35 * before, "{before} before, {after} after");

    // A speaker who was absent when the space was made.
    let new = reference.align(&books[0]).expect("a map");
    let mut moved = source.clone();
    let to = new.then(&maps[1].inverse().expect("a map back"));
    moved.cepstra.iter_mut().for_each(|f| to.apply(f));
    let after = distance(&moved, &wanted);
    assert!(after < 0.5 * before, "{before} before, {after} after, by the reference");
}

/// The map found online comes most of the way to the map found from the whole recording.
#[test]
fn a_map_is_found_while_speech_comes_in() {
    let books: Vec<Codebook> =
        [0.3, -1.0, 0.0].iter().zip(1..).filter_map(|(by, seed)| book(&spoken(&person(*by), seed))).collect();
    let (maps, reference) = align(&books).expect("three speakers");
    let back = maps[1].inverse().expect("a map back");
    let new = person(1.0);
    let (source, wanted) = (spoken(&new, 9), spoken(&person(-1.0), 9));
    let off = |map: &Alignment| {
        let (mut moved, to) = (source.clone(), map.then(&back));
        moved.cepstra.iter_mut().for_each(|f| to.apply(f));
        distance(&moved, &wanted)
    };
    let first = Alignment::mixed(&maps.iter().map(|map| (map, 1.0 / 3.0)).collect::<Vec<_>>());
    let mut aligner = OnlineAligner::new(&reference, &first);
    let found: Vec<f32> =
        spoken(&new, 4).cepstra.iter().filter_map(|c| aligner.push(c, &NONE).map(off)).collect();
    assert_eq!(found.len(), 15);
    let (before, whole) =
        (off(&first), off(&reference.align(&book(&source).expect("speech")).expect("a map")));
    println!("{before} at first, {} in the end, {whole} from all; {found:?}", found[14]);
    // One pass, tied to the first map: not as near as every frame at once, but most of the way, and most of it at once.
    assert!(
        found[0] < 0.2 * before && found[14] < 0.05 * before,
        "{found:?} from {before}, {whole} from all"
    );
    assert!(found.is_sorted_by(|earlier, later| later <= earlier), "{found:?}");

    // Frames without speech do not count.
    let pause = [-3.0; CEPSTRA];
    let mut aligner = OnlineAligner::new(&reference, &first);
    assert!((0..1000).all(|_| aligner.push(&pause, &NONE).is_none()));
}

#[test]
fn there_and_back_is_nothing() {
    let map = person(1.0);
    let same = map.then(&map.inverse().expect("a map back"));
    let mut frame = [0.3; CEPSTRA];
    same.apply(&mut frame);
    assert!(frame.iter().all(|v| (v - 0.3).abs() < 1e-5), "{frame:?}");
    let flat = Alignment { matrix: [[1.0; CEPSTRA]; CEPSTRA], offset: [0.0; CEPSTRA] };
    assert!(!flat.is_valid() && flat.inverse().is_none());
    for bad in [f32::NAN, f32::INFINITY, 1e5, 1e-6] {
        let mut map = person(1.0);
        map.matrix[2] = map.matrix[2].map(|v| bad * v);
        assert!(!map.is_valid(), "{bad}");
    }
}

#[test]
fn a_codebook_survives_its_file_but_for_its_steps() {
    let book = book(&speech(3, 2_000)).expect("speech");
    let json = serde_json::to_string(&book).expect("numbers");
    let back: Codebook = serde_json::from_str(&json).expect("a codebook");
    let pairs = book.rows.as_flattened().iter().zip(back.rows.as_flattened());
    assert!(pairs.clone().all(|(a, b)| (a - b).abs() <= 0.5 * STEP) && book.rows.len() == back.rows.len());
    for bad in [r#"{"step":0.1,"codes":[1,2]}"#, r#"{"step":0.0,"codes":[]}"#] {
        assert!(serde_json::from_str::<Codebook>(bad).is_err(), "{bad}");
    }
}

#[test]
fn too_little_speech_gives_no_codebook() {
    assert_eq!(book(&speech(1, MIN_FRAMES - 1)), None);
    assert_eq!(book(&RawFeatures::default()), None);
    assert_eq!(align(&[book(&speech(1, 900)).expect("speech")]), None);
}
