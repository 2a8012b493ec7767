//! The synth and the session around it, without a device: equal bytes however the samples are asked for.

mod common;

use common::{config, speaker, track, unconditional, voice};
use proptest::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};
use wavesynth::recordings;
use wavesynth::synth::{
    Clock, ClockDevice, CoinSource, Command, Cue, Ensemble, Event, Forced, Layer, Length, Listener, Manner,
    Pace, Part, Session, Setup, Synth,
};
use wavesynth::voice::Voice;
use wavesynth_audio::cond::Condition;
use wavesynth_audio::features::common::Alignment;
use wavesynth_audio::features::{CausalExtractor, Extractor, FEATURES, SpeakerStats, Talker};
use wavesynth_audio::resample::StreamResampler;
use wavesynth_audio::ring::{Producer, ring};
use wavesynth_models::ar::Sampling;

fn cue(voice: &Voice, values: [f32; 4], frames: usize) -> Box<Cue> {
    let mut condition = speaker(values);
    if frames > 0 {
        condition.track = track(frames).track;
    }
    Box::new(Cue::new(voice, &condition, Path::new("test")).unwrap())
}

fn part(cue: Box<Cue>, seed: u64, length: Length) -> Part {
    // Nobody can keep what never ends.
    let record = length != Length::Samples(u64::MAX);
    Part { cue, manner: Manner::default(), coins: CoinSource::seed(seed), length, record }
}

