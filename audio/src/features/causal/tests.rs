use super::super::common::{Alignment, Codebook, align};
use super::super::tests::{noise, speechlike, voice};
use super::super::{CLAMP, Extractor, RawFeatures, SpeakerStats, Track, normalise};
use super::*;
use proptest::prelude::*;

/// The window of every frame of a whole signal, pushed in pieces of the given lengths in turn.
fn windows(
    pcm: &[f32],
    context: usize,
    speaker_stats: RunningSpeakerStats,
    pieces: &[usize],
) -> Vec<Vec<f32>> {
    windows_and_stats(pcm, context, speaker_stats, pieces).0
}

/// The same, and the speaker statistics in the end.
fn windows_and_stats(
    pcm: &[f32],
    context: usize,
    speaker_stats: RunningSpeakerStats,
    pieces: &[usize],
) -> (Vec<Vec<f32>>, SpeakerStats) {
    let mut e = CausalExtractor::new(context, speaker_stats);
    let mut out = Vec::new();
    let (mut at, mut piece) = (0, pieces.iter().cycle());
    loop {
        while e.rows() < out.len() + context + 1 {
            let n = piece.next().unwrap().min(&(pcm.len() - at)).min(&e.wants()).to_owned();
            if at == pcm.len() { e.end() } else { at += e.push(&pcm[at..at + n]) }
        }
        if e.frames().is_some_and(|n| out.len() >= n) {
            return (out, e.speaker_stats().stats().clone());
        }
        out.push(e.window().to_vec());
    }
}

/// The space common to the speaker of the sentences and one with a longer throat.
fn common() -> Option<Codebook> {
    let raw = Extractor::new().extract(&[sentences(), sentences(), sentences()].concat());
    let mut other = raw.clone();
    other.cepstra.iter_mut().for_each(|c| c[2] += 0.4 * c[1]);
    let book = |raw: &RawFeatures| Codebook::of([raw], &SpeakerStats::pool([raw]).ok()?);
    Some(align(&[book(&raw)?, book(&other)?])?.1)
}

/// Frame `i` of the whole recording's track with its neighbours.
fn spliced(track: &Track, i: usize, context: usize) -> Vec<f32> {
    (0..=2 * context).flat_map(|k| track.frame((i + k).saturating_sub(context))).copied().collect()
}

fn columns(window: &[f32]) -> impl Iterator<Item = (&[f32], &[f32])> {
    window.chunks_exact(FEATURES).map(|row| row.split_at(CEPSTRA))
}

fn stats(pcm: &[f32]) -> SpeakerStats {
    SpeakerStats::pool([&Extractor::new().extract(pcm)]).unwrap()
}

/// Sentences with pauses: voiced and unvoiced stretches, glides, digital silence.
fn sentences() -> Vec<f32> {
    let mut x = vec![0.0; 3_000];
    x.extend(speechlike());
    x.extend([0.0; 4_000]);
    x.extend(voice(|t| 240.0 - 60.0 * t, 0.7));
    x.extend(noise(3_210).iter().map(|n| 0.02 * n));
    x.extend(speechlike());
    x
}

#[test]
fn cepstra_equal_those_of_the_whole_recording() {
    let sentences = sentences();
    let stats = stats(&sentences);
    for cut in [0, 1, 159, 160, 161, 5_000, 40_000] {
        let x = &sentences[..cut];
        let track = normalise(&Extractor::new().extract(x), &stats);
        for context in [0, 1, 2, 3] {
            let live = windows(x, context, RunningSpeakerStats::known(stats.clone()), &[160]);
            assert_eq!(live.len(), frame_count(cut));
            for (i, window) in live.iter().enumerate() {
                let want = spliced(&track, i, context);
                for ((cepstra, _), (want, _)) in columns(window).zip(columns(&want)) {
                    assert_eq!(cepstra, want, "frame {i} of {cut} samples, context {context}");
                }
            }
        }
    }
}

