use super::*;
use proptest::prelude::*;

fn sine(f: f64, rate: u32, n: usize) -> Vec<f32> {
    (0..n).map(|i| (0.5 * (std::f64::consts::TAU * f * i as f64 / rate as f64).sin()) as f32).collect()
}

/// Signal over error against the same sine sampled at the other rate, in dB, without the edges.
fn snr(got: &[f32], want: &[f32], edge: usize) -> f64 {
    let pairs = got.iter().zip(want).take(got.len() - edge).skip(edge);
    let (mut s, mut e) = (0.0, 0.0);
    for (g, w) in pairs {
        s += (*w as f64).powi(2);
        e += (*g as f64 - *w as f64).powi(2);
    }
    10.0 * (s / e).log10()
}

#[test]
fn sines_keep_their_shape_and_place() {
    for (from, to) in [
        (16_000, 44_100),
        (16_000, 48_000),
        (48_000, 16_000),
        (44_100, 16_000),
        (22_050, 16_000),
        (24_000, 16_000),
    ] {
        for f in [100.0, 1_000.0, 5_000.0] {
            let n = from as usize;
            let want = sine(f, to, to as usize);
            let got = resample(&sine(f, from, n), from, to).unwrap();
            assert_eq!(got.len(), to as usize);
            let whole = snr(&got, &want, 2_000);
            let mut stream = StreamResampler::new(from, to, 160).unwrap();
            let mut got = Vec::new();
            for block in sine(f, from, n).chunks(160) {
                stream.process(block, &mut got);
            }
            stream.flush(&mut got);
            assert_eq!(got.len(), to as usize);
            let streamed = snr(&got, &want, 2_000);
            assert!(whole > 80.0, "{from} -> {to}, {f} Hz: {whole:.1} dB");
            assert!(streamed > 75.0, "{from} -> {to}, {f} Hz: {streamed:.1} dB");
        }
    }
}

#[test]
fn what_lies_above_the_new_nyquist_frequency_is_gone() {
    let got = resample(&sine(9_000.0, 48_000, 48_000), 48_000, 16_000).unwrap();
    let peak = got[500..15_500].iter().fold(0.0f32, |m, x| m.max(x.abs()));
    assert!(peak < 1e-4, "{peak}");
}

#[test]
fn equal_rates_pass_bits_through() {
    let x = sine(440.0, 16_000, 777);
    assert_eq!(resample(&x, 16_000, 16_000).unwrap(), x);
    let mut s = StreamResampler::new(16_000, 16_000, 100).unwrap();
    let mut y = Vec::new();
    x.chunks(100).for_each(|b| s.process(b, &mut y));
    s.flush(&mut y);
    assert_eq!(x, y);
    assert_eq!(s.delay_out_samples(), 0);
}

#[test]
fn lengths_are_exact_for_short_and_empty_signals() {
    for (from, to) in [(16_000, 44_100), (48_000, 16_000), (44_100, 16_000)] {
        for n in [0, 1, 2, 3, 31, 32, 33, 1_000] {
            let y = resample(&vec![0.1; n], from, to).unwrap();
            let want = (n as f64 * to as f64 / from as f64).round() as usize;
            assert_eq!(y.len(), want);
            assert!(y.iter().all(|v| v.is_finite()));
        }
    }
}

#[test]
fn absurd_rates_are_errors() {
    for (from, to) in [(0, 16_000), (16_000, 0), (3_999, 16_000), (16_000, u32::MAX)] {
        assert!(matches!(resample(&[0.0], from, to), Err(ResampleError::Rate { .. })));
    }
    // Far apart and without a common divisor, but allowed.
    assert_eq!(resample(&[0.5; 40], 383_999, 4_000).unwrap().len(), 0);
    assert_eq!(resample(&[0.5; 4], 4_000, 383_999).unwrap().len(), 384);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn the_cut_into_blocks_leaves_no_trace(
        cuts in prop::collection::vec(0usize..200, 1..30),
        pair in prop::sample::select(vec![
            (16_000u32, 44_100u32), (16_000, 48_000), (48_000, 16_000), (44_100, 16_000),
        ]),
    ) {
        let n = cuts.iter().sum::<usize>();
        let x = sine(523.0, pair.0, n);
        let mut one = StreamResampler::new(pair.0, pair.1, n).unwrap();
        let mut want = Vec::new();
        one.process(&x, &mut want);
        one.flush(&mut want);

        let mut s = StreamResampler::new(pair.0, pair.1, 200).unwrap();
        // A second pass over the same object shows that flush leaves nothing behind.
        for _ in 0..2 {
            let mut got = Vec::new();
            let mut block = Vec::with_capacity(s.max_block_out());
            let room = block.capacity();
            let (mut at, mut fed) = (0, 0);
            for &c in &cuts {
                block.clear();
                s.process(&x[at..at + c], &mut block);
                at += c;
                fed += c;
                got.extend_from_slice(&block);
                prop_assert_eq!(block.capacity(), room);
                let due = fed as u64 * pair.1 as u64 / pair.0 as u64;
                prop_assert!(got.len() as u64 + s.delay_out_samples() as u64 >= due);
            }
            block.clear();
            s.flush(&mut block);
            prop_assert_eq!(block.capacity(), room);
            got.extend_from_slice(&block);
            prop_assert_eq!(&got, &want);
        }
    }
}