fn synth(seed: u64, length: Length) -> Synth {
    let voice = voice(&config());
    let cue = cue(&voice, [1.0, 0.0, -1.0, 0.5], 12);
    Synth::new(&voice, part(cue, seed, length))
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
fn company(voice: &Voice) -> Vec<Part> {
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
                manner: Sampling { temperature: 0.9 + 0.02 * i as f32, ..Sampling::default() }.into(),
                ..part(cue(voice, speaker, 2 + i as usize), i / 2, length)
            }
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    /// However many at once, in whatever order and by whatever block: each says what it says alone.
    #[test]
    fn company_leaves_no_trace(
        most in 1usize..6,
        block in 1usize..400,
        order in Just((0..9usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let voice = voice(&config());
        let alone: Vec<_> =
            company(&voice).into_iter().map(|p| all(&mut Synth::new(&voice, p), &[512])).collect();
        let lengths: Vec<_> = company(&voice).into_iter().map(|p| p.samples(&voice)).collect();
        let mut parts: Vec<_> = company(&voice).into_iter().map(Some).collect();
        let mut ensemble = Ensemble::new(&voice, most);
        let mut blocks = vec![vec![9.0; block]; most];
        let (mut said, mut speaks) = (vec![0; most], vec![None; most]);
        let mut sound = vec![Vec::new(); 9];
        let mut waiting = order.into_iter();
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
            ensemble.fill(block, &mut blocks, &mut said);
            for ((speaks, block), &n) in speaks.iter().zip(&blocks).zip(&said) {
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
    for ((part, start), gain) in company(&voice).into_iter().zip(starts).zip(gains) {
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
        let parts = company(&voice).into_iter().zip(starts).zip(gains);
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
    let part = |i: u64| part(cue(&voice, [i as f32; 4], 12), i, Length::Track);
    let next = || cue(&voice, [5.0; 4], 3);
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
    assert_eq!(all(&mut synth(1, Length::Samples(1000)), &[77]), a[..1000]);
    assert_ne!(all(&mut synth(2, Length::Track), &[512]), a);
    assert!(a.iter().any(|x| *x != 0.0));
}

#[test]
fn given_coins_repeat_a_seed_and_end_the_sound() {
    let voice = voice(&config());
    let mut seeded = CoinSource::seed(5);
    let coins = (0..500).map(|_| seeded.next_coin()).collect();
    let mut part = part(cue(&voice, [0.0; 4], 0), 0, Length::Samples(10_000));
    part.coins = CoinSource::given(coins).unwrap();
    let mut given = Synth::new(&voice, part);
    let sound = all(&mut given, &[64]);
    assert_eq!(sound.len(), 500);
    let again = self::part(cue(&voice, [0.0; 4], 0), 5, Length::Samples(500));
    let mut again = Synth::new(&voice, again);
    assert_eq!(all(&mut again, &[500]), sound);
    assert_eq!(given.codes(), again.codes());
}

#[test]
fn an_unconditional_voice_speaks_too() {
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
    let mut s = Synth::new(&voice, part(cue(&voice, a, 12), 9, Length::Track));
    let mut head = vec![0.0; 500];
    s.fill(&mut head);
    let old = s.change(cue(&voice, b, 4), 0);
    assert_eq!(old, cue(&voice, a, 12));
    // Frame 4 begins at sample 640; four frames follow.
    assert_eq!(s.end(), 640 + 4 * 160);
    let tail = all(&mut s, &[100]);
    let want = all(&mut Synth::new(&voice, part(cue(&voice, a, 12), 9, Length::Track)), &[100]);
    assert_eq!(tail[..140], want[500..640]);
    assert_ne!(tail[140..], want[640..1280]);
}

#[test]
fn codes_drawn_are_scored_as_likely_and_logits_agree() {
    let voice = voice(&config());
    let c = cue(&voice, [0.5; 4], 6);
    let mut s = Synth::new(&voice, part(c.clone(), 2, Length::Track));
    all(&mut s, &[960]);
    let codes = s.codes().unwrap().to_vec();
    let (mut scored, mut read) = (Forced::new(&voice, (*c).clone()), Forced::new(&voice, *c));
    let mut row = [0.0; 256];
    let mut total = 0.0;
    for &x in &codes {
        let nats = scored.score(x);
        read.logits(x, &mut row);
        let lse = row.iter().map(|l| f64::from(*l).exp()).sum::<f64>().ln();
        assert!((f64::from(nats) - (lse - f64::from(row[x as usize]))).abs() < 1e-3);
        total += nats;
    }
    let mean = total / codes.len() as f32;
    assert!(mean < 256f32.ln(), "drawn by chance: {mean}");
}

/// `play` without a device: the session's consumer gets what `render` would write, resampled.
#[test]
fn a_session_hands_over_what_a_render_writes() {
    for rate in [16_000, 44_100, 48_000] {
        let plain = all(&mut synth(6, Length::Samples(5000)), &[1024]);
        let mut want = Vec::new();
        let mut resampler = StreamResampler::new(16_000, rate, plain.len()).unwrap();
        resampler.process(&plain, &mut want);
        resampler.flush(&mut want);

        let setup = Setup { device_rate: rate, ring_samples: 700, realtime: false };
        let s = synth(6, Length::Samples(5000));
        let session =
            Session::start(s, setup, |ring| Ok(ClockDevice::start(ring, Clock::Unhurried, 97, true)))
                .unwrap();
        let taken = session.output().taken();
        wait(|| session.is_finished());
        let report = session.end().unwrap();
        assert_eq!(taken.samples(), want, "{rate} Hz");
        assert_eq!((report.samples, report.played), (5000, want.len() as u64));
    }
}

#[test]
fn commands_are_heard_and_what_they_replace_comes_back() {
    let voice = voice(&config());
    let s = Synth::new(&voice, part(cue(&voice, [1.0; 4], 0), 1, Length::Samples(u64::MAX)));
    let setup = Setup { device_rate: 16_000, ring_samples: 1600, realtime: false };
    let clock = Clock::RealTime { rate: 16_000 };
    let session = Session::start(s, setup, |ring| Ok(ClockDevice::start(ring, clock, 320, true))).unwrap();
    assert!(session.send(Command::Change { cue: cue(&voice, [2.0; 4], 0), fade_ms: 30 }));
    let mut back = Vec::new();
    wait(|| {
        back.extend(session.events());
        !back.is_empty()
    });
    let Event::Changed { retired, .. } = &back[0];
    assert_eq!(**retired, *cue(&voice, [1.0; 4], 0));
    assert!(session.send(Command::Pause) && session.send(Command::Resume));
    assert!(session.send(Command::Stop { fade_ms: 20 }));
    wait(|| session.is_finished());
    let report = session.end().unwrap();
    assert!(report.samples < 16_000 && report.peak > 0.0);
    assert!(report.block_times.count() > 0);
}

#[test]
fn ten_blocks_a_second_are_taken_in_real_time() {
    let setup = Setup { device_rate: 16_000, ring_samples: 1600, realtime: false };
    let clock = Clock::RealTime { rate: 16_000 };
    let start = Instant::now();
    let session = Session::start(synth(1, Length::Samples(8000)), setup, |ring| {
        Ok(ClockDevice::start(ring, clock, 320, false))
    })
    .unwrap();
    wait(|| session.is_finished());
    let took = start.elapsed();
    session.end().unwrap();
    assert!(took > Duration::from_millis(450) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn ending_early_and_failing_to_open_leave_no_thread_behind() {
    let setup = Setup { device_rate: 16_000, ring_samples: 100, realtime: false };
    let failed =
        Session::<()>::start(synth(1, Length::Samples(u64::MAX)), setup, |_| anyhow::bail!("no device"));
    assert_eq!(failed.err().unwrap().to_string(), "no device");
    let session = Session::start(synth(1, Length::Samples(u64::MAX)), setup, |ring| {
        Ok(ClockDevice::start(ring, Clock::Unhurried, 10, false))
    })
    .unwrap();
    session.end().unwrap();
}

fn wait(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "it takes too long");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Statistics that make something of noise.
fn stats() -> SpeakerStats {
    SpeakerStats { mean: [-20.0; 16], std: [8.0; 16], median_f0_hz: 120.0, common: None }
}

/// Bursts of noise.
fn bursts(samples: usize) -> Vec<f32> {
    noise(4, samples)
}

fn noise(seed: u64, samples: usize) -> Vec<f32> {
    let mut coins = CoinSource::seed(seed);
    let level = |i: usize| if (i / 1_700).is_multiple_of(3) { 0.002 } else { 0.1 };
    (0..samples).map(|i| level(i) * (2.0 * coins.next_coin() - 1.0)).collect()
}

fn listening(voice: &Voice, length: Length, listener: Listener) -> Synth {
    let mut synth = Synth::new(voice, part(cue(voice, [1.0, 0.0, -1.0, 0.5], 0), 3, length));
    synth.listen(listener);
    synth
}

fn extractor(voice: &Voice) -> CausalExtractor {
    voice.extractor(Talker::known(stats()), Path::new("test")).unwrap()
}

/// Where nothing is voiced, the causal features are those of the whole recording, and so is the sound.
#[test]
fn what_is_heard_is_said_as_a_track_is() {
    let voice = voice(&config());
    let unvoiced = |pcm: &Vec<f32>| {
        let mut listener = Listener::recording(extractor(&voice), pcm.clone());
        let mut causal = std::iter::from_fn(|| listener.advance().then(|| listener.window().to_vec()));
        Extractor::new().extract(pcm).f0_hz.iter().all(|f| *f == 0.0)
            && causal.all(|window| window.chunks_exact(FEATURES).all(|row| row[FEATURES - 1] == 0.0))
    };
    let pcm = (0..99).map(|seed| noise(seed, 9_000)).find(unvoiced).expect("some noise without a pitch");
    let raw = Extractor::new().extract(&pcm);
    let track = Cue::heard(&voice, &raw, Some(&stats()), Path::new("test")).unwrap();
    let cue = cue(&voice, [1.0, 0.0, -1.0, 0.5], 0).overlaid(track);
    let want = all(&mut Synth::new(&voice, part(Box::new(cue), 3, Length::Track)), &[512]);
    assert_eq!(want.len(), 57 * 160);
    for (sizes, length) in [(&[512][..], Length::Track), (&[1, 333], Length::Samples(9_119))] {
        let listener = Listener::recording(extractor(&voice), pcm.clone());
        let mut synth = listening(&voice, length, listener);
        let got = all(&mut synth, sizes);
        assert_eq!(got, want[..got.len()]);
        assert!(got.len() >= 9_119 && synth.position() == got.len() as u64);
    }
}

/// Of a voice that tells: a track is the speaker's own where both were made with the same statistics, and not otherwise.
#[test]
fn a_track_is_known_as_the_speakers_own_by_its_statistics() {
    let raw = Extractor::new().extract(&bursts(9_000));
    let other = SpeakerStats { median_f0_hz: 99.0, ..stats() };
    for own_tracks in [false, true] {
        let mut voice = voice(&config());
        voice.section.own_tracks = own_tracks;
        let cue = |condition: Condition| Cue::new(&voice, &condition, Path::new("test")).unwrap();
        let who = |stats| cue(Condition { stats, ..speaker([1.0, 0.0, -1.0, 0.5]) });
        let said = |stats: &SpeakerStats| Cue::heard(&voice, &raw, Some(stats), Path::new("test")).unwrap();
        let own = |cue: Cue| cue.track().unwrap().own;
        assert_eq!(own(who(Some(stats())).overlaid(said(&stats()))), own_tracks);
        assert_eq!(own(said(&stats()).overlaid(who(Some(stats())))), own_tracks);
        assert!(!own(who(Some(stats())).overlaid(said(&other))));
        assert!(!own(who(None).overlaid(said(&stats()))));
        // A file with both: the statistics are the track's, and say nothing of the vector.
        let (track, stats) = (Some(recordings::track(&raw, &stats())), Some(stats()));
        assert!(!own(cue(Condition { track, stats, ..speaker([1.0; 4]) })));
    }
}

/// A map that is another for each `by`.
fn map(by: f32) -> Alignment {
    let mut map = Alignment::identity();
    for i in 0..16 {
        map.matrix[i][(i + 3) % 16] += by;
        map.offset[i] = 0.1 * by;
    }
    map
}

/// Of a voice whose speakers have a common space: another's track is taken there and out of it by the speaker's own way,
/// and his vector stands farther from the others'.
#[test]
fn anothers_track_is_converted_and_ones_own_is_not() {
    let plain = voice(&config());
    let mut aligned = plain.clone();
    let codes = vec!["0"; 48].join(",");
    aligned.section.common =
        Some(serde_json::from_str(&format!(r#"{{"step":0.1,"codes":[{codes}]}}"#)).unwrap());
    let person = |median_f0_hz, by| SpeakerStats { median_f0_hz, common: Some(map(by)), ..stats() };
    let (ann, bob) = (person(200.0, 0.3), person(100.0, -0.2));
    let vector = [1.0, 0.0, -1.0, 0.5];
    let new = |voice: &Voice, condition: Condition| Cue::new(voice, &condition, Path::new("test")).unwrap();
    let who = |voice: &Voice| new(voice, Condition { stats: Some(bob.clone()), ..speaker(vector) });
    let said =
        |voice: &Voice, by: &SpeakerStats| new(voice, Condition { stats: Some(by.clone()), ..track(12) });
    let heard =
        |voice: &Voice, cue: Cue| all(&mut Synth::new(voice, part(Box::new(cue), 3, Length::Track)), &[512]);

    let table = plain.model.speakers();
    let farther: Vec<f32> = (0..4)
        .map(|i| {
            let middle = 0.5 * table[i] + 0.5 * table[4 + i];
            middle + 1.5 * (vector[i] - middle)
        })
        .collect();
    let mut moved = track(12);
    let way = ann.common.as_ref().unwrap().to(bob.common.as_ref().unwrap()).unwrap();
    moved.track.as_mut().unwrap().frames.chunks_exact_mut(FEATURES).for_each(|row| way.apply(row));
    let by_hand = || {
        let far = new(&plain, speaker([farther[0], farther[1], farther[2], farther[3]]));
        far.overlaid(new(&plain, moved.clone()))
    };
    let converted = heard(&aligned, who(&aligned).overlaid(said(&aligned, &ann)));
    let as_it_is = heard(&plain, who(&plain).overlaid(said(&plain, &ann)));
    assert_eq!(converted, heard(&plain, by_hand()));
    assert_ne!(converted, as_it_is);
    // His own, and tracks and vectors of whom nobody knows, stay as they are.
    assert_eq!(heard(&aligned, who(&aligned).overlaid(said(&aligned, &bob))), as_it_is);
    assert_eq!(heard(&aligned, who(&aligned).overlaid(new(&aligned, track(12)))), as_it_is);
    assert_eq!(heard(&aligned, new(&aligned, speaker(vector)).overlaid(said(&aligned, &ann))), as_it_is);
    let cue = who(&aligned).overlaid(said(&aligned, &ann)).unconverted();
    assert_eq!(heard(&aligned, cue), as_it_is);
    // A file without the way says who it is of, and the voice knows the way.
    let mut knowing = aligned.clone();
    knowing.section.speakers[0].stats = Some(ann.clone());
    let older = SpeakerStats { common: None, ..ann.clone() };
    assert_eq!(heard(&knowing, who(&knowing).overlaid(said(&knowing, &older))), converted);

    // A vector beside a track in one file is the voice's speaker's who has it.
    let row: [f32; 4] = table[4..8].try_into().unwrap();
    knowing.section.speakers[1].stats = Some(bob.clone());
    let alone = new(&knowing, Condition { stats: Some(bob.clone()), ..speaker(row) });
    let both = Condition { stats: Some(ann.clone()), track: track(12).track, ..speaker(row) };
    let apart = heard(&knowing, alone.overlaid(said(&knowing, &ann)));
    assert_eq!(heard(&knowing, new(&knowing, both)), apart);

    // While it runs, too: his own track gives way to another's.
    let run = |voice: &Voice, first: Cue, second: Cue| {
        let mut synth = Synth::new(voice, part(Box::new(first), 3, Length::Samples(3_000)));
        let mut out = vec![0.0; 320];
        synth.fill(&mut out);
        synth.change(Box::new(second), 0);
        out.extend(all(&mut synth, &[333]));
        out
    };
    let changed = run(&aligned, who(&aligned).overlaid(said(&aligned, &bob)), said(&aligned, &ann));
    assert_eq!(changed, run(&plain, who(&plain).overlaid(said(&plain, &bob)), by_hand()));

    // And heard live.
    let live = |voice: &Voice, talker: &SpeakerStats| {
        let extractor = voice.extractor(Talker::known(talker.clone()), Path::new("test")).unwrap();
        let mut synth = Synth::new(voice, part(Box::new(who(voice)), 3, Length::Samples(3_000)));
        synth.listen(Listener::recording(extractor, bursts(3_000)));
        all(&mut synth, &[512])
    };
    assert_eq!(live(&aligned, &bob), live(&plain, &bob));
    assert_ne!(live(&aligned, &ann), live(&plain, &ann));
}

/// A pipe says the same as a recording, whatever comes when and whatever it is called for; only its end is not known.
#[test]
fn a_patient_stream_is_a_recording() {
    let voice = voice(&config());
    for rate in [16_000, 44_100] {
        let pcm = bursts(rate as usize / 2 + 11);
        let mut resampler = StreamResampler::new(rate, 16_000, 64).unwrap();
        let mut at_16k = Vec::new();
        resampler.process(&pcm, &mut at_16k);
        resampler.flush(&mut at_16k);
        let recording = Listener::recording(extractor(&voice), at_16k);
        let want = all(&mut listening(&voice, Length::Track, recording), &[700]);
        let (mut ring, consumer) = ring(1_500);
        let stream = Listener::stream(extractor(&voice), consumer, rate, Pace::Patient).unwrap();
        let mut synth = listening(&voice, Length::Track, stream);
        let writer = std::thread::spawn(move || {
            let (mut at, mut n) = (0, 1);
            while at < pcm.len() {
                at += ring.push_slice(&pcm[at..(at + n).min(pcm.len())]);
                n = n % 600 + 7;
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let mut got = Vec::new();
        loop {
            let mut block = vec![0.0; synth.ready(100)];
            let n = synth.fill(&mut block);
            got.extend_from_slice(&block[..n]);
            if n < block.len() {
                break;
            }
        }
        writer.join().unwrap();
        assert!(got == want, "{rate} Hz: {} samples, wanted {}", got.len(), want.len());
    }
}

fn live(voice: &Voice) -> (Producer, Listener) {
    let (producer, consumer) = ring(8_000);
    (producer, Listener::stream(extractor(voice), consumer, 16_000, Pace::Live).unwrap())
}

#[test]
fn missing_input_is_held_and_then_silence() {
    let voice = voice(&config());
    let (mut ring, mut listener) = live(&voice);
    let silence = listener.window().to_vec();
    let pcm = bursts(4_000);
    // The first frame wants itself, one frame of context and the window's half behind that; the second a hop more.
    ring.push_slice(&pcm[..280 + 160 - 1]);
    assert!(!listener.is_ready());
    ring.push_slice(&pcm[439..440 + 160]);
    for _ in 0..2 {
        assert!(listener.is_ready() && listener.advance());
    }
    let last = listener.window().to_vec();
    assert_ne!(last, silence);
    for held in 1..=8 {
        assert!(!listener.is_ready());
        listener.hold();
        assert!(listener.is_ready() && listener.advance());
        assert_eq!(listener.window(), if held <= 5 { &last } else { &silence });
    }
    ring.push_slice(&pcm[600..760]);
    assert!(listener.is_ready() && listener.advance());
    assert!(listener.window() != last && listener.window() != silence);
    let hearing = listener.hearing();
    assert_eq!((hearing.frames(), hearing.held(), hearing.skipped()), (3, 8, 0));
}

#[test]
fn live_input_that_is_late_is_caught_up_with() {
    let voice = voice(&config());
    let (mut ring, mut listener) = live(&voice);
    let hearing = listener.hearing();
    let pcm = bursts(8_000);
    // A pause: half a second waits, and all but a frame or two of it is left out.
    ring.push_slice(&pcm);
    assert!(listener.is_ready() && listener.advance());
    let skipped = hearing.skipped();
    assert!((44..=46).contains(&skipped), "{skipped}");
    // A device that is slow: what waits is more than is needed, all the time, and one frame a second goes.
    for _ in 0..250 {
        listener.set_ahead(700, 200);
        ring.push_slice(&pcm[..160]);
        while !listener.is_ready() {
            ring.push_slice(&pcm[..160]);
        }
        assert!(listener.advance());
    }
    assert_eq!(hearing.skipped() - skipped, 2);
    // Just enough ahead: nothing goes.
    for _ in 0..250 {
        listener.set_ahead(250, 200);
        ring.push_slice(&pcm[..160]);
        assert!(listener.is_ready() && listener.advance());
    }
    assert!(hearing.skipped() - skipped <= 3 && hearing.held() == 0);
    // The end: what is there is said, then no more.
    drop(ring);
    let mut frames = 0;
    while listener.advance() {
        frames += 1;
        assert!(frames < 60);
    }
    assert!(!listener.advance() && frames > 0);
}
