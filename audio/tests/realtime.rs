//! Counts allocations in everything that claims to be usable on the engine's or the callback's thread.

use assert_no_alloc::{AllocDisabler, assert_no_alloc, reset_violation_count, violation_count};
use std::hint::black_box;
use wavesynth_audio::pcm::{Decoder, Encoding, PreEmphasis};
use wavesynth_audio::resample::StreamResampler;
use wavesynth_audio::{features, mulaw, ring, sink};

#[global_allocator]
static ALLOCATOR: AllocDisabler = AllocDisabler;

fn allocations(work: impl FnOnce()) -> u32 {
    reset_violation_count();
    assert_no_alloc(work);
    violation_count()
}

#[test]
fn the_real_time_side_does_not_allocate() {
    // The counter counts, or nothing below means anything.
    let counted = allocations(|| drop(black_box(vec![0u8; 100])));
    assert!(counted >= 1, "the allocation counter sees nothing");

    let block: Vec<f32> = (0..480).map(|i| (i as f32 * 0.1).sin()).collect();
    let mut pcm = vec![0.0f32; 480];

    let (mut pre, mut decoder) = (PreEmphasis::new(0.85), Decoder::new(0.85, Encoding::MuLaw));
    assert_eq!(
        allocations(|| {
            for (x, y) in block.iter().zip(&mut pcm) {
                *y = decoder.decode(mulaw::encode(pre.process(*x)));
                black_box(sink::to_s16(*y));
            }
            decoder.reset();
        }),
        0
    );

    for (from, to) in [(16_000, 48_000), (16_000, 44_100), (16_000, 16_000)] {
        let mut resampler = StreamResampler::new(from, to, block.len()).unwrap();
        let mut out = Vec::with_capacity(resampler.max_block_out());
        let n = allocations(|| {
            for len in [480, 1, 0, 33, 479, 7] {
                out.clear();
                resampler.process(&block[..len], &mut out);
            }
            out.clear();
            resampler.flush(&mut out);
            resampler.reset();
        });
        assert_eq!(n, 0, "{from} -> {to}");
    }

    let (mut producer, mut consumer) = ring::ring(1_000);
    let stats = consumer.stats();
    assert_eq!(
        allocations(|| {
            for _ in 0..5 {
                producer.push_slice(&block);
                black_box((producer.free(), producer.fill(), producer.is_abandoned()));
                black_box((consumer.waiting(), consumer.is_over()));
                consumer.fill(&mut pcm);
                consumer.fill(&mut pcm);
            }
            producer.close();
            consumer.fill(&mut pcm);
            black_box((stats.underruns(), stats.finished()));
        }),
        0
    );

    let stats = features::SpeakerStats { mean: [0.0; 16], std: [1.0; 16], median_f0_hz: 150.0, common: None };
    let codes: Vec<i32> = (0..64 * 48).map(|i| (i * i * 7 + i * 3) % 97 - 48).collect();
    let common = serde_json::from_value(serde_json::json!({ "step": 0.03125, "codes": codes })).unwrap();
    for speaker_stats in [
        features::RunningSpeakerStats::known(stats.clone()),
        features::RunningSpeakerStats::learning(stats, Some(&common)),
    ] {
        let mut extractor = features::CausalExtractor::new(2, speaker_stats);
        let mut silence = extractor.window().to_vec();
        assert_eq!(
            allocations(|| {
                for i in 0..200 {
                    let at = extractor.push(&block[i..]);
                    extractor.push(&block[at..]);
                    black_box((extractor.window()[0], extractor.rows(), extractor.wants()));
                }
                extractor.write_silence(&mut silence);
                extractor.end();
                extractor.end();
            }),
            0
        );
        assert!(extractor.rows() > 200);
        assert_eq!(extractor.speaker_stats().alignments() > 0, extractor.speaker_stats().is_learning());
    }

    let track = features::Track { frames: vec![0.5; 3 * features::FEATURES] };
    assert_eq!(allocations(|| _ = black_box(track.frame(7))), 0);
}