/// Once the loudest 30 ms are past, the tracker's decision on a frame agrees with that on the whole recording; where both
/// find the frame voiced, the pitch is the same.
#[test]
fn voicing_and_pitch_agree_with_the_whole_recording_in_most_frames() {
    let x = sentences();
    let stats = stats(&x);
    let raw = Extractor::new().extract(&x);
    let track = normalise(&raw, &stats);
    let live = windows(&x, 2, RunningSpeakerStats::known(stats), &[160]);
    let (mut voiced, mut agree, mut near) = (0, 0, 0);
    for (i, window) in live.iter().enumerate() {
        let row = &window[2 * FEATURES..][..FEATURES];
        let both = row[CEPSTRA + 1] > 0.0 && raw.voicing[i] > 0.0;
        agree += usize::from((row[CEPSTRA + 1] > 0.0) == (raw.voicing[i] > 0.0));
        voiced += usize::from(both);
        near += usize::from(both && (row[CEPSTRA] - track.frame(i)[CEPSTRA]).abs() < 0.02);
    }
    println!("voicing agrees in {agree} of {}, pitch in {near} of {voiced} voiced in both", live.len());
    assert!(agree * 100 >= live.len() * 95, "{agree} of {}", live.len());
    assert!(near * 100 >= voiced * 98 && voiced > 100, "{near} of {voiced}");
}

/// Frame i looks at [`needed`] samples and no further: other samples behind change nothing.
#[test]
fn a_frame_needs_what_is_said_and_no_more() {
    let x = sentences();
    let stats = stats(&x);
    for context in [1, 2] {
        let mut e = CausalExtractor::new(context, RunningSpeakerStats::known(stats.clone()));
        let mut at = 0;
        while e.rows() < 31 + context {
            at += e.push(&x[at..]);
        }
        assert_eq!(at, 30 * HOP + needed(context));
        let mut other = x.clone();
        other[at..].iter_mut().zip(noise(100_000)).for_each(|(x, n)| *x = n);
        assert_eq!(
            windows(&other, context, RunningSpeakerStats::known(stats.clone()), &[160])[30],
            e.window()
        );
    }
}

#[test]
fn pitch_holds_across_unvoiced_stretches_and_ahead() {
    let mut x = voice(|_| 150.0, 0.5);
    x.extend(noise(8_000).iter().map(|n| 0.01 * n));
    let stats = SpeakerStats { mean: [0.0; CEPSTRA], std: [1.0; CEPSTRA], median_f0_hz: 100.0, common: None };
    let live = windows(&x, 2, RunningSpeakerStats::known(stats), &[160]);
    let pitch = |i: usize, row: usize| live[i][row * FEATURES + CEPSTRA];
    let want = 2.0 * 1.5f32.log2();
    for i in (6..45).chain(60..95) {
        for row in 0..5 {
            assert!((pitch(i, row) - want).abs() < 0.03, "frame {i}, row {row}: {}", pitch(i, row));
        }
    }
    assert!(live[70].chunks_exact(FEATURES).all(|row| row[CEPSTRA + 1] == 0.0));
}

