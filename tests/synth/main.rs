//! The synth and the session around it, without a device: equal bytes however the samples are asked for.

#[path = "../common/mod.rs"]
mod common;
mod conversion;
mod ending;
mod listening;
mod session;
mod speaking;

use common::{config, speaker, track, unconditional, voice};
use proptest::prelude::*;
use wavesynth::synth::{
    Conditioning, Ensemble, Forced, Layer, Length, Part, SamplingPolicy, Synth, UniformSource,
};
use wavesynth::voice::Voice;
use wavesynth_audio::features::SpeakerStats;
use wavesynth_models::ar::Sampling;

fn conditioning(voice: &Voice, values: [f32; 4], frames: usize) -> Box<Conditioning> {
    let mut condition = speaker(values);
    if frames > 0 {
        condition.track = track(frames).track;
    }
    Box::new(Conditioning::new(voice, &condition).unwrap())
}

fn part(conditioning: Box<Conditioning>, seed: u64, length: Length) -> Part {
    // Nobody can keep what never ends.
    let record = length != Length::Samples(u64::MAX);
    Part {
        conditioning,
        front: None,
        policy: SamplingPolicy::default(),
        uniforms: UniformSource::seed(seed),
        length,
        record,
        post_filter: false,
    }
}

fn synth(seed: u64, length: Length) -> Synth {
    let voice = voice(&config());
    let conditioning = conditioning(&voice, [1.0, 0.0, -1.0, 0.5], 12);
    Synth::new(&voice, part(conditioning, seed, length))
}

