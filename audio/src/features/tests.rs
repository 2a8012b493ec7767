use super::*;
use f0::Tracker;
use std::f64::consts::TAU;

/// White noise in -1..1 from a 64-bit congruential generator.
pub(super) fn noise(n: usize) -> Vec<f32> {
    let mut s = 0x9e37_79b9_7f4a_7c15u64;
    (0..n)
        .map(|_| {
            s = s.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (s >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Harmonics up to 7 kHz at -6 dB per octave, the pitch in Hz given as a function of time in seconds.
pub(super) fn voice(pitch: impl Fn(f64) -> f64, seconds: f64) -> Vec<f32> {
    let mut phase = 0.0;
    (0..(seconds * 16_000.0) as usize)
        .map(|i| {
            let f = pitch(i as f64 / 16_000.0);
            phase += f / 16_000.0;
            let harmonics = (7_000.0 / f) as u32;
            let x: f64 = (1..=harmonics).map(|h| (TAU * phase * h as f64).sin() / h as f64).sum();
            (0.2 * x) as f32
        })
        .collect()
}

fn frame_time(i: usize) -> f64 {
    (i * HOP + HOP / 2) as f64 / 16_000.0
}

fn check_pitch(x: &[f32], pitch: impl Fn(f64) -> f64, what: &str) {
    let (f0, voicing) = Tracker::new().track(x);
    assert_eq!(f0.len(), frame_count(x.len()));
    // The first and last 50 ms see the edge.
    for i in 5..f0.len() - 5 {
        let want = pitch(frame_time(i)) as f32;
        let off = (f0[i] - want).abs() / want;
        assert!(off < 0.01, "{what}, frame {i}: {} Hz, want {want}", f0[i]);
        assert!((0.8..=1.0).contains(&voicing[i]), "{what}: {}", voicing[i]);
    }
}

#[test]
fn steady_tones_within_one_percent() {
    for f in [62.0, 75.0, 100.0, 127.3, 180.0, 220.0, 301.7, 395.0] {
        check_pitch(&voice(|_| f, 0.6), |_| f, &format!("{f} Hz"));
    }
}

#[test]
fn glides_within_one_percent() {
    let up = |t: f64| 100.0 * 2f64.powf(t);
    check_pitch(&voice(up, 1.5), up, "an octave a second upwards");
    let down = |t: f64| 300.0 * 2f64.powf(-1.5 * t);
    check_pitch(&voice(down, 1.0), down, "1.5 octaves a second downwards");
    let vibrato = |t: f64| 200.0 * 2f64.powf(0.05 * (TAU * 4.0 * t).sin());
    check_pitch(&voice(vibrato, 1.0), vibrato, "vibrato");
}

#[test]
fn a_tone_in_noise_keeps_its_pitch() {
    let mut x = voice(|_| 140.0, 1.0);
    // 10 dB below the tone's power, about.
    x.iter_mut().zip(noise(16_000)).for_each(|(x, n)| *x += 0.12 * n);
    let (f0, _) = Tracker::new().track(&x);
    let good = f0[5..95].iter().filter(|f| (*f - 140.0).abs() < 2.8);
    assert!(good.count() >= 88);
}

#[test]
fn noise_and_silence_are_unvoiced() {
    let mut t = Tracker::new();
    let (f0, voicing) = t.track(&noise(32_000));
    let voiced = f0.iter().filter(|f| **f > 0.0).count();
    assert!(voiced <= f0.len() / 50, "{voiced} of {}", f0.len());
    for i in 0..f0.len() {
        assert!(f0[i] > 0.0 || voicing[i] == 0.0);
    }
    let (f0, voicing) = t.track(&[0.0; 5_000]);
    assert!(f0.iter().chain(&voicing).all(|v| *v == 0.0));
}

/// A hum 50 dB below the voice is no voice; the pitch does not depend on gain.
#[test]
fn faint_hum_is_unvoiced_whatever_the_gain() {
    let mut x = voice(|_| 150.0, 0.5);
    x.extend((0..8_000).map(|i| (0.001 * (TAU * 100.0 * i as f64 / 16_000.0).sin()) as f32));
    let (f0, _) = Tracker::new().track(&x);
    assert!(f0[5..45].iter().all(|f| *f > 0.0));
    assert!(f0[56..].iter().all(|f| *f == 0.0));
    let quiet: Vec<f32> = x.iter().map(|x| x * 0.03125).collect();
    assert_eq!(Tracker::new().track(&quiet).0, f0);
}

pub(super) fn speechlike() -> Vec<f32> {
    let mut x = voice(|t| 120.0 + 20.0 * (TAU * 2.0 * t).sin(), 1.0);
    let hiss = noise(x.len());
    for (i, x) in x.iter_mut().enumerate() {
        let t = i as f64 / 16_000.0;
        let voiced = ((t * 4.0) as u32).is_multiple_of(2);
        let level = 0.3 + 0.2 * (TAU * 3.0 * t).sin() as f32;
        *x = if voiced { *x } else { 0.1 * hiss[i] } * level + 1e-3 * hiss[i];
    }
    x
}

#[test]
fn gain_moves_only_c0_and_normalisation_removes_it() {
    let x = speechlike();
    let half: Vec<f32> = x.iter().map(|x| x * 0.5).collect();
    let mut e = Extractor::new();
    let (a, b) = (e.extract(&x), e.extract(&half));
    for (a, b) in a.cepstra.iter().zip(&b.cepstra) {
        let fall = 2.0 * 2f32.ln() * (BANDS as f32).sqrt();
        assert!((a[0] - b[0] - fall).abs() < 1e-3);
        assert!(a[1..].iter().zip(&b[1..]).all(|(a, b)| (a - b).abs() < 1e-3));
    }
    let (sa, sb) = (SpeakerStats::pool([&a]), SpeakerStats::pool([&b]));
    let (ta, tb) = (normalise(&a, &sa.unwrap()), normalise(&b, &sb.unwrap()));
    for (a, b) in ta.frames.iter().zip(&tb.frames) {
        assert!((a - b).abs() < 1e-3);
    }
}

#[test]
fn a_shift_by_whole_hops_shifts_the_frames() {
    let x = speechlike();
    let mut shifted = vec![0.0; 7 * HOP];
    shifted.extend(&x);
    let mut e = Extractor::new();
    let (a, b) = (e.extract(&x), e.extract(&shifted));
    assert_eq!(b.len(), a.len() + 7);
    assert_eq!(a.cepstra[..], b.cepstra[7..]);
    // The low-pass rings into the silence ahead; the first frames see that.
    assert_eq!(a.f0_hz[2..], b.f0_hz[9..]);
}

#[test]
fn normalised_speech_has_mean_zero_and_spread_one() {
    let raw = Extractor::new().extract(&speechlike());
    let stats = SpeakerStats::pool([&raw, &raw]).unwrap();
    assert!(stats.is_valid());
    assert_eq!(SpeakerStats::pool([&raw]).unwrap().median_f0_hz, stats.median_f0_hz);
    assert!((100.0..140.0).contains(&stats.median_f0_hz));
    let track = normalise(&raw, &stats);
    assert_eq!(track.len(), raw.len());
    assert!(track.frames.iter().all(|v| v.abs() <= CLAMP));
    for k in 0..CEPSTRA {
        let column: Vec<f32> = (0..track.len()).map(|i| track.frame(i)[k]).collect();
        let mean = column.iter().sum::<f32>() / column.len() as f32;
        assert!(mean.abs() < 0.5, "c{k}: {mean}");
    }
}

#[test]
fn pitch_is_relative_interpolated_and_held() {
    let raw = RawFeatures {
        cepstra: vec![[0.0; CEPSTRA]; 6],
        f0_hz: vec![0.0, 100.0, 0.0, 0.0, 200.0, 0.0],
        voicing: vec![0.0, 0.9, 0.0, 0.0, 0.8, 0.0],
    };
    let stats = SpeakerStats { mean: [0.0; CEPSTRA], std: [1.0; CEPSTRA], median_f0_hz: 100.0, common: None };
    let track = normalise(&raw, &stats);
    let column = |k: usize| (0..6).map(|i| track.frame(i)[k]).collect::<Vec<_>>();
    let want = [0.0, 0.0, 2.0 / 3.0, 4.0 / 3.0, 2.0, 2.0];
    assert!(column(16).iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6));
    assert_eq!(column(17), raw.voicing);
    let none = SpeakerStats { median_f0_hz: 0.0, ..stats };
    assert!((0..6).all(|i| normalise(&raw, &none).frame(i)[16] == 0.0));
    // Past the end the last frame holds.
    assert_eq!(track.frame(99), track.frame(5));
    assert_eq!(Track::default().frame(3), [0.0; FEATURES]);
}

#[test]
fn nothing_to_measure_is_an_error_and_never_a_nan() {
    let mut e = Extractor::new();
    assert!(SpeakerStats::pool([]).is_err());
    for x in [vec![], vec![0.0; 16_000], vec![f32::NAN; 16_000]] {
        let raw = e.extract(&x);
        assert_eq!(raw.len(), frame_count(x.len()));
        assert!(raw.cepstra.iter().flatten().all(|v| v.is_finite()));
        assert!(matches!(SpeakerStats::pool([&raw]), Err(FeatureError::NoSpeech { .. })));
    }
    let raw = e.extract(&[0.5; 1]);
    assert_eq!(raw.len(), 1);
}

#[test]
fn silence_around_speech_does_not_move_the_statistics() {
    let x = speechlike();
    let mut padded = vec![0.0; 32_000];
    padded.extend(&x);
    let mut e = Extractor::new();
    let a = SpeakerStats::pool([&e.extract(&x)]).unwrap();
    let b = SpeakerStats::pool([&e.extract(&padded)]).unwrap();
    assert!(a.mean.iter().zip(&b.mean).all(|(a, b)| (a - b).abs() < 1.5));
    assert_eq!(a.median_f0_hz, b.median_f0_hz);
}

/// The trainer extracts hours before it starts. Prints the speed; fails only below real time x 20, which
/// a busy machine still reaches.
#[test]
fn fast_enough() {
    let x: Vec<f32> = speechlike().repeat(20);
    let mut e = Extractor::new();
    let t = std::time::Instant::now();
    let raw = e.extract(&x);
    let speed = raw.len() as f64 * 0.01 / t.elapsed().as_secs_f64();
    println!("features: {speed:.0} x real time");
    assert!(speed > 20.0, "{speed:.0}");
}