#[test]
fn a_speaker_is_learned_whatever_his_gain_and_pitch() {
    let x: Vec<f32> = sentences().iter().map(|x| 0.1 * x).collect();
    let own = stats(&x);
    // 20 dB louder, an octave higher, and of another timbre.
    let mut prior = stats(&sentences());
    prior.median_f0_hz *= 2.0;
    prior.mean[1..].iter_mut().for_each(|m| *m += 1.0);
    let mut e = CausalExtractor::new(2, RunningSpeakerStats::learning(prior.clone(), None));
    for _ in 0..6 {
        let mut at = 0;
        while at < x.len() {
            at += e.push(&x[at..]);
        }
    }
    let learned = e.speaker_stats().stats().clone();
    assert!(learned.is_valid());
    for k in 0..CEPSTRA {
        let (off, was) = ((learned.mean[k] - own.mean[k]).abs(), (prior.mean[k] - own.mean[k]).abs());
        assert!(off < 0.3 * own.std[k].max(was), "c{k}: {off} off, {was} at first");
        assert!((0.6..1.7).contains(&(learned.std[k] / own.std[k])), "c{k}");
    }
    let octaves = (learned.median_f0_hz / own.median_f0_hz).log2().abs();
    assert!(octaves < 0.25, "{} Hz, {} Hz", learned.median_f0_hz, own.median_f0_hz);
    // Minutes of a quiet room change nothing.
    let hiss: Vec<f32> = noise(16_000).iter().map(|n| 1e-4 * n).collect();
    for _ in 0..60 {
        let mut at = 0;
        while at < hiss.len() {
            at += e.push(&hiss[at..]);
        }
    }
    assert!((e.speaker_stats().stats().mean[0] - learned.mean[0]).abs() < 0.05 * own.std[0]);
}

#[test]
fn silence_and_nonsense_stay_within_bounds() {
    for x in [vec![0.0; 20_000], vec![f32::NAN; 9_000], noise(9_000).iter().map(|n| n * 1e30).collect()] {
        let speaker_stats = RunningSpeakerStats::learning(stats(&sentences()), common().as_ref());
        for window in windows(&x, 2, speaker_stats, &[160]) {
            assert!(window.iter().all(|v| v.abs() <= CLAMP));
        }
    }
    let mut e = CausalExtractor::new(2, RunningSpeakerStats::known(stats(&sentences())));
    let before = e.window().to_vec();
    for _ in 0..20 {
        e.push(&[0.0; BUFFER]);
    }
    assert_eq!(e.window(), before, "before the first row there is silence");
}

#[test]
fn a_way_to_the_common_space_is_learned_from_speech_only() {
    let (x, common) = (sentences(), common());
    let mut prior = stats(&x);
    let mut e = CausalExtractor::new(2, RunningSpeakerStats::learning(prior.clone(), common.as_ref()));
    let push = |e: &mut CausalExtractor, x: &[f32]| {
        let mut at = 0;
        while at < x.len() {
            at += e.push(&x[at..]);
        }
        e.speaker_stats().alignments()
    };
    let hiss: Vec<f32> = noise(80_000).iter().map(|n| 1e-4 * n).collect();
    assert_eq!((push(&mut e, &hiss), e.speaker_stats().stats().common.clone()), (0, None));
    let found = push(&mut e, &x.repeat(4));
    assert!(found > 1 && e.speaker_stats().stats().common.is_some(), "{found} maps");
    assert_eq!(push(&mut e, &hiss), found);
    // Without the space there is no map to it.
    prior.common = Some(Alignment::identity());
    let mut e = CausalExtractor::new(2, RunningSpeakerStats::learning(prior.clone(), None));
    assert_eq!((push(&mut e, &x), e.speaker_stats().stats().common.clone()), (0, prior.common));
}

#[test]
fn a_frame_beyond_the_range_of_numbers_is_not_learned() {
    let x = sentences();
    let mut e = CausalExtractor::new(2, RunningSpeakerStats::learning(stats(&x), common().as_ref()));
    for x in [noise(9_000).iter().map(|n| n * 1e30).collect(), x.clone(), x.clone()] {
        let mut at = 0;
        while at < x.len() {
            at += e.push(&x[at..]);
        }
    }
    assert!(e.speaker_stats().stats().is_valid() && e.speaker_stats().alignments() > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn windows_do_not_depend_on_how_the_signal_is_cut(pieces in prop::collection::vec(1usize..700, 1..9)) {
        let x = &sentences()[2_000..10_321];
        let common = common();
        let speaker_stats = || RunningSpeakerStats::learning(stats(x), common.as_ref());
        prop_assert!(common.is_some());
        prop_assert_eq!(windows_and_stats(x, 2, speaker_stats(), &pieces), windows_and_stats(x, 2, speaker_stats(), &[160]));
    }
}