fn all(synth: &mut Synth, sizes: &[usize]) -> Vec<f32> {
    let mut out = Vec::new();
    for &size in sizes.iter().cycle() {
        let mut block = vec![9.0; size];
        let n = synth.fill(&mut block);
        out.extend_from_slice(&block[..n]);
        if n < size {
            return out;
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn block_size_leaves_no_trace(sizes in prop::collection::vec(1usize..700, 1..12)) {
        let want = all(&mut synth(3, Length::Samples(2500)), &[2501]);
        prop_assert_eq!(want.len(), 2500);
        prop_assert_eq!(all(&mut synth(3, Length::Samples(2500)), &sizes), want);
    }
}

/// Parts of different speakers, tracks and lengths, one of them without a sample.
fn mixed_parts(voice: &Voice) -> Vec<Part> {
    (0..9u64)
        .map(|i| {
            let speaker = [i as f32, 1.0, -0.5 * i as f32, 0.3];
            let length = match i {
                3 => Length::Samples(0),
                5 => Length::Samples(64),
                _ if i % 2 == 0 => Length::Track,
                _ => Length::Samples(300 + 177 * i),
            };
            Part {
                policy: Sampling { temperature: 0.9 + 0.02 * i as f32, ..Sampling::default() }.into(),
                ..part(conditioning(voice, speaker, 2 + i as usize), i / 2, length)
            }
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    /// However many at once, in whatever order and by whatever block, with or without pauses: each gives what it gives alone.
    #[test]
    fn streams_do_not_affect_each_other(
        most in 1usize..6,
        block in 1usize..400,
        pauses in any::<u64>(),
        order in Just((0..9usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let voice = voice(&config());
        let alone: Vec<_> =
            mixed_parts(&voice).into_iter().map(|p| all(&mut Synth::new(&voice, p), &[512])).collect();
        let lengths: Vec<_> = mixed_parts(&voice).into_iter().map(|p| p.samples(&voice)).collect();
        let mut parts: Vec<_> = mixed_parts(&voice).into_iter().map(Some).collect();
        let mut ensemble = Ensemble::new(&voice, most);
        let mut blocks = vec![vec![9.0; block]; most];
        let (mut written, mut speaks) = (vec![0; most], vec![None; most]);
        let mut sound = vec![Vec::new(); 9];
        let (mut waiting, mut turn) = (order.into_iter(), 0);
        loop {
            for (at, speaks) in speaks.iter_mut().enumerate() {
                if !ensemble.is_running(at) {
                    *speaks = waiting.next();
                    if let Some(i) = *speaks {
                        ensemble.start(at, &voice, parts[i].take().unwrap());
                    }
                }
            }
            if ensemble.running() == 0 {
                break;
            }
            let paused: Vec<_> = (0..most)
                .filter(|&at| ensemble.is_running(at) && pauses >> ((turn * most + at) % 64) & 1 == 1)
                .collect();
            turn += 1;
            paused.iter().for_each(|&at| ensemble.pause(at));
            ensemble.fill(block, &mut blocks, &mut written);
            paused.iter().for_each(|&at| ensemble.resume(at));
            for ((speaks, block), &n) in speaks.iter().zip(&blocks).zip(&written) {
                if let Some(i) = *speaks {
                    sound[i].extend_from_slice(&block[..n]);
                }
            }
        }
        prop_assert_eq!(sound.iter().map(|s| s.len() as u64).collect::<Vec<_>>(), lengths);
        prop_assert!(sound == alone);
    }
}

/// Layers begin and end at their own times, and the sum is that of their renders, shares applied.
#[test]
fn layers_add_up() {
    let voice = voice(&config());
    let (starts, gains) =
        ([0, 700, 1300, 10, 0, 5000, 2, 2500, 1], [1.0, 0.5, 2.0, 1.0, 0.7, 1.0, 1.0, 0.1, 1.0]);
    let total: f32 = gains.iter().sum();
    let mut want = Vec::<f32>::new();
    let mut loudest = 0f32;
    for ((part, start), gain) in mixed_parts(&voice).into_iter().zip(starts).zip(gains) {
        let mut alone = Synth::new(&voice, part);
        let sound = all(&mut alone, &[512]);
        loudest = loudest.max(alone.peak());
        if !sound.is_empty() {
            want.resize(want.len().max(start + sound.len()), 0.0);
        }
        for (sum, x) in want.iter_mut().skip(start).zip(&sound) {
            *sum += gain / total * x;
        }
    }
    let layers = || {
        let parts = mixed_parts(&voice).into_iter().zip(starts).zip(gains);
        parts.map(|((part, start), gain)| Layer { part, start: start as u64, gain }).collect()
    };
    let mut whole = Synth::layered(&voice, layers());
    assert_eq!(whole.end(), want.len() as u64);
    assert!(all(&mut whole, &[97, 1, 640]) == want);
    assert!(whole.peak() > 0.0 && whole.peak() <= loudest * 1.0001);
    assert_eq!(whole.position(), want.len() as u64);
    // A stop ends what has not begun, too; a pause stands still with all of them.
    let mut whole = Synth::layered(&voice, layers());
    let mut block = vec![0.0; 800];
    whole.fill(&mut block);
    whole.pause();
    whole.fill(&mut block);
    let at = whole.position() as usize;
    whole.resume();
    whole.fill(&mut block);
    assert_eq!(block[200..], want[at + 200..at + 800]);
    whole.stop(10);
    assert!((160..163).contains(&whole.fill(&mut block)));
    assert_eq!((whole.fill(&mut block), whole.end()), (0, whole.position()));
}

#[test]
fn a_change_is_the_first_layers() {
    let voice = voice(&config());
    let part = |i: u64| part(conditioning(&voice, [i as f32; 4], 12), i, Length::Track);
    let next = || conditioning(&voice, [5.0; 4], 3);
    let layers = [1, 2].map(|i| Layer { part: part(i), start: 0, gain: 1.0 });
    let mut whole = Synth::layered(&voice, layers.into());
    let mut first = Synth::new(&voice, part(1));
    let mut second = Synth::new(&voice, part(2));
    let mut block = [0.0; 500];
    whole.fill(&mut block);
    first.fill(&mut block);
    whole.change(next(), 20);
    first.change(next(), 20);
    let first = all(&mut first, &[64]);
    let second = all(&mut second, &[64]);
    let rest = all(&mut whole, &[64]);
    assert_eq!((first.len(), rest.len()), (4 * 160 + 3 * 160 - 500, 12 * 160 - 500));
    // Of one that has ended, it changes nothing and comes back.
    assert_eq!((*whole.change(next(), 0), whole.end()), (*next(), 12 * 160));
    for (t, x) in rest.iter().enumerate() {
        let first = first.get(t).map_or(0.0, |x| 0.5 * x);
        assert_eq!(*x, first + 0.5 * second[500 + t], "{t}");
    }
}

#[test]
fn the_seed_decides_and_the_length_is_the_tracks() {
    let a = all(&mut synth(1, Length::Track), &[512]);
    assert_eq!(a.len(), 12 * 160);
    let cut = all(&mut synth(1, Length::Samples(1000)), &[77]);
    assert_eq!((cut.len(), &cut[..680]), (1000, &a[..680]));
    assert_ne!(all(&mut synth(2, Length::Track), &[512]), a);
    assert!(a.iter().any(|x| *x != 0.0));
}

#[test]
fn given_uniforms_repeat_a_seed_and_end_the_sound() {
    let voice = voice(&config());
    let mut seeded = UniformSource::seed(5);
    let uniforms = (0..500).map(|_| seeded.next_uniform()).collect();
    let mut part = part(conditioning(&voice, [0.0; 4], 0), 0, Length::Samples(10_000));
    part.uniforms = UniformSource::given(uniforms).unwrap();
    let mut given = Synth::new(&voice, part);
    let sound = all(&mut given, &[64]);
    assert_eq!(sound.len(), 500);
    let again = self::part(conditioning(&voice, [0.0; 4], 0), 5, Length::Samples(500));
    let mut again = Synth::new(&voice, again);
    assert_eq!(all(&mut again, &[500]), sound);
    assert_eq!(given.codes(), again.codes());
}

#[test]
fn an_unconditional_voice_works_too() {
    let voice = voice(&unconditional());
    let mut s = Synth::new(&voice, part(Box::default(), 1, Length::Samples(300)));
    assert_eq!(all(&mut s, &[300]).len(), 300);
    let mut s = Synth::new(&voice, part(Box::default(), 1, Length::Track));
    assert_eq!(s.fill(&mut [0.0; 8]), 0);
}

#[test]
fn a_pause_loses_nothing_and_a_stop_fades() {
    let want = all(&mut synth(4, Length::Samples(4000)), &[4000]);
    let mut s = synth(4, Length::Samples(4000));
    let mut block = vec![0.0; 1000];
    s.fill(&mut block);
    assert_eq!(block, want[..1000]);
    s.pause();
    s.fill(&mut block);
    assert!(s.is_paused() && block[200..].iter().all(|x| *x == 0.0));
    let at = s.position() as usize;
    assert!((1127..1130).contains(&at), "{at}");
    s.resume();
    s.fill(&mut block);
    assert_eq!(block[200..], want[at + 200..at + 1000]);
    s.stop(10);
    let n = s.fill(&mut block);
    assert!((160..163).contains(&n), "{n}");
    assert!(block[n - 1].abs() < 0.02);
    assert_eq!(s.fill(&mut block), 0);
}

#[test]
fn a_change_counts_from_the_next_frame_and_a_new_track_sets_the_end() {
    let voice = voice(&config());
    let (a, b) = ([1.0, 0.0, -1.0, 0.5], [-1.0, 2.0, 0.0, 0.0]);
    let mut s = Synth::new(&voice, part(conditioning(&voice, a, 12), 9, Length::Track));
    let mut head = vec![0.0; 500];
    s.fill(&mut head);
    let old = s.change(conditioning(&voice, b, 4), 0);
    assert_eq!(old, conditioning(&voice, a, 12));
    // Frame 4 begins at sample 640; four frames follow.
    assert_eq!(s.end(), 640 + 4 * 160);
    let tail = all(&mut s, &[100]);
    let want = all(&mut Synth::new(&voice, part(conditioning(&voice, a, 12), 9, Length::Track)), &[100]);
    assert_eq!(tail[..140], want[500..640]);
    assert_ne!(tail[140..], want[640..1280]);
}

#[test]
fn codes_drawn_are_scored_as_likely_and_logits_agree() {
    let voice = voice(&config());
    let c = conditioning(&voice, [0.5; 4], 6);
    let mut s = Synth::new(&voice, part(c.clone(), 2, Length::Track));
    all(&mut s, &[960]);
    let codes = s.codes().unwrap().to_vec();
    let (mut scored, mut read) = (Forced::new(&voice, (*c).clone()), Forced::new(&voice, *c));
    let mut row = [0.0; 256];
    let mut total = 0.0;
    for &x in &codes {
        let nats = scored.score(x);
        read.parameters(x, &mut row);
        let lse = row.iter().map(|l| f64::from(*l).exp()).sum::<f64>().ln();
        assert!((f64::from(nats) - (lse - f64::from(row[x as usize]))).abs() < 1e-3);
        total += nats;
    }
    let mean = total / codes.len() as f32;
    assert!(mean < 256f32.ln(), "drawn by chance: {mean}");
}

/// Statistics under which noise varies.
fn stats() -> SpeakerStats {
    SpeakerStats { mean: [-20.0; 16], std: [8.0; 16], median_f0_hz: 120.0, common: None }
}

/// Bursts of noise.
fn bursts(samples: usize) -> Vec<f32> {
    noise(4, samples)
}

fn noise(seed: u64, samples: usize) -> Vec<f32> {
    let mut uniforms = UniformSource::seed(seed);
    let level = |i: usize| if (i / 1_700).is_multiple_of(3) { 0.002 } else { 0.1 };
    (0..samples).map(|i| level(i) * (2.0 * uniforms.next_uniform() - 1.0)).collect()
}
